"""One chat's turns, as bytes in a chain of segments.

A turn is a header and then its text, which runs on across segments:

    0     role
    1..3  bytes of text that are kept, least significant first
    4..6  bytes before the gap, 0 if there is none

A header lies whole in one segment, with at least one byte of text behind it; where there is no
room for that, the turn begins in the next segment. The gap stands where whole segments were
dropped from the middle of a turn, so it always lies between two segments, and it is never at the
very beginning. A turn without text is never stored.
"""

from thimble.core.octets import copy
from thimble.core.text import boundary

USER = const(0)
ASSISTANT = const(1)
SUMMARY = const(2)  # of what was said before; only the oldest turn may be one

HEADER = const(7)  # bytes of a segment that a turn takes beside its text
_GAP = const(b" [...] ")

# Where reading stands within a turn that has a gap, in place of the bytes that are left before it.
_NO_GAP = const(-1)
_AT_GAP = const(0)
_BEHIND_GAP = const(-2)


def _put(buf, off, value):
    buf[off] = value & 255
    buf[off + 1] = value >> 8 & 255
    buf[off + 2] = value >> 16 & 255


def _get(buf, off):
    return buf[off] | buf[off + 1] << 8 | buf[off + 2] << 16


class Conversation:
    """Turns, oldest first, in segments of a shared pool. Allocates nothing after construction.

    ``turns`` are stored, in ``segments_used``; the open one has ``size`` bytes of text. The pool's
    ``share`` is the most bytes of text that one turn keeps, at least two segments and better four.
    A turn that grows beyond it loses whole segments from its middle: about the first third stays,
    and as much of the end as the rest of the share holds.
    """

    def __init__(self, segments):
        self._pool = segments
        self._first = -1
        self.segments_used = 0
        self.clear()

    def clear(self):
        """Forgets everything, the open turn too."""
        self._role = -1  # of the open turn
        self._empty()
        self.rewind()

    def _empty(self):
        self._cut(-1)
        self._last = -1
        self._start = self._fill = 0  # where the first turn begins, where the last segment ends
        self._turn = -1  # the segment with the open turn's header, once there is one
        self._at = self.size = 0  # that header's offset, the bytes of text behind it
        self.turns = 0

    def _cut(self, last):
        """Gives the segments behind ``last`` back, all of them if it is -1."""
        follow = self._pool.next
        if last < 0:
            seg = self._first
            self._first = -1
        else:
            seg = follow[last]
            follow[last] = -1
        while seg >= 0:
            last = follow[seg]
            self._give(seg)
            seg = last

    def _give(self, segment):
        self._pool.give(segment)
        self.segments_used -= 1

    # Writing.

    def begin(self, role):
        """Opens a turn, USER or ASSISTANT. It is stored when its first text comes."""
        self.end()
        self._role = role

    def end(self):
        """Closes the open turn, if there is one."""
        self._role = self._turn = -1
        self.size = 0

    def abort(self):
        """Removes the open turn, if there is one."""
        if self._turn >= 0:
            self._drop_newest()
        self.end()

    def append(self, buf, off, n):
        """Adds ``buf[off : off + n]``, UTF-8 that may be split anywhere, to the open turn.

        False, and nothing added, when the pool has too few free segments for it.
        """
        was = self.size
        while n > 0:
            fits = self._pool.size - self._fill if self._last >= 0 else 0
            if self._turn < 0:
                fits -= HEADER
            if fits > 0:
                fits = min(fits, n)
                self._write(buf, off, fits)
                off += fits
                n -= fits
            elif not self._grow():
                self._shrink(was)
                return False
        return True

    def _write(self, buf, off, n):
        block = self._pool.data[self._last]
        if self._turn < 0:
            self._turn = self._last
            self._at = self._fill
            self._fill += HEADER
            self.turns += 1
            block[self._at] = self._role
            _put(block, self._at + 4, 0)
        copy(block, self._fill, buf, off, n)
        self._fill += n
        self._resize(self.size + n)

    def _resize(self, size):
        self.size = size
        _put(self._pool.data[self._turn], self._at + 1, size)

    def _grow(self):
        """Chains one more segment. A turn at its share gives one up first."""
        pool = self._pool
        while self.size + pool.size > pool.share and self.squeeze():
            pass
        seg = pool.take()
        if seg < 0:
            return False
        if self._last < 0:
            self._first = seg
        else:
            pool.next[self._last] = seg
        self._last = seg
        self._fill = 0
        self.segments_used += 1
        return True

    def _shrink(self, size):
        """Cuts the open turn to its first ``size`` bytes (never behind a squeeze)."""
        if not size:
            if self._turn >= 0:
                self._drop_newest()
            return
        self._seg = self._turn
        self._off = self._at + HEADER
        self._left = size
        self._end_here()
        self._resize(size)

    def _end_here(self):
        """Ends the chain behind the turn that is being read."""
        self._skip()
        self._cut(self._seg)
        self._last = self._seg
        self._fill = self._off

    def prepend(self, role, buf, off, n):
        """Puts a turn before the oldest; False, and nothing done, if no segment is free for it.

        ``n`` is at most a segment without a HEADER. There must be a turn, and none open.
        """
        pool = self._pool
        # It ends where the oldest turn begins: in the room that older turns have left in the
        # first segment, and as far as that is too little, at the end of a new one before it.
        more = HEADER + n - self._start
        pad = 0
        if more > 0:
            seg = pool.take()
            if seg < 0:
                return False
            self.segments_used += 1
            pool.next[seg] = self._first
            self._first = seg
            # The header, and a byte behind it, stand in one segment.
            pad = max(0, HEADER + 1 - more)
            more += pad - pool.size
        self._start = -more
        self._seg = self._first
        self._off = self._start
        block = pool.data[self._seg]
        block[self._off] = role
        _put(block, self._off + 1, n + pad)
        _put(block, self._off + 4, 0)
        self._off += HEADER
        for i in range(n + pad):
            if self._off == pool.size:
                self._seg = pool.next[self._seg]
                self._off = 0
            pool.data[self._seg][self._off] = buf[off + i] if i < n else 0x20
            self._off += 1
        self.turns += 1
        return True

    # Making room.

    def _drop_newest(self):
        """Removes the newest turn; none of the others is open then."""
        self.turns -= 1
        if not self.turns:
            self._empty()
            return
        self.rewind()
        while self._todo:
            self.next_turn()
        self._end_here()
        self._turn = -1
        self.size = 0

    def pop(self, role):
        """Removes the last turn if it is of ``role``; whether it was. No turn may be open."""
        last = -1
        self.rewind()
        while self._todo:
            last = self.next_turn()
        if last != role:
            return False
        self._drop_newest()
        return True

    def drop_oldest(self):
        """Removes the oldest exchange: all up to the next user turn. False if it must stay.

        The open turn stays, and so does the question that it answers.
        """
        limit = self.turns - (self._turn >= 0)
        self.rewind()
        dropped = 0
        while dropped < limit:
            self.next_turn()
            self._skip()
            dropped += 1
            if dropped == self.turns:
                if self._role > USER:
                    return False
                self._empty()
                break
            if self._peek() == USER:
                while self._first != self._seg:
                    seg = self._first
                    self._first = self._pool.next[seg]
                    self._give(seg)
                self._start = self._off
                self.turns -= dropped
                break
        else:
            return False
        return True

    def squeeze(self):
        """Drops a segment from the middle of the open turn; False if it is too short.

        Its newest text may go when nothing else can.
        """
        if self._turn < 0:
            return False
        if not self._squeeze(self._last):
            # No more than two segments: the second, if full, makes way for what is yet to come.
            if self._fill < self._pool.size or not self._squeeze(-1):
                return False
            self._last = self._turn
        return True

    def _squeeze(self, last):
        """Drops a segment of the open turn that lies before ``last``."""
        follow = self._pool.next
        seg = self._turn
        if seg == last or follow[seg] == last:
            return False
        size = self._pool.size
        block = self._pool.data[seg]
        goal = _get(block, self._at + 4) or self.size // 3
        head = size - self._at - HEADER
        while head < goal and follow[follow[seg]] != last:
            seg = follow[seg]
            head += size
        _put(block, self._at + 4, head)
        self._resize(self.size - size)
        last = follow[seg]
        follow[seg] = follow[last]
        self._give(last)
        return True

    # Reading, while nothing is written.

    def rewind(self):
        """Begins to read at the oldest turn."""
        self._seg = self._first
        self._off = self._start
        self._todo = self.turns
        self._left = 0  # bytes of the turn that is being read
        self._head = _NO_GAP  # of these before the gap
        self.buf = _GAP
        self.pos = self.stop = 0

    def next_turn(self):
        """Goes to the next turn, whatever is left of this one: its role, or -1 behind the last."""
        self._skip()
        if not self._todo:
            return -1
        self._todo -= 1
        role = self._peek()
        block = self._pool.data[self._seg]
        self._left = _get(block, self._off + 1)
        self._head = _get(block, self._off + 4) or _NO_GAP
        self._off += HEADER
        return role

    def _peek(self):
        """Role of the turn that begins here, or in the next segment."""
        if self._pool.size - self._off <= HEADER:
            self._seg = self._pool.next[self._seg]
            self._off = 0
        return self._pool.data[self._seg][self._off]

    def _skip(self):
        size = self._pool.size
        while self._off + self._left > size:
            self._left -= size - self._off
            self._seg = self._pool.next[self._seg]
            self._off = 0
        self._off += self._left
        self._left = 0
        self._head = _NO_GAP

    def next_piece(self):
        """The turn's next piece of text: True, and it is ``buf[pos:stop]``. False at its end."""
        size = self._pool.size
        while self._left and self._head != _AT_GAP:
            if self._off == size:
                self._seg = self._pool.next[self._seg]
                self._off = 0
            self.buf = self._pool.data[self._seg]
            self.pos = self._off
            self._off = self.stop = min(size, self.pos + self._left)
            self._left -= self.stop - self.pos
            if self._head > 0:
                self._head -= self.stop - self.pos
                if self._head == _AT_GAP:
                    self.stop = boundary(self.buf, self.pos, self.stop)
            elif self._head == _BEHIND_GAP:
                self._head = _NO_GAP
                while self.pos < self.stop and self.buf[self.pos] & 0xC0 == 0x80:
                    self.pos += 1
            if self.pos < self.stop:
                return True
        if self._head != _AT_GAP:
            return False
        self._head = _BEHIND_GAP
        self.buf = _GAP
        self.pos = 0
        self.stop = len(_GAP)
        return True
