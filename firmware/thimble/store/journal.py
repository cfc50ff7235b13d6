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

from thimble import overlay
from thimble.core.octets import copy, crc16, increment, same
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

    Counters: writes (flushes), rewrites, damaged (a file's end that could not be read, a message
    that had no place in the inbox). ``error`` is the errno of the last operation that failed, 0 if
    none has since it was set to 0. ``out``: the file that put() writes to just now.
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
        self.file = self.ring = self.now = self.source = self.out = None
        self.tail = bytearray(_ROOM)
        self.fill = self.generation = self.at = 0
        # Not known to be whole; to be flushed, the file and the tail; rewriting may make room.
        self.loose = self.fresh = False
        self.writes = self.rewrites = self.damaged = 0

    def load(self, ring, bot, out):
        """Puts all that is not done into the empty inbox ``ring``; the offset's length in ``out``.

        bot: the bot's id (what stands before the token's colon, as bytes); the file of another bot
        is dropped. ``out`` must have 20 bytes. Never raises: see ``damaged`` and ``error``. What
        cannot be read at the third try either is lost.
        """
        self.ring = ring
        self.bot = bot[:_ID]
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
        copy(self.buf, _KEPT + 1, buf, off, n)
        self.buf[_KEPT] = increment(self.buf, _KEPT + 1, n)

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
        if self.full(n) or not self._append(_RECEIVED | self.count + 1 << 8, buf, record, n):
            return False
        self.count += 1
        self.name(record, self.count)
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
            self.now.seek(0)
            error = put(self.now, tail, 0, _TOP + self.fill) or put(self.now, None, 0, 0)
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
        self.put(self._about(_ATTEMPT, record, 1), buf, record + _STATE, 1)
        self.commit()

    def answering(self, record, part, buf, n):
        """A message that shows a part was sent: its id is buf[1:1+n], buf[0] free. Commits."""
        if part < _PARTS:
            buf[0] = part
            n += 1
            # Another name for the head would make the frame too large.
            part = self._about(_ANSWERING, record, n)
            self.put(part, buf, 0, n)
            self.commit()

    def sent(self, record, part, out):
        """Copies the id of the message that shows a part; its length, 0 if none does."""
        return overlay.call("store.recovery", "sent", self, record, part, out)

    def done(self, record):
        """It is answered, or never will be: appends that. To be called before it is dropped."""
        self.put(self._about(_DONE, record, 0), self.buf, 0, 0)
        self.name(record, 0)

    def offset(self, buf, off, n):
        """Appends the offset buf[off:off+n] (n <= 20), if it is another than the file has."""
        if n != self.buf[_KEPT] or not same(self.buf, _KEPT + 1, buf, off, n):
            copy(self.buf, _KEPT + 1, buf, off, n)
            self.buf[_KEPT] = n
            self.full(n)
            if not self.doubt and self._append(_OFFSET, self.buf, _KEPT + 1, n):
                self.dead = True  # a rewriting may make room

    def close(self):
        """Commits, and closes the files: for a clean stop, before the file system is unmounted."""
        if self.commit() and self.spill():
            self.file.close()
            self.now.close()

    # The file.

    def _about(self, kind, record, n):
        """The head of a record about a message, for which the tail has room then; see put()."""
        self.full(n)
        box = self.ring.buf
        number = box[record + _NUMBER] | box[record + _NUMBER + 1] << 8
        if self.doubt or not number:
            return 0
        if self.fill + _HEADER + n > _ROOM - _TOP and not self.spill():
            return 0
        self.dead = True
        return kind | number << 8

    def _append(self, head, buf, off, n):
        """Appends a record to the file; False if that failed."""
        self.out = self.file
        self.loose = self.doubt = True  # Ctrl-C may leave half of it
        head = self.put(head, buf, off, n)  # what failed
        self.out = None
        self.doubt = False
        return not head or self.fail(head)

    def put(self, head, buf, off, n):
        """Writes a record to ``out``, or to the tail where that is None; the errno of what failed,
        or 0.

        head: its first three bytes, as one number; 0: nothing is to be written.
        """
        if not head:
            return 0
        to = self.buf
        to[0] = head & 255
        to[1] = head >> 8 & 255
        to[2] = head >> 16
        to[3] = n & 255
        to[4] = n >> 8
        head = crc16(to, 0, 5, 0xFFFF)
        head = crc16(buf, off, n, head)
        to[5] = head & 255
        to[6] = head >> 8
        self.size += _HEADER + n
        if self.out is None:
            return self._put_aside(buf, off, n)
        return put(self.out, to, 0, _HEADER) or put(self.out, buf, off, n)

    def _put_aside(self, buf, off, n):
        end = _TOP + self.fill
        copy(self.tail, end, self.buf, 0, _HEADER)
        copy(self.tail, end + _HEADER, buf, off, n)
        self.fill += _HEADER + n
        self.fresh = True
        return 0

    def rewrite(self):
        """Makes the file anew from what is live; False if it could not be, and the old one is."""
        return overlay.call("store.recovery", "rewrite", self)

    def fail(self, error):
        """Closes the files as they were when last flushed. What is on flash is true still."""
        self.error = error or -1
        self.doubt = True
        self.out = None
        for file in (self.file, self.now):
            try:
                if file:
                    file.close()
            except OSError:
                pass
        return False
