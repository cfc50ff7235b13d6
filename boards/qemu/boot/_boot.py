"""Mounts the emulated board's flash: littlefs in the machine's PSRAM, the size of a Pico W's.

The memory keeps its content through soft and hard resets; it begins anew with QEMU, which may
also have put a ROMFS image there, behind its length in 4 bytes.
"""

import struct  # noqa: I001 (MicroPython)
import sys
import uctypes
import vfs
from micropython import const

_ADDRESS = const(0x21000000)
_BLOCK = const(4096)
_BLOCKS = const(212)
_ROM = const(0x21800000)


class _Flash:
    def __init__(self):
        self.data = memoryview(uctypes.bytearray_at(_ADDRESS, _BLOCK * _BLOCKS))

    def readblocks(self, n, buf, off=0):
        at = n * _BLOCK + off
        buf[:] = self.data[at : at + len(buf)]

    def writeblocks(self, n, buf, off=0):
        at = n * _BLOCK + off
        self.data[at : at + len(buf)] = buf

    def ioctl(self, op, arg):
        if op == 4:
            return _BLOCKS
        if op == 5:
            return _BLOCK
        return 0  # erasing (6) is not needed before writing


def _mount():
    flash = _Flash()
    try:
        vfs.mount(flash, "/")
    except OSError:
        vfs.VfsLfs2.mkfs(flash)
        vfs.mount(flash, "/")
    sys.path.append("/lib")
    size = struct.unpack("<I", uctypes.bytearray_at(_ROM, 4))[0]
    if size:
        vfs.mount(vfs.VfsRom(uctypes.bytearray_at(_ROM + 4, size)), "/rom")


_mount()
