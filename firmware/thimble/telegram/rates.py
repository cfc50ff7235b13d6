"""Rates: how many messages a person may send in an hour, and calls the model may get in a day.

Both are counted in windows that follow each other. Who passes a bound is told once in a window.
"""

from time import ticks_diff

from thimble.core.octets import copy, find

_HOUR_MS = const(3_600_000)
_DAY_MS = const(86_400_000)
_KEY = const(40)
_SLOTS = const(16)
_NO_BOUND = const(0x1FFFFFFF)


class Tally:
    """Counts up to 255 for each of 16 keys of up to 40 bytes.

    A further key takes the place and the count of the one counted least: so nobody is counted for
    less than he did, however many come. ``known``: whether the last one asked for had a place.
    """

    def __init__(self):
        self._keys = bytearray(_SLOTS * _KEY)
        self._lens = bytearray(_SLOTS)
        self._counts = bytearray(_SLOTS)

    def clear(self):
        for slot in range(_SLOTS):
            self._lens[slot] = self._counts[slot] = 0

    def slot(self, buf, n):
        """Where buf[:n] is counted, or would be."""
        n = find(self._keys, self._lens, _KEY, buf, 0, n)
        self.known = n >= 0
        if n < 0:
            n = 0
            for slot in range(_SLOTS):
                if self._counts[slot] < self._counts[n]:
                    n = slot
        return n

    def count(self, buf, n):
        return self._counts[self.slot(buf, n)]

    def add(self, buf, n):
        slot = self.slot(buf, n)
        copy(self._keys, slot * _KEY, buf, 0, n)
        self._lens[slot] = n
        self._counts[slot] = min(self._counts[slot] + 1, 255)


class Rates:
    """per_hour: messages of a person, at most 250; per_day: calls to the model. 0: no bound."""

    def __init__(self, per_hour, per_day, now):
        self._per_hour = per_hour
        self._per_day = per_day
        self._hour_at = self._day_at = now
        self._calls = 0  # that were made when the day began
        self._people = Tally()
        self._chats = Tally()  # those that were told that the day's calls are made

    def serve(self, now, calls):
        """Begins a new window when it is time. Called every half minute or so."""
        if ticks_diff(now, self._hour_at) >= _HOUR_MS:
            self._hour_at = now
            self._people.clear()
        if ticks_diff(now, self._day_at) >= _DAY_MS:
            self._day_at = now
            self._calls = calls
            self._chats.clear()

    def over(self, buf, n):
        """How many messages beyond the bound the next one of buf[:n] would be; 0: none."""
        if not self._per_hour:
            return 0
        return max(0, self._people.count(buf, n) + 1 - self._per_hour)

    def took(self, buf, n):
        """A message of the person buf[:n] was taken."""
        self._people.add(buf, n)

    def left(self, calls):
        """How many calls the model may get today, after ``calls`` since the start."""
        return self._calls + self._per_day - calls if self._per_day else _NO_BOUND

    def told(self, chat, n):
        """Whether chat[:n] was told already that there are none; from now on it was.

        Of more than 16 chats one may be told again.
        """
        self._chats.add(chat, n)
        return self._chats.known
