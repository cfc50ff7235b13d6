"""What the benchmarks share: the workload, and a MicroPython script running against a cloud.

Workload: 40 chats, 100 bytes in, 1,000 bytes out in 60 deltas, one send and at least one edit
each. The naive bot (``naive_bot.py``) gets its own best traffic: one completion, one send.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tools import build, firmware, runtime
from tools.cloud.cloud import Cloud

OUT = build.BUILD / "bench"
IMAGES = build.PROJECT / "docs"
HERE = Path(__file__).parent
PROBE = HERE / "probe.py"
GAUGE = HERE / "gauge.py"
NAIVE = HERE / "naive_bot.py"
CHATS = [1000 + number for number in range(40)]
QUESTION = "What is the capital of the country whose name begins like this line, number {:04d}? "
ANSWER = {"length": 1000, "deltas": 60}
_LARGEST = re.compile(r"max free sz: (\d+)")


@dataclass(frozen=True)
class Setting:
    """How a script runs: its heap, a board's profile, where code is (one of build.MODES), which
    runtime, which link."""

    heap: str = "176k"
    profile: str = "pico_w"
    code: str = "rom"
    arch: str = "i386"
    secure: bool = True


class Run:
    """A MicroPython script; ``rows`` are the lines of JSON that it printed, ``said`` the others.
    Raises RuntimeMissing.

    script    None: the firmware as it is
    before    what stands before the interpreter on the command line, for example a profiler
    console   its standard input is open, for ``tell``
    """

    def __init__(
        self, script: Path | None, env: dict[str, str], setting: Setting, before=(), console=False
    ):
        board = runtime.find(setting.arch)
        if board.bits == 64 and setting.arch == "i386":
            raise runtime.RuntimeMissing(
                f"a board's memory is measured in a 32-bit MicroPython; {board.origin} is none"
            )
        # Compiled beforehand, so that the script's own share of the heap is small.
        folder = OUT / "code" / board.march
        target = "thimble"
        if script:
            target = str(folder / f"{script.stem}.mpy")
            for source in (GAUGE, script):
                build.compile_file(source, folder / f"{source.stem}.mpy", board.march, source.name)
        argv, extra = build.command(board, target, heap=setting.heap, mode=setting.code)
        self.rows: list[dict] = []
        self.said: list[str] = []
        self._block = 16 if board.bits == 32 else 32
        self._largest = 0
        self.process = subprocess.Popen(
            [*before, *argv],
            env={**os.environ, **extra, **env},
            stdin=subprocess.PIPE if console else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=firmware.die_with_parent,
        )
        self._readers = [
            threading.Thread(target=self._read, args=(stream, take), daemon=True)
            for stream, take in (
                (self.process.stdout, self._row),
                (self.process.stderr, self._say),
            )
        ]
        for reader in self._readers:
            reader.start()

    @staticmethod
    def _read(stream, take) -> None:
        for line in stream:
            take(line.decode(errors="replace"))

    def _row(self, line: str) -> None:
        found = _LARGEST.search(line)
        if found:
            self._largest = int(found.group(1)) * self._block
        elif line.startswith("{"):
            row = json.loads(line)
            if "stage" in row:
                row["largest"] = self._largest
            self.rows.append(row)
        else:
            self._say(line)

    def _say(self, line: str) -> None:
        self.said.append(line)

    def tell(self, line: str) -> None:
        """Writes one line to its standard input."""
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def status(self, seconds: float = 10) -> dict:
        """What the console answers to ``status``."""
        before = len(self.rows)
        self.tell("status")
        if not self._wait(lambda row: "uptime_s" in row, seconds, before):
            raise SystemExit(f"no status: {''.join(self.said[-8:])}")
        return next(row for row in self.rows[before:] if "uptime_s" in row)

    def wait(self, answered: int, seconds: float) -> bool:
        """Whether the script reported ``answered`` messages within ``seconds``."""
        return self._wait(lambda row: row.get("answered", -1) >= answered, seconds)

    def arrives(self, stage: str, seconds: float) -> bool:
        """Whether the row of ``stage`` comes within ``seconds``."""
        return self._wait(lambda row: row.get("stage") == stage, seconds)

    def reach(self, stage: str, seconds: float) -> dict:
        """The row of ``stage``. SystemExit with what the script said if it does not come."""
        if not self.arrives(stage, seconds):
            raise SystemExit(f"no {stage}: {self.rows[-1:]} {''.join(self.said[-8:])}")
        return next(row for row in self.rows if row.get("stage") == stage)

    def _wait(self, wanted, seconds: float, first: int = 0) -> bool:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            ended = self.process.poll() is not None
            if ended:
                for reader in self._readers:
                    reader.join(2)
            if any(wanted(row) for row in self.rows[first:]):
                return True
            if ended:
                return False
            time.sleep(0.02)
        return False

    def row(self, answered: int) -> dict:
        return next(row for row in self.rows if row.get("answered", -1) >= answered)

    def stop(self) -> None:
        firmware.end(self.process)
        for reader in self._readers:
            reader.join(2)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream:
                stream.close()


@contextmanager
def relay(
    cloud: Cloud,
    folder: Path,
    setting: Setting | None = None,
    chats: Sequence[int] = CHATS,
    before=(),
    console=False,
    script: Path | None = PROBE,
    memory: dict | None = None,
    **env: str,
):
    """A probed relay (or another ``script``) against ``cloud``; ``env`` as in probe.py,
    ``memory`` what its configuration's section of that name has."""
    setting = setting or Setting()
    config = folder / "thimble.json"
    values = cloud.config(ca=str(cloud.ca_der), secure=setting.secure)
    values["telegram"]["allow"] = [42, *chats]
    values["telegram"]["max_parts"] = 1_000_000
    values["memory"] = memory or {}
    config.write_text(json.dumps(values))
    root = folder / "root"
    root.mkdir(parents=True, exist_ok=True)
    (root / "flash.img").unlink(missing_ok=True)
    environment = {
        "THIMBLE_CONFIG": str(config.absolute()),
        "THIMBLE_ROOT": str(root.absolute()),
        "THIMBLE_PROFILE": setting.profile,
        **env,
    }
    run = Run(script, environment, setting, before, console)
    try:
        yield run
    finally:
        run.stop()


