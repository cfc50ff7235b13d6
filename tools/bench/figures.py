"""``make figures``: the relay's figures beside the naive bot's, in the 32-bit runtime.

    python -m tools.bench.figures [heap] [rom] [mpy] [frozen] [long] [scan] [start]
                                  [instructions] [trim]

Workload: 40 chats, 100 bytes in, 1,000 bytes out in 60 deltas, one send and at least one edit
each, over verified TLS with the flood limits on. Each part writes ``build/bench/NAME.json`` and a
picture beside it, and prints its rows and where code was.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from tools import build, cli, runtime
from tools.bench import grind, instructions, pictures, trim
from tools.bench.harness import (
    ANSWER,
    CHATS,
    HERE,
    Setting,
    burst,
    code_in,
    naive,
    relay,
    simulated,
    write,
)

SPEED = HERE / "speed.py"
BARE = HERE / "bare.py"


def heap(count: int) -> dict:
    """Heap allocated per message, handshakes, and the live heap after 100 and ``count``."""
    with simulated(True, delay=0.0005, **ANSWER) as (cloud, folder):
        burst(cloud, count)
        with relay(cloud, folder, PROBE_COUNT=str(count)) as run:
            last = run.reach("burst", count * 0.2 + 60)
        first = run.row(100)
        return {
            "messages": count,
            "allocated_per_message": (last["total"] - first["total"]) / (count - 100),
            "live_after_100": first["live"],
            "live_after_all": last["live"],
            "handshakes": cloud.counts()["handshakes"],
            "sends": cloud.telegram.count("sendMessage"),
            "edits": cloud.telegram.count("editMessageText"),
            "refused_429": sum(call.status == 429 for call in cloud.telegram.calls()),
            "rows": run.rows,
            "naive": naive_bot(count=100),
        }


def naive_bot(count: int) -> dict:
    """The naive bot on its own best traffic: one completion, one send."""
    with simulated(False, length=1000) as (cloud, _):
        burst(cloud, count)
        with naive(cloud, count, PROBE_EVERY="10") as run:
            last = run.reach("burst", count * 1.0 + 30)
        first = run.row(10)
        return {
            "allocated_per_message": (last["total"] - first["total"]) / (count - 10),
            "handshakes_per_message": cloud.counts()["handshakes"] / count,
            "rows": run.rows,
        }


def smallest(code: str, count: int, held: bool, low: int = 32, high: int = 256) -> dict:
    """The smallest heap (KB) in which a burst of ``count`` is answered.

    held   each open connection's blocks are held, as they are on a Pico W
    """
    shares = {}
    while high - low > 2:
        middle = (low + high) // 2
        if survives(f"{middle}k", code, count, held, shares):
            high = middle
        else:
            low = middle
    return {
        "code": code,
        "heap_kb": high,
        "code_bytes": shares.get("code", 0),
        "before_boot": shares["before_boot"],
        "messages": count,
        "held": held,
    }


def survives(heap_size: str, code: str, count: int, held: bool, shares: dict) -> bool:
    """Whether a burst of ``count`` is answered whole in ``heap_size``; ``shares`` gets the bytes
    used ``before_boot``, most of them the gauges', and those that the ``code`` takes."""
    setting = Setting(heap=heap_size, code=code)
    with simulated(False, **ANSWER) as (cloud, folder):
        burst(cloud, count)
        env = {"PROBE_ROOM": str(int(held)), "PROBE_FREE": "1", "PROBE_COUNT": str(count)}
        with relay(cloud, folder, setting, **env) as run:
            end = time.monotonic() + count * 0.1 + 30
            done = False
            # A relay that is short of memory says so, and goes on for long.
            while not done and time.monotonic() < end and "memory" not in str(run.said).lower():
                done = run.wait(count, 1)
            done = done and run.arrives("burst", 10)
        shares.update(next((row for row in run.rows if "code" in row), {}))
        shares["before_boot"] = run.rows[0]["live"]
        said = " ".join(run.said)
        missing = sum(row.get("missing", 0) for row in run.rows)
        whole = done and not missing and "memory" not in said.lower()
        answers = len({message.chat for message in cloud.telegram.messages()})
        print(f"  heap {heap_size} ({code}): {'enough' if whole else 'too small'}", flush=True)
        return whole and answers == len(CHATS)


