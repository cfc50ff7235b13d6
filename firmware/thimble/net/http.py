"""HTTP/1.1 on one kept connection (RFC 9112), in two buffers of fixed size.

    inbuf   | used up | piece given by read() | not yet looked at |   |
                      pos                     _next               _end

`inbuf` is filled again, from its start, only when all of it is used up. A header line of any
length goes by: its first 64 bytes are kept in a buffer of their own, which is all that a known
header needs.

The frames of what a request and its answer call are kept under 44 bytes: MicroPython puts larger
ones into the heap for the time of the call.
"""

from array import array
from micropython import const
from time import ticks_diff, ticks_ms

from thimble.core import octets
from thimble.core.errors import NetError
from thimble.core.escape import escape, escaped_len

_LINE = const(64)
_HEAD_MAX = const(8192)
_INTERIM_MAX = const(8)
_DRAIN_MAX = const(65536)
_DRAIN_MS = const(10000)
_NUMBER = const(12)
_CHUNK_MAX = const(0xFFFFFF)  # bytes of one chunk
_NEVER = const(0x1FFFFFFF)

# What comes next in inbuf.
_NOTHING = const(0)  # the answer is complete, or there is none
_LENGTH = const(1)  # _left bytes of a body
_CHUNK = const(2)  # _left bytes of a chunk
_TO_END = const(3)  # a body until the connection ends
_SIZE = const(4)  # a chunk's size
_AFTER = const(5)  # the line end behind a chunk
_TRAILER = const(6)  # header lines behind the last chunk
_UNKNOWN = const(7)  # a request that was broken off


class Writer:
    """Where a request writes itself: counts the bytes, or sends them through one buffer."""

    def __init__(self, link, buf):
        self.count = 0
        self._link = link
        self._buf = buf
        self._used = 0
        self._left = 0
        self._sending = False
        self._escape = array("i", (0, 0, 0, 0))

    def raw(self, data):
        """All of data, bytes that are sent as they are."""
        self.view(data, 0, len(data))

    def view(self, buf, off, end):
        """The bytes buf[off:end]."""
        self.count += end - off
        while self._sending and off < end:
            off += self._put(buf, off, end - off)

    def num(self, n):
        """The small int n as a decimal."""
        self.count += octets.int_len(n)
        if self._sending:
            if self._used + _NUMBER > len(self._buf):
                self.flush()
            self._used = octets.put_int(self._buf, self._used, n)

    def json(self, buf, off, end):
        """The bytes buf[off:end] as the inside of a JSON string."""
        if not self._sending:
            self.count += escaped_len(buf, off, end)
            return
        state = self._escape
        state[0] = off
        state[1] = end
        while state[0] < end:
            state[2] = self._used
            state[3] = len(self._buf)
            escape(self._buf, buf, state)
            self.count += state[2] - self._used
            self._used = state[2]
            if state[0] < end:
                self.flush()

    def count_from(self, n):
        """From now on count only."""
        self.count = n
        self._used = 0
        self._sending = False

    def send_up_to(self, n):
        """From now on send; at most n bytes may follow."""
        self.count = 0
        self._left = n
        self._sending = True

    def finish(self):
        """Send the rest. NetError if more or less was written than was counted."""
        if self.count != self._left:
            self._changed()
        self.flush()

    def flush(self):
        """Send what is in the buffer. NetError if more was written than was counted."""
        if self.count > self._left:
            self._changed()
        n = self._used
        self._used = 0
        self._link.send(self._buf, 0, n)

    def _changed(self):
        raise NetError("body", "the request changed while it was sent")

    def _put(self, buf, off, n):
        if self._used == len(self._buf):
            self.flush()
        if n > len(self._buf) - self._used:
            n = len(self._buf) - self._used
        octets.copy(self._buf, self._used, buf, off, n)
        self._used += n
        return n