@contextmanager
def naive(cloud: Cloud, count: int, setting: Setting | None = None, before=(), **env: str):
    """The naive bot against ``cloud``, for ``count`` messages."""
    setting = setting or Setting()
    scheme = "https" if setting.secure else "http"
    environment = {
        "NAIVE_TELEGRAM": cloud.urls[f"telegram_{scheme}"],
        "NAIVE_MODEL": cloud.urls[f"models_{scheme}"],
        "NAIVE_TOKEN": cloud.token,
        "NAIVE_KEY": cloud.key,
        "NAIVE_NAME": cloud.config()["model"]["name"],
        "PROBE_COUNT": str(count),
        **env,
    }
    run = Run(NAIVE, environment, setting, before)
    try:
        yield run
    finally:
        run.stop()


@contextmanager
def simulated(limits: bool, chats: Sequence[int] = CHATS, **answer):
    """A cloud that answers so, and a folder; ``limits``: Telegram's flood limits hold."""
    with Cloud(chats=(42, *chats)) as cloud, tempfile.TemporaryDirectory() as folder:
        cloud.telegram.flood_limits(enabled=limits)
        cloud.models.default(**answer)
        yield cloud, Path(folder)


def burst(cloud: Cloud, count: int) -> None:
    """``count`` messages at once, spread over the chats."""
    for number in range(count):
        chat = CHATS[number % len(CHATS)]
        cloud.telegram.say(chat=chat, user=chat, text=QUESTION.format(number).ljust(100, "x"))


def code_in(code: str = "rom", arch: str = "i386") -> str:
    """Where code was in a run with this Setting, for people."""
    code = runtime.find(arch).mode(code)
    return {"rom": "code in ROMFS", "mpy": "code as .mpy", "frozen": "code frozen"}[code]


def illustrate(draw: Callable[[Path], None], path: Path, images: bool) -> None:
    """Has ``draw`` make the picture beside the JSON file ``path``; ``images``: in docs/ too."""
    picture = path.with_suffix(".png")
    draw(picture)
    if images:
        shutil.copy(picture, IMAGES / picture.name)


def write(name: str, result: dict) -> Path:
    """Writes ``build/bench/NAME.json``."""
    OUT.mkdir(parents=True, exist_ok=True)
    path = OUT / f"{name}.json"
    path.write_text(json.dumps(result, indent=1))
    return path
