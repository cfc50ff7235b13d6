"""The sessions' turns on flash: what RAM is rebuilt from, and the archive behind /history.

All sessions share a few numbered files, appended to in the order of time, each a row of chunks
(store.chunks). Chunks make up turns, which are found by an index or by reading (store.turns). Here
turns are written, and given back; what is done seldom is in store.archive.
"""

from array import array

from thimble.core.octets import copy, crc16
from thimble.core.text import boundary
from thimble.store import put
from thimble.store import turns
from thimble.store.chunks import Chunks

_SLOTS = const(41)  # of turns that were found; three more have other uses, see store.turns
_PLACES = const(56)  # sessions in the index
_SUMMARY = const(2)
_CLEAR = const(3)
_TEXT = const(4)
_LAST = const(5)
_KEY = const(11)  # its offset in a payload
_MOST = const(255)  # bytes of a payload
_CHUNK = const(259)  # bytes of the largest chunk
_CRC = const(0xFFFF)
_CUT = const(b" [...]")
_ENOSPC = const(28)  # littlefs's own number, on every board


class Sessions(Chunks):
    """Sessions in up to ``files`` files of ``file_bytes`` (2 KB to 65,535) in ``folder``.

    ``buf``: a scratch of at least 300 bytes, better 512, that no one else uses. A new file begins
    when the newest is so full that a turn might not have 16 KB, or half a file (a longer one is
    cut), and when it is older than a day (or the part of ``keep_days`` that one file has to
    span). The oldest go when there are too many, and where the flash is full.

    ``now``, minutes since 1970 or 0, is the caller's to set. ``files`` are counted; ``error`` is
    the errno of the last failure, 0 if there was none. No method raises OSError. ``mark`` is that
    of the last question that load() or the archive found; -1 if none.
    """

    def __init__(self, folder, buf, files=6, file_bytes=32768, keep_days=7):
        super().__init__(folder, buf, files, file_bytes, keep_days)
        # A turn is being written: its role + 1, whose, where, its role and what it keeps.
        self.busy = self._name = self._start = self.kind = self.keep = 0
        self._skip = False  # since the last commit something was lost
        # What was found, see store.turns: the turns numbered from low to high, exclusive.
        self.turns = array("H", bytes(6 * (_SLOTS + 3)))
        self.low = self.high = self.base = 0
        self.index = array("H", bytes(8 * _PLACES + 8))  # and room to move an entry
        self.mark = -1  # of the last question that was found
        # While it is gone from turn to turn: the role before, how many turns a summary leaves,
        # how many bytes of text there is room for; then, how many of each turn.
        self.role = self.left = self.room = 0

    # Writing.

    def begin(self, buf, off, n, role, keep=0):
        """Opens a turn of the session with the key ``buf[off : off + n]``, at most 40 bytes.

        ``role`` is USER, ASSISTANT or SUMMARY; a summary leaves the ``keep`` turns before it. Of
        a question ``keep`` is a mark, 16 bits, which is in ``mark`` after the question is found.
        What fails is given up, with the rest of what is written before the next commit.
        """
        self.abort()
        self._name = crc16(buf, off, n, _CRC)
        self.kind = role
        self.keep = keep
        if not (self._head(buf, off, n) or self._head(buf, off, n)):
            self._skip = True

    def _head(self, buf, off, n):
        """Appends the chunk with the key; whether that was possible."""
        if self._skip or not self.ready():
            return False
        turns.place(self.index, self._name)
        turns.stamp(self, self.now, self.keep)
        copy(self.buf, 2 + _KEY, buf, off, n)
        self._start = self.size
        if not self.append(self.kind, _KEY + n):
            return False
        self.length = 0
        self.busy = self.kind + 1
        return True

    def write(self, buf, off, n):
        """Adds ``buf[off : off + n]``, UTF-8 that may be split anywhere, to the open turn."""
        self.have = 0  # what was read ahead
        while n > 0 and self.busy:
            step = min(n, _MOST - self.fill)
            if step:
                copy(self.buf, 2 + self.fill, buf, off, step)
                self.fill += step
                off += step
                n -= step
            else:
                self.more()

    def more(self):
        """Writes the text that waits in the scratch; where the file ends, the turn is cut."""
        fill = self.fill
        if self.size + 2 * _CHUNK <= self._most:
            self.append(_TEXT, fill)
            return
        fill = boundary(self.buf, 2, 2 + min(fill, _MOST - len(_CUT)))
        copy(self.buf, fill, _CUT, 0, len(_CUT))
        self.fill = fill - 2 + len(_CUT)
        self.end()

    def end(self):
        """Closes the open turn, if there is one."""
        if self.busy and self.append(_LAST, self.fill) and self.length:
            turns.place(self.index, self._name)
            turns.learn(self, self._start, self.busy > _SUMMARY)
        self.abort()

    def abort(self):
        """Gives the open turn up, if there is one."""
        self.busy = self.fill = 0

    def commit(self):
        """What was written is kept from now on, whatever happens: one flush for an exchange."""
        if self._loose:
            self.check(put(self.file, None, 0, 0))
        self._loose = self._skip = False

    def check(self, error):
        """Whether there is none. After a failed write littlefs drops what was not committed; a
        full disk gets room."""
        if not error:
            return True
        self.error = error
        self._skip = self._loose or self.busy
        self._loose = False
        self.abort()
        for i in range(len(self.index)):
            self.index[i] = 0
        for number in range(self.limit):
            self.close(number)
        if error == _ENOSPC and self.files > 1:
            self.remove(self.first)
        return False

    # Reading.

    def load(self, chats, conversation, limit):
        """Rebuilds an empty conversation of ``chats`` from the last turns of its key.

        At most 40, with at most ``limit`` bytes of text (of each turn what the conversation's
        share keeps), a summary first if there is one, then the user. Where that is too little for
        the last exchange, its turns are shortened as if their share were smaller. Returns their
        number.
        """
        self.room = limit
        found = turns.trace(self, conversation, chats.pool.share)
        while True:
            if not found:
                turns.find(self, conversation.key, 0, conversation.key_len)
            turns.fit(self, chats.pool.share, limit)
            if self._rebuild(chats, conversation) or not found:
                break
            conversation.clear()
            found = False
        return conversation.turns

    def _rebuild(self, chats, conversation):
        """Copies the turns that were found and fit, of each what ``room`` keeps; whether that was
        all."""
        self.rewind()
        while self._turn < self.high:
            role = self.next_turn()
            if role < 0:
                return False
            conversation.begin(role)
            while self.next_piece():
                while conversation.size > self.room and conversation.squeeze():
                    pass
                if not chats.append(conversation, self.buf, self.pos, self.stop - self.pos):
                    self.done = False
                    break
            if not self.done:
                conversation.abort()
                return False
            conversation.end()
        return True

    # Reading what was found, as a Conversation is read.

    def rewind(self):
        """Begins to read at the oldest turn that was found."""
        self._turn = self.low
        self.done = True

    def next_turn(self):
        """Goes to the next turn: its role, or -1 behind the last."""
        self.done = True
        if self._turn >= self.high:
            self.seek(0, 0)
            return -1
        i = self._turn % _SLOTS * 3
        self._turn += 1
        number = self.base + (self.turns[i] >> 2)
        at = self.turns[i + 1]
        if number != self.number or not self.have or at != self.at + self.next:
            self.seek(number, at)  # it does not follow what was read
        self.done = False
        return self.turns[i] & 3 if self.read() >= 0 else -1

    def next_piece(self):
        """The turn's next piece of text: True, and it is ``buf[pos:stop]``. False at its end."""
        if self.done:
            return False
        kind = self.read()
        self.done = kind == _LAST
        return kind > _CLEAR
