"""The chat's commands: what is said to whom, and that it is what became of the command."""

from thimble.console import commands
from thimble.core.errors import NetError
from thimble.telegram import updates

GONE = b"All that was said here is deleted."
KEPT = b"Not all of it could be deleted. Please send /forget again."


class Ring:
    """One record: a command, or what else needs no model."""

    def __init__(self, code, text=b"/command", flags=0):
        self.buf = bytearray(updates.TEXT) + text
        self.buf[0] = flags
        self.buf[3] = code

    def size(self, off):
        return len(self.buf)


class Model:
    """The model's settings, and what asks it."""

    name, api = "small", "openai"


class Settings:
    """The configuration."""

    def __init__(self):
        self.model = Model()


class Relay:
    """Its own sessions, chats and journal; ``calls`` are what was asked of them."""

    key = b"42"
    key_len = 2

    def __init__(self, archive, journal):
        self.sessions = self.memory = self.chats = self.journal = self.responder = self
        self.config = Settings()
        self.model = Model()
        self.archive, self.written = archive, journal
        self.calls = []
        self.rebooting = False
        commands.overlay = self

    def conversation(self, off):
        return self

    def call(self, module, function, sessions, key, off, n):
        """In overlay.call's place."""
        assert module == "store.archive" and (sessions, key, off, n) == (self, b"42", 0, 2)
        self.calls.append(function)
        return self.archive

    def forget(self, chat):
        self.calls.append("memory")

    def rewrite(self):
        self.calls.append("journal")
        return self.written

    def clear(self):
        self.calls.append("chat")


def test_forget_says_that_all_is_deleted_only_where_it_is():
    for archive, journal, said in (
        (True, True, GONE),
        (False, True, KEPT),
        (True, False, KEPT),
        (False, False, KEPT),
    ):
        relay = Relay(archive, journal)
        assert commands.answer(relay, Ring(updates.FORGET), 0) == said
        assert relay.calls == ["forget", "chat", "journal"]  # whatever the others gave


def test_a_new_conversation_keeps_what_is_on_flash():
    relay = Relay(False, False)
    assert commands.answer(relay, Ring(updates.NEW), 0) == b"A new conversation begins."
    assert relay.calls == ["clear", "chat"]


def said(code, *record):
    return commands.answer(Relay(True, True), Ring(code, *record), 0)


def test_a_message_too_long_or_without_text_is_told_so():
    assert said(0, b"x", updates.LONG) == b"That message is too long for me."
    assert said(0, b"", updates.LONG) == b"That message is too long for me."
    assert said(0, b"") == b"I can read only text."
    assert said(updates.SLOWER, b"").startswith(b"You have written as much as you may")


def test_what_only_says_something_leaves_the_conversation_alone():
    for code in (updates.STOP, updates.HELP, updates.START, updates.RETRY, updates.MORE):
        relay = Relay(True, True)
        assert commands.answer(relay, Ring(code), 0) and relay.calls == [], code


def test_the_owner_restarts_and_nobody_else():
    for flags, words in (
        (0, b"Only the owner can restart me."),
        (updates.OWNER, b"Restarting."),
    ):
        relay = Relay(True, True)
        assert commands.answer(relay, Ring(updates.REBOOT, b"/reboot", flags), 0) == words
        assert relay.rebooting == (flags > 0)


class Rebooting(Relay):
    """``waits``: how many commands the last poll brings; ``error``: what it raises."""

    def __init__(self, journal=True, waits=0, error=None):
        super().__init__(True, journal)
        self.updates = self.board = self.log = self.asides = self
        self.count, self.waits, self.error = 0, waits, error

    def poll(self, timeout_s):
        self.calls.append(("poll", timeout_s))
        self.count = self.waits
        if self.error:
            raise self.error

    def fail(self, error):
        self.calls.append(error)

    def commit(self):
        self.calls.append("commit")
        return self.written

    def restart(self):
        self.calls.append("restart")


def test_it_restarts_once_that_is_confirmed_to_telegram_and_on_flash():
    error = NetError("connect", "refused")
    confirmed = [("poll", 0), "commit"]
    for relay, calls in (
        (Rebooting(), confirmed + ["restart"]),
        (Rebooting(error=error), [("poll", 0), error, "commit", "restart"]),
        (Rebooting(journal=False), confirmed),
        (Rebooting(waits=1), confirmed),
    ):
        commands.reboot(relay)
        assert relay.calls == calls
        assert relay.rebooting == (relay.waits > 0)  # it is tried again behind the answer


def test_where_the_archive_has_nothing_that_is_said():
    relay = Relay(0, True)
    relay.reply = relay
    relay.max_parts, relay.full = 2, False
    relay.call = lambda *args: 0
    said = commands.answer(relay, Ring(updates.HISTORY, b"/history"), 0)
    assert said == b"There is nothing in the archive."


def test_the_model_is_shown_to_all_and_set_by_the_owner():
    relay = Relay(True, True)
    show = Ring(updates.MODEL, b"/model")
    assert commands.answer(relay, show, 0) == b"small (openai)"
    refused = commands.answer(relay, Ring(updates.MODEL, b"/model large"), 0)
    assert refused == b"Only the owner can set the model."
    assert commands.answer(relay, show, 0) == b"small (openai)"
    told = commands.answer(relay, Ring(updates.MODEL, b"/model large \n", updates.OWNER), 0)
    assert told == b"From now on large answers, until the next restart."
    assert commands.answer(relay, show, 0) == b"large (openai)"
    assert relay.model.name == b"large"
