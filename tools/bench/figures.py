"""``make figures``: the relay's figures beside the naive bot's, in the 32-bit runtime.

    python -m tools.bench.figures [heap] [live] [burst] [long] [scan] [start]

Workload: 40 chats, 100 bytes in, 1,000 bytes out in 60 deltas, one send and at least one edit
each, over verified TLS with the flood limits on. Each part writes ``build/bench/NAME.json`` and
prints its rows; the picture of the heap over the messages stands beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

from tools import build, firmware, runtime
from tools.cloud.cloud import Cloud

OUT = build.BUILD / "bench"
HERE = Path(__file__).parent
PROBE = HERE / "probe.py"
SPEED = HERE / "speed.py"
BARE = HERE / "bare.py"
NAIVE = HERE.parent / "peers" / "naive_bot.py"
CHATS = [1000 + number for number in range(40)]
QUESTION = "What is the capital of the country whose name begins like this line, number {:04d}? "
ANSWER = {"length": 1000, "deltas": 60}


class Run:
    """A MicroPython script against a cloud; ``rows`` are the lines of JSON that it printed."""

    def __init__(self, script: Path, env: dict[str, str], heap: str, code: str = "rom"):
        board = runtime.find()
        # Compiled beforehand, so that the script's own share of the heap is small.
        compiled = OUT / "code" / f"{script.stem}.mpy"
        build.compile_file(script, compiled, board.march, script.name)
        argv, extra = build.command(board, str(compiled), heap=heap, mode=code)
        self.rows: list[dict] = []
        self.said: list[str] = []
        self.process = subprocess.Popen(
            argv,
            env={**os.environ, **extra, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=firmware.die_with_parent,
        )
        for stream, take in ((self.process.stdout, self._row), (self.process.stderr, self._say)):
            threading.Thread(target=self._read, args=(stream, take), daemon=True).start()

    @staticmethod
    def _read(stream, take) -> None:
        for line in stream:
            take(line.decode(errors="replace"))

    def _row(self, line: str) -> None:
        if line.startswith("{"):
            self.rows.append(json.loads(line))
        else:
            self._say(line)

    def _say(self, line: str) -> None:
        self.said.append(line)

    def wait(self, answered: int, seconds: float) -> bool:
        """Whether the script reported ``answered`` messages within ``seconds``."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if any(row["answered"] >= answered for row in list(self.rows)):
                return True
            if self.process.poll() is not None:
                return False
            time.sleep(0.02)
        return False

    def row(self, answered: int) -> dict:
        return next(row for row in self.rows if row["answered"] >= answered)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(2)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()


@contextmanager
def relay(cloud: Cloud, folder: Path, heap="176k", code="rom", **env: str):
    """A probed relay against ``cloud``."""
    config = folder / "thimble.json"
    values = cloud.config(ca=str(cloud.ca_der))
    values["telegram"]["allow"] = [42, *CHATS]
    values["telegram"]["max_parts"] = 1_000_000
    config.write_text(json.dumps(values))
    _, environment = firmware.command(config, folder / "root", heap, "pico_w", code)
    environment.update(env)
    (folder / "root" / "flash.img").unlink(missing_ok=True)
    run = Run(PROBE, environment, heap, code)
    try:
        yield run
    finally:
        run.stop()


def burst(cloud: Cloud, count: int, first: int = 0) -> None:
    """``count`` messages at once, spread over the chats."""
    for number in range(first, first + count):
        chat = CHATS[number % len(CHATS)]
        cloud.telegram.say(chat=chat, user=chat, text=QUESTION.format(number).ljust(100, "x"))


def heap(count: int) -> dict:
    """Heap allocated per message, handshakes, and the live heap after 100 and ``count``."""
    with Cloud(chats=(42, *CHATS)) as cloud, tempfile.TemporaryDirectory() as folder:
        cloud.models.default(delay=0.0005, **ANSWER)
        burst(cloud, count)
        with relay(cloud, Path(folder)) as run:
            done = run.wait(count, count * 0.2 + 60)
            if not done:
                raise SystemExit(f"the burst did not end: {run.rows[-1:]} {run.said[-5:]}")
            first, last = run.row(100), run.row(count)
            edits = cloud.telegram.count("editMessageText")
            sends = cloud.telegram.count("sendMessage")
            handshakes = cloud.counts()["handshakes"]
            refused = sum(call.status == 429 for call in cloud.telegram.calls())
        naive = naive_bot(count=100)
        return {
            "messages": count,
            "allocated_per_message": (last["total"] - first["total"]) / (count - 100),
            "live_after_100": first["live"],
            "live_after_all": last["live"],
            "handshakes": handshakes,
            "sends": sends,
            "edits": edits,
            "refused_429": refused,
            "rows": run.rows,
            "naive": naive,
        }


