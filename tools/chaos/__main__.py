"""``make chaos``: the faults against the relay as it is, with its own time limits.

    python -m tools.chaos [faults]

Prints the table and writes ``build/bench/chaos.json`` and ``chaos.png``. Exits with 1 if a row is
not as it should be.
"""

from __future__ import annotations

import argparse
import json
import sys

from tools import build

from . import table

_OUT = build.BUILD / "bench"
_RELAYS = 10
_HEAD = f"{'fault':32} {'side':9} {'named':>7} {'answers':>8} {'heap':>6}  status names"


def faults(relays: int = _RELAYS, hurry: int = 1) -> list[table.Row]:
    """The table of faults, measured and printed."""
    rows = table.run(table.jobs(), relays, hurry)
    print(_HEAD)
    for row in rows:
        named = f"{row.noticed_s:5.1f} s" if row.error else "-"
        print(
            f"{row.fault:32} {row.side:9} {named:>7} {row.recovery_s:6.1f} s "
            f"{row.heap_change:+5} B  {row.error[:110]}"
        )
        if row.failed:
            print(f"  FAILED: {row.failed}")
    return rows


def picture(rows: list[table.Row], path) -> None:
    """A dot for each row: seconds until the relay answered again."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = list(dict.fromkeys(row.fault for row in rows))
    figure, axes = pyplot.subplots(figsize=(9, 0.21 * len(names) + 1))
    for side, mark in (("telegram", "o"), ("model", "x"), ("sending", "+")):
        ours = [row for row in rows if row.side == side]
        places = [names.index(row.fault) for row in ours]
        axes.plot([row.recovery_s for row in ours], places, mark, label=side)
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.invert_yaxis()
    axes.set_xscale("symlog", linthresh=1)
    axes.set_xlim(left=0)
    axes.set_xlabel("seconds from the end of the fault to the next whole answer")
    axes.grid(axis="x", alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110)


_PARTS = {"faults": faults}


def main() -> int:
    parser = argparse.ArgumentParser(prog="make chaos")
    parser.add_argument("parts", nargs="*", default=list(_PARTS), help=", ".join(_PARTS))
    wanted = parser.parse_args().parts
    for name in wanted:
        if name not in _PARTS:
            parser.error(f"no such part: {name} (there are {', '.join(_PARTS)})")
    _OUT.mkdir(parents=True, exist_ok=True)
    results, failed = {}, 0
    for name in wanted:
        rows = _PARTS[name]()
        results[name] = [row.to_json() for row in rows]
        failed += sum(bool(row.failed) for row in rows)
        if name == "faults":
            picture(rows, _OUT / "chaos.png")
    (_OUT / "chaos.json").write_text(json.dumps(results, indent=1))
    print(f"{sum(map(len, results.values()))} rows, {failed} not as they should be")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
