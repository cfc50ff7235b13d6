"""What a MicroPython process holds, as lines of JSON. Runs in it, beside what is measured.

    PROBE_EVERY   a line after so many messages (100)
    PROBE_COUNT   the message that is the last one (0: there is none)

A line has: stage, messages answered, total (bytes of heap ever allocated, without the gauge's
own), live and free (after a
collection), low (the least free after any collection seen so far), rss, anon and high (VmRSS,
RssAnon, VmHWM, kB). Before it stands what mem_info() says, for the largest free block: to try for
it with a bytearray would touch pages of the heap that are not in use, and so count them as such.
"""

import gc
import json
import micropython
import os


class Gauge:
    """Tells stages, and messages as they are answered. ``extra`` is put into every line."""

    def __init__(self):
        self.every = int(os.getenv("PROBE_EVERY") or "100")
        self.count = int(os.getenv("PROBE_COUNT") or "0")
        self.low = 0x3FFFFFFF
        self.extra = {}
        self._said = -1
        self._own = 0
        self._status = bytearray(2048)

    def sample(self):
        """Collects, and returns the live bytes."""
        gc.collect()
        self.low = min(self.low, gc.mem_free())
        return gc.mem_alloc()

    def note(self, answered):
        """To be called between messages; whether that was the last one."""
        if answered != self._said and answered % self.every == 0:
            self.tell("", answered)
            self._said = answered
        return self.count and answered >= self.count

    def tell(self, stage, answered=0):
        """Prints one line."""
        total = micropython.mem_total() - self._own
        row = {"stage": stage, "answered": answered, "total": total, "live": self.sample()}
        row["free"] = gc.mem_free()
        row["low"] = self.low
        self._memory(row)
        row.update(self.extra)
        micropython.mem_info()
        print(json.dumps(row))
        self._own = micropython.mem_total() - total

    def _memory(self, row):
        with open("/proc/self/status", "rb") as file:
            n = file.readinto(self._status)
        for name, key in (("rss", b"VmRSS:"), ("anon", b"RssAnon:"), ("high", b"VmHWM:")):
            at = self._status.find(key, 0, n) + len(key)
            row[name] = int(self._status[at : self._status.find(b"kB", at, n)])
