"""What is answered: the records that wait in the inbox, one at a time, and in between them those
among the asides, commands that act at once.

The inbox is served chat by chat. A record leaves it once it is answered, or never will be; while
Telegram or the model is out of reach it stays. The journal knows of an attempt before it is made.
"""

from time import ticks_ms

from thimble import overlay
from thimble.board import led
from thimble.core.conversation import ASSISTANT, USER
from thimble.core.errors import NetError, failure
from thimble.telegram import updates
from thimble.telegram.reply import LONG_MS, Gone

_NEVER = const(0x3FFFFFFF)
_TRIES = const(4)  # of the model before a message has to wait
_ATTEMPTS = const(3)  # to answer a message: one that crashes the board is closed then
_TOLD_MOST = const(2)  # in a row that memory ran out; the next time the board restarts
_COLLECT_EVERY = const(16)  # answers; a collection is dear, and no message waits for it
_STARVED = const(b"\n\n(Memory ran out here. /retry asks again; send a command again.)")
_POISON = const(
    b"I have tried three times to answer this message and failed. Please ask differently."
)
GO_ON = const(b"Go on exactly where you stopped.")
_USED_UP = const(
    b"The model has been asked as often as it may be in a day. Please ask again tomorrow."
)
_FAILURES = (Gone, NetError, MemoryError)


