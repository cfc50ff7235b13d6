"""One exchange: a question to the model, and its answer into the chat and the conversation.

A failure before the first words is tried again where that can help, and then left for later;
after them the person keeps what came, marked. A question that is refused stays in the
conversation for /retry. What is said is written to the sessions on flash as it goes.
"""

import time

import micropython
from micropython import const

from thimble.core.backoff import Backoff
from thimble.core.conversation import ASSISTANT, USER
from thimble.core.errors import ApiError, NetError, ParseError
from thimble.model import request as model

_SLICE_MS = const(250)
_LONGEST_WAIT_MS = const(60_000)

_LENGTH = b"\n\n(That was model.max_tokens; /more goes on.)"
_CUT = b"\n\n(The answer was cut off here; /retry asks again.)"
_STOPPED = b"\n\n(Stopped.)"
_MORE = b"\n\n(/more goes on.)"
_WITHHELD = b"\n\n(The model's provider withheld the rest.)"
_EMPTY = b"The model gave an empty answer. /retry asks again."
_THOUGHT = (
    b"The model used up model.max_tokens on its reasoning and gave no answer. Raise that setting."
)
_NOTES = {model.STOP: b"", model.LENGTH: _LENGTH, model.CUT: _CUT, model.OTHER: _WITHHELD}


class Exchange:
    """Runs exchanges for ``relay``, whose ``meanwhile`` and ``wait`` say when to stop."""

    def __init__(self, relay):
        self._relay = relay
        self._model = relay.model
        self._reply = relay.reply
        self._chats = relay.memory.chats
        self._sessions = relay.sessions
        self._retry = Backoff()
        self.mark = 0  # of the message that is answered, see updates.mark_at

    @micropython.native
    def run(self, chat, buf, off, size, tries):
        """Asks about buf[off:off + size] and streams the answer to the reply's peer.

        ``size`` 0 asks about the question that ends the conversation. False if after ``tries``
        the model could not be reached, and nothing is changed. A refusal is said to the person;
        only Gone passes through, with the conversation's turn still open.
        """
        reply = self._reply
        self._retry.reset()
        compacted = False
        while True:
            try:
                self._relay.calls += 1
                self._model.ask(chat, buf, off, size)
                note = self._stream(chat, buf, off, size)
                break
            except (ApiError, NetError, ParseError) as error:
                self._model.stop()
                self._relay.log.fail(error)
                said, wait = self._fault(error)
                if said == model.TOO_LONG and not compacted and self._halve(chat):
                    compacted = True
                    continue
                tries -= 1
                if said == model.RETRY and tries <= 0:
                    return False
                if said != model.RETRY:
                    self._keep_question(chat, buf, off, size)
                    note = _sentence(error)
                    break
            if self._relay.wait(wait):
                self._keep_question(chat, buf, off, size)
                note = _STOPPED
                break
        self._sessions.commit()
        reply.finish(note)
        return True

    def _fault(self, error):
        """(kind, milliseconds to wait before another try) of a model's failure."""
        if isinstance(error, NetError) and error.stage == "certificate":
            return model.FINAL, 0
        if not isinstance(error, ApiError):
            return model.RETRY, self._retry.next(time.ticks_ms() & 255)
        wait = max(self._retry.next(time.ticks_ms() & 255), error.retry_after * 1000)
        return error.kind, min(wait, _LONGEST_WAIT_MS)

    def _halve(self, chat):
        """Drops the older half of a conversation that is too long for the model."""
        keep = chat.turns // 2
        dropped = False
        while chat.turns > keep and chat.drop_oldest():
            dropped = True
        return dropped

    def _keep_question(self, chat, buf, off, size):
        """The question without an answer stays, for /retry; the next message removes it."""
        if size:
            chat.begin(USER)
            self._chats.append(chat, buf, off, size)
            chat.end()
            self._note(chat, USER)
            self._sessions.write(buf, off, size)
            self._sessions.end()

    def _note(self, chat, role):
        """A turn begins that is kept on flash."""
        self._sessions.begin(chat.key, 0, chat.key_len, role, self.mark)

    @micropython.native
    def _stream(self, chat, buf, off, size):
        """Reads the answer to its end; returns the note that belongs behind it.

        What breaks before the first words is raised, with nothing kept, to be tried again.
        """
        reply, answer = self._reply, self._model
        sessions = self._sessions
        self._keep_question(chat, buf, off, size)
        chat.begin(ASSISTANT)
        sessions.begin(chat.key, 0, chat.key_len, ASSISTANT)
        got = False
        note = b""
        try:
            while not note:
                event = answer.poll(_SLICE_MS)
                if event == model.TEXT:
                    got = True
                    self._chats.append(chat, answer.out, answer.pos, answer.end - answer.pos)
                    sessions.write(answer.out, answer.pos, answer.end - answer.pos)
                    reply.append(answer.out, answer.pos, answer.end)
                    if reply.full:
                        note = _MORE
                elif event == model.DONE:
                    break
                note = _STOPPED if self._relay.meanwhile() else note
        except (ApiError, NetError, ParseError) as error:
            if not got:
                chat.abort()
                sessions.abort()
                if size:
                    chat.pop(USER)
                raise error
            self._relay.log.fail(error)
            note = _CUT
        if note:
            answer.stop()
        if not got:
            chat.abort()
            sessions.abort()
            if note:
                return note.lstrip()
            return _THOUGHT if answer.thought or answer.reason == model.LENGTH else _EMPTY
        chat.end()
        sessions.end()
        return note or _NOTES[answer.reason]


def _sentence(error):
    """A failure as the person in the chat reads it."""
    text = (
        error.text if isinstance(error, ApiError) else "The model cannot be reached: %s." % error
    )
    return text.encode()
