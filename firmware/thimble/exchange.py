"""One exchange: a question to the model, and its answer into the chat and the conversation.

A failure before the first words is tried again where that can help, and then left for later;
after them the person keeps what came, marked. A question that is refused stays in the
conversation for /retry. What is said is written to the sessions on flash as it goes.

It is known here, too, whether the model is out of reach, and when it is to be tried again.
"""

from time import ticks_add, ticks_diff, ticks_ms

from thimble.core.backoff import Backoff
from thimble.core.errors import ApiError, NetError, ParseError, failure

_USER = const(0)  # as core.conversation.USER
_ASSISTANT = const(1)  # as core.conversation.ASSISTANT
_FINAL = const(0)  # as core.errors.FINAL
_RETRY = const(1)  # as core.errors.RETRY
_TOO_LONG = const(2)  # as core.errors.TOO_LONG
_TEXT = const(1)  # as model.request.TEXT
_DONE = const(2)  # as model.request.DONE
_AT_LIMIT = const(1)  # as model.request.LENGTH
_TYPING_AFTER_MS = const(300)  # as telegram.reply._TYPING_AFTER_MS
_SLICE_MS = const(250)
_PATIENCE_MS = const(60_000)
_DAY_S = const(86_400)  # ticks_ms cannot hold much more
_ODD_MOST = const(4)  # answers in a row that are none: that is no outage

_LENGTH = const(b"\n\n(That was model.max_tokens; /more goes on.)")
_CUT = const(b"\n\n(The answer was cut off here; /retry asks again.)")
_STOPPED = const(b"\n\n(Stopped.)")
_MORE = const(b"\n\n(/more goes on.)")
_WITHHELD = const(b"\n\n(The model's provider withheld the rest.)")
_EMPTY = const(b"The model gave an empty answer. /retry asks again.")
_THOUGHT = const(b"The model used up model.max_tokens on its reasoning. Raise that setting.")
_UNREACHED = const("The model cannot be reached: %s.")
_NOTES = const((b"", _LENGTH, _CUT, _WITHHELD))  # by the answer's reason
_FAILURES = (ApiError, NetError, ParseError)
# The request was taken. "http" is a ParseError's stage, too.
_TAKEN = const(("http", "first byte", "silence"))


