"""The journal: which messages came in, and how far each has been answered, on flash.

The inbox, a ring of records (see telegram.updates for their layout), is what waits, in RAM; the
journal makes it durable. Its file is a row of records, only ever appended to:

     0  kind
     1  the message's number in this file, low byte first (BOT: the file's generation, 0 to 7)
     3  n, bytes of payload, low byte first
     5  CRC-16 of bytes 0 to 4 and the payload, low byte first
     7  the payload

    1 BOT        the bot's id. The file's first record; another bot's file is no ledger of ours
    2 RECEIVED   an inbox record (at least 68 bytes). It gets the next number, from 1 on, and moves
                 the offset behind its update
    3 ATTEMPT    1 byte: its state from then on, see below; RECEIVED has the one before
    4 ANSWERING  1 byte, the part of the answer (from 0); then the id of the message that was sent
                 for that part, in decimal. The last one counts: another may have been deleted
    5 DONE       nothing
    6 OFFSET     the next getUpdates' offset, in decimal

littlefs copies a file's last block when something is appended behind a flush. So ATTEMPT,
ANSWERING and DONE wait in a second, small file ("now"), which littlefs keeps beside the name and
which is written anew each time. It belongs to the file of its generation:

     0  the generation
     1  bytes of records
     2  the records, at most 118 bytes

They count as if they stood behind the file's own. When no more fit they are appended to it; if the
power goes before there are others, they are read twice, which changes nothing.

A message is named by its inbox record's offset in the ring, where two fields are the journal's:

     5  its state: attempts made to answer it, and telegram.updates' bits BEGUN and TOLD
    46  its number in the file, low byte first; 0 if the file does not have it, or has it done

What is live is what the inbox holds. So the file is rewritten from RAM, aside, and renamed over;
only the ids of ANSWERING are copied from file to file. The first record that is not whole ends the
file: what is behind it is not read, and never appended to.

An append that failed leaves the file in doubt: nothing is appended until rewriting it succeeds.
"""

import gc
import io
import os

import micropython
from micropython import const

from thimble.core import octets
from thimble.store import put

_BOT = const(1)
_RECEIVED = const(2)
_ATTEMPT = const(3)
_ANSWERING = const(4)
_DONE = const(5)
_OFFSET = const(6)

# In an inbox record.
_ID_LEN = const(4)
_STATE = const(5)
_NUMBER = const(46)
_UPDATE = const(48)
_SMALLEST = const(68)
_PARTS = const(256)  # whose messages are known

_ENOMEM = const(12)
_TOP = const(2)  # where the records begin in "now"
_ROOM = const(120)  # its bytes; littlefs keeps at most 128 beside the name, whatever the board

# In the scratch: a header, the first bytes of the payload behind it, further bytes of it, the
# length of the offset and the offset, and a bit for each number in the file.
_HEADER = const(7)
_MORE = const(80)
_KEPT = const(144)
_BITS = const(166)
_ID = const(20)
_SENT = const(21)  # of an ANSWERING, the largest payload but a message's


