"""HTTP/1.1 on one kept connection (RFC 9112), in two buffers of fixed size.

    inbuf   | used up | piece given by read() | not yet looked at |   |
                      pos                     _next               _end

`inbuf` is filled again, from its start, only when all of it is used up.

The frames of what a request and its answer call are kept under 44 bytes: MicroPython puts larger
ones into the heap for the time of the call.
"""

from time import ticks_diff, ticks_ms

from thimble.core.errors import NetError
from thimble.net.head import Head
from thimble.net.writer import Writer

_SLICE_MS = const(250)
_INTERIM_MAX = const(8)
_DRAIN_MAX = const(131072)
_DRAIN_READ = const(256)
_DRAIN_MS = const(4)  # for one read
_NEVER = const(0x1FFFFFFF)

# What comes next in inbuf.
_NOTHING = const(0)  # the answer is complete, or there is none
_TO_END = const(1)  # a body until the connection ends
_LENGTH = const(2)  # _left bytes of a body
_CHUNK = const(3)  # _left bytes of a chunk
_SIZE = const(4)  # a chunk's size
_AFTER = const(5)  # the line end behind a chunk
_TRAILER = const(6)  # header lines behind the last chunk
_UNKNOWN = const(7)  # a request that was broken off


class Http:
    """A client of one origin. A connection is opened when a request needs it, and kept.

    inbuf, out: bytearrays of at least 64 bytes. silence_ms: how long a body may be silent
    before NetError("silence"). header_ms: how long an answer's header may take once it has begun.

    After request(): status; retry_after, the header's seconds or 0; is_json. The piece of the body
    that read() returned is inbuf[pos : pos + n] until the next call.
    """

    header_ms = 20000  # here, not in each: an object's table has no room for it without growing

    def __init__(self, link, inbuf, out):
        self.link = link
        self.inbuf = inbuf
        self.pos = 0
        self.silence_ms = 30000
        self.status = 0
        self.retry_after = 0
        self.is_json = False
        self._writer = Writer(link, out)
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
        self._head = Head()
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
            self._host_line = ("Host: %s\r\nContent-Length: " % host).encode()

    def close(self):
        """Close the connection; what is left of an answer is given up."""
        self._state = _NOTHING
        self.link.close()

    def request(self, request, first_ms, waiting=None):
        """Sends ``request`` and reads the header of the answer; returns the status.

        request: write_head(w), the request line and the header lines but Host and Content-Length;
        write_body(w), called twice; repeatable, whether it may be sent again when a kept
        connection turns out to have been closed. first_ms: how long the answer may take to
        begin. waiting: is called now and then until it begins; once it returns True the answer is
        given up, and the status is 0. Raises NetError, and the connection is then closed.
        A redirect is an answer like others.
        """
        if self._state:
            self.drain()
        if self.link.is_open and self.link.dead():
            self.close()
        self._req = request
        self._again = self.link.is_open and request.repeatable
        while not self._attempt(first_ms):
            if waiting is not None and waiting():
                self.close()
                return 0
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
        """Read what is left of the answer; if that is too much, close the link instead.

        Too much is 128 KB or 2 s: a read counts as its bytes and 256 more, so there are 512.
        """
        left = _DRAIN_MAX
        while left > 0 and _TO_END < self._state < _UNKNOWN:
            try:
                left -= _DRAIN_READ + self._read(_DRAIN_MS)
            except NetError:
                break
        if self._state:
            self.close()

    def _attempt(self, first_ms):
        """Whether there is an answer, after a slice at the most in which none has begun.

        Sends the request if it is not out; anew where a kept connection turns out to be closed.
        """
        try:
            if not self._state:
                self._send()
                self._start = ticks_ms()
                self._limit = first_ms
            self._more()
            if self._begun:
                self._answer(first_ms)
        except NetError:
            self.close()
            if self._begun or not self._again:
                raise
            self._again = False
        return self._begun

    def _send(self):
        req = self._req
        w = self._writer
        self._begun = False
        w.count_all()
        req.write_body(w)
        n = w.count
        if not self.link.is_open:
            self.link.open(self._host, self._port, self._secure)
        self._state = _UNKNOWN
        w.send_up_to(_NEVER)
        req.write_head(w)
        w.raw(self._host_line)
        w.num(n)
        w.raw(b"\r\n\r\n")
        w.send_up_to(n)
        req.write_body(w)
        w.finish()

    def _answer(self, first_ms):
        """Reads headers until one is not interim (RFC 9110, section 15.2)."""
        head = self._head
        self._limit = self.header_ms
        for _ in range(_INTERIM_MAX):
            self._start = ticks_ms()
            head.start()
            while not self._line():
                head.look()
                self._more()
            head.status_line()
            while not self._line() or head.n:
                if head.whole:
                    head.field()
                else:
                    self._more()
            if head.status >= 200:
                self.status = head.status
                self.retry_after = head.retry_after
                self.is_json = head.is_json
                self._frame()
                return
            self._limit = max(first_ms, self.header_ms)
        raise NetError("http", "the server sends interim answers without end")

    def _frame(self):
        """How the body ends (RFC 9112, section 6.3)."""
        head = self._head
        self._left = head.length
        if self.status == 204 or self.status == 304:
            self._left = 0
        elif head.chunked:
            if self._left >= 0:  # two framings: the connection is not to be trusted any further
                head.keep = False
            self._state = _SIZE
            return
        elif self._left < 0:
            head.keep = False
            self._state = _TO_END
            return
        self._state = _LENGTH
        if self._left == 0:
            self._finish()

    def _line(self):
        """Whether there is another line, as far as the bytes in inbuf go."""
        self._next = self._head.take(self.inbuf, self._next, self._end)
        return self._head.whole

    def _fill(self, ms):
        """What link.recv() into inbuf returns; all of inbuf must be used up."""
        n = self.link.recv(self.inbuf, ms)
        self._next = 0
        self._end = n if n > 0 else 0
        if n > 0:
            self._heard = ticks_ms()
        return n

    def _more(self):
        """More bytes of a header, or NetError. Before its first ones no longer than a slice."""
        ms = self._limit - ticks_diff(ticks_ms(), self._start)
        n = self._fill(ms if self._begun or ms < _SLICE_MS else _SLICE_MS)
        if n > 0:
            self._begun = True
        elif n == 0:
            raise NetError("closed", "the server ended the connection without an answer")
        elif self._begun:
            raise NetError("deadline", "the answer's header took over %d ms" % self._limit)
        elif ms <= _SLICE_MS:
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
            if self._state <= _CHUNK:
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
            if self._state != _CHUNK:
                self._finish()
            elif self.inbuf.find(b"\r\n", self._next, self._end) == self._next:
                self._next += 2  # so it nearly always is, and no line need be taken
                self._state = _SIZE
            else:
                self._state = _AFTER
        return n

    def _finish(self):
        """The answer is complete; bytes behind it are not of it."""
        self._state = _NOTHING
        if self._head.keep < 1 or self._next != self._end:
            self.close()

    def _between(self):
        """What frames chunks (RFC 9112, section 7.1), a line at a time."""
        if not self._line():
            return
        head = self._head
        if self._state == _SIZE:
            self._left = head.chunk_size()
            self._state = _CHUNK if self._left else _TRAILER
            head.limit()
        elif self._state == _AFTER:
            if head.n:
                raise NetError("body", "a chunk of the answer is longer than it says")
            self._state = _SIZE
        elif head.n == 0:
            self._finish()
