"""The firmware frozen into MicroPython for an emulated Cortex-M3, and that board in QEMU.

    python -m tools.qemu     builds it, starts it, and says how mpremote connects

Debian's source package of MicroPython holds its qemu port (see port.py); ``boards/qemu`` adds what
makes a board of it. Only the Arm compiler and QEMU have to be installed.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import struct
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from mpremote.transport_serial import SerialTransport

from tools import cli, port
from tools.firmware import die_with_parent
from tools.port import BOARDS
from tools.runtime import FIRMWARE, RuntimeMissing

COMPILER = "arm-none-eabi-gcc"
EMULATOR = "qemu-system-arm"
ROM_ADDRESS = 0x21800000  # where boot/_boot.py looks for its length and the image
OUTPUTS = ("firmware.elf", "frozen_content.o", "firmware.map")
START_S = 20

INSTALL = f"""the emulated board needs {COMPILER}, {EMULATOR} and make:
  Debian, Ubuntu   apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm make
  Fedora           dnf install arm-none-eabi-gcc-cs arm-none-eabi-newlib qemu-system-arm make
  Arch             pacman -S arm-none-eabi-gcc arm-none-eabi-newlib qemu-system-arm make
  macOS            brew install --cask gcc-arm-embedded; brew install qemu make"""


class QemuError(RuntimeMissing):
    """The emulated board did not start; the text says why."""


@dataclass(frozen=True)
class Image:
    """One build: ``elf`` is what QEMU loads, ``frozen`` the object file of the frozen modules,
    ``map`` what the linker says of both."""

    elf: Path
    frozen: Path
    map: Path


def need() -> None:
    """Raises cli.ToolMissing if what builds and emulates the board is not installed."""
    cli.need(INSTALL, COMPILER, EMULATOR, "make")


def build(stock: bool = False) -> Image:
    """The current image, made if it is not there. Raises RuntimeMissing, cli.ToolMissing.

    ``stock`` leaves the firmware out: the board as MicroPython's own image makes it.
    """
    need()
    manifest = BOARDS / "qemu" / ("stock.py" if stock else "manifest.py")
    folder = port.build(
        port.Recipe(
            name="qemu",
            compiler=COMPILER,
            manifest=manifest,
            inputs=(*port.files(BOARDS / "qemu"), Path(__file__)),
            frozen=() if stock else (BOARDS / "thimble.py", *port.files(FIRMWARE)),
            settings=("BOARD=THIMBLE", f"BOARD_DIR={BOARDS / 'qemu'}"),
            outputs=OUTPUTS,
        )
    )
    return Image(*(folder / name for name in OUTPUTS))


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


def main() -> None:
    cli.parser("make qemu", __doc__).parse_args()
    with Board() as board:
        print(
            f"the emulated board runs; in another terminal:\n"
            f"  .venv/bin/mpremote connect port:{board.port}\nCtrl-C ends it",
            flush=True,
        )
        with contextlib.suppress(KeyboardInterrupt):
            board.process.wait()


if __name__ == "__main__":
    cli.run(main)
