"""Relays that are killed, at moments uniform over their busy time, while chats keep asking.

Each question has a number, and its answer is that number again and again, so that every message
of the bot says what it belongs to. An answer stands twice where the relay sends it again because
it cannot know that the first one came through: the power went (or the network) between Telegram's
taking it and the note of its id on flash. Whatever stands twice is matched with such a moment: the
call was the last on its connection, and the kill came at once, or a fault took its answer.
"""

from __future__ import annotations

import concurrent.futures
import itertools
import json
import random
import re
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from tools import firmware
from tools.cloud.cloud import Cloud

from .answers import CUT
from .reference import POISON, STARVED, WAITING
from .tally import Tally

_NUMBER = re.compile(r"m(\d+),")
_CHATS = range(101, 200)
_WINDOW_S = 0.5  # from Telegram's answer to the kill: a busy machine's time to read and note it
# Faults of the cloud that leave an answer whole.
_READ = ("delay", "chunked", "trickle", "continue", "close_after", "no_length")
_LOOK_S = 0.05
_STUCK_S = 150.0
_TOLD_S = 20.0  # from a lost question on, of which it is told what the relay did
_LAST_S = 2.0  # kills that are still to come when all is asked come as quickly as this


@dataclass
class Plan:
    """What one relay goes through: ``messages`` at least, exactly ``kills``.

    ``backlog``: questions of a chat that may wait at a time; ``model``: seconds that an answer
    takes, at least and at most; ``long``: the share of answers that fill several messages, in at
    least 2 s; ``faults(cloud, random)``: arms some before a question and returns them.
    """

    messages: int
    kills: int
    chats: int = 8
    backlog: int = 3
    model: tuple[float, float] = (0.5, 2.0)
    faults: object = None
    long: float = 0.05


@dataclass
class Question:
    """One message of a person, and the answer that must come; ``asked`` by the cloud's clock."""

    number: int
    chat: int
    answer: str
    asked: float
    state: str = ""


