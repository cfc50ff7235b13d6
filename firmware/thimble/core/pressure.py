"""How near memory is to its end: gauges in, level out."""

NORMAL = const(0)
ELEVATED = const(1)
CRITICAL = const(2)
LEVELS = ("normal", "elevated", "critical")
RELIEVED = const(60)  # percent: below it the pressure is over


def percent(used, whole):
    """``used`` as whole percent of ``whole``, 100 at the most."""
    if whole <= 0 or used >= whole:
        return 100
    return max(used, 0) * 100 // whole


class Pressure:
    """The level, with hysteresis: once raised it stays until a gauge under RELIEVED is seen.

    elevated, critical: percent of a gauge from which on it is that level.
    """

    def __init__(self, elevated, critical):
        self._elevated = elevated
        self._critical = critical
        self.level = NORMAL

    def look(self, gauge, again=False):
        """The level to act upon now, NORMAL where there is nothing to do.

        That is when the level has risen; while it stays raised only if ``again`` is set, which
        the caller does from time to time, so that it does not act at every message.
        """
        was = self.level
        if gauge >= self._critical:
            self.level = CRITICAL
        elif gauge >= self._elevated:
            self.level = max(was, ELEVATED)
        elif gauge < RELIEVED:
            self.level = NORMAL
        return self.level if self.level > was or again else NORMAL
