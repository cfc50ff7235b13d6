"""The sessions' turns on flash: what RAM is rebuilt from, and the archive behind /history.

All sessions share a few numbered files, appended to in the order of time. A file is a row of
chunks:

    0      kind
    1      n, bytes of payload
    2      payload
    n + 2  CRC-16 of all before it, low byte first

A chunk with a key, USER, ASSISTANT, SUMMARY (they begin a turn) or CLEAR, has the payload

    0      the minute, 4 bytes, low byte first
    4      2 bytes, low byte first: keep (SUMMARY), or the mark of the question's message (USER)
    6      the session's key

and TEXT chunks follow, the turn's last one being LAST. A turn without LAST does not exist, nor
does one without text. A SUMMARY stands in place of all that its key has before it but the last
``keep`` turns; behind a CLEAR nothing before it is loaded. The archive shows what they hide.

The first chunk that is not whole ends its file: nothing behind it is read, and nothing is
appended to that file. Where a session's turns are looked for, the texts of others are passed over
unchecked. Each turn lies in one file, so that the oldest file can go at any time.
"""

import gc
import os
from array import array

import micropython
from micropython import const

from thimble.core.conversation import ASSISTANT, SUMMARY, USER
from thimble.core.octets import copy, crc16, same
from thimble.core.text import boundary
from thimble.store import put

_CLEAR = const(3)
_TEXT = const(4)
_LAST = const(5)

_KEY = const(6)  # offset in a payload
_MOST = const(255)  # bytes of a payload
_CHUNK = const(259)  # of a whole chunk
_CRC = const(0xFFFF)
_CUT = b" [...]"

_TURNS = const(40)  # that one load or history gives at most
_SLOTS = const(41)
_PLACE = const(123)  # 3 * _SLOTS: where the summary's slot stands

_DAY = const(1440)
_SET = const(28401120)  # minutes to 2024: a clock that says less was never set
_ENOSPC = const(28)  # littlefs's own number, on every board


