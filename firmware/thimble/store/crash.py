"""Reports on flash, for whoever asks later what went wrong: bounded in size, without secrets.

An overlay. Each file keeps its newest reports; a report is a few lines of text.
"""

import gc
import os

from thimble.core.pressure import LEVELS

MEMORY = "memory.txt"
_MOST = 2048  # bytes of a file
_PROBES = (16384, 8192, 4096, 2048, 1024, 512, 256, 128, 64)


def memory(relay):
    """Writes down how memory stands: level, gauges, conversations, buffers, block sizes."""
    keeper = relay.memory
    segments = keeper.segments
    free, used = gc.mem_free(), gc.mem_alloc()
    text = "minute %d, %s, %d %% of the segments, %d %% of the heap above the floor\n" % (
        relay.minute,
        LEVELS[keeper.pressure.level],
        keeper.fill(),
        keeper.heap(),
    )
    text += "heap %d used, %d free, block of %d; segments %d of %d B, %d free\n" % (
        used,
        free,
        probe(),
        segments.count,
        segments.size,
        segments.free,
    )
    text += "sessions %d, inbox %d messages in %d B, answered %d\n" % (
        keeper.chats.active,
        relay.inbox.count,
        len(relay.inbox.buf),
        relay.answered,
    )
    keep(relay.board.flash + "/" + MEMORY, text)


def probe():
    """Bytes of the largest block that the heap could give, as a power of two."""
    for size in _PROBES:
        try:
            bytearray(size)
            return size
        except MemoryError:
            pass
    return 0


def keep(path, text):
    """Adds a report to the file at ``path``; the oldest go. Nothing is raised if flash is full."""
    try:
        with open(path) as file:
            old = file.read(_MOST)
    except (OSError, UnicodeError):
        old = ""
    text = (old + text)[-_MOST:]
    if len(text) == _MOST:
        text = text[text.find("\n") + 1 :]
    aside = path + ".new"
    try:
        with open(aside, "w") as file:
            file.write(text)
        os.rename(aside, path)
    except OSError:
        pass
