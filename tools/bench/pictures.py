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