class Sessions:
    """Sessions in up to ``files`` files of ``file_bytes`` (2 KB to 65,535) in ``folder``.

    ``buf``: a scratch of at least 300 bytes, better 512, that no one else uses. A new file begins
    when the newest is half full, so that any turn has half a file (a longer one is cut), and when
    it is older than a day (or the part of ``keep_days`` that one file has to span). The oldest go
    when there are too many, and until ``spare`` blocks of the file system are free.

    ``now``, minutes since 1970 or 0, is the caller's to set. ``files`` and ``bytes`` are counted;
    ``error`` is the errno of the last failure, 0 if there was none. No method raises OSError.
    """

    def __init__(self, folder, buf, files=6, file_bytes=32768, spare=0, keep_days=7):
        self.buf = buf
        self._view = memoryview(buf)[_CHUNK:]
        self.now = self.error = self.files = self.bytes = self._first = self._last = 0
        self._folder = folder
        self._limit = files
        self._full = file_bytes
        self._spare = spare
        self._keep = keep_days * _DAY
        self._span = max(_DAY, self._keep // max(1, files - 1))
        self._file = None  # the newest, for appending
        self._size = self._since = 0  # its bytes, the first minute in it
        self._fill = 0  # bytes of text that wait in the scratch
        self._open = False  # a turn is being written
        self._dirty = self._skip = False  # since the last commit: something was written, was lost
        self._from = None  # the file that is being read, maybe self._file
        # Files open for reading stay so: opening one costs heap at every load.
        self._readers = [None] * files
        self._number = 0
        self._at = self._have = self._next = 0
        # What was found: three numbers a turn, (file - _base) << 2 | role, offset, bytes of text.
        self._turns = array("H", bytes(6 * (_SLOTS + 1)))
        self._low = self._high = self._turn = self._base = 0
        self.mark = -1  # of the last question that load() or history() found; -1 if none
        try:
            os.mkdir(folder)
        except OSError:
            pass
        self._remove("new")
        self.error = 0

    def _path(self, name):
        return "%s/%s" % (self._folder, name)

    def _list(self):
        """Counts the files anew; what was counted before stays if that fails."""
        count = size = first = last = 0
        try:
            for entry in os.ilistdir(self._folder):
                if entry[0].isdigit():
                    number = int(entry[0])
                    last = max(last, number)
                    first = min(first or number, number)
                    count += 1
                    size += entry[3]
        except OSError as error:
            self.error = error.errno
            return
        self.files = count
        self.bytes = size
        self._first = first
        self._last = last

    def _remove(self, name):
        """Removes a file; whether that was possible."""
        gone = True
        try:
            if name != "new":
                self._shut(name % self._limit)
            os.remove(self._path(name))
        except OSError as error:
            self.error = error.errno
            gone = False
        self._list()
        return gone

    # Writing.

    @micropython.native
    def begin(self, buf, off, n, role, keep=0):
        """Opens a turn of the session with the key ``buf[off : off + n]``, at most 40 bytes.

        ``role`` is USER, ASSISTANT or SUMMARY; a summary leaves the ``keep`` turns before it. Of
        a question ``keep`` is a mark, 16 bits, which is in ``mark`` after the question is found.
        What fails is given up, with the rest of what is written before the next commit.
        """
        self.abort()
        for _ in range(2):
            if self._skip:
                return
            try:
                self._ready()
            except OSError as error:
                self._check(error.errno or -1)
                continue
            scratch = self.buf
            minute = self.now
            for i in range(2, 6):
                scratch[i] = minute & 255
                minute >>= 8
            scratch[6] = keep & 255
            scratch[7] = keep >> 8
            copy(scratch, 2 + _KEY, buf, off, n)
            if self._put(role, _KEY + n):
                self._open = True
                return
        self._skip = True

    def write(self, buf, off, n):
        """Adds ``buf[off : off + n]``, UTF-8 that may be split anywhere, to the open turn."""
        self._have = 0  # what was read ahead
        while n > 0 and self._open:
            step = min(n, _MOST - self._fill)
            if step:
                copy(self.buf, 2 + self._fill, buf, off, step)
                self._fill += step
                off += step
                n -= step
            else:
                self._more()

    def _more(self):
        """Writes the text that waits in the scratch; where the file ends, the turn is cut."""
        fill = self._fill
        if self._size + 2 * _CHUNK <= self._full:
            self._put(_TEXT, fill)
            return
        fill = boundary(self.buf, 2, 2 + min(fill, _MOST - len(_CUT)))
        copy(self.buf, fill, _CUT, 0, len(_CUT))
        self._fill = fill - 2 + len(_CUT)
        self.end()

    def end(self):
        """Closes the open turn, if there is one."""
        if self._open:
            self._put(_LAST, self._fill)
        self.abort()

    def abort(self):
        """Gives the open turn up, if there is one."""
        self._open = False
        self._fill = 0

    def commit(self):
        """What was written is kept from now on, whatever happens: one flush for an exchange."""
        if self._dirty:
            self._check(put(self._file, None, 0, 0))
        self._dirty = self._skip = False

    def clear(self, buf, off, n):
        """Begins the session with this key anew, and commits."""
        self.begin(buf, off, n, _CLEAR)
        self.abort()
        self.commit()

    def _put(self, kind, n):
        """Appends the chunk whose payload is in the scratch; whether that was possible."""
        self.buf[0] = kind
        self.buf[1] = n
        n += 2
        crc = crc16(self.buf, 0, n, _CRC)
        self.buf[n] = crc & 255
        self.buf[n + 1] = crc >> 8
        n += 2
        self._fill = self._have = 0
        if not self._check(put(self._file, self.buf, 0, n)):
            return False
        self._dirty = True
        self._size += n
        self.bytes += n
        return True

    def _ready(self):
        """Makes sure that there is a file to append to."""
        if self._file is None and self.files and self._scan(self._last):
            self._size = self._at
            self._seek(0, 0)
            self._shut(self._last % self._limit)
            self._file = open(self._path(self._last), "a+b")
        if self._file is None or self._size > self._full // 2 or self._old():
            self._retire()
            while self.files >= self._limit or self._short():
                if not self.files or not self._remove(self._first):
                    break
            gc.collect()  # where the other was there is room for this one
            self._file = open(self._path(self._last + 1), "a+b")
            self._last += 1
            self._first = self._first or self._last
            self.files += 1
            self._size = self._since = 0
        if not self._since and self.now >= _SET:
            self._since = self.now

    def _old(self):
        return self._since and self.now - self._since > self._span

    def _short(self):
        return self._spare and os.statvfs(self._folder)[3] < self._spare

    def _retire(self):
        """The newest file is only read from now on; it stays open for that."""
        if self._file is not None:
            self._file.flush()
            self._seek(0, 0)
            slot = self._last % self._limit
            self._shut(slot)
            self._readers[slot] = self._last, self._file
            self._file = None

    def _close(self):
        """Closes the files, to append and to read. What was not committed is, if possible."""
        self._seek(0, 0)
        for slot in range(self._limit):
            self._shut(slot)
        if self._file is not None:
            file = self._file
            self._file = None
            file.close()

    def _check(self, error):
        """Whether there is none. After a failed write littlefs drops what was not committed; a
        full disk gets room."""
        if not error:
            return True
        self.error = error
        self._skip = self._dirty or self._open
        self._dirty = False
        self.abort()
        try:
            self._close()
        except OSError:
            pass  # the failure that is known
        self._list()
        if self.error == _ENOSPC and self.files > 1:
            self._remove(self._first)
        return False

    # Reading.

    def _seek(self, number, at):
        """Goes to offset ``at`` of a file, to read on from there; number 0 closes it."""
        if number != self._number:
            self._from = None
            if number and number == self._last and self._file is not None:
                self._from = self._file
            elif number:
                self._from = self._reader(number)
            self._number = number
        self._at = at
        self._have = self._next = 0

    def _reader(self, number):
        """The file, open for reading; None if it cannot be opened."""
        kept = self._readers[number % self._limit]
        if kept is None or kept[0] != number:
            kept = self._opened(number)
        return kept[1]

    def _opened(self, number):
        slot = number % self._limit
        self._shut(slot)
        try:
            self._readers[slot] = number, open(self._path(number), "rb")
        except OSError:
            return 0, None
        return self._readers[slot]

    def _shut(self, slot):
        kept = self._readers[slot]
        self._readers[slot] = None
        if kept is not None:
            kept[1].close()

    @micropython.native
    def _chunk(self, skim=False):
        """Reads the next chunk: its kind, and its payload is ``buf[pos:stop]``; or -1.

        ``skim``: the next one with a key; the texts before it are passed over unchecked. At -1
        ``_whole`` says whether the file ended there and not at a chunk that is broken.
        """
        buf = self.buf
        pos = self._next
        have = self._have
        self._whole = False
        while True:
            if pos + 4 <= have:
                n = pos + buf[pos + 1] + 2
                if skim and _TEXT <= buf[pos] <= _LAST:
                    pos = n + 2
                    continue
                if n + 2 <= have:
                    crc = crc16(buf, pos, n - pos, _CRC)
                    if crc != buf[n] | buf[n + 1] << 8 or buf[pos] > _LAST:
                        break
                    self.pos = pos + 2
                    self.stop = n
                    self._next = n + 2
                    return buf[pos]
            n = 0  # bytes that were read already, to stand right before what is read now
            try:
                if have:
                    n = have - pos  # negative: some that are not read yet are passed over
                    copy(buf, _CHUNK - n, buf, pos, n)
                else:
                    if self._fill:  # what waits in the scratch
                        self._more()
                    if self._from is None:
                        return -1
                    self._from.seek(self._at + pos)
                self._at += pos + n - _CHUNK
                pos = _CHUNK - n
                have = self._from.readinto(self._view)
            except OSError as error:
                self.error = error.errno
                break
            if not have:
                self._whole = not n
                break
            have += _CHUNK
            self._have = have
        self._at += pos
        self._next = self._have = 0
        if not self._whole and self._from is self._file:
            self._size = self._full  # appending goes on in another file
        return -1

    def _scan(self, number):
        """Reads a file through: whether it is whole. Sets the first and the newest minute in it,
        0 where the clock was never set."""
        buf = self.buf
        self._since = self._newest = 0
        self._seek(number, 0)
        while True:
            kind = self._chunk()
            if kind < 0:
                return self._whole
            if kind <= _CLEAR:
                i = self.pos
                minute = buf[i] | buf[i + 1] << 8 | buf[i + 2] << 16 | (buf[i + 3] & 63) << 24
                if minute >= _SET:
                    self._since = self._since or minute
                    self._newest = max(self._newest, minute)

    def _mine(self, buf, off, n):
        """Whether the chunk that was read has this key."""
        pos = self.pos + _KEY
        return self.stop - pos == n and same(self.buf, pos, buf, off, n)

    @micropython.native
    def _find(self, buf, off, n, raw):
        """Finds the last turns of this key: those numbered from _low to _high, exclusive.

        ``raw``: all of them. Otherwise no summary and what summary and clear leave, and of turns
        of one role in a row the last, as /retry means it: the later answer replaces the earlier,
        and a question the one before it that got no answer.
        """
        scratch = self.buf
        turns = self._turns
        turns[_PLACE + 2] = 0
        self._base = self._first
        low = high = size = keep = at = 0
        self.mark = -1
        gap = True  # what was said just before is not known
        number = self._first
        while number <= self._last:
            self._seek(number, 0)
            role = -1
            kind = self._chunk(True)
            while kind >= 0:
                if kind <= _CLEAR:
                    role = -1
                    if self._mine(buf, off, n):
                        i = self.pos
                        if kind < _CLEAR:
                            role = kind
                            at = self._at + i - 2
                            size = 0
                            keep = scratch[i + 4] | scratch[i + 5] << 8
                        elif not raw:
                            low = high
                            turns[_PLACE + 2] = 0
                elif role >= 0:
                    size += self.stop - self.pos
                    if kind == _LAST and size:
                        i = -1
                        if role == USER:
                            self.mark = keep
                        if role == SUMMARY:
                            if not raw:
                                low = max(low, high - keep)
                                i = _PLACE
                        elif raw or role == USER or not gap:
                            if not raw and high > low:
                                i = (high - 1) % _SLOTS * 3
                                high -= turns[i] & 3 == role
                            i = high % _SLOTS * 3
                            high += 1
                            low = max(low, high - _TURNS)
                            gap = False
                        if i >= 0:
                            turns[i] = number - self._base << 2 | role
                            turns[i + 1] = at
                            turns[i + 2] = size
                        role = -1
                kind = self._chunk(role < 0)
            gap = gap or not self._whole
            number += 1
        self._low = low
        self._high = high
        self.rewind()

    def load(self, chats, conversation, limit):
        """Rebuilds an empty conversation of ``chats`` from the last turns of its key.

        At most 40, with at most ``limit`` bytes of text (of each turn what the conversation's
        share keeps), a summary first if there is one, then the user. Returns their number.
        """
        self._find(conversation.key, 0, conversation.key_len, False)
        self._fit(chats.pool.share, limit)
        self.rewind()
        while self._copy_turn(chats, conversation):
            pass
        self._seek(0, 0)
        return conversation.turns

    def _fit(self, share, limit):
        """Leaves of the turns that were found those that load() gives."""
        turns = self._turns
        size = min(turns[_PLACE + 2], share)
        if size > limit:
            size = 0
        limit -= size
        first = self._high
        while first > self._low:
            limit -= min(turns[(first - 1) % _SLOTS * 3 + 2], share)
            if limit < 0:
                break
            first -= 1
        if first < self._high and turns[first % _SLOTS * 3] & 3 == ASSISTANT:
            first += 1
        if size:
            first -= 1
        self._low = first
        if size:
            first = first % _SLOTS * 3
            turns[first] = turns[_PLACE]
            turns[first + 1] = turns[_PLACE + 1]
            turns[first + 2] = turns[_PLACE + 2]

    def _copy_turn(self, chats, conversation):
        """Copies the next turn; False if there is none, or not all of it could be."""
        role = self.next_turn()
        if role < 0:
            return False
        conversation.begin(role)
        while self.next_piece():
            if not chats.append(conversation, self.buf, self.pos, self.stop - self.pos):
                conversation.abort()
                return False
        if not self._done:
            conversation.abort()
            return False
        conversation.end()
        return True

    def history(self, buf, off, n, count):
        """Finds this key's last ``count`` turns, at most 40; returns how many there are.

        They are read as a Conversation is: rewind, next_turn, next_piece. What is written in
        between may end the turn that is being read.
        """
        self._find(buf, off, n, True)
        self._low = max(self._low, self._high - count)
        self.rewind()
        return self._high - self._low

    def rewind(self):
        """Begins to read at the oldest turn that was found."""
        self._turn = self._low
        self._done = True

    def next_turn(self):
        """Goes to the next turn: its role, or -1 behind the last."""
        self._done = True
        if self._turn >= self._high:
            self._seek(0, 0)
            return -1
        i = self._turn % _SLOTS * 3
        self._turn += 1
        self._seek(self._base + (self._turns[i] >> 2), self._turns[i + 1])
        self._done = False
        return self._turns[i] & 3 if self._chunk() >= 0 else -1

    def next_piece(self):
        """The turn's next piece of text: True, and it is ``buf[pos:stop]``. False at its end."""
        if self._done:
            return False
        kind = self._chunk()
        self._done = kind == _LAST
        return kind >= _TEXT

    # Removing.

    def forget(self, buf, off, n):
        """Removes all that the session with this key has said; whether nothing of it is left.

        Each file that holds some is written anew without it, aside, and renamed over. What no
        longer can be read goes too, and where there is no room to write, the whole file. The
        flash itself may keep old bytes in blocks that littlefs has freed, until it reuses them;
        no file shows them.
        """
        self.abort()
        self.commit()
        self._close()
        done = True
        for number in range(self._first, self._last + 1):
            try:
                if self._without(number, buf, off, n, None):
                    with open(self._path("new"), "wb") as out:
                        self._without(number, buf, off, n, out)
                        size = out.tell()
                    self._seek(0, 0)
                    self._shut(number % self._limit)
                    os.rename(self._path("new"), self._path(number))
                    if not size:
                        self._remove(number)
            except OSError as error:
                self._seek(0, 0)
                done = self._remove(number) and done
                self._remove("new")
                self.error = error.errno
        self._seek(0, 0)
        self._list()
        return done

    def _without(self, number, buf, off, n, out):
        """Copies a file without this key to ``out``, if not None; whether that changes it."""
        changes = mine = False
        self._seek(number, 0)
        while self._from is not None:
            kind = self._chunk()
            if kind < 0:
                return changes or not self._whole
            if kind <= _CLEAR:
                mine = self._mine(buf, off, n)
            if mine:
                changes = True
            elif out is not None:
                out.write(self.buf, self.pos - 2, self.stop - self.pos + 4)
        return False

    def clean(self, now):
        """Removes each file whose newest turn is older than ``keep_days``; between turns.

        A file from before the clock was set goes with the one that follows it. While the clock
        is not set, nothing does: ``now`` is less than any minute that counts.
        """
        self.now = now
        self.abort()
        self.commit()
        self._close()
        old = False
        number = self._last
        while self.files and number >= self._first:
            self._scan(number)
            if self._newest:
                old = now - self._newest > self._keep
            if old and self._from is not None:
                self._seek(0, 0)
                self._remove(number)
            number -= 1
        self._seek(0, 0)
