"""A board's flash in RAM that can lose its power: a block device for VfsLfs2.

Programming can only clear bits, as on NOR flash, so what was not erased before reads wrong.
``erased`` counts the erases of each block. Nothing here allocates, so that a test sees what its
subject does (a function in bytecode would have its frame put in the heap).
"""

import errno

import micropython

import vfs
from thimble.core import octets

BLOCK = 4096


class PowerCut(BaseException):
    """The power went: nothing runs on from here. No OSError, so that nobody handles it."""


class Disk:
    """``programs`` and ``erases`` are counted; ``ops`` is their sum.

    stop_at  the operation (from 0) at which the power is cut: it raises PowerCut, and what comes
             after it (the finalisers of open files) no reset will see
    half     the one it stops at is done by half
    fail_at  operations (from, to) that fail with EIO, between others that do not
    bad_reads  the same of reads, counted in ``reads``
    watch    called with this disk, an address and the data (None: an erase) before each operation
    """

    def __init__(self, blocks):
        self.data = bytearray(blocks * BLOCK)
        _erase(self.data, 0, len(self.data))  # in place: twice the size may find no room
        self.erased = [0] * blocks
        self.programs = self.erases = self.ops = self.reads = 0
        self.stop_at = -1
        self.half = False
        self.fail_at = self.bad_reads = (-1, -1)
        self.watch = None
        self._left = None

    @micropython.native
    def readblocks(self, block, buf, offset=0):
        self.reads += 1
        if self.bad_reads[0] < self.reads <= self.bad_reads[1]:
            return -errno.EIO
        octets.copy(buf, 0, self.data, block * BLOCK + offset, len(buf))
        return 0

    @micropython.native
    def writeblocks(self, block, buf, offset=0):
        self.programs += 1
        return self._operate(block * BLOCK + offset, buf)

    @micropython.native
    def ioctl(self, op, arg):
        if op == 4:
            return len(self.erased)
        if op == 5:
            return BLOCK
        if op == 6:
            self.erases += 1
            self.erased[arg] += 1
            return self._operate(arg * BLOCK, None)
        return 0

    @micropython.native
    def _operate(self, at, buf):
        if self.watch:
            self.watch(self, at, buf)
        op = self.ops
        self.ops += 1
        if op == self.stop_at:
            if self.half:
                self.apply(at, buf, True)
            self._left = bytearray(self.data)
            raise PowerCut
        if self.fail_at[0] <= op < self.fail_at[1]:
            return -errno.EIO
        self.apply(at, buf, False)
        return 0

    @micropython.native
    def apply(self, at, buf, half):
        """Does one operation, or the first half of it; ``buf`` None is an erase."""
        size = BLOCK if buf is None else len(buf)
        if half:
            size //= 2
        if buf is None:
            _erase(self.data, at, size)
        else:
            _program(self.data, at, buf, size)

    def copy_from(self, other):
        """Takes the content of another disk of this size."""
        self.data[:] = other.data

    def after_reset(self):
        """This flash as the next start finds it: a disk of its own, out of open files' reach."""
        fresh = Disk(0)
        fresh.data, fresh.erased = self._left or bytearray(self.data), self.erased
        return fresh

    def mount(self, path="/flash", progsize=32):
        """Mounts it; raises OSError if no file system is on it."""
        vfs.mount(vfs.VfsLfs2(self, progsize=progsize), path)

    def format(self, path="/flash", progsize=32):
        """Makes a file system on it and mounts it."""
        vfs.VfsLfs2.mkfs(self, progsize=progsize)
        self.mount(path, progsize)


# Both may run in a finaliser, when the heap is locked.


@micropython.viper
def _erase(data, at: int, n: int):
    d = ptr8(data)
    i = 0
    while i < n:
        d[at + i] = 0xFF
        i += 1


@micropython.viper
def _program(data, at: int, buf, n: int):
    d = ptr8(data)
    b = ptr8(buf)
    i = 0
    while i < n:
        d[at + i] = d[at + i] & b[i]
        i += 1


class Stand:
    """A formatted disk, mounted at /flash inside a `with`; progsize 256: as on a Pico W."""

    def __init__(self, blocks=16, progsize=32):
        self.disk = Disk(blocks)
        self._progsize = progsize

    def __enter__(self):
        self.disk.format("/flash", self._progsize)
        return self.disk

    def __exit__(self, *exc):
        self.disk.watch = None
        vfs.umount("/flash")


class Cuts:
    """Boots a copy of ``disk`` as every power cut would leave it, while a scenario runs on it.

    Before each program and erase, ``check(half)`` is called with the copy mounted at ``path``:
    once as it is without the operation, once with half of it. ``count`` says how often.
    """

    def __init__(self, disk, path, check):
        self._copy = Disk(len(disk.erased))
        self._path = path
        self._check = check
        self.count = 0
        disk.watch = self._cut

    def _cut(self, disk, at, buf):
        for half in (False, True):
            self._copy.copy_from(disk)
            if half:
                self._copy.apply(at, buf, True)
            self._copy.mount(self._path)
            try:
                self._check(half)
            finally:
                vfs.umount(self._path)
            self.count += 1