def naive_bot(count: int) -> dict:
    """The naive bot on its own best traffic: one completion, one send."""
    with Cloud(chats=(42, *CHATS)) as cloud:
        cloud.telegram.flood_limits(enabled=False)
        cloud.models.default(length=1000)
        burst(cloud, count)
        urls = cloud.urls
        env = {
            "NAIVE_TELEGRAM": urls["telegram_https"],
            "NAIVE_MODEL": urls["models_https"],
            "NAIVE_TOKEN": cloud.token,
            "NAIVE_KEY": cloud.key,
            "NAIVE_NAME": cloud.config()["model"]["name"],
            "NAIVE_COUNT": str(count),
        }
        run = Run(NAIVE, env, "176k")
        try:
            if not run.wait(count, count * 1.0 + 30):
                raise SystemExit(f"the naive bot did not end: {run.said[-5:]}")
        finally:
            run.stop()
        first, last = run.row(10), run.row(count)
        return {
            "allocated_per_message": (last["total"] - first["total"]) / (count - 10),
            "handshakes_per_message": cloud.counts()["handshakes"] / count,
            "rows": run.rows,
        }


def smallest(code: str, count: int, low: int = 32, high: int = 256) -> dict:
    """The smallest heap (KB) in which a burst of ``count`` is answered, no connection's blocks."""
    shares = {}
    while high - low > 2:
        middle = (low + high) // 2
        if _survives(f"{middle}k", code, count, shares):
            high = middle
        else:
            low = middle
    return {"code": code, "heap_kb": high, "code_bytes": shares.get("code", 0), "messages": count}


def _survives(heap_size: str, code: str, count: int, shares: dict) -> bool:
    with Cloud(chats=(42, *CHATS)) as cloud, tempfile.TemporaryDirectory() as folder:
        cloud.telegram.flood_limits(enabled=False)
        cloud.models.default(**ANSWER)
        burst(cloud, count)
        env = {"PROBE_ROOM": "0", "PROBE_FREE": "1"}
        with relay(cloud, Path(folder), heap_size, code, **env) as run:
            done = run.wait(count, count * 0.1 + 30)
            shares.update(run.rows[0] if run.rows else {})
            said = " ".join(run.said)
            whole = done and "MemoryError" not in said and "memory" not in said
            answers = len({message.chat for message in cloud.telegram.messages()})
            print(f"  heap {heap_size} ({code}): {'enough' if whole else 'too small'}", flush=True)
            return whole and answers == len(CHATS)


