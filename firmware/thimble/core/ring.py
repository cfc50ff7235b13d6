"""A FIFO of records in one bytearray.

    | L L S payload … | L L S payload … | … free … | L L S payload … | pad |
                                          ^ tail      ^ head

A record is its payload's length (2 bytes, low byte first), its state (1 byte) and the payload, in
one piece, so that it can be used where it lies. A record that does not fit between the tail and
the end of the buffer begins at offset 0; the pad before it bears the state _WRAP, or is shorter
than a header. A payload's offset names its record until it is dropped.
"""

_HEADER = const(3)
_MOST = const(65535)
_LIVE = const(1)
_DEAD = const(2)
_WRAP = const(3)


class Ring:
    """buf: the bytearray that holds it; max_record: bytes of the largest payload that will come.

    count: live records; used: bytes in use with headers, pads and dropped records that are not the
    oldest. ValueError if max_record never fits.
    """

    def __init__(self, buf, max_record):
        if max_record > min(len(buf) - _HEADER, _MOST):
            raise ValueError("ring too small")
        self.buf = buf
        self._size = len(buf)
        self._max = max_record
        self.clear()

    def clear(self):
        """Forget all records."""
        self.count = self.used = self._head = self._tail = self._granted = 0
        self._pend = -1

    def room(self):
        """Bytes of the largest payload that pend() would grant now; -1: not even an empty one."""
        if not self.used:
            n = self._size
        elif self._tail > self._head:
            n = max(self._size - self._tail, self._head)
        else:
            n = self._head - self._tail
        return max(-1, min(n - _HEADER, _MOST))

    @property
    def full(self):
        """Whether a record of the largest size would be refused now."""
        return self.room() < self._max

    def pend(self, n):
        """Offset in buf where a payload of n bytes may be written, or -1 when there is no room.

        Nothing is in the ring before finish(); another pend() takes the place of this one.
        """
        self._pend = -1
        if n > self.room():
            return -1
        if not self.used:
            self._head = self._tail = 0
        at = self._tail
        if self._size - at < n + _HEADER:
            at = 0
        self._granted = n
        self._pend = at + _HEADER
        return self._pend

    def finish(self, n):
        """The pended payload is written; it has n bytes, at most those pended."""
        at = self._pend - _HEADER
        if at < 0 or n < 0 or n > self._granted:
            raise ValueError("nothing pended")
        if not self.used:
            self._head = at
        elif at != self._tail:
            pad = self._size - self._tail
            if pad >= _HEADER:
                self.buf[self._tail + 2] = _WRAP
            self.used += pad
        self.buf[at] = n & 255
        self.buf[at + 1] = n >> 8
        self.buf[at + 2] = _LIVE
        self._tail = at + _HEADER + n
        self._pend = -1
        self.count += 1
        self.used += _HEADER + n

    def size(self, off):
        """Bytes of the payload at off."""
        return self.buf[off - _HEADER] | self.buf[off - 2] << 8

    def first(self):
        """Offset of the oldest record's payload, or -1."""
        return self._head + _HEADER if self.count else -1

    def after(self, off):
        """Offset of the payload of the next record after the one at off, or -1."""
        at = off
        while True:
            at += self.size(at)
            if at == self._tail:
                return -1
            at = self._unpad(at) + _HEADER
            if self.buf[at - 1] == _LIVE:
                return at

    def drop(self, off):
        """Free the record at off. Its room comes back once all older ones are dropped too."""
        self.buf[off - 1] = _DEAD
        self.count -= 1
        head = self._head
        while self.used and self.buf[head + 2] == _DEAD:
            n = _HEADER + self.size(head + _HEADER)
            self.used -= n
            head += n
            if self.used:
                at = self._unpad(head)
                if at != head:
                    self.used -= self._size - head
                    head = at
        self._head = head

    def _unpad(self, at):
        # where the record is that follows at `at`: there, or behind a pad
        if self._size - at < _HEADER or self.buf[at + 2] == _WRAP:
            return 0
        return at