def long_answer(size: int) -> dict:
    """The peak of the live heap over an answer of 1 KB and one of ``size`` bytes."""
    peaks = {}
    for length in (1000, size):
        with simulated(False, length=length, deltas=max(60, length // 50)) as (cloud, folder):
            env = {"PROBE_FREE": "1", "PROBE_LIVE": "1", "PROBE_EVERY": "1"}
            with relay(cloud, folder, **env) as run:
                # The first answers fill what is filled once: the conversation keeps its share.
                for number in range(1, 4):
                    cloud.telegram.say(chat=42, text="go")
                    if not run.wait(number, 300):
                        raise SystemExit(f"no answer of {length} bytes: {run.said[-5:]}")
                peaks[length] = run.row(3)["most"]
            parts = len(cloud.telegram.messages(42))
    return {"peaks": peaks, "difference": peaks[size] - peaks[1000], "messages": parts}


def scan_speed() -> dict:
    """Time of the scanner, and of SSE with its JSON, against json.loads of the same bytes."""
    argv, env = build.command(runtime.find(), str(SPEED), heap="24m")
    out = subprocess.run(
        argv, env={**os.environ, **env}, capture_output=True, text=True, check=True, timeout=300
    ).stdout
    return json.loads(out)


def start() -> dict:
    """Instructions to the first getUpdates, and those of a bare handshake and request."""
    counts = {}
    for name, script in (("relay", None), ("bare", BARE)):
        with simulated(True) as (cloud, folder):
            out = grind.output(folder)
            setting = Setting(heap="352k", arch="amd64")
            with relay(cloud, folder, setting, before=grind.command(out), script=script) as run:
                cloud.wait_for(lambda cloud=cloud: cloud.telegram.calls("getUpdates"), 120)
                run.stop()
            counts[name] = grind.instructions(out)
    return {**counts, "ratio": counts["relay"] / counts["bare"]}


PARTS = {
    "heap": lambda options: heap(options.messages),
    "rom": lambda options: smallest("rom", options.messages, options.held),
    "mpy": lambda options: smallest("mpy", options.messages, options.held),
    "frozen": lambda options: smallest("frozen", options.messages, options.held),
    "long": lambda options: long_answer(options.long),
    "scan": lambda options: scan_speed(),
    "start": lambda options: start(),
    "instructions": lambda options: instructions.measure(),
    "trim": lambda options: trim.both(),
}


LIMITS_KB = {"rom": 64, "mpy": 96, "frozen": 64}
LIMITS_HELD_KB = {"rom": 128, "mpy": 176, "frozen": 128}


def where(name: str) -> str:
    """Where code was in one part's runs."""
    counted = name in ("start", "instructions", "trim")  # by callgrind, in the 64-bit runtime
    return code_in(name if name in build.MODES else "rom", "amd64" if counted else "i386")


def picture(name: str, result: dict, path: Path) -> None:
    """The picture of one part."""
    if name == "heap":
        return pictures.allocated(result, path)
    if name in build.MODES:
        limit = (LIMITS_HELD_KB if result["held"] else LIMITS_KB)[name]
        unit, rows = "smallest heap, KB", [("burst", result["heap_kb"], limit)]
    elif name == "long":
        unit = "live heap at its peak, bytes"
        rows = [(f"answer of {size} B", peak, 0) for size, peak in result["peaks"].items()]
    elif name == "start":
        unit = "instructions to the first getUpdates"
        rows = [("relay", result["relay"], 2 * result["bare"]), ("bare", result["bare"], 0)]
    elif name == "instructions":
        unit, rows = "instructions per message", instructions.rows(result)
    elif name == "trim":
        unit = "instructions, json.loads = 1"
        rows = [("long turns", result["ratio"], 1), ("short turns", result["short"]["ratio"], 1)]
    else:
        unit, rows = "time, json.loads = 1", [(key, value, 0.5) for key, value in result.items()]
    return pictures.bars(f"{name}: {where(name)}", unit, rows, path)


def table(name: str, result: dict) -> str:
    """The rows of one part, for people."""
    if name == "heap":
        naive = result["naive"]
        grown = result["live_after_all"] - result["live_after_100"]
        return (
            f"heap allocated per message   {result['allocated_per_message']:.0f} B"
            f"   (naive bot {naive['allocated_per_message']:.0f} B; to reach 256)\n"
            f"TLS handshakes, {result['messages']} messages   {result['handshakes']}"
            f"   (naive bot {naive['handshakes_per_message']:.0f} a message; to reach 4)\n"
            f"live heap after 100, all     {result['live_after_100']}, "
            f"{result['live_after_all']} B   (difference {grown}; to reach 0)\n"
            f"sends, edits, 429s           {result['sends']}, {result['edits']}, "
            f"{result['refused_429']}"
        )
    if name in build.MODES:
        limits, blocks = LIMITS_KB, "not held"
        if result["held"]:
            limits, blocks = LIMITS_HELD_KB, "held"
        return (
            f"smallest heap                {result['heap_kb']} KB   (to reach {limits[name]}; "
            f"the connections' blocks {blocks}); the code's share {result['code_bytes']} B; "
            f"{result['before_boot']} B, most of them the gauges', were used before boot"
        )
    if name in ("instructions", "trim"):
        return {"instructions": instructions, "trim": trim}[name].table(result)
    if name == "long":
        return f"1 MB against 1 KB answer     {result['difference']} B more   (to reach 256)"
    if name == "scan":
        return "\n".join(f"{key:28} {value:.2f}   (to reach 0.5)" for key, value in result.items())
    return (
        f"instructions to getUpdates   {result['relay'] / 1e6:.1f} M, bare "
        f"{result['bare'] / 1e6:.1f} M: {result['ratio']:.2f}   (to reach 2)"
    )


def main() -> int:
    parser = cli.parser("make figures", __doc__)
    parser.add_argument("parts", nargs="*", metavar="part", help=", ".join(PARTS))
    parser.add_argument("--messages", type=cli.least(101), default=1000, help="of a burst")
    parser.add_argument(
        "--long", type=cli.least(1000), default=1_000_000, help="bytes of an answer"
    )
    parser.add_argument(
        "--held", action="store_true", help="rom, mpy, frozen: connections' blocks held"
    )
    options = parser.parse_args()
    for name in options.parts:
        if name not in PARTS:
            parser.error(f"no such part: {name} (there are {', '.join(PARTS)})")
    code = 0
    for name in options.parts or PARTS:
        try:
            result = PARTS[name](options)
        except cli.ToolError as error:
            print(f"{name}: {error}", file=sys.stderr)
            code = 1
            continue
        path = write(name, {"where": where(name), **result})
        print(f"{name}: {where(name)}\n{table(name, result)}", flush=True)
        picture(name, result, path.with_suffix(".png"))
    return code


if __name__ == "__main__":
    cli.run(main)
