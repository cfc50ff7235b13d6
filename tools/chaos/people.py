"""What people do, drawn at random, and whether the relay keeps its promises (reference.py).

A run is a setting and a list of steps, both drawn from one seed. Steps follow each other at once,
up to a `settle`: then all is waited for, and what the chats see, what the model was asked and what
`status` says is compared with the reference. A run that fails is shortened by leaving out steps.
"""

from __future__ import annotations

import itertools
import json
import tempfile
import time
from pathlib import Path

from tools import firmware
from tools.cloud.cloud import Cloud
from tools.cloud.script import Script, directed

from .draws import (
    ALLOWED,
    ANN,
    BOB,
    ELSEWHERE,
    FAULTS,
    FORUM,
    GROUP,
    MODELS,
    NAME,
    OWNER,
    PLACES,
    SCRIPTS,
    STRANGER,
    draw,
)
from .reference import ASIDES, MARK, SLOWER, SUMMARIZE, WORDS, Broken, Item, Session, outcome

SETTLE_S = 120
EDIT_S = 1.4, 3.9  # between two edits, in a private chat and in a group; the clocks are two
HEAP_SLACK = 1024
FLASH = 60_000  # bytes of turns that it always has room for
RESTART = 75  # as board.unix.RESTART


class Town:
    """A cloud, a relay, and the reference beside them."""

    def __init__(self, folder: Path, how: dict):
        self.how = how
        self.folder = folder
        self.cloud = Cloud(
            tls="default" if how["secure"] else None, chats=(OWNER, ANN, BOB, STRANGER)
        )
        unix = how["profile"] == "unix"
        parts = how["telegram"]["max_parts"]
        self.sessions = [Session(n, unix, parts) for n in range(len(PLACES))]
        self.scripts: list[Script] = []
        self.rough = self.gone = False
        self.heap = self.refused = 0
        self.model = MODELS[0]
        self.hour = {}
        self._calls = self._changes = 0
        self._restarted()

    def _restarted(self):
        self.model = MODELS[0]
        self.hour = {}
        self.refused = self.made = self.known = 0
        for session in self.sessions:
            session.told = False

    def __enter__(self):
        cloud = self.cloud.start()
        cloud.telegram.flood_limits(enabled=False)
        cloud.models.default(mode="echo")
        cloud.telegram.chat(FORUM, "supergroup", forum=True, topics=(7, 8))
        for chat in (GROUP, ELSEWHERE):
            cloud.telegram.chat(chat)
        config = cloud.config(ca=str(cloud.ca_der), api=self.how["api"])
        config["telegram"]["allow"] = ALLOWED
        for section in ("telegram", "memory", "model", "limits"):
            config.setdefault(section, {}).update(self.how[section])
        self._path = self.folder / "thimble.json"
        self._path.write_text(json.dumps(config))
        self._start("")
        return self

    def _start(self, cause):
        profile = self.how["profile"]
        options = {"profile": profile, "heap": firmware.HEAPS.get(profile, "192k")}
        self.relay = firmware.Firmware(self._path, self.folder / "root", cause=cause, **options)
        self.relay.__enter__()

    def __exit__(self, *exc):
        self.relay.stop()
        self.cloud.stop()

    # Steps.

    def say(self, place, user, text):
        chat, thread = PLACES[place]
        self.cloud.telegram.say(chat=chat, user=user, text=text, thread=thread or None)
        self._heard(place, user, text)

    def reply(self, place, user, text):
        """To the bot's last message there; if there is none, nobody is meant."""
        chat, thread = PLACES[place]
        own = [one for one in self.cloud.telegram.messages(chat) if (one.thread or 0) == thread]
        how = {"reply_to": own[-1].id} if own else {}
        self.cloud.telegram.say(chat=chat, user=user, text=text, thread=thread or None, **how)
        self._heard(place, user, text, "ask" if own else "")

    def photo(self, place, user):
        self._odd(place, user, "photo", caption="look")

    def sticker(self, place, user):
        self._odd(place, user, "sticker")

    def album(self, place, user):
        for _ in range(3):
            self._odd(place, user, "photo", extra={"media_group_id": "1"})

    def _odd(self, place, user, kind, **options):
        chat, thread = PLACES[place]
        getattr(self.cloud.telegram, kind)(chat=chat, user=user, thread=thread or None, **options)
        self._heard(place, user, "", "odd" if chat > 0 else "")

    def other(self, place, user):
        """What no bot answers."""
        chat = PLACES[place][0]
        telegram = self.cloud.telegram
        telegram.edit(chat, telegram.say(chat=STRANGER, text="x"), f"{NAME} edited")
        self._heard(len(PLACES) - 1, STRANGER, "x")
        telegram.channel_post(text=f"{NAME} news")
        telegram.callback(chat=chat, user=user)

    def fault(self, number):
        method, name, options = FAULTS[number]
        self.cloud.fault("telegram", method, name, 1, **options)
        self.gone = options.get("status") == 403
        self.rough = self.rough or "close" in name

    def script(self, number, times):
        script = self.cloud.models.script(times=times, **SCRIPTS[number])
        self.scripts += [script] * times

    def wait(self, seconds):
        time.sleep(seconds)

    def kill(self, seconds):
        time.sleep(seconds)
        self._interrupt()
        self.relay.process.kill()
        self.relay.process.wait()
        self.relay.stop()
        self._restarted()
        self._start("power-on")

    def stop(self, seconds):
        time.sleep(seconds)
        self._interrupt()
        self.relay.stop()
        if self.relay.process.returncode:
            raise Broken(f"stopped with {self.relay.process.returncode}")
        self._restarted()
        self._start("clean")

    def _interrupt(self):
        self.rough = True
        for session in self.sessions:
            session.kills = session.kills or bool(session.queue)

    # The reference.

    def _heard(self, place, user, text, kind=""):
        """What is to become of something that was said."""
        session, chat = self.sessions[place], PLACES[place][0]
        if user not in ALLOWED and chat not in ALLOWED:
            self.refused += 1
            return
        word, _, argument = text.partition(" ")
        word, at, name = word.partition("@")
        command = word[1:] if word[:1] == "/" and word[1:] in (*ASIDES, *WORDS) else ""
        if word[:1] == "/" and at and "@" + name != NAME:
            return
        if chat < 0 and not (command or kind) and NAME not in text.lower():
            return
        kind = kind or command or "ask"
        bound = self.how["limits"].get("per_user_hour")
        if bound and kind in ("ask", "odd", "retry", "more"):
            self.hour[user] = self.hour.get(user, 0) + 1
            if self.hour[user] > bound:
                if self.hour[user] == bound + 1:
                    session.asides.append(Item("slower", SLOWER, self.gone))
                return
        if kind not in ASIDES:
            session.queue.append(Item(kind, text, self.gone))
            return
        words = WORDS.get(kind, "")
        if kind == "model":
            words = f"{self.model} ("
            if argument:
                words = "Only the owner can set the model."
                if user == OWNER:
                    self.model = argument
                    words = f"From now on {argument} answers"
        if kind == "reboot":
            words = "Restarting." if user == OWNER else "Only the owner can restart me."
            self.rebooting = user == OWNER
        if kind == "stop":
            for item in session.queue:
                item.stopped += 1
        session.asides.append(Item(kind, words))

    rebooting = False

    def settle(self):
        """Waits until all is answered, and compares."""
        if self.rebooting:
            self.rebooting = False
            if self.relay.process.wait(20) != RESTART:
                raise Broken("no restart")
            self.relay.stop()
            self._restarted()
            self._start("restart")
        deadline = time.monotonic() + SETTLE_S
        telegram = self.cloud.telegram
        while True:
            if time.monotonic() > deadline or self.relay.process.poll() is not None:
                raise Broken(f"it never came to rest; {self.relay.why()}")
            if telegram.polling() and not telegram.pending():
                state = self.relay.status()
                if not state["inbox"] and telegram.polling() and not telegram.pending():
                    break
            time.sleep(0.03)
        self._settled(state)

    def _settled(self, state):
        calls = self.cloud.models.calls(since=self._calls)
        self._calls = calls[-1].seq if calls else self._calls
        by_session = {session.number: [] for session in self.sessions}
        asked = [(call.time, call.params["messages"][-1]["content"]) for call in calls]
        for call in calls:
            self._sort(call, by_session)
        self.scripts.clear()
        size = sum(len(text.encode()) for one in self.sessions for _, text in one.archive)
        for turns, _, script in itertools.chain(*by_session.values()):
            question = turns[-1][1]
            size += len((question + outcome(script, question)[0]).encode())
        if size > FLASH:
            for session in self.sessions:
                session.full = True
        changes = self.cloud.telegram.changes(self._changes)
        most = self.how["limits"].get("calls_per_day")
        self.made += len(calls)
        for session in self.sessions:
            chat, thread = PLACES[session.number]
            texts = [
                one
                for one in self.cloud.telegram.messages(chat)
                if one.id > session.seen and (one.thread or 0) == thread
            ]
            session.seen = max([session.seen, *(one.id for one in texts)])
            said = [
                (one["time"], one["text"])
                for one in changes
                if one["chat"] == chat and (one["thread"] or 0) == thread
            ]
            try:
                if not self.rough:
                    session.look_behind(asked, said)
                session.settle(
                    by_session[session.number],
                    [one.text for one in texts],
                    self.rough,
                    bool(most) and self.made >= most,
                )
            except Broken as error:
                raise Broken(f"{PLACES[session.number]}: {error}") from None
        if most and self.made > most and not self.rough:
            raise Broken(f"{self.made} calls in a day, not {most}")
        self._look_around(state)
        self.rough = self.gone = False
        self.cloud.clear_faults()
        self.cloud.models.clear()
        self.cloud.models.default(mode="echo")

    def _sort(self, call, by_session):
        """Gives a call of the model to the session whose words it has."""
        script = self.scripts.pop(0) if self.scripts else Script(mode="echo")
        turns = [(turn["role"], turn["content"]) for turn in call.params["messages"]]
        system = call.params.get("system", "")
        if turns[0][0] == "system":
            system = turns.pop(0)[1]
        if system != self.how["model"]["system"]:
            raise Broken(f"system prompt {system!r}")
        roles = [role for role, _ in turns]
        if roles != (["user", "assistant"] * len(roles))[: len(roles)] or roles[-1] != "user":
            raise Broken(f"roles {roles}")
        owners = {int(number) for _, text in turns for number in MARK.findall(text)}
        if len(owners) != 1:
            raise Broken(f"a prompt with the words of sessions {owners}: {turns}"[:500])
        session = self.sessions[owners.pop()]
        if turns[-1][1].startswith(SUMMARIZE):
            session.summary = session.summary or call.status < 400
            return
        script = directed(script, turns[-1][1])[0]
        by_session[session.number].append((turns, call.status, script))

    def _look_around(self, state):
        """What holds whatever was said."""
        changes = self.cloud.telegram.changes(self._changes)
        edits = {}
        for change in changes:
            self._changes = change["seq"]
            key = change["chat"], change["message_id"]
            if change["kind"] == "edited" and not self.rough:
                gap = change["time"] - edits.get(key, 0)
                if gap < EDIT_S[change["chat"] < 0]:
                    raise Broken(f"two edits within {gap:.2f} s")
                edits[key] = change["time"]
        for call in self.cloud.telegram.calls():
            if call.status >= 400 and not (call.fault or "not modified" in call.error):
                raise Broken(f"{call.method} got {call.status}: {call.error} {call.params}"[:500])
        self.cloud.clear_calls()
        said = "\n".join(self.relay.log)
        if "crash" in said or "Traceback" in said or "memory ran out" in said:
            raise Broken(said[-1500:])
        if self.rough:
            self.heap, self.refused = 0, state["refused"]
            self.known = state["duplicates"]
            return
        known = state["duplicates"]
        if state["refused"] != self.refused or state["dropped"] or known != self.known:
            raise Broken(f"{self.refused} refused; {state}")
        if state["heap_used"] > self.heap + HEAP_SLACK and self.heap:
            raise Broken(f"live heap has grown from {self.heap}: {state}")
        if not self.how["secure"]:  # there the connections' blocks come and go
            self.heap = self.heap or state["heap_used"]


