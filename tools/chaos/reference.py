"""What the chats of a relay must see, and its model be asked: a small reference of the README.

A `Session` is a chat, or a topic of a forum. What is said there is queued; `settle` then goes
through the queue with the calls that the model got and the messages that the bot has in that
session, and raises `Broken` where they are not what was promised.
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass, field

from .answers import (
    CUT,
    Begun,
    Broken,
    again_later,
    answered,
    clean,
    outcome,
    same,
    short,
    squeeze,
    units,
)

MORE = "\n\n(/more goes on.)"
REST = "\n\n(telegram.max_parts ends it here.)"
STOPPED = "(Stopped.)"
NOTHING = "Nothing is being written here."
WAITING = "The model cannot be reached just now. I will answer when it is back."
USED_UP = "The model has been asked as often as it may be in a day."
SLOWER = "You have written as much as you may in an hour."
ODD = "I can read only text."
STARVED = "(Memory ran out here. /retry asks again; send a command again.)"
FELL = "Something went wrong, and I restarted: MemoryError"
POISON = "I have tried three times to answer this message and failed. Please ask differently."
GO_ON = "Go on exactly where you stopped."
SUMMARIZE = "Summarize our conversation up to here"
SUMMARY = "Summary of our conversation so far:\n"
WORDS = {
    "start": "Hello! Write something",
    "help": "Write a message, and the model answers.",
    "new": "A new conversation begins.",
    "forget": "All that was said here is deleted.",
    "history": "There is nothing in the archive.",
    "retry": "There is nothing to ask again.",
    "more": "There is no answer to go on with.",
    "status": "up: ",
}
ASIDES = ("start", "help", "status", "model", "stop", "reboot")
ERRORS = {400: "refused the request (400)", 401: "refused the key (401)"}
TURNS = 10  # of /history
PART = 3000  # bytes of text that it sends for each part
_CONTEXT = 1000  # tokens that only a script refuses
_CASES = 500  # of what nobody can know from outside, tried at the most
_HEAD = 40  # characters with which a turn begins, whatever of it is kept
_SMALL = 1000  # bytes of an exchange that no conversation forgets
MARK = re.compile(r"s(\d+)n[\d.]+;")


@dataclass
class Item:
    """Something said: `kind` is "ask", a command, "odd" or "slower"; `gone`: Telegram refuses the
    answer; `maybe`: or some of it, the bot was blocked meanwhile; `stopped`: how many /stop came
    after it."""

    kind: str
    text: str = ""
    gone: bool = False
    maybe: bool = False
    stopped: int = 0

    @property
    def unheard(self):
        """Whether the answer need not be seen."""
        return self.gone or self.maybe


@dataclass
class Session:
    """`turns` is the conversation, (role, text), `archive` all that was said; `exact` whether the
    whole conversation must be in a prompt; `parts` as telegram.max_parts."""

    number: int
    exact: bool
    parts: int
    turns: list = field(default_factory=list)
    archive: list = field(default_factory=list)
    queue: list = field(default_factory=list)
    asides: list = field(default_factory=list)
    seen: int = 0  # the newest message that was looked at
    summary: bool = False
    told: bool = False  # that the day's calls are made
    odd: bool = False
    halved: bool = False  # it was too long for the model
    full: bool = False  # the flash may not have room for all that was said
    loose: bool = False  # the archive may have turns twice, or not
    small: bool = False  # memory may run out, and all segments may have gone to the heap
    cases: list = field(default_factory=list)  # see _either

    def settle(self, calls, texts, rough=False, used_up=False, troubled=False):
        """Goes through what was said since the last time. `rough`: the relay was killed or the
        network failed meanwhile, so that calls and messages may stand twice; `troubled`: the model
        was out of reach. What cannot be known from outside may be either way."""
        before = copy.deepcopy(vars(self))
        broken, cases = None, []
        for _ in range(_CASES):
            self.cases, self.case = cases, 0
            try:
                self._settle(list(calls), list(texts), rough, used_up, troubled)
                return
            except Broken as error:
                broken = broken or error
            vars(self).update(copy.deepcopy(before))
            while cases and cases[-1]:
                cases.pop()
            if not cases:
                break
            cases[-1] = True
        raise broken

    def _either(self):
        """False, and True if with that, and all that follows from it, it is not as promised."""
        if self.case == len(self.cases):
            self.cases.append(False)
        self.case += 1
        return self.cases[self.case - 1]

    def _settle(self, calls, texts, rough, used_up, troubled):
        self.calls, self.texts, self.rough, self.troubled = calls, texts, rough, troubled
        self.used_up = used_up
        self.stops = sum(item.kind == "stop" for item in self.asides)
        self._take_asides()
        while self.queue:
            item = self.queue.pop(0)
            item.gone = item.gone or (item.maybe and self._either())
            getattr(self, f"_{item.kind}")(item)
        if rough:
            return
        if self.texts:
            raise Broken(f"nobody asked for {self.texts[0][:200]!r}")
        if self.calls:
            raise Broken(f"nobody asked the model for {self.calls[0][0][-1][1][:100]!r}")

    def look_behind(self, asked, said):
        """Nothing from before the first /stop is asked once that was answered. `asked` is what the
        model was, `said` what was said or edited, each (time, text)."""
        stops = sum(item.kind == "stop" for item in self.asides)
        ends = [at for at, text in said if text.endswith(STOPPED) or text == NOTHING]
        if not (stops and ends) or any(item.kind == "retry" for item in self.queue):
            return
        late = [text for at, text in asked if at > ends[0]]
        for item in self.queue:
            closed = item.kind == "ask" and item.stopped == stops
            if closed and any(same(item.text, text) for text in late):
                raise Broken(f"{item.text[:80]!r} was asked after /stop")

    def _take_asides(self):
        """The answers of commands that act at once stand anywhere."""
        for item in self.asides:
            if item.kind == "stop":
                if self._either_starved():
                    self._apology()
            elif not item.gone:
                self._pick(item)
        if self.stops or self.rough:
            nothing = sum(text in (STOPPED, NOTHING) for text in self.texts)
            if nothing > 2 * self.stops and not self.rough:
                raise Broken(f"{nothing} answers to {self.stops} /stop")
            self.texts = [text for text in self.texts if text not in (STOPPED, NOTHING)]
        self.texts = [text for text in self.texts if text != WAITING]
        self.asides.clear()

    def _pick(self, item):
        begins = item.text
        found = [text for text in self.texts if text.startswith(begins)]
        if not found and item.maybe:
            return
        if not found and self.small and STARVED in self.texts:
            self._apology()
            return
        if not found or (len(found) > 1 and begins == SLOWER and not self.rough):
            raise Broken(f"{begins!r} was not said: {short(self.texts)}")
        for text in found if self.rough else found[:1]:
            self.texts.remove(text)

    def _either_starved(self):
        """Whether one of the apologies for memory may stand for what is said anywhere."""
        return self.small and STARVED in self.texts and self._either()

    def _apology(self):
        """Takes one of the apologies for memory, whichever fits."""
        at = self.texts.index(STARVED)
        while STARVED in self.texts[at + 1 :] and self._either():
            at = self.texts.index(STARVED, at + 1)
        self.texts.pop(at)

    def _say(self, item, begins):
        """The next message must begin so."""
        if item.gone:
            return
        if self._starved():
            return
        if not (self.texts and self.texts[0].startswith(begins)):
            if item.maybe:
                return
            raise Broken(f"{begins!r} was to be said, not {short(self.texts)}")
        said = self.texts.pop(0)
        while self.rough and self.texts and self.texts[0] == said:
            self.texts.pop(0)

    def _starved(self):
        """Whether memory ran out before the next answer had a word, so that it is an apology."""
        starved = self._apologizes(STARVED, POISON)
        if starved:
            self.texts.pop(0)
        return starved

    def _apologizes(self, *words):
        """Whether the next message begins with one of these."""
        return self.small and bool(self.texts) and self.texts[0].startswith(words)

    def _odd(self, item):
        if self._starved():
            return
        if self.texts[:1] == [ODD]:
            self._say(item, ODD)
        elif not self.odd and not item.unheard:
            raise Broken(f"{ODD!r} was not said: {short(self.texts)}")
        self.odd = True

    def _new(self, item):
        starved = self._apologizes(STARVED, POISON)
        self._say(item, WORDS[item.kind])
        if starved and self._either():
            return  # it was not done
        self.turns, self.summary, self.halved = [], False, False

    def _forget(self, item):
        self.loose = self.loose or self._apologizes(STARVED, POISON)
        self._new(item)
        self.archive = []

    def _history(self, item):
        last = self.archive[-TURNS:]
        while len(last) > 1 and sum(len(text.encode()) for _, text in last) > self.parts * PART:
            last.pop(0)
        loose = any(isinstance(text, Begun) for _, text in last)
        if self.loose or self.full or loose or item.unheard:
            if any(int(number) != self.number for number in MARK.findall("".join(self.texts))):
                raise Broken(f"the words of another chat: {short(self.texts)}")
            self.texts.clear()  # nothing else is answered here before all comes to rest
            return
        if not last:
            self._say(item, WORDS["history"])
            return
        whole = "".join(("\n\n> " if role == "user" else "\n\n") + text for role, text in last)
        self._whole(item, whole, "", most=True)

    def _retry(self, item):
        if not self.turns or self._lost(item):
            self._nothing(item)
        else:
            if self.turns[-1][0] == "assistant":
                self.turns.pop()
            question = self.turns.pop()[1]
            self._exchange(item, question, again=True)

    def _more(self, item):
        self._drop_question()
        if not self.turns or self._lost(item):
            self._nothing(item)
        else:
            self._exchange(item, GO_ON)

    def _lost(self, item):
        """Whether there was no room for the conversation any more. Where memory is small it may
        come back from flash; where the flash is full it is gone."""
        gone = (
            (self.full or self.small) and self.texts and self.texts[0].startswith(WORDS[item.kind])
        )
        if gone and not self.small:
            self.turns = []
        return gone

    def _nothing(self, item):
        """/retry or /more of nothing; where the day's calls are made, that comes first."""
        said = bool(self.texts) and self.texts[0].startswith(WORDS[item.kind])
        if item.stopped and not said:
            return
        if not self.used_up:
            self._say(item, WORDS[item.kind])
        elif self.texts and self.texts[0].startswith((WORDS[item.kind], USED_UP)):
            self.told = self.told or self.texts.pop(0).startswith(USED_UP)

    def _ask(self, item):
        self._drop_question()
        self._exchange(item, item.text)

    def _drop_question(self):
        """One that got no answer makes way for the next."""
        if self.turns and self.turns[-1][0] == "user":
            self.turns.pop()

    def _exchange(self, item, question, again=False):
        asked = self._asked(question)
        if self._apologizes(POISON):  # not even an apology could be said before
            self.texts.pop(0)
            self.loose = True
            if self._either():
                self.turns.append(("user", question))
            return
        if not asked and self._starved():
            self.loose = True
            self.turns.append(("user", question))  # for /retry
            return
        if not asked or (self.used_up and again_later(*asked[-1][1:])):
            if again:
                self.turns.append(("user", question))
            if self.used_up and not (self.told or item.stopped):
                self._say(item, USED_UP)
                self.told = True
            elif self.used_up:  # a /stop may have come behind that
                rest = [text for text in self.texts if not text.startswith(USED_UP)]
                self.told = self.told or rest != self.texts
                self.texts = rest
            elif not (item.stopped or (item.unheard and self.troubled)):
                raise Broken(f"the model was not asked {question[:80]!r}: {short(self.texts)}")
            return
        if item.unheard and again_later(*asked[-1][1:]):
            # That it has to wait could not be said: so it was closed, and what of it is on flash
            # nobody has been told.
            self.archive.append(("user", Begun(question)))
            return
        self.turns.append(("user", question))
        if not again:
            self.archive.append(("user", question))
        if again:
            question = asked[-1][0][-1][1]  # one from flash may have lost its middle
        kept = self._answered(item, question, *asked[-1])
        if kept:
            self.turns.append(("assistant", kept))
            self.archive.append(("assistant", kept))

    def _asked(self, question):
        """The calls for it, each (messages, status, script), which must be what was said."""
        asked = []
        while self.calls and same(question, self.calls[0][0][-1][1]):
            done = asked and not self.rough and answered(*asked[-1][1:])
            if done and not (self.small and self._either()):
                break
            messages, status, script = self.calls.pop(0)
            self._compare(messages[:-1], question)
            self.halved = self.halved or (status == 400 and script.context < _CONTEXT)
            asked.append((messages, status, script))
        return asked

    def _compare(self, got, question):
        want = self.turns
        exact = self.exact and not (self.summary or self.halved or self.full)
        if got and got[0][1].startswith(SUMMARY):
            if not self.summary:
                raise Broken("a summary of what was never summarized")
            got = got[1:]  # it stands at the head of a question's message
        if len(got) > len(want) or (exact and len(got) < len(want)):
            raise Broken(f"{len(got)} turns in the prompt, not {len(want)}: {short(got)}")
        # A large question leaves no room for what was before it, nor does /retry load it then.
        last = [question, *(text for _, text in want[-2:])]
        least = sum(len(text.encode()) for text in last) < _SMALL
        if not got and want and least and not (self.halved or self.full or self.small):
            raise Broken(f"nothing of {len(want)} turns in the prompt")
        for (role, text), (other, expected) in zip(got[::-1], want[::-1], strict=False):
            # What found no segment is lost, up to the mark of what is lost anyhow.
            kept = text.partition(" [...]")[0][:_HEAD] if self.small else text
            if role != other or not same(Begun(expected) if self.small else expected, kept):
                raise Broken(
                    f"the prompt has {role} {text[:300]!r}, not {other} {expected[:300]!r}"
                )

    def _answered(self, item, question, messages, status, script):
        """What is kept of the answer to the last call."""
        if status == 400 and script.context < _CONTEXT:
            self._say(item, "The conversation is too long for the model (400).")
            return ""
        if status >= 400:
            self._say(item, f"The model's service {ERRORS[400]}" if status == 400 else "The model")
            return ""
        text, note = outcome(script, question)
        if item.gone:
            return Begun(text)
        if not text:
            self._say(item, note)
            return ""
        return self._whole(item, text, note)

    def _whole(self, item, text, note, most=False):
        """The next messages must be this text; what of it was shown. `most`: or its beginning, as
        much as max_parts take."""
        joined, count, goal = "", 0, squeeze(text + note)
        while self.texts:
            said = self.texts[0]
            joined += said
            count += 1
            here = squeeze(joined)
            if here == goal:
                self.texts.pop(0)
                # White space that an answer begins with may be gone from the archive.
                exact = str.split if most else str
                if count == 1 and exact(said) != exact(clean(text + note)):
                    raise Broken(f"{said[:300]!r} is not {clean(text + note)[:300]!r}")
                fits = units(text + note) <= 4096 and len(text.encode()) <= 8000
                if count > 1 and fits and not self.rough:
                    raise Broken(f"{count} messages for one")
                return text
            shown = joined.removesuffix(STARVED)
            if self.small and shown != joined and goal.startswith(squeeze(shown)):
                self.texts.pop(0)
                self.loose = True
                return Begun(text) if self._either() else ""
            for end in (MORE, "\n\n" + STOPPED, CUT if self.rough else MORE, REST):
                shown = joined.removesuffix(end)
                if shown != joined and goal.startswith(squeeze(shown)):
                    self.texts.pop(0)
                    if end in (MORE, REST) and (count != self.parts or most != (end == REST)):
                        raise Broken(f"{count} parts, then {end!r}")
                    if STOPPED in end and not item.stopped:
                        raise Broken("stopped without /stop")
                    return shown
            if not goal.startswith(here):
                if self.rough and count > 1:
                    joined, count = "", 0
                    continue
                if item.maybe:
                    return Begun(text)
                break
            self.texts.pop(0)
            if most and count == self.parts:
                return text
        if item.maybe:
            return Begun(text)
        if item.stopped and not joined:
            return ""
        raise Broken(f"{joined[-300:]!r} was shown, not {text[:300]!r} and {note!r}; {len(text)}")
