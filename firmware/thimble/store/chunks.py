"""Chunks in files: appended to the newest one, which another follows in time, and read again.

A file is a row of chunks:

    0      kind
    1      n, bytes of payload
    2      payload
    n + 2  CRC-16 of all before it, low byte first

A chunk with a key, of the kinds USER, ASSISTANT, SUMMARY and CLEAR, says in the first 4 bytes of
its payload the minute, low byte first; TEXT chunks follow, the last one being LAST. The first
chunk that is not whole ends its file: nothing behind it is read, and nothing is appended to that
file. What is appended together lies in one file, so that the oldest file can go at any time.

One scratch serves both ways. A chunk to be appended stands at its beginning; behind the room of
one chunk stands what was read ahead, with the rest of what was read before it right in front.
"""

import gc
import os

from thimble.core.octets import copy, crc16
from thimble.store import get, put

_CLEAR = const(3)
_TEXT = const(4)
_LAST = const(5)
_PART = const(-2)  # the next chunk was not read as a whole
_CHUNK = const(259)  # bytes of the largest
_CRC = const(0xFFFF)

_DAY = const(1440)
_TURN = const(16384)  # bytes that any turn has room for, if half a file is as much
_ALL = const(0xFFFF)  # bytes, as many as there is room for
_SET = const(28401120)  # minutes to 2024: a clock that says less was never set


