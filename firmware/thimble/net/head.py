"""The lines of an HTTP answer: the status line, the header's fields, the sizes of chunks.

A line of any length goes by; its first 64 bytes are kept, which is all that a known one needs.
"""

from micropython import const

from thimble.core.errors import NetError
from thimble.core.octets import copy, get_int

_LINE = const(64)
_MAX = const(8192)
_CHUNK_MAX = const(0xFFFFFF)  # bytes of one chunk
_MAGIC = b"HTTP/1."
_KNOWN = b"cCtTrR"  # what the known fields begin with
_BLANK = b" \t\r"


class Head:
    """What one header says.

    status; retry_after, in seconds or 0; is_json; length, of the body, or -1; chunked; keep,
    whether the connection stays. whole: the line that take() collected has ended; n: its length.
    """

    def __init__(self):
        self.status = 0
        self.retry_after = 0
        self.is_json = False
        self.length = -1
        self.chunked = False
        self.keep = False
        self.whole = True
        self.n = 0
        self._line = bytearray(_LINE)
        self._taken = 0

    def start(self):
        """A header begins."""
        self.retry_after = 0
        self.is_json = False
        self.length = -1
        self.chunked = False
        self.limit()

    def limit(self):
        """From here on 8 KB of lines may come."""
        self.whole = True
        self._taken = 0

    def take(self, buf, pos, end):
        """Move bytes of buf[pos:end] to the line, at most to its end; returns the new pos."""
        if self.whole:
            self.n = 0
        stop = buf.find(b"\n", pos, end) + 1
        self.whole = stop > 0
        stop = stop or end
        self._taken += stop - pos
        if self._taken > _MAX:
            raise NetError("http", "the answer's header is longer than 8 KB")
        end = min(stop - pos, _LINE - self.n)
        if end > 0:
            copy(self._line, self.n, buf, pos, end)
        self.n += stop - pos
        if self.whole:
            self._trim()
        return stop

    def _trim(self):
        """Takes the line's end, and white space before it, off the line."""
        self.n -= 1
        while 0 < self.n <= _LINE and self._line[self.n - 1] in _BLANK:
            self.n -= 1

    def look(self):
        """Refuse, as soon as that is seen, a status line that is none."""
        for i in range(min(self.n, len(_MAGIC))):
            if self._line[i] != _MAGIC[i]:
                self._no_http()

    def status_line(self):
        """The line is a status line (RFC 9112, section 4)."""
        line = self._line
        self.look()
        self.status = get_int(line, 9, 12)
        if self.n < 12 or self.status < 100 or line[8] != 0x20:
            self._no_http()
        if self.status == 101 or (self.n > 12 and line[12] != 0x20):
            self._no_http()
        self.keep = line[7] != 0x30  # 1.0 closes unless it says otherwise

    def field(self):
        """The line is a field (RFC 9112, section 5)."""
        if self._line[0] not in _KNOWN:
            return
        line = self._line
        for i in range(min(self.n, _LINE)):
            if 0x41 <= line[i] <= 0x5A:
                line[i] |= 0x20
        if line[0] == 0x63:
            self._field_c()
        elif line[0] == 0x74:
            i = self._value(b"transfer-encoding:")
            if i:
                if self.chunked or self.n - i != 7 or line.find(b"chunked", i, i + 7) != i:
                    raise NetError("http", "the answer has an unknown transfer encoding")
                self.chunked = True
        else:
            i = self._value(b"retry-after:")
            if i and self.n <= _LINE:
                self.retry_after = max(get_int(line, i, self.n), 0)

    def chunk_size(self):
        """The line is the first one of a chunk (RFC 9112, section 7.1): its size."""
        n = 0
        for i in range(min(self.n, _LINE)):
            c = self._line[i]
            if 0x30 <= c <= 0x39:
                n = n << 4 | c - 0x30
            elif 0x61 <= c | 0x20 <= 0x66:
                n = n << 4 | (c | 0x20) - 0x57
            elif i and c in b"; \t":
                return n  # an extension follows
            else:
                break
            if n > _CHUNK_MAX:
                break
        else:
            if self.n:
                return n
        raise NetError("body", "the answer's chunks have no size")

    def _field_c(self):
        """The known fields whose names begin with C."""
        line = self._line
        end = min(self.n, _LINE)
        i = self._value(b"content-length:")
        if i:
            n = get_int(line, i, self.n) if self.n <= _LINE else -1
            if n < 0 or (self.length >= 0 and self.length != n):
                raise NetError("http", "the answer has a length that is none, or two lengths")
            self.length = n
            return
        i = self._value(b"content-type:")
        if i:
            self.is_json = line.find(b"application/json", i, end) == i
            return
        i = self._value(b"connection:")
        if i:
            if line.find(b"close", i, end) >= 0:
                self.keep = False
            elif line.find(b"keep-alive", i, end) >= 0:
                self.keep = True
            return
        i = self._value(b"content-encoding:")
        if i and end > i and line.find(b"identity", i, end) != i:
            raise NetError("http", "the server compressed its answer without being asked to")

    def _value(self, name):
        """The offset of the value if the line is the field `name`, else 0."""
        i = len(name)
        if self.n < i or self._line.find(name, 0, i):
            return 0
        while i < self.n and i < _LINE and self._line[i] in _BLANK:
            i += 1
        return i

    def _no_http(self):
        n = min(self.n, 24)
        said = "".join(chr(c) if 32 <= c < 127 else "." for c in self._line[:n])
        raise NetError("http", "the server does not speak HTTP: it begins with '%s'" % said)
