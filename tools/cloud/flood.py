"""Telegram's limits on how fast a bot may write, as a bucket a chat and two windows.

Telegram does not publish exact numbers; these are what its FAQ advises: one message a second in a
chat with short bursts, 20 a minute in a group, 30 a second in all. Edits count.
"""

import collections
import math


class Flood:
    """`allow` is asked once for every message and edit. All limits can be changed or, with
    `enabled`, switched off."""

    def __init__(self, clock):
        self._clock = clock
        self._buckets = {}
        self._groups = collections.defaultdict(collections.deque)
        self._all = collections.deque()
        self.enabled = True
        self.burst = 5
        self.per_second = 1.0
        self.group_per_minute = 20
        self.total_per_second = 30

    def allow(self, chat: int, group: bool) -> int:
        """0 if the call may pass (it is counted then), else the seconds to wait."""
        if not self.enabled:
            return 0
        now = self._clock.time()
        tokens, since = self._buckets.get(chat, (float(self.burst), now))
        tokens = min(self.burst, tokens + (now - since) * self.per_second)
        wait = 0.0
        if tokens < 1:
            wait = (1 - tokens) / self.per_second
        wait = max(wait, _window(self._all, now, 1.0, self.total_per_second))
        if group:
            wait = max(wait, _window(self._groups[chat], now, 60.0, self.group_per_minute))
        if wait > 0:
            self._buckets[chat] = (tokens, now)
            return max(1, math.ceil(wait))
        self._buckets[chat] = (tokens - 1, now)
        self._all.append(now)
        if group:
            self._groups[chat].append(now)
        return 0

    def reset(self):
        """Forgets what was sent."""
        self._buckets.clear()
        self._groups.clear()
        self._all.clear()


def _window(times, now, length, most):
    """Seconds until one more fits into a sliding window."""
    while times and times[0] <= now - length:
        times.popleft()
    return times[0] + length - now if len(times) >= most else 0.0
