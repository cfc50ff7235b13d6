"""What the tests inside MicroPython share."""

import gc
import micropython
import os


def heap_locked(fn):
    """Runs ``fn()`` while the heap is locked: any allocation in it raises MemoryError."""
    micropython.heap_lock()
    try:
        return fn()
    finally:
        micropython.heap_unlock()


def allocated(fn):
    """Bytes of heap that one call of ``fn`` allocates, collected or not."""
    fn()  # what is made once (a code path's qstrs, a lazily built table) is not the steady state
    before = micropython.mem_total()
    fn()
    return micropython.mem_total() - before


def live():
    """Bytes of heap in use after a collection."""
    gc.collect()
    return gc.mem_alloc()


def turns_of(source):
    """(role, text) of every turn of a conversation, or of what is read like one."""
    turns = []
    source.rewind()
    while True:
        role = source.next_turn()
        if role < 0:
            return turns
        text = b""
        while source.next_piece():
            assert 0 <= source.pos < source.stop <= len(source.buf)
            text += bytes(source.buf[source.pos : source.stop])
        turns.append((role, text))


def raises(kind, fn):
    """The exception of type ``kind`` that ``fn()`` raises; fails if it raises none."""
    try:
        fn()
    except kind as error:
        return error
    raise AssertionError("no %s was raised" % kind.__name__)


def plain(path):
    """A firmware module's names, loaded from its source as plain bytecode, without viper."""
    sources = os.getenv("THIMBLE_SOURCES") if hasattr(os, "getenv") else "/rom/sources"
    with open(sources + "/" + path) as file:
        lines = file.read().split("\n")
    names = {"ptr8": _same, "ptr32": _same, "uint": _same, "__name__": "plain"}
    exec("\n".join("" if ln.strip() == "@micropython.viper" else ln for ln in lines), names)
    return names


def _same(value):
    return value
