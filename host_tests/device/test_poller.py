"""What becomes of polls that Telegram refuses, also for weeks; the time is set by hand."""

import thimble.poller

from thimble.board import led
from thimble.core.errors import ApiError, NetError
from thimble.keepers.watch import RECONNECT, Watch
from time import ticks_add, ticks_diff

TEST_S = 20
WRAP = 1 << 30
HOUR = 3_600_000
BOUND = 180_000


class Part:
    """Stands for the board, its LED and the log, too: whatever is called does nothing."""

    joined = True

    def show(self, pattern):
        pass

    fail = show


class Ticks:
    def __init__(self, now):
        self.now = now

    def __call__(self):
        return self.now

    def go(self, ms):
        """Not as ticks_add does: as far as is wished."""
        self.now = (self.now + ms) % WRAP


def make():
    """A Poller shortly before the ticks wrap; its relay, and the ticks."""
    ticks = thimble.poller.ticks_ms = Ticks(WRAP - 600_000)
    relay = Part()
    relay.started = ticks.now
    relay.show = lambda: None
    relay.log = relay.board = Part()
    relay.board.led = Part()
    relay.updates = Part()
    relay.updates.poll = lambda timeout_s: None
    relay.updates.polled_at = ticks.now
    relay.updates.due = lambda now: True
    relay.updates.refused_len = 0
    relay.inbox, relay.asides = Part(), Part()
    relay.inbox.full = relay.asides.full = False
    relay.exchange = Part()
    relay.watch = Watch(lambda: None, ticks.now)
    return thimble.poller.Poller(relay), relay, ticks


def test_while_telegram_asked_to_be_left_alone_its_silence_is_no_cause_for_a_step():
    for seconds in (5000, 86_400, 200_000):
        poller, relay, ticks = make()
        poller.missed(ApiError(429, "Too Many Requests", seconds))
        begun, asked = ticks.now, min(seconds, 86_400) * 1000
        steps = []
        for ms in range(0, asked + BOUND + 100_000, 50_000):
            ticks.now = (begun + ms) % WRAP
            relay.watch.mark(ticks.now)
            assert relay.watch.alive(ticks.now)
            assert poller.held_off() == (ms < asked)
            step = relay.watch.step(ticks.now)
            if step:
                steps.append((step, ms - asked))
        (step, after) = steps.pop()
        assert step == RECONNECT and BOUND <= after < BOUND + 50_000 and not steps


def test_a_way_that_is_broken_is_a_cause_from_the_last_poll_on():
    poller, relay, ticks = make()
    steps = []
    for _ in range(4):
        ticks.go(45_000)
        step = relay.watch.step(ticks.now)
        assert not step or ticks_diff(ticks.now, relay.started) >= BOUND
        steps.append(step)
        poller.missed(NetError("connect", "refused"))
    assert sum(steps) == RECONNECT


def test_refused_for_weeks_the_last_good_poll_does_not_get_to_lie_ahead():
    for hours in (1, 24):
        poller, relay, ticks = make()
        for hour in range(hours, 720, hours):
            ticks.go(hours * HOUR)
            quiet = ticks_diff(ticks.now, relay.updates.polled_at)
            assert min(hour, 120) <= quiet // HOUR <= min(hour, 120 + hours)
            poller.missed(ApiError(401, "Unauthorized"))


def test_out_of_reach_for_weeks_the_models_next_try_does_not_get_to_lie_ahead():
    poller, relay, ticks = make()
    relay.exchange.retry_at = ticks_add(ticks.now, 60_000)
    poller.missed(NetError("connect", "refused"))
    for _ in range(720):
        ticks.go(HOUR)
        at = relay.exchange.retry_at
        assert at is None or ticks_diff(at, ticks.now) < 0
        poller.missed(ApiError(502, "Bad Gateway"))


