"""The link over real sockets: TLS, certificates, deadlines, and the room in the heap."""

from __future__ import annotations

import datetime
import socket
import ssl

import pytest
import trustme
from net_kit import BYE, CLOSE, HOLD, READ, RESET, Server, answer, authority, client, context

YEAR = datetime.timedelta(days=365)


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    return authority(tmp_path_factory)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_requests_share_one_handshake(device, ca, version):
    steps = [READ, answer(b"one"), READ, answer(b"two"), READ, answer(b"three"), BYE]
    with Server(steps, context=context(ca, tls=version)) as server:
        lines = client(
            device,
            server,
            "for _ in range(3): fetch()\nprint(link.connects, link.handshakes)",
            ca,
        )
    assert lines == ["200 one", "200 two", "200 three", "1 1"]
    assert len(server.tls) == 1
    assert server.requests[0] == (
        b"POST /x HTTP/1.1\r\nHost: localhost:%d\r\nContent-Length: 7\r\n\r\n" % server.port
        + b'{"a":1}'
    )


def test_tls_1_2_with_only_what_a_pico_w_offers(device, ca):
    made = context(ca, tls=ssl.TLSVersion.TLSv1_2)
    made.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
    made.set_ecdh_curve("prime256v1")
    with Server([READ, answer()], context=made) as server:
        assert client(device, server, "fetch()", ca) == ["200 ok"]
    assert server.tls == [("TLSv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256")]


def test_an_address_in_place_of_a_name_is_verified_too(device, ca):
    with Server([READ, answer()], context=context(ca)) as server:
        assert client(device, server, "fetch(host='127.0.0.1')", ca) == ["200 ok"]


@pytest.mark.parametrize("kind", trustme.KeyType)
def test_a_chain_is_verified_against_the_root_that_its_host_has_in_the_table(
    device, tmp_path, kind
):
    """As at Telegram's, whose keys are RSA, and at most models': a root, one between, the leaf."""
    root = trustme.CA(key_type=kind)
    (tmp_path / "hosts.txt").write_text("* none\nlocalhost root\n")
    der = ssl.PEM_cert_to_DER_cert(root.cert_pem.bytes().decode())
    (tmp_path / "root.der").write_bytes(der)
    source = f"tls = roots.context(['localhost'], {str(tmp_path)!r})\n"
    source += "link = Link(resolver, tick, tls)\n"
    source += "http = Http(link, bytearray(1024), bytearray(512))\nfetch(secure=True)"
    for parent, said in ((root, "200 ok"), (trustme.CA(key_type=kind), "certificate | ")):
        leaf = parent.create_child_ca(key_type=kind).issue_cert("localhost", key_type=kind)
        assert len(leaf.cert_chain_pems) == 2
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        leaf.configure_cert(made)
        with Server([READ, answer()], context=made) as server:
            (line,) = client(device, server, source)
            assert line.startswith(said)


def _refused(device, server, ca) -> str:
    lines = client(device, server, "fetch()\nprint(link.handshakes)", ca)
    assert lines[0].startswith("certificate | ") and lines[1] == "0"
    assert not server.requests
    return lines[0]


def test_a_certificate_for_another_host_is_refused(device, ca):
    with Server([READ], context=context(ca, "elsewhere.example")) as server:
        assert "does not match" in _refused(device, server, ca)


def test_an_expired_certificate_is_refused_and_the_clock_mentioned(device, ca):
    now = datetime.datetime.now(datetime.UTC)
    dates = {"not_before": now - 2 * YEAR, "not_after": now - YEAR}
    with Server([READ], context=context(ca, **dates)) as server:
        said = _refused(device, server, ca)
    assert "expired" in said and "clock" in said


def test_a_certificate_of_the_future_is_refused(device, ca):
    now = datetime.datetime.now(datetime.UTC)
    dates = {"not_before": now + YEAR, "not_after": now + 2 * YEAR}
    with Server([READ], context=context(ca, **dates)) as server:
        said = _refused(device, server, ca)
    assert "future" in said and "clock" in said


def test_a_certificate_of_an_unknown_authority_is_refused(device, ca):
    with Server([READ], context=context(trustme.CA())) as server:
        assert "not correctly signed by the trusted CA" in _refused(device, server, ca)


def test_a_self_signed_certificate_is_refused(device, ca, tmp_path):
    other = trustme.CA()  # its own certificate, served as a leaf
    path = tmp_path / "self.pem"
    path.write_bytes(other.cert_pem.bytes() + other.private_key_pem.bytes())
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(path)
    with Server([READ], context=made) as server:
        assert "not correctly signed by the trusted CA" in _refused(device, server, ca)


def test_a_server_without_tls_fails_the_handshake(device, ca):
    with Server([READ, b"HTTP/1.1 400 Bad\r\n\r\n"], [CLOSE], [0.05, RESET]) as server:
        lines = client(device, server, "for _ in range(3): fetch()", ca)
    assert [line.split(" | ")[0] for line in lines] == ["handshake"] * 3


