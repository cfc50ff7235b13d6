"""What becomes of polls that Telegram refuses, also for weeks; the time is set by hand."""

import thimble.poller

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
    relay.log = relay.board = Part()
    relay.board.led = Part()
    relay.updates = Part()
    relay.updates.poll = None
    relay.updates.polled_at = ticks.now
    relay.inbox = Part()
    relay.inbox.full = False
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


def test_whoever_is_refused_is_named_once():
    poller, relay, _ = make()
    said, updates = [], relay.updates
    relay.log.info = said.append
    for number in (b"666", b"66", b"666", b"66"):
        updates.refused_id, updates.refused_len = number, len(number)
        poller._name_refused(updates)
    assert [line.split()[1] for line in said] == ["666;", "66;"]
