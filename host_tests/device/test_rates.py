"""Bounds by person and hour, by day; all with times that are handed in."""

from kit import heap_locked

from thimble.telegram.rates import Rates, Tally

HOUR, DAY = 3_600_000, 86_400_000
WRAP = 1 << 30


def key(number):
    return b"%d" % number


def test_a_person_is_over_from_the_first_message_beyond_the_bound():
    rates = Rates(3, 0, 0)
    for expected in (0, 0, 0, 1, 2, 3):
        assert rates.over(b"42", 2) == expected
        rates.took(b"42", 2)
    assert rates.over(b"43", 2) == 0


def test_without_bounds_nobody_is_over():
    rates = Rates(0, 0, 0)
    for _ in range(300):
        rates.took(b"42", 2)
    assert rates.over(b"42", 2) == 0 and rates.left(1_000_000) > 1000


def test_a_new_hour_begins_anew_also_across_the_clocks_wrap():
    start = WRAP - 1000
    rates = Rates(1, 0, start)
    rates.took(b"42", 2)
    rates.serve((start + HOUR - 1) % WRAP, 0)
    assert rates.over(b"42", 2) == 1
    rates.serve((start + HOUR) % WRAP, 0)
    assert rates.over(b"42", 2) == 0
    rates.took(b"42", 2)
    rates.serve((start + HOUR + 1) % WRAP, 0)
    assert rates.over(b"42", 2) == 1


def test_more_people_than_slots_get_no_more_than_the_bound():
    rates = Rates(2, 0, 0)
    took = 0
    for _ in range(10):
        for number in range(1000, 1040):
            if not rates.over(key(number), 4):
                took += 1
            rates.took(key(number), 4)
    assert took <= 2 * 40


def test_who_writes_most_keeps_the_place():
    tally = Tally()
    for _ in range(200):
        tally.add(b"42", 2)
    for number in range(1000, 1100):
        tally.add(key(number), 4)
    assert tally.count(b"42", 2) == 200
    for _ in range(100):
        tally.add(b"42", 2)
    assert tally.count(b"42", 2) == 255


def test_calls_are_left_until_the_day_is_over():
    rates = Rates(0, 5, 0)
    assert rates.left(0) == 5 and rates.left(5) == 0 and rates.left(6) < 0
    assert not rates.told(b"42", 2) and rates.told(b"42", 2) and not rates.told(b"4", 1)
    rates.serve(DAY - 1, 5)
    assert rates.left(5) == 0
    rates.serve(DAY, 6)
    assert rates.left(6) == 5 and not rates.told(b"42", 2)
    rates.serve(DAY + 1, 8)
    assert rates.left(8) == 3 and rates.told(b"42", 2)


def test_more_chats_than_slots_are_each_told_that_no_calls_are_left():
    rates = Rates(0, 5, 0)
    for number in range(1000, 1040):
        assert not rates.told(key(number), 4) and rates.told(key(number), 4)


def test_nothing_of_it_allocates():
    rates = Rates(3, 5, 0)
    keys = [key(number) for number in range(1000, 1030)]

    def work():
        for one in keys:
            rates.over(one, 4)
            rates.took(one, 4)
            rates.told(one, 4)
            rates.left(3)
        rates.serve(HOUR, 3)

    heap_locked(work)
    assert rates.over(b"1000", 4) == 0