def run(how: dict, steps: list) -> str:
    """Does these steps; "" or what was not as promised."""
    with (
        tempfile.TemporaryDirectory(prefix="thimble-people-") as folder,
        Town(Path(folder), how) as town,
    ):
        for number, (verb, *arguments) in enumerate(steps):
            try:
                getattr(town, verb)(*arguments)
            except (Broken, firmware.FirmwareError) as error:
                return f"step {number}, {verb}: {error}"
    return ""


def shorten(how: dict, steps: list, seconds: float) -> tuple[list, str]:
    """The fewest of these steps that still fail, as far as that is found in time, and how."""
    deadline = time.monotonic() + seconds
    best, why, size = steps, "", len(steps) // 2
    while size:
        at = 0
        while at < len(best) and time.monotonic() < deadline:
            fewer = [*best[:at], *best[at + size :]]
            failed = run(how, fewer) if fewer else ""
            if failed:
                best, why = fewer, failed
            else:
                at += size
        size //= 2
    return best, why


def walk(seed: int, runs: int, steps: int, shorten_s: float = 0) -> int:
    """Runs of so many steps, with seeds that follow each other; how many failed. The steps of
    each that failed are made fewer for ``shorten_s`` seconds, and printed."""
    failures = 0
    for number in range(seed, seed + runs):
        how, drawn = draw(number, steps)
        started = time.monotonic()
        why = run(how, drawn)
        print(f"seed {number}: {time.monotonic() - started:.0f} s {why or 'ok'}", flush=True)
        if why and shorten_s:
            fewer, other = shorten(how, drawn, shorten_s)
            print(how, *fewer, other or why, sep="\n", flush=True)
        failures += bool(why)
    return failures
