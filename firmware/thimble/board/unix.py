"""The Unix port as a board: a littlefs image for flash, standard input for the serial line.

THIMBLE_CONFIG   the configuration's file       THIMBLE_ROOT     the folder of flash.img
THIMBLE_PROFILE  which profile's buffers        THIMBLE_CAUSE    why it starts again
THIMBLE_DOG_S    seconds that the dog waits     (tools/run.py sets them)
THIMBLE_DNS      name servers, "address" or "address:port" each, in place of /etc/resolv.conf
"""

import os
import sys
import time

import vfs
from micropython import kbd_intr
from thimble import overlay
from thimble.board.led import Led
from thimble.board.line import Line

_BLOCK = const(4096)
_SYNC = const(3)  # of ioctl's numbers
_EIO = const(5)
_DOG_S = const(120)
_RUNNING = "/flash/running"
_RTC = "/flash/rtc"  # the mark, one byte, and what memory() keeps
_SIGINT = const(2)  # as a mask
_ASKED = const(1)  # as board.base._ASKED
_SLEPT = const(4)  # as board.base._SLEPT
RESTART = const(75)  # the exit code that asks to be started again (EX_TEMPFAIL)


class Flash:
    """A block device in a file, of a board's size; the protocol is vfs.AbstractBlockDev."""

    def __init__(self, path, blocks):
        self._blocks = blocks
        self.interrupted = False
        try:
            self._file = open(path, "r+b")
        except OSError:
            self._file = open(path, "w+b")
        self._file.seek(blocks * _BLOCK - 1)
        if not self._file.read(1):
            self._file.write(b"\xff")

    # 0, or a negative errno: what is raised would jump out of littlefs's C code in the middle of a
    # change. An interrupt is left to the loop, which raises it again. Native, in as few steps as
    # can be: there are a hundred calls a message, and larger frames would be in the heap.

    @micropython.native
    def readblocks(self, block, buf, offset=0):
        while True:
            try:
                self._file.seek(block * _BLOCK + offset)
                self._file.readinto(buf)
                return 0
            except KeyboardInterrupt:
                self.interrupted = True
            except OSError:
                return -_EIO
            except MemoryError:
                return -_EIO

    @micropython.native
    def writeblocks(self, block, buf, offset=0):
        while True:
            try:
                self._file.seek(block * _BLOCK + offset)
                self._file.write(buf)
                return 0
            except KeyboardInterrupt:
                self.interrupted = True
            except OSError:
                return -_EIO
            except MemoryError:
                return -_EIO

    @micropython.native
    def ioctl(self, op, arg):
        if op == 4:
            return self._blocks
        if op == 5:
            return _BLOCK
        while op == _SYNC:
            try:
                self._file.flush()
                break
            except KeyboardInterrupt:
                self.interrupted = True
            except OSError:
                return -_EIO
            except MemoryError:
                return -_EIO
        return 0

    def blank(self):
        """Whether nothing was ever written to its beginning."""
        buf = bytearray(64)
        self.readblocks(0, buf)
        return buf == bytearray(64)

    def close(self):
        self._file.close()


