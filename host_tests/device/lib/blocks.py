"""A block device in RAM, for tests on a real littlefs."""

import micropython
import os
import vfs

SIZE = 4096


class Blocks:
    """``count`` blocks of 4 KB, formatted and mounted at ``at`` by ``format()``.

    ``allocated``: heap that was spent on reading and writing here, which a board's flash driver,
    being C, does not spend. ``reads``: how often a part of a block was read. ``failing``: after so
    many further writes each one fails; -1: none.
    """

    def __init__(self, count, at="/flash"):
        self.data = memoryview(bytearray(count * SIZE))
        self.count = count
        self.at = at
        self.allocated = self.reads = 0
        self.failing = -1
        self.mounted = False

    def format(self):
        self.umount()
        self.failing = -1
        vfs.VfsLfs2.mkfs(self)
        self.mount()

    def mount(self):
        """Mounts it, anew if it was mounted."""
        self.umount()
        vfs.mount(vfs.VfsLfs2(self), self.at)
        self.mounted = True

    def umount(self):
        if self.mounted:
            vfs.umount(self.at)
        self.mounted = False

    def free(self):
        return os.statvfs(self.at)[3]

    def readblocks(self, block, buf, off=0):
        before = micropython.mem_total()
        off += block * SIZE
        self.reads += 1
        buf[:] = self.data[off : off + len(buf)]
        self.allocated += micropython.mem_total() - before

    def writeblocks(self, block, buf, off=0):
        before = micropython.mem_total()
        if not self.failing:
            return -5  # an exception would jump through littlefs and leave it in disorder
        self.failing -= self.failing > 0
        off += block * SIZE
        self.data[off : off + len(buf)] = buf
        self.allocated += micropython.mem_total() - before

    def ioctl(self, op, arg):
        if op == 4:
            return self.count
        if op == 5:
            return SIZE
        return 0
