"""A cloud, a relay, and the reference beside them: what people do there, step by step."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

from tools import firmware
from tools.cloud.cloud import Cloud

from . import compare
from .answers import Broken
from .draws import (
    ALLOWED,
    ANN,
    BOB,
    ELSEWHERE,
    FAULTS,
    FLOODS,
    FORUM,
    GROUP,
    MODELS,
    NAME,
    OWNER,
    PLACES,
    SCRIPTS,
    STRANGER,
    TROUBLES,
)
from .house import NO_ROOM, House
from .reference import ASIDES, SLOWER, WORDS, Item, Session

SETTLE_S = {"off": 240, "documented": 300, "tight": 600}  # by the flood limits
_BLIND_S = 3, 20  # without a status: until all is at rest, and where the model failed
_LONG_S = 75
_CHANCES = 5  # of a relay that is short of memory to answer a short question
PATIENCE_S = 60  # so long a message waits for a model before it is put aside


class Town:
    """A cloud, a relay, and the reference beside them."""

    def __init__(self, folder: Path, how: dict):
        self.how = dict(how)
        self.later = {}  # settings that count from the next start
        self.cloud = Cloud(
            tls="default" if how["secure"] else None, chats=(OWNER, ANN, BOB, STRANGER)
        )
        self.house = House(folder, self.how)
        exact = how["profile"] == "unix" and how["spare"] is None
        parts = how["telegram"]["max_parts"]
        self.sessions = [
            Session(n, exact, parts, small=self.house.small) for n in range(len(PLACES))
        ]
        self.scripts = []  # those of the calls to come
        self.rough = self.gone = self.rebooting = self.long = self.troubled = False
        self.blocked = set()  # chats where the bot may not write
        self.heard = {}  # by chat: how much was said that is to be answered
        self.asking = None  # number of the session for which the model was asked last
        self.long_for = None  # the session whose question had to wait
        self.heap = 0  # bytes used, of which it may not be more
        self.waits = {}  # by chat: when Telegram asked for one, and until when
        self.asked_to = self.changed_to = 0
        self._restarted()

    @property
    def relay(self):
        return self.house.relay

    def _restarted(self):
        if self.later:
            self.heap = 0  # what is to be counted takes some
        for name, value in self.later.items():
            section, _, key = name.partition(".")
            self.how[section] = {**self.how[section], key: value}
        self.later.clear()
        for session in self.sessions:
            session.parts = self.how["telegram"]["max_parts"]
        self.restarted_at = 0 if self.relay is None else time.time()
        self.model = MODELS[0]
        self.hour = {}
        self.refused = self.made = self.remade = self.known = 0
        for session in self.sessions:
            session.told = False

    def __enter__(self):
        cloud = self.cloud.start()
        cloud.telegram.flood_limits(**FLOODS[self.how["flood"]])
        cloud.models.default(mode="echo")
        cloud.telegram.chat(FORUM, "supergroup", forum=True, topics=(7, 8))
        for chat in (GROUP, ELSEWHERE):
            cloud.telegram.chat(chat)
        config = cloud.config(ca=str(cloud.ca_der), api=self.how["api"])
        config["telegram"]["allow"] = ALLOWED
        for section in ("telegram", "memory", "model", "limits"):
            config.setdefault(section, {}).update(self.how[section])
        self.house.config.write_text(json.dumps(config))
        self.house.start("")
        return self

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

    def block(self, place):
        """From now on the bot may not write there; what it writes just now is cut off."""
        chat = PLACES[place][0]
        self.cloud.telegram.block(chat)
        self.blocked.add(chat)
        for item in self._waiting(chat):
            item.maybe = True

    def unblock(self, place):
        """The bot may write there again; what waits may still be answered."""
        chat = PLACES[place][0]
        self.cloud.telegram.unblock(chat)
        self.blocked.discard(chat)
        for item in self._waiting(chat):
            item.maybe, item.gone = item.maybe or item.gone, False

    def _said(self, text):
        """Whether that stands in one of the chats since the last look."""
        return any(
            one.text == text and one.id > session.seen
            for session in self.sessions
            for one in self.cloud.telegram.messages(PLACES[session.number][0])
        )

    def _waiting(self, chat):
        sessions = [one for one in self.sessions if PLACES[one.number][0] == chat]
        return [item for one in sessions for item in (*one.queue, *one.asides)]

    def fault(self, number):
        method, name, options = FAULTS[number]
        self.cloud.fault("telegram", method, name, 1, **options)
        self.gone = options.get("status") == 403
        self.rough = self.rough or "close" in name

    def trouble(self, number, times):
        """The model fails so often; where it asks for a long wait, once."""
        self.settle()
        self.troubled = True
        name, options = TROUBLES[number]
        self.long = options.get("retry_after", 0) > PATIENCE_S
        self.cloud.fault("models", None, name, 1 if self.long else times, **options)

    def script(self, number, times):
        self.troubled = True
        script = self.cloud.models.script(times=times, **SCRIPTS[number])
        self.scripts += [script] * times

    def wait(self, seconds):
        time.sleep(seconds)

    def config(self, name, value, fits):
        """Over the serial line, once all is answered; whether it fits the relay must know."""
        self.settle()
        before = self.house.config.read_bytes()
        said = self.relay.ask(f"config {name} {value}")
        if self.house.small and said == NO_ROOM:
            fits = False
        if said.startswith("saved") != fits:
            raise Broken(f"config {name} {value}: {said}")
        if fits:
            self.later[name] = json.loads(value)
        elif self.house.config.read_bytes() != before:
            raise Broken(f"refused, and the file is another: {said}")

    def reboot(self):
        """Over the serial line."""
        self.settle()
        if self.relay.ask("reboot") != NO_ROOM:
            self._reboot()

    def kill(self, seconds):
        self._calm()
        time.sleep(seconds)
        self._interrupt()
        self.relay.process.kill()
        self.relay.process.wait()
        self._start_again("power-on")

    def stop(self, seconds):
        self._calm()
        time.sleep(seconds)
        self._interrupt()
        self.relay.stop()
        code = self.relay.process.returncode
        if code and not self._wants_restart():
            raise Broken(f"stopped with {code}")
        self._start_again("restart" if code else "clean")

    def recover(self):
        """However short of memory it was, a short question is answered soon after."""
        if any(self.how["limits"].values()):
            return
        for number in range(_CHANCES):
            self.say(0, OWNER, f"s0n{number}.99; still there?")
            self.settle()
            turns = self.sessions[0].turns
            if turns and turns[-1][0] == "assistant":
                return
        raise Broken(f"no answer to {_CHANCES} questions")

    def _calm(self):
        """Whether a message is answered before a restart or after it must make no difference."""
        if self.later or any(self.how["limits"].values()):
            self.settle()

    def _reboot(self):
        """Waits for the restart; a relay that is short of memory may not be able to, but then it
        has not said so."""
        try:
            code = self.relay.process.wait(20)
        except subprocess.TimeoutExpired:
            if self.house.small and not self._said("Restarting."):
                return
            raise Broken("no restart") from None
        if code != firmware.RESTART:
            raise Broken(f"no restart, but {code}")
        self._start_again("restart")

    def _start_again(self, cause):
        self.relay.stop()
        self._restarted()
        self.house.start(cause)

    def _wants_restart(self):
        """Whether the relay ended because memory ran out for message upon message."""
        ended = self.house.small and self.relay.process.poll() == firmware.RESTART
        return ended and "Traceback" not in self.relay.why()

    def _interrupt(self):
        self.rough = True
        for session in self.sessions:
            session.loose = session.loose or bool(session.queue)
            for item in session.asides:  # that wait for Telegram are nowhere but in RAM
                item.maybe = item.maybe or self.how["flood"] != "off"

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
        gone = self.gone or chat in self.blocked
        self.heard[str(chat)] = self.heard.get(str(chat), 0) + 1
        bound = self.how["limits"].get("per_user_hour")
        if bound and kind in ("ask", "odd", "retry", "more"):
            self.hour[user] = self.hour.get(user, 0) + 1
            if self.hour[user] > bound:
                if self.hour[user] == bound + 1:
                    session.asides.append(Item("slower", SLOWER, gone))
                return
        if kind not in ASIDES:
            session.queue.append(Item(kind, text, gone))
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
        session.asides.append(Item(kind, words, chat in self.blocked))

    def settle(self):
        """Waits until all is answered, and compares."""
        if self.rebooting:
            self.rebooting = False
            self._reboot()
        deadline = time.monotonic() + SETTLE_S[self.how["flood"]]
        telegram = self.cloud.telegram
        while True:
            if self._wants_restart():
                self._interrupt()
                self._start_again("restart")
            if time.monotonic() > deadline or self.relay.process.poll() is not None:
                raise Broken(f"it never came to rest; {self.relay.why()}")
            if telegram.polling() and not telegram.pending():
                state = self.house.status()
                if state is None:  # whether something waits for the model nobody can tell
                    time.sleep(_LONG_S if self.long else _BLIND_S[self.troubled])
                if (
                    not (state and state["inbox"])
                    and telegram.polling()
                    and not telegram.pending()
                ):
                    break
            time.sleep(0.03)
        compare.settled(self, state)
        self.rough = self.rough and state is None
        self.gone = self.long = self.troubled = False
        self.heard.clear()
        self.long_for = None
        self.cloud.clear_faults()
        self.cloud.models.clear()
        self.cloud.models.default(mode="echo")
