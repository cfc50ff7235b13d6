"""One answer of a language model: the request, written in two passes, and the stream that follows.

The answer is text/event-stream, each event a JSON document; a server that ignores ``stream`` sends
one document, which is read in the same way. Which of them it is its first byte says, for its type
is not always right. Of both only the wanted values leave the scanner.
"""

from time import ticks_diff, ticks_ms

from thimble import overlay
from thimble.core.errors import NetError, ThimbleError
from thimble.core.octets import get_int
from thimble.core.scan import Scanner
from thimble.core.sse import Sse
from thimble.model import ANTHROPIC, OPENAI, write_messages
from thimble.model.think import Think

_SSE_DATA = const(1)  # as core.sse.DATA
_SSE_EVENT = const(2)  # as core.sse.EVENT
_SSE_DONE = const(3)  # as core.sse.DONE
_VALUE = const(3)  # as core.scan._VALUE
_PIECE = const(4)  # as core.scan._PIECE
_END = const(5)  # as core.scan._END
_INTEGER = const(1)  # as core.scan._INTEGER
_ROOM = const(8)  # as model.think.ROOM
# Parts of a dialect, see thimble.model.
_HEAD = const(0)
_KEY = const(1)
_SYSTEM = const(2)
_TURNS = const(3)
_ADAPTS = const(4)
_WANTED = const(5)

# What poll() returns.
_NOTHING = const(0)
TEXT = const(1)
DONE = const(2)

# Why an answer ended.
_STOP = const(0)
LENGTH = const(1)  # max_tokens, or the model's own limit
_CUT = const(2)  # the connection ended before the answer, or the service broke it off
_OTHER = const(3)  # a refusal, a content filter

# What the values mean that the dialects want, see thimble.model.
_REFUSED = const(1)
_THOUGHT = const(2)
_REASON = const(3)
_TOKENS_IN = const(4)
_TOKENS_OUT = const(5)
_CODE = const(7)
_SAID = const(8)

_LAST_EVENT = const(b"message_stop")
# What the words hold in which services say why an answer ended: three of LENGTH, of CUT and of
# OTHER. All others are of STOP.
_REASONS = const(
    (
        b"length",
        b"max_tokens",
        b"model_",  # …context_window_exceeded
        b"error",  # or network_error
        b"abort",
        b"insufficient_",
        b"content_filter",
        b"refusal",
        b"sensitive",
    )
)

_ON = const(-1)  # there is something to scan
_FED = const(-2)  # there is, fresh from the connection

_ALL = const(0x3FFFFFFF)
_SILENCE_MS = const(300_000)  # so long OpenAI's say nothing while they reason
_PROGRESS_MS = const(300_000)
_ANSWER_MS = const(600_000)
_END_MS = const(3_000)  # for what may follow a finished answer


