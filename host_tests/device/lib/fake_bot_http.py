"""What a Bot needs of net.http.Http, with answers that are given beforehand."""

import json

from fake_model_http import Writer
from thimble.core import octets


class Http:
    """Answers each request with the next of ``answers`` (bytes, or (status, bytes), or an error
    to raise), in pieces of ``step`` bytes. ``requests`` holds (head, body) of each, ``repeatable``
    the methods that may be sent again."""

    def __init__(self, answers=(), step=64):
        self.answers = list(answers)
        self.requests = []
        self.repeatable = []
        self.step = step
        self.retry_after = 0
        self.is_json = True
        self.closed = False
        self.inbuf = bytearray(step)
        self.pos = 0

    def request(self, req, first_ms):
        head, body = Writer(), Writer()
        req.write_head(head)
        req.write_body(body)
        self.requests.append((head.text, body.text))
        if req.repeatable:
            self.repeatable.append(head.text.split()[1].split(b"/")[-1].decode())
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        self.status, self._rest = answer if isinstance(answer, tuple) else (200, answer)
        return self.status

    def read(self, ms):
        piece = self._rest[: self.step]
        self._rest = self._rest[self.step :]
        octets.copy(self.inbuf, 0, piece, 0, len(piece))
        return len(piece)

    def drain(self):
        self._rest = b""

    def close(self):
        self.closed = True

    @property
    def last(self):
        """The last request's body, parsed."""
        return json.loads(self.requests[-1][1])
