"""Gauges in, level out; and that it does not fire at every message."""

from kit import heap_locked
from thimble.core.pressure import CRITICAL, ELEVATED, NORMAL, Pressure, percent


def test_percent_is_whole_and_never_more_than_a_hundred():
    assert [percent(n, 8) for n in (-3, 0, 1, 4, 7, 8, 9)] == [0, 0, 12, 50, 87, 100, 100]
    assert percent(0, 0) == percent(-1, 0) == percent(-2, -1) == percent(5, -1) == 100


def test_it_acts_at_the_configured_limits():
    pressure = Pressure(70, 95)
    assert pressure.look(69) == NORMAL == pressure.level
    assert pressure.look(70) == ELEVATED == pressure.level
    assert pressure.look(95) == CRITICAL == pressure.level


def test_it_acts_once_until_the_gauge_was_under_sixty():
    pressure = Pressure(80, 90)
    acted = [pressure.look(gauge) for gauge in (80, 85, 79, 60, 81, 59, 80, 95, 92, 85, 60, 59)]
    assert acted == [1, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0]
    assert pressure.level == NORMAL


def test_a_level_that_stays_is_acted_upon_again_when_asked():
    pressure = Pressure(80, 90)
    assert [pressure.look(85), pressure.look(85), pressure.look(85, True)] == [1, 0, 1]
    assert [pressure.look(100), pressure.look(100), pressure.look(70, True)] == [2, 0, 2]
    assert pressure.look(50, True) == NORMAL


def test_looking_allocates_nothing():
    pressure = Pressure(80, 90)

    def looks():
        for gauge in range(101):
            pressure.look(gauge, gauge & 1 == 0)
            percent(gauge, 101)

    heap_locked(looks)