class Chunks:
    """Chunks through the scratch ``buf``; the arguments are those of store.sessions.

    ``files``: how many files there are; ``first``, ``last``: the lowest and the highest number, 0
    if there is none. ``error``: the errno of the last failure.

    A subclass has two methods: ``check`` takes the errno of what failed, or 0, and returns whether
    nothing did; ``more`` appends the ``fill`` bytes of text that wait in the scratch, where what
    is read ahead needs the room.
    """

    def __init__(self, folder, buf, files, file_bytes, keep_days):
        self.error = self.files = self.first = self.last = 0
        self._folder = folder
        self.limit = files
        self.buf = buf
        self._view = memoryview(buf)[_CHUNK:]
        self._most = file_bytes
        self.age = keep_days * _DAY
        self._span = max(_DAY, self.age // max(1, files - 1))
        self.now = self.fill = self.length = 0  # the minute; bytes of text, waiting, appended
        self.size = self.since = 0  # of the newest file: its bytes, the first minute in it
        self._loose = False  # something was appended since the last commit
        self.file = None  # the newest, for appending; one of the handles too
        # What is read: a file, its number, the offset in it of what the scratch begins with; how
        # far that was filled, and where in it the next chunk begins.
        self.source = None
        self.number = self.at = self.have = self.next = 0
        # All files stay open, and so that this takes no heap later, as many are open from the
        # start: handles of a file that is removed again. Not behind what reading the journal left.
        self._handles = [None] * files
        gc.collect()
        try:
            os.mkdir(folder)
        except OSError:
            pass
        try:
            for slot in range(files):
                self._handles[slot] = 0, open(self.path("new"), "a+b")
        except OSError:
            pass
        self.remove("new")
        self.error = 0

    # The files.

    def path(self, name):
        """Of a file, by its number, or of "new"."""
        return "%s/%s" % (self._folder, name)

    def list(self):
        """Counts the files anew; what was counted before stays if that fails."""
        count = first = last = 0
        try:
            for entry in os.ilistdir(self._folder):
                if entry[0].isdigit():
                    number = int(entry[0])
                    last = max(last, number)
                    first = min(first or number, number)
                    count += 1
        except OSError as error:
            self.error = error.errno
            return
        self.files = count
        self.first = first
        self.last = last

    def remove(self, name):
        """Removes a file; whether that was possible."""
        gone = True
        try:
            if name != "new":
                self.close(name)
            os.remove(self.path(name))
        except OSError as error:
            self.error = error.errno
            gone = False
        self.list()
        return gone

    def open(self, number, mode):
        """A file, in place of what its handle was of; to be read it may be missing: None."""
        self.close(number)
        gc.collect()  # where the other was there is room for this one
        try:
            file = open(self.path(number), mode)
        except OSError:
            if mode == "rb":
                return None
            raise
        self._handles[number % self.limit] = number, file
        return file

    def close(self, number):
        """Closes what stands where this file's handle is, or would be.

        What was not committed is, if possible.
        """
        number %= self.limit
        kept = self._handles[number]
        self._handles[number] = None
        self.seek(0, 0)
        if kept is not None:
            if kept[1] is self.file:
                self.file = None
            try:
                kept[1].close()
            except OSError as error:
                self.error = error.errno

    # Appending.

    def append(self, kind, n):
        """Appends the chunk whose payload is in the scratch; whether that was possible."""
        self.buf[0] = kind
        self.buf[1] = n
        self.length += n
        n += 4
        crc = crc16(self.buf, 0, n - 2, _CRC)
        self.buf[n - 2] = crc & 255
        self.buf[n - 1] = crc >> 8
        self.fill = self.have = 0
        if not self.check(put(self.file, self.buf, 0, n)):
            return False
        self._loose = True
        self.size += n
        return True

    def ready(self):
        """Whether there is a file to append to."""
        if self.full() and not self._turn_over():
            return False
        if not self.since and self.now >= _SET:
            self.since = self.now
        return True

    def full(self):
        """Whether the newest file is not open, or has had enough: bytes, or days."""
        if self.file is None or self.size > max(self._most // 2, self._most - _TURN):
            return True
        return self.since and self.now - self.since > self._span

    def _turn_over(self):
        """Goes on in the newest file, or where that has had enough in a new one."""
        try:
            if self.file is None and self.scan(self.last):
                self.size = self.at
                self.file = self.open(self.last, "a+b")
            if self.full():
                if self.file is not None:
                    self.file.flush()
                    self.file = None  # it stays open, to be read
                while self.files >= self.limit and self.remove(self.first):
                    pass
                self.file = self.open(self.last + 1, "a+b")
                self.last += 1
                self.first = self.first or self.last
                self.files += 1
                self.size = self.since = 0
        except OSError as error:
            return self.check(error.errno or -1)
        return True

    # Reading.

    def seek(self, number, at):
        """Goes to offset ``at`` of a file, to read on from there; number 0: of none.

        ``source`` is the file then, None if there is no such.
        """
        if number != self.number:
            self.source = None
            if number:
                kept = self._handles[number % self.limit]
                if kept is not None and kept[0] == number:
                    self.source = kept[1]
                else:
                    self.source = self.open(number, "rb")
            self.number = number
        self.at = at
        self.have = self.next = 0

    def read(self, skim=False):
        """Reads the next chunk: its kind, and its payload is ``buf[pos:stop]``; or -1.

        ``skim``: the next one with a key; the texts before it are passed over unchecked. At -1
        ``at`` is its offset, and ``whole`` says whether the file ended there and not at a chunk
        that is broken.
        """
        self.whole = False
        kind = self._parse(skim)
        while kind == _PART and self._read_on():
            kind = self._parse(skim)
        if kind >= 0:
            return kind
        self.at += self.next
        self.next = self.have = 0
        if not self.whole and self.source is self.file:
            self.size = self._most  # appending goes on in another file
        return -1

    def _parse(self, skim):
        """What read() returns of what was read ahead, -1 for a broken chunk; or _PART."""
        buf = self.buf
        pos = self.next
        while pos + 4 <= self.have:
            n = pos + buf[pos + 1] + 2
            if skim and _TEXT <= buf[pos] <= _LAST:
                pos = n + 2
            elif n + 2 > self.have:
                break
            elif crc16(buf, pos, n - pos, _CRC) != buf[n] | buf[n + 1] << 8 or buf[pos] > _LAST:
                self.next = pos
                return -1
            else:
                self.pos = pos + 2
                self.stop = n
                self.next = n + 2
                return buf[pos]
        self.next = pos
        return _PART

    def _read_on(self):
        """Reads on, behind what was read ahead and is left; whether there was anything."""
        n = 0
        at = -1
        if self.have:
            n = self.have - self.next  # negative: some that are not read yet are passed over
            copy(self.buf, _CHUNK - n, self.buf, self.next, n)
        else:
            if self.fill:  # what waits in the scratch
                self.more()
            if self.source is None:
                return False
            at = self.at + self.next
        self.at += self.next + n - _CHUNK
        self.next = _CHUNK - n
        at = get(self.source, at, self._view, _ALL)
        if at < 0:  # such a failure may pass
            at = get(self.source, self.at + _CHUNK, self._view, _ALL)
        if at <= 0:
            self.whole = not (n or at)
            self.error = -at or self.error
            return False
        self.have = _CHUNK + at
        return True

    def scan(self, number):
        """Reads a file through: whether it is whole. Sets the first and the newest minute in it,
        0 where the clock was never set, or ahead by more than a day."""
        buf = self.buf
        self.since = self.newest = 0
        self.seek(number, 0)
        while True:
            kind = self.read()
            if kind < 0:
                return self.whole
            if kind <= _CLEAR:
                i = self.pos
                minute = buf[i] | buf[i + 1] << 8 | buf[i + 2] << 16 | (buf[i + 3] & 63) << 24
                if _SET <= minute <= self.now + _DAY:
                    self.since = self.since or minute
                    self.newest = max(self.newest, minute)
