"""The log and the uptime that it counts."""

import io
import time

from kit import heap_locked

import thimble.log as log

HEAP = "64k"
_WRAP_MS = 1 << 30  # ticks_ms


def made(at=0):
    """A log whose clock stands at ``at`` ticks."""
    log.ticks_ms = lambda: at % _WRAP_MS
    return log.Log(bytearray(64))


def pass_ms(ms):
    now = (log.ticks_ms() + ms) % _WRAP_MS
    log.ticks_ms = lambda: now


def kept(lines):
    out = io.BytesIO()
    lines.write(out)
    return out.getvalue()


def test_the_uptime_goes_on_when_the_ticks_wrap():
    lines = made(_WRAP_MS - 5000)
    day = 86_400_000
    for passed in range(1, 41):
        pass_ms(day)
        assert lines.seconds() == passed * 86_400


def test_looking_often_loses_no_time():
    lines = made()
    for _ in range(100):
        pass_ms(999)
        lines.seconds()
    assert lines.seconds() == 99


def test_the_uptime_costs_no_heap():
    log.ticks_ms = time.ticks_ms
    lines = log.Log(bytearray(64))
    heap_locked(lines.seconds)


def test_the_newest_lines_that_fit_are_kept_with_their_seconds():
    lines = made()
    for n in range(5):
        lines.info("line %d" % n)
        pass_ms(60_000)
    assert kept(lines) == b"".join(b"%8d line %d\n" % (60 * n, n) for n in range(1, 5))


def test_of_a_line_longer_than_the_buffer_its_beginning_is_kept_until_the_next():
    lines = made()
    lines.info("x" * 64)
    assert kept(lines) == b"       0 " + b"x" * 55
    lines.info("y")
    assert kept(lines) == b"       0 y\n"


def test_secrets_are_blotted_out_of_lines_and_of_the_last_error():
    lines = made()
    lines.secrets = ("hunter2",)
    lines.info("said hunter2")
    lines.fail("hunter2 was refused")
    assert kept(lines) == b"       0 said ***\n       0 *** was refused\n"
    assert lines.error == "*** was refused"


def test_an_error_is_logged_once_while_it_is_the_last():
    lines = made()
    for error in ("one", "one", "two", "one"):
        lines.fail(error)
    assert kept(lines).count(b"one") == 2
