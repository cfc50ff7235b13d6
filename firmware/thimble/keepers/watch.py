"""Liveness: whether the dog is fed, and what is done about a relay that has gone deaf.

Two things are watched. That code runs: between two slices of every wait stands a ``mark``,
and where none came for 30 s the dog is fed no more. That it gets somewhere: a poll of Telegram
that was completed, whatever the answer. A loop that turns and polls nothing climbs the ladder:

    silent for          1 bound     2 bounds                5 bounds
    step                RECONNECT   RADIO (down and up)     RESTART

After a restart that brought no poll the last bound doubles, up to 16 times: where a router is
switched off for the night, the board does not restart all night. Times are ticks_ms, handed in.
"""

from time import ticks_diff

RECONNECT = const(1)
RADIO = const(2)
RESTART = const(3)

_STALE_MS = const(30_000)
_FEED_MS = const(1000)
_RESTART_MS = const(60_000)
_RESTART_BOUNDS = const(5)
_SHIFT_MAX = const(4)
_TYPED = const(0)
if _TYPED:
    from collections.abc import Callable  # noqa: F401
    from _mpy_shed.time_mp import _TicksMs  # noqa: F401


class Watch:
    """feed: called at most once a second while there is progress; bound_ms: of the ladder, at
    most 3,000,000; restarts: those by the ladder since the last poll.
    """

    def __init__(self, feed, now, bound_ms=180_000, restarts=0):
        # type: (Callable[[], None], _TicksMs, int, int) -> None
        self._feed = feed
        self._bound = bound_ms
        self._at = self._fed = self._polled = now
        self._rung = 0
        self._resting = False
        self.restarts = restarts

    def mark(self, now):
        # type: (_TicksMs) -> None
        """A slice of a wait has ended."""
        self._at = now
        if ticks_diff(now, self._fed) >= _FEED_MS:
            self._fed = now
            self._feed()

    def polled(self, now):
        # type: (_TicksMs) -> None
        """Telegram answered a poll: with updates, with none, or with an error. If it asked to be
        left alone, ``now`` is the end of that time, up to a day ahead."""
        self._polled = now
        self._rung = 0
        self.restarts = 0

    def alive(self, now):
        # type: (_TicksMs) -> bool
        """Whether the dog is to be fed. Asked in an interrupt: nothing is allocated."""
        if self._resting:
            return True
        if ticks_diff(now, self._polled) > self._last() + _RESTART_MS:
            return False  # the restart was due and did not happen
        return ticks_diff(now, self._at) < _STALE_MS

    def step(self, now):
        # type: (_TicksMs) -> int
        """The step to take now, each once for an incident; 0 for none."""
        rung = self._rung
        due = self._last() if rung == RADIO else self._bound << rung  # one bound, two, the last
        if rung == RESTART or self._resting or ticks_diff(now, self._polled) < due:
            return 0
        self._rung = rung + 1
        return self._rung

    def rest(self):
        # type: () -> None
        """The REPL opens: no progress is expected until a new Watch is made."""
        self._resting = True

    def _last(self):
        # type: () -> int
        """How long the silence lasts before the restart."""
        return _RESTART_BOUNDS * self._bound << min(self.restarts, _SHIFT_MAX)
