"""The journal's file as it is read: after a reset, for what was sent for a message, and to make it
anew. An overlay.

After a reset the file is read through twice, first for what is live.
"""

import gc
import io
import os

from thimble.core.octets import copy, crc16, same
from thimble.store import get

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
_SMALLEST = const(68)
_PARTS = const(256)  # whose messages are known
_TOP = const(4)
_HEADER = const(7)
_MORE = const(80)
_KEPT = const(144)
_BITS = const(166)
_SENT = const(21)  # of an ANSWERING, the largest payload but a message's
_ENOMEM = const(12)
_EEXIST = const(17)


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
        _open_tail(journal)
        journal.now.readinto(tail)
        journal.fill = tail[1]
        both = _both(journal)
        whole = _survey(journal, both[0], end)
        size = journal.size
        if not size or tail[0] != journal.generation or tail[2] | tail[3] << 8 != end & 0xFFFF:
            journal.fill = 0
        if journal.fill:
            whole = _survey(journal, both[1], size + journal.fill) and whole
        both = _both(journal)
        _recall(journal, both[0], size)
        _recall(journal, both[1], journal.size - size)
        journal.source = None
        if journal.error:
            journal.fail(journal.error)
        elif not size or not whole:
            rewrite(journal)
    except OSError as error:
        journal.fail(error.errno)
    copy(out, 0, buf, _KEPT + 1, buf[_KEPT])
    return buf[_KEPT]


def _open_tail(journal):
    name = journal.path + ".tail"
    try:
        os.mkdir(name)
    except OSError as error:
        if error.errno != _EEXIST:
            raise
    name += "/now"
    open(name, "ab").close()  # now there is one
    journal.now = open(name, "r+b")


def _both(journal):
    """The file and the tail, to be read from their beginning on."""
    journal.file.seek(0)
    return journal.file, io.BytesIO(memoryview(journal.tail)[_TOP : _TOP + journal.fill])


def _survey(journal, source, end):
    """Reads what is live, and what the offset is; whether ``size`` is ``end`` then."""
    journal.source = source
    buf = journal.buf
    size = journal.size
    kind = _read(journal)
    if kind == _BOT:
        journal.generation = buf[1]
        n = len(journal.bot)
        if buf[3] != n or not same(buf, _HEADER, journal.bot, 0, n):
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
            copy(buf, _KEPT + 1, buf, _HEADER, buf[3])
            buf[_KEPT] = buf[3]
        size += _HEADER + (buf[3] | buf[4] << 8)
        kind = _read(journal)
    journal.size = size
    if size != end:
        journal.damaged += 1
    return size == end


def _recall(journal, file, size):
    """Puts into the inbox what is live in so many bytes."""
    journal.source = file
    buf, ring = journal.buf, journal.ring
    inbox = memoryview(ring.buf)
    while size > 0:
        kind = _read(journal)
        number, n = buf[1] | buf[2] << 8, buf[3] | buf[4] << 8
        size -= _HEADER + n
        if kind == _RECEIVED and buf[_BITS + (number >> 3)] >> (number & 7) & 1:
            at = ring.pend(n)
            if at < 0:
                journal.damaged += 1
            else:
                file.seek(-n, 1)
                file.readinto(inbox[at : at + n])
                ring.finish(n)
                journal.name(at, number)
        elif kind == _ATTEMPT and _rank(journal, number):
            ring.buf[journal.at + _STATE] = buf[_HEADER]


# With what follows a frame is small enough to be no garbage: a file has hundreds of records.


def _read(journal):
    """The next record's kind, 0 if there is none that is whole; its header is in the scratch, and
    up to 73 bytes of the payload."""
    if _piece(journal, journal.buf, _HEADER) != _HEADER:
        return 0
    n = journal.buf[3] | journal.buf[4] << 8
    if n < _SMALLEST if journal.buf[0] == _RECEIVED else n > _SENT:
        return 0
    crc = crc16(journal.buf, 0, 5, 0xFFFF)
    view = journal.first
    at = _HEADER
    while n:
        size = min(n, len(view))
        size = _piece(journal, view, size)
        if not size:
            return 0
        crc = crc16(journal.buf, at, size, crc)
        n -= size
        view = journal.more
        at = _MORE
    if crc != journal.buf[5] | journal.buf[6] << 8:
        return 0
    return journal.buf[0] if _BOT <= journal.buf[0] <= _OFFSET else 0


def _piece(journal, view, n):
    """Reads up to n bytes into ``view``; how many."""
    n = get(journal.source, -1, view, n)
    if n < 0:
        journal.error = -n
    return max(n, 0)


def _rank(journal, number):
    """Which of the live messages has the number, from 1 on, and ``at``, its record; or 0.

    For number 0 each gets its rank for a number, and the last one's is returned.
    """
    buf, ring = journal.ring.buf, journal.ring
    rank = 0
    at = ring.first()
    while at >= 0:
        found = buf[at + _NUMBER] | buf[at + _NUMBER + 1] << 8
        if found:
            rank += 1
            if not number:
                journal.name(at, rank)
            elif found == number:
                journal.at = at
                return rank
        at = ring.after(at)
    return 0 if number else rank


def sent(journal, record, part, out):
    """What Journal.sent does."""
    buf, box = journal.buf, journal.ring.buf
    n = 0
    if part < _PARTS and journal.commit():
        for source in _both(journal):
            journal.source = source
            kind = _read(journal)
            while kind:
                if kind == _ANSWERING and buf[_HEADER] == part:
                    if same(buf, 1, box, record + _NUMBER, 2):
                        n = buf[3] - 1
                        copy(out, 0, buf, _HEADER + 1, n)
                kind = _read(journal)
        journal.source = None  # it may be the tail's, which would stay in the heap
    return n


def rewrite(journal):
    """What Journal.rewrite does."""
    if journal.loose and not journal.doubt:
        journal.spill()  # closing would flush the file without the tail
    buf, ring = journal.buf, journal.ring
    count = error = journal.size = 0
    try:
        if journal.doubt:
            journal.file = open(journal.path, "a+b")
        generation = (journal.tail[0] + 1) & 7  # the tail that lies there is of another file
        with open(journal.aside, "wb") as new:
            journal.out = new
            error = journal.put(_BOT | generation << 8, journal.bot, 0, len(journal.bot))
            at = ring.first()
            while at >= 0:
                if ring.buf[at + _NUMBER] or ring.buf[at + _NUMBER + 1]:
                    count += 1
                    n = ring.size(at)
                    error = journal.put(_RECEIVED | count << 8, ring.buf, at, n) or error
                at = ring.after(at)
            for source in _both(journal):
                journal.source = source
                kind = _read(journal)
                while kind:
                    rank = kind == _ANSWERING and _rank(journal, buf[1] | buf[2] << 8)
                    if rank:
                        error = journal.put(kind | rank << 8, buf, _HEADER, buf[3]) or error
                    kind = _read(journal)
            error = journal.put(_OFFSET, buf, _KEPT + 1, buf[_KEPT]) or error
        if error:
            return journal.fail(error)
        journal.file.close()
        os.rename(journal.aside, journal.path)
        journal.generation = generation
        journal.fill = 0
        journal.source = None
        journal.count = _rank(journal, 0)
        journal.file = journal.out = None
        gc.collect()  # where the two were there is room for this one
        journal.file = open(journal.path, "a+b")
        if journal.doubt:
            _open_tail(journal)
    except MemoryError:
        journal.fail(_ENOMEM)
        raise
    except OSError as error:
        return journal.fail(error.errno)
    journal.doubt = journal.loose = journal.fresh = journal.dead = False
    journal.rewrites += 1
    return True
