"""The resolver against name servers that answer, lie, fail or keep silent."""

from __future__ import annotations

import socket

from net_kit import TICKS, UdpServer

SETUP = """
import os
from thimble.core.errors import NetError
from thimble.net.dns import Resolver
from kit import allocated
"""
SETUP += TICKS
SETUP += """
resolver = Resolver(tick, os.getenv("SERVERS").split(), None)

def ask(host="api.example.org", ms=1500):
    started = Ticks.last = time.ticks_ms()
    try:
        address = resolver.resolve(host, 443, ms)
        print("%d.%d.%d.%d:%d" % (tuple(address[4:8]) + (address[2] << 8 | address[3],)))
    except NetError as error:
        print(error.stage, "|", error.detail)
    return time.ticks_diff(time.ticks_ms(), started)

def doubt():
    resolver.doubt(resolver.resolve("api.example.org", 443, 9))
"""


def message(query: bytes, *records: bytes, flags=b"\x81\x80", ident: bytes | None = None) -> bytes:
    counts = b"\0\1" + len(records).to_bytes(2, "big") + bytes(4)
    return (ident or query[:2]) + flags + counts + query[12:] + b"".join(records)


def a(*octets: int, ttl: int = 60) -> bytes:
    return b"\xc0\x0c\0\1\0\1" + ttl.to_bytes(4, "big") + b"\0\4" + bytes(octets)


def good(query: bytes, _count: int) -> list[bytes]:
    return [message(query, a(10, 1, 2, 3))]


def run(device, source: str, *servers: UdpServer | str) -> list[str]:
    names = " ".join(getattr(server, "name", server) for server in servers)
    done = device.run(SETUP + source, env={"SERVERS": names})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def test_a_name_is_asked_for_once_and_then_kept_without_cost(device):
    with UdpServer(good) as server:
        source = "ask(); print(allocated(lambda: resolver.resolve('api.example.org', 443, 9)))"
        assert run(device, source, server) == ["10.1.2.3:443", "0"]
    assert len(server.queries) == 1


def test_a_cleared_or_doubted_name_is_asked_for_again(device):
    def moving(query, count):
        return [message(query, a(10, 0, 0, count))]

    with UdpServer(moving) as server:
        source = "ask(); resolver.clear(); ask(); doubt(); ask()"
        lines = run(device, source, server)
    assert lines == ["10.0.0.1:443", "10.0.0.2:443", "10.0.0.3:443"]


def test_an_alias_is_followed(device):
    def alias(query, _count):
        target = b"\3far\7example\3net\0"
        first = b"\xc0\x0c\0\5\0\1\0\0\0\x3c\0" + bytes([len(target)]) + target
        return [message(query, first, target + a(10, 1, 2, 3)[2:])]

    with UdpServer(alias) as server:
        assert run(device, "ask()", server) == ["10.1.2.3:443"]


def test_a_name_that_does_not_exist_is_said_at_once(device):
    with UdpServer(lambda query, _: [message(query, flags=b"\x81\x83")]) as server:
        lines = run(device, "print(ask() < 300)", server)
    assert lines == ["resolve | there is no host api.example.org", "True"]


def test_a_name_without_an_ipv4_address_is_said(device):
    with UdpServer(lambda query, _: [message(query)]) as server:
        assert "has no IPv4 address" in run(device, "ask()", server)[0]


def test_lies_and_garbage_are_passed_over_until_the_answer_comes(device):
    def noisy(query, _count):
        other = bytes([query[0] ^ 1, query[1]])
        wrong = query[:13] + b"X" + query[14:]
        return [
            b"",
            b"\0",
            bytes(600),
            query,
            message(query, a(6, 6, 6, 6), ident=other),
            message(wrong, a(6, 6, 6, 6)),
            message(query, a(10, 1, 2, 3)),
        ]

    with UdpServer(noisy) as server:
        assert run(device, "ask()", server) == ["10.1.2.3:443"]


def test_an_answer_from_somebody_else_is_not_taken(device):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:

        def beside(query, _count):
            stranger.sendto(message(query, a(6, 6, 6, 6)), server.peer)
            return []

        with UdpServer(beside) as server:
            lines = run(device, "ask(ms=600)", server)
    assert lines[0].startswith("resolve | no name server answered")


def test_a_lost_query_is_sent_again(device):
    with UdpServer(lambda query, count: good(query, 0) if count > 1 else []) as server:
        assert run(device, "ask()", server) == ["10.1.2.3:443"]
    assert server.queries[0] == server.queries[1]


def test_silence_ends_at_the_deadline_with_ticks_between(device):
    with UdpServer(lambda query, _: []) as server:
        lines = run(device, "print(700 <= ask(ms=700) < 1500, Ticks.gap <= 350)", server)
    assert lines == ["resolve | no name server answered for api.example.org", "True True"]


def test_a_second_server_serves_where_the_first_fails_or_is_silent(device):
    refuse = UdpServer(lambda query, _: [message(query, flags=b"\x81\x82")])
    with refuse as failing, UdpServer(good) as server:
        assert run(device, "print(ask() < 300)", failing, server) == ["10.1.2.3:443", "True"]
    with UdpServer(lambda query, _: []) as silent, UdpServer(good) as server:
        assert run(device, "ask()", silent, server) == ["10.1.2.3:443"]


def test_a_server_that_fails_takes_no_other_s_turn(device):
    refuse = UdpServer(lambda query, _: [message(query, flags=b"\x81\x82")])
    silent = UdpServer(lambda query, _: [])
    with silent, refuse as failing, UdpServer(good) as server:
        assert run(device, "ask(ms=2500)", silent, failing, server) == ["10.1.2.3:443"]
    assert len(silent.queries) == 1


def test_servers_that_all_fail_are_not_waited_for(device):
    with UdpServer(lambda query, _: [message(query, flags=b"\x83\x80")]) as server:
        lines = run(device, "print(ask() < 300)", server)
    assert lines == ["resolve | the name servers cannot say where api.example.org is", "True"]


def test_a_server_out_of_reach_is_not_waited_for(device):
    lines = run(device, "print(ask() < 300)", "255.255.255.255")
    assert lines[0].startswith("resolve | the network does not reach") and lines[1] == "True"


def test_an_old_address_serves_when_no_server_answers(device):
    with UdpServer(lambda query, count: good(query, 0) if count == 1 else []) as server:
        source = "ask(); doubt()\n"
        source += "print(ask(ms=400) >= 400)\nprint(ask() < 100)"
        lines = run(device, source, server)
    assert lines == ["10.1.2.3:443", "10.1.2.3:443", "True", "10.1.2.3:443", "True"]


def test_an_old_address_does_not_serve_when_the_name_is_gone(device):
    def gone(query, count):
        return good(query, 0) if count == 1 else [message(query, flags=b"\x81\x83")]

    with UdpServer(gone) as server:
        lines = run(device, "ask(); doubt(); ask()", server)
    assert lines[1] == "resolve | there is no host api.example.org"


def test_the_machine_s_own_servers_are_used_where_none_are_given(device):
    source = "from thimble.net import query\nprint(len(query._servers()) > 0)"
    assert run(device, source) == ["True"]