def long_answer(size: int) -> dict:
    """The peak of the live heap over an answer of 1 KB and one of ``size`` bytes."""
    peaks = {}
    for length in (1000, size):
        with Cloud(chats=(42, *CHATS)) as cloud, tempfile.TemporaryDirectory() as folder:
            cloud.telegram.flood_limits(enabled=False)
            cloud.models.default(length=length, deltas=max(60, length // 50))
            env = {"PROBE_FREE": "1", "PROBE_LIVE": "1", "PROBE_EVERY": "1"}
            with relay(cloud, Path(folder), **env) as run:
                # The first answers fill what is filled once: the conversation keeps its share.
                for number in range(1, 4):
                    cloud.telegram.say(chat=42, text="go")
                    if not run.wait(number, 300):
                        raise SystemExit(f"no answer of {length} bytes: {run.said[-5:]}")
            peaks[length] = run.rows[-1]["most"]
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
    if not shutil.which("valgrind"):
        raise SystemExit("valgrind is missing: apt-get install valgrind")
    amd64 = runtime.find("amd64")
    with Cloud() as cloud, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = folder / "thimble.json"
        config.write_text(json.dumps(cloud.config(ca=str(cloud.ca_der))))
        _, env = firmware.command(config, folder / "root")
        counts = {}
        for what, target in (("relay", "thimble"), ("bare", str(BARE))):
            argv, extra = build.command(amd64, target, heap="352k")
            counts[what] = _instructions(argv, {**env, **extra}, cloud, folder / what)
            cloud.clear_calls()
    return {**counts, "ratio": counts["relay"] / counts["bare"]}


def _instructions(argv: list[str], env: dict[str, str], cloud: Cloud, output: Path) -> int:
    grind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={output}"]
    process = subprocess.Popen(
        [*grind, *argv],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        preexec_fn=firmware.die_with_parent,
    )
    try:
        cloud.wait_for(lambda: cloud.telegram.calls("getUpdates"), 120)
        process.send_signal(2)
        said = process.communicate(timeout=60)[0].decode(errors="replace")
    finally:
        process.kill()
    found = re.search(r"Collected : (\d+)", said)
    if not found:
        raise SystemExit(f"callgrind said nothing: {said[-500:]}")
    return int(found.group(1))


PARTS = {
    "heap": lambda options: heap(options.messages),
    "rom": lambda options: smallest("rom", options.messages),
    "mpy": lambda options: smallest("mpy", options.messages),
    "long": lambda options: long_answer(options.long),
    "scan": lambda options: scan_speed(),
    "start": lambda options: start(),
}


def table(name: str, result: dict) -> str:
    """The rows of one part, for people."""
    if name == "heap":
        naive = result["naive"]
        grown = result["live_after_all"] - result["live_after_100"]
        return (
            f"heap allocated per message   {result['allocated_per_message']:.0f} B"
            f"   (naive bot {naive['allocated_per_message']:.0f} B; to reach 512)\n"
            f"TLS handshakes, {result['messages']} messages   {result['handshakes']}"
            f"   (naive bot {naive['handshakes_per_message']:.0f} a message; to reach 4)\n"
            f"live heap after 100, all     {result['live_after_100']}, "
            f"{result['live_after_all']} B   (difference {grown}; to reach 0)\n"
            f"sends, edits, 429s           {result['sends']}, {result['edits']}, "
            f"{result['refused_429']}"
        )
    if name in ("rom", "mpy"):
        limit = {"rom": 64, "mpy": 96}[name]
        return (
            f"smallest heap, code as {name}    {result['heap_kb']} KB   (to reach {limit}); "
            f"the code's share {result['code_bytes']} B"
        )
    if name == "long":
        return f"1 MB against 1 KB answer     {result['difference']} B more   (to reach 256)"
    if name == "scan":
        return "\n".join(f"{key:28} {value:.2f}   (to reach 0.5)" for key, value in result.items())
    return (
        f"instructions to getUpdates   {result['relay'] / 1e6:.1f} M, bare "
        f"{result['bare'] / 1e6:.1f} M: {result['ratio']:.2f}   (to reach 2)"
    )


def picture(result: dict, path: Path) -> None:
    """The heap ever allocated over the messages, the relay's and the naive bot's."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 3.5))
    for label, rows in (("naive bot", result["naive"]["rows"]), ("Thimble", result["rows"])):
        start_total = rows[0]["total"]
        axes.plot(
            [row["answered"] for row in rows],
            [(row["total"] - start_total) / 1024 for row in rows],
            label=label,
        )
    axes.set_xlabel("messages answered")
    axes.set_ylabel("heap allocated, KB")
    axes.legend()
    figure.tight_layout()
    figure.savefig(path)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make figures")
    parser.add_argument("parts", nargs="*", metavar="part", help=", ".join(PARTS))
    parser.add_argument("--messages", type=int, default=1000)
    parser.add_argument("--long", type=int, default=1_000_000)
    options = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    for name in options.parts or PARTS:
        if name not in PARTS:
            print(f"no part {name}; there are {', '.join(PARTS)}", file=sys.stderr)
            return 2
        result = PARTS[name](options)
        (OUT / f"{name}.json").write_text(json.dumps(result, indent=1))
        print(table(name, result), flush=True)
        if name == "heap":
            picture(result, OUT / "heap.png")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
