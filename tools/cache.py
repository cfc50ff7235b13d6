"""Folders that are made once for each state of what they are made of."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from tools import cli

KEEP = 3
_held: dict[Path, int] = {}


def digest(start: bytes, files: Iterable[Path]) -> str:
    """A name for a state of ``files``: their paths and contents, behind ``start``."""
    known = hashlib.sha256(start)
    for path in files:
        known.update(str(path).encode() + b"\0" + path.read_bytes())
    return known.hexdigest()[:16]


def made(target: Path, make: Callable[[Path], None]) -> None:
    """Has ``make`` fill an empty folder that then becomes ``target``, unless that is there.
    Raises ToolError where that cannot be written.

    Processes that want the same wait for each other. Of the folders beside it the latest stay, and
    those that a process that still runs has had made: a relay is started again from its own.
    """
    folder = target.parent
    if _hold(target):
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = open(folder / "lock", "w")
    except OSError as error:
        raise cli.ToolError(
            f"{folder} cannot be written, where {target.name} is to be built: {error.strerror}"
        ) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _hold(target):
            fresh = folder / "new"
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir()
            make(fresh)
            fresh.rename(target)
            _hold(target)
            _prune(folder)


def _hold(target: Path) -> bool:
    """Keeps ``target`` from being removed while this process runs, if it is there."""
    if target in _held:
        if target.is_dir():
            return True
        os.close(_held.pop(target))
    try:
        handle = os.open(target, os.O_RDONLY)
    except FileNotFoundError:
        return False
    if not _locked(handle, fcntl.LOCK_SH) or not target.is_dir():  # it was just being removed
        os.close(handle)
        return False
    _held[target] = handle
    return True


def _locked(handle: int, how: int) -> bool:
    try:
        fcntl.flock(handle, how)
    except BlockingIOError:
        return False
    except OSError:
        pass  # a file system without locks
    return True


def _prune(folder: Path) -> None:
    made = [path for path in folder.iterdir() if path.is_dir()]
    for old in sorted(made, key=lambda path: path.stat().st_mtime)[:-KEEP]:
        handle = os.open(old, os.O_RDONLY)
        if _locked(handle, fcntl.LOCK_EX | fcntl.LOCK_NB):
            shutil.rmtree(old, ignore_errors=True)
        os.close(handle)
