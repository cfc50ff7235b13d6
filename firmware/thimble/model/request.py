"""One answer of a language model: the request, written in two passes, and the stream that follows.

The answer is text/event-stream, each event a JSON document; a server that ignores ``stream`` sends
one document, which is read in the same way. Of both only the wanted values leave the scanner.
"""

from micropython import const
from time import ticks_diff, ticks_ms

from thimble import overlay
from thimble.core import sse
from thimble.core.errors import FINAL, RETRY, TOO_LONG  # noqa: F401
from thimble.core.errors import NetError, ParseError, ThimbleError
from thimble.core.octets import get_int
from thimble.core.scan import CLOSE, INTEGER, OPEN, PIECE, STRING, VALUE, Scanner
from thimble.core.text import boundary
from thimble.model import CODE, EVENT, REASON, REFUSED, SAID, THOUGHT, TOKENS_IN, TOKENS_OUT
from thimble.model.faults import Fault
from thimble.model.think import ROOM, Think

# What poll() returns.
NOTHING = const(0)
TEXT = const(1)
DONE = const(2)

# Why an answer ended.
STOP = const(0)
LENGTH = const(1)  # max_tokens, or the model's own limit
CUT = const(2)  # the connection ended before the answer
OTHER = const(3)  # a refusal, a content filter

_LAST_EVENT = b"message_stop"

_ON = const(-1)  # there is something to scan
_FED = const(-2)  # there is, fresh from the connection
_SAID_MOST = const(200)
_OUT_LEAST = const(300)

ALL = const(0x3FFFFFFF)
_SILENCE_MS = const(120_000)
_PROGRESS_MS = const(300_000)
_ANSWER_MS = const(600_000)
_END_MS = const(3_000)  # for what may follow a finished answer
_FAULT_MS = const(10_000)
_FAULT_BYTES = const(65536)


