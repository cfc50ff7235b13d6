"""Stand-ins for a board's own modules, that misbehave as the real ones are known to.

install("rp2" or "esp32") puts `machine`, `network`, `esp32`, `rp2` and `time` in the place of the
runtime's; it comes before the first import of what uses them. Time stands still but where a test
lets it pass: `chip.run(ms)`, or a sleep in the code under test; or, after `live()`, as it does.
"""

import sys
import time

from fake_board.chip import Bitten, Reset, chip, machine  # noqa: F401
from fake_board.radio import network, radio

_2021 = 1609459200


class Settings:
    """A section of the configuration: the defaults, and what a test sets."""

    def __init__(self, **values):
        for name, value in values.items():
            setattr(self, name, value)


def pins(**values):
    """The section ``board``."""
    section = Settings(led="", led_kind="", button="", battery_adc="")
    section.battery_ratio = section.battery_offset_mv = 0
    section.battery_low_mv = 3400
    for name, value in values.items():
        setattr(section, name, value)
    return section


def install(port):
    """Puts the modules of ``port`` in place; returns the radio."""
    chip.port = port
    radio.power_on()
    time_names = {
        "ticks_ms": lambda: chip.now & 0x3FFFFFFF,
        "sleep_ms": chip.run,
        "ticks_add": time.ticks_add,
        "ticks_diff": time.ticks_diff,
        "gmtime": time.gmtime,
        "time": time.time,
    }
    sys.modules["time"] = Settings(**time_names)
    sys.modules["machine"] = machine(port)
    sys.modules["network"] = network(port)
    sys.modules["esp32"] = Settings(
        mcu_temperature=lambda: 41, HEAP_DATA=4, idf_heap_info=lambda _: chip.heaps
    )
    sys.modules["rp2"] = Settings(bootsel_button=lambda: int(chip.bootsel))
    return radio


def live():
    """Lets the chip's time be the real one, for a board that speaks to real servers. Its clock
    says 2021, as an RP2040's does, until it is set."""

    def ticks_ms():
        passed = time.ticks_diff(time.ticks_ms(), chip.now & 0x3FFFFFFF)
        if passed > 0:
            chip.run(passed)
        return chip.now & 0x3FFFFFFF

    def sleep_ms(ms):
        time.sleep_ms(ms)
        ticks_ms()

    def seconds():
        return time.time() if chip.date else _2021

    chip.now = time.ticks_ms()
    clock = sys.modules["time"]
    clock.ticks_ms = ticks_ms
    clock.sleep_ms = sleep_ms
    clock.time = seconds
    clock.gmtime = lambda at=None: time.gmtime(seconds() if at is None else at)
