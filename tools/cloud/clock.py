"""The cloud's clock: it runs like the real one, and a test can push it forward or stop it.

Everything that waits or counts in the cloud (long polls, flood buckets, the life of an update, the
pauses between deltas) asks this clock, so that a test of a 24-hour rule needs no waiting.
"""

import asyncio
import heapq
import itertools
import math
import time


class Clock:
    """Unix time in seconds, plus whatever `advance` has added.

    Timers belong to the event loop given to `bind`; all methods but `time` run in its thread.
    """

    def __init__(self):
        self._real = time.time
        self._offset = 0.0
        self._loop = None
        self._timers = []
        self._order = itertools.count()
        self._wakeup = None

    def bind(self, loop):
        self._loop = loop

    def time(self) -> float:
        return self._real() + self._offset

    def stop(self):
        """From now on the time goes on by `advance` alone."""
        self._offset = self.time()
        self._real = float
        self._arm()

    def due(self) -> float:
        """Seconds until the first timer; infinite without one."""
        due = (timer[0] for timer in self._timers if timer[2] is not None)
        return max(0.0, min(due, default=math.inf) - self.time())

    def advance(self, seconds: float):
        """Moves the time forward by `seconds` and runs the timers that are due by then."""
        self._offset += seconds
        self._run_due()

    def call_later(self, seconds: float, callback):
        """Calls `callback` after `seconds`; returns a timer for `cancel`."""
        timer = [self.time() + seconds, next(self._order), callback]
        heapq.heappush(self._timers, timer)
        if self._timers[0] is timer:
            self._arm()
        return timer

    def cancel(self, timer):
        timer[2] = None

    async def sleep(self, seconds: float):
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        done = self._loop.create_future()
        timer = self.call_later(seconds, lambda: done.done() or done.set_result(None))
        try:
            await done
        finally:
            self.cancel(timer)

    def _run_due(self):
        while self._timers and (self._timers[0][2] is None or self._timers[0][0] <= self.time()):
            callback = heapq.heappop(self._timers)[2]
            if callback is not None:
                callback()
        self._arm()

    def _arm(self):
        if self._wakeup is not None:
            self._wakeup.cancel()
            self._wakeup = None
        if self._timers and self._real is time.time:
            pause = max(0.0, self._timers[0][0] - self.time())
            self._wakeup = self._loop.call_later(pause, self._run_due)
