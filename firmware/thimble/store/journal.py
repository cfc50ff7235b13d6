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

import micropython
from micropython import const

from thimble import overlay
from thimble.core import octets
from thimble.store import put

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
_TRIES = const(3)  # to read the file: beginning anew would lose what is in it
_PARTS = const(256)  # whose messages are known

_TOP = const(4)  # where the records begin in the tail
_ROOM = const(120)  # its bytes; littlefs keeps at most 128 beside the name, whatever the board

# In the scratch: a header, the first bytes of the payload behind it, further bytes of it, the
# length of the offset and the offset, and a bit for each number in the file.
_HEADER = const(7)
_MORE = const(80)
_KEPT = const(144)
_BITS = const(166)
_ID = const(20)


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
        self.first = memoryview(buf)[_HEADER:_MORE]
        self.more = memoryview(buf)[_MORE:_KEPT]
        self.file = self.ring = self.now = self.source = None
        self.tail = bytearray(_ROOM)
        self.fill = self.generation = self.at = 0
        # Not known to be whole; to be flushed, the file and the tail; rewriting may make room.
        self.loose = self.fresh = False
        self.writes = self.bytes = self.rewrites = self.damaged = 0

    def load(self, ring, bot, out):
        """Puts all that is not done into the empty inbox ``ring``; the offset's length in ``out``.

        bot: the bot's id (what stands before the token's colon, as bytes); the file of another bot
        is dropped. ``out`` must have 20 bytes. Never raises: see ``damaged`` and ``error``. What
        cannot be read at the third try either is lost.
        """
        self.ring = ring
        self.bot = bot[:_ID]
        n = 0
        for _ in range(_TRIES):
            ring.clear()
            self.size = self.count = self.error = 0
            self.doubt = self.dead = False
            n = overlay.call("store.recovery", "load", self, out)
            if not self.error:
                break
        return n

    def name(self, record, number):
        """Writes down a message's number in the file."""
        self.ring.buf[record + _NUMBER] = number & 255
        self.ring.buf[record + _NUMBER + 1] = number >> 8

    def behind(self, buf, off, n):
        """The offset is behind the update whose id is given."""
        n = min(n, _ID)
        octets.copy(self.buf, _KEPT + 1, buf, off, n)
        self.buf[_KEPT] = octets.increment(self.buf, _KEPT + 1, n)

    # What the relay says.

    def full(self, n):
        """Whether an inbox record of n bytes has no room. Rewrites the file if that may help."""
        if self.doubt or (self.dead and self.size + _HEADER + n > self._most):
            self.rewrite()
        return self.doubt or self.size + _HEADER + n > self._most

    def received(self, record, n):
        """Appends the inbox record of n bytes that was pended at ``record`` and is to be finished.

        False if it could not be: the update must not be confirmed. If the relay keeps the record
        all the same, the other methods take it and write nothing.
        """
        self.name(record, 0)
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
        if self.doubt:
            return self.rewrite()
        if self.loose:
            return self.spill()
        if self.fresh:
            tail, size = self.tail, self.size - self.fill
            tail[0] = self.generation
            tail[1] = self.fill
            tail[2] = size & 255
            tail[3] = size >> 8 & 255
            error = put(self.now, tail, -1, _TOP + self.fill)
            if error:
                return self.fail(error)
            self.fresh = False
            self.writes += 1
        return True

    def spill(self):
        """Moves the tail into the file, and flushes that; False if it failed."""
        error = put(self.file, self.tail, _TOP, self.fill) or put(self.file, None, 0, 0)
        if error:
            return self.fail(error)
        self.fill = 0
        self.loose = self.fresh = False
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
        self.name(record, 0)

    def offset(self, buf, off, n):
        """Appends the offset buf[off:off+n] (n <= 20), if it is another than the file has."""
        if n != self.buf[_KEPT] or not octets.same(self.buf, _KEPT + 1, buf, off, n):
            octets.copy(self.buf, _KEPT + 1, buf, off, n)
            self.buf[_KEPT] = n
            self._append(_OFFSET, -1, self.buf, _KEPT + 1, n)

    def close(self):
        """Commits, and closes the files: for a clean stop, before the file system is unmounted."""
        if self.commit() and self.spill():
            self.file.close()
            self.now.close()

    # The file.

    @micropython.native
    def _append(self, kind, record, buf, off, n):
        full = self.full(n)
        if self.doubt or (full and kind == _RECEIVED):
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
            self.loose = True
        elif self.fill + _HEADER + n > _ROOM - _TOP and not self.spill():
            return False
        error = self.put(file, kind, number, buf, off, n)
        if error:
            return self.fail(error)
        if kind == _RECEIVED:
            self.count = number
            self.name(record, number)
        self.dead |= kind != _RECEIVED  # a rewriting may make room
        return True

    @micropython.native
    def put(self, file, kind, number, buf, off, n):
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
        self.fresh = True
        return 0

    def rewrite(self):
        """Makes the file anew from what is live; False if it could not be, and the old one is."""
        return overlay.call("store.recovery", "rewrite", self)

    def fail(self, error):
        """Closes the files as they were when last flushed. What is on flash is true still."""
        self.error = error or -1
        self.doubt = True
        for file in (self.file, self.now):
            try:
                if file:
                    file.close()
            except OSError:
                pass
        return False
