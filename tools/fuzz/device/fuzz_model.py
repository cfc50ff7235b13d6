"""A case: dialect, whether it is called JSON, the status, the size of the pieces, the body."""

from binascii import hexlify

from thimble.core.errors import ApiError, NetError, ParseError
from thimble.model.request import DONE, TEXT, Model

_STATUSES = (200, 200, 200, 200, 400, 429, 500, 529)


class Settings:
    endpoint = (True, "api.example.com", 443, "/v1")
    key = "sk-fuzz"
    name = "small-model"
    system = ""
    max_tokens = 256

    def __init__(self, api):
        self.api = api


class Http:
    """Answers every request with the same body."""

    inbuf = bytearray(256)
    pos = 0
    silence_ms = 0
    retry_after = 0

    def origin(self, host, port, secure):
        pass

    def request(self, req, first_ms, waiting=None):
        self.at = 4
        return self.status

    def read(self, ms):
        n = min(self.piece, len(self.case) - self.at)
        self.inbuf[:n] = memoryview(self.case)[self.at : self.at + n]
        self.at += n
        return n

    def drain(self):
        pass

    def close(self):
        pass


_http = Http()
_models = [Model(_http, Settings(api), bytearray(320)) for api in ("openai", "anthropic")]


def run(case):
    model = _models[case[0] & 1]
    _http.case = case
    _http.is_json = model.http.is_json = bool(case[1] & 1)
    _http.status = _STATUSES[case[2] & 7]
    _http.piece = case[3] % 200 + 1
    model.newer = model.usage = False
    text = b""
    try:
        model.ask(None, b"hi", 0, 2)
        event = model.poll(0)
        polls = 0
        while event != DONE:
            polls += 1
            assert polls < 50 + 3 * len(case), "no end"
            if event == TEXT:
                assert model.pos < model.end
                piece = bytes(model.out[model.pos : model.end])
                piece.decode()
                text += piece
            event = model.poll(0)
    except (ApiError, NetError, ParseError) as error:
        assert str(error)
        model.stop()
        return "%s %s" % (type(error).__name__, hexlify(text).decode())
    return "%d %s" % (model.reason, hexlify(text).decode())
