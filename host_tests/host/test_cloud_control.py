"""The cloud as a whole: TLS, counts, its clock, and control by HTTP of one that runs alone."""

import http.client
import json
import math
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest
from cloud_kit import Api, get_me, raw

from tools.cloud import Cloud

ROOT = Path(__file__).parents[2]


def handshake(listener, context, host="localhost"):
    """The TLS socket's (version, cipher)."""
    with (
        socket.create_connection(("127.0.0.1", listener.port), 5) as sock,
        context.wrap_socket(sock, server_hostname=host) as secured,
    ):
        return secured.version(), secured.cipher()[0]


def trusting(cloud):
    return ssl.create_default_context(cafile=str(cloud.ca_pem))


@pytest.fixture(scope="module")
def running():
    with Cloud() as cloud:
        yield cloud


@pytest.mark.parametrize(
    ("tls", "version"),
    [("default", "TLSv1.3"), ("1.3", "TLSv1.3"), ("1.2", "TLSv1.2"), ("rp2", "TLSv1.2")],
)
def test_tls_speaks_the_versions_it_should(running, tls, version):
    listener = running.listen(tls)
    found, cipher = handshake(listener, trusting(running))

    assert found == version
    assert running.wait_for(lambda: listener.handshakes == 1)
    if tls == "rp2":
        assert cipher == "ECDHE-ECDSA-AES128-GCM-SHA256"
        new = trusting(running)
        new.minimum_version = ssl.TLSVersion.TLSv1_3
        with pytest.raises(ssl.SSLError):
            handshake(listener, new)
        running.wait_for(lambda: listener.failed_handshakes == 1)
    running.unlisten(listener)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("wrong_host", "Hostname mismatch"),
        ("expired", "certificate has expired"),
        ("not_yet", "certificate is not yet valid"),
        ("untrusted", "unable to get local issuer certificate"),
        ("self_signed", "self-signed certificate"),
    ],
)
def test_bad_certificates_are_bad(running, kind, reason):
    listener = running.listen("default", kind)
    with pytest.raises(ssl.SSLCertVerificationError, match=reason):
        handshake(listener, trusting(running))
    running.unlisten(listener)


def test_the_certificate_holds_for_both_names_and_der_is_the_same_ca(running):
    assert handshake(running.secure, trusting(running), "127.0.0.1")
    context = ssl.create_default_context(cadata=running.ca_der.read_bytes())
    assert handshake(running.secure, context)


def test_flood_limits_hold_unless_they_are_turned_off():
    with Cloud() as cloud:
        cloud.thread.call(cloud.clock.stop)  # however slow the machine, no second passes
        api = Api(cloud)
        for _ in range(5):
            assert api("sendMessage", chat_id=42, text="x")["ok"]
        api("sendMessage", chat_id=42, text="x")
        assert api.status == 429
        cloud.telegram.flood_limits(enabled=False)
        assert api("sendMessage", chat_id=42, text="x")["ok"]


