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
ANSWERING and DONE wait in a second, small file, the tail, which littlefs keeps beside the name and
which is written anew each time:

     0  the file's generation
     1  bytes of records
     2  the file's length, its lower 16 bits, low byte first
     4  the records, at most 116 bytes

They count as if they stood behind the file's own. When no more fit, or the file is flushed anyhow,
they are appended to it; what the tail then holds still is known by the file's length to be old.
The tail has a folder of its own, because each time littlefs makes a folder anew it compares every
change in it with every other.

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

from thimble import overlay
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
_TOP = const(4)  # where the records begin in the tail
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
        self.path = path
        self.aside = path + ".new"
        self._most = most
        self.buf = buf
        self._first = memoryview(buf)[_HEADER:_MORE]
        self._more = memoryview(buf)[_MORE:_KEPT]
        self.file = self.ring = self.now = self.source = None
        self.tail = bytearray(_ROOM)
        self.fill = self.generation = 0
        self.size = self.count = self.at = 0
        # Not known to be whole; to be flushed, the file and the tail; rewriting makes room.
        self._doubt = self._loose = self._fresh = self.dead = False
        self.error = self.writes = self.bytes = self.rewrites = self.damaged = 0

    def load(self, ring, bot, out):
        """Puts all that is not done into the empty inbox ``ring``; the offset's length in ``out``.

        bot: the bot's id (what stands before the token's colon, as bytes); the file of another bot
        is dropped. ``out`` must have 20 bytes. Never raises: see ``damaged`` and ``error``.
        """
        self.ring = ring
        self.bot = bot[:_ID]
        return overlay.call("store.recovery", "load", self, out)

    def beside(self):
        """Opens the file for the tail."""
        name = self.path + ".tail"
        try:
            os.mkdir(name)
        except OSError:
            pass  # it is there
        name += "/now"
        try:
            self.now = open(name, "r+b")
        except OSError:
            self.now = open(name, "w+b")
            self.now.flush()

    def both(self):
        """The file and the tail, to be read from their beginning on."""
        self.file.seek(0)
        return self.file, io.BytesIO(memoryview(self.tail)[_TOP : _TOP + self.fill])

    @micropython.native
    def read(self, fill):
        """The next record's kind, 0 if there is none that is whole; its header is in the scratch,

        and up to 73 bytes of the payload. ``fill``: a live message goes into the inbox.
        """
        buf, file, ring = self.buf, self.source, self.ring
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
        self.ring.buf[record + _NUMBER] = number & 255
        self.ring.buf[record + _NUMBER + 1] = number >> 8

    def rank(self, number):
        """Which of the live messages has the number, from 1 on, and ``_at``, its record; or 0.

        For number 0 each gets its rank for a number, and the last one's is returned.
        """
        buf, ring = self.ring.buf, self.ring
        rank = 0
        at = ring.first()
        while at >= 0:
            found = buf[at + _NUMBER] | buf[at + _NUMBER + 1] << 8
            if found:
                rank += 1
                if not number:
                    self._name(at, rank)
                elif found == number:
                    self.at = at
                    return rank
            at = ring.after(at)
        return 0 if number else rank

    def behind(self, buf, off, n):
        """The offset is behind the update whose id is given."""
        n = min(n, _ID)
        octets.copy(self.buf, _KEPT + 1, buf, off, n)
        self.buf[_KEPT] = octets.increment(self.buf, _KEPT + 1, n)

    # What the relay says.

    def full(self, n):
        """Whether an inbox record of n bytes has no room. Rewrites the file if that may help."""
        if self._doubt or (self.dead and self.size + _HEADER + n > self._most):
            self.rewrite()
        return self._doubt or self.size + _HEADER + n > self._most

    def received(self, record, n):
        """Appends the inbox record of n bytes that was pended at ``record`` and is to be finished.

        False if it could not be: the update must not be confirmed. If the relay keeps the record
        all the same, the other methods take it and write nothing.
        """
        self._name(record, 0)
        buf = self.ring.buf
        buf[record + _STATE] = 0
        if not self._append(_RECEIVED, record, buf, record, n):
            return False
        self.behind(buf, record + _UPDATE, buf[record + _ID_LEN])
        return True

    def commit(self):
        """Puts on flash what was appended; False if it could not be.

        Before it returned True nothing of what was received may be confirmed.
        """
        if self._doubt:
            return self.rewrite()
        if self._loose:
            return self._spill()
        if self._fresh:
            tail, size = self.tail, self.size - self.fill
            tail[0] = self.generation
            tail[1] = self.fill
            tail[2] = size & 255
            tail[3] = size >> 8 & 255
            error = put(self.now, tail, -1, _TOP + self.fill)
            if error:
                return self.fail(error)
            self._fresh = False
            self.writes += 1
        return True

    def _spill(self):
        """Moves the tail into the file, and flushes that; False if it failed."""
        error = put(self.file, self.tail, _TOP, self.fill) or put(self.file, None, 0, 0)
        if error:
            return self.fail(error)
        self.fill = 0
        self._loose = self._fresh = False
        self.writes += 1
        return True

    def attempt(self, record, state):
        """Sets its state, before an attempt and where one did not count. Commits."""
        buf = self.ring.buf
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
        return overlay.call("store.recovery", "sent", self, record, part, out)

    def done(self, record):
        """It is answered, or never will be: appends that. To be called before it is dropped."""
        self._append(_DONE, record, self.buf, 0, 0)
        self._name(record, 0)

    def offset(self, buf, off, n):
        """Appends the offset buf[off:off+n] (n <= 20), if it is another than the file has."""
        if n != self.buf[_KEPT] or not octets.same(self.buf, _KEPT + 1, buf, off, n):
            octets.copy(self.buf, _KEPT + 1, buf, off, n)
            self.buf[_KEPT] = n
            self._append(_OFFSET, -1, self.buf, _KEPT + 1, n)

    def close(self):
        """Commits, and closes the files: for a clean stop, before the file system is unmounted."""
        if self.commit() and self._spill():
            self.file.close()
            self.now.close()

    # The file.

    @micropython.native
    def _append(self, kind, record, buf, off, n):
        full = self.full(n)
        if self._doubt or (full and kind == _RECEIVED):
            return False
        number = 0
        if kind == _RECEIVED:
            number = self.count + 1
        elif record >= 0:
            box = self.ring.buf
            number = box[record + _NUMBER] | box[record + _NUMBER + 1] << 8
            if not number:
                return True
        file = None
        if kind == _RECEIVED or kind == _OFFSET:
            file = self.file
            self._loose = True
        elif self.fill + _HEADER + n > _ROOM - _TOP and not self._spill():
            return False
        error = self._put(file, kind, number, buf, off, n)
        if error:
            return self.fail(error)
        if kind == _RECEIVED:
            self.count = number
            self._name(record, number)
        self.dead |= kind >= _DONE  # a rewriting would make room
        return True

    @micropython.native
    def _put(self, file, kind, number, buf, off, n):
        head = self.buf
        head[0] = kind
        head[1] = number & 255
        head[2] = number >> 8
        head[3] = n & 255
        head[4] = n >> 8
        crc = octets.crc16(buf, off, n, octets.crc16(head, 0, 5, 0xFFFF))
        head[5] = crc & 255
        head[6] = crc >> 8
        number = _HEADER + n
        self.size += number
        self.bytes += number
        if file is not None:
            return put(file, head, 0, _HEADER) or put(file, buf, off, n)
        end = _TOP + self.fill
        octets.copy(self.tail, end, head, 0, _HEADER)
        octets.copy(self.tail, end + _HEADER, buf, off, n)
        self.fill += number
        self._fresh = True
        return 0

    def rewrite(self):
        """Makes the file anew from what is live; False if it could not be, and the old one is."""
        if self._loose and not self._doubt:
            self._spill()  # closing would flush the file without the tail
        buf, ring = self.buf, self.ring
        count = error = self.size = 0
        try:
            if self._doubt:
                self.file = open(self.path, "a+b")
            generation = (self.generation + 1) & 7
            if generation == self.tail[0]:  # a tail of no known file lies there
                generation = (generation + 1) & 7
            with open(self.aside, "wb") as new:
                error = self._put(new, _BOT, generation, self.bot, 0, len(self.bot)) or error
                at = ring.first()
                while at >= 0:
                    if ring.buf[at + _NUMBER] or ring.buf[at + _NUMBER + 1]:
                        count += 1
                        error = (
                            self._put(new, _RECEIVED, count, ring.buf, at, ring.size(at)) or error
                        )
                    at = ring.after(at)
                for source in self.both():
                    self.source = source
                    kind = self.read(False)
                    while kind:
                        rank = kind == _ANSWERING and self.rank(buf[1] | buf[2] << 8)
                        if rank:
                            error = self._put(new, kind, rank, buf, _HEADER, buf[3]) or error
                        kind = self.read(False)
                error = self._put(new, _OFFSET, 0, buf, _KEPT + 1, buf[_KEPT]) or error
            if error:
                return self.fail(error)
            self.file.close()
            os.rename(self.aside, self.path)
            self.generation = generation
            self.fill = 0
            self.source = None
            self.count = self.rank(0)
            self.file = None
            gc.collect()  # where the two were there is room for this one
            self.file = open(self.path, "a+b")
            if self._doubt:
                self.beside()
        except MemoryError:
            self.fail(_ENOMEM)
            raise
        except OSError as error:
            return self.fail(error.errno)
        self._doubt = self._loose = self._fresh = self.dead = False
        self.rewrites += 1
        return True

    def fail(self, error):
        """Closes the files as they were when last flushed. What is on flash is true still."""
        self.error = error or -1
        self._doubt = True
        for file in (self.file, self.now):
            try:
                if file:
                    file.close()
            except OSError:
                pass
        return False
