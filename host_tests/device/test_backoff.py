"""How long to wait after a failure."""

from kit import heap_locked
from thimble.core.backoff import Backoff


def test_the_longest_wait_doubles_up_to_the_cap_and_stays_there():
    backoff = Backoff()
    waits = [backoff.next(255) for _ in range(9)]
    assert waits == [1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000, 60000]


def test_the_shortest_wait_is_half_of_the_longest():
    backoff = Backoff()
    waits = [backoff.next(0) for _ in range(8)]
    assert waits == [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000]


def test_the_random_byte_spreads_the_waits_evenly_between():
    waits = []
    for byte in range(256):
        waits.append(Backoff().next(byte))
    assert waits[0] == 500 and waits[128] == 750 and waits[255] == 1000
    assert waits == sorted(waits) and len(set(waits)) == 256


def test_a_success_begins_anew():
    backoff = Backoff()
    for _ in range(4):
        backoff.next(0)
    assert backoff.failures == 4
    backoff.reset()
    assert backoff.failures == 0
    assert backoff.next(255) == 1000


def test_ten_thousand_failures_neither_overflow_nor_allocate():
    backoff = Backoff(16000)

    def fail():
        for _ in range(10000):
            assert 0 < backoff.next(255) <= 60000

    heap_locked(fail)
    assert backoff.failures == 10000
