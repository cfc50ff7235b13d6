"""What the journal says after a reset: what is live, and what was sent for a message. An overlay.

Its file is read through twice, first for what is live.
"""

import os

from micropython import const

from thimble.core import octets

_BOT = const(1)
_RECEIVED = const(2)
_ATTEMPT = const(3)
_ANSWERING = const(4)
_DONE = const(5)
_OFFSET = const(6)

# In an inbox record, and in the journal's scratch and its tail: see store.journal.
_ID_LEN = const(4)
_STATE = const(5)
_NUMBER = const(46)
_UPDATE = const(48)
_PARTS = const(256)  # whose messages are known
_TOP = const(4)
_ROOM = const(120)
_HEADER = const(7)
_KEPT = const(144)
_BITS = const(166)


def load(journal, out):
    """What Journal.load does, into its ``ring``, for its ``bot``."""
    buf = journal.buf
    for i in range(_KEPT, len(buf)):
        buf[i] = 0
    try:
        os.remove(journal.aside)
    except OSError:
        pass  # there is none: the last rewriting was not cut short
    tail = journal.tail
    try:
        journal.file = open(journal.path, "a+b")
        end = journal.file.seek(0, 2)
        journal.beside()
        journal.now.readinto(tail)
        journal.fill = min(tail[1], _ROOM - _TOP)
        both = journal.both()
        journal.source = both[0]
        whole = _survey(journal, end)
        size = journal.size
        if not size or tail[0] != journal.generation or tail[2] | tail[3] << 8 != end & 0xFFFF:
            journal.fill = 0
        if journal.fill:
            journal.source = both[1]
            whole = _survey(journal, size + journal.fill) and whole
        journal.source = journal.both()[0]
        _recall(journal, size)
        if journal.fill:
            journal.source = journal.both()[1]
            _recall(journal, journal.size - size)
        journal.source = None
        if not size or not whole:
            journal.rewrite()
    except OSError as error:
        journal.fail(error.errno)
    octets.copy(out, 0, buf, _KEPT + 1, buf[_KEPT])
    return buf[_KEPT]


def _survey(journal, end):
    """Reads what is live, and what the offset is; whether ``size`` is ``end`` then."""
    buf = journal.buf
    size = journal.size
    kind = journal.read(False)
    if kind == _BOT:
        journal.generation = buf[1]
        n = len(journal.bot)
        if buf[3] != n or not octets.same(buf, _HEADER, journal.bot, 0, n):
            return False
    while kind:
        number = buf[1] | buf[2] << 8
        bit = _BITS + (number >> 3)
        if bit >= len(buf) or (kind == _BOT) == (size > 0):
            break
        if kind != _RECEIVED and number > journal.count and kind != _BOT:
            break  # about a message that never came; the next that comes has its number
        if kind == _RECEIVED:
            journal.count = number
            buf[bit] |= 1 << (number & 7)
            journal.behind(buf, _HEADER + _UPDATE, buf[_HEADER + _ID_LEN])
        elif kind == _DONE:
            buf[bit] &= ~(1 << (number & 7))
            journal.dead = True
        elif kind == _OFFSET:
            octets.copy(buf, _KEPT + 1, buf, _HEADER, buf[3])
            buf[_KEPT] = buf[3]
        size += _HEADER + (buf[3] | buf[4] << 8)
        kind = journal.read(False)
    journal.size = size
    if size != end:
        journal.damaged += 1
    return size == end


def _recall(journal, size):
    """Puts into the inbox what is live in so many bytes."""
    buf = journal.buf
    while size > 0:
        kind = journal.read(True)
        size -= _HEADER + (buf[3] | buf[4] << 8)
        if kind == _ATTEMPT and journal.rank(buf[1] | buf[2] << 8):
            journal.ring.buf[journal.at + _STATE] = buf[_HEADER]


def sent(journal, record, part, out):
    """What Journal.sent does."""
    buf, box = journal.buf, journal.ring.buf
    n = 0
    if part < _PARTS and journal.commit():
        for source in journal.both():
            journal.source = source
            kind = journal.read(False)
            while kind:
                if kind == _ANSWERING and buf[_HEADER] == part:
                    if octets.same(buf, 1, box, record + _NUMBER, 2):
                        n = buf[3] - 1
                        octets.copy(out, 0, buf, _HEADER + 1, n)
                kind = journal.read(False)
        journal.source = None  # it may be the tail's, which would stay in the heap
    return n
