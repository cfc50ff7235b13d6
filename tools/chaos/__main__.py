"""``make chaos``: faults, kills, and both, against the relay as it is, with its own time limits.

    python -m tools.chaos [faults storm soak people] [--messages N --kills N --relays N --seed N]

faults  the table of faults; ``chaos.json``, ``chaos.png`` and ``faults.md``, the table of
        ``docs/faults.md``, in ``build/bench``
storm   kills at moments uniform over busy time (500 messages, 200 kills); ``storm.json``
soak    faults in 1 % of the messages, and kills (10,000 messages, 20 kills); ``chaos_soak.json``
people  20 runs (``--relays``) of 50 random steps (``--messages``), compared with a reference; of a
        run that fails as few steps as fail too are printed

Prints tables. Exits with 1 if anything is not as it should be.
"""

from __future__ import annotations

import json

from tools import build, cli
from tools.bench import pictures

from . import people, soak, storm, table
from .tally import Tally

_OUT = build.BUILD / "bench"
_SHORTEN_S = 300.0
_HEAD = f"{'fault':32} {'side':9} {'named':>7} {'answers':>8} {'heap':>6}  status names"


def faults(options) -> int:
    """The table of faults, measured and printed; how many rows are not as they should be."""
    rows = table.run(table.jobs(), *_sizes(options, relays=10), 1)
    print(_HEAD)
    for row in rows:
        named = f"{row.noticed_s:5.1f} s" if row.error else "-"
        print(
            f"{row.fault:32} {row.side:9} {named:>7} {row.recovery_s:6.1f} s "
            f"{row.heap_change:+5} B  {row.error[:110]}"
        )
        if row.failed:
            print(f"  FAILED: {row.failed}")
    failed = sum(bool(row.failed) for row in rows)
    pictures.faults(rows, _OUT / "chaos.png")
    (_OUT / "faults.md").write_text(table.document(rows))
    (_OUT / "chaos.json").write_text(json.dumps({"faults": [row.to_json() for row in rows]}))
    print(f"{len(rows)} rows, {failed} not as they should be")
    return failed


def killed(options) -> int:
    """The kill storm; 1 if a message was lost, out of order, or doubled without a kill."""
    plans = storm.share(*_sizes(options, relays=6, messages=500, kills=200))
    return _told("storm", storm.run(plans, options.seed))


def soaked(options) -> int:
    """Faults and kills; 1 if a message was lost, out of order, or doubled without a reason."""
    sizes = _sizes(options, relays=4, messages=10_000, kills=20)
    return _told("chaos_soak", soak.run(*sizes, options.seed))


def walked(options) -> int:
    """How many runs of random steps are not as the reference says."""
    runs, steps = _sizes(options, relays=20, messages=50)
    return people.walk(options.seed, runs, steps, _SHORTEN_S)


def _sizes(options, **usual: int) -> list[int]:
    """What was asked for, and else what is usual."""
    given = vars(options)
    return [usual[name] if given[name] is None else given[name] for name in usual]


def _told(name: str, tally: Tally) -> int:
    print(tally.table(name))
    (_OUT / f"{name}.json").write_text(json.dumps(tally.to_json(), indent=1))
    return int(tally.failed)


_PARTS = {"faults": faults, "storm": killed, "soak": soaked, "people": walked}


def main() -> int:
    parser = cli.parser("make chaos", __doc__)
    parser.add_argument("parts", nargs="*", default=list(_PARTS), help=", ".join(_PARTS))
    parser.add_argument("--relays", type=cli.least(1), help="at a time")
    parser.add_argument("--messages", type=cli.least(1), help="storm, soak: in all")
    parser.add_argument("--kills", type=cli.least(0), help="storm, soak: in all")
    parser.add_argument("--seed", type=int, default=1, help="of what befalls whom, and when")
    options = parser.parse_args()
    for name in options.parts:
        if name not in _PARTS:
            parser.error(f"no such part: {name} (there are {', '.join(_PARTS)})")
    _OUT.mkdir(parents=True, exist_ok=True)
    return 1 if sum([_PARTS[name](options) for name in options.parts]) else 0


if __name__ == "__main__":
    cli.run(main)
