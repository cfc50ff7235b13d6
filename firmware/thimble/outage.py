"""What is done while Telegram or the model is out of reach, beside waiting, and where the flash or
the memory fails; and what becomes of messages that are not to be answered one by one. An overlay.
"""

import time

from thimble.core.errors import NetError, ThimbleError, failure
from thimble.core.octets import behind, crc16
from thimble.telegram import updates
from thimble.telegram.reply import Gone

_USER = const(0)  # as core.conversation.USER
_ENOSPC = const(28)  # littlefs's own number, on every board
_STATE = const(5)  # as telegram.updates.STATE
_TOLD = const(128)  # as telegram.updates.TOLD
_KEY = const(6)  # as telegram.updates.KEY
_RETRY = const(7)  # as telegram.updates.RETRY
_MORE = const(8)  # as telegram.updates.MORE
_UPDATE = const(48)  # as telegram.updates._UPDATE


def advice(relay, error):
    """What the person can do about Telegram's ApiError, or about the flash, as a text, behind what
    the relay can; else the error itself."""
    if isinstance(error, NetError):
        full = ""
        if relay.journal.error == _ENOSPC:
            full = " It is full."
            sessions = relay.sessions
            if sessions.files > 1:  # what was said long ago makes room
                sessions.remove(sessions.first)
        return "The %s.%s Messages wait at Telegram meanwhile." % (error.detail, full)
    status = getattr(error, "status", 0)
    if status in (401, 404):
        return "Telegram refused the token (%d). Set telegram.token." % status
    if status != 409:
        return error
    if "webhook" not in error.text:
        return "Another program polls Telegram with this token (409). Stop it."
    if not failure(relay.bot.call, b"deleteWebhook", ThimbleError):
        error = "Telegram had a webhook for this bot; it is removed now."
    return error


def unkept(relay):
    """Says that a part of a conversation could not be kept on flash, or read from there."""
    sessions = relay.sessions
    why = "is full" if sessions.error == _ENOSPC else "failed (error %d)" % sessions.error
    sessions.error = 0
    relay.log.fail("The flash %s: a part of what was said may not be kept." % why)


def holds(relay, record):
    """Whether the record has to wait for the model, or for another that does; says so, once."""
    if not relay.responder.asks(record) and not _behind(relay, record):
        return False
    _tell(relay, record)
    return True


def park(relay, record):
    """Leaves the model alone for a while, and the record for later.

    True if it has waited too long, and that was said.
    """
    buf, now = relay.inbox.buf, time.ticks_ms()
    arrived = updates.minute_at(buf, record)
    patience = relay.config.model.patience_min
    exchange = relay.exchange
    if arrived and relay.minute - arrived > patience:
        exchange.keep_question()
        relay.sessions.commit()
        relay.reply.say(b"The model could not be reached for too long. /retry asks again.")
        return True
    # However long the model asks to be left alone.
    wait = min(max(exchange.outage.next(now & 255), exchange.wait_ms), (patience + 1) * 60_000)
    exchange.retry_at = time.ticks_add(now, wait)
    if wait > exchange.patience_ms:
        relay.model.close()  # it would be idle for long
    # Not being able to answer it was no attempt.
    relay.journal.attempt(record, buf[record + _STATE] - 1)
    _tell(relay, record)
    return False


def stop(relay, record, here):
    """Closes what waits for the model in the chat of /stop, an aside, and came before it.

    Whether there was anything, or may be at Telegram, where a full inbox leaves it: that is closed
    in telegram.updates. It is said if no answer is being ended ``here``, in that chat.
    """
    ring, said, peer = relay.inbox, relay.asides.buf, relay.aside.peer  # loaded with the aside's
    last = record + _UPDATE
    found = ring.full
    other = ring.first()
    while other >= 0:
        at = other
        other = ring.after(at)
        if (
            at != relay.reply.record
            and relay.responder.asks(at)
            and peer.is_at(ring.buf, at + _KEY, ring.buf[at + 1])
            and behind(ring.buf, at + _UPDATE, ring.buf[at + 4], said, last, said[record + 4]) > 0
        ):
            relay.responder.done(at)
            found = True
    if found and not here:
        relay.aside.say(b"(Stopped.)")
    return found


def keep(relay, record):
    """What is asked in a record, for which memory ran out, stays in the conversation, for /retry.
    How far that had come the flash knows."""
    buf, chats, sessions = relay.inbox.buf, relay.memory.chats, relay.sessions
    responder, exchange = relay.responder, relay.exchange
    chat = chats.find(buf, record + _KEY, buf[record + 1])
    if chat is not None:
        chats.forget(chat)
    try:
        chat = responder.conversation(record)
        code = buf[record + 3]
        if code != _RETRY and sessions.mark != exchange.mark:
            chat.pop(_USER)
            if chat.turns or code != _MORE:  # else there is nothing to go on with
                responder.question(record, False)
                exchange.keep_question()
                sessions.commit()
    finally:
        chats.busy = None


def odd(relay, record):
    """Answers a record without text; of an album, whose pictures come one by one, the first."""
    buf = relay.inbox.buf
    minute = updates.minute_at(buf, record)
    now = _mark(buf, record, minute)
    responder = relay.responder
    if not minute or responder.odd not in (now, _mark(buf, record, minute - 1)):
        responder.say(relay.reply, relay.inbox, record)
        responder.odd = now


def _mark(buf, record, minute):
    return crc16(buf, record + _KEY, buf[record + 1], minute & 0xFFFF)


def _behind(relay, record):
    """Whether somebody in the record's chat was told already that answers have to wait."""
    ring, peer = relay.inbox, relay.reply.peer  # loaded with the record's
    other = ring.first()
    while other >= 0:
        if ring.buf[other + _STATE] & _TOLD:
            if peer.is_at(ring.buf, other + _KEY, ring.buf[other + 1]):
                return True
        other = ring.after(other)
    return False


def _tell(relay, record):
    """Tells the person, once, that the answer has to wait."""
    aside = relay.aside
    if not _behind(relay, record):
        peer = relay.reply.peer
        aside.peer.load(peer.key, 0, peer.key_len, peer.chat_len, peer.group)
        aside.begin()
        words = b"The model cannot be reached just now. I will answer when it is back."
        error = failure(aside.say, words, (NetError, Gone))
        if error:
            relay.log.fail(error)
            if isinstance(error, Gone):
                relay.responder.done(record)
            return
    relay.journal.attempt(record, relay.inbox.buf[record + _STATE] | _TOLD)