def test_connections_and_handshakes_are_counted_by_service():
    with Cloud() as cloud:
        raw(cloud, get_me(), secure=True)
        raw(cloud, get_me())
        raw(cloud, b"GET /v1/models HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        with socket.create_connection(("127.0.0.1", cloud.secure.port)) as sock:
            sock.sendall(b"no handshake")
            sock.recv(100)
        cloud.wait_for(lambda: cloud.counts()["failed_handshakes"] == 1)
        cloud.wait_for(lambda: not cloud.counts()["open"])
        counts = cloud.counts()

    assert counts["connections"] == {"telegram": 2, "models": 1}
    assert counts["service_handshakes"] == {"telegram": 1}
    assert (counts["accepted"], counts["handshakes"]) == (4, 1)


def test_connections_can_be_dropped_and_ports_go_down_and_up(running):
    api = Api(running)
    api("getMe")
    assert running.drop("telegram", idle_only=True) == 1
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        api("getMe")
    api.close()
    listener = running.listen(None)
    running.unlisten(listener)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", listener.port))
    running.relisten(listener)
    connections = listener.connections
    socket.create_connection(("127.0.0.1", listener.port)).close()
    running.wait_for(lambda: listener.connections > connections)
    running.unlisten(listener)


@pytest.mark.parametrize("tls", [None, "1.3"])
def test_who_is_connected_is_cut_off_when_a_port_goes_down(running, tls):
    listener = running.listen(tls)
    with socket.create_connection(("127.0.0.1", listener.port), 10) as sock:
        running.wait_for(lambda: listener.connections)
        running.unlisten(listener)
        try:
            assert sock.recv(1) == b""
        except ConnectionResetError:
            assert tls  # its handshake had not even begun


def test_the_record_is_bounded_and_keeps_bytes_if_told():
    with Cloud(tls=None, keep=5, keep_raw=True) as cloud:
        raw(cloud, get_me(close=False) * 9 + get_me())
        calls = cloud.calls()

        assert len(calls) == 5 and cloud.telegram.count("getMe") == 10
        assert calls[-1].raw.startswith(b"GET /bot") and calls[-1].answer.startswith(b'{"ok":true')


def test_the_record_is_bounded_in_bytes():
    with Cloud(tls=None) as cloud:
        cloud.telegram.flood_limits(enabled=False)
        cloud.recorder.keep_bytes = 1000
        api = Api(cloud)
        for _ in range(2):
            for _ in range(10):
                api("sendMessage", chat_id=42, text="x" * 270)
            sizes = [call.size for call in cloud.calls()]
            assert len(sizes) == 3 and sum(sizes) <= 1000
            cloud.clear_calls()
        api.close()


def test_calls_tell_their_error_and_can_be_asked_for_from_a_number_on(running):
    api = Api(running)
    api("getMe")
    last = running.calls()[-1].seq
    api("sendMessage", chat_id=42)
    api.close()

    assert [call.error for call in running.calls(since=last)] == [
        "Bad Request: message text is empty"
    ]


def test_a_stopped_clock_goes_on_by_advance_alone():
    with Cloud(tls=None) as cloud:
        clock, rung = cloud.clock, []
        cloud.thread.call(clock.stop)
        started = clock.time()
        assert abs(started - time.time()) < 60
        cancelled = cloud.thread.call(lambda: clock.call_later(1, lambda: rung.append("never")))
        cloud.thread.call(lambda: clock.call_later(4, lambda: rung.append("4 s")))
        assert cloud.thread.call(clock.due) == 1
        cloud.thread.call(lambda: clock.cancel(cancelled))
        assert cloud.thread.call(clock.due) == 4
        cloud.advance(3)
        assert clock.time() == started + 3 and rung == []
        cloud.advance(2)

        assert rung == ["4 s"] and cloud.thread.call(clock.due) == math.inf


def test_a_limit_that_is_none_is_refused(running):
    with pytest.raises(ValueError, match="no such limit: bursts"):
        running.telegram.flood_limits(bursts=1)


def test_waiting_gives_up_with_the_reason(running):
    with pytest.raises(TimeoutError, match=r"telegram\.texts"):
        running.wait_for(lambda: running.telegram.texts(12345), timeout=0.05)


def test_a_config_is_complete(running):
    config = running.config("anthropic", max_tokens=7)

    assert config["telegram"] == {
        "token": running.token,
        "allow": [42],
        "url": running.urls["telegram_https"],
    }
    assert config["model"]["api"] == "anthropic" and config["model"]["max_tokens"] == 7
    assert config["tls"] == {"ca": "ca.der"}
    assert "tls" not in running.config(secure=False)


def test_many_calls_are_served_quickly():
    with Cloud(tls=None) as cloud:
        cloud.telegram.say_many(["x"] * 5000)
        started = time.monotonic()
        answer = raw(cloud, get_me(close=False) * 4999 + get_me(), timeout=30)

        assert answer.count(b'"ok":true') == 5000
        assert time.monotonic() - started < 10
        assert cloud.telegram.pending() == 5000


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """A cloud in a process of its own: what it printed, with the folder it was given."""
    folder = tmp_path_factory.mktemp("cloud")
    arguments = ["--dir", folder, "--config", folder / "etc" / "thimble.json", "--answer", "echo"]
    process = subprocess.Popen(
        [sys.executable, "-m", "tools.cloud", *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        about = json.loads(process.stdout.readline())
        about["folder"] = folder
        yield about
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        process.stdout.close()


def control(about, path, **arguments):
    request = urllib.request.Request(
        about["control"] + path, json.dumps(arguments).encode(), method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        return json.load(error)


def test_alone_it_writes_a_configuration(alone):
    config = json.loads((alone["folder"] / "etc" / "thimble.json").read_text())

    assert config["telegram"]["url"] == alone["urls"]["telegram"]
    assert config["tls"]["ca"] == "../ca.der"
    assert Path(alone["ca_der"]).read_bytes()


def test_alone_it_is_controlled_by_http(alone):
    number = control(alone, "/telegram/say", chat=42, text="from outside")["result"]
    assert number > 0
    assert control(alone, "/telegram/pending")["result"] == 1
    assert control(alone, "/models/script", text="one", times=2)["result"]["text"] == "one"
    assert control(alone, "/models/waiting")["result"] == 2
    armed = control(alone, "/cloud/fault", service="telegram", method="getMe", name="flood")
    assert armed["ok"]
    url = alone["urls"]["telegram_http"] + f"/bot{alone['token']}/"
    with pytest.raises(urllib.error.HTTPError, match="429"):
        urllib.request.urlopen(url + "getMe")
    calls = control(alone, "/telegram/calls", method="getMe")["result"]
    assert calls[-1]["status"] == 429 and calls[-1]["fault"] == "flood"
    with urllib.request.urlopen(url + "sendMessage?chat_id=42&text=hi") as response:
        assert json.load(response)["ok"]
    assert control(alone, "/telegram/messages", chat=42)["result"][0]["text"] == "hi"


def test_alone_it_tells_changes_when_they_come(alone):
    seen = control(alone, "/telegram/changes")["result"]
    since = seen[-1]["seq"] if seen else 0
    url = alone["urls"]["telegram_http"] + f"/bot{alone['token']}/sendMessage?chat_id=42&text=news"
    threading.Timer(0.1, lambda: urllib.request.urlopen(url).close()).start()
    started = time.monotonic()

    changes = control(alone, "/telegram/changes", since=since, timeout=10)["result"]

    assert [change["text"] for change in changes] == ["news"]
    assert time.monotonic() - started < 5
    assert control(alone, "/telegram/changes", since=since + 1, timeout=0.05)["result"] == []


def test_alone_it_refuses_what_it_does_not_offer(alone):
    assert control(alone, "/telegram/nothing")["ok"] is False
    assert control(alone, "/cloud/stop")["ok"] is False
    assert "unknown options: loud" in control(alone, "/telegram/say", loud=1)["error"]
    assert (
        "no such fault"
        in control(alone, "/cloud/fault", service=None, method=None, name="fire")["error"]
    )