class Street:
    """One cloud, its chats, and the relay that is killed."""

    def __init__(self, folder: Path, plan: Plan, seed: int):
        self.plan = plan
        self.random = random.Random(seed)
        self.tally = Tally()
        self.chats = list(_CHATS[: plan.chats])
        self.questions: dict[int, Question] = {}
        self.open = {chat: [] for chat in self.chats}
        self.shown = defaultdict(dict)  # by number: message id: text
        self.owner = {}  # (chat, message id): number
        self.order = {chat: [] for chat in self.chats}
        self.moments: list[float] = []
        self.faults: list = []
        self._folder = folder
        self._seen = 0

    def run(self) -> Tally:
        """Asks, kills, and counts."""
        plan, tally = self.plan, self.tally
        with Cloud(chats=self.chats) as cloud:
            self.cloud = cloud
            cloud.telegram.flood_limits(enabled=False)
            config = cloud.config(ca=str(cloud.ca_der))
            config["telegram"]["allow"] = self.chats
            self._config = self._folder / "thimble.json"
            self._config.write_text(json.dumps(config))
            start = progress = time.monotonic()
            self._start()
            try:
                kill_at = self._next_kill(start)
                while self._due() or any(self.open.values()):
                    self._ask()
                    if self._look():
                        progress = time.monotonic()
                    if time.monotonic() - progress > _STUCK_S:
                        tally.notes.append(f"stuck: {self.relay.why()}; {self._state_now()}")
                        break
                    if self.relay.process.poll() is not None:
                        tally.notes.append(self.relay.why())
                        self._start()
                    if tally.messages >= plan.messages:
                        kill_at = min(kill_at, time.monotonic() + _LAST_S)
                    if tally.kills < plan.kills and time.monotonic() >= kill_at:
                        self._kill()
                        kill_at = self._next_kill(start)
                    time.sleep(_LOOK_S)
                time.sleep(1)
                self._look()
            finally:
                self.relay.stop()
            tally.seconds = round(time.monotonic() - start, 1)
            self._count()
        return tally

    def _start(self) -> None:
        self.started = self.cloud.clock.time()
        # The power was cut: that is nobody's fault.
        root = self._folder / "root"
        self.relay = firmware.Firmware(self._config, root, cause="power-on")
        self.relay.__enter__()

    def _state_now(self) -> str:
        try:
            return str(self.relay.status())
        except firmware.FirmwareError as error:
            return str(error)

    def _next_kill(self, start: float) -> float:
        """Exponential gaps make moments uniform; their mean is what brings all kills into what
        is left to be done."""
        done = self.tally.messages - sum(map(len, self.open.values()))
        pace = sum(self.plan.model) / 2
        if done:
            pace = (time.monotonic() - start) / done
        left = max(self.plan.messages - done, 1) * pace
        mean = left / max(self.plan.kills - self.tally.kills, 1)
        return time.monotonic() + self.random.expovariate(1 / mean)

    def _kill(self) -> None:
        calls = [call for call in self.cloud.calls() if call.time >= self.started]
        self.tally.phases[calls[-1].method if calls else "boot"] += 1
        self.relay.process.kill()
        self.relay.process.wait()
        self.moments.append(self.cloud.clock.time())
        self.relay.stop()
        self.tally.kills += 1
        self._start()

    def _ask(self) -> None:
        """Everybody who has too little to wait for asks something."""
        for chat in self.random.sample(self.chats, len(self.chats)):
            if not self._due():
                return
            if len(self.open[chat]) >= self.random.randint(1, self.plan.backlog):
                continue
            if self.plan.faults:
                self.faults += self.plan.faults(self.cloud, self.random)
            self.tally.messages += 1
            number = self.tally.messages
            seconds = self.random.uniform(*self.plan.model)
            long = self.random.random() < self.plan.long
            seconds = max(seconds, 2.0) if long else seconds
            length = self.random.randint(4200, 9000) if long else self.random.randint(8, 300)
            first = round(seconds * self.random.random(), 2)
            deltas = self.random.randint(2, 12)
            delay = round((seconds - first) / deltas, 3)
            unit = f"m{number},"
            answer = (unit * (length // len(unit) + 1))[:length]
            how = f"length={length} unit={unit} first={first} delay={delay} deltas={deltas}"
            question = Question(number, chat, answer, self.cloud.clock.time())
            self.questions[number] = question
            self.open[chat].append(question)
            self.cloud.telegram.say(chat=chat, text=f"[[{how}]]")

    def _due(self) -> bool:
        """Whether more is to be asked: beyond the plan only where a kill still needs work."""
        if self.tally.messages < self.plan.messages:
            return True
        return self.tally.kills < self.plan.kills and not any(self.open.values())

    def _look(self) -> bool:
        """Takes in what the bot has done; whether it was anything."""
        changes = self.cloud.telegram.changes(self._seen)
        touched = set()
        for change in changes:
            self._seen = change["seq"]
            chat, key = change["chat"], (change["chat"], change["message_id"])
            found = _NUMBER.search(change["text"])
            if key not in self.owner:
                waiting = self.open[chat]
                last = self.order[chat][-1] if self.order[chat] else 0
                if found:
                    self.owner[key] = int(found[1])
                elif any(
                    text == change["text"] and self._unread(other)
                    for other, text in self.shown[last].items()
                ):
                    self.owner[key] = last  # a sentence without a number, sent again
                elif waiting:
                    self.owner[key] = waiting[0].number
                else:
                    self.tally.notes.append(f"nobody asked for {change['text'][:60]!r}")
                    continue
            number = self.owner[key]
            if change["kind"] == "deleted":
                self.shown[number].pop(key, None)
            else:
                self.shown[number][key] = change["text"]
            touched.add(number)
        for number in touched:
            question = self.questions[number]
            state = self._state(question)
            if state and question in self.open[question.chat]:
                question.state = state
                self.open[question.chat].remove(question)
                self.order[question.chat].append(number)
                waited = self.cloud.clock.time() - question.asked
                self.tally.slowest_s = max(self.tally.slowest_s, round(waited, 1))
        return bool(changes)

    def _state(self, question: Question) -> str:
        """How it was answered, "" if it was not yet."""
        texts = list(self.shown[question.number].values())
        if self._extra(question) is not None:
            return "answered"
        last = texts[-1] if texts else ""
        if last.endswith(CUT):
            return "cut"
        if last.endswith(STARVED):
            return "starved"
        if last.startswith(POISON):
            return "apologies"
        # A part of a long answer may begin anywhere in it.
        if last not in question.answer and not last.startswith(WAITING):
            return "refused"
        return ""

    def _extra(self, question: Question) -> int | None:
        """How many messages stand beside those that are the answer; None if it is not whole."""
        texts = list(self.shown[question.number].values())
        texts = [text for text in texts if not text.startswith(WAITING)]
        for count in range(len(texts), 0, -1):
            for chosen in itertools.combinations(texts, count):
                if "".join(chosen) == question.answer:
                    return len(texts) - count
        return None

    def _count(self) -> None:
        tally = self.tally
        tally.faults = sum(fault.applied for fault in self.faults)
        for number, question in self.questions.items():
            state = self._state(question) or question.state
            if not state:
                tally.lost += 1
                instead = str(list(self.shown[number].values()))[:200]
                story = self._story(question.chat, question.asked, question.asked + _TOLD_S)
                tally.notes.append(f"lost: {number}, in its place {instead}: {story}")
                continue
            setattr(tally, state, getattr(tally, state) + 1)
            extra = self._extra(question) if state == "answered" else None
            if extra:
                tally.doubled += extra
                unread = sum(self._unread(key) for key in self.shown[number])
                if extra > unread:
                    tally.unexplained += extra - unread
                    times = [
                        change["time"]
                        for change in self.cloud.telegram.changes()
                        if (change["chat"], change["message_id"]) in self.shown[number]
                    ]
                    story = self._story(question.chat, min(times), max(times))
                    tally.notes.append(f"{number} stands twice: {story}")
        for chat in self.chats:
            firsts = {}
            for (where, message), number in sorted(self.owner.items()):
                if where == chat and (where, message) in self.shown[number]:
                    firsts.setdefault(number, message)
            numbers = sorted(firsts, key=firsts.get)
            tally.disorder += sum(a > b for a, b in itertools.pairwise(numbers))

    def _story(self, chat: int, first: float, last: float) -> str:
        """What the cloud was asked for between two times, in this chat or none, and the kills."""
        first, last = first - 1, last + 1
        lines = [
            (
                call.time,
                f"{call.method} {call.params.get('text', call.params.get('offset', ''))!s:.12} "
                f"{call.status} {call.fault} on {call.connection}, {call.ms:.0f} ms",
            )
            for call in self.cloud.calls()
            if first <= call.time <= last
            and (call.service == "models" or call.params.get("chat_id", str(chat)) == str(chat))
        ]
        lines += [(moment, "KILL") for moment in self.moments if first <= moment <= last]
        return "; ".join(f"{at - first:.2f} {what}" for at, what in sorted(lines))

    def _unread(self, key) -> bool:
        """Whether it cannot be known if the relay has read the answer to this message's send."""
        chat = key[0]
        sent = next(
            change
            for change in self.cloud.telegram.changes()
            if (change["chat"], change["message_id"]) == key and change["kind"] == "sent"
        )
        calls = [
            call
            for call in self.cloud.telegram.calls("sendMessage")
            if call.params.get("chat_id") == str(chat) and call.time <= sent["time"]
        ]
        call = calls[-1]
        if call.fault and call.fault not in _READ:
            return True
        later = self.cloud.telegram.calls(since=call.seq)
        if any(other.connection == call.connection for other in later):
            return False
        answered = call.time + call.ms / 1000
        kills = [moment - answered for moment in self.moments if moment >= call.time]
        # What was written just before a kill may be read here just behind it: the connection is
        # then older than those of the next relay.
        after = [other for other in later if other.method == "getMe"][:1]
        if after and after[0].connection > call.connection:
            kills += [0.0 for moment in self.moments if 0 < call.time - moment < _WINDOW_S]
        late = min(kills, default=_WINDOW_S)
        if late >= _WINDOW_S:
            return False
        self.tally.late_ms = max(self.tally.late_ms, round(late * 1000))
        return True


def run(plans: list[Plan], seed: int = 1) -> Tally:
    """Goes through the plans at the same time, each with a cloud and a relay of its own."""

    def play(at: int) -> Tally:
        with tempfile.TemporaryDirectory(prefix="thimble-") as name:
            return Street(Path(name), plans[at], seed * 1000 + at).run()

    whole = Tally()
    with concurrent.futures.ThreadPoolExecutor(len(plans)) as pool:
        for tally in pool.map(play, range(len(plans))):
            whole.add(tally)
    return whole


def share(relays: int, messages: int, kills: int, **how) -> list[Plan]:
    """Plans for so many relays, which together take so many messages and kills."""
    return [
        Plan(
            messages * (at + 1) // relays - messages * at // relays,
            kills * (at + 1) // relays - kills * at // relays,
            **how,
        )
        for at in range(relays)
    ]
