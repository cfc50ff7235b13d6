"""``make figures ARGS="trim"``: trimming a full conversation beside json.loads of as many bytes.

Counted by callgrind in the 64-bit runtime, as the difference of a longer and a shorter run, less
what filling the conversation takes.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path

from tools import build, runtime
from tools.bench import grind
from tools.bench.harness import HERE

SCRIPT = HERE / "trimming.py"
SHORT = 42  # bytes of each turn, where trimming is dearest
_ROUNDS = (5, 25)


def _run(what: str, size: int, rounds: int) -> tuple[int, dict]:
    argv, env = build.command(runtime.find("amd64"), str(SCRIPT), heap="4m")
    env |= {"TRIM_WHAT": what, "TRIM_BYTES": str(size), "TRIM_ROUNDS": str(rounds)}
    with tempfile.TemporaryDirectory() as folder:
        out = grind.output(Path(folder))
        said = subprocess.run(
            [*grind.command(out), *argv],
            env={**os.environ, **env},
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        ).stdout
        return grind.instructions(out), json.loads(said)


def measure(size: int = 0) -> dict:
    """Instructions of one round; ``ratio``: trimming's to those of json.loads. ``size``: most
    bytes of a turn; 0: 100 in a question and 952 in an answer."""
    counts, rows = {}, {}
    for what in ("fill", "trim", "loads"):
        few, _ = _run(what, size, _ROUNDS[0])
        many, rows[what] = _run(what, size, _ROUNDS[1])
        counts[what] = (many - few) / (_ROUNDS[1] - _ROUNDS[0])
    trim, loads = counts["trim"] - counts["fill"], counts["loads"] - counts["fill"]
    return {**rows["trim"], "trim": trim, "loads": loads, "ratio": trim / loads}


def both() -> dict:
    """A common conversation, and beside it one of short turns."""
    return {**measure(), "short": measure(SHORT)}


def table(result: dict) -> str:
    return _line(result) + "\n" + _line(result["short"])


def _line(result: dict) -> str:
    return (
        f"trimming {result['turns']} turns   {result['trim'] / 1e3:.0f} k instructions, "
        f"{result['allocated']} B allocated; json.loads of {result['json']} B "
        f"{result['loads'] / 1e3:.0f} k: {result['ratio']:.2f}   (to reach 1)"
    )
