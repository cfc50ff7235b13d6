"""What a time server may answer, and what of it is believed."""

import time

import thimble.relay as relay
from thimble.net import clock

TEST_S = 20
NOW = 1795219839  # in 2026
ERA = 2_208_988_800


def reply(seconds=NOW, first=0x24, stratum=2, fraction=1):
    data = bytearray(48)
    data[0], data[1] = first, stratum
    stamp = (seconds + ERA) % (1 << 32) if seconds is not None else 0
    data[40:44] = stamp.to_bytes(4, "big")
    data[47] = fraction
    return bytes(data)


def test_the_transmit_timestamp_is_the_time():
    assert clock.parse(reply()) == NOW
    for version in (1, 3, 4):
        assert clock.parse(reply(first=version << 3 | 4)) == NOW
    for stratum in (1, 15):
        assert clock.parse(reply(stratum=stratum)) == NOW


def test_what_is_no_servers_synchronized_answer_is_of_no_use():
    for mode in (0, 1, 2, 3, 5, 6, 7):
        assert clock.parse(reply(first=0x20 | mode)) == -1, mode
    assert clock.parse(reply(first=0xE4)) == -1  # not synchronized
    for stratum in (0, 16, 255):
        assert clock.parse(reply(stratum=stratum)) == -1, stratum
    assert clock.parse(reply(seconds=None, fraction=0)) == -1


def test_a_time_before_the_firmware_was_written_is_of_no_use():
    for date in ((2025, 12, 31, 23, 59, 59, 0, 0), (2000, 1, 1, 0, 0, 0, 0, 0)):
        assert clock.parse(reply(int(time.mktime(date)))) == -1, date


def test_the_next_era_begins_in_2036():
    last, first = (1 << 32) - ERA - 1, (1 << 32) - ERA
    assert time.gmtime(first)[:3] == (2036, 2, 7)
    assert clock.parse(reply(last)) == last
    assert clock.parse(reply(first)) == first
    assert clock.parse(reply(first + 50_000_000)) == first + 50_000_000


def test_the_clock_of_this_machine_can_be_right():
    assert clock.plausible()
    assert time.gmtime()[0] >= 2026


class Clock:
    """One that says ``seconds`` since 1970, counted from the year ``epoch``."""

    def __init__(self, seconds, epoch):
        self.seconds = seconds
        self.began = 946_684_800 if epoch == 2000 else 0

    def time(self):
        return self.seconds - self.began

    def gmtime(self, at=None):
        return time.gmtime(self.began + (self.time() if at is None else at))


class Desk:
    """A relay, its sessions and updates at once: ``minute`` and ``now``."""

    def __init__(self):
        self.sessions = self.updates = self


def test_the_relays_minutes_are_those_since_1970_and_none_until_the_clock_is_set():
    desk = Desk()
    try:
        for epoch in (1970, 2000):
            for seconds, minute in (
                (946_684_800, 0),
                (1_609_459_200, 0),  # 2021
                (1_704_067_199, 0),
                (1_704_067_200, 28_401_120),  # 2024
                (1_780_000_059, 29_666_667),
            ):
                relay.time = Clock(seconds, epoch)
                relay.Relay.tell_time(desk)
                assert desk.minute == desk.now == minute, (epoch, seconds)
    finally:
        relay.time = time
