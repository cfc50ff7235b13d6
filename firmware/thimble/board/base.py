"""What the boards with a microcontroller have in common.

A port's Board adds what its chip has of its own: the dog, the reset cause, what outlives a reset,
sleep, temperature, the volts at a pin.

``mark``, a number from 0 to 255, is handed from one boot to the next: who restarts the board says
by it what the next boot is to be, and a restart that was asked for is known from a crash.
"""

import binascii
import machine
import network
import time

from thimble.board.led import Led
from thimble.board.line import Line

_STARTING = const(0xFF)  # as board.led.STARTING
# The marks; who needs one has a copy of it, since a name that others can see takes room.
_ASKED = const(1)  # somebody asked for a restart
_SAFE_MODE = const(3)
_SLEPT = const(4)  # the end of a deep sleep that the chip does not know
_DEAF = const(16)  # and above: so many restarts by keepers.watch without a poll between, plus 16

_SAMPLES = const(9)
_MIDDLE = const(3)  # the samples whose mean is taken, once the outliers on both sides are left out
_LOOK_MS = const(20)
_TYPED = const(0)
if _TYPED:
    from typing import Any, NoReturn  # noqa: F401


class Base:
    """What the relay asks of a board; see unix.Board for the same on Linux."""

    name = ""
    room_kept = False  # see net.room
    judged = False  # whether it was looked at how this boot came about: once, by the class
    flash = ""  # the folder of the journal and the conversations: the root
    config_path = "/thimble.json"
    roots = "/roots"
    rejoins = False  # whether the chip joins its network again by itself
    taken = ()  # type: tuple[str, ...]  # pins that the port hands out, though the radio needs them
    # Timers that must outlive the Board: collected, they would stop, and the dog would bite.
    timers = []  # type: list[machine.Timer]

    def __init__(self, profile):
        # type: (Any) -> None
        self.profile = profile
        self.servers = []  # type: list[str]
        self.wlan = network.WLAN(network.WLAN.IF_STA)
        self.mark = self._take_mark()
        self.reset_cause = self._cause()
        self.read_line = Line(True).read
        self.led = Led(None)
        self._button = None  # type: machine.Pin | None
        self._adc = None  # type: machine.ADC | None

    def configure(self, settings):
        # type: (Any) -> None
        """Sets up what is wired to the board. ``settings``: the section ``board`` of the settings.

        A pin is a number or a name as text, "none", or "" for the profile's. ValueError names the
        setting whose pin the chip does not have.
        """
        led = self._pin("board.led", settings.led or self.profile.led, machine.Pin.OUT)
        kind = settings.led_kind or self.profile.led_kind
        self.led = Led(None) if led is None else self._light(led, kind)
        self.led.show(_STARTING)
        self.led.serve(0)
        button = settings.button or self.profile.button
        self._button = self._pin("board.button", button, machine.Pin.IN, machine.Pin.PULL_UP)
        adc = settings.battery_adc or self.profile.battery_adc
        pin = self._pin("board.battery_adc", adc)
        try:
            self._adc = None if pin is None else self._open_adc(pin)
        except ValueError:
            raise ValueError("board.battery_adc: pin %s measures no volts" % adc)
        self._ratio = settings.battery_ratio or self.profile.battery_ratio  # type: int
        self._offset = settings.battery_offset_mv  # type: int
        self._low = settings.battery_low_mv  # type: int

    def _pin(self, key, text, *mode):
        # type: (str, str, int) -> machine.Pin | None
        if text == "none":
            return None
        try:
            if text.lstrip("GPIO0") in self.taken:  # 23 is GPIO23 too
                raise ValueError
            return machine.Pin(int(text) if text.isdigit() else text, *mode)
        except (ValueError, TypeError, OverflowError):
            raise ValueError("%s: this board has no pin %s" % (key, text))

    def _light(self, pin, kind):
        # type: (machine.Pin, str) -> Led
        return Led(machine.Signal(pin, invert=kind == "low"))

    def button(self):
        # type: () -> bool
        """Whether the button is pressed at this moment; it pulls its pin down."""
        return self._button is not None and not self._button.value()

    def held(self, ms):
        # type: (int) -> bool
        """Whether the button is pressed, and stays so for ``ms``; waits only while it is."""
        end = time.ticks_add(time.ticks_ms(), ms)
        while self.button():
            if time.ticks_diff(end, time.ticks_ms()) <= 0:
                return True
            time.sleep_ms(_LOOK_MS)
        return False

    def battery_mv(self):
        # type: () -> int | None
        """Millivolts of the battery; None if none is measured, or the chip cannot.

        The mean of the middle third of nine samples: the radio's bursts pull single ones down.
        """
        if self._adc is None:
            return None
        try:
            samples = sorted([self._sample(self._adc) for _ in range(_SAMPLES)])
        except OSError:
            return None  # an ESP32 that was never calibrated, say
        first = (_SAMPLES - _MIDDLE) // 2
        total = sum(samples[first : first + _MIDDLE])
        return total * self._ratio // (_MIDDLE * 10_000) + self._offset

    def battery_low(self):
        # type: () -> bool
        """Whether a battery is measured and has less than board.battery_low_mv."""
        millivolts = self.battery_mv()
        return millivolts is not None and millivolts < self._low

    def rssi(self):
        # type: () -> int | None
        """Signal strength in dBm; None without a network."""
        try:
            return self.wlan.status("rssi") if self.wlan.isconnected() else None
        except OSError:
            return None

    def strain(self):
        # type: () -> int
        """Percent to which memory outside the collector's heap is strained; there is none."""
        return 0

    def rss_kb(self):
        # type: () -> None
        """There are no processes."""

    def unique_id(self):
        # type: () -> str
        """The chip's own number, in hexadecimal digits."""
        return binascii.hexlify(machine.unique_id()).decode()

    def set_clock(self, date):
        # type: (tuple[int, ...]) -> None
        """Sets the real-time clock; ``date`` is what time.gmtime gives, UTC."""
        year, month, day, hour, minute, second, weekday = date[:7]
        machine.RTC().datetime((year, month, day, weekday, hour, minute, second, 0))

    def restart(self, mark=_ASKED):
        # type: (int) -> NoReturn
        """Restarts the board; the next boot finds ``mark``. Does not return."""
        self._set_mark(mark)
        machine.reset()

    def radio_off(self):
        # type: () -> None
        """Takes the radio's power; wlan.active(True) gives it back. Raises nothing."""
        try:
            self.wlan.active(False)
        except (OSError, RuntimeError):
            pass  # where an ESP32's port has no words for an error, it is a RuntimeError

    def close(self):
        # type: () -> None
        """The relay has ended; the REPL comes."""
        self.led.show(0)
        self.led.serve(0)

    # What a port's Board brings.

    if _TYPED:

        def _cause(self):
            # type: () -> str
            raise NotImplementedError

        def _take_mark(self):
            # type: () -> int
            raise NotImplementedError

        def _set_mark(self, mark):
            # type: (int) -> None
            raise NotImplementedError

        def _open_adc(self, pin):
            # type: (machine.Pin) -> machine.ADC
            raise NotImplementedError

        def _sample(self, adc):
            # type: (machine.ADC) -> int
            """Tenths of a millivolt at the pin."""
            raise NotImplementedError
