"""SNTP against servers that answer, lie, refuse or keep silent."""

from __future__ import annotations

import contextlib
import socket
import time

import pytest
from net_kit import TICKS, UdpServer

SETUP = """
import os
from thimble.core.errors import NetError
from thimble.net import clock
from thimble.net.dns import Resolver
"""
SETUP += TICKS
SETUP += """
dates = []
resolver = Resolver(tick, [], None)

def sync(ms=3000):
    started = Ticks.last = time.ticks_ms()
    try:
        clock.sync(resolver, tick, dates.append, os.getenv("SERVERS").split(), ms)
        print(time.mktime(dates[-1]))
    except NetError as error:
        print(error.stage, "|", error.detail)
    return time.ticks_diff(time.ticks_ms(), started)
"""
ERA = 2_208_988_800


def answer(query: bytes, ahead: int = 0, stratum: int = 2, origin: bytes | None = None) -> bytes:
    stamp = ((int(time.time()) + ahead + ERA) % (1 << 32)).to_bytes(4, "big") + b"\0\0\0\1"
    return bytes((0x24, stratum)) + bytes(22) + (origin or query[40:48]) + bytes(8) + stamp


def good(query: bytes, _count: int) -> list[bytes]:
    return [answer(query)]


def silent(_query: bytes, _count: int) -> list[bytes]:
    return []


def run(device, source: str, *servers: str) -> list[str]:
    done = device.run(SETUP + source, env={"SERVERS": " ".join(servers)})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def test_the_clock_is_set_to_what_the_server_says(device):
    with UdpServer(lambda query, _: [answer(query, ahead=1000)]) as server:
        said = run(device, "sync()", server.name)[0]
    assert abs(int(said) - time.time() - 1000) < 30


def test_a_question_tells_nothing_and_is_never_the_same(device):
    with UdpServer(good) as server:
        run(device, "sync(); sync()", server.name)
        first, second = server.queries
    assert len(first) == 48
    assert first[0] == 0x23
    assert first[1:40] == bytes(39)
    assert first[40:] != second[40:]


def test_an_answer_to_another_question_is_not_believed(device):
    def forged(query, _count):
        yield answer(query, ahead=5_000_000, origin=b"12345678")
        yield answer(query, ahead=5_000_000)[:47]
        yield answer(query)

    with UdpServer(forged) as server:
        said = run(device, "sync()", server.name)[0].split()
    assert abs(int(said[0]) - time.time()) < 30


def test_an_answer_from_another_address_is_not_believed(device):
    elsewhere = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def detour(query, count):
        elsewhere.sendto(answer(query, ahead=5_000_000), server.peer)
        return ()

    with elsewhere, UdpServer(detour) as server:
        (line,) = run(device, "sync(1000)", server.name)
    assert line == f"clock | {server.name} did not answer in time"


def test_a_silent_server_leaves_time_for_the_next_and_ticks_go_on(device):
    with UdpServer(silent) as deaf, UdpServer(good) as server:
        lines = run(device, "print(sync(6000), Ticks.gap)", deaf.name, server.name)
    assert abs(int(lines[0]) - time.time()) < 30
    took, gap = map(int, lines[1].split())
    assert 1400 <= took <= 3000
    assert gap <= 350


def test_a_port_that_is_none_is_a_failure_like_another(device):
    with UdpServer(good) as server:
        said = run(device, "sync()", "time.example.org:ntp", "::1", server.name)[0]
    assert abs(int(said) - time.time()) < 30
    assert run(device, "sync()", "127.0.0.1:ntp")[0].startswith("clock | ")


def test_a_lost_answer_is_asked_for_again(device):
    def second(query, count):
        return [answer(query)] if count == 2 else []

    with UdpServer(second) as server:
        lines = run(device, "sync(6000)", server.name)
    assert len(server.queries) == 2
    assert abs(int(lines[0]) - time.time()) < 30


@pytest.mark.parametrize("servers", [1, 3])
def test_the_deadline_is_kept(device, servers):
    with contextlib.ExitStack() as stack:
        names = [stack.enter_context(UdpServer(silent)).name for _ in range(servers)]
        line, took = run(device, "print(sync(2000))", *names)
    assert line.endswith("did not answer in time")
    assert 1900 <= int(took) <= 2600


def test_no_socket_is_left_open_whatever_comes(device):
    source = "before = len(os.listdir('/proc/self/fd'))\nsync()\nsync(200)\n"
    source += "print(len(os.listdir('/proc/self/fd')) - before)"
    late = lambda query, count: good(query, 0) if count == 2 else []  # noqa: E731
    with UdpServer(late) as server:
        said = run(device, source, server.name)
    assert said[-2].startswith("clock | ") and said[-1] == "0"


def test_a_kiss_of_death_is_obeyed_and_the_next_server_asked(device):
    with (
        UdpServer(lambda query, _: [answer(query, stratum=0)]) as refusing,
        UdpServer(good) as server,
    ):
        lines = run(device, "print(sync())", refusing.name, server.name)
        assert len(refusing.queries) == 1
    assert int(lines[1]) < 1000


def test_a_server_that_is_a_year_behind_the_firmware_is_refused(device):
    with UdpServer(lambda query, _: [answer(query, ahead=-40 * 31_557_600)]) as server:
        (line,) = run(device, "sync()", server.name)
    assert line == f"clock | {server.name} does not know the time"


NARROW = """
class Narrow:
    def __getattr__(self, name):
        return getattr(time, name)

    def gmtime(self, seconds=None):
        if seconds is None:
            return time.gmtime()
        if seconds >> 31:
            raise OverflowError("overflow converting long int to machine word")
        return time.gmtime(seconds)

clock.time = Narrow()
"""


def test_a_time_that_is_too_late_for_a_port_is_no_reason_not_to_ask_the_next(device):
    # MicroPython 1.25 on a Pico W tells no time after January 2038.
    with (
        UdpServer(lambda query, _: [answer(query, ahead=20 * 31_557_600)]) as late,
        UdpServer(good) as server,
    ):
        lines = run(device, NARROW + "sync()", late.name, server.name)
    assert abs(int(lines[0]) - time.time()) < 30


def test_a_name_that_cannot_be_resolved_is_no_reason_not_to_ask_the_next(device):
    with UdpServer(good) as server:
        lines = run(device, "sync()", "time.example.org", server.name)
    assert abs(int(lines[0]) - time.time()) < 30


def test_without_any_that_answers_the_reason_is_said(device):
    (line,) = run(device, "sync()", "time.example.org")
    assert line.startswith("clock | network failure (resolve)")
    assert run(device, "sync()") == ["clock | no time server is set"]
