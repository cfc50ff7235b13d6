"""A case: the size of the pieces, whether the peer closes behind them, an HTTP answer."""

from binascii import hexlify

from thimble.core.errors import NetError
from thimble.net.http import Http


class Link:
    """A peer that sends ``case[at:]`` in pieces."""

    is_open = cut = False

    def open(self, host, port, secure):
        self.is_open = True

    def close(self):
        self.is_open = False

    def dead(self):
        return False

    def send(self, buf, off, end):
        assert self.is_open

    def recv(self, buf, ms):
        n = min(self.piece, len(self.case) - self.at, len(buf))
        if n == 0:
            return 0 if self.closes else -1
        buf[:n] = memoryview(self.case)[self.at : self.at + n]
        self.at += n
        return n


class Request:
    repeatable = False

    def write_head(self, w):
        w.raw(b"GET / HTTP/1.1\r\n")

    def write_body(self, w):
        pass


_link = Link()
_http = Http(_link, bytearray(128), bytearray(64))
_http.origin("host.example", 443, True)
_http.silence_ms = 0
_request = Request()


def run(case):
    http, link = _http, _link
    http.close()
    link.case, link.at = case, 2
    link.piece, link.closes = case[0] % 100 + 1, case[1] & 1
    body = b""
    try:
        status = http.request(_request, 0)
        n = http.read(0)
        while n:
            assert 0 < n <= 128 and http.pos + n <= 128
            body += bytes(http.inbuf[http.pos : http.pos + n])
            n = http.read(0)
    except NetError as error:
        assert not link.is_open and str(error)
        return "refused " + error.stage
    return "%d %s" % (status, hexlify(body).decode())