class Journal:
    """path: the file; most: its bytes from which on it is rewritten; buf: scratch.

    ``most`` should be the inbox's size, a largest record and 1 KB at least: then the inbox is full
    before the journal. ``buf`` must have 167 bytes, and 1 for every 600 bytes of ``most``, or
    ValueError.

    Counters: writes (flushes), bytes (appended and rewritten), rewrites, damaged (a file's end
    that could not be read, a message that had no place in the inbox). ``error`` is the errno of
    the last operation that failed, 0 if none has since it was set to 0.
    """

    def __init__(self, path, most, buf):
        if len(buf) <= _BITS + most // 600:
            raise ValueError("scratch too small")
        self._path = path
        self._aside = path + ".new"
        self._most = most
        self._buf = buf
        self._first = memoryview(buf)[_HEADER:_MORE]
        self._more = memoryview(buf)[_MORE:_KEPT]
        self._file = self._ring = self._now = self._source = None
        self._tail = bytearray(_ROOM)
        self._fill = self._generation = 0
        self._size = self._count = self._at = 0
        # Not known to be whole; to be flushed, the file and the tail; rewriting makes room.
        self._doubt = self._loose = self._fresh = self._dead = False
        self.error = self.writes = self.bytes = self.rewrites = self.damaged = 0

    def load(self, ring, bot, out):
        """Puts all that is not done into the empty inbox ``ring``; the offset's length in ``out``.

        bot: the bot's id (what stands before the token's colon, as bytes); the file of another bot
        is dropped. ``out`` must have 20 bytes. Never raises: see ``damaged`` and ``error``.
        """
        buf = self._buf
        self._ring = ring
        self._bot = bot[:_ID]
        for i in range(_KEPT, len(buf)):
            buf[i] = 0
        try:
            os.remove(self._aside)
        except OSError:
            pass  # there is none: the last rewriting was not cut short
        tail = self._tail
        try:
            self._file = open(self._path, "a+b")
            end = self._file.seek(0, 2)
            self._beside()
            self._now.readinto(tail)
            self._fill = min(tail[1], _ROOM - _TOP)
            both = self._both()
            self._source = both[0]
            whole = self._survey(end)
            size = self._size
            if not size or tail[0] != self._generation:
                self._fill = 0
            if self._fill:
                self._source = both[1]
                whole = self._survey(size + self._fill) and whole
            self._source = self._both()[0]
            self._recall(size)
            if self._fill:
                self._source = self._both()[1]
                self._recall(self._size - size)
            self._source = None
            if not size or not whole:
                self.rewrite()
        except OSError as error:
            self._fail(error.errno)
        octets.copy(out, 0, buf, _KEPT + 1, buf[_KEPT])
        return buf[_KEPT]

    def _beside(self):
        """Opens the file for the tail."""
        name = self._path + ".now"
        try:
            self._now = open(name, "r+b")
        except OSError:
            self._now = open(name, "w+b")
            self._now.flush()

    def _both(self):
        """The file and the tail, to be read from their beginning on."""
        self._file.seek(0)
        return self._file, io.BytesIO(memoryview(self._tail)[_TOP : _TOP + self._fill])

    def _survey(self, end):
        """Reads what is live, and what the offset is; whether ``_size`` is ``end`` then."""
        buf = self._buf
        size = self._size
        kind = self._read(False)
        if kind == _BOT:
            self._generation = buf[1]
            n = len(self._bot)
            if buf[3] != n or not octets.same(buf, _HEADER, self._bot, 0, n):
                return
        while kind:
            number = buf[1] | buf[2] << 8
            bit = _BITS + (number >> 3)
            if bit >= len(buf) or (kind == _BOT) == (size > 0):
                break
            if kind != _RECEIVED and number > self._count and kind != _BOT:
                break  # about a message that never came; the next that comes has its number
            if kind == _RECEIVED:
                self._count = number
                buf[bit] |= 1 << (number & 7)
                self._pass(buf, _HEADER + _UPDATE, buf[_HEADER + _ID_LEN])
            elif kind == _DONE:
                buf[bit] &= ~(1 << (number & 7))
                self._dead = True
            elif kind == _OFFSET:
                octets.copy(buf, _KEPT + 1, buf, _HEADER, buf[3])
                buf[_KEPT] = buf[3]
            size += _HEADER + (buf[3] | buf[4] << 8)
            kind = self._read(False)
        self._size = size
        if size != end:
            self.damaged += 1
        return size == end

    def _recall(self, size):
        """Puts into the inbox what is live in so many bytes."""
        buf = self._buf
        while size > 0:
            kind = self._read(True)
            size -= _HEADER + (buf[3] | buf[4] << 8)
            if kind == _ATTEMPT and self._rank(buf[1] | buf[2] << 8):
                self._ring.buf[self._at + _STATE] = buf[_HEADER]

    @micropython.native
    def _read(self, fill):
        """The next record's kind, 0 if there is none that is whole; its header is in the scratch,

        and up to 73 bytes of the payload. ``fill``: a live message goes into the inbox.
        """
        buf, file, ring = self._buf, self._source, self._ring
        off = -1
        try:
            if file.readinto(buf, _HEADER) != _HEADER:
                return 0
            kind = buf[0]
            number, n = buf[1] | buf[2] << 8, buf[3] | buf[4] << 8
            if n < _SMALLEST if kind == _RECEIVED else n > _SENT:
                return 0
            if fill and kind == _RECEIVED and buf[_BITS + (number >> 3)] >> (number & 7) & 1:
                off = ring.pend(n)
                if off < 0:
                    self.damaged += 1
            crc = octets.crc16(buf, 0, 5, 0xFFFF)
            at, view, start = 0, self._first, _HEADER
            while at < n:
                got = file.readinto(view, min(n - at, len(view)))
                if not got:
                    return 0
                crc = octets.crc16(buf, start, got, crc)
                if off >= 0:
                    octets.copy(ring.buf, off + at, buf, start, got)
                at += got
                view, start = self._more, _MORE
        except OSError as error:
            self.error = error.errno or -1
            return 0
        if crc != buf[5] | buf[6] << 8 or not _BOT <= kind <= _OFFSET:
            return 0
        if off >= 0:
            ring.finish(n)
            self._name(off, number)
        return kind

    def _name(self, record, number):
        self._ring.buf[record + _NUMBER] = number & 255
        self._ring.buf[record + _NUMBER + 1] = number >> 8

    def _rank(self, number):
        """Which of the live messages has the number, from 1 on, and ``_at``, its record; or 0.

        For number 0 each gets its rank for a number, and the last one's is returned.
        """
        buf, ring = self._ring.buf, self._ring
        rank = 0
        at = ring.first()
        while at >= 0:
            found = buf[at + _NUMBER] | buf[at + _NUMBER + 1] << 8
            if found:
                rank += 1
                if not number:
                    self._name(at, rank)
                elif found == number:
                    self._at = at
                    return rank
            at = ring.after(at)
        return 0 if number else rank

    def _pass(self, buf, off, n):
        """The offset is behind the update whose id is given."""
        n = min(n, _ID)
        octets.copy(self._buf, _KEPT + 1, buf, off, n)
        self._buf[_KEPT] = octets.increment(self._buf, _KEPT + 1, n)

    # What the relay says.

    def full(self, n):
        """Whether an inbox record of n bytes has no room. Rewrites the file if that may help."""
        if self._doubt or (self._dead and self._size + _HEADER + n > self._most):
            self.rewrite()
        return self._doubt or self._size + _HEADER + n > self._most

    def received(self, record, n):
        """Appends the inbox record of n bytes that was pended at ``record`` and is to be finished.

        False if it could not be: the update must not be confirmed. If the relay keeps the record
        all the same, the other methods take it and write nothing.
        """
        self._name(record, 0)
        buf = self._ring.buf
        buf[record + _STATE] = 0
        if not self._append(_RECEIVED, record, buf, record, n):
            return False
        self._pass(buf, record + _UPDATE, buf[record + _ID_LEN])
        return True

    def commit(self):
        """Puts on flash what was appended; False if it could not be.

        Before it returned True nothing of what was received may be confirmed.
        """
        if self._doubt:
            return self.rewrite()
        error = 0
        if self._loose:
            error = put(self._file, None, 0, 0)
            self.writes += 1
        if self._fresh and not error:
            self._tail[0] = self._generation
            self._tail[1] = self._fill
            error = put(self._now, self._tail, -1, _TOP + self._fill)
            self.writes += 1
        if error:
            return self._fail(error)
        self._loose = self._fresh = False
        return True

    def _spill(self):
        """Moves the tail into the file; False if that failed."""
        error = put(self._file, self._tail, _TOP, self._fill) or put(self._file, None, 0, 0)
        if error:
            return self._fail(error)
        self._fill = 0
        self._loose = False
        self.writes += 1
        return True

    def attempt(self, record, state):
        """Sets its state, before an attempt and where one did not count. Commits."""
        buf = self._ring.buf
        buf[record + _STATE] = state
        self._append(_ATTEMPT, record, buf, record + _STATE, 1)
        self.commit()

    @micropython.native
    def answering(self, record, part, buf, n):
        """A message that shows a part was sent: its id is buf[1:1+n], buf[0] free. Commits."""
        if part < _PARTS:
            buf[0] = part
            self._append(_ANSWERING, record, buf, 0, 1 + n)
            self.commit()

    def sent(self, record, part, out):
        """Copies the id of the message that shows a part; its length, 0 if none does."""
        buf, box = self._buf, self._ring.buf
        n = 0
        if part < _PARTS and self.commit():
            for source in self._both():
                self._source = source
                kind = self._read(False)
                while kind:
                    if kind == _ANSWERING and buf[_HEADER] == part:
                        if octets.same(buf, 1, box, record + _NUMBER, 2):
                            n = buf[3] - 1
                            octets.copy(out, 0, buf, _HEADER + 1, n)
                    kind = self._read(False)
            self._source = None  # it may be the tail's, which would stay in the heap
        return n

    def done(self, record):
        """It is answered, or never will be: appends that. To be called before it is dropped."""
        self._append(_DONE, record, self._buf, 0, 0)
        self._name(record, 0)

    def offset(self, buf, off, n):
        """Appends the offset buf[off:off+n] (n <= 20), if it is another than the file has."""
        if n != self._buf[_KEPT] or not octets.same(self._buf, _KEPT + 1, buf, off, n):
            octets.copy(self._buf, _KEPT + 1, buf, off, n)
            self._buf[_KEPT] = n
            self._append(_OFFSET, -1, self._buf, _KEPT + 1, n)

    def close(self):
        """Commits, and closes the files: for a clean stop, before the file system is unmounted."""
        if self.commit() and self._spill():
            self._file.close()
            self._now.close()

    # The file.

    @micropython.native
    def _append(self, kind, record, buf, off, n):
        full = self.full(n)
        if self._doubt or (full and kind == _RECEIVED):
            return False
        number = 0
        if kind == _RECEIVED:
            number = self._count + 1
        elif record >= 0:
            box = self._ring.buf
            number = box[record + _NUMBER] | box[record + _NUMBER + 1] << 8
            if not number:
                return True
        file = None
        if kind == _RECEIVED or kind == _OFFSET:
            file = self._file
            self._loose = True
        elif self._fill + _HEADER + n > _ROOM - _TOP and not self._spill():
            return False
        error = self._put(file, kind, number, buf, off, n)
        if error:
            return self._fail(error)
        if kind == _RECEIVED:
            self._count = number
            self._name(record, number)
        self._dead |= kind >= _DONE  # a rewriting would make room
        return True

    @micropython.native
    def _put(self, file, kind, number, buf, off, n):
        head = self._buf
        head[0] = kind
        head[1] = number & 255
        head[2] = number >> 8
        head[3] = n & 255
        head[4] = n >> 8
        crc = octets.crc16(buf, off, n, octets.crc16(head, 0, 5, 0xFFFF))
        head[5] = crc & 255
        head[6] = crc >> 8
        number = _HEADER + n
        self._size += number
        self.bytes += number
        if file is not None:
            return put(file, head, 0, _HEADER) or put(file, buf, off, n)
        end = _TOP + self._fill
        octets.copy(self._tail, end, head, 0, _HEADER)
        octets.copy(self._tail, end + _HEADER, buf, off, n)
        self._fill += number
        self._fresh = True
        return 0

    def rewrite(self):
        """Makes the file anew from what is live; False if it could not be, and the old one is."""
        buf, ring = self._buf, self._ring
        count = error = self._size = 0
        try:
            if self._doubt:
                self._file = open(self._path, "a+b")
            generation = (self._generation + 1) & 7
            if generation == self._tail[0]:  # a tail of no known file lies there
                generation = (generation + 1) & 7
            with open(self._aside, "wb") as new:
                error = self._put(new, _BOT, generation, self._bot, 0, len(self._bot)) or error
                at = ring.first()
                while at >= 0:
                    if ring.buf[at + _NUMBER] or ring.buf[at + _NUMBER + 1]:
                        count += 1
                        error = (
                            self._put(new, _RECEIVED, count, ring.buf, at, ring.size(at)) or error
                        )
                    at = ring.after(at)
                for source in self._both():
                    self._source = source
                    kind = self._read(False)
                    while kind:
                        rank = kind == _ANSWERING and self._rank(buf[1] | buf[2] << 8)
                        if rank:
                            error = self._put(new, kind, rank, buf, _HEADER, buf[3]) or error
                        kind = self._read(False)
                error = self._put(new, _OFFSET, 0, buf, _KEPT + 1, buf[_KEPT]) or error
            if error:
                return self._fail(error)
            self._file.close()
            os.rename(self._aside, self._path)
            self._generation = generation
            self._fill = 0
            self._source = None
            self._count = self._rank(0)
            self._file = None
            gc.collect()  # where the two were there is room for this one
            self._file = open(self._path, "a+b")
            if self._doubt:
                self._beside()
        except MemoryError:
            self._fail(_ENOMEM)
            raise
        except OSError as error:
            return self._fail(error.errno)
        self._doubt = self._loose = self._fresh = self._dead = False
        self.rewrites += 1
        return True

    def _fail(self, error):
        """Closes the files as they were when last flushed. What is on flash is true still."""
        self.error = error or -1
        self._doubt = True
        for file in (self._file, self._now):
            try:
                if file:
                    file.close()
            except OSError:
                pass
        return False
