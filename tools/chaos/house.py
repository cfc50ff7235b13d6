"""The relay of a town, in the heap of its profile or in one that is hardly enough for it."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from tools import firmware

from .answers import Broken
from .draws import BUDGET

NO_ROOM = "not enough memory for that now; try again"
_UP = firmware.UP
_UP_S = 20
_SEGMENTS = 4  # as segments_min of the profile
_LEAST_KB = 120, 164  # too small for a relay, and with as many segments as that
_MORE_KB = 4  # than at the start, if a relay does not come up again


class House:
    """Starts a relay again and again, on the same flash.

    relay: the firmware.Firmware that was started last, or None. small: it is short of memory.
    given: bytes of segments that may have gone back to the heap, and come again.
    """

    def __init__(self, folder: Path, how: dict):
        self.small = how["spare"] not in (None, BUDGET)
        self.relay = None
        self.given = 0
        self.config = folder / "thimble.json"
        self._folder = folder
        self._how = how
        self._heap_kb = 0  # of a small relay

    def start(self, cause: str) -> None:
        """``cause`` as in firmware.Firmware. Raises Broken if it does not come up."""
        if not self.small:
            self._run("root", "", cause)  # in a heap that fits
            return
        while not self._heap_kb or not self._comes_up(cause):
            self._heap_kb = self._heap_kb + _MORE_KB if self._heap_kb else self._least_kb()
        self.given = max(self.relay.segments(), _SEGMENTS) * firmware.SEGMENT

    def status(self) -> dict | None:
        """The console's status; None where there is too little memory for it."""
        if self.small:  # the line itself may be lost
            with contextlib.suppress(firmware.FirmwareError):
                return self.relay.status()
            time.sleep(0.5)
        try:
            return self.relay.status()
        except firmware.FirmwareError as error:
            if self.small and NO_ROOM in str(error):
                return None
            raise

    def _run(self, root: str, heap: str, cause: str) -> None:
        options = {"profile": self._how["profile"], "heap": heap, "cause": cause}
        self.relay = firmware.Firmware(self.config, self._folder / root, **options)
        self.relay.__enter__()

    def _least_kb(self) -> int:
        """The heap that a small relay has: the least in which it works, and what is spare."""
        low, high = _LEAST_KB
        while high - low > 1:
            kb = (low + high) // 2
            self._run(f"{kb}", f"{kb}k", "")  # each with a flash of its own
            up = False
            with contextlib.suppress(Broken):
                up = self._works(_SEGMENTS)
            low, high = (low, kb) if up else (kb, high)
            self.relay.stop()
        return high + self._how["spare"]

    def _comes_up(self, cause: str) -> bool:
        self._run("root", f"{self._heap_kb}k", cause)
        if self._works(1):
            return True
        self.relay.stop()
        return False

    def _works(self, segments: int) -> bool:
        """Whether it comes up with at least as many: how its heap lies is chance."""
        return self._is_up() and self.relay.segments() >= segments

    def _is_up(self) -> bool:
        """Waits until it is; False if it has too little memory for that."""
        relay, end = self.relay, time.monotonic() + _UP_S
        while relay.process.poll() is None and time.monotonic() < end:
            if any(_UP in line for line in relay.log):
                return True
            time.sleep(0.02)
        why = relay.why()  # when it has ended, with its last words
        if not firmware.starved(relay.process.poll(), "\n".join(relay.log)):
            raise Broken(why)
        relay.stop()
        return False
