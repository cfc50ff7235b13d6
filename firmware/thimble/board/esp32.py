"""The ESP32-S3.

What outlives a reset: RTC memory, 2,048 bytes: a magic byte, the mark, then whatever whoever keeps
the battery puts there. It is lost with the power.
"""

import esp32
import machine
import time

from thimble.board import base
from thimble.board.led import Led

_DOG_MS = const(120_000)
_FEED_MS = const(20_000)
_NAP_MS = const(60_000)
_MARKED = const(0xA7)
# A connection needs a block of 16.7 KB there: strained to 80 % at 22.5 KB, to 90 % at 20 KB.
_STRAIN = const(1_800_000)
_ADC1 = const(10)  # the last pin of the converter that the radio does not take for itself
_DIM = const(12)  # of 255: a WS2812 at full light draws 60 mA and blinds
_TYPED = const(0)
if _TYPED:
    from collections.abc import Callable  # noqa: F401
    from _mpy_shed.time_mp import _TicksMs  # noqa: F401
    from typing import NoReturn  # noqa: F401


class Board(base.Base):
    """An ESP32-S3."""

    name = "esp32_s3"
    memory_size = 2046
    rejoins = True

    def __init__(self):
        # type: () -> None
        from thimble.board.larger import Esp32S3  # gone again once the buffers are made

        super().__init__(Esp32S3)
        self._dog = None  # type: machine.WDT | None

    def _take_mark(self):
        # type: () -> int
        data = machine.RTC().memory()
        if len(data) < 2 or data[0] != _MARKED:
            return 0
        machine.RTC().memory(bytes((_MARKED, 0)) + data[2:])
        return data[1]

    def _set_mark(self, mark):
        # type: (int) -> None
        machine.RTC().memory(bytes((_MARKED, mark)) + self.memory())

    def _cause(self):
        # type: () -> str
        cause = machine.reset_cause()
        if self.mark:
            return "restart"
        if cause == machine.PWRON_RESET:  # a brownout as well
            return "power-on"
        if cause == machine.WDT_RESET:
            return "watchdog"
        if cause == machine.DEEPSLEEP_RESET:
            return "deep sleep"
        if cause == machine.SOFT_RESET:
            return "soft reset"
        # A panic of the IDF, or machine.reset() by hand.
        return "reset" if cause == machine.HARD_RESET else "unknown"

    def memory(self, data=None):
        # type: (bytes | None) -> bytes
        """The bytes that outlive a reset but no loss of power; ``data`` replaces them."""
        if data is not None:
            machine.RTC().memory(bytes((_MARKED, 0)) + data)
            return data
        kept = machine.RTC().memory()
        return kept[2:] if kept and kept[0] == _MARKED else b""

    def _light(self, pin, kind):
        # type: (machine.Pin, str) -> Led
        return Led(Rgb(pin).write) if kind == "rgb" else super()._light(pin, kind)

    # The dog.

    def guard(self, alive):
        # type: (Callable[[_TicksMs], bool]) -> None
        """Starts the dog of 120 s, which nothing stops. feed() asks ``alive``, and feeds it."""
        while self.timers:
            self.timers.pop().deinit()
        self._alive = alive
        self._dog = machine.WDT(timeout=_DOG_MS)

    def feed(self):
        # type: () -> None
        """Called by the loop."""
        if self._dog is not None and self._alive(time.ticks_ms()):
            self._dog.feed()

    def rest(self):
        # type: () -> None
        """The REPL opens: nobody's loop feeds any more, so a timer does."""
        if self._dog is not None and not self.timers:
            timer = machine.Timer(0)
            timer.init(period=_FEED_MS, mode=machine.Timer.PERIODIC, callback=self._beat)
            self.timers.append(timer)

    def _beat(self, _timer):
        # type: (machine.Timer) -> None
        self.feed()

    # Sleep.

    def sleep(self, ms):
        # type: (int) -> None
        """Light sleep; the radio must be off. USB's serial line goes with it."""
        while ms > 0:
            machine.lightsleep(min(ms, _NAP_MS))
            if self._dog is not None:
                self._dog.feed()
            ms -= _NAP_MS

    def deep_sleep(self, ms):
        # type: (int) -> NoReturn
        """Sleeps, then boots."""
        self.radio_off()
        machine.deepsleep(ms)

    def temperature(self):
        # type: () -> int
        """Degrees Celsius in the chip."""
        return esp32.mcu_temperature()  # type: ignore[attr-defined, no-any-return]

    def strain(self):
        # type: () -> int
        """Percent, by the largest block of the IDF's heap, from which TLS takes its buffers."""
        largest = max([heap[2] for heap in esp32.idf_heap_info(esp32.HEAP_DATA)])  # type: int
        return min(100, _STRAIN // max(largest, 1))

    def _open_adc(self, pin):
        # type: (machine.Pin) -> machine.ADC
        if int(str(pin)[4:-1].split(",")[0]) > _ADC1:  # "Pin(11)"; from 1.29 on "Pin(11, mode=IN)"
            raise ValueError
        return machine.ADC(pin, atten=machine.ADC.ATTN_11DB)

    def _sample(self, adc):
        # type: (machine.ADC) -> int
        return adc.read_uv() // 100  # calibrated by the IDF


class Rgb:
    """A WS2812 as a white LED."""

    def __init__(self, pin):
        # type: (machine.Pin) -> None
        self._pin = pin
        self._buf = bytearray(3)

    def write(self, lit):
        # type: (int) -> None
        """What Led calls."""
        for i in range(3):
            self._buf[i] = lit * _DIM
        # Nanoseconds high and low of a 0, high and low of a 1 (WS2812B data sheet).
        machine.bitstream(self._pin, 0, (400, 850, 800, 450), self._buf)
