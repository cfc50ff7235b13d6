"""The Unix port as a board: a littlefs image for flash, standard input for the serial line.

THIMBLE_CONFIG   the configuration's file       THIMBLE_ROOT     the folder of flash.img
THIMBLE_PROFILE  which profile's buffers        (all three are set by tools/run.py)
THIMBLE_DNS      name servers, "address" or "address:port" each, in place of /etc/resolv.conf
"""

import os
import select
import sys

from micropython import const, kbd_intr

import vfs
from thimble import profile

_BLOCK = const(4096)
_LINE = const(128)
_MARK = "/flash/running"


class Flash:
    """A block device in a file, of a board's size; the protocol is vfs.AbstractBlockDev."""

    def __init__(self, path, blocks):
        self._blocks = blocks
        try:
            self._file = open(path, "r+b")
        except OSError:
            self._file = open(path, "w+b")
        self._file.seek(blocks * _BLOCK - 1)
        if not self._file.read(1):
            self._file.write(b"\xff")

    def readblocks(self, block, buf, offset=0):
        self._file.seek(block * _BLOCK + offset)
        self._file.readinto(buf)

    def writeblocks(self, block, buf, offset=0):
        self._file.seek(block * _BLOCK + offset)
        self._file.write(buf)

    def ioctl(self, op, arg):
        if op == 3:  # sync
            self._file.flush()
        elif op == 4:
            return self._blocks
        elif op == 5:
            return _BLOCK
        return 0

    def close(self):
        self._file.close()


class Board:
    """What the relay asks of a board."""

    name = "unix"
    room_inverted = True  # TLS lives outside the collector's heap: the blocks stand in for it

    def __init__(self):
        self.profile = profile.named(os.getenv("THIMBLE_PROFILE") or "unix")
        self.config_path = os.getenv("THIMBLE_CONFIG") or "thimble.json"
        self.servers = (os.getenv("THIMBLE_DNS") or "").split() or None
        self.roots = sys.path[0] + "/roots"
        self._line = bytearray(_LINE)
        self._len = 0
        self._byte = bytearray(1)
        self._poll = select.poll()
        self._poll.register(sys.stdin, select.POLLIN)
        self._reading = True
        kbd_intr(3)  # a program run by `-m` is killed by SIGINT otherwise
        self._mount((os.getenv("THIMBLE_ROOT") or ".") + "/flash.img")
        self.reset_cause = "crash" if self._marked() else "power-on"
        open(_MARK, "w").close()

    def _mount(self, path):
        self._flash = Flash(path, self.profile.flash_blocks)
        try:
            vfs.mount(vfs.VfsLfs2(self._flash), "/flash")
        except OSError:
            vfs.VfsLfs2.mkfs(self._flash)
            vfs.mount(vfs.VfsLfs2(self._flash), "/flash")

    def _marked(self):
        try:
            os.stat(_MARK)
            return True
        except OSError:
            return False

    def close(self):
        """A clean stop: the next start is no crash."""
        os.remove(_MARK)
        vfs.umount("/flash")
        self._flash.close()

    def read_line(self):
        """The next line of standard input as bytes, b"" if none is complete."""
        while self._reading:
            event = 0
            for ready in self._poll.ipoll(0):
                event = ready[1]
            if not event:
                return b""
            if not event & select.POLLIN or not sys.stdin.buffer.readinto(self._byte):
                self._poll.unregister(sys.stdin)
                self._reading = False
            elif self._byte[0] == 10:
                line = bytes(self._line[: self._len]).strip()
                self._len = 0
                return line
            elif self._len < _LINE:
                self._line[self._len] = self._byte[0]
                self._len += 1
        return b""

    def rssi(self):
        """Signal strength: there is no radio."""
        return None

    def battery_mv(self):
        """Millivolts: there is no battery."""
        return None

    def rss_kb(self):
        """VmRSS of this process, in kB."""
        with open("/proc/self/status") as file:
            for line in file:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1])
        return None
