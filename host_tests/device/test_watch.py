"""Progress feeds the dog, silence climbs the ladder; all with times that are handed in."""

from kit import heap_locked

from thimble.keepers import watch
from thimble.keepers.watch import RADIO, RECONNECT, RESTART, Watch

TEST_S = 20
BOUND = 180_000
WRAP = 1 << 30


class Dog:
    def __init__(self):
        self.fed = 0

    def feed(self):
        self.fed += 1


def make(now=0, **options):
    dog = Dog()
    return Watch(dog.feed, now, **options), dog


def climb(guard, until, since=0, every=250, start=0):
    """The steps taken while code runs and polls fail: [(step, at)]; times count from start."""
    taken = []
    for now in range(since, until, every):
        guard.mark((start + now) % WRAP)
        step = guard.step((start + now) % WRAP)
        if step:
            taken.append((step, now))
    return taken


def test_slices_that_end_feed_the_dog_once_a_second():
    guard, dog = make()
    for now in range(250, 10_001, 250):
        guard.mark(now)
        assert guard.alive(now)
    assert dog.fed == 10


def test_what_hangs_for_thirty_seconds_is_not_alive():
    guard, _ = make()
    guard.mark(5000)
    assert guard.alive(34_999)
    assert not guard.alive(35_000)
    guard.mark(36_000)
    assert guard.alive(36_001)


def test_an_open_repl_is_alive_for_ever_and_climbs_no_ladder():
    guard, _ = make()
    guard.rest()
    assert guard.alive(500_000_000)
    assert guard.step(500_000_000) == 0


def test_silence_reconnects_then_cycles_the_radio_then_restarts_each_once():
    guard, _ = make()
    assert climb(guard, 950_000) == [
        (RECONNECT, BOUND),
        (RADIO, 2 * BOUND),
        (RESTART, 5 * BOUND),
    ]


def test_a_poll_ends_the_incident_and_the_next_one_begins_at_the_bottom():
    guard, _ = make()
    assert climb(guard, 400_000)[-1][0] == RADIO
    guard.polled(400_000)
    assert climb(guard, 579_900, 400_000) == []
    assert climb(guard, 600_000, 579_900, 100) == [(RECONNECT, 580_000)]


def test_polls_in_time_take_no_step_for_days():
    guard, _ = make()
    for now in range(0, 5 * 86_400_000, 110_000):
        guard.polled(now % WRAP)
        assert guard.step((now + 109_999) % WRAP) == 0


def test_each_restart_in_vain_doubles_the_wait_for_the_next_up_to_sixteen_times():
    for restarts, factor in ((0, 1), (1, 2), (3, 8), (4, 16), (9, 16)):
        guard, _ = make(restarts=restarts)
        last = climb(guard, 16 * 5 * BOUND + 1000, every=1000)[-1]
        assert last == (RESTART, factor * 5 * BOUND), (restarts, last)


def test_a_poll_forgets_the_restarts_in_vain():
    guard, _ = make(restarts=3)
    guard.polled(1000)
    assert guard.restarts == 0
    assert climb(guard, 1_000_000, 1000)[-1] == (RESTART, 5 * BOUND + 1000)


def test_a_restart_that_does_not_come_about_is_left_to_the_dog():
    guard, _ = make()
    climb(guard, 5 * BOUND + 60_000)
    assert guard.alive(5 * BOUND + 59_999)
    guard.mark(5 * BOUND + 60_250)
    assert not guard.alive(5 * BOUND + 60_250)


def test_the_clock_may_wrap_in_the_middle():
    start = WRAP - 100_000
    guard, dog = make(start)
    taken = climb(guard, 2 * BOUND + 1, start=start)
    assert taken == [(RECONNECT, BOUND), (RADIO, 2 * BOUND)]
    assert dog.fed == 360


def test_nothing_of_it_allocates():
    guard, _ = make()
    taken = [0, 0, 0, 0]

    def work():
        for now in range(0, 1_100_000, 250):
            guard.mark(now)
            taken[guard.step(now)] += 1
            guard.alive(now)
        guard.polled(now)

    heap_locked(work)
    assert taken[RECONNECT:] == [1, 1, 1]
    assert watch.RESTART == 3
