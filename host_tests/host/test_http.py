"""HTTP over real sockets, plain and TLS: framings, broken peers, kept connections, heap."""

from __future__ import annotations

import ssl

import pytest
from net_kit import BYE, CLOSE, READ, RESET, Server, answer, authority, client, context


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    return authority(tmp_path_factory)


@pytest.mark.parametrize("secure", [False, True])
def test_every_framing_arrives_whatever_the_pieces(device, ca, secure):
    chunked = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\nA: b\r\n\r\n"
    )
    to_end = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello"
    slow = [bytes([byte]) for byte in chunked]
    big = b"x" * 100_000
    made = context(ca) if secure else None
    scripts = (
        [READ, answer(b"hello"), READ, chunked, READ, *slow, READ, to_end, BYE],
        [READ, answer(big), READ, answer(b"hello")],
    )
    with Server(*scripts, context=made) as server:
        source = "for _ in range(6): fetch()"
        lines = client(device, server, source, ca if secure else None, heap="2m")
    assert lines == ["200 hello"] * 4 + ["200 " + big.decode(), "200 hello"]
    assert server.connections == 2


@pytest.mark.parametrize("secure", [False, True])
def test_bytes_before_a_rude_end_are_not_lost(device, ca, secure):
    made = context(ca) if secure else None
    scripts = [[READ, answer(b"hello"), CLOSE] for _ in range(20)]
    with Server(*scripts, context=made) as server:
        source = "for _ in range(20): fetch()"
        assert client(device, server, source, ca if secure else None) == ["200 hello"] * 20


def test_a_body_to_the_end_needs_the_closing_alert_under_tls(device, ca):
    to_end = b"HTTP/1.1 200 OK\r\n\r\nhello"
    with Server([READ, to_end, CLOSE], [READ, to_end, BYE], context=context(ca)) as server:
        lines = client(device, server, "fetch()\nfetch()", ca)
    assert lines[0].startswith("body | ") and lines[1] == "200 hello"


def test_a_plain_body_to_the_end_may_fill_the_buffer_to_its_last_byte(device):
    head = b"HTTP/1.1 200 OK\r\n\r\n"
    text = b"x" * (1024 - len(head))
    with Server([READ, head + text, CLOSE]) as server:
        assert client(device, server, "fetch()") == ["200 " + text.decode()]


@pytest.mark.parametrize("secure", [False, True])
def test_a_peer_that_breaks_off_is_an_error_in_every_phase(device, ca, secure):
    begun = answer(b"x" * 1000)[:-900]
    scripts = [
        [READ, CLOSE],
        [READ, RESET],
        [READ, b"HTTP/1.1 200", CLOSE],
        [READ, b"HTTP/1.1 200", 0.05, RESET],
        [READ, begun, CLOSE],
        [READ, begun, 0.05, RESET],
        [READ, answer()],
    ]
    made = context(ca) if secure else None
    with Server(*scripts, context=made) as server:
        source = "for _ in range(7): fetch()"
        lines = client(device, server, source, ca if secure else None)
    stages = [line.split(" | ")[0] for line in lines]
    assert stages == ["closed", "closed", "closed", "closed", "body", "closed", "200 ok"]


@pytest.mark.parametrize("secure", [False, True])
def test_a_kept_connection_that_the_server_closed_is_noticed(device, ca, secure):
    made = context(ca) if secure else None
    with Server([READ, answer(), BYE], [READ, answer()], context=made) as server:
        source = "request.repeatable = False\nfetch()\ntime.sleep_ms(200)\nfetch()\n"
        source += "print(link.connects)"
        assert client(device, server, source, ca if secure else None) == ["200 ok", "200 ok", "2"]


def test_a_kept_connection_that_is_reset_while_in_use_is_tried_again(device, ca):
    scripts = [[READ, answer(), READ, RESET], [READ, answer()], [READ, RESET]]
    with Server(*scripts, context=context(ca)) as server:
        lines = client(device, server, "fetch()\nfetch()\nhttp.close()\nfetch()", ca)
    assert lines[:2] == ["200 ok", "200 ok"]
    assert lines[2].startswith("closed | ")
    assert server.connections == 3 and server.requests[1] == server.requests[2]


def test_waits_are_told_to_the_tick_while_an_answer_drips(device, ca):
    drip = [step for byte in answer(b"hello")[-8:] for step in (0.1, bytes([byte]))]
    steps = [READ, answer(b"hello")[:-8], *drip]
    with Server(steps, context=context(ca)) as server:
        lines = client(device, server, "fetch()\nprint(Ticks.gap, Ticks.count >= 8)", ca)
    assert lines[0] == "200 hello"
    assert int(lines[1].split()[0]) <= 350 and lines[1].endswith("True")


MEASURE = """
def once():
    http.request(request, 2000)
    while http.read(1000):
        pass

http.origin("localhost", PORT, bool(os.getenv("CA")))
for _ in range(3):
    once()
gc.collect()
gc.disable()
held = gc.mem_alloc()
before = micropython.mem_total()
for _ in range(50):
    once()
print(micropython.mem_total() - before, gc.mem_alloc() - held, link.handshakes)
"""


@pytest.mark.parametrize("version", [None, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_request_on_a_kept_connection_costs_almost_no_heap(device, ca, version):
    made = context(ca, tls=version) if version else None
    with Server([READ, answer(b"x" * 3000)] * 53, context=made) as server:
        server.script = [[step for _ in range(53) for step in (READ, answer(b"x" * 3000))]]
        lines = client(device, server, MEASURE, ca if version else None)
    total, left, handshakes = map(int, lines[0].split())
    assert total / 50 <= 64 and left / 50 <= 32, lines
    assert handshakes == bool(version)


def test_a_request_in_many_writes_is_not_held_up_by_acknowledgements(device, ca):
    source = "request.text = bytes([97]) * 3000\nfetch()\nms = 0\n"
    source += "for _ in range(10): ms += fetch()\nprint(ms < 300)"
    with Server([READ, answer()] * 11, context=context(ca)) as server:
        assert client(device, server, source, ca) == ["200 ok"] * 11 + ["True"]
