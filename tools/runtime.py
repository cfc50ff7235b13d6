"""The MicroPython that the firmware runs on here: Debian's 32-bit Unix port, unpacked.

Debian 13 packages the Unix port for i386, whose word size, garbage-collector block (16 bytes) and
small-int range are those of an ESP32-S3 or an RP2040. apt downloads it and its five libraries into
a private folder (signatures checked against Debian's archive keyring, no root, nothing installed)
and its own loader starts it. One download serves all worktrees of a checkout.

Order of choice: ``MICROPYTHON=path``; the downloaded i386 runtime; a ``micropython`` on PATH.

    python -m tools.runtime          prints what would be used
    python -m tools.runtime amd64    the 64-bit build, for callgrind
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tools import cli, debian

PROJECT = Path(__file__).resolve().parent.parent
FIRMWARE = PROJECT / "firmware"
BUILD = PROJECT / "build"
SUITE = "trixie"
PACKAGES = ("micropython", "libc6", "libmbedtls21", "libmbedcrypto16", "libmbedx509-7", "libffi8")
LOADERS = {
    "i386": ("usr/lib/i386-linux-gnu/ld-linux.so.2", "usr/lib/i386-linux-gnu"),
    "amd64": ("usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", "usr/lib/x86_64-linux-gnu"),
}
OLDEST = (1, 24)
# Machines by the number that .mpy files have for them. The first is for one that MicroPython has
# no native code for: the firmware is bytecode alone there, see plain.py.
PLAIN = "plain"
MACHINES = (
    *(PLAIN, "x86", "x64", "armv6", "armv6m", "armv7m", "armv7em", "armv7emsp", "armv7emdp"),
    *("xtensa", "xtensawin", "rv32imc", "rv64imc"),
)
_PROBE = """
import sys
try:
    import ffi, vfs
    ffi.open("libc.so.6")  # as boot.py, to map it
    romfs = hasattr(vfs, "VfsRom")
except (ImportError, OSError):
    romfs = 0
