"""What the chats, the model and `status` of a town show, beside what the reference promises."""

from __future__ import annotations

import itertools
import re

from tools.cloud.script import Script, directed

from .answers import Broken, outcome
from .draws import PLACES
from .reference import FELL, GO_ON, MARK, SUMMARIZE, WAITING

EDIT_S = 1.4, 3.9  # between two edits, in a private chat and in a group; the clocks are two
HEAP_SLACK = 1024
CLOCK_S = 0.05  # by which two clocks may differ
FORGOTTEN_S = 60  # so long a restarted relay may have written what it does not know of
PARAMETER = re.compile("Unsupported parameter|Unrecognized request argument")
RETRY_AFTER = re.compile(r"retry after (\d+)")
FLASH = 60_000  # bytes of turns that it always has room for


def settled(town, state):
    """Compares; Broken where it is not as promised. ``state`` is the console's status."""
    calls = town.cloud.models.calls(since=town.asked_to)
    town.asked_to = calls[-1].seq if calls else town.asked_to
    by_session = {session.number: [] for session in town.sessions}
    asked = [(call.time, call.params["messages"][-1]["content"]) for call in calls]
    for call in calls:
        _sort(town, call, by_session)
    town.scripts.clear()
    size = sum(len(text.encode()) for one in town.sessions for _, text in one.archive)
    for turns, _, script in itertools.chain(*by_session.values()):
        question = turns[-1][1]
        size += len((question + outcome(script, question)[0]).encode())
    if size > FLASH:
        for session in town.sessions:
            session.full = True
    changes = town.cloud.telegram.changes(town.changed_to)
    most = town.how["limits"].get("calls_per_day")
    town.made += len(calls)
    town.remade += sum(call.status <= 0 or bool(PARAMETER.match(call.error)) for call in calls)
    for session in town.sessions:
        chat, thread = PLACES[session.number]
        texts = [
            one
            for one in town.cloud.telegram.messages(chat)
            if one.id > session.seen and (one.thread or 0) == thread
        ]
        session.seen = max([session.seen, *(one.id for one in texts)])
        if town.house.small:  # it may not have come up at once
            texts = [one for one in texts if not one.text.startswith(FELL)]
        said = [
            (one["time"], one["text"])
            for one in changes
            if one["chat"] == chat and (one["thread"] or 0) == thread
        ]
        try:
            if not town.rough:
                _look_at_waiting(town, session, [one.text for one in texts])
                session.look_behind(asked, said)
            session.settle(
                by_session[session.number],
                [one.text for one in texts],
                town.rough,
                bool(most) and town.made >= most,
                town.troubled,
            )
        except Broken as error:
            raise Broken(f"{PLACES[session.number]}: {error}") from None
    # What is made anew as the same call: a request that a kept connection ended, or one without
    # a parameter that was refused.
    if most and town.made - town.remade > most and not town.rough:
        raise Broken(f"{town.made} calls in a day, not {most}")
    _look_around(town, state)


def _look_at_waiting(town, session, texts):
    """Who waits for the model is told so once; who had to wait for long was told."""
    told = texts.count(WAITING)
    asked = any(item.kind in ("ask", "more", "retry") for item in session.queue)
    if told > asked:
        raise Broken(f"{WAITING!r} was said {told} times")
    unheard = any(item.unheard for item in session.queue)
    if town.long_for is session and not (told or unheard):
        raise Broken(f"{WAITING!r} was not said")


def _sort(town, call, by_session):
    """Gives a call of the model to the session whose words it has."""
    if call.fault:
        script = Script(mode="echo", cut_after=0)
    else:
        script = town.scripts.pop(0) if town.scripts else Script(mode="echo")
    turns = [(turn["role"], turn["content"]) for turn in call.params["messages"]]
    system = call.params.get("system", "")
    if turns[0][0] == "system":
        system = turns.pop(0)[1]
    if system != town.how["model"]["system"]:
        raise Broken(f"system prompt {system!r}")
    roles = [role for role, _ in turns]
    if roles != (["user", "assistant"] * len(roles))[: len(roles)] or roles[-1] != "user":
        raise Broken(f"roles {roles}")
    owners = {int(number) for _, text in turns for number in MARK.findall(text)}
    if not owners and turns == [("user", GO_ON)]:
        owners = {town.asking}  # again, now that the conversation was too long
    if len(owners) != 1:
        raise Broken(f"a prompt with the words of sessions {owners}: {turns}"[:500])
    town.asking = owners.pop()
    session = town.sessions[town.asking]
    if turns[-1][1].startswith(SUMMARIZE):
        done = 0 < call.status < 400
        session.summary = session.summary or done
        session.halved = session.halved or not done  # then the older half just goes
        return
    if not call.fault:
        script = directed(script, turns[-1][1])[0]
    if call.fault == "flood" and town.long:
        town.long_for = session
    by_session[session.number].append((turns, call.status, script))


def _look_around(town, state):
    """What holds whatever was said."""
    changes = town.cloud.telegram.changes(town.changed_to)
    edits = {}
    for change in changes:
        town.changed_to = change["seq"]
        key = change["chat"], change["message_id"]
        if change["kind"] == "edited" and not town.rough:
            gap = change["time"] - edits.get(key, 0)
            if gap < EDIT_S[change["chat"] < 0]:
                raise Broken(f"two edits within {gap:.2f} s")
            edits[key] = change["time"]
    look_at_calls(town)
    town.cloud.clear_calls()
    said = "\n".join(town.relay.log)
    if (
        "crash" in said
        or "Traceback" in said
        or ("memory ran out" in said and not town.house.small)
    ):
        raise Broken(said[-1500:])
    if state is None:
        return
    if town.rough:
        town.heap, town.refused = 0, state["refused"]
        town.known = state["duplicates"]
        return
    known = state["duplicates"]
    if state["refused"] != town.refused or state["dropped"] or known != town.known:
        raise Broken(f"{town.refused} refused; {state}")
    if state["heap_used"] > town.heap + town.house.given + HEAP_SLACK and town.heap:
        raise Broken(f"live heap has grown from {town.heap}: {state}")
    if not town.how["secure"]:  # there the connections' blocks come and go
        town.heap = town.heap or state["heap_used"]


def look_at_calls(town):
    """No call is refused without a fault, after a 429 the chat is left alone, and where the bot is
    blocked each answer is tried once."""
    tried = {}
    for call in town.cloud.telegram.calls():
        chat = call.params.get("chat_id")
        asked, until = town.waits.get(chat, (0, 0))
        forgot = asked < town.restarted_at <= call.time
        if until - call.time > CLOCK_S and not forgot:
            late = until - call.time
            raise Broken(f"{call.method} to {chat} came {late:.2f} s before retry_after was over")
        if call.status == 429 and chat:
            wait = RETRY_AFTER.search(call.error)
            town.waits[chat] = call.time, call.time + (int(wait[1]) if wait else 1)
            flood = town.how["flood"]
            if flood == "tight" or call.time - town.restarted_at < FORGOTTEN_S:
                continue
        if call.status == 403 and not call.fault:
            tried[chat] = tried.get(chat, 0) + (call.method in ("sendMessage", "editMessageText"))
            if tried[chat] > town.heard.get(chat, 0) and not town.rough:
                raise Broken(f"{tried[chat]} tries to write to {chat}, which has blocked the bot")
            continue
        if call.status >= 400 and not (call.fault or "not modified" in call.error):
            raise Broken(f"{call.method} got {call.status}: {call.error} {call.params}"[:500])
