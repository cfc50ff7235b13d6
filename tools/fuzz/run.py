"""Runs cases in the 32-bit runtime, in batches, and keeps what fails."""

from __future__ import annotations

import os
import select
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tools import build, firmware, runtime
from tools.cli import ToolError

from . import console
from .targets import TARGETS, Target

NAMES = (*TARGETS, console.NAME)
FOUND = build.BUILD / "fuzz"
_MAIN = Path(__file__).parent / "device" / "main.py"
_BATCH = 50
_BATCH_S = 20  # a batch takes well under a second
_HEAP = "768k"
_MARK = b"\x1e"
# A cache or two fills with the first cases. After them nothing may grow, but for what looks like
# a pointer by chance; one block in a hundred cases would be found.
_SETTLED = 200
_GROWTH = 512


@dataclass
class Failure:
    """A case that failed: what came of it, and the file that keeps it."""

    target: str
    seed: int
    number: int
    said: str
    file: Path = field(default_factory=Path)

    def __str__(self):
        return (
            f"{self.target}, seed {self.seed}, case {self.number}: {self.said}\n"
            f"  kept as {self.file}; run it again: python -m tools.fuzz --again {self.file}"
        )


class Device:
    """One target inside MicroPython. A context manager."""

    def __init__(self, target: str):
        argv, env = build.command(runtime.find(), str(_MAIN), target, heap=_HEAP)
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            argv,
            env={**os.environ, **env},
            stdin=pipe,
            stdout=pipe,
            stderr=subprocess.STDOUT,
            preexec_fn=firmware.die_with_parent,
        )
        self._rest = b""

    def __enter__(self) -> Device:
        return self

    def __exit__(self, *exc) -> None:
        self.process.kill()
        self.process.communicate()

    def run(self, cases: list[bytes]) -> list[str]:
        """What came of each; fewer if the last one hung or killed the runtime."""
        data = b"".join(len(case).to_bytes(4, "little") + case for case in cases)
        return self._ask(data, len(cases))

    def heap(self) -> int:
        """Live bytes of heap."""
        said = self._ask(b"\xff\xff\xff\xff", 1)
        return int(said[0].removeprefix("heap ")) if said else 0

    def _ask(self, data: bytes, count: int) -> list[str]:
        said: list[str] = []
        end = time.monotonic() + _BATCH_S
        stdin, stdout = self.process.stdin.fileno(), self.process.stdout.fileno()
        os.set_blocking(stdin, False)
        while len(said) < count:
            left = end - time.monotonic()
            readable, writable, _ = select.select([stdout], [stdin] if data else [], [], left)
            if writable:
                try:
                    data = data[os.write(stdin, data[:65536]) :]
                except BrokenPipeError:
                    data = b""
            if readable:
                piece = os.read(stdout, 65536)
                if not piece:
                    break
                *lines, self._rest = (self._rest + piece).split(b"\n")
                said += [line[1:].decode() for line in lines if line[:1] == _MARK]
            elif not writable:
                break
        return said


def fuzz(name: str, seed: int, cases: int = 0, seconds: float = 0) -> tuple[int, list[Failure]]:
    """Runs a target's cases, so many or for so long: (how many ran, what failed).

    The same seed makes the same cases, in the same order. Ends at the first failure.
    """
    if name == console.NAME:
        ran, wrong, case = console.fuzz(seed, cases, seconds)
        return ran, [keep(Failure(name, seed, ran, wrong), case)] if wrong else []
    target = TARGETS[name]
    rng = Random(f"{name} {seed}")
    end = time.monotonic() + seconds
    ran, settled, grown = 0, 0, False
    with Device(name) as device:
        while ran < cases if cases else time.monotonic() < end:
            batch = [target.case(rng) for _ in range(_BATCH)]
            said = device.run(batch)
            for number, case in enumerate(batch):
                wrong = _wrong(target, case, said[number] if number < len(said) else "")
                if wrong:
                    return ran, [keep(Failure(name, seed, ran + number, wrong), case)]
            ran += _BATCH
            if ran >= _SETTLED and ran % _SETTLED == 0:
                heap = device.heap()
                settled = settled or heap
                if heap > settled + _GROWTH and not grown:
                    # MicroPython's table of names doubles when one name too many is made.
                    grown, settled = True, heap
                elif heap > settled + _GROWTH:
                    wrong = f"the heap grew by {heap - settled} bytes over {ran} cases"
                    return ran, [keep(Failure(name, seed, ran, wrong), batch[-1])]
    return ran, []


def again(file: Path) -> str:
    """What comes now of a case that was kept; "" if it is as it should be. Raises ToolError."""
    name = file.name.partition("-")[0]
    if name not in NAMES:
        raise ToolError(
            f"{file} is no case that was kept; their names begin with {', '.join(NAMES)}"
        )
    try:
        case = file.read_bytes()
    except OSError as error:
        raise ToolError(f"{file} cannot be read: {error.strerror}") from error
    if name == console.NAME:
        return console.again(case)
    with Device(name) as device:
        return _wrong(TARGETS[name], case, (device.run([case]) or [""])[0])


def keep(failure: Failure, case: bytes) -> Failure:
    """Saves the case for `again`, and beside it what came of it."""
    FOUND.mkdir(parents=True, exist_ok=True)
    failure.file = FOUND / f"{failure.target}-{failure.seed}-{failure.number}.bin"
    failure.file.write_bytes(case)
    failure.file.with_suffix(".txt").write_text(failure.said + "\n")
    return failure


def _wrong(target: Target, case: bytes, said: str) -> str:
    """Why an outcome is wrong; "" if it is not."""
    if not said:
        return f"the runtime hung for {_BATCH_S} s or died"
    kind, _, outcome = said.partition(" ")
    if kind != "ok":
        return said.replace("\\n", "\n")
    return target.judge(case, outcome) or ""
