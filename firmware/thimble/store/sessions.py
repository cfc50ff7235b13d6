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
    6      how many files before this one the session's turn before lies, 127 if that is not known;
           128 is added if it or one before it is a SUMMARY
    7      its offset, 2 bytes
    9      its bytes of text, 2 bytes, at most 65,535; 0: there is none, or only behind a CLEAR
    11     the session's key

and TEXT chunks follow, the turn's last one being LAST. A turn without LAST does not exist, nor
does one without text. A SUMMARY stands in place of all that its key has before it but the last
``keep`` turns; behind a CLEAR nothing before it is loaded. The archive shows what they hide.

The first chunk that is not whole ends its file: nothing behind it is read, and nothing is
appended to that file. Where a session's turns are looked for, the texts of others are passed over
unchecked. Each turn lies in one file, so that the oldest file can go at any time.

An index in RAM knows the last turn of the sessions that spoke last; from there it goes from turn
to turn. Whose place is not known, or where a link leads astray, all files are read through. Four
16-bit numbers a session, the one used last at the end:

    0      CRC-16 of the key
    1      the turn's file, 15 bits, as 6 above (0: not known; 32768 for a SUMMARY)
    2, 3   its offset, its bytes of text
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

_KEEP, _BACK, _KEY = const(4), const(6), const(11)  # offsets in a payload
_MOST = const(255)  # bytes of a payload
_CHUNK = const(259)  # of a whole chunk
_CRC = const(0xFFFF)
_CUT = b" [...]"

_TURNS = const(40)  # that one load or history gives at most
_SLOTS = const(41)
_PLACE = const(123)  # 3 * _SLOTS: where the summary's slot stands

_PLACES = const(56)  # sessions in the index
_NAME, _FILE, _AT, _SIZE = const(-8), const(-7), const(-6), const(-5)  # of its last entry
_NUMBER = const(0x7FFF)  # the bits of a file's number
_HEAD = const(0x8000)  # it is a summary, or one is before it
_UNKNOWN = const(127)
_SCRAP = const(126)  # room behind the slots, for what a chunk says