def test_telegram_is_away_while_nothing_is_heard_of_it_and_a_token_brings_no_answers():
    for before in (False, True):
        for error, away in (
            (NetError("connect", "refused"), True),
            (NetError("journal", "flash"), False),
            (ApiError(502, "Bad Gateway"), before),
            (ApiError(401, "Unauthorized"), before),
            (ApiError(404, "Not Found"), before),
            (ApiError(409, "Conflict"), False),
            (ApiError(429, "Too Many Requests", 5), False),
        ):
            poller, relay, _ = make()
            relay.journal = Part()
            relay.journal.error = 0
            poller.away = before
            poller.missed(error)
            assert poller.away == away, error


def test_a_good_poll_ends_what_a_bad_one_began():
    poller, relay, ticks = make()
    relay.show = lambda: shown.append(None)
    relay.board.led.show = lambda pattern: shown.append(pattern)
    shown = []
    for joined, pattern in ((True, led.ERROR), (False, led.JOINING)):
        relay.joined = joined
        poller.missed(NetError("connect", "refused"))
        assert shown.pop() == pattern and poller.away and poller.held_off()
        poller.poll(50)
        assert shown.pop() is None and not poller.away and not poller.backoff.failures
    for _ in range(30 * 24):  # ticks_ms wraps meanwhile
        ticks.go(HOUR)
        poller.poll(50)
        assert poller.rest_until == ticks.now and not poller.held_off()
        assert not relay.watch.step(ticks.now)


def test_after_a_poll_that_was_not_held_and_brought_nothing_there_is_a_pause():
    for timeout_s, took, brought, pause in (
        (50, 100, False, 3100),
        (50, 100, True, 0),  # the next is to confirm it
        (50, 50_000, False, 0),
        (20, 100, False, 1180),
        (0, 100, False, 0),  # nobody was to wait
    ):
        poller, relay, ticks = make()
        relay.updates.due = lambda now, brought=brought: brought
        relay.updates.poll = lambda timeout_s, ticks=ticks, took=took: ticks.go(took)
        poller = thimble.poller.Poller(relay)
        poller.poll(timeout_s)
        while poller.held_off():
            ticks.go(10)
            pause -= 10
        assert pause == 0, (timeout_s, took, brought)


def test_a_clock_that_was_never_set_is_set_before_the_next_poll():
    for wifi, minute, days in ((None, 0, 0), (Part(), 0, 1), (Part(), 29_000_000, 0)):
        poller, relay, _ = make()
        relay.wifi, relay.minute = wifi, minute
        relay.updates.poll = refused
        poller = thimble.poller.Poller(relay)
        overlay, thimble.poller.overlay = thimble.poller.overlay, Calls()
        try:
            poller.poll(50)
            called = thimble.poller.overlay.called
        finally:
            thimble.poller.overlay = overlay
        assert called == ["begin_day"] * days and poller.away


class Calls:
    """In the place of thimble.overlay: notes the functions that are called."""

    def __init__(self):
        self.called = []

    def call(self, module, function, *args):
        self.called.append(function)


def refused(timeout_s):
    raise NetError("certificate", "not valid yet")


def test_whoever_is_refused_is_named_once():
    poller, relay, _ = make()
    said, updates = [], relay.updates
    relay.log.info = said.append
    for number in (b"666", b"66", b"666", b"66"):
        updates.refused_id, updates.refused_len = number, len(number)
        poller._name_refused(updates)
        assert not updates.refused_len
    assert [line.split()[1] for line in said] == ["666;", "66;"]
    for number in range(100):  # what is remembered of them has an end
        updates.refused_id, updates.refused_len = b"%d" % (1000 + number), 4
        poller._name_refused(updates)
    assert len(poller._refused) <= 96


def test_what_has_no_place_is_asked_for_only_when_it_is_due():
    for inbox, asides in ((True, False), (False, True), (False, False)):
        poller, relay, _ = make()
        relay.inbox.full, relay.asides.full = inbox, asides
        for due in (False, True):
            relay.updates.due = lambda now, due=due: due
            assert bool(poller.held_off()) == (not due and (inbox or asides))
