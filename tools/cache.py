"""Folders that are made once for each state of what they are made of."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

KEEP = 3


def digest(start: bytes, files: Iterable[Path]) -> str:
    """A name for a state of ``files``: their paths and contents, behind ``start``."""
    known = hashlib.sha256(start)
    for path in files:
        known.update(str(path).encode() + b"\0" + path.read_bytes())
    return known.hexdigest()[:16]


def made(target: Path, make: Callable[[Path], None]) -> None:
    """Has ``make`` fill an empty folder that then becomes ``target``, unless that is there.

    Processes that want the same wait for each other. Of the folders beside it the latest stay.
    """
    folder = target.parent
    if target.is_dir():
        return
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.is_dir():
            fresh = folder / "new"
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir()
            make(fresh)
            fresh.rename(target)
            _prune(folder)


def _prune(folder: Path) -> None:
    made = [path for path in folder.iterdir() if path.is_dir()]
    for old in sorted(made, key=lambda path: path.stat().st_mtime)[:-KEEP]:
        shutil.rmtree(old, ignore_errors=True)
