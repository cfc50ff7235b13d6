"""Reports on flash: the newest stay, in whole lines, and the file never grows beyond its bound."""

import gc
import os
import time

from kit import raises

import thimble.start as start
from thimble.core.errors import NetError
from thimble.store import crash

TEST_S = 20
_MOST = 2048


def _path():
    return "/tmp/thimble-test-report-%d.txt" % id(os)


def _read(path):
    with open(path) as file:
        return file.read()


def test_reports_written_again_and_again_stay_within_2_kb_and_the_newest_is_whole():
    path = _path()
    for number in range(60):
        report = "minute %d, critical\n%s\n" % (number, "x" * (number * 7 % 300))
        crash.keep(path, report)
        kept = _read(path)
        assert len(kept) <= _MOST
        assert kept.endswith(report)
        assert kept[0] in "mx"
    assert len(kept) > _MOST - 400 and kept.count("critical") > 4
    os.remove(path)


class Part:
    """What is given by name."""

    def __init__(self, **parts):
        for name in parts:
            setattr(self, name, parts[name])


def test_a_report_of_memory_has_the_gauges_conversations_buffers_and_largest_block():
    folder = "/tmp/thimble-test-memory-%d" % id(os)
    os.mkdir(folder)
    relay = Part(
        minute=29_000_000,
        answered=77,
        board=Part(flash=folder),
        inbox=Part(count=2, buf=bytearray(640)),
        memory=Part(
            segments=Part(count=9, size=1024, free=4),
            chats=Part(active=3),
            largest_block=lambda: 4242,
        ),
    )
    whole = gc.mem_free() + gc.mem_alloc()
    crash.memory(relay, (83 << 7 | 97) << 7 | 12)
    words = _read(folder + "/memory.txt").replace(",", "").replace(";", "")
    level, now, rest = words.strip().split("\n")
    assert level == "minute 29000000 critical: segments 83 % heap 97 % outside 12 %"
    assert now.endswith("block of 4242 segments 9 of 1024 B 4 free")
    used, free = [int(word) for word in now.split()[2:5] if word.isdigit()]
    assert used + free == whole and used > 5000
    assert rest == "sessions 3 inbox 2 messages in 640 B answered 77"
    os.remove(folder + "/memory.txt")
    os.rmdir(folder)


def test_a_report_that_cannot_be_written_raises_nothing():
    crash.keep("/nowhere/at/all.txt", "minute 1\n")


def test_what_was_there_and_is_no_text_is_replaced():
    path = _path()
    with open(path, "wb") as file:
        file.write(b"\xff\xfe")
    crash.keep(path, "minute 1\n")
    assert _read(path) == "minute 1\n"
    os.remove(path)


class House:
    """A board and its relay at once: what is said of an error, and how it restarts."""

    tell, faults, fault_at, minute, committed = "", 0, 0, 7, 0
    secrets = ("1:token", "sk-key")

    def __init__(self):
        self.flash = _path().rsplit(".", 1)[0]
        self.board = self.log = self.journal = self

    def fail(self, error):
        self.said = error

    def commit(self):
        self.committed += 1

    def restart(self, mark):
        raise SystemExit(mark)


class Clock:
    """Its time goes on in sleeps alone."""

    ticks_diff = time.ticks_diff
    now = 0

    def ticks_ms(self):
        return self.now

    def sleep_ms(self, ms):
        self.now += ms


def test_a_report_holds_no_secret_and_before_they_are_known_nothing_that_the_error_says():
    house = House()
    path = house.flash + "/crash.txt"
    os.mkdir(house.flash)
    try:
        error = ValueError("sk-key of 1:token")
        assert crash.report(house, error, house.secrets) == "ValueError: *** of ***"
        assert crash.last(house) == "ValueError: *** of ***"
        assert crash.report(house, error, None) == crash.last(house) == "ValueError"
        kept = _read(path)
        assert kept.count("ValueError") == 2 and "sk-" not in kept and "1:" not in kept
        os.remove(path)
    finally:
        os.rmdir(house.flash)


def test_the_third_crash_in_ten_minutes_restarts_and_of_the_first_the_owner_is_told():
    house, clock = House(), Clock()
    crash.time = clock
    try:
        for _ in range(2):
            crash.crash(house, ValueError("odd"))
            assert house.tell == house.said == "ValueError: odd"
            house.tell = ""
            clock.now += 597_000
            crash.crash(house, ValueError("again"))
            assert house.said == "ValueError: again" and not house.tell
            clock.now += 1000  # ten minutes: all begins anew
        assert not house.committed
        for tell, mark in (("", 6), ("soon", 5)):
            house.tell, house.faults = tell, 2
            house.fault_at = clock.now
            error = raises(SystemExit, lambda: crash.crash(house, ValueError("odd")))
            assert error.args[0] == mark
        assert house.committed == 2
    finally:
        crash.time = time


def test_that_the_owner_cannot_be_told_just_now_is_no_crash():
    class Part:
        said = tell = ""
        crashes = 1
        owner = b"42"

        def fail(self, error):
            self.said = str(error)

        def load(self, *args):
            pass

        def begin(self):
            pass

        def say(self, words):
            raise NetError("telegram", "out of reach")

    relay, part = Part(), Part()
    relay.tell = "what went wrong"
    relay.updates = relay.aside = relay.log = part
    part.peer = part
    start.tell(relay)
    assert "out of reach" in part.said and not relay.tell
