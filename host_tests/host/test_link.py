"""The link and HTTP over real sockets: TLS, deadlines, broken peers."""

from __future__ import annotations

import datetime
import socket
import ssl

import pytest
import trustme
from net_kit import BYE, CLIENT, CLOSE, HOLD, READ, RESET, Server, answer

YEAR = datetime.timedelta(days=365)


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    authority = trustme.CA()
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(path)
    authority.path = str(path)
    return authority


def context(ca, *names, tls=None, **dates) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(*(names or ("localhost", "127.0.0.1")), **dates).configure_cert(made)
    if tls:
        made.minimum_version = made.maximum_version = tls
    return made


def client(device, server, source, ca=None, heap="176k") -> list[str]:
    """The lines that `source`, run with net_kit's CLIENT, prints."""
    env = {"PORT": str(server.port), "CA": ca.path if ca else ""}
    done = device.run(CLIENT + source, env=env, heap=heap)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_requests_share_one_handshake(device, ca, version):
    steps = [READ, answer(b"one"), READ, answer(b"two"), READ, answer(b"three"), BYE]
    with Server(steps, context=context(ca, tls=version)) as server:
        lines = client(
            device,
            server,
            "for _ in range(3): fetch()\nprint(link.connects, link.handshakes)\n"
            "print(link.sent > 300, link.received > 600)",
            ca,
        )
    assert lines == ["200 one", "200 two", "200 three", "1 1", "True True"]
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
    with Server([READ, b"HTTP/1.1 400 Bad\r\n\r\n"], [CLOSE], [RESET]) as server:
        lines = client(device, server, "for _ in range(3): fetch()", ca)
    assert [line.split(" | ")[0] for line in lines] == ["handshake"] * 3


def test_tls_on_a_plain_link_is_no_http(device, ca):
    with Server([READ], context=context(ca)) as server:
        lines = client(device, server, "fetch(secure=False)")
    assert lines[0].startswith("http | ") or lines[0].startswith("closed | ")


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


def test_silence_ends_at_its_deadline_in_every_phase(device, ca):
    begun = answer(b"x" * 1000)[:-900]
    scripts = [[HOLD], [READ, HOLD], [READ, b"HTTP/1.1 2", HOLD], [READ, begun, HOLD]]
    with Server(*scripts, context=context(ca)) as server:
        source = "for _ in range(4): print(fetch(first_ms=450))\nprint(Ticks.gap)"
        lines = client(device, server, source, ca)
    assert [line.split(" | ")[0] for line in lines[0:8:2]] == [
        "handshake",
        "first byte",
        "deadline",
        "silence",
    ]
    assert all(390 <= int(ms) < 900 for ms in lines[1:9:2]), lines
    assert int(lines[8]) <= 260


def test_a_server_that_takes_no_bytes_is_given_up(device):
    with Server([HOLD]) as server:
        source = "request.text = bytes(8000)\n"
        source += "Request.write_body = lambda self, w: [w.raw(self.text) for _ in range(1500)]\n"
        lines = client(device, server, source + "print(fetch() < 3000)\nprint(Ticks.gap)")
    assert lines[0].startswith("send | ") and lines[1] == "True" and int(lines[2]) <= 400


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
    assert 490 <= int(lines[3]) < 900 and int(lines[4]) <= 260


def test_waits_are_told_to_the_tick_while_an_answer_drips(device, ca):
    drip = [step for byte in answer(b"hello")[-8:] for step in (0.1, bytes([byte]))]
    steps = [READ, answer(b"hello")[:-8], *drip]
    with Server(steps, context=context(ca)) as server:
        lines = client(device, server, "fetch()\nprint(Ticks.gap, Ticks.count >= 8)", ca)
    assert lines[0] == "200 hello"
    assert int(lines[1].split()[0]) <= 260 and lines[1].endswith("True")


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
print(opened - closed > 20000, closed - opened > 20000, abs(used() - closed) < 400, room.missing)
"""


@pytest.mark.parametrize("inverted", [False, True])
def test_the_room_of_a_connection_is_held_on_the_right_side_of_it(device, ca, inverted):
    with Server(*[[READ, answer(), HOLD]] * 2, context=context(ca)) as server:
        lines = client(device, server, ROOM % inverted, ca)
    assert lines == ["200 ok", "200 ok", f"{inverted} {not inverted} True 0"]


def test_a_room_that_cannot_be_had_is_counted_and_had_later(device):
    source = """
import gc
from thimble.net.room import Room
gc.collect()
full = [bytearray(8000) for _ in range(gc.mem_free() // 8000 - 2)]
room = Room((16000, 4000, 2000))
print(room.missing)
full = None
room.opened()
print(room.missing)
room.closed()
print(room.missing)
"""
    assert device.run(source).stdout.split() == ["1", "0", "0"]


def test_a_heap_too_small_for_a_connection_says_so(device, ca):
    source = """
link.handshake_ms = 5000
real, link._tls = link._tls, None
class Poor:
    def context(self):
        raise MemoryError
link._tls = Poor()
fetch()
"""
    with Server([HOLD]) as server:
        lines = client(device, server, source, ca)
    assert lines[0].startswith("handshake | ") and "memory" in lines[0]
