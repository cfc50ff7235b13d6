"""The Raspberry Pi Pico W (RP2040).

What outlives a reset: the watchdog's scratch registers 0 to 3, of 32 bits each; 4 to 7 belong to
the boot ROM (RP2040 data sheet, 4.7). Scratch 0 holds the mark; 1 to 3 are 12 bytes for whoever
keeps the battery. A reset by power or by the pin RUN clears them.

What a soft reset leaves alone and every other reset clears: the counter of a PWM slice that stands
still (4.5.3). MicroPython's soft reset only stops the slices; the watchdog, by which a reset that
is asked for comes too, resets all but the oscillators (SDK, watchdog_enable), and whatever starts
the program all peripherals (SDK, runtime_init_early_resets). It is 1 once this module was loaded.
"""

import machine
import rp2
import struct
import sys
import time

from thimble.board import base

# No soft reset stops the dog, and no call of MicroPython's; its time cannot be longer.
_DOG_MS = const(8388)
_FEED_MS = const(1000)
_NAP_MS = const(5000)  # less than the dog's time
_CTRL = const(0x40058000)  # the dog's; 0 stops it (data sheet, 4.7.6: ENABLE)
_REASON = const(0x40058008)  # bit 0: the dog bit; bit 1: a reset was asked for
_SCRATCH = const(0x4005800C)
_MARKED = const(0x2C7D5100)
_LOADED = const(0x40050094)  # CH7_CTR
_WORDS = const(3)
_SLEPT = const(4)  # as board.base._SLEPT
_TYPED = const(0)
if _TYPED:
    from collections.abc import Callable  # noqa: F401
    from _mpy_shed.time_mp import _TicksMs  # noqa: F401
    from thimble.board.led import Led  # noqa: F401
    from typing import NoReturn  # noqa: F401


class Board(base.Base):
    """A Pico W."""

    name = "pico_w"
    memory_size = 12
    taken = ("23", "24", "25", "29")
    soft = machine.mem32[_LOADED]  # whether a soft reset came before, and nothing else

    def __init__(self):
        # type: () -> None
        from thimble.profile import Profile  # gone again once the buffers are made

        super().__init__(Profile)
        self._dog = None  # type: machine.WDT | None
        machine.mem32[_CTRL] = 0  # safe mode and the wizard have no dog, nor a long start

    def _take_mark(self):
        # type: () -> int
        word = machine.mem32[_SCRATCH]
        machine.mem32[_SCRATCH] = 0
        return word & 255 if word & ~255 == _MARKED else 0

    def _set_mark(self, mark):
        # type: (int) -> None
        machine.mem32[_SCRATCH] = _MARKED | mark

    def _cause(self):
        # type: () -> str
        # machine.reset_cause() calls both the dog's bite and a reset that was asked for WDT_RESET.
        reason = machine.mem32[_REASON]
        if self.mark:
            return "deep sleep" if self.mark == _SLEPT else "restart"
        if self.soft:
            return "soft reset"
        if reason & 1:
            return "watchdog"
        return "reset" if reason & 2 else "power-on"

    def memory(self, data=None):
        # type: (bytes | None) -> bytes
        """The 12 bytes that outlive a reset but no loss of power; ``data`` replaces them."""
        if data is not None:
            words = struct.unpack("<3I", data + bytes(self.memory_size - len(data)))
            for i in range(_WORDS):
                machine.mem32[_SCRATCH + 4 + 4 * i] = words[i]
        return struct.pack("<3I", *[machine.mem32[_SCRATCH + 4 + 4 * i] for i in range(_WORDS)])

    def _light(self, pin, kind):
        # type: (machine.Pin, str) -> Led
        if kind == "rgb":
            raise ValueError("board.led_kind: rgb is for an ESP32-S3 alone")
        return super()._light(pin, kind)

    def button(self):
        # type: () -> bool
        """BOOTSEL serves where no pin is set. Reading it stops the flash for a moment."""
        if self._button is None:
            return bool(rp2.bootsel_button())
        return super().button()

    # The dog.

    def guard(self, alive):
        # type: (Callable[[_TicksMs], bool]) -> None
        """Starts the dog. ``alive`` is asked every second, in an interrupt: it must not allocate.

        A soft reset ends the timer while the dog goes on: the board then resets within 8.4 s,
        unless another Board is made by then, which stops it.
        """
        while self.timers:
            self.timers.pop().deinit()
        self._alive = alive
        self._dog = machine.WDT(timeout=_DOG_MS)
        timer = machine.Timer(-1)
        timer.init(period=_FEED_MS, mode=machine.Timer.PERIODIC, callback=self._beat, hard=True)
        self.timers.append(timer)

    def _beat(self, _timer):
        # type: (machine.Timer) -> None
        if self._alive(time.ticks_ms()):
            self._dog.feed()  # type: ignore[union-attr]

    def feed(self):
        # type: () -> None
        """The timer feeds."""

    def rest(self):
        # type: () -> None
        """The REPL opens: no dog, which would bite behind a soft reset (mpremote's, say)."""
        machine.mem32[_CTRL] = 0

    # Sleep.

    def radio_off(self):
        # type: () -> None
        """Takes the radio's power, LED included."""
        super().radio_off()
        self.wlan.deinit()

    def sleep(self, ms):
        # type: (int) -> None
        """Light sleep, with the radio off; the dog is fed between naps.

        Up to 1.28 a light sleep with the dog running never ended (micropython#17228): there it
        is a plain wait.
        """
        locks_up = self._dog is not None and sys.implementation.version < (1, 29)
        while ms > 0:
            nap = min(ms, _NAP_MS)
            if locks_up:
                time.sleep_ms(nap)
            else:
                machine.lightsleep(nap)
            if self._dog is not None:
                self._dog.feed()
            ms -= nap

    def deep_sleep(self, ms):
        # type: (int) -> NoReturn
        """Sleeps, then boots: the RP2040 has no deeper sleep that a timer ends."""
        self.radio_off()
        self.sleep(ms)
        self.restart(_SLEPT)

    def temperature(self):
        # type: () -> int
        """Degrees Celsius in the chip (data sheet, 4.9.5: 0.706 V at 27, 1.721 mV less each)."""
        raw = machine.ADC(machine.ADC.CORE_TEMP).read_u16()
        return 27 - (raw * 3_300 // 65_536 * 1_000 - 706_000) // 1_721

    def _open_adc(self, pin):
        # type: (machine.Pin) -> machine.ADC
        return machine.ADC(pin)

    def _sample(self, adc):
        # type: (machine.ADC) -> int
        return adc.read_u16() * 8_250 >> 14


machine.mem32[_LOADED] = 1
