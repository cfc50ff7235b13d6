"""One exchange: a question to the model, and its answer into the chat and the conversation.

A failure before the first words is tried again where that can help, and then left for later;
after them the person keeps what came, marked. A question that is refused stays in the
conversation for /retry. What is said is written to the sessions on flash as it goes.
"""

import micropython
from micropython import const
from time import ticks_ms

from thimble.core.backoff import Backoff
from thimble.core.conversation import ASSISTANT, USER
from thimble.core.errors import FINAL, RETRY, TOO_LONG, ApiError, NetError, ParseError
from thimble.model import request as model

_SLICE_MS = const(250)
_PATIENCE_MS = const(60_000)
_DAY_S = const(86_400)  # ticks_ms cannot hold much more

_LENGTH = b"\n\n(That was model.max_tokens; /more goes on.)"
_CUT = b"\n\n(The answer was cut off here; /retry asks again.)"
_STOPPED = b"\n\n(Stopped.)"
_MORE = b"\n\n(/more goes on.)"
_WITHHELD = b"\n\n(The model's provider withheld the rest.)"
_EMPTY = b"The model gave an empty answer. /retry asks again."
_THOUGHT = (
    b"The model used up model.max_tokens on its reasoning and gave no answer. Raise that setting."
)
_NOTES = (b"", _LENGTH, _CUT, _WITHHELD)  # by the answer's reason
_FAILURES = (ApiError, NetError, ParseError)


class Exchange:
    """Runs exchanges for ``relay``, whose ``meanwhile`` and ``wait`` say when to stop."""

    def __init__(self, relay):
        self._relay = relay
        self._model = relay.model
        self._reply = relay.reply
        self._chats = relay.memory.chats
        self._sessions = relay.sessions
        self._retry = Backoff()
        self.patience_ms = _PATIENCE_MS  # for longer no one waits: the message is parked
        self.mark = 0  # of the message that is answered, see updates.mark_at
        # The exchange that runs: what run() was given; whether words came; whether the
        # conversation was halved.
        self._chat = self._buf = None
        self._off = self._size = self._tries = 0
        self._got = self._halved = False

    def run(self, chat, buf, off, size, tries):
        """Asks about buf[off:off + size] and streams the answer to the reply's peer.

        ``size`` 0 asks about the question that ends the conversation. False if after ``tries``
        the model could not be reached, and nothing is changed. A refusal is said to the person;
        only Gone passes through, with the conversation's turn still open.
        """
        self._chat = chat
        self._buf = buf
        self._off = off
        self._size = size
        self._tries = tries
        self._halved = False
        self._retry.reset()
        note = None
        while note is None:
            note = self._try()
        if note is False:
            return False
        self._sessions.commit()
        self._reply.finish(note)
        return True

    @micropython.native
    def _try(self):
        """One try: the note that belongs behind the answer, None to try again, or
        False to leave it for later."""
        self._got = False
        try:
            return self._stream()
        except _FAILURES as error:
            self._relay.log.fail(error)
            return self._end(_CUT) if self._got else self._failed(error)

    def _failed(self, error):
        """What _try() returns after a failure before the first words. Nothing is kept of them."""
        self._model.stop()
        self._chat.abort()
        self._sessions.abort()
        if self._size:
            self._chat.pop(USER)
        said, wait = self._fault(error)
        if said == TOO_LONG and not self._halved and self._halve():
            return None
        self._tries -= 1
        if said != RETRY:
            note = _sentence(error)
        elif self._tries <= 0:
            return False
        elif self._relay.wait(wait):
            note = _STOPPED
        else:
            return None
        self._keep_question()
        return note

    def _fault(self, error):
        """(kind, milliseconds to wait before another try) of a model's failure."""
        if isinstance(error, NetError) and error.stage == "certificate":
            return FINAL, 0
        if not isinstance(error, ApiError):
            return RETRY, self._retry.next(ticks_ms() & 255)
        wait = self._relay.model_wait = min(error.retry_after, _DAY_S) * 1000
        if wait > self.patience_ms:
            self._tries = 0
        return error.kind, max(self._retry.next(ticks_ms() & 255), wait)

    def _halve(self):
        """Drops the older half of a conversation that is too long for the model, if it can."""
        chat = self._chat
        keep = max(chat.turns // 2, not self._size)  # the question may be the last turn
        while chat.turns > keep and chat.drop_oldest():
            self._halved = True
        return self._halved

    def _keep_question(self):
        """The question without an answer stays, for /retry; the next message removes it."""
        if self._size:
            self._begin(USER, self.mark)
            self._append(self._buf, self._off, self._size)
            self._chat.end()
            self._sessions.end()

    def _begin(self, role, mark):
        """A turn begins, in the conversation and on flash."""
        chat = self._chat
        chat.begin(role)
        self._sessions.begin(chat.key, 0, chat.key_len, role, mark)

    def _append(self, buf, off, size):
        self._chats.append(self._chat, buf, off, size)
        self._sessions.write(buf, off, size)

    def _stream(self):
        """Asks, and reads the answer to its end; returns the note that belongs behind it."""
        answer = self._model
        self._relay.calls += 1
        answer.waiting = self._relay.between
        note = b""
        if not answer.ask(self._chat, self._buf, self._off, self._size):
            note = _STOPPED
        self._keep_question()
        self._begin(ASSISTANT, 0)
        while not note:
            event = answer.poll(_SLICE_MS)
            if event == model.DONE:
                break
            if event == model.TEXT:
                self._show()
                if self._reply.full:
                    note = _MORE
            if self._relay.meanwhile():
                note = _STOPPED
        return self._end(note)

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
        if self._got:
            self._chat.end()
            self._sessions.end()
            return note or _NOTES[answer.reason]
        self._chat.abort()
        self._sessions.abort()
        if note:
            return note.lstrip()
        return _THOUGHT if answer.thought or answer.reason == model.LENGTH else _EMPTY


def _sentence(error):
    """A failure as the person in the chat reads it."""
    text = (
        error.text if isinstance(error, ApiError) else "The model cannot be reached: %s." % error
    )
    return text.encode()
