"""The models' services: two dialects, one way of answering, behaviour by script.

`Models` is `cloud.models`.
"""

import collections
import dataclasses
import itertools
import json

from . import anthropic_api, openai_api, turns
from .errors import ModelError
from .loop import in_loop
from .script import Script, directed, make
from .stream import BodyWriter
from .wire import Response

BASE = "/v1"
NAMES = ("simulated-1", "simulated-reasoner-1")

_DIALECTS = {BASE + dialect.PATH: dialect for dialect in (openai_api, anthropic_api)}


@dataclasses.dataclass
class Answer:
    """What is going to be said: `think_field` is where reasoning goes, "" if there is none or it
    stands in `<think>` tags in the text."""

    number: int
    model: str
    time: float
    text: str
    pieces: list
    finish: str
    think: str = ""
    think_field: str = ""
    think_tokens: int = 0
    tokens_in: int = 0
    tokens_out: int = 0


class Models:
    """Both services. The script of an answer is the next of those given to `script`, else the
    default; directives in the question change it (see script.py) unless `directives` is False.
    `names` is the set of models that exist, `words` how many pieces of answers went out."""

    def __init__(self, thread, clock, recorder, key):
        self._clock = clock
        self._default = Script()
        self._next = collections.deque()
        self._numbers = itertools.count(1)
        self._recorder = recorder
        self.directives = True
        self.key = key
        self.names = set(NAMES)
        self.words = 0
        self.thread = thread

    # What a test sets and asks

    @in_loop
    def script(self, times=1, **fields) -> Script:
        """The next `times` calls are answered by a Script of these fields, after those already
        waiting."""
        script = make(**fields)
        self._next.extend([script] * times)
        return script

    @in_loop
    def default(self, **fields) -> Script:
        """Calls without a script of their own are answered by a Script of these fields."""
        self._default = make(**fields)
        return self._default

    @in_loop
    def clear(self):
        """Forgets the scripts for the next calls and goes back to the first default."""
        self._next.clear()
        self._default = Script()

    @in_loop
    def waiting(self) -> int:
        """Scripts that are not used yet."""
        return len(self._next)

    @in_loop
    def calls(self, method=None, since=0) -> list:
        """Calls on record: `method` "chat" (OpenAI) or "messages" (Anthropic), or both."""
        return self._recorder.select("models", method, since)

    @in_loop
    def count(self, method=None) -> int:
        counts = self._recorder.count
        names = [method] if method else [openai_api.NAME, anthropic_api.NAME]
        return sum(counts["models", name] for name in names)

    # What a client meets

    def identify(self, request):
        """(method's name, path, JSON body or None) for the record."""
        dialect = _DIALECTS.get(request.path)
        body = None
        if request.body:
            try:
                body = json.loads(request.body)
            except ValueError:
                body = None
        return dialect.NAME if dialect else request.path, request.path, body

    def handle(self, request, body):
        """A Response, or an awaitable of one, or of None for a streamed answer."""
        dialect = _DIALECTS.get(request.path, openai_api)
        number = next(self._numbers)
        try:
            if request.path == BASE + "/models" and request.verb == "GET":
                return self._list(request)
            return self._answer(request, dialect, body, number)
        except ModelError as error:
            return _refuse(dialect, error, number)

    def _list(self, request):
        if "x-api-key" in request.headers:
            anthropic_api.check_key(request.headers, self.key)
        else:
            openai_api.check_key(request.headers, self.key)
        data = [{"id": name, "object": "model", "type": "model"} for name in sorted(self.names)]
        return Response(200, _dump({"object": "list", "data": data, "has_more": False}))

    def _answer(self, request, dialect, body, number):
        if request.path not in _DIALECTS:
            text = f"Invalid URL ({request.verb} {request.path})"
            raise ModelError(404, "invalid_request_error", text)
        if request.verb != "POST":
            text = f"Not allowed to {request.verb} on {request.path}."
            raise ModelError(405, "invalid_request_error", text)
        dialect.check_key(request.headers, self.key)
        dialect.check(request.headers, body)
        if body["model"] not in self.names:
            raise dialect.unknown_model(body["model"])
        script = self._next.popleft() if self._next else self._default
        question = turns.question(body)
        if self.directives and "[[" in question:
            try:
                script, question = directed(script, question)
            except ValueError:
                pass  # it stays a part of the question
        dialect.check_script(body, script)
        tokens = sum(_tokens(text) + 4 for text in dialect.texts(body))
        if tokens > script.context:
            raise dialect.too_long(tokens, script.context)
        if script.status:
            if script.first:
                return self._fail_later(dialect, script, number)
            raise dialect.failure(script.status, script)
        answer = self._compose(dialect, body, script, question, number, tokens)
        if body.get("stream") and not script.no_stream:
            return self._stream(request, dialect, body, script, answer)
        return self._whole(request, dialect, script, answer)

    def _compose(self, dialect, body, script, question, number, tokens):
        text, finish, limit = script.answer(question), script.finish, dialect.limit(body)
        if script.obey_limit and limit and _tokens(text) > limit:
            text, finish = text[: limit * 4], "length"
        pieces = script.split(text)
        answer = Answer(number, body["model"], self._clock.time(), text, pieces, finish)
        answer.tokens_in, answer.tokens_out = tokens, _tokens(text)
        if script.think:
            answer.think = script.think
            answer.think_tokens = _tokens(script.think)
            answer.tokens_out += answer.think_tokens
            if script.think_as == "tags":
                answer.text = f"<think>{script.think}</think>\n\n{text}"
                answer.pieces = ["<think>", *_words(script.think), "</think>", "\n\n", *pieces]
            else:
                named = script.think_as == "reasoning"
                answer.think_field = "reasoning" if named else "reasoning_content"
        if script.usage is not None:
            answer.tokens_in, answer.tokens_out = script.usage
        return answer

    async def _fail_later(self, dialect, script, number):
        await self._clock.sleep(script.first)
        return _refuse(dialect, dialect.failure(script.status, script), number)

    async def _whole(self, request, dialect, script, answer):
        pause = script.first + script.delay * len(answer.pieces)
        if pause:
            await self._clock.sleep(pause)
        response = Response(200, _dump(dialect.whole(answer), script.ascii))
        self.words += len(answer.pieces)
        if script.cut_after is not None:
            data = response.bytes()
            request.connection.write(data[: len(data) - len(response.body) // 2])
            await request.connection.drain()
            request.connection.cut(script.cut_how == "reset")
            return None
        return response

    async def _stream(self, request, dialect, body, script, answer):
        writer = BodyWriter(request.connection, script, self._clock, request.keep_alive)
        events = dialect.Events(answer, body, script)
        writer.start()
        await self._keepalives(writer, events, script)
        await _send(writer, script, events.start())
        deltas = []
        if answer.think_field:
            deltas = [(events.thought, piece) for piece in _words(answer.think)]
        deltas += [(events.delta, piece) for piece in answer.pieces]
        for number, (make_events, piece) in enumerate(deltas):
            if await self._break_off(request, writer, events, script, number):
                return None
            if number and script.delay:
                await self._clock.sleep(script.delay)
            if script.frills:
                await _keep_alive(writer, events, script)
            await _send(writer, script, make_events(piece))
            self.words += make_events == events.delta
        if await self._break_off(request, writer, events, script, len(deltas)):
            return None
        await _send(writer, script, events.finish())
        if not script.no_end:
            await _send(writer, script, events.end())
        await writer.end()
        return None

    async def _keepalives(self, writer, events, script):
        count = script.keepalives
        for _ in range(count):
            await _keep_alive(writer, events, script)
            await self._clock.sleep(script.first / count)
        if script.first and not count:
            await self._clock.sleep(script.first)

    async def _break_off(self, request, writer, events, script, number):
        """Does what the script wants to happen before delta `number`; True if that was the end."""
        if script.stall_after == number:
            await self._clock.sleep(script.stall)
        if script.error_after == number:
            await _send(writer, script, events.error(script))
            await writer.end()
            return True
        if script.cut_after == number:
            await request.connection.drain()
            await self._clock.sleep(0.02 if script.cut_how == "reset" else 0)
            request.connection.cut(script.cut_how == "reset")
            return True
        return False


async def _keep_alive(writer, events, script):
    if events.keepalive is None:
        await _send(writer, script, [anthropic_api.PING])
    else:
        await writer.send((events.keepalive + script.newline * 2).encode())


async def _send(writer, script, events):
    line_end = script.newline.encode()
    for name, data in events:
        text = data.encode() if isinstance(data, str) else _dump(data, script.ascii)
        event = b"data: " + text + line_end * 2
        if name is not None:
            event = b"event: " + name.encode() + line_end + event
        await writer.send(event)


def _refuse(dialect, error, number):
    headers = [(dialect.REQUEST_ID, f"req_{number:024d}")]
    if error.retry_after is not None:
        headers.append(("Retry-After", error.retry_after))
    response = Response(
        error.status, _dump(dialect.refusal(error, number)), headers=tuple(headers)
    )
    response.note = error.message
    return response


def _words(text):
    return Script(deltas=max(1, len(text) // 12)).split(text)


def _tokens(text):
    return (len(text) + 3) // 4


def _dump(value, escapes=False):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=escapes).encode(
        "utf-8", "surrogatepass"
    )