class Model:
    """Asks the model of ``settings``. ``out`` (300 bytes or more) holds each piece of its text.

    silence_ms: bound on the wait for any byte; progress_ms: for text or reasoning while the
    service only keeps the connection alive; answer_ms: for the whole answer. log: where it is
    said what cut an answer off, or None. waiting: called while the answer has not begun, or None;
    True gives it up.

    After DONE: reason (why the answer ended, see above), tokens_in and tokens_out (0 if not told),
    thought (there was reasoning). spent_in and spent_out: the tokens of all requests before.
    """

    repeatable = True
    silence_ms = _SILENCE_MS
    progress_ms = _PROGRESS_MS
    answer_ms = _ANSWER_MS

    def __init__(self, http, settings, out):
        dialect = ANTHROPIC if settings.api == "anthropic" else OPENAI
        self.http = http
        self.log = self.waiting = None
        self.tokens_in = self.tokens_out = self.spent_in = self.spent_out = self.end = 0
        self.out = out
        secure, host, port, path = settings.endpoint
        http.origin(host, port, secure)
        self._path = b"POST " + path.encode()
        self.key = settings.key.strip().encode()
        self.name = settings.name.encode()
        self.system = settings.system.encode()
        self.max_tokens = settings.max_tokens
        # The limit's newer name is used; where there is none, no refusal leads to it.
        self.newer = not dialect[_ADAPTS]
        self.usage = dialect[_ADAPTS]  # usage is asked for
        self.conversation = None
        self.turns = _ALL
        self.question = b""
        self.question_off = self.question_end = 0
        self._dialect = dialect
        paths = []
        self.meanings = bytearray()
        for word in dialect[_WANTED].split():
            if len(word) == 1:
                meaning = word[0] - 0x30
            else:
                paths.append(b"choices[]" + word if word[0] == 0x2E else word)
                self.meanings.append(meaning)
        self.scanner = Scanner(paths)
        self._sse = Sse()
        self._think = Think()
        self._begin()
        self.done = True

    def _begin(self):
        self.reason = -1
        # A service may tell them several times in an answer, each time all of them.
        self.spent_in += self.tokens_in
        self.spent_out += self.tokens_out
        self.tokens_in = self.tokens_out = 0
        self.thought = False
        self._refusal = False
        self._last = False  # the event that ends the answer was seen
        self.done = False
        self._flushed = False
        self._json = False
        self._heard = -1  # -1: no byte yet; 0: none of a stream of events
        self._began = self._moved = ticks_ms()
        self._think.start()
        self._sse.start()
        self._document()

    def _document(self):
        """A JSON document begins."""
        self._mute = self.end == _ROOM  # the one before it had no words
        self.pos = self.end = _ROOM
        self.failed = False
        self.said = self.at = _ROOM  # where an error's words end, which begin at _ROOM; values go
        self.named = self.meant = 0  # what the error names, the status that it means
        self.scanner.start(self.out, _ROOM, len(self.out) - _ROOM)

    # Asking.

    def ask(self, conversation, buf, off, n):
        """Sends the turns of ``conversation`` (or None) and behind them buf[off:off + n], if any.

        Of the turns no more than the oldest ``turns``, an attribute that is set before.
        Returns True when the answer begins; False if ``waiting``, which is called until then,
        said so. Raises ApiError, whose text is for the owner, or NetError.
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
            # Another name for the status would make the frame too large.
            n = self.http.request(self, self.silence_ms, self.waiting)
            if not n:
                return False
            if 200 <= n < 300:
                return True
            self._refused(n, newer)

    def _refused(self, status, newer):
        """Raises the ApiError of a refusal, unless the request can be asked otherwise."""
        if not overlay.call("model.sentences", "adapt", self, status, newer):
            raise self._error(status)

    def write_head(self, w):
        """For Http: the request line and the headers."""
        w.raw(self._path)
        w.raw(self._dialect[_HEAD])
        if self.key:
            w.raw(self._dialect[_KEY])
            w.raw(self.key)
        w.raw(
            b"\r\nContent-Type: application/json\r\nAccept: text/event-stream, application/json"
            b"\r\nUser-Agent: Thimble\r\n"
        )

    def write_body(self, w):
        """For Http: the body, the same in each pass."""
        dialect = self._dialect
        w.raw(b'{"model":"')
        w.json(self.name, 0, len(self.name))
        w.raw(b'","stream":true,')
        if self.usage:
            w.raw(b'"stream_options":{"include_usage":true},')
        newer = self.newer and dialect[_ADAPTS]
        w.raw(b'"max_completion_tokens":' if newer else b'"max_tokens":')
        w.num(self.max_tokens)
        if self.system:
            w.raw(dialect[_SYSTEM])
            w.json(self.system, 0, len(self.system))
            w.raw(dialect[_TURNS])
        else:
            w.raw(b',"messages":[')
        write_messages(w, self)
        w.raw(b"]}")

    def _error(self, status):
        """The ApiError for what was scanned; status 0 inside a stream."""
        return overlay.call("model.sentences", "error", self, status)

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
            self.stop()
            if self.reason < 0 and self._think.passing and not self.failed:
                self.reason = _CUT
                if self.log:
                    self.log.fail("the model's answer broke off before its end")
            if self.failed or self.reason < 0:
                raise
        return self._rest()

    def stop(self):
        """Abandons the answer, if it is not complete, by closing the connection."""
        if not self.done:
            self.close()

    def close(self):
        """Closes the connection, which else stays open for the next question."""
        self.done = True
        self.http.close()

    def _poll(self, ms):
        if self.done or self._late():
            return DONE
        scanner = self.scanner
        while True:
            event = scanner.next()
            if not event or event == _END:
                event = self._feed(ms)
                if event >= 0:
                    return event
                if event == _FED:
                    ms = -1
            elif event == _VALUE or event == _PIECE:
                if self._value(self.meanings[scanner.path]):
                    return TEXT
            elif self.meanings[scanner.path] == _SAID:
                self.failed = True

    def _feed(self, ms):
        """Gives the scanner more, reading at most once: _ON, _FED, or what poll() returns."""
        stream = self._sse
        event = stream.next()
        while event == _SSE_EVENT:
            if self.scanner.offset:
                self.scanner.finish()
            # What names a parameter or a limit is an error whatever its form.
            if self.failed or self.named:
                raise self._error(0)
            self._document()
            if self._last:
                return self._finish()
            event = stream.next()
        if event == _SSE_DATA:
            self._heard = 1
            self.scanner.feed(stream.buf, stream.pos, stream.end)
            return _ON
        if event == _SSE_DONE:
            return self._finish()
        return self._read(ms)

    def _read(self, ms):
        if ms < 0:
            return _NOTHING
        http = self.http
        n = http.read(ms)
        if n < 0:
            return _NOTHING
        if n == 0:
            return self._ended()
        pos = http.pos
        n += pos
        while self._heard < 0 and pos < n:
            if http.inbuf[pos] > 0x20:
                self._heard = http.inbuf[pos] == 0x3A  # a comment
                self._json = http.inbuf[pos] | 0x20 == 0x7B  # "{" or "["
            pos += 1
        (self.scanner if self._json else self._sse).feed(http.inbuf, http.pos, n)
        return _FED

    def _value(self, meaning):
        """Takes a wanted value; True if it is text to show."""
        scanner = self.scanner
        if meaning > _THOUGHT:
            self._note(meaning)
            return False
        if not scanner.length or not (scanner.path or self._json):
            return False
        self._moved = ticks_ms()
        self.pos = self.at
        self.end = self.at + scanner.length
        if meaning == _THOUGHT:
            self.thought = True
            return False
        if meaning == _REFUSED:
            self._refusal = True
        if not self._think.passing:
            self.pos = self._think.take(self.out, self.pos, self.end)
            if self._think.seen:
                self.thought = True
        return self.pos < self.end

    def _note(self, meaning):
        """Takes a value that is not text."""
        pos = self.at
        end = pos + self.scanner.length
        kind = self.scanner.kind
        if meaning >= _CODE:
            if kind <= _INTEGER and pos < end:
                overlay.call("model.sentences", "note", self, meaning)
        elif kind == _INTEGER:
            if meaning == _TOKENS_IN:
                self.tokens_in = max(0, get_int(self.out, pos, end))
            elif meaning == _TOKENS_OUT:
                self.tokens_out = max(0, get_int(self.out, pos, end))
        elif pos < end:  # some servers say "" until there is a reason
            if meaning == _REASON:
                self._moved = ticks_ms()
                self.reason = _reason(self.out, pos, end)
            elif self.out.find(_LAST_EVENT, pos, end) == pos:
                self._last = True

    # The end.

    def _late(self):
        """Whether no more need be waited for. Raises NetError if it took too long."""
        quiet = ticks_diff(ticks_ms(), self._moved)
        # Some gateways give each chunk a reason: only one without words ends the answer.
        if self.reason >= 0 and self._mute:
            if quiet > _END_MS:
                self.stop()
        elif ticks_diff(ticks_ms(), self._began) > self.answer_ms:
            raise NetError("deadline", "the answer took over %d s" % (self.answer_ms // 1000))
        elif quiet > self.progress_ms:
            raise NetError("silence", "no word for %d s" % (self.progress_ms // 1000))
        return self.done

    def _ended(self):
        """The body is complete, whatever the answer is."""
        if self._json:
            self.scanner.finish()
            if self.failed:
                raise self._error(self.meant or 200)
        elif not self._flushed:
            # A server may leave out the blank line behind its last event.
            self._flushed = True
            self._sse.feed(b"\n\n", 0, 2)
            return _ON
        if self.reason < 0:
            if not (self._think.passing or self._heard):
                raise self._error(200)
            if not self._json:
                raise NetError("closed", "the model's answer ended before it was complete")
        return self._finish()

    def _finish(self):
        if self._refusal:
            self.reason = _OTHER
        elif self.reason < 0:
            self.reason = _STOP
        self.tidy()
        return self._rest()

    def tidy(self):
        """Reads the rest of the body, so that the connection can be used again."""
        self.http.drain()
        self.done = True

    def _rest(self):
        """The text that was held in doubt is shown, if any."""
        self.end = _ROOM
        self.pos = self._think.end(self.out, _ROOM)
        return TEXT if self.pos < _ROOM else DONE


def _reason(buf, pos, end):
    """Why the answer ended, in either dialect's words."""
    for i in range(len(_REASONS)):
        if buf.find(_REASONS[i], pos, end) >= 0:
            return LENGTH + i // 3
    return _STOP
