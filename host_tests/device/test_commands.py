"""The chat's commands: what /forget says depends on what became of it."""

from thimble.console import commands
from thimble.telegram import updates

GONE = b"All that was said here is deleted."
KEPT = b"Not all of it could be deleted. Please send /forget again."


class Ring:
    """One record: a command."""

    def __init__(self, code):
        self.buf = bytearray(updates.TEXT + 8)
        self.buf[3] = code

    def size(self, off):
        return len(self.buf)


class Relay:
    """Its own sessions, chats and journal; ``calls`` are what was asked of them."""

    key = b"42"
    key_len = 2

    def __init__(self, archive, journal):
        self.sessions = self.memory = self.chats = self.journal = self.responder = self
        self.archive, self.written = archive, journal
        self.calls = []
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
        assert relay.calls == ["forget", "memory", "journal"]  # whatever the others gave


def test_a_new_conversation_keeps_what_is_on_flash():
    relay = Relay(False, False)
    assert commands.answer(relay, Ring(updates.NEW), 0) == b"A new conversation begins."
    assert relay.calls == ["clear", "chat"]
