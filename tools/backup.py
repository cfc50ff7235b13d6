"""Saves, restores and erases what a board has written: configuration, journal, conversations.

    python -m tools.backup save|restore|erase [--file FILE] [--port PORT]

With the configuration goes the certificate that it names. All other files on the board are the
firmware's or the user's own, and stay as they are; no archive that holds others is restored. A
backup is a zip archive; it holds the secrets of the configuration, so that only its owner may read
it. While files are put there or removed main.py is away: a board starts nothing on half of them.
"""

from __future__ import annotations

import errno
import os
import posixpath
import zipfile
import zlib
from pathlib import Path

from tools import cli
from tools.configure import CERTIFICATE, CONFIG, TRIAL, given, named
from tools.flash import AWAY, MAIN, OWN, room
from tools.remote import BoardError, Remote, choose

CODE = ("/lib/", "/rom/", *(f"{folder}/" for folder in OWN))
SOURCES = (".py", ".mpy")
# What the firmware and these tools write, and besides each what it is written anew in.
WRITTEN = (CONFIG, TRIAL, "/journal", "/crash.txt", "/memory.txt")
FOLDERS = ("/turns/", "/journal.tail/")
ASIDE = ".new"


def _data(board: Remote) -> dict[str, int]:
    """Sizes of the files that the board has written, and of the certificate that it was given."""
    ca = given(board)
    return {path: size for path, size in board.sizes("/").items() if _ours(path, ca)}


def _ours(path: str, ca: str) -> bool:
    """Whether a board writes this file; or was given it as ``ca``, its certificate."""
    if path.startswith(CODE) or path.endswith(SOURCES) or path != posixpath.normpath(path):
        return False
    path = path.removesuffix(ASIDE)
    known = path == ca or path in WRITTEN or CERTIFICATE.fullmatch(path)
    return bool(known) or path.startswith(FOLDERS)


def save(port: str, file: Path, say=print) -> int:
    """Writes ``file``, which must not exist; how many of the board's files are in it."""
    why = 0 if file.absolute().parent.is_dir() else errno.ENOENT
    why = errno.EEXIST if os.path.lexists(file) else why
    if why:
        raise BoardError(f"{file} cannot be written: {os.strerror(why)}")
    with Remote(choose(port)) as board:
        board.maintain()
        found = {path: board.read(path) for path in sorted(_data(board))}
        board.reset()
    if not found:
        raise BoardError("the board has nothing to save")
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise BoardError(f"{file} cannot be written: {error.strerror}") from error
    with os.fdopen(handle, "wb") as stream, zipfile.ZipFile(stream, "w") as archive:
        for path, data in found.items():
            archive.writestr(path[1:], data)
    say(f"{len(found)} files saved in {file}")
    return len(found)


def restore(port: str, file: Path, say=print) -> int:
    """Makes what the board has written that of the backup; how many files these are."""
    saved = _read(file)
    _bring(port, saved)
    say(f"{len(saved)} files restored from {file}")
    return len(saved)


def _read(file: Path) -> dict[str, bytes]:
    """What a backup holds. Raises BoardError for any other archive."""
    try:
        with zipfile.ZipFile(file) as archive:
            files = [one for one in archive.infolist() if not one.is_dir()]
            found = {f"/{one.filename}": archive.read(one) for one in files}
    except OSError as error:
        raise BoardError(f"{file} cannot be read: {error.strerror}") from error
    # RuntimeError: it is encrypted, or packed in a way that zipfile does not know.
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise BoardError(f"{file} is not a backup: {error}") from error
    ca = named(found.get(CONFIG, b""))
    if bad := [path for path in found if not _ours(path, ca)]:
        raise BoardError(f"{file} is not a backup: it holds {bad[0]}")
    if not found:
        raise BoardError(f"{file} is not a backup: it holds nothing")
    return found


def _bring(port: str, saved: dict[str, bytes]) -> int:
    """Makes what the board has written this alone; how many files it was before."""
    with Remote(choose(port)) as board:
        board.maintain()
        found = _data(board)
        stale = [path for path in found if path not in saved]
        room(board.facts(), found, {path: len(data) for path, data in saved.items()}, stale)
        try:
            there = board.sizes(MAIN, AWAY)  # AWAY: this was interrupted before
            if MAIN in there:
                _rename(board, MAIN, AWAY)
            # What else may start Thimble there finds no configuration until all is done.
            for path in [CONFIG, *stale]:
                board.remove(path)
            # What is written anew beside a file goes behind it, which passes through there.
            for path in sorted(saved, key=lambda path: (path.startswith(CONFIG), path)):
                board.write(path, saved[path])
            if there:
                _rename(board, AWAY, MAIN)
        except BoardError as error:
            raise BoardError(f"{error}; the board starts nothing until this is done") from error
        board.reset()
    return len(found)


def _rename(board: Remote, old: str, new: str) -> None:
    board.run(f"import os; os.rename({old!r}, {new!r})")


def erase(port: str, say=print) -> int:
    """Removes what the board has written; how many files these were."""
    count = _bring(port, {})
    say(f"{count} files erased")
    return count


def main() -> None:
    parser = cli.parser("python -m tools.backup", __doc__)
    parser.add_argument("what", choices=("save", "restore", "erase"))
    parser.add_argument("--file", default="", help="the backup, a zip archive")
    parser.add_argument("--port", default="", help="the board's serial line")
    args = parser.parse_args()
    if args.what == "erase":
        erase(args.port)
    elif not args.file:
        raise BoardError("say which file: FILE=")
    else:
        {"save": save, "restore": restore}[args.what](args.port, Path(args.file))


if __name__ == "__main__":
    cli.run(main)
