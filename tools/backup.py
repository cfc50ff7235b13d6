"""Saves, restores and erases what a board has written: configuration, journal, conversations.

    python -m tools.backup save|restore|erase [--file FILE] [--port PORT]

With the configuration goes the certificate that it names. All other files on the board are the
firmware's or the user's own, and stay as they are. A backup is a zip archive; it holds the secrets
of the configuration, so that only its owner may read it.
"""

from __future__ import annotations

import errno
import os
import zipfile
from pathlib import Path

from tools import cli
from tools.configure import CERTIFICATE, CONFIG, TRIAL, named
from tools.flash import KEPT, MAIN, OWN
from tools.remote import MARKER, BoardError, Remote, choose

CODE = ("/lib/", "/rom/", *(f"{folder}/" for folder in OWN))
CODE_FILES = (MAIN, KEPT.format(""), "/boot.py", MARKER)
# What the firmware and these tools write, and besides each what it is written anew in.
WRITTEN = (CONFIG, TRIAL, "/journal", "/crash.txt", "/memory.txt")
FOLDERS = ("/turns/", "/journal.tail/")
ASIDE = ".new"


def _data(board: Remote) -> dict[str, int]:
    """Sizes of the files that the board has written, and of the certificate that it was given."""
    given = named(board)

    def ours(path: str) -> bool:
        if _is_code(path):
            return False
        path = path.removesuffix(ASIDE)
        known = path == given or path in WRITTEN or CERTIFICATE.fullmatch(path)
        return bool(known) or path.startswith(FOLDERS)

    return {path: size for path, size in board.sizes("/").items() if ours(path)}


def _is_code(path: str) -> bool:
    return path.startswith(CODE) or path in CODE_FILES


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
    try:
        with zipfile.ZipFile(file) as archive:
            saved = {f"/{name}": archive.read(name) for name in archive.namelist()}
    except OSError as error:
        raise BoardError(f"{file} cannot be read: {error.strerror}") from error
    except zipfile.BadZipFile as error:
        raise BoardError(f"{file} is not a backup: {error}") from error
    if bad := [p for p in saved if _is_code(p) or ".." in p]:
        raise BoardError(f"{file} is not a backup: it holds {bad[0]}")
    with Remote(choose(port)) as board:
        board.maintain()
        found = _data(board)
        for path, data in saved.items():
            board.write(path, data)
        # What the backup does not know goes last: a board is never without its configuration.
        for path in found.keys() - saved.keys():
            board.remove(path)
        board.reset()
    say(f"{len(saved)} files restored from {file}")
    return len(saved)


def erase(port: str, say=print) -> int:
    """Removes what the board has written; how many files these were."""
    with Remote(choose(port)) as board:
        board.maintain()
        found = _data(board)
        for path in found:
            board.remove(path)
        board.reset()
    say(f"{len(found)} files erased")
    return len(found)


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