class Responder:
    """Answers for ``relay``.

    stopping  /stop came for the answer that is being written
    done_at   when the last record left the inbox
    odd       of which album a picture was answered, see outage.odd
    """

    def __init__(self, relay):
        self._relay = relay
        self._inbox = relay.inbox
        self._reply = relay.reply
        self._exchange = relay.exchange
        self._attempt = self._carry_out  # bound once
        self._over = True  # the record need not be seen to again
        self._told = 0  # how often it was said that memory ran out, since a question was answered
        self.stopping = False
        self.done_at = relay.started
        self.odd = 0

    # Which record.

    def ready(self):
        """The record to see to now, or -1: while the model is out of reach, whom to tell so.

        While Telegram is, none: each try would be a call of the model for nothing.
        """
        if self._relay.poller.away:
            return -1
        if not self._exchange.waiting():
            return self._next()
        ring = self._inbox
        record = ring.first()
        while record >= 0 and (
            ring.buf[record + updates.STATE] & updates.TOLD or self._held(record)
        ):
            record = ring.after(record)
        return record

    def _next(self):
        """The record to answer: of the chats that Telegram does not bid wait for long, the oldest
        of the one that was served longest ago. -1: there is none.
        """
        ring = self._inbox
        found = -1
        least = _NEVER
        record = ring.first()
        while record >= 0 and least:
            if self._served(record) < least and not self._held(record):
                found = record
                least = self._served(record)
            record = ring.after(record)
        return found

    def _held(self, record):
        """Whether Telegram bids the record's chat wait for long."""
        reply = self._reply
        if not reply.limits.blocked(ticks_ms()):
            return False
        _load(reply.peer, self._inbox.buf, record)
        return reply.limits.wait_ms(reply.peer, ticks_ms(), 0) > LONG_MS

    def _served(self, record):
        """When the record's chat was served last, as a number that grows; 0 if it is not known."""
        buf = self._inbox.buf
        chat = self._relay.memory.chats.find(buf, record + updates.KEY, buf[record + 1])
        return chat.stamp if chat is not None else 0

    def asks(self, record):
        """Whether the model is needed for the record."""
        buf = self._inbox.buf
        code = buf[record + 3]
        if self._inbox.size(record) == updates.TEXT:
            return False  # no text, or too long a one
        return not code or updates.RETRY <= code <= updates.MORE

    # One answer.

    def answer(self, record):
        """Answers the record and drops it, or leaves it for when the model can be reached."""
        relay = self._relay
        _load(self._reply.peer, self._inbox.buf, record)
        if self._exchange.waiting() and overlay.call("outage", "holds", relay, record):
            return
        state = self._inbox.buf[record + updates.STATE]
        state += state & updates.COUNT < updates.COUNT
        relay.journal.attempt(record, state | updates.BEGUN)
        self._reply.begin(record, state & updates.BEGUN > 0)
        relay.board.led.show(led.THINKING)
        self._exchange.tries = min(
            1 if state & updates.TOLD else _TRIES, self._exchange.calls_left()
        )
        self.stopping = False
        self._over = True
        error = failure(self._attempt, record, _FAILURES)
        if error is not None:
            self._fail(record, error)
        relay.memory.chats.busy = None
        self._reply.record = -1
        relay.show()
        if self._over:
            self.done(record)

    def _carry_out(self, record):
        """What the record asks for. ``_over`` is False if it is to be tried again later."""
        state = self._inbox.buf[record + updates.STATE]
        if state & updates.COUNT > _ATTEMPTS:
            if state & updates.COUNT <= 2 * _ATTEMPTS:
                self._reply.say(_POISON)
        elif self._inbox.buf[record] & updates.ODD:
            overlay.call("outage", "odd", self._relay, record)
        elif not self.asks(record):
            # It was the chat's turn all the same: else its commands would all come first.
            buf = self._inbox.buf
            self._relay.memory.chats.get(buf, record + updates.KEY, buf[record + 1])
            self.say(self._reply, self._inbox, record)
        elif self._exchange.calls_left() > 0:
            self._ask(record)
        elif (
            not self._relay.rates.told(self._reply.peer.key, self._reply.peer.key_len)
            or state & updates.TOLD  # an answer was promised
        ):
            self._reply.say(_USED_UP)

    def _ask(self, record):
        """Answers a record that needs the model."""
        chat = self.conversation(record)
        code = self._inbox.buf[record + 3]
        again = code == updates.RETRY
        # An earlier attempt may have come as far as writing it to the sessions.
        if chat.turns and self._reply.again and self._relay.sessions.mark == self._exchange.mark:
            again = True
        chat.pop(ASSISTANT if again else USER)  # a question stands there that got no answer
        if not chat.turns and updates.RETRY <= code <= updates.MORE:
            self.say(self._reply, self._inbox, record)
        else:
            self.question(record, again)
            if self._exchange.run():
                self._told = 0
            else:
                self._over = overlay.call("outage", "park", self._relay, record)

    def question(self, record, again):
        """Hands the record's question to the exchange; ``again``: the conversation's last."""
        buf, off = self._inbox.buf, record + updates.TEXT
        size = self._inbox.size(record) - updates.TEXT
        if again:
            size = 0
        elif buf[record + 3] == updates.MORE:
            buf, off, size = GO_ON, 0, len(GO_ON)
        self._exchange.question(buf, off, size)

    def conversation(self, record):
        """The conversation of the record's chat, now the busy one; from flash if need be."""
        buf = self._inbox.buf
        chat = self._relay.memory.chats.get(buf, record + updates.KEY, buf[record + 1])
        self._relay.memory.chats.busy = chat
        self._exchange.mark = updates.mark_at(buf, record)
        self._relay.sessions.mark = -1
        if not chat.turns:
            _load_turns(self._relay, chat)
        return chat

    def done(self, record):
        """The record is answered, or never will be."""
        relay = self._relay
        relay.journal.done(record)
        self._inbox.drop(record)
        if not self._inbox.count:
            relay.journal.commit()
        relay.answered += 1
        self.done_at = ticks_ms()
        relay.look()
        if not relay.answered % _COLLECT_EVERY:
            relay.memory.collect()

    def _fail(self, record, error):
        """The answer could not be brought: its chat is gone, Telegram away, or memory ran out."""
        relay = self._relay
        if isinstance(error, MemoryError):
            relay.starved()
            if self._told >= _TOLD_MOST:
                # Only a new start lays the heap out anew. The message is tried again behind it.
                relay.journal.commit()
                relay.board.restart()
            self._over = _apologize(relay, self._reply)
            self._told += self._over
            relay.poller.away = not self._over  # the next attempt is made when a poll has room
            try:
                if self._over and self.asks(record):
                    overlay.call("outage", "keep", relay, record)
            except MemoryError:
                pass
            return
        relay.log.fail(error)
        relay.model.stop()
        self._over = self.stopping or isinstance(error, Gone)
        chat = relay.memory.chats.busy
        if self._over:
            relay.sessions.end()
            if chat is not None:
                chat.end()
        else:
            relay.sessions.abort()
            if chat is not None:
                chat.clear()  # what is on flash says how far it came
            away = relay.poller.backoff.failures > 0
            relay.poller.away = away
            if away:
                # Not being able to answer it was no attempt. Where Telegram takes all else, or
                # bids wait again and again, it is: each costs a call of the model.
                relay.journal.attempt(record, self._inbox.buf[record + updates.STATE] - 1)
        relay.sessions.commit()

    # Commands that act at once.

    def answer_asides(self):
        """Carries out the commands among the asides. One whose chat may get no answer just now is
        left for later, but for /stop, and where that is so far off that the answer is given up.
        """
        relay = self._relay
        ring, reply = relay.asides, relay.aside
        behind = ring.first()
        while behind >= 0:
            record = behind
            behind = ring.after(record)
            _load(reply.peer, ring.buf, record)
            wait = reply.limits.wait_ms(reply.peer, ticks_ms(), 0)
            if 0 < wait <= LONG_MS and ring.buf[record + 3] != updates.STOP:
                continue
            reply.begin()
            try:
                self._act(ring, record)
            except MemoryError:  # first: to look for several at once makes a tuple
                if relay.memory.chats.busy is not None:
                    record = -1  # it is tried again when that answer is given up
                    raise
                relay.starved()
                _apologize(relay, reply)
            except (Gone, NetError) as error:
                relay.log.fail(error)
                behind = -1  # a poll comes before the next, which may take as long
            finally:
                if record >= 0:
                    ring.drop(record)
                    relay.answered += 1
        relay.journal.commit()  # a command that was carried out does not come again

    def _act(self, ring, record):
        here = ring.buf[record + 3] == updates.STOPPED  # nothing is said
        if ring.buf[record + 3] == updates.STOP:
            if self._relay.memory.chats.busy is not None:
                here = self._reply.peer.is_at(ring.buf, record + updates.KEY, ring.buf[record + 1])
            self.stopping = self.stopping or here
            if self._inbox.count > here:
                if overlay.call("outage", "stop", self._relay, record, here):
                    return
        if not here:
            self.say(self._relay.aside, ring, record)

    def say(self, reply, ring, record):
        """Answers a record with what the commands say to it."""
        words = overlay.call("console.commands", "answer", self._relay, ring, record)
        if words:
            reply.say(words)
        else:
            reply.finish(b"")


def _apologize(relay, reply):
    """Says that memory ran out; False if there is not even enough for that."""
    try:
        reply.finish(_STARVED)
    except MemoryError:
        relay.telegram_link.close()
        return False
    except (Gone, NetError) as error:
        relay.log.fail(error)
        return isinstance(error, Gone)
    return True


def _load_turns(relay, chat):
    try:
        relay.sessions.load(relay.memory.chats, chat, relay.memory.share())
    except MemoryError:
        relay.memory.chats.forget(chat)  # half a conversation would pass for the whole
        raise


def _load(peer, buf, record):
    """The peer is now the record's."""
    peer.load(
        buf,
        record + updates.KEY,
        buf[record + 1],
        buf[record + 2],
        buf[record] & updates.GROUP > 0,
    )
