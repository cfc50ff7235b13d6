"""Compaction: the older half of a conversation becomes a summary that the model writes.

An overlay. It runs while nobody waits for an answer, and is given up when a message comes. Where
the model cannot, or the heap is short, whole oldest turns go, and the last summary stays.
"""

from thimble.core import text
from thimble.core.errors import ThimbleError
from thimble.core.octets import copy

_RELIEVED = const(60)  # as core.pressure.RELIEVED
_USER = const(0)  # as core.conversation.USER
_SUMMARY = const(2)  # as core.conversation.SUMMARY
_TEXT = const(1)  # as model.request.TEXT
_DONE = const(2)  # as model.request.DONE
_LENGTH = const(1)  # as model.request.LENGTH
_ALL = const(0x3FFFFFFF)  # as model.request._ALL
_SLICE_MS = const(250)
_MOST = const(768)  # bytes of a summary
_TURNS_LEAST = const(4)
_PROMPT = const(
    b"Summarize our conversation up to here for yourself, in its language, in at most 100 words: "
    b"facts, names, wishes, decisions, what is still open. Answer with the summary only."
)


def run(relay):
    """Compacts until the pressure is over, and every conversation that has too many turns.

    True if a message came, for which it was given up.
    """
    memory = relay.memory
    most = relay.config.memory.max_messages
    able = not memory.short
    relay.reply.peer.key_len = 0  # nobody is being answered: /stop says so
    while not relay.inbox.count:
        chat = None
        for other in memory.chats.all:
            other.stuck = False
            if other.turns > most:
                chat = other
        if chat is None:
            memory.evict()
            chat = memory.chats.largest(0)
            if chat is None or memory.fill() < _RELIEVED:
                break
        older = _older(chat)
        size = 0
        if able and older and relay.exchange.calls_left() > 0:
            size = able = _ask(relay, chat, older)
            if relay.inbox.count and not size:
                return True
        _shorten(relay, chat, chat.turns - older if size else chat.turns // 2, size)
        memory.compactions += 1
        relay.log.info("compacted to %d %% of the segments" % memory.fill())
    memory.look()
    return False


def _shorten(relay, chat, keep, size):
    """Leaves the last ``keep`` turns, and of what was before them the summary: ``size`` bytes in
    the reply's buffer, or if that is 0 the one that was there. Few turns leave RAM instead."""
    if chat.turns < _TURNS_LEAST:
        relay.memory.chats.forget(chat)
        return
    buf = relay.reply.buf
    chat.rewind()
    if not size and chat.next_turn() == _SUMMARY:
        while chat.next_piece():
            n = chat.stop - chat.pos
            copy(buf, size, chat.buf, chat.pos, n)
            size += n
    while chat.turns > keep and chat.drop_oldest():
        pass
    keep = chat.turns
    size = text.boundary(buf, 0, min(size, relay.memory.segments.size - 16))
    if size and keep and chat.prepend(_SUMMARY, buf, 0, size):
        sessions = relay.sessions
        sessions.begin(chat.key, 0, chat.key_len, _SUMMARY, keep)
        sessions.write(buf, 0, size)
        sessions.end()
        sessions.commit()


def _older(chat):
    """How many turns the older half has: it ends before a user's turn. 0: there are too few."""
    older = 0
    chat.rewind()
    for turn in range(chat.turns // 2 + 1):
        if chat.next_turn() == _USER and turn >= 2:
            older = turn
    return older


def _ask(relay, chat, turns):
    """Bytes of a summary of the ``turns`` oldest turns, in the reply's buffer, where a character
    may be cut off; 0 if there is none, or if it was given up because a message came."""
    answer, chats, buf = relay.model, relay.memory.chats, relay.reply.buf
    size = 0

    def waiting():
        relay.look_in()
        return relay.inbox.count

    relay.exchange.calls += 1
    chats.busy = chat
    answer.turns = turns
    answer.waiting = waiting
    try:
        if not answer.ask(chat, _PROMPT, 0, len(_PROMPT)):
            return 0
        while size < _MOST:
            event = answer.poll(_SLICE_MS)
            if event == _TEXT:
                n = min(answer.end - answer.pos, _MOST - size)
                copy(buf, size, answer.out, answer.pos, n)
                size += n
            elif event == _DONE:
                # What was cut off, refused or filtered is none.
                return size if answer.reason <= _LENGTH else 0
            if waiting():
                return 0
        return size
    except ThimbleError as error:
        relay.log.fail(error)
        return 0
    finally:
        answer.stop()
        answer.turns = _ALL
        answer.waiting = chats.busy = None
