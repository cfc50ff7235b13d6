"""The first steps of a relay, and each day's, beside parts that note what is asked of them."""

import thimble.start as start
from thimble.core.errors import ApiError, NetError
from thimble.core.ring import Ring
from thimble.telegram import updates


_NEVER = const(-2)  # as thimble.relay._NEVER


class Part:
    pass


class Begun:
    """A relay, its parts and the overlays. ``notes`` are what was asked of them; ``errors`` what
    is raised by some of it, ``plausible`` whether the clock says a year that may be, ``states``
    those of the messages that wait."""

    error = ""
    key_len = 0
    crashes = 0
    tell = "it hung"

    def __init__(self, errors=None, plausible=True, joins=None, cause="crash", states=()):
        self.notes, self.errors, self.plausible = [], errors or {}, plausible
        start.overlay = self.log = self.bot = self.poller = self.aside = self.peer = self
        self.resolver, self.tick, self.sessions = "resolver", "tick", "sessions"
        self.board = self.updates = Part()
        self.board.set_clock = "set_clock"
        self.board.reset_cause = cause
        self.inbox = Ring(bytearray(1024), updates.TEXT)
        for state in states:
            self.inbox.buf[self.inbox.pend(updates.TEXT) + updates.STATE] = state
            self.inbox.finish(updates.TEXT)
        self.board.owner = b"42"
        self.config = Part()
        self.config.clock = Part()
        self.config.clock.servers = ("a", "b")
        self.wifi, self.joins = None if joins is None else self, joins
        self.greeted = False
        self.minute, self.cleaned = 0, _NEVER

    def states(self):
        found, record = [], self.inbox.first()
        while record >= 0:
            found.append(self.inbox.buf[record + updates.STATE])
            record = self.inbox.after(record)
        return found

    def _note(self, *what):
        self.notes.append(what)
        if what[0] in self.errors:
            raise self.errors[what[0]]

    def call(self, *args):
        """In the place of overlay.call and of the bot's."""
        self._note(*args[1:] if len(args) > 1 else args)
        return self.plausible

    def join(self, ms, tick):
        self._note("join", ms, tick)
        return self.joins.pop(0)

    def tell_time(self):
        self.minute = 2000
        self._note("time")

    def load(self, buf, off, size, id_len, group):
        self._note("to", bytes(buf[off : off + size]), id_len, group)

    def begin(self):
        self._note("begin")

    def say(self, words):
        self._note("say", words)

    def fail(self, error):
        self._note("fail", str(error))

    info = fail

    def missed(self, error):
        self._note("missed", error)


SYNC = ("sync", "resolver", "tick", "set_clock", ("a", "b"))
CLEAN = [("time",), ("clean", "sessions", 2000)]
NEVER = "the clock was never set: certificates will not be accepted"


def test_what_is_too_old_leaves_the_flash_where_the_system_keeps_network_and_clock():
    relay = Begun()
    start.begin_day(relay)
    assert relay.notes == CLEAN and relay.cleaned == 2000


def test_the_clock_is_set_once_there_is_a_network():
    relay = Begun(joins=[False, False, True])
    relay.error = "wrong password"
    start.begin_day(relay)
    join, failed = ("join", 60_000, "tick"), ("fail", "wrong password")
    assert relay.notes == [join, failed, join, failed, join, SYNC] + CLEAN
    relay = Begun(joins=[False, True])
    start.begin_day(relay)
    assert relay.notes[1] == ("fail", "no network yet")


def test_a_clock_that_cannot_be_set_is_said_and_the_day_begins_all_the_same():
    error = NetError("clock", "nobody answered")
    for plausible in (True, False):
        relay = Begun({"sync": error}, plausible, [True])
        start.begin_day(relay)
        said = [("fail", str(error)), ("plausible",)] + [("fail", NEVER)] * (not plausible)
        assert relay.notes[1:] == [SYNC] + said + CLEAN and relay.cleaned == 2000


def test_after_a_restart_that_nobody_blames_one_attempt_is_forgiven_once():
    told = updates.BEGUN | updates.TOLD
    states = 0, 1, 3, told, told | 1
    for cause in ("power-on", "restart", "soft reset"):
        relay = Begun({"sync": MemoryError()}, joins=[True] * 4, cause=cause, states=states)
        for errors in (relay.errors, relay.errors, {}):
            relay.errors = errors
            try:
                start.begin_day(relay)
            except MemoryError:
                assert errors and relay.cleaned < 0, "it is to be begun again"
        assert relay.states() == [0, 0, 2, told, told], relay.states()
        assert relay.cleaned == 2000
        start.begin_day(relay)
        assert relay.states() == [0, 0, 2, told, told], "a day is no start"


def test_a_crash_and_the_dog_are_blamed_on_the_attempt():
    for cause in ("crash", "watchdog"):
        relay = Begun(cause=cause, states=(1, 3))
        start.begin_day(relay)
        assert relay.states() == [1, 3], cause


def test_where_memory_runs_out_for_the_cleaning_the_day_has_begun():
    relay = Begun({"clean": MemoryError()})
    try:
        start.begin_day(relay)
    except MemoryError:
        assert relay.cleaned == 2000
        return
    raise AssertionError("the cleaning was not tried")


def test_the_menu_is_set_once_the_name_is_known_and_may_fail():
    error = ApiError(500, "Internal")
    name, menu = (b"getMe",), ("set_menu",)
    for errors, greeted, notes in (
        ({}, True, [name, menu]),
        ({b"getMe": error}, False, [name, ("missed", error)]),
        ({"set_menu": error}, True, [name, menu, ("fail", str(error))]),
    ):
        relay = Begun(errors)
        start.greet(relay)
        assert relay.greeted == greeted
        assert [note if note[0] != "set_menu" else menu for note in relay.notes] == notes


def test_the_owner_is_told_once_why_there_was_a_restart_and_of_how_many():
    begun = [("to", b"42", 2, False), ("begin",)]
    for crashes, times in ((0, ""), (1, ""), (2, " 2 times")):
        relay = Begun()
        relay.crashes = crashes
        start.tell(relay)
        said = ("say", b"Something went wrong, and I restarted%s: it hung" % times.encode())
        assert relay.notes == begun + [said] and relay.tell == ""
    error = ApiError(403, "Forbidden: bot was blocked by the user")
    relay = Begun({"say": error})
    start.tell(relay)
    assert relay.notes[-1] == ("fail", str(error)) and relay.tell == ""
    relay = Begun()
    relay.updates.owner = b""
    start.tell(relay)
    assert not relay.notes and relay.tell == ""