@pytest.mark.parametrize("who", ["telegram", "a portal", "no TLS"])
def test_an_address_where_somebody_else_answers_is_asked_for_anew(device, ca, who):
    """A captive portal's name server gives the portal's, and may say that it holds for long."""
    tls = context(ca, "localhost" if who == "telegram" else "elsewhere.example")
    steps = [b"HTTP/1.1 400 Bad Request\r\n\r\n"] if who == "no TLS" else [READ, answer()]
    with Server(steps, context=None if who == "no TLS" else tls) as server:
        source = "fetch()\nprint(time.ticks_diff(resolver._cache[0][3], time.ticks_ms()) > 0)"
        _, kept = client(device, server, source, ca)
    assert kept == str(who == "telegram")


def test_tls_on_a_plain_link_is_no_http(device, ca):
    with Server([READ], context=context(ca)) as server:
        lines = client(device, server, "fetch(secure=False)")
    assert lines[0].startswith("http | ") or lines[0].startswith("closed | ")


def test_where_no_route_leads_is_said_in_a_word(device):
    with Server() as server:
        (line,) = client(device, server, "fetch(host='255.255.255.255')")
    assert line.endswith(f" 255.255.255.255 port {server.port}: unreachable")


def test_silence_ends_at_its_deadline_in_every_phase(device, ca):
    begun = answer(b"x" * 1000)[:-900]
    scripts = [[HOLD], [READ, HOLD], [READ, b"HTTP/1.1 2", HOLD], [READ, begun, HOLD]]
    with Server(*scripts, context=context(ca)) as server:
        source = "for _ in range(4): print(fetch(first_ms=450))\nprint(Ticks.gap, Ticks.count)"
        lines = client(device, server, source, ca)
    assert [line.split(" | ")[0] for line in lines[0:8:2]] == [
        "handshake",
        "first byte",
        "deadline",
        "silence",
    ]
    assert all(390 <= int(ms) < 1500 for ms in lines[1:9:2]), lines
    gap, count = map(int, lines[8].split())
    assert gap <= 440 and count < 40, "between two ticks it sleeps"


def test_a_server_that_takes_no_bytes_is_given_up(device):
    with Server([HOLD]) as server:
        source = "request.text = bytes(8000)\n"
        source += "Request.write_body = lambda self, w: [w.raw(self.text) for _ in range(1500)]\n"
        lines = client(device, server, source + "print(fetch() < 3000)\nprint(Ticks.gap)")
    assert lines[0].startswith("send | ") and lines[1] == "True" and int(lines[2]) <= 800


def test_a_server_may_take_the_bytes_late(device):
    with Server([0.3, READ, answer()]) as server:
        source = "request.text = bytes(8000)\n"
        source += "Request.write_body = lambda self, w: [w.raw(self.text) for _ in range(1000)]\n"
        assert client(device, server, source + "fetch()") == ["200 ok"]
    assert len(server.requests[0]) > 8_000_000


def test_nobody_listening_is_a_refusal_and_a_full_backlog_a_deadline(device):
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()
        waiting = []
        for _ in range(4):
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(port)
            waiting.append(sock)
        with Server() as server:
            source = f"print(fetch())\nPORT = {port[1]}\nprint(fetch())\nprint(Ticks.gap)"
            closed = Server()
            server.port = closed.port
            closed._listener.close()
            lines = client(device, server, source)
        for sock in waiting:
            sock.close()
    assert lines[0].startswith("connect | ") and "refused" in lines[0]
    assert int(lines[1]) < 200
    assert lines[2].startswith("connect | ") and "no answer" in lines[2]
    assert 490 <= int(lines[3]) < 1500 and int(lines[4]) <= 480


ROOM = """
from thimble.net.room import Room
blocks = (16717, 4429, 2300)
room = Room(blocks, %s)
link._room = room
def used():
    gc.collect()
    return gc.mem_alloc()
link.close(); fetch(); link.close()
closed = used()
fetch()
opened = used()
http.close()
dropped, ended = closed - opened, abs(used() - closed)
print(dropped > 20000, abs(dropped) < 4000, ended < 400, room.missing)
"""


@pytest.mark.parametrize("kept", [False, True])
def test_the_room_of_a_connection_is_dropped_for_it_where_tls_takes_it_from_the_heap(
    device, ca, kept
):
    with Server(*[[READ, answer(), HOLD]] * 2, context=context(ca)) as server:
        lines = client(device, server, ROOM % kept, ca)
    assert lines == ["200 ok", "200 ok", f"{not kept} {kept} True 0"]


def test_a_room_that_cannot_be_had_is_counted_and_had_later(device):
    source = """
from thimble.net.room import Room
full = []
try:
    while True:
        full.append(bytearray(8000))
except MemoryError:
    full.pop()
room = Room((16000, 4000, 2000))
print(room.missing)
full = None
room.opened()
print(room.missing)
room.closed()
print(room.missing)
"""
    assert device.run(source).stdout.split() == ["1", "0", "0"]


def test_a_heap_too_small_for_a_connection_leaves_it_closed_for_the_next_try(device, ca):
    source = """
real, link._tls = link._tls, None
class Poor:
    def wrap_socket(self, *_, **__):
        raise MemoryError
link._tls = Poor()
try:
    fetch()
except MemoryError:
    print(link.is_open)
link._tls = real
fetch()
"""
    with Server([HOLD], [READ, answer()], context=context(ca)) as server:
        lines = client(device, server, source, ca)
    assert lines == ["False", "200 ok"]
