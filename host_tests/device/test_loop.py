"""What the relay serves between the slices of its waits, and what it does behind them, beside
parts that note what is asked of them; the time is set by hand."""

import os

import thimble.relay

from kit import raises
from thimble.board import led
from thimble.core.chats import Chats
from thimble.core.conversation import USER
from thimble.core.pressure import CRITICAL, NORMAL
from thimble.core.segments import Segments
from thimble.keepers import watch
from thimble.relay import Relay
from thimble.responder import Responder
from thimble.telegram import updates

TEST_S = 20
WRAP = 1 << 30
BOOTS = "/tmp/thimble-loop-%d" % id(WRAP)


class Clock:
    """In the place of the module time. ``slept``: each sleep's ms."""

    def __init__(self):
        self.now, self.slept = WRAP - 40_000, []

    def ticks_ms(self):
        return self.now

    def ticks_add(self, ticks, ms):
        return (ticks + ms) % WRAP

    def ticks_diff(self, end, start):
        return (end - start + WRAP // 2) % WRAP - WRAP // 2

    def sleep_ms(self, ms):
        self.slept.append(ms)
        self.now = self.ticks_add(self.now, ms)


class Part:
    """Notes in ``notes`` what is called by a name that ``watched`` has, and gives what it says."""

    def __init__(self, notes, **watched):
        for name in watched:
            setattr(self, name, self._noting(notes, name, watched[name]))

    def _noting(self, notes, name, value):
        def note(*args):
            notes.append((name,) + args)
            return value

        return note


class Served(Relay):
    """A Relay without the parts that wiring makes."""

    def __init__(self, wifi=False, rates=False):
        self.clock = thimble.relay.time = Clock()
        self.started = self._looked = self.clock.now
        self.notes = notes = []
        self.step = self.level = 0
        self.low = False
        self.typed = b""
        self.shown = []
        self.minute = self.cleaned = self._todo = self._compact = 0
        self.rebooting = self.tell = self._proving = False
        self._calm = led.ONLINE
        self.joined = True
        self.watch = Part(notes)
        self.watch.mark = lambda now: notes.append(("mark", now))
        self.watch.step = lambda now: self.step
        self.watch.restarts = 0
        self.board = board = Part(notes, restart=None)
        board.flash = BOOTS
        board.led = Part(notes)
        board.led.show = self.shown.append
        board.led.serve = lambda now: notes.append(("light", now))
        board.battery_low = lambda: self.low
        board.read_line = lambda: self.typed
        self.wifi = Part(notes, recycle=None) if wifi else None
        if wifi:
            self.wifi.serve = lambda now: self.in_reach
        self.in_reach = True
        self.log = Part(notes, seconds=0)
        self.log.info = lambda line: notes.append(line)
        self.reply = Part(notes)
        self.reply.limits = Part(notes, serve=None)
        self.rates = Part(notes) if rates else None
        if rates:
            self.rates.serve = lambda now, calls: notes.append(("rates", now, calls))
        self.exchange = Part(notes)
        self.exchange.calls, self.exchange.retry_at = 7, None
        self.memory = self
        self.chats = self.pressure = Part(notes)
        self.chats.all, self.chats.busy, self.pressure.level = (), None, NORMAL
        self.telegram_link = Part(notes)
        self.telegram_link.close = lambda: notes.append("telegram closed")
        self.model = Part(notes)
        self.model.close = lambda: notes.append("model closed")
        self.resolver = Part(notes, clear=None)
        self.sessions = Part(notes)
        self.sessions.error = None
        self.inbox = Part(notes)
        self.asides = Part(notes)
        self.inbox.count = self.asides.count = 0
        self.updates = Part(notes, due=True)
        self.poller = Part(notes, poll=None)
        self.poller.held_off = lambda: True
        self.poller.rest_until = self.clock.now
        self.responder = Part(notes, answer_asides=None)
        self.responder.ready, self.responder.stopping = lambda: -1, False

    def tell_time(self):
        self.notes.append("time")

    def look(self, again=False):
        self.notes.append(("look", again))

    def took(self):
        """What was asked since the last time, but for what every tick does."""
        found = [note for note in self.notes if note[0] not in ("mark", "light")]
        self.notes[:] = []
        return found


def test_a_slice_marks_that_the_loop_is_alive_and_serves_the_light():
    relay = Served()
    relay.tick()
    now = relay.clock.now
    assert relay.notes == [("mark", now), ("light", now)] and not relay.shown


def said(step):
    return "no poll for long: step %d" % step


def test_silence_makes_the_connections_anew_then_the_radio_and_at_last_the_board():
    for wifi in (False, True):
        relay = Served(wifi)
        relay.step = watch.RECONNECT
        relay.tick()
        assert relay.took() == [said(1)]
        relay.step = 0
        relay._turn()
        assert relay.took() == ["model closed", "telegram closed"]
        relay.step = watch.RADIO
        relay.tick()
        assert relay.took() == [said(2)] + [("recycle",)] * wifi
        relay.step = 0
        relay._turn()
        assert relay.took() == ["model closed", "telegram closed"]
        relay._turn()
        assert relay.took() == [], "once for each step"
        relay.step = watch.RESTART
        for before, mark in ((0, 17), (3, 20), (199, 216), (200, 216), (230, 216)):
            relay.watch.restarts = before
            relay.tick()
            assert relay.took() == [said(3), ("restart", mark)]


def test_every_30_seconds_the_gauges_are_looked_at_and_what_has_hours_and_days_goes_on():
    for rates in (False, True):
        relay = Served(rates=rates)
        for _ in range(3):
            relay.clock.sleep_ms(29_999)
            relay.tick()
            assert relay.took() == []
            relay.clock.sleep_ms(1)
            relay.tick()
            now = relay.clock.now
            daily = [("seconds",), "time", ("serve", now)]
            assert relay.took() == daily + [("rates", now, 7)] * rates + [("look", True)]


def test_the_network_is_shown_as_it_goes_and_comes():
    relay = Served(wifi=True)
    relay.tick()
    assert relay.shown == []
    relay.in_reach = False
    for _ in range(3):
        relay.tick()
    relay.in_reach = True
    for _ in range(3):
        relay.tick()
    assert relay.shown == [led.JOINING, led.ONLINE]


def test_a_low_battery_is_shown_where_there_is_nothing_else_to_show():
    relay = Served()
    for low, pattern in ((True, led.LOW_BATTERY), (False, led.ONLINE)):
        relay.low = low
        relay.clock.sleep_ms(30_000)
        relay.tick()
        relay.show()
        assert relay.shown.pop() == pattern


def test_a_boot_is_good_after_30_seconds_and_the_crashes_before_it_go_once():
    for kept in (True, False):
        relay = Served()
        relay._proving = True
        os.mkdir(BOOTS)
        if kept:
            open(BOOTS + "/boots", "w").close()
        relay.clock.sleep_ms(29_999)
        relay.tick()
        assert relay._proving and os.listdir(BOOTS) == ["boots"] * kept
        relay.clock.sleep_ms(1)
        relay.tick()
        assert not relay._proving and not os.listdir(BOOTS)
        open(BOOTS + "/boots", "w").close()
        relay.clock.sleep_ms(40_000)
        relay.tick()
        assert os.listdir(BOOTS) == ["boots"]
        os.remove(BOOTS + "/boots")
        os.rmdir(BOOTS)


class Overlay:
    """Whose code finds memory the ``fails``-th time alone."""

    def __init__(self, notes, fails):
        self.notes, self.fails = notes, fails

    def call(self, *args):
        self.notes.append(args)
        self.fails -= 1
        if self.fails >= 0:
            raise MemoryError


def test_a_typed_command_is_carried_out_once_if_need_be_in_the_place_of_free_segments():
    plain = thimble.relay.overlay
    try:
        for fails in (0, 1, 2):
            relay = Served()
            thimble.relay.print = relay.notes.append
            relay.segments = Part(relay.notes, release=None)
            relay.segments.free = 5
            relay.typed = b"help"
            thimble.relay.overlay = Overlay(relay.notes, fails)
            relay.tick()
            asked = ("console.commands", "carry_out", relay, b"help")
            tries = [asked, ("release", 5)] * fails
            tries.append(asked if fails < 2 else "not enough memory for that now; try again")
            assert relay.took() == tries
    finally:
        thimble.relay.overlay = plain
        del thimble.relay.print


def test_a_wait_is_as_long_as_it_is_to_be_in_slices_of_which_each_is_served():
    for ms, slept in ((0, []), (100, [100]), (250, [250]), (600, [250, 250, 100])):
        relay = Served()
        relay.pause(ms)
        assert relay.clock.slept == slept
        assert len([note for note in relay.notes if note[0] == "mark"]) == len(slept)
        assert relay.took() == [("look", True)] * (ms > 250)
        relay.clock.slept[:] = []
        relay.updates.due = lambda now: False
        relay.linger(ms)
        assert relay.clock.slept == slept
        assert relay.took() == [("look", True)] * (ms > 250)


def test_while_an_answer_is_written_telegram_is_looked_at_every_3_2_seconds():
    relay = Served()
    relay.linger(4000)
    assert relay.notes.count(("poll", 0)) == 4  # after 3250, 3500, 3750 and 4000 ms
    relay = Served()
    relay.clock.sleep_ms(3199)
    assert not relay.look_in() and relay.took() == []
    relay.clock.sleep_ms(1)
    relay.responder.stopping = True
    assert relay.look_in()
    assert relay.took() == [("due", relay.clock.now), ("poll", 0)]
    relay.asides.count = 1
    relay.look_in()
    assert relay.took()[1:] == [("poll", 0), ("answer_asides",)]
    relay.updates.due = lambda now: False
    relay.look_in()
    assert relay.took() == [], "what waits at Telegram for room is not asked for again at once"


def test_a_day_begins_once_in_a_day_and_where_the_clock_was_set_back():
    plain = thimble.relay.overlay
    try:
        for minute, begins in ((1000, 0), (1439 + 1000, 0), (1440 + 1000, 1), (999, 1)):
            relay = Served()
            thimble.relay.overlay = Overlay(relay.notes, 0)
            relay.cleaned, relay.minute = 1000, minute
            relay._turn()
            assert relay.took() == [("start", "begin_day", relay)] * begins, minute
    finally:
        thimble.relay.overlay = plain


def test_the_first_day_begins_before_anything_is_polled_and_again_until_it_has():
    plain = thimble.relay.overlay
    relay = Served()
    relay.cleaned = -1
    relay.poller.held_off = lambda: False
    relay.poller.greeted = True
    relay._rest_s = lambda: 50
    relay.updates.due = lambda now: False
    try:
        thimble.relay.overlay = Overlay(relay.notes, 0)
        for _ in range(2):
            relay._turn()
            assert relay.took() == [
                ("start", "begin_day", relay),
                ("look", False),
                ("poll", 50),
            ]
        relay.poller.rest_until = relay.clock.ticks_add(relay.clock.now, 251)
        relay._turn()
        assert relay.took() == [] and relay.clock.slept == [250], "it is not tried all the time"
        relay.cleaned = 0
        relay._turn()
        assert relay.took() == [("poll", 50)]
    finally:
        thimble.relay.overlay = plain


def test_memory_that_is_short_closes_the_models_connection_and_leaves_telegrams():
    relay = Served()
    relay.pressure.level = CRITICAL  # it is reported when it begins
    relay.memory = Part(relay.notes, look=CRITICAL, relieve=None)
    relay.memory.chats = relay.memory.pressure = relay.pressure
    relay.memory.short = True
    Relay.look(relay, True)
    assert relay.took() == [("look", True), ("relieve",)] and not relay._compact
    relay._turn()
    assert relay.took() == ["model closed", ("clear",)]


def test_segments_that_are_short_are_summarized_and_close_no_connection():
    relay = Served()
    relay.memory = Part(relay.notes, look=CRITICAL)
    relay.memory.chats = relay.memory.pressure = relay.pressure
    relay.pressure.level, relay.memory.short = CRITICAL, False
    Relay.look(relay, True)
    assert relay.took() == [("look", True)] and relay._compact and not relay._todo


def test_the_heap_is_collected_before_a_long_poll_and_the_models_connection_stays_for_a_minute():
    relay = Served()
    relay.collect = lambda: relay.notes.append("collected")
    relay.poller.away = False
    relay.model_link = Part(relay.notes)
    relay.model_link.is_open = False
    relay.responder.done_at = relay.clock.now
    assert relay._rest_s() == 50 and relay.took() == ["collected"]
    relay.model_link.is_open = True
    for ms in (0, 59_999):
        relay.clock.sleep_ms(ms)
        assert relay._rest_s() == 20 and relay.took() == []
    relay.clock.sleep_ms(1)
    assert relay._rest_s() == 50 and relay.took() == ["model closed", "collected"]


def test_the_gauges_are_looked_at_behind_every_answer_and_the_heap_is_collected_behind_16():
    notes = []
    relay = Part(notes, look=None)
    relay.inbox, relay.journal = Part(notes, drop=None), Part(notes, done=None, commit=None)
    relay.memory = Part(notes, collect=None)
    relay.reply = relay.exchange = None
    relay.inbox.count = relay.started = relay.answered = 0
    responder = Responder(relay)
    for number in range(1, 49):
        responder.done(7)
        behind = [("look",)] + [("collect",)] * (number % 16 == 0)
        assert notes == [("done", 7), ("drop", 7), ("commit",)] + behind
        notes[:] = []


def test_behind_a_memory_error_what_was_begun_is_given_up_and_no_poll_is_made_at_once():
    relay = Served()
    relay.relieve = lambda hard: relay.notes.append(("relieve", hard))
    relay.sessions = Part(relay.notes, abort=None, commit=None)
    relay.poller.backoff = Part(relay.notes)
    relay.poller.backoff.next = lambda noise: 500
    relay.log.fail = lambda line: relay.notes.append(line)
    relay.chats.busy = chat = Part(relay.notes, clear=None)
    relay.starved()
    relieved, cleared = ("relieve", True), ("clear",)
    given_up = [("abort",), cleared, "telegram closed", "model closed", ("commit",)]
    # First, since even to close a connection may take memory; and what that has freed.
    assert relay.took() == [relieved] + given_up + [relieved, cleared, "memory ran out"]
    assert chat is not relay.chats.busy is None
    assert relay.clock.ticks_diff(relay.poller.rest_until, relay.clock.now) == 500


def test_a_conversation_for_which_memory_runs_out_while_it_is_loaded_does_not_stay_half():
    notes = []
    memory, sessions = Part(notes, share=1000), Part(notes)
    memory.chats = chats = Chats(Segments(128, 8), 2)

    def load(chats, chat, limit):
        chat.begin(USER)
        chats.append(chat, b"only the question", 0, 17)
        raise MemoryError

    sessions.load = load
    relay = Part(notes)
    relay.memory, relay.sessions = memory, sessions
    relay.reply, relay.exchange, relay.inbox = None, Part(notes), Part(notes)
    relay.started = 0
    relay.inbox.buf = bytearray(updates.RECORD)
    relay.inbox.buf[1] = 1
    raises(MemoryError, lambda: Responder(relay).conversation(0))
    assert chats.active == 0 and chats.pool.free == 8
