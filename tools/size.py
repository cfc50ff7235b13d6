"""What the frozen firmware takes: bytes of flash and of heap after importing, by module.

    python -m tools.size

Flash is what the image of the emulated board's Cortex-M3 takes from the object file of the frozen
modules: bytecode, machine code, constants and tables by module; names and strings, which modules
share, in a row of their own. Heap is measured on that board: each module is imported after all
that it imports itself, so that its figure is its own. Modules of ours that need one of MicroPython
that the emulated board lacks (sockets, a network) get an empty one.
"""

from __future__ import annotations

import ast
import re
import subprocess
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

from tools import cli, qemu
from tools.build import FIRMWARE, PORTS, module

FLASH_LIMIT = 96 * 1024  # to reach
FLASH_CEILING = 127_330  # what must not be passed meanwhile
CORE_HEAP_LIMIT = 6 * 1024
CORE = "thimble.core"
STAND_INS = ("network", "socket", "tls")

_MEASURE = """
import gc, sys
class Empty:
    pass
for name in {stand_ins}:
    sys.modules[name] = Empty
def measure(names, sizes, gc=gc):
    i = 0
    for name in names:
        gc.collect()
        before = gc.mem_alloc()
        __import__(name)
        gc.collect()
        sizes[i] = gc.mem_alloc() - before
        i += 1
names = {names}
sizes = [0] * len(names)
measure(names, sizes)
print(sizes)
"""


@dataclass(frozen=True)
class Sizes:
    """Bytes by module, and the flash of what all modules share."""

    flash: dict[str, int]
    shared: int
    heap: dict[str, int]

    @property
    def flash_total(self) -> int:
        return sum(self.flash.values()) + self.shared

    @property
    def core_heap(self) -> int:
        return sum(size for name, size in self.heap.items() if name.startswith(CORE))


def modules() -> dict[str, Path]:
    """The modules that are frozen on every board: name to source."""
    found = {}
    for path in sorted((FIRMWARE / "thimble").rglob("*.py")):
        if path.parent.name == "board" and path.stem in PORTS:
            continue
        found[module(path.relative_to(FIRMWARE))] = path
    return found


def measure(image: qemu.Image | None = None) -> Sizes:
    """The sizes of the current firmware. Raises RuntimeMissing."""
    image = image or qemu.build()
    flash, shared = _flash(image)
    return Sizes(flash, shared, _heap(image))


def _flash(image: qemu.Image) -> tuple[dict[str, int], int]:
    # A symbol's name holds its module's path, with "_" for "/"; the longest one that fits is it.
    keys = {}
    for name, path in modules().items():
        keys["_" + "_".join(path.relative_to(FIRMWARE).with_suffix("").parts)] = name
    order = sorted(keys, key=len, reverse=True)
    flash = dict.fromkeys(modules(), 0)
    foreign = 0
    for row in _rows("arm-none-eabi-nm", "-S", str(image.frozen)):
        if len(row) != 4:
            continue
        key = next((key for key in order if re.search(rf"[a-z]{key}(_|$)", row[3])), None)
        if key:
            flash[keys[key]] += int(row[1], 16)
        elif "__boot" in row[3]:
            foreign += int(row[1], 16)
    linked = image.map.read_text().split("Linker script and memory map")[1]
    found = re.findall(
        r"\n \.(?:text|rodata|data)\S*\s+0x\w+\s+0x(\w+) \S*frozen_content\.o", linked
    )
    whole = sum(int(size, 16) for size in found)
    return flash, whole - foreign - sum(flash.values())


def _rows(*command: str) -> list[list[str]]:
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [line.split() for line in out.splitlines()]


def _heap(image: qemu.Image) -> dict[str, int]:
    names = _import_order()
    with qemu.Board(image) as board:
        link = board.connect()
        said = link.exec(_MEASURE.format(names=names, stand_ins=STAND_INS))
        link.close()
    return dict(zip(names, ast.literal_eval(said.decode()), strict=True))


def _import_order() -> list[str]:
    """Every module after those that it imports when it is loaded, and after its package."""
    known = modules()
    needs: dict[str, set[str]] = {}
    for name, path in known.items():
        needs[name] = {name.rpartition(".")[0]} & known.keys()
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ImportFrom):
                whole = {node.module, *(f"{node.module}.{item.name}" for item in node.names)}
            elif isinstance(node, ast.Import):
                whole = {item.name for item in node.names}
            else:
                continue
            needs[name] |= whole & known.keys() - {name}
    return list(TopologicalSorter(needs).static_order())


def main() -> None:
    cli.parser("make size", __doc__).parse_args()
    sizes = measure()
    print(f"{'module':30}{'flash':>8}{'heap':>8}   (bytes)")
    for name in sorted(sizes.flash):
        print(f"{name:30}{sizes.flash[name]:8}{sizes.heap[name]:8}")
    print(f"{'names and strings':30}{sizes.shared:8}")
    print(f"{'all':30}{sizes.flash_total:8}{sum(sizes.heap.values()):8}")
    print(f"{'to reach':30}{FLASH_LIMIT:8}")
    print(f"{CORE:38}{sizes.core_heap:8}\n{'to reach':38}{CORE_HEAP_LIMIT:8}")


if __name__ == "__main__":
    cli.run(main)
