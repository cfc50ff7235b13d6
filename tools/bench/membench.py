"""``make membench``: what the process and its heap hold, stage by stage, beside the naive bot.

    python -m tools.bench.membench [--burst 1000] [--link tls http] [--profile pico_w …]
                                   [--code rom mpy frozen] [--bits 32 64] [--all]

Every combination of what is named is a row set, but that frozen code has 32 bits only; --all names
everything. Writes ``build/bench/membench.json`` and a picture, and prints a table.
"""

from __future__ import annotations

import itertools
from pathlib import Path

from tools import build, cli, firmware
from tools.bench import pictures
from tools.bench.harness import (
    ANSWER,
    Setting,
    burst,
    code_in,
    illustrate,
    naive,
    relay,
    simulated,
    write,
)

STAGES = ("baseline", "buffers", "configured", "burst", "rest")
# KB of heap for a profile; the process is to be small, so that of ``unix`` has half its usual one.
HEAPS = {**firmware.HEAPS, "unix": 1024}
NAIVE_MOST = 500
REACH_ANON_KB = 640
REACH_RSS_KB = 4608
REACH_GROWTH_KB = 16

# Others' figures: what, VmRSS kB, RssAnon kB, where from.
PEERS = (
    ("PicoClaw (Go), burst of 1,000, no TLS", "3,072", "", "published"),
    ("PicoClaw (Go), its own target", "5,120", "", "published"),
    ("nullclaw (Zig), 250 messages, TLS", "2,400-9,400", "", "measured elsewhere"),
    ("nullclaw with its curl children", "15,000-19,000", "", "measured elsewhere"),
    ("Python, no libraries, 250 messages, TLS", "20,000", "", "measured elsewhere"),
    ("python-telegram-bot and openai, the same", "67,000", "", "measured elsewhere"),
    ("naive bot, 50 messages, TLS, 32-bit", "4,132", "292", "measured elsewhere"),
    ("naive bot, 50 messages, no TLS, 32-bit", "3,400", "212", "measured elsewhere"),
)


def setting(profile: str, code: str, bits: int, link: str) -> Setting:
    arch = "i386" if bits == 32 else "amd64"
    return Setting(firmware.fits(HEAPS[profile], code, bits), profile, code, arch, link == "tls")


def measure(one: Setting, count: int) -> dict:
    """The relay's rows through a burst of ``count`` messages."""
    with simulated(False, **ANSWER) as (cloud, folder):
        burst(cloud, count)
        env = {"PROBE_FREE": "1", "PROBE_COUNT": str(count)}
        with relay(cloud, folder, one, PROBE_EVERY=str(every(count)), **env) as run:
            run.reach("configured", 60)
            native = executable_kb(run.process.pid)
            run.reach("rest", count * 0.2 + 60)
        result = summary("Thimble", one, run.rows, cloud.counts()["handshakes"], count)
        return {**result, "native_kb": native}


def executable_kb(pid: int) -> int:
    """Anonymous memory that holds native code: on Unix every such function takes a page."""
    total = 0
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        place, flags, *rest = line.split()
        if "x" in flags and "w" in flags and len(rest) < 4:
            start, end = (int(part, 16) for part in place.split("-"))
            total += end - start
    return total // 1024


def measure_naive(one: Setting, count: int) -> dict:
    """The naive bot's. Its figures stand after a few messages, so a long burst is cut."""
    count = min(count, NAIVE_MOST)
    with simulated(False, length=1000) as (cloud, _):
        burst(cloud, count)
        with naive(cloud, count, one, PROBE_EVERY=str(every(count))) as run:
            run.reach("rest", count * 0.5 + 60)
        return summary("naive bot", one, run.rows, cloud.counts()["handshakes"], count)


