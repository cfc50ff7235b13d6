"""Compaction: the older half of a conversation becomes a summary that the model writes.

An overlay. It runs while nobody waits for an answer, and is given up when a message comes. Where
the model cannot, whole oldest turns go.
"""

from micropython import const

from thimble.core import text
from thimble.core.conversation import SUMMARY, USER
from thimble.core.errors import ThimbleError
from thimble.core.octets import copy
from thimble.core.pressure import RELIEVED
from thimble.model import request as model

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
    able = True
    relay.reply.peer.key_len = 0  # nobody is being answered: /stop says so
    while not relay.inbox.count:
        chat = None
        for other in memory.chats.all:
            other.stuck = False
            if other.turns > most:
                chat = other
        if chat is None:
            if memory.fill() < RELIEVED:
                break
            memory.evict()
            chat = memory.chats.largest(0)
        if chat is None:
            break
        able = able and relay.exchange.calls_left() > 0
        if not (able and summarize(relay, chat)):
            if relay.inbox.count:
                return True
            able = able and not _older(chat)  # it is not the model's fault if it was not asked
            goal = chat.turns // 2
            while chat.turns > goal and chat.drop_oldest():
                pass
            if chat.turns > goal:
                memory.chats.forget(chat)
        memory.compactions += 1
    memory.look()
    relay.log.info("compacted: %d %% of the segments used" % memory.fill())
    return False


def summarize(relay, chat):
    """Whether the older half of ``chat`` is a summary now. If not, nothing has changed."""
    older = _older(chat)
    if not older:
        return False
    memory, buf = relay.memory, relay.reply.buf
    memory.chats.busy = chat
    try:
        size = _ask(relay, chat, older, buf)
    except ThimbleError as error:
        relay.log.fail(error)
        size = 0
    finally:
        relay.model.stop()
        relay.model.turns = model.ALL
        relay.model.waiting = None
        memory.chats.busy = None
    if not size:
        return False
    keep = chat.turns - older
    while chat.turns > keep and chat.drop_oldest():
        pass
    size = text.boundary(buf, 0, min(size, memory.segments.size - 16))
    if not chat.prepend(SUMMARY, buf, 0, size):
        return True
    sessions = relay.sessions
    sessions.begin(chat.key, 0, chat.key_len, SUMMARY, keep)
    sessions.write(buf, 0, size)
    sessions.end()
    sessions.commit()
    return True


def _older(chat):
    """How many turns the older half has: it ends before a user's turn. 0: there are too few."""
    half = chat.turns // 2
    older = 0
    chat.rewind()
    for turn in range(chat.turns):
        role = chat.next_turn()
        if role == USER and turn <= half and turn >= 2:
            older = turn
    return older if chat.turns >= _TURNS_LEAST else 0


def _ask(relay, chat, older, buf):
    """Bytes of the summary in ``buf``, 0 if it was given up because a message came."""
    answer = relay.model
    size = 0
    relay.exchange.calls += 1
    answer.turns = older

    def waiting():
        relay.look_in()
        return relay.inbox.count

    answer.waiting = waiting
    if not answer.ask(chat, _PROMPT, 0, len(_PROMPT)):
        return 0
    while size < _MOST:
        event = answer.poll(_SLICE_MS)
        if event == model.TEXT:
            n = min(answer.end - answer.pos, _MOST - size)
            copy(buf, size, answer.out, answer.pos, n)
            size += n
        elif event == model.DONE:
            break
        if waiting():
            return 0
    return text.boundary(buf, 0, size)
