"""Instructions, counted by valgrind's callgrind.

Of the 64-bit runtime, since the 32-bit one's loader is newer than Debian 12's valgrind.
"""

from __future__ import annotations

import re
from pathlib import Path

from tools import cli

_TOTAL = re.compile(r"^(?:summary|totals): (\d+)", re.MULTILINE)


def command(out: Path) -> list[str]:
    """What stands before the program that is counted; ``out`` is where the counts go.

    Raises cli.ToolMissing.
    """
    cli.need("instructions are counted by valgrind: apt-get install valgrind", "valgrind")
    return ["valgrind", "--tool=callgrind", "--quiet", f"--callgrind-out-file={out}"]


def output(folder: Path) -> Path:
    return folder / "callgrind.out"


def instructions(out: Path) -> int:
    """Instructions of a program that has ended."""
    found = _TOTAL.search(out.read_text()) if out.exists() else None
    if not found:
        raise SystemExit("callgrind wrote no counts")
    return int(found.group(1))