class Model:
    """Asks the model of ``settings``. ``out`` (300 bytes or more) holds each piece of its text.

    silence_ms: bound on the wait for any byte; progress_ms: for text or reasoning while the
    service only keeps the connection alive; answer_ms: for the whole answer. log: where it is
    said what cut an answer off, or None.

    After DONE: reason (STOP, LENGTH, CUT or OTHER), tokens_in and tokens_out (0 if not told),
    thought (there was reasoning).
    """

    has_body = True
    repeatable = True

    def __init__(self, http, settings, out):
        if settings.api == "anthropic":
            from thimble.model import anthropic as dialect
        else:
            from thimble.model import openai as dialect
        if len(out) < _OUT_LEAST:
            raise ValueError("out is too small")
        self.http = http
        self.log = None
        self.out = out
        self.silence_ms = _SILENCE_MS
        self.progress_ms = _PROGRESS_MS
        self.answer_ms = _ANSWER_MS
        secure, host, port, path = settings.endpoint
        http.origin(host, port, secure)
        # For the dialect.
        self.path = path.encode()
        self.key = settings.key.strip().encode()
        self.name = settings.name.encode()
        self.system = settings.system.encode()
        self.max_tokens = settings.max_tokens
        self.newer = not dialect.ADAPTS  # the limit's newer name is used
        self.usage = dialect.ADAPTS  # usage is asked for
        self.conversation = None
        self.turns = ALL
        self.question = b""
        self.question_off = self.question_end = 0
        self._dialect = dialect
        paths = []
        self._meanings = bytearray()
        for meaning, group in dialect.wanted():
            for path in group.split():
                paths.append(path)
                self._meanings.append(meaning)
        self._scanner = Scanner(paths)
        self._sse = sse.Sse()
        self._think = Think()
        self._fault = Fault()
        self._json = False
        self._begin()
        self._done = True

    def _begin(self):
        self.pos = self.end = ROOM
        self.reason = -1
        self.tokens_in = self.tokens_out = 0
        self.thought = False
        self._visible = False  # text was shown
        self._refusal = False
        self._last = False  # the event that ends the answer was seen
        self._done = False
        self._flushed = False
        self._began = self._moved = ticks_ms()
        self._think.start()
        self._sse.start()
        self._document()

    def _document(self):
        """A JSON document begins."""
        self._failed = False
        self._said = ROOM  # where the error's words end; they begin at ROOM
        self._at = ROOM  # where values go
        self._fault.start()
        self._scanner.start(self.out, ROOM, len(self.out) - ROOM)

    # Asking.

    def ask(self, conversation, buf, off, n):
        """Sends the turns of ``conversation`` (or None) and behind them buf[off:off + n], if any.

        Of the turns no more than the oldest ``turns``, an attribute that is set before.
        Returns when the answer begins. Raises ApiError, whose text is for the owner, or NetError.
        What the service does not know of the request's parameters is left out from then on.
        """
        self.conversation = conversation
        self.question = buf
        self.question_off = off
        self.question_end = off + n
        newer = self.newer
        while True:
            self._begin()
            self.http.silence_ms = self.silence_ms
            status = self.http.request(self, self.silence_ms)
            if 200 <= status < 300:
                self._json = self.http.is_json
                return
            self._read_fault()
            if status not in (400, 422) or not self._adapt():
                break
        if self._fault.limit:
            self.newer = newer  # another name did not help
        raise self._error(status)

    def write_head(self, w):
        """For Http: the request line and the headers."""
        self._dialect.write_head(w, self)
        w.raw(b"Content-Type: application/json\r\nAccept: text/event-stream, application/json\r\n")
        w.raw(b"User-Agent: Thimble\r\n")

    def write_body(self, w):
        """For Http: the body, the same in each pass."""
        self._dialect.write_body(w, self)

    def _adapt(self):
        """Whether the request can be changed so that this refusal does not apply."""
        fault = self._fault
        if fault.kind == TOO_LONG:
            return False
        if fault.usage and self.usage:
            self.usage = False
            return True
        if fault.limit and not self.newer:
            self.newer = True
            return True
        return False

    def _read_fault(self):
        """Reads an error's body, of any kind and length, as far as it can be understood."""
        http = self.http
        http.silence_ms = _FAULT_MS
        left = _FAULT_BYTES
        start = ticks_ms()
        try:
            while left > 0 and ticks_diff(ticks_ms(), start) < _FAULT_MS:
                n = http.read(250)
                if n == 0:
                    self._done = True
                    return
                if n > 0:
                    left -= n
                    self._scanner.feed(http.inbuf, http.pos, http.pos + n)
                    self._scan_fault()
        except ParseError:
            # HTML, or a document that breaks off. What was understood of it counts.
            self._tidy()
        except NetError:
            pass
        self.stop()

    def _scan_fault(self):
        scanner = self._scanner
        event = scanner.next()
        while event:
            if event == VALUE or event == PIECE:
                self._note(self._meanings[scanner.path])
            event = scanner.next()

    def _error(self, status):
        """The ApiError for what was scanned; status 0 inside a stream."""
        said = bytes(self.out[ROOM : self._said])
        if self.key and self.key[:8] in said:
            said = b""
        said = " ".join(said.decode().split())
        self._tidy()
        name, wait = self.name.decode(), self.http.retry_after
        return overlay.call("model.sentences", "error", self._fault, status, said, name, wait)

    # The answer.

    def poll(self, ms):
        """Waits up to ``ms`` for the answer to go on.

        TEXT: more of it is at out[pos:end], whole characters, until the next call. DONE: it is
        complete, or broke off after some text (reason CUT). Raises NetError or ParseError if it
        broke off before, ApiError for an error inside the answer.
        """
        try:
            return self._poll(ms)
        except ThimbleError:
            if not self._lost():
                raise
        return self._rest()

    def stop(self):
        """Abandons the answer, if it is not complete, by closing the connection."""
        if not self._done:
            self._done = True
            self.http.close()

    def close(self):
        """Closes the connection, which else stays open for the next question."""
        self._done = True
        self.http.close()

    def _poll(self, ms):
        if self._done or self._late():
            return DONE
        scanner = self._scanner
        while True:
            event = scanner.next()
            if event == VALUE or event == PIECE:
                if self._value(self._meanings[scanner.path]):
                    return TEXT
            elif event == OPEN or event == CLOSE:
                if self._meanings[scanner.path] == SAID:
                    self._failed = True
            else:
                event = self._feed(ms)
                if event >= 0:
                    return event
                if event == _FED:
                    ms = -1

    def _feed(self, ms):
        """Gives the scanner more, reading at most once: _ON, _FED, or what poll() returns."""
        if self._json:
            return self._read(ms)
        stream = self._sse
        event = stream.next()
        if event == sse.DATA:
            self._scanner.feed(stream.buf, stream.pos, stream.end)
        elif event == sse.EVENT:
            if self._scanner.offset:
                self._scanner.finish()
            if self._failed:
                raise self._error(0)
            if self._last:
                return self._finish()
            self._document()
        elif event == sse.DONE:
            return self._finish()
        else:
            return self._read(ms)
        return _ON

    def _read(self, ms):
        if ms < 0:
            return NOTHING
        http = self.http
        n = http.read(ms)
        if n < 0:
            return NOTHING
        if n == 0:
            return self._ended()
        if self._json:
            self._scanner.feed(http.inbuf, http.pos, http.pos + n)
        else:
            self._sse.feed(http.inbuf, http.pos, http.pos + n)
        return _FED

    def _value(self, meaning):
        """Takes a wanted value; True if it is text to show."""
        scanner = self._scanner
        if meaning > THOUGHT:
            self._note(meaning)
            return False
        if scanner.kind != STRING or not scanner.length:
            return False
        self._moved = ticks_ms()
        if meaning == THOUGHT:
            self.thought = True
            return False
        if meaning == REFUSED:
            self._refusal = True
        self.pos = self._at
        self.end = self._at + scanner.length
        if not self._think.passing:
            self._filter()
        if self.pos == self.end:
            return False
        self._visible = True
        return True

    def _filter(self):
        self.pos = self._think.take(self.out, self.pos, self.end)
        if self._think.seen:
            self.thought = True

    def _note(self, meaning):
        """Takes a value that is not text."""
        pos = self._at
        end = pos + self._scanner.length
        kind = self._scanner.kind
        if meaning == CODE and kind <= INTEGER:
            self._fault.code(self.out, pos, end)
        elif kind == INTEGER and meaning == TOKENS_IN:
            self.tokens_in = max(0, get_int(self.out, pos, end))
        elif kind == INTEGER and meaning == TOKENS_OUT:
            self.tokens_out = max(0, get_int(self.out, pos, end))
        elif kind != STRING:
            pass
        elif meaning == REASON:
            self._moved = ticks_ms()
            self.reason = _reason(self.out, pos, end)
        elif meaning == EVENT:
            self._last = self._last or _equal(_LAST_EVENT, self.out, pos, end)
        elif meaning > CODE:
            self._failed = self._failed or meaning == SAID
            self._fault.note(self.out, pos, end)
            self._keep(pos, end)

    def _keep(self, pos, end):
        """Keeps the beginning of what an error says; further values go behind it."""
        if pos == ROOM:
            self._said = boundary(self.out, pos, min(end, pos + _SAID_MOST))
            self._at = pos + _SAID_MOST
            self._scanner.out(self.out, self._at, len(self.out) - self._at)

    # The end.

    def _late(self):
        """Whether no more need be waited for. Raises NetError if it took too long."""
        quiet = ticks_diff(ticks_ms(), self._moved)
        if self.reason >= 0:
            if quiet > _END_MS:
                self.stop()
        elif ticks_diff(ticks_ms(), self._began) > self.answer_ms:
            raise NetError("deadline", "the answer took over %d s" % (self.answer_ms // 1000))
        elif quiet > self.progress_ms:
            raise NetError("silence", "no word for %d s" % (self.progress_ms // 1000))
        return self._done

    def _ended(self):
        """The body is complete, whatever the answer is."""
        if self._json:
            self._scanner.finish()
            if self._failed:
                raise self._error(0)
            return self._finish()
        if not self._flushed:
            # A server may leave out the blank line behind its last event.
            self._flushed = True
            self._sse.feed(b"\n\n", 0, 2)
            return _ON
        if self.reason < 0:
            raise NetError("closed", "the model's answer ended before it was complete")
        return self._finish()

    def _finish(self):
        if self._refusal:
            self.reason = OTHER
        elif self.reason < 0:
            self.reason = STOP
        self._tidy()
        return self._rest()

    def _tidy(self):
        """Reads the rest of the body, so that the connection can be used again."""
        self.http.silence_ms = _END_MS
        self.http.drain()
        self._done = True

    def _rest(self):
        """The text that was held in doubt is shown, if any."""
        self.end = ROOM
        self.pos = self._think.end(self.out, ROOM)
        return TEXT if self.pos < ROOM else DONE

    def _lost(self):
        """The answer broke off: whether what came of it is to be kept."""
        self.stop()
        if self._failed:
            return False
        if self.reason < 0 and self._visible:
            self.reason = CUT
            if self.log:
                self.log.fail("the model's answer broke off before its end")
        return self.reason >= 0


def _reason(buf, pos, end):
    """Why the answer ended, in either dialect's words."""
    for_stop = _equal(b"stop", buf, pos, end) or _equal(b"end_turn", buf, pos, end)
    if for_stop or _equal(b"stop_sequence", buf, pos, end) or _equal(b"eos", buf, pos, end):
        return STOP
    for_length = _equal(b"length", buf, pos, end) or _equal(b"max_tokens", buf, pos, end)
    if for_length or _equal(b"model_context_window_exceeded", buf, pos, end):
        return LENGTH
    return OTHER


def _equal(word, buf, pos, end):
    return end - pos == len(word) and buf.find(word, pos, end) == pos
