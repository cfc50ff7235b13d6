"""The LED: a pattern of eight steps of 256 ms each, over and over, served from the tick.

A pattern is a byte; its lowest bit is the first step, 1 is light. What is shown follows from the
time alone, so that a late tick shifts nothing, and nothing is allocated.
"""

STARTING = const(0xFF)  # steady
JOINING = const(0x55)  # quick, even
ONLINE = const(0x01)  # a short flash
THINKING = const(0x33)  # slower, even
ERROR = const(0x15)  # three flashes
SAFE = const(0x0F)  # slow, even
LOW_BATTERY = const(0x05)  # two flashes

_STEP_SHIFT = const(8)
_TYPED = const(0)
if _TYPED:
    from collections.abc import Callable  # noqa: F401


class Led:
    """write: called with 1 for light and with 0 for none; None if there is no LED."""

    def __init__(self, write):
        # type: (Callable[[int], object] | None) -> None
        self._write = write
        self._lit = 0
        self._pattern = 0

    def show(self, pattern):
        # type: (int) -> None
        """Shows ``pattern`` from the next tick on."""
        self._pattern = pattern

    def serve(self, now):
        # type: (int) -> None
        """Sets the light as it is to be at ``now`` (ticks_ms)."""
        lit = self._pattern >> (now >> _STEP_SHIFT & 7) & 1
        if lit != self._lit:
            self._lit = lit
            self._switch(lit)

    def _switch(self, lit):
        # type: (int) -> None
        """Apart from serve(), which every tick calls: a try makes a frame too large."""
        if self._write is None:
            return
        try:
            self._write(lit)
        except OSError:
            pass  # a Pico W's LED hangs on the Wi-Fi chip, which may be out of order