class Exchange:
    """Runs exchanges for ``relay``, whose ``look_in`` says when to stop.

    mark      of the message that is answered, see updates.mark_at
    tries     how often the model may be tried for it still
    retry_at  when a model that is out of reach is tried again; None while it is in reach
    wait_ms   for how long it asked to be left alone
    outage    backoff of its absence
    calls     how often it was asked, for whatever
    """

    def __init__(self, relay):
        self._relay = relay
        self._model = relay.model
        self._reply = relay.reply
        self._sessions = relay.sessions
        self._between = self.meanwhile  # bound once
        self._retry = Backoff()
        self.outage = Backoff(5000)
        self.retry_at = None
        self.patience_ms = _PATIENCE_MS  # for longer no one waits: the message is parked
        # The exchange that runs: what question() was given; the note behind the answer; whether
        # words came; whether the conversation was halved. And the answers in a row that were none,
        # over exchanges.
        self._chat = self._buf = self._note = None
        self._off = self._size = self.tries = self.mark = self.wait_ms = self.calls = self._odd = 0
        self._got = self._halved = False

    def waiting(self):
        """Whether the model is out of reach, and it is not yet time to try it again."""
        at = self.retry_at
        return at is not None and ticks_diff(at, ticks_ms()) > 0

    def calls_left(self):
        """How often the model may be asked today."""
        rates = self._relay.rates
        return 1000 if rates is None else rates.left(self.calls)

    def question(self, buf, off, size):
        """The question is buf[off:off + size], in the busy conversation; that which ends the
        conversation if ``size`` is 0."""
        self._chat = self._relay.memory.chats.busy
        self._buf = buf
        self._off = off
        self._size = size

    def run(self):
        """Asks the question, and streams the answer to the reply's peer.

        False if after ``tries`` the model could not be reached, and nothing is changed. A refusal
        is said to the person; only Gone passes through, with the conversation's turn still open.
        """
        self._halved = False
        self._retry.reset()
        self._note = None
        while self._note is None:
            self._got = False
            error = failure(Exchange._stream, self, _FAILURES)
            if error is not None:
                if isinstance(error, NetError) and error.stage == "telegram":
                    raise error  # not the model has failed: the answer can come later
                self._relay.log.fail(error)
                self._note = self._end(_CUT) if self._got else self._failed(error)
        if self._note is False:
            return False
        self._sessions.commit()
        self._reply.finish(self._note)
        self.retry_at = None
        self.outage.reset()
        self._odd = 0
        return True

    def _failed(self, error):
        """The note after a failure before the first words, of which nothing is kept; None to try
        again, or False to leave it for later."""
        self._model.stop()
        self._chat.abort()
        self._sessions.abort()
        if self._size:
            self._chat.pop(_USER)
        kind = _RETRY
        wait = self._retry.next(ticks_ms() & 255)
        self.wait_ms = 0  # what it asked for the last time is over
        odd = 0
        if isinstance(error, ApiError):
            kind = error.kind
            self.wait_ms = min(error.retry_after, _DAY_S) * 1000
            wait = max(wait, self.wait_ms)
            if self.wait_ms > self.patience_ms:
                self.tries = 0
        elif error.stage in _TAKEN or self._model.thought:
            # Silence counts twice: it may be thought, paid for each time, and takes minutes. So
            # does what came to no word for all its reasoning.
            odd = self._odd + 2 - (error.stage == "http")
            if odd >= _ODD_MOST:
                kind = _FINAL
        elif error.stage == "certificate":
            kind = _FINAL
        self._odd = odd
        self.tries -= 1
        if kind == _TOO_LONG and not self._halved and self.calls_left() and self._halve():
            return None
        if kind != _RETRY:
            note = error.text if isinstance(error, ApiError) else _UNREACHED % error
            note = note.encode()
        elif self.tries <= 0:
            return False
        elif self._wait(wait):
            note = _STOPPED
        else:
            return None
        self.keep_question()
        return note

    def _wait(self, ms):
        """Waits before another try; True if /stop came."""
        self._relay.look(True)
        end = ticks_add(ticks_ms(), ms)
        while ticks_diff(end, ticks_ms()) > 0:
            if self.meanwhile():
                return True
            self._relay.pause(_SLICE_MS)
        return False

    def meanwhile(self):
        """Between two pieces of an answer: shows it, and looks for commands. True to stop."""
        self._reply.tick(ticks_ms())
        return self._relay.look_in()

    def _halve(self):
        """Drops the older half of a conversation that is too long for the model, if it can."""
        chat = self._chat
        keep = max(chat.turns // 2, not self._size)  # the question may be the last turn
        while chat.turns > keep and chat.drop_oldest():
            self._halved = True
        return self._halved

    def keep_question(self):
        """The question without an answer stays, for /retry; the next message removes it."""
        if self._size:
            self._begin(_USER, self.mark)
            self._append(self._buf, self._off, self._size)
            self._chat.end()
            self._sessions.end()

    def _begin(self, role, mark):
        """A turn begins, in the conversation and on flash."""
        chat = self._chat
        chat.begin(role)
        self._sessions.begin(chat.key, 0, chat.key_len, role, mark)

    def _append(self, buf, off, size):
        self._relay.memory.chats.append(self._chat, buf, off, size)
        self._sessions.write(buf, off, size)

    def _stream(self):
        """Asks, and reads the answer to its end."""
        answer = self._model
        note = b""  # what belongs behind it
        self.calls += 1
        answer.waiting = self._between
        if not answer.http.link.is_open:  # a handshake takes a board seconds: typing shows at once
            self._reply.tick(ticks_add(ticks_ms(), _TYPING_AFTER_MS))
        if not answer.ask(self._chat, self._buf, self._off, self._size):
            note = _STOPPED
        self.keep_question()
        self._begin(_ASSISTANT, 0)
        while not note:
            event = answer.poll(_SLICE_MS)
            if event == _DONE:
                break
            if event == _TEXT:
                self._show()
                if self._reply.full:
                    note = _MORE
            if self.meanwhile():
                note = _STOPPED
        self._note = self._end(note)

    def _show(self):
        """Takes a piece of the answer; what is not shown any more the model is to write again."""
        answer = self._model
        self._got = True
        end = self._reply.append(answer.out, answer.pos, answer.end)
        self._append(answer.out, answer.pos, end - answer.pos)

    def _end(self, note):
        """The answer has ended, or is ended with a note."""
        answer = self._model
        if note:
            answer.stop()
        else:
            note = _NOTES[answer.reason]
        if self._got:
            self._chat.end()
            self._sessions.end()
            return note
        self._chat.abort()
        self._sessions.abort()
        return _THOUGHT if answer.reason == _AT_LIMIT else note.lstrip() or _EMPTY
