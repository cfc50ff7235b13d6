"""The lines of an HTTP answer: the status line, the header's fields, the sizes of chunks.

A line of any length goes by; its first 64 bytes are kept, which is all that a known one needs.
"""

from thimble.core.errors import NetError
from thimble.core.octets import copy, find, get_int, same

_LINE = const(64)
_MAX = const(8192)
_CHUNK_MAX = const(0xFFFFFF)  # bytes of one chunk
_MAGIC = const(b"HTTP/1.")
_BLANK = const(b" \t\r,")  # before a value; a list may begin with empty elements

_KNOWN = const(b"cCtTrR")  # what the known fields begin with
# Their names, in the order of the numbers below, and the bytes of each.
_NAMES = const(
    b"content-length   content-type     content-encoding "
    b"connection       transfer-encodingretry-after      "
)
_LENGTHS = const(b"\x0e\x0c\x10\x0a\x11\x0b")
_WIDTH = const(17)
_CONTENT_LENGTH = const(0)
_CONTENT_TYPE = const(1)
_CONTENT_ENCODING = const(2)
_CONNECTION = const(3)
_TRANSFER_ENCODING = const(4)


@micropython.viper
def _lower(line: ptr8, n: int):
    """Makes letters small; what else it changes is in no name or value that is known."""
    while n > 0:
        n -= 1
        if line[n] >= 0x41:
            line[n] = line[n] | 0x20


class Head:
    """What one header says.

    status; retry_after, in seconds or 0; is_json; length, of the body, or -1; chunked; keep,
    above 0 if the connection stays. whole: the line that take() collected has ended; n: its
    length.
    """

    def __init__(self):
        self.status = 0
        self.keep = False
        self.n = 0
        self._line = bytearray(_LINE)
        self.start()

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
        self._left = _MAX

    def take(self, buf, pos, end):
        """Move bytes of buf[pos:end] to the line, at most to its end; returns the new pos."""
        if self.whole:
            self.n = 0
        n = buf.find(b"\n", pos, end) + 1
        self.whole = n > 0
        if n:
            end = n
        n = end - pos
        self._left -= n
        if self._left < 0:
            raise NetError("http", "the answer's header is longer than 8 KB")
        if n > _LINE - self.n:
            n = _LINE - self.n
        copy(self._line, self.n, buf, pos, n)
        n = self.n + end - pos
        if self.whole:
            n -= 1  # and the white space before the line feed
            while 0 < n <= _LINE and self._line[n - 1] in b" \t\r":
                n -= 1
        self.n = n
        return end

    def look(self):
        """Refuse, as soon as that is seen, a status line that is none."""
        if not same(self._line, 0, _MAGIC, 0, min(self.n, len(_MAGIC))):
            self._no_http()

    def status_line(self):
        """The line is a status line (RFC 9112, section 4)."""
        line = self._line
        self.look()
        self.status = get_int(line, 9, 12)
        right = self.n >= 12 and self.status >= 100 and self.status != 101 and line[8] == 0x20
        if not right or (self.n > 12 and line[12] != 0x20):
            self._no_http()
        self.keep = line[7] != 0x30  # 1.0 closes unless it says otherwise

    def field(self):
        """The line is a field (RFC 9112, section 5)."""
        line = self._line
        if line[0] not in _KNOWN:
            return
        _lower(line, min(self.n, _LINE))
        i = line.find(b":", 0, self.n)
        kind = find(_NAMES, _LENGTHS, _WIDTH, line, 0, i)
        if kind >= 0:
            self._take(kind, i + 1)

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
            if 0 < self.n <= _LINE:
                return n
        raise NetError("body", "the answer's chunks have no size")

    def _take(self, kind, i):
        """A known field, whose value begins at i."""
        line = self._line
        end = min(self.n, _LINE)
        while i < end and line[i] in _BLANK:
            i += 1
        if kind == _CONTENT_LENGTH:
            n = get_int(line, i, self.n) if self.n <= _LINE else -1
            if n < 0 or (self.length >= 0 and self.length != n):
                raise NetError("http", "the answer has a length that is none, or two lengths")
            self.length = n
        elif kind == _CONTENT_TYPE:
            self.is_json = line.find(b"application/json", i, end) == i
        elif kind == _CONTENT_ENCODING:
            if end > i and line.find(b"identity", i, end) != i:
                raise NetError("http", "the server compressed its answer without being asked to")
        elif kind == _CONNECTION:
            if line.find(b"close", i, end) >= 0:
                self.keep = -1  # whatever a further field says
            elif not self.keep and line.find(b"keep-alive", i, end) >= 0:
                self.keep = 1
        elif kind == _TRANSFER_ENCODING:
            if self.chunked or self.n - i != 7 or line.find(b"chunked", i, end) != i:
                raise NetError("http", "the answer has an unknown transfer encoding")
            self.chunked = True
        elif self.n <= _LINE:
            self.retry_after = max(get_int(line, i, self.n), 0)

    def _no_http(self):
        n = min(self.n, 24)
        said = "".join(chr(c) if 32 <= c < 127 else "." for c in self._line[:n])
        raise NetError("http", "the server does not speak HTTP: it begins with '%s'" % said)