class Board:
    """What the relay asks of a board."""

    name = "unix"
    flash = "/flash"
    room_kept = True  # TLS lives outside the collector's heap: see net.room
    wlan = None  # the system keeps the network
    memory_size = 2046
    judged = False  # as base.Base.judged

    def __init__(self):
        self.profile = _profile(os.getenv("THIMBLE_PROFILE") or "unix")
        self.config_path = os.getenv("THIMBLE_CONFIG") or "thimble.json"
        self.servers = (os.getenv("THIMBLE_DNS") or "").split() or None
        self.roots = sys.path[0] + "/roots"
        self._line = Line().read
        self.led = Led(None)
        self.sleep = time.sleep_ms
        kbd_intr(3)  # a program run by `-m` is killed by SIGINT otherwise
        self._mount((os.getenv("THIMBLE_ROOT") or ".") + "/flash.img")
        self.mark, self._kept = 0, b""
        if _exists(_RTC):
            with open(_RTC, "rb") as file:
                kept = file.read()
            if kept:  # a power cut may leave it empty
                self.mark, self._kept = kept[0], kept[1:]
                self._keep(0)
        if _exists(_RUNNING):
            # What ended the process is known only to who started it again.
            self.reset_cause = os.getenv("THIMBLE_CAUSE") or "crash"
        else:
            slept = self.mark == _SLEPT
            self.reset_cause = "deep sleep" if slept else "restart" if self.mark else "power-on"
        open(_RUNNING, "w").close()
        self._alarm = self._alive = self._mask = None
        self._dog_s = int(os.getenv("THIMBLE_DOG_S") or _DOG_S)

    def _mount(self, path):
        self._flash = Flash(path, self.profile.flash_blocks)
        try:
            vfs.mount(vfs.VfsLfs2(self._flash), "/flash")
        except OSError:
            if not self._flash.blank():
                print("%s is damaged, or of another profile; move it away to begin anew" % path)
                raise SystemExit(2)
            vfs.VfsLfs2.mkfs(self._flash)
            vfs.mount(vfs.VfsLfs2(self._flash), "/flash")

    def _keep(self, mark):
        with open(_RTC, "wb") as file:
            file.write(bytes((mark,)) + self._kept)

    def restart(self, mark=_ASKED):
        """Ends the process; the next start finds ``mark``. Who started it starts it again."""
        self._keep(mark)
        raise SystemExit(RESTART)

    def close(self):
        """A clean stop: the next start is no crash."""
        self.rest()
        os.remove(_RUNNING)
        vfs.umount("/flash")
        self._flash.close()
        try:
            if self._mask is not None:
                self._mask(0)
        except KeyboardInterrupt:
            pass  # one more, meant for what has just ended

    def _none(self, _=None):
        """No pin, button, radio, battery, thermometer; the system keeps clock and network."""

    configure = button = held = rssi = radio_off = temperature = set_clock = _none
    battery_mv = battery_low = _none

    def strain(self):
        """The system has memory enough."""
        return 0

    def rss_kb(self):
        """VmRSS of this process, in kB; None where the system is not Linux."""
        try:
            with open("/proc/self/status") as file:
                for line in file:
                    if line.startswith("VmRSS:"):
                        return int(line.split()[1])
        except OSError:
            return None

    def memory(self, data=None):
        """What outlives a restart, as a board's RTC memory does; ``data`` replaces it."""
        if data is not None:
            self._kept = data
            self._keep(0)
        return self._kept

    def deep_sleep(self, ms):
        """Waits, then asks to be started again."""
        self.sleep(ms)
        self.restart(_SLEPT)

    def unique_id(self):
        """The machine's name."""
        with open("/proc/sys/kernel/hostname") as file:
            return file.read().strip()

    def guard(self, alive):
        """Starts the dog: the kernel's alarm, whose signal ends a process that does not push it
        further off with feed(), whatever the process hangs in.

        From now on SIGINT waits for read_line(): this port raises KeyboardInterrupt wherever C
        code stands, and out of a collection that leaves the heap locked.
        """
        try:
            import ffi

            libc = ffi.open("libc.so.6")
            self._mask = libc.func("i", "sigsetmask", "i")
            self._alarm = libc.func("I", "alarm", "I")
        except (ImportError, OSError):
            return  # a runtime without ffi, or another libc: no dog
        self._mask(_SIGINT)
        self._alive = alive
        self.feed()

    def read_line(self):
        """As line.Line.read. Raises KeyboardInterrupt if that waits."""
        if self._mask is not None:
            try:
                self._mask(0)
            finally:
                self._mask(_SIGINT)
        try:
            return self._line()
        except OSError:
            return b""  # in a terminal's background, where nothing can be read

    def feed(self):
        """Called by the loop."""
        if self._flash.interrupted:
            self._flash.interrupted = False
            raise KeyboardInterrupt
        if self._alarm is not None and self._alive(time.ticks_ms()):
            self._alarm(self._dog_s)

    def rest(self):
        """Nobody feeds any more, and nobody is bitten."""
        if self._alarm is not None:
            self._alarm(0)


def _profile(name):
    """The profile called ``name``; its module is gone again once the buffers are made."""
    from thimble.profile import Profile

    if name == Profile.name:
        return Profile
    from thimble.board import larger

    for profile in (larger.Esp32S3, larger.Unix):
        if profile.name == name:
            overlay.unload("board.larger")
            return profile
    raise ValueError("no profile %s; there are pico_w, esp32_s3, unix" % name)


def _exists(path):
    try:
        os.stat(path)
        return True
    except OSError:
        return False
