"""What is done while Telegram or the model is out of reach, beside waiting. An overlay."""

from thimble.core.errors import NetError, ThimbleError
from thimble.telegram import updates
from thimble.telegram.reply import Gone


def advice(relay, error):
    """What the person can do about Telegram's ApiError, as a text; else the error itself."""
    if error.status in (401, 404):
        return "Telegram refused the token (%d). Set telegram.token." % error.status
    if error.status != 409:
        return error
    if "webhook" not in error.text:
        return "Another program polls Telegram with this token (409). Stop it."
    try:
        relay.bot.delete_webhook()
    except ThimbleError as failure:
        relay.log.fail(failure)
    return "Telegram had a webhook for this bot; it is removed now."


def holds(relay, record):
    """Whether the record has to wait for the model, or for another that does; says so, once."""
    if not relay.asks(record) and not _behind(relay, record):
        return False
    _tell(relay, record)
    return True


def park(relay, record):
    """Leaves the record for later; True if it has waited too long, and that was said."""
    arrived = updates.minute_at(relay.inbox.buf, record)
    if arrived and relay.minute - arrived > relay.config.model.patience_min:
        relay.reply.say(b"The model could not be reached for too long. Please ask again later.")
        return True
    relay.retry_later()
    relay.set_back(record)
    _tell(relay, record)
    return False


def _behind(relay, record):
    """Whether somebody in the record's chat was told already that answers have to wait."""
    ring, peer = relay.inbox, relay.reply.peer  # loaded with the record's
    other = ring.first()
    while other >= 0:
        if ring.buf[other + updates.STATE] & updates.TOLD:
            if peer.is_at(ring.buf, other + updates.KEY, ring.buf[other + 1]):
                return True
        other = ring.after(other)
    return False


def _tell(relay, record):
    """Tells the person, once, that the answer has to wait."""
    buf, aside = relay.inbox.buf, relay.aside
    if not _behind(relay, record):
        peer = relay.reply.peer
        aside.peer.load(peer.key, 0, peer.key_len, peer.chat_len, peer.group)
        aside.begin()
        try:
            aside.say(b"The model cannot be reached just now. I will answer when it is back.")
        except (NetError, Gone) as error:
            relay.log.fail(error)
            if isinstance(error, Gone):
                relay.done(record)
            return
    relay.journal.attempt(record, buf[record + updates.STATE] | updates.TOLD)