_MINE, _OTHERS = const(1), const(2)  # what a file holds

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
        self._file = None  # the newest, for appending; one of the readers too
        self._size = self._since = 0  # its bytes, the first minute in it
        self._fill = 0  # bytes of text that wait in the scratch
        self._open = 0  # a turn is being written: its role + 1, whose, where, its bytes of text
        self._name = self._start = self._length = 0
        self._dirty = self._skip = False  # since the last commit: something was written, was lost
        self._from = None  # the file that is being read
        self._number = 0
        self._at = self._have = self._next = 0
        # What was found: three numbers a turn, (file - _base) << 2 | role, offset, bytes of text.
        self._turns = array("H", bytes(6 * (_SLOTS + 2)))
        self._low = self._high = self._turn = self._base = 0
        self.mark = -1  # of the last question that load() or history() found; -1 if none
        self._index = array("H", bytes(8 * _PLACES + 8))  # and room to move one
        # All files stay open, and so that this takes no heap later, as many are open from the
        # start: handles of a file that is removed again.
        self._readers = [None] * files
        try:
            os.mkdir(folder)
        except OSError:
            pass
        try:
            for slot in range(files):
                self._readers[slot] = 0, open(self._path("new"), "a+b")
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
        self._name = crc16(buf, off, n, _CRC)
        scratch, index = self.buf, self._index
        for _ in range(2):
            if self._skip:
                return
            if not self._ready():
                continue
            minute = self.now
            for i in range(2, 6):
                scratch[i] = minute & 255
                minute >>= 8
            scratch[6] = keep & 255
            scratch[7] = keep >> 8
            self._place(self._name)
            back = index[_FILE]
            copy(scratch, 9, index, 2 * (len(index) + _AT), 4)
            i = (self._last - back) & _NUMBER if back else _UNKNOWN
            if i > _UNKNOWN:  # that file has gone
                scratch[11] = scratch[12] = i = 0
            scratch[8] = i | back >> 8 & 128
            copy(scratch, 2 + _KEY, buf, off, n)
            self._start = self._size
            if self._put(role, _KEY + n):
                self._length = 0
                self._open = role + 1
                if role == _CLEAR:
                    self._note(1, 0, 0)
                return
        self._skip = True

    def _place(self, name):
        """Moves the index's entry of the key with this CRC to its end; a new one if need be."""
        index = self._index
        at = len(index) - 8
        while at and index[at] != name:
            at -= 4
        if index[at] != name:
            index[at] = name
            index[at + 1] = 0
        name = 2 * len(index) - 8  # where there is room to move it
        at *= 2
        copy(index, name, index, at, 8)
        copy(index, at, index, at + 8, name - at)

    def _note(self, number, at, size):
        """The last turn of the session whose entry is at the index's end."""
        index = self._index
        index[_FILE] = number
        index[_AT] = at
        index[_SIZE] = min(size, 0xFFFF)

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
        if self._open and self._put(_LAST, self._fill) and self._length:
            self._place(self._name)
            number = self._last & _NUMBER
            back = self._index[_FILE]
            if self._open > SUMMARY or not back or back & _HEAD:
                number |= _HEAD
            self._note(number, self._start, self._length)
        self.abort()

    def abort(self):
        """Gives the open turn up, if there is one."""
        self._open = self._fill = 0

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
        self._length += n
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
        """Whether there is a file to append to."""
        if self._file is None or self._size > self._full // 2 or self._old():
            if not self._turn_over():
                return False
        if not self._since and self.now >= _SET:
            self._since = self.now
        return True

    def _turn_over(self):
        """Goes on in the newest file, or where that has had enough in a new one."""
        try:
            if self._file is None and self.files and self._scan(self._last):
                self._size = self._at
                self._file = self._opened(self._last, "a+b")
            if self._file is None or self._size > self._full // 2 or self._old():
                if self._file is not None:
                    self._file.flush()
                    self._file = None  # it stays open, to be read
                while self.files >= self._limit or self._short():
                    if not self.files or not self._remove(self._first):
                        break
                self._file = self._opened(self._last + 1, "a+b")
                self._last += 1
                self._first = self._first or self._last
                self.files += 1
                self._size = self._since = 0
        except OSError as error:
            return self._check(error.errno or -1)
        return True

    def _old(self):
        return self._since and self.now - self._since > self._span

    def _short(self):
        return self._spare and os.statvfs(self._folder)[3] < self._spare

    def _check(self, error):
        """Whether there is none. After a failed write littlefs drops what was not committed; a
        full disk gets room."""
        if not error:
            return True
        self.error = error
        self._skip = self._dirty or self._open
        self._dirty = False
        self.abort()
        for i in range(len(self._index)):
            self._index[i] = 0
        self._close()
        self._list()
        if error == _ENOSPC and self.files > 1:
            self._remove(self._first)
        return False

    def _close(self):
        """Closes all files."""
        for slot in range(self._limit):
            self._shut(slot)

    # Reading.

    def _seek(self, number, at):
        """Goes to offset ``at`` of a file, to read on from there; number 0: of none."""
        if number != self._number:
            self._from = None
            if number:
                kept = self._readers[number % self._limit]
                if kept is not None and kept[0] == number:
                    self._from = kept[1]
                else:
                    self._from = self._opened(number, "rb")
            self._number = number
        self._at = at
        self._have = self._next = 0

    def _opened(self, number, mode):
        """A file, in place of what its slot held; to be read it may be missing: None."""
        slot = number % self._limit
        self._shut(slot)
        gc.collect()  # where the other was there is room for this one
        try:
            file = open(self._path(number), mode)
        except OSError:
            if mode == "rb":
                return None
            raise
        self._readers[slot] = number, file
        return file

    def _shut(self, slot):
        """Closes what a slot holds. What was not committed is, if possible."""
        kept = self._readers[slot]
        self._readers[slot] = None
        self._seek(0, 0)
        if kept is not None:
            if kept[1] is self._file:
                self._file = None
            try:
                kept[1].close()
            except OSError as error:
                self.error = error.errno

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

    def _find(self, buf, off, n, raw):
        """Finds the last turns of this key: those numbered from _low to _high, exclusive.

        ``raw``: all of them. Otherwise no summary and what summary and clear leave, and of turns
        of one role in a row the last, as /retry means it: the later answer replaces the earlier,
        and a question the one before it that got no answer. The index learns the last one.
        """
        scratch = self.buf
        turns = self._turns
        turns[_PLACE + 2] = 0
        self._base = self._first
        low = high = size = keep = at = head = 0
        self.mark = -1
        gap = True  # what was said just before is not known
        turns[_SCRAP] = 1
        turns[_SCRAP + 2] = 0
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
                            keep = scratch[i + _KEEP] | scratch[i + _KEEP + 1] << 8
                        elif not raw:
                            low = high
                            turns[_PLACE + 2] = turns[_SCRAP + 2] = head = 0
                elif role >= 0:
                    size += self.stop - self.pos
                    if kind == _LAST and size:
                        i = -1
                        if role == USER:
                            self.mark = keep
                        if role == SUMMARY:
                            head = _HEAD
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
                            turns[i + 2] = min(size, 0xFFFF)
                        turns[_SCRAP] = number & _NUMBER | head
                        turns[_SCRAP + 1] = at
                        turns[_SCRAP + 2] = min(size, 0xFFFF)
                        role = -1
                kind = self._chunk(role < 0)
            gap = gap or not self._whole
            number += 1
        self._low = low
        self._high = high
        if not raw:
            self._place(crc16(buf, off, n, _CRC))
            self._note(turns[_SCRAP], turns[_SCRAP + 1], turns[_SCRAP + 2])

    @micropython.native
    def _trace(self, conversation, share, limit):
        """Finds what _find() does and load() may give, going back from turn to turn.

        False if a place is not known or not what it should be, or question and answer do not take
        turns: then only _find() can.
        """
        index, turns = self._index, self._turns
        key, n = conversation.key, conversation.key_len
        self._place(crc16(key, 0, n, _CRC))
        back = index[_FILE]
        at, size = index[_AT], index[_SIZE]
        if not back:
            return False
        number = self._last - ((self._last - back) & _NUMBER)
        back >>= 8
        turns[_PLACE + 2] = 0
        self._base = self._first
        self.mark = -1
        self._high = low = _TURNS
        seen = -1
        left = _NUMBER  # turns that a summary leaves
        while size and number >= self._first and left:
            if (not low or limit < 0) and (turns[_PLACE + 2] or not back & 128):
                break
            self._seek(number, at)
            role = self._chunk()
            if not USER <= role <= SUMMARY or not self._mine(key, 0, n):
                return False
            i = self.pos
            keep = self.buf[i + _KEEP] | self.buf[i + _KEEP + 1] << 8
            if role == USER and self.mark < 0:
                self.mark = keep
            slot = -1
            if role == SUMMARY:
                left = min(left, keep)
                if not turns[_PLACE + 2]:
                    slot = _PLACE
            elif role == seen:
                return False
            else:
                seen = role
                left -= 1
                if low and limit >= 0:
                    low -= 1
                    slot = low * 3
                    limit -= min(size, share)
            if slot >= 0:
                turns[slot] = number - self._base << 2 | role
                turns[slot + 1] = at
                turns[slot + 2] = size
            copy(turns, 2 * _SCRAP, self.buf, i + _BACK + 1, 4)
            back = self.buf[i + _BACK]
            size = turns[_SCRAP + 1]
            if back & _UNKNOWN == _UNKNOWN or (
                size and not back & _UNKNOWN and turns[_SCRAP] >= at
            ):
                return False
            number -= back & _UNKNOWN
            at = turns[_SCRAP]
        self._low = low
        return True

    def load(self, chats, conversation, limit):
        """Rebuilds an empty conversation of ``chats`` from the last turns of its key.

        At most 40, with at most ``limit`` bytes of text (of each turn what the conversation's
        share keeps), a summary first if there is one, then the user. Returns their number.
        """
        found = self._trace(conversation, chats.pool.share, limit)
        while True:
            if not found:
                self._find(conversation.key, 0, conversation.key_len, False)
            self._fit(chats.pool.share, limit)
            if self._rebuild(chats, conversation) or not found:
                break
            conversation.clear()
            found = False
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

    def _rebuild(self, chats, conversation):
        """Copies the turns that were found and fit; whether that was all."""
        self.rewind()
        while self._turn < self._high:
            role = self.next_turn()
            if role < 0:
                return False
            conversation.begin(role)
            while self.next_piece():
                if not chats.append(conversation, self.buf, self.pos, self.stop - self.pos):
                    self._done = False
                    break
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
        number = self._base + (self._turns[i] >> 2)
        at = self._turns[i + 1]
        if number != self._number or not self._have or at != self._at + self._next:
            self._seek(number, at)  # it does not follow what was read
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

        Each file that holds some is written anew, aside, and renamed over: with blanks in its
        place, so that all else stays where it was. What no longer can be read goes too, and where
        there is no room to write, the whole file. The flash itself may keep old bytes in blocks
        that littlefs has freed, until it reuses them; no file shows them.
        """
        self.abort()
        self.commit()
        done = True
        for number in range(self._first, self._last + 1):
            try:
                found = self._without(number, buf, off, n, None)
                if found == _MINE | _OTHERS:
                    with open(self._path("new"), "wb") as out:
                        self._without(number, buf, off, n, out)
                    self._shut(number % self._limit)
                    os.rename(self._path("new"), self._path(number))
                elif found == _MINE:
                    done = self._remove(number) and done
            except OSError as error:
                done = self._remove(number) and done
                self._remove("new")
                self.error = error.errno
        self._seek(0, 0)
        self._list()
        self._place(crc16(buf, off, n, _CRC))
        self._note(0, 0, 0)
        return done

    def _without(self, number, buf, off, n, out):
        """Copies a file to ``out``, if not None, with blanks in place of this key's chunks.

        What it holds: _MINE, of this key or broken, and _OTHERS.
        """
        found = mine = 0
        scratch = self.buf
        self._seek(number, 0)
        while self._from is not None:
            kind = self._chunk()
            if kind < 0:
                return found | (0 if self._whole else _MINE)
            if kind <= _CLEAR:
                mine = _MINE if self._mine(buf, off, n) else _OTHERS
            found |= mine
            if out is not None:
                end = self.stop
                if mine == _MINE:
                    scratch[self.pos - 2] = _TEXT
                    for i in range(self.pos, end):
                        scratch[i] = 0
                    crc = crc16(scratch, self.pos - 2, end - self.pos + 2, _CRC)
                    scratch[end] = crc & 255
                    scratch[end + 1] = crc >> 8
                out.write(scratch, self.pos - 2, end - self.pos + 4)
        return 0

    def clean(self, now):
        """Removes each file whose newest turn is older than ``keep_days``; between turns.

        A file from before the clock was set goes with the one that follows it. While the clock
        is not set, nothing does: ``now`` is less than any minute that counts.
        """
        self.now = now
        self.abort()
        self.commit()
        old = False
        number = self._last
        since = -1
        while self.files and number >= self._first:
            self._scan(number)
            if since < 0:
                since = self._since
            if self._newest:
                old = now - self._newest > self._keep
            if old and self._from is not None:
                self._remove(number)
            number -= 1
        self._since = max(since, 0)
        self._seek(0, 0)
