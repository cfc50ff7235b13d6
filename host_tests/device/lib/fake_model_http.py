"""What a Model needs of net.http.Http, with answers that are given beforehand."""

from thimble.core.errors import NetError
from thimble.core.octets import escape
from array import array


class Writer:
    """Keeps what is written, for the test to look at; nothing here saves memory."""

    def __init__(self):
        self.text = b""

    def raw(self, data):
        assert isinstance(data, bytes)
        self.text += data

    def view(self, buf, off, end):
        self.text += bytes(buf[off:end])

    def num(self, n):
        self.text += b"%d" % n

    def json(self, buf, off, end):
        out = bytearray(6 * (end - off))
        state = array("i", (off, end, 0, len(out)))
        escape(out, buf, state)
        self.text += bytes(out[: state[2]])


class Http:
    """``answers``: one (status, body) for each request; a body is bytes, or a list of what each
    read() gives: bytes, -1 (nothing), an exception. ``step`` cuts bytes into reads of that size.
    """

    def __init__(self, *answers, step=4096, is_json=False, retry_after=0):
        self.answers = list(answers)
        self.step = step
        self.is_json = is_json
        self.retry_after = retry_after
        self.inbuf = bytearray(4096)
        self.pos = 0
        self.silence_ms = 0
        self.heads = []
        self.bodies = []
        self.closed = 0
        self.drained = 0
        self.at = None
        self._body = []

    def origin(self, host, port, secure):
        self.at = (host, port, secure)

    def request(self, req, first_ms, waiting=None):
        assert req.repeatable and first_ms > 0
        head, first, second = Writer(), Writer(), Writer()
        req.write_body(first)
        req.write_head(head)
        req.write_body(second)
        assert first.text == second.text
        self.heads.append(head.text)
        self.bodies.append(first.text)
        if waiting is not None and waiting():
            self.close()
            return 0
        status, body = self.answers.pop(0)
        if isinstance(body, bytes):
            step = self.step
            body = [body[i : i + step] for i in range(0, len(body), step)]
        self._body = list(body)
        return status

    def read(self, ms):
        if not self._body:
            return 0
        piece = self._body.pop(0)
        if piece == -1:
            return -1
        if isinstance(piece, NetError):
            self._body = []
            raise piece
        self.pos = 3
        self.inbuf[3 : 3 + len(piece)] = piece
        return len(piece)

    def drain(self):
        self.drained += 1
        self._body = []

    def close(self):
        self.closed += 1
        self._body = []