def every(count: int) -> int:
    """Messages between two lines."""
    return max(10, count // 100)


def summary(name: str, one: Setting, rows: list[dict], handshakes: int, count: int) -> dict:
    """``growth_kb``: of RssAnon behind message 100, None where no more came. ``rows``: those
    between the messages."""
    stages = {row["stage"]: row for row in rows if row["stage"]}
    between = [row for row in rows if not row["stage"]]
    late = [row["anon"] for row in between if row["answered"] >= 100]
    return {
        "name": name,
        "setting": vars(one),
        "messages": count,
        "stages": stages,
        "rows": between,
        "handshakes": handshakes,
        "most_rss": max(row["high"] for row in rows),
        "most_anon": max(row["anon"] for row in rows),
        "growth_kb": max(late) - late[0] if len(late) > 1 else None,
    }


def title(result: dict) -> str:
    one = result["setting"]
    link = "TLS" if one["secure"] else "HTTP"
    bits = 32 if one["arch"] == "i386" else 64
    if result["name"] != "Thimble":
        return f"{result['name']}, {link}, {bits}-bit, heap {one['heap']}"
    where = code_in(one["code"], one["arch"])
    return f"Thimble {one['profile']}, {link}, {bits}-bit, {where}, heap {one['heap']}"


def table(results: list[dict]) -> str:
    """The stages of every run, kB of the process and bytes of its heap; then the others."""
    lines = []
    for result in results:
        lines.append(f"{title(result)}: {result['messages']} messages, measured in this run")
        lines.append(
            f"  {'':11}{'VmRSS':>7}{'RssAnon':>9}{'used':>10}{'free':>10}"
            f"{'lowest free':>13}{'largest block':>15}"
        )
        for stage in STAGES:
            row = result["stages"].get(stage)
            if row:
                lines.append(
                    f"  {stage:11}{row['rss']:7}{row['anon']:9}{row['live']:10}{row['free']:10}"
                    f"{row['low']:13}{row['largest']:15}"
                )
        grown = result["growth_kb"]
        growth = "" if grown is None else f"RssAnon grew by {grown} kB behind message 100; "
        lines.append(
            f"  most: VmRSS {result['most_rss']} kB, RssAnon {result['most_anon']} kB; {growth}"
            f"{result['handshakes']} handshakes"
        )
        if "native_kb" in result:
            lines.append(f"  of RssAnon, pages that hold native code: {result['native_kb']} kB")
    lines.append("Others" + " " * 40 + "VmRSS kB   RssAnon kB")
    for name, rss, anon, source in PEERS:
        lines.append(f"  {name:42}{rss:>14}{anon:>9}   {source}")
    lines.append(
        f"To reach, over TLS: VmRSS {REACH_RSS_KB} kB, RssAnon {REACH_ANON_KB} kB, "
        f"growth {REACH_GROWTH_KB} kB"
    )
    return "\n".join(lines)


def main() -> None:
    parser = cli.parser("make membench", __doc__)
    parser.add_argument("--burst", type=cli.least(1), default=1000, help="messages at once")
    parser.add_argument("--link", nargs="+", default=["tls"], choices=("tls", "http"))
    parser.add_argument("--profile", nargs="+", default=["pico_w"], choices=list(HEAPS))
    parser.add_argument("--code", nargs="+", default=["rom"], choices=build.MODES)
    parser.add_argument("--bits", nargs="+", type=int, default=[32], choices=(32, 64))
    parser.add_argument("--all", action="store_true", help="everything, in all combinations")
    parser.add_argument("--images", action="store_true", help="put the picture into docs/ too")
    options = parser.parse_args()
    if options.all:
        options.link, options.code, options.bits = ["tls", "http"], list(build.MODES), [32, 64]
        options.profile = list(HEAPS)
    results = []
    for link, bits in itertools.product(options.link, options.bits):
        for profile, code in itertools.product(options.profile, options.code):
            if code != "frozen" or bits == 32:
                results.append(measure(setting(profile, code, bits, link), options.burst))
        peer = setting("pico_w", "rom", bits, link)
        results.append(measure_naive(peer, options.burst))
    path = write("membench", {"burst": options.burst, "results": results, "peers": PEERS})
    print(table(results))
    illustrate(lambda to: pictures.membench(results, title, to), path, options.images)


if __name__ == "__main__":
    cli.run(main)
