"""The pictures of the benchmarks."""

from __future__ import annotations

from pathlib import Path


def _axes(width=7.0, height=3.5, rows=1):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot.subplots(rows, figsize=(width, height))


def _save(figure, path: Path) -> None:
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def allocated(result: dict, path: Path) -> None:
    """The heap ever allocated over the messages, the relay's and the naive bot's."""
    figure, axes = _axes()
    for label, rows in (("naive bot", result["naive"]["rows"]), ("Thimble", result["rows"])):
        rows = [row for row in rows if not row["stage"]]
        start = rows[0]["total"]
        axes.plot(
            [row["answered"] for row in rows],
            [(row["total"] - start) / 1024 for row in rows],
            label=label,
        )
    axes.set_xlabel("messages answered")
    axes.set_ylabel("heap allocated, KB")
    axes.legend()
    _save(figure, path)


def bars(title: str, unit: str, rows: list[tuple[str, float, float]], path: Path) -> None:
    """A bar for each (name, value, bound), with a line at the bound; 0: there is none."""
    figure, axes = _axes(height=1.2 + 0.4 * len(rows))
    for place, (_, value, bound) in enumerate(rows):
        axes.barh(place, value, color="tab:blue")
        if bound:
            axes.plot([bound, bound], [place - 0.4, place + 0.4], color="black")
    axes.set_yticks(range(len(rows)), [name for name, _, _ in rows])
    axes.invert_yaxis()
    axes.set_xlabel(unit)
    axes.set_title(title, fontsize="medium")
    _save(figure, path)


def membench(results: list[dict], title, path: Path) -> None:
    """Over the burst: the live heap, all that was allocated, the process's anonymous memory."""
    figure, (live, total, anon) = _axes(7.0, 7.0, rows=3)
    for result in results:
        rows = result["rows"]
        start = rows[0]["total"]
        answered = [row["answered"] for row in rows]
        live.plot(answered, [row["live"] / 1024 for row in rows], label=title(result))
        total.plot(answered, [(row["total"] - start) / 1e6 for row in rows])
        anon.plot(answered, [row["anon"] for row in rows])
    live.set_ylabel("live heap, KB")
    total.set_ylabel("heap allocated, MB")
    anon.set_ylabel("RssAnon, kB")
    anon.set_xlabel("messages answered")
    for axes in (live, total, anon):
        axes.set_ylim(bottom=0)
    live.legend(fontsize="small")
    _save(figure, path)


def audit(result: dict, path: Path) -> None:
    """Bytes a message as stacked bars, one a stage, a colour for each function."""
    figure, axes = _axes(8.0, 4.0)
    stages = list(result["stages"])
    top = dict.fromkeys(stages, 0.0)
    shown = [row for row in result["rows"] if row["bytes"] >= 2]
    rest = dict(result["stages"])
    for row in shown:
        stage = row["stage"]
        name = f"{row['file'].removeprefix('thimble/')} {row['function']}"
        axes.bar(stages.index(stage), row["bytes"], bottom=top[stage], label=f"{stage}: {name}")
        top[stage] += row["bytes"]
        rest[stage] -= row["bytes"]
    axes.bar(
        range(len(stages)),
        [max(0, rest[stage]) for stage in stages],
        bottom=[top[stage] for stage in stages],
        color="lightgrey",
        label="all others",
    )
    axes.set_xticks(range(len(stages)), stages, rotation=30, ha="right")
    axes.set_ylabel("bytes of heap per message")
    axes.set_title(f"{result['per_message']:.0f} B a message in all", fontsize="medium")
    axes.set_ylim(top=max(20, 1.5 * max(result["stages"].values())))
    axes.legend(fontsize=7, loc="upper left", ncols=2)
    _save(figure, path)


def faults(rows: list, path: Path) -> None:
    """A dot for each row of chaos/table.py: seconds until the relay answered again."""
    names = list(dict.fromkeys(row.fault for row in rows))
    figure, axes = _axes(9, 0.21 * len(names) + 1)
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
    _save(figure, path)


def soak(result: dict, path: Path) -> None:
    """Live heap, largest block and sessions in RAM; a mark where conversations were compacted."""
    figure, (heap, sessions) = _axes(8.0, 5.0, rows=2)
    samples = result["samples"]
    answered = [row["answered"] for row in samples]
    heap.plot(answered, [row["live"] / 1024 for row in samples], label="live heap")
    heap.plot(answered, [row["largest"] / 1024 for row in samples], label="largest block")
    heap.set_ylabel("KB")
    counts = [row["compactions"] for row in samples]
    marks = [
        (where, now - before)
        for where, before, now in zip(answered, [0, *counts], counts, strict=False)
        if now > before
    ]
    heap.plot(
        [where for where, _ in marks],
        [0] * len(marks),
        "|",
        color="black",
        markersize=8,
        label="compacted since the last sample",
    )
    heap.set_ylim(bottom=-5)
    heap.legend(fontsize="small")
    sessions.plot(answered, [row["sessions"] for row in samples], label="sessions in RAM")
    sessions.set_ylabel("sessions")
    sessions.set_xlabel("messages answered")
    sessions.set_ylim(bottom=0)
    sessions.legend(fontsize="small", loc="lower right")
    total = sessions.twinx()
    total.plot(answered, counts, color="grey", label="compactions")
    total.set_ylabel("compactions")
    total.set_ylim(bottom=0)
    _save(figure, path)
