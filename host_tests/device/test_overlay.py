"""Code that comes and goes: what is left of it, also where there is no memory left."""

import gc
import micropython
import sys

import thimble
from kit import raises
from thimble import overlay

QEMU = "the heap of the emulated board has no room for the whole firmware"


class Sessions:
    error = 28


class Log:
    def fail(self, text):
        self.text = text


class Full(Log):
    """A log that uses up the heap."""

    def fail(self, text):
        micropython.heap_lock()
        bytearray(1)


class Relay:
    sessions = Sessions()

    def __init__(self, log):
        self.log = log


def is_loaded():
    return "thimble.outage" in sys.modules or "outage" in thimble.__dict__


def test_an_overlay_is_gone_behind_its_use():
    relay = Relay(Log())
    overlay.call("outage", "unkept", relay)
    assert "is full" in relay.log.text
    assert not is_loaded()


def test_an_overlay_whose_use_leaves_no_memory_is_gone_too():
    try:
        raises(MemoryError, lambda: overlay.call("outage", "unkept", Relay(Full())))
    finally:
        micropython.heap_unlock()
    assert not is_loaded()


def test_what_is_unloaded_twice_is_gone():
    import thimble.outage  # noqa: F401

    assert is_loaded()
    overlay.unload("outage", "outage")
    assert not is_loaded()


def test_the_reserve_has_room_for_the_largest_overlay():
    # With it comes what stays, and the names that warm_up() leaves are there the second time.
    import thimble.relay  # noqa: F401

    overlay.warm_up()
    room = overlay.warm_up()
    assert room > 0
    for module in ("net.query", "outage", "model.sentences", "store.crash"):
        gc.collect()
        free = gc.mem_free()
        __import__("thimble." + module)
        assert free - gc.mem_free() <= room, module
        overlay.unload(module)
