"""`machine` as an RP2040's and an ESP32-S3's, on a clock that tests move."""

import errno
import micropython
import random

PWRON, HARD, WDT_RESET, DEEPSLEEP, SOFT = 1, 2, 3, 4, 5
CTRL, REASON, SCRATCH = 0x40058000, 0x40058008, 0x4005800C  # the watchdog's
CTR = 0x40050094  # the counter of PWM slice 7: any reset of the chip clears it, a soft reset not


class Reset(Exception):
    """The board resets: by itself, or because it was asked to."""


class Bitten(Reset):
    """The watchdog has bitten."""


class Chip:
    """The state of the silicon. `cause` is ESP32's machine.reset_cause(); RP2 has registers."""

    port = ""
    now = 1000
    blocked = False

    def __init__(self):
        self.power_on()

    def power_on(self):
        """Everything is as after a loss of power."""
        self.registers = {}
        self.rtc = b""
        self.cause = PWRON
        self.pins = {}  # name: level that the world puts there
        self.written = {}  # name: level that the firmware put there
        self.bits = []  # what bitstream sent
        self.adc = {}  # name: function that gives millivolts
        self.bootsel = False
        self.date = None
        self.slept = []
        self.led_fails = False
        self.modes_shown = False  # as MicroPython 1.29 shows a pin on an ESP32
        # Of ESP32's IDF: (total, free, largest block, lowest free) of each heap.
        self.heaps = [(16_000, 9_000, 8_000, 8_000), (220_000, 90_000, 60_000, 70_000)]
        self._silent()

    def _silent(self):
        self.timers = []
        self.dog_ms = self.dog_end = None

    def reset(self, cause, reason):
        """A reset that keeps the power."""
        self.cause = cause
        self.registers[REASON] = reason
        self.registers[CTR] = 0
        self._silent()

    def soft_reset(self):
        """Ctrl-D at the REPL: the timers end, the dog does not."""
        self.timers = []
        if self.port == "esp32":
            self.cause = SOFT

    def block(self, ms):
        """Time passes inside one call of a driver or of TLS: only hard callbacks run."""
        self.blocked = True
        self.run(ms)
        self.blocked = False

    def run(self, ms):
        """Lets time pass. Timers fire; raises Bitten when the dog does."""
        end = self.now + ms
        while True:
            due = min([timer.due for timer in self.timers] + [end])
            if self.dog_end is not None and self.dog_end <= due:
                self.now = self.dog_end
                self.reset(WDT_RESET, 1)
                raise Bitten
            self.now = due
            if due == end:
                return
            for timer in list(self.timers):
                if timer.due == due:
                    timer.fire()


chip = Chip()


class Timer:
    """As RP2's: a hard callback runs with the heap locked; if it raises, it runs no more."""

    PERIODIC = 1

    def __init__(self, number):
        if chip.port == "rp2" and number != -1:
            raise ValueError("Timer doesn't exist")

    def init(self, *, mode=1, period=-1, callback=None, hard=False):
        assert not hard or chip.port == "rp2"
        self._period, self._callback, self._hard = period, callback, hard
        self.due = chip.now + period
        chip.timers.append(self)

    def deinit(self):
        if self in chip.timers:
            chip.timers.remove(self)

    def fire(self):
        self.due += self._period
        if not self._hard:
            if not chip.blocked:
                self._callback(self)
            return
        micropython.heap_lock()
        try:
            self._callback(self)
            fine = True
        except Exception:
            fine = False
        micropython.heap_unlock()
        if not fine:
            chip.timers.remove(self)


class WDT:
    """The dog. Nothing in MicroPython stops it but a reset."""

    def __init__(self, id=0, timeout=5000):
        if chip.port == "rp2" and timeout > 8388:
            raise ValueError("timeout exceeds 8388")
        chip.dog_ms = timeout
        self.feed()

    def feed(self):
        if chip.dog_ms is not None:
            chip.dog_end = chip.now + chip.dog_ms


# The pins that ESP32_GENERIC_S3 has: not those of flash and PSRAM.
S3 = tuple(range(22)) + tuple(range(33, 49))