bits = 64 if sys.maxsize > 1 << 32 else 32
print(*sys.implementation[1][:2], bits, getattr(sys.implementation, "_mpy", 0), int(romfs))
"""

INSTALL = """no MicroPython to run the firmware on. Any one of these helps:
  Debian, Ubuntu   apt-get install apt dpkg debian-archive-keyring   (the 32-bit runtime is then
                   fetched by itself where the machine's mirror is Debian's), or
                   apt-get install micropython
  Fedora           dnf install micropython
  Arch             pacman -S micropython   (or from the AUR)
  macOS            brew install micropython
  anywhere         MICROPYTHON=/path/to/micropython   (1.24 or newer)"""


class RuntimeMissing(cli.ToolError):
    """No usable MicroPython; the text says what to install."""


@dataclass(frozen=True)
class Runtime:
    """A MicroPython executable: how to start it and what it is. ``march`` is the ``mpy-cross
    -march`` whose native code it executes, or PLAIN; ``romfs``, whether it can map a ROMFS image,
    as MicroPython 1.25 and newer can on Linux."""

    argv: tuple[str, ...]
    bits: int
    origin: str
    march: str
    romfs: bool = True

    @property
    def note(self) -> str:
        """One line on the figures that this runtime cannot show; empty if it shows them all."""
        lacks = []
        if self.bits == 64:
            lacks.append("its heap blocks are 32 bytes")
        if not self.romfs:
            lacks.append("it cannot map a ROMFS, so code is in its heap")
        if not lacks:
            return ""
        return (
            f"note: {self.origin} is a {self.bits}-bit MicroPython: {' and '.join(lacks)}; its "
            "memory figures are not a board's"
        )

    def mode(self, wanted: str) -> str:
        """Where code is if ``wanted`` is asked for, one of build.MODES."""
        return "mpy" if wanted == "rom" and not self.romfs else wanted


def cache_dir() -> Path:
    """The ignored folder for downloads, shared by all worktrees of this checkout."""
    try:
        common = subprocess.run(
            ["git", "rev-parse", "--path-format=absolute", "--git-common-dir"],
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        root = Path(common).parent if Path(common).name == ".git" else PROJECT
    except (OSError, subprocess.CalledProcessError):
        root = PROJECT
    return root / ".cache"


def find(arch: str = "i386") -> Runtime:
    """The runtime to use. Raises RuntimeMissing with what to install; without a 64-bit one, where
    that is asked for, cli.ToolMissing."""
    override = os.environ.get("MICROPYTHON")
    if override and arch == "i386":
        return probe((override,), override)
    reason = ""
    try:
        return _unpacked(arch)
    except RuntimeMissing as error:
        reason = str(error)
    if arch == "amd64":
        raise cli.ToolMissing(f"no 64-bit MicroPython: {reason}")
    on_path = shutil.which("micropython")
    if on_path:
        runtime = probe((on_path,), on_path)
        _say(runtime.note)
        return runtime
    raise RuntimeMissing(f"{INSTALL}\n({reason})")


def machine(mpy: int) -> str:
    """The machine whose code runs where ``sys.implementation._mpy`` is that: one of MACHINES."""
    number = mpy >> 10 & 15
    return MACHINES[number] if number < len(MACHINES) else PLAIN


@functools.cache
def _say(note: str) -> None:
    """Says it once, if there is something to say."""
    if note:
        print(note, file=sys.stderr)


def probe(argv: tuple[str, ...], origin: str) -> Runtime:
    """The runtime that ``argv`` starts. Raises RuntimeMissing if it does not run or is too old."""
    try:
        out = subprocess.run(
            [*argv, "-c", _PROBE], capture_output=True, text=True, timeout=10, check=True
        ).stdout
        major, minor, bits, mpy, romfs = (int(word) for word in out.split())
    except subprocess.CalledProcessError as error:
        said = error.stderr.strip().split("\n")[-1] or f"it exits with {error.returncode}"
        raise RuntimeMissing(f"{origin} does not run as MicroPython: {said}") from error
    except subprocess.TimeoutExpired as error:
        raise RuntimeMissing(f"{origin} does not run as MicroPython: it hangs") from error
    except (OSError, ValueError) as error:
        raise RuntimeMissing(f"{origin} does not run as MicroPython: {error}") from error
    if (major, minor) < OLDEST:
        raise RuntimeMissing(f"{origin} is MicroPython {major}.{minor}; 1.24 or newer is needed")
    return Runtime(argv, bits, origin, machine(mpy), bool(romfs))


def _unpacked(arch: str) -> Runtime:
    """The runtime of Debian's packages, downloaded on first use."""
    if sys.platform != "linux":
        raise RuntimeMissing(f"Debian's {arch} build does not run on {sys.platform}")
    folder = cache_dir() / f"micropython-{SUITE}-{arch}"
    try:
        debian.unpack(SUITE, arch, PACKAGES, folder)
    except debian.FetchError as error:
        raise RuntimeMissing(
            f"apt could not fetch Debian {SUITE}'s {arch} packages: {error}"
        ) from error
    return probe(
        loaded(arch, folder, folder / "usr/bin/micropython"), f"Debian {SUITE}'s {arch} build"
    )


def loaded(arch: str, folder: Path, program: Path) -> tuple[str, ...]:
    """The command that starts ``program`` with the loader and libraries unpacked in ``folder``."""
    loader, libraries = LOADERS[arch]
    return str(folder / loader), "--library-path", str(folder / libraries), str(program)


def main() -> None:
    parser = cli.parser("python -m tools.runtime", __doc__)
    parser.add_argument("arch", nargs="?", default="i386", choices=tuple(LOADERS))
    runtime = find(parser.parse_args().arch)
    print(f"{runtime.bits}-bit MicroPython, {runtime.origin}")
    print(*runtime.argv)


if __name__ == "__main__":
    cli.run(main)
