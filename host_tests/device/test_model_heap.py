"""What an answer costs of the heap; what the connection costs is tested with it."""

import micropython

from kit import heap_locked
from thimble.core.conversation import ASSISTANT, USER, Conversation
from thimble.core.segments import Segments
from thimble.model.request import DONE, TEXT, Model

QEMU = True


_OPENAI = (
    b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}],"usage":null}\n\n'
    + b'data: {"choices":[{"index":0,"delta":{"reasoning":"hm"}}],"usage":null}\n\n'
    + b": ping\n\n"
    + b'data: {"choices":[{"index":0,"delta":{"content":" <think>"}}],"usage":null}\n\n'
    + b'data: {"choices":[{"index":0,"delta":{"content":"ok < </think>"}}],"usage":null}\n\n'
    + b'data: {"choices":[{"index":0,"delta":{"content":" word"}}],"usage":null}\n\n' * 50
    + b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
    + b'data: {"choices":[],"usage":{"prompt_tokens":12,"completion_tokens":7}}\n\n'
    + b"data: [DONE]\n\n"
)
_DELTA = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
    b'"delta":{"type":"text_delta","text":" word"}}\n\n'
)
_CLAUDE = (
    b'event: message_start\ndata: {"type":"message_start","message":{"usage":{"input_tokens":9}}}'
    b"\n\n"
    + _DELTA * 50
    + b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},'
    + b'"usage":{"output_tokens":7}}\n\nevent: message_stop\ndata: {"type":"message_stop"}\n\n'
)


class Settings:
    api = "openai"
    endpoint = (True, "api.example.com", 443, "/v1")
    key = "key"
    name = "name"
    system = "Be brief."
    max_tokens = 256


class Anthropic(Settings):
    api = "anthropic"


class Tape:
    """A connection that plays one answer, again and again, without using the heap."""

    def __init__(self, answer, step):
        self.inbuf = answer
        self._step = step
        self.pos = self._next = self.silence_ms = self.retry_after = 0
        self.is_json = False

    def origin(self, host, port, secure):
        pass

    def request(self, req, first_ms, waiting=None):
        req.write_head(self)
        req.write_body(self)
        self._next = 0
        return 200

    def raw(self, data):
        pass

    def num(self, n):
        pass

    def json(self, buf, off, end):
        pass

    def read(self, ms):
        self.pos = self._next
        self._next = min(self.pos + self._step, len(self.inbuf))
        return self._next - self.pos

    def drain(self):
        pass


def conversation():
    c = Conversation(Segments(64, 8))
    for role in (USER, ASSISTANT):
        c.begin(role)
        assert c.append(b"text" * 30, 0, 120)
        c.end()
    return c


def models():
    for settings, answer in ((Settings, _OPENAI), (Anthropic, _CLAUDE)):
        for step in (1, 100, 1000):
            yield Model(Tape(answer, step), settings, bytearray(320))


def answer(model, past):
    model.ask(past, b"question", 0, 8)
    n = 0
    event = model.poll(0)
    while event != DONE:
        n += event == TEXT
        event = model.poll(0)
    return n


def test_an_answer_can_be_had_without_any_heap():
    past = conversation()
    for model in models():
        assert heap_locked(lambda model=model: answer(model, past)) == 50


def test_a_whole_answer_allocates_nothing_frames_included():
    past = conversation()
    for model in models():
        answer(model, past)
        before = micropython.mem_total()
        answer(model, past)
        assert micropython.mem_total() == before


def test_a_delta_allocates_nothing_frames_included():
    past = conversation()
    for model in models():
        model.ask(past, b"question", 0, 8)
        n = 0
        while n < 5:
            n += model.poll(0) == TEXT
        before = micropython.mem_total()
        while n < 45:
            n += model.poll(0) == TEXT
        assert micropython.mem_total() == before