class Pin:
    IN, OUT, PULL_UP = 0, 1, 1

    def __init__(self, name, mode=-1, pull=-1):
        if isinstance(name, int) and not -(1 << 31) <= name < 1 << 31:
            raise OverflowError("overflow converting long int to machine word")
        if chip.port == "rp2" and str(name).startswith("GPIO"):
            name = int(name[4:])
        if chip.port == "esp32":
            if name not in S3:
                raise ValueError("invalid pin")
        elif name != "LED" and name not in range(30):
            raise ValueError("invalid pin" if isinstance(name, int) else "unknown named pin")
        if name == "LED" and pull != -1:
            raise ValueError("pulls are not supported for external pins")
        self.name = name
        self.pull = pull
        if mode == self.OUT:
            chip.written[name] = 0

    def __str__(self):
        return "Pin(%s%s)" % (self.name, ", mode=Pin.IN" if chip.modes_shown else "")

    def value(self, level=None):
        if level is None:
            return chip.pins.get(self.name, self.pull == self.PULL_UP)
        if self.name == "LED" and chip.led_fails:
            raise OSError(1)
        chip.written[self.name] = level

    def __call__(self, level=None):
        return self.value(level)


class Signal:
    def __init__(self, pin, invert=False):
        self._pin, self._invert = pin, invert

    def __call__(self, level):
        self._pin.value(1 - level if self._invert else level)


class ADC:
    """An ESP32-S3 makes one of the pins 11 to 20 as well. But what those are measured by belongs
    to the radio: while that is on, a sample raises OSError, from MicroPython 1.26 on it is 0."""

    ATTN_11DB, CORE_TEMP = 3, 4

    def __init__(self, source, atten=None):
        if isinstance(source, Pin):
            source = source.name
            if source not in (range(26, 30) if chip.port == "rp2" else range(1, 21)):
                raise ValueError("Pin doesn't have ADC capabilities")
        assert (atten is None) == (chip.port == "rp2")
        self._source = source

    def read_u16(self):
        return min(65535, max(0, int(chip.adc[self._source]() * 65536 / 3300)))

    def read_uv(self):
        assert chip.port == "esp32"
        if self._source > 10:
            raise OSError(errno.ETIMEDOUT)
        return int(chip.adc[self._source]()) * 1000


class RTC:
    def datetime(self, date):
        assert len(date) == 8
        chip.date = date

    def memory(self, data=None):
        if data is None:
            return chip.rtc
        if len(data) > 2048:
            raise ValueError("buffer too long")
        chip.rtc = bytes(data)


class Mem32:
    def __getitem__(self, address):
        assert address in (REASON, CTR) or SCRATCH <= address < SCRATCH + 16
        return chip.registers.get(address, 0)

    def __setitem__(self, address, word):
        if address == CTRL:
            assert word == 0  # ENABLE goes
            chip.dog_ms = chip.dog_end = None
            return
        assert address == CTR or SCRATCH <= address < SCRATCH + 16
        assert 0 <= word < 1 << 32
        chip.registers[address] = word


def noisy(millivolts, noise, every=4, burst=400):
    """A voltage with noise, and with the radio's bursts pulling one in ``every`` sample down."""
    count = [0]

    def sample():
        count[0] += 1
        dip = burst if count[0] % every == 0 else 0
        return millivolts + random.uniform(-noise, noise) - dip

    return sample


class Rp2:
    """The module on an RP2040."""

    Pin, Signal, ADC, RTC, Timer, WDT = Pin, Signal, ADC, RTC, Timer, WDT
    PWRON_RESET, WDT_RESET = PWRON, WDT_RESET
    mem32 = Mem32()

    def reset(self):
        chip.reset(HARD, 2)
        raise Reset

    def lightsleep(self, ms):
        chip.slept.append(ms)
        chip.run(ms)

    def reset_cause(self):
        return WDT_RESET if chip.registers.get(REASON) else PWRON

    def unique_id(self):
        return b"\xe6\x61\x38\x52\x83\x1f\x2b\x2a"

    def bitstream(self, pin, encoding, timing, data):
        chip.bits.append(bytes(data))


class Esp32(Rp2):
    """The module on an ESP32-S3."""

    HARD_RESET, DEEPSLEEP_RESET, SOFT_RESET = HARD, DEEPSLEEP, SOFT
    mem32 = None

    def reset_cause(self):
        return chip.cause

    def deepsleep(self, ms):
        chip.slept.append(ms)
        chip.reset(DEEPSLEEP, 0)
        raise Reset


def machine(port):
    """The module of ``port``."""
    return Rp2() if port == "rp2" else Esp32()