class Http:
    """A client of one origin. A connection is opened when a request needs it, and kept.

    inbuf, outbuf: bytearrays of at least 64 bytes. silence_ms: how long a body may be silent
    before NetError("silence"). header_ms: how long an answer's header may take once it has begun.

    After request(): status; retry_after, the header's seconds or 0; is_json. The piece of the body
    that read() returned is inbuf[pos : pos + n] until the next call.
    """

    def __init__(self, link, inbuf, outbuf):
        self.link = link
        self.inbuf = inbuf
        self.pos = 0
        self.silence_ms = 30000
        self.header_ms = 20000
        self.status = 0
        self.retry_after = 0
        self.is_json = False
        self._writer = Writer(link, outbuf)
        self._host = None
        self._port = 0
        self._secure = True
        self._host_line = b""
        self._req = None
        self._again = False  # the request may be sent a second time
        self._begun = False  # bytes of the answer have come
        self._next = self._end = 0
        self._state = _NOTHING
        self._left = 0
        self._chunked = False
        self._keep = False
        self._line = bytearray(_LINE)
        self._length = 0  # of the line, of which at most _LINE bytes are kept
        self._taken = 0  # bytes of this header or of this chunk's frame
        self._start = 0  # a wait may last _limit ms from these ticks on
        self._limit = 0
        self._heard = 0  # ticks of the last bytes

    def origin(self, host, port, secure):
        """Sets the server; closes the link if it was another one."""
        if host != self._host or port != self._port or secure != self._secure:
            self.close()
            self._host = host
            self._port = port
            self._secure = secure
            if port != (443 if secure else 80):
                host = "%s:%d" % (host, port)
            self._host_line = ("Host: %s\r\n" % host).encode()

    def close(self):
        """Close the connection; what is left of an answer is given up."""
        self._state = _NOTHING
        self._next = self._end = 0
        self.link.close()

    def request(self, req, first_ms):
        """Sends req and reads the header of the answer; returns the status.

        req: write_head(w), the request line and the header lines but Host and Content-Length;
        has_body and write_body(w), called twice; repeatable, whether it may be sent again when a
        kept connection turns out to have been closed. first_ms: how long the answer may take to
        begin. Raises NetError; the connection is then closed. A redirect is an answer like others.
        """
        if self._state:
            self.drain()
        if self.link.is_open and self.link.dead():
            self.close()
        self._req = req
        self._again = self.link.is_open and req.repeatable
        if not self._attempt(first_ms):
            self._again = False
            self._attempt(first_ms)
        return self.status

    def read(self, ms):
        """n > 0: body bytes at inbuf[pos : pos + n]; 0: the body is complete; -1: none within ms.

        Raises NetError: "body" if the answer breaks off or its chunks are no chunks, "silence",
        "closed"; the connection is then closed.
        """
        try:
            return self._read(ms)
        except NetError:
            self.close()
            raise

    def drain(self):
        """Read what is left of the answer; if that is more than 64 KB, close the link instead."""
        left = _DRAIN_MAX
        start = ticks_ms()
        while self._state and self._state != _TO_END and self._state != _UNKNOWN:
            try:
                left -= max(self._read(_DRAIN_MS), 0)
            except NetError:
                break
            if left < 0 or ticks_diff(ticks_ms(), start) >= _DRAIN_MS:
                break
        if self._state:
            self.close()

    def _attempt(self, first_ms):
        """Whether there is an answer; False: it is worth a second attempt."""
        try:
            self._send()
            self._answer(first_ms)
        except NetError:
            self.close()
            if self._begun or not self._again:
                raise
            return False
        return True

    def _send(self):
        req = self._req
        w = self._writer
        self._begun = False
        self._next = self._end = 0
        w.count_from(0)
        if req.has_body:
            req.write_body(w)
        n = w.count
        if not self.link.is_open:
            self.link.open(self._host, self._port, self._secure)
        self._state = _UNKNOWN
        w.send_up_to(_NEVER)
        req.write_head(w)
        w.raw(self._host_line)
        if req.has_body:
            w.raw(b"Content-Length: ")
            w.num(n)
            w.raw(b"\r\n\r\n")
            w.send_up_to(n)
            req.write_body(w)
            w.finish()
        else:
            w.raw(b"\r\n")
            w.flush()

    def _answer(self, first_ms):
        """Reads headers until one is not interim (RFC 9110, section 15.2)."""
        self._limit = first_ms
        for _ in range(_INTERIM_MAX):
            self._start = ticks_ms()
            self._taken = 0
            self._status_line()
            self._left = -1
            self._chunked = False
            self.retry_after = 0
            self.is_json = False
            while self._next_line():
                self._field()
            self._taken = 0
            if self.status >= 200:
                self._frame()
                return
            self._limit = max(first_ms, self.header_ms)
        raise NetError("http", "the server sends interim answers without end")

    def _frame(self):
        """How the body ends (RFC 9112, section 6.3)."""
        if self.status == 204 or self.status == 304:
            self._left = 0
        elif self._chunked:
            if self._left >= 0:  # two framings: the connection is not to be trusted any further
                self._keep = False
            self._state = _SIZE
            return
        elif self._left < 0:
            self._keep = False
            self._state = _TO_END
            return
        self._state = _LENGTH
        if self._left == 0:
            self._finish()

    def _status_line(self):
        self._length = 0
        while not self._take():
            self._look()
            self._more()
        self._strip()
        self._look()
        line = self._line
        self.status = octets.get_int(line, 9, 12)
        if self._length < 12 or self.status < 100 or line[8] != 0x20:
            self._no_http()
        if self.status == 101 or (self._length > 12 and line[12] != 0x20):
            self._no_http()
        self._keep = line[7] != 0x30  # 1.0 closes unless it says otherwise

    def _look(self):
        """Refuses what does not begin like HTTP/1, as soon as that is seen."""
        for i in range(min(self._length, 7)):
            if self._line[i] != b"HTTP/1."[i]:
                self._no_http()

    def _no_http(self):
        n = min(self._length, 24)
        said = "".join(chr(c) if 32 <= c < 127 else "." for c in self._line[:n])
        raise NetError("http", "the server does not speak HTTP: it begins with '%s'" % said)

    def _field(self):
        c = self._line[0] | 0x20
        if c == 0x63:
            self._lower()
            self._field_c()
        elif c == 0x74:
            self._lower()
            self._field_t()
        elif c == 0x72:
            self._lower()
            i = self._value(b"retry-after:")
            if i and self._length <= _LINE:
                self.retry_after = max(octets.get_int(self._line, i, self._length), 0)

    def _field_t(self):
        line = self._line
        i = self._value(b"transfer-encoding:")
        if i:
            if self._chunked or self._length - i != 7 or line.find(b"chunked", i, i + 7) != i:
                raise NetError("http", "the answer has an unknown transfer encoding")
            self._chunked = True

    def _field_c(self):
        """The known fields whose names begin with C."""
        line = self._line
        end = min(self._length, _LINE)
        i = self._value(b"content-length:")
        if i:
            n = octets.get_int(line, i, self._length) if self._length <= _LINE else -1
            if n < 0 or (self._left >= 0 and self._left != n):
                raise NetError("http", "the answer has a length that is none, or two lengths")
            self._left = n
            return
        i = self._value(b"content-type:")
        if i:
            self.is_json = line.find(b"application/json", i, end) == i
            return
        i = self._value(b"connection:")
        if i:
            if line.find(b"close", i, end) >= 0:
                self._keep = False
            elif line.find(b"keep-alive", i, end) >= 0:
                self._keep = True
            return
        i = self._value(b"content-encoding:")
        if i and end > i and line.find(b"identity", i, end) != i:
            raise NetError("http", "the server compressed its answer without being asked to")

    def _lower(self):
        line = self._line
        for i in range(min(self._length, _LINE)):
            if 0x41 <= line[i] <= 0x5A:
                line[i] |= 0x20

    def _value(self, name):
        """The offset of the value if the line is the field `name`, else 0."""
        i = len(name)
        if self._length < i or self._line.find(name, 0, i):
            return 0
        while i < self._length and i < _LINE and (self._line[i] == 0x20 or self._line[i] == 9):
            i += 1
        return i

    def _next_line(self):
        """Reads one line of a header; returns its length."""
        self._length = 0
        while not self._take():
            self._more()
        self._strip()
        return self._length

    def _take(self):
        """Moves bytes of inbuf to the line; whether its end was among them."""
        stop = self.inbuf.find(b"\n", self._next, self._end)
        if stop < 0:
            self._store(self._end - self._next)
            return False
        self._store(stop - self._next)
        self._next += 1
        return True

    def _store(self, n):
        self._taken += n
        if self._taken > _HEAD_MAX:
            raise NetError("http", "the answer's header is longer than 8 KB")
        if self._length < _LINE:
            self._copy(min(n, _LINE - self._length))
        self._length += n
        self._next += n

    def _copy(self, n):
        octets.copy(self._line, self._length, self.inbuf, self._next, n)

    def _strip(self):
        """Takes CR and blanks off the end of the line, if that was kept."""
        n = self._length
        while 0 < n <= _LINE and self._blank(self._line[n - 1]):
            n -= 1
        self._length = n

    def _blank(self, c):
        return c == 13 or c == 0x20 or c == 9

    def _fill(self, ms):
        """What link.recv() into inbuf returns; all of inbuf must be used up."""
        n = self.link.recv(self.inbuf, ms if ms > 0 else 0)
        self._next = 0
        self._end = n if n > 0 else 0
        if n > 0:
            self._heard = ticks_ms()
        return n

    def _more(self):
        """More bytes of a header, or NetError."""
        n = self._fill(self._limit - ticks_diff(ticks_ms(), self._start))
        if n <= 0:
            self._stalled(n)
        if not self._begun:
            self._begun = True
            self._start = ticks_ms()
            self._limit = self.header_ms

    def _stalled(self, n):
        if n == 0 and self._begun:
            raise NetError("closed", "the server ended the connection within the answer's header")
        if n == 0:
            raise NetError("closed", "the server ended the connection without an answer")
        if self._begun:
            raise NetError("deadline", "the answer's header took over %d ms" % self._limit)
        self._again = False
        raise NetError("first byte", "no answer within %d ms" % self._limit)

    def _read(self, ms):
        self._start = ticks_ms()
        self._limit = ms
        while self._state:
            if self._next == self._end:
                n = self._refill()
                if n <= 0:
                    return n
            if self._state <= _TO_END:
                return self._piece()
            self._between()
        return 0

    def _refill(self):
        """More bytes of a body: n > 0; 0: the connection ended, as it was to; -1: no bytes."""
        ms = self._limit - ticks_diff(ticks_ms(), self._start)
        quiet = self.silence_ms - ticks_diff(ticks_ms(), self._heard)
        n = self._fill(ms if ms < quiet else quiet)
        if n < 0 and ticks_diff(ticks_ms(), self._heard) >= self.silence_ms:
            raise NetError("silence", "the answer stopped for %d ms" % self.silence_ms)
        if n == 0:
            if self._state != _TO_END or self.link.cut:
                raise NetError("body", "the connection ended in the middle of the answer")
            self._finish()
        return n

    def _piece(self):
        n = self._end - self._next
        self.pos = self._next
        if self._state != _TO_END:
            if n > self._left:
                n = self._left
            self._left -= n
        self._next += n
        if self._left == 0:
            if self._state == _CHUNK:
                self._state = _AFTER
            else:
                self._finish()
        return n

    def _finish(self):
        """The answer is complete; bytes behind it are not of it."""
        self._state = _NOTHING
        if not self._keep or self._next != self._end:
            self.close()

    def _between(self):
        """What frames chunks (RFC 9112, section 7.1), a line at a time."""
        if not self._take():
            return
        self._strip()
        if self._state == _SIZE:
            self._left = self._chunk_size()
            self._state = _CHUNK if self._left else _TRAILER
            self._taken = 0
        elif self._state == _AFTER:
            if self._length:
                raise NetError("body", "a chunk of the answer is longer than it says")
            self._state = _SIZE
        elif self._length == 0:
            self._finish()
        self._length = 0

    def _chunk_size(self):
        n = 0
        for i in range(min(self._length, _LINE)):
            c = self._line[i]
            if 0x30 <= c <= 0x39:
                n = n << 4 | c - 0x30
            elif 0x61 <= c | 0x20 <= 0x66:
                n = n << 4 | (c | 0x20) - 0x57
            elif i and (c == 0x3B or c == 0x20 or c == 9):
                return n  # an extension follows
            else:
                break
            if n > _CHUNK_MAX:
                break
        else:
            if self._length:
                return n
        raise NetError("body", "the answer's chunks have no size")
