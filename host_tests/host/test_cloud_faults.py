"""Faults strike where they were armed, and HTTP is taken strictly."""

import gzip
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from cloud_kit import Api, get_me, raw

from tools.cloud import KEY, TOKEN, Cloud
from tools.cloud.faults import KINDS
from tools.cloud.models import NAMES


@pytest.fixture(scope="module")
def running():
    with Cloud() as cloud:
        cloud.telegram.flood_limits(enabled=False)
        yield cloud


@pytest.fixture
def cloud(running):
    running.clear_faults()
    running.clear_calls()
    return running


def body_of(answer):
    return answer.partition(b"\r\n\r\n")[2]


def send_message(text=b"x"):
    path = b"/bot%s/sendMessage?chat_id=42&text=%s" % (TOKEN.encode(), text)
    return b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def test_a_fault_strikes_its_method_as_often_as_armed(cloud):
    api = Api(cloud)
    cloud.fault("telegram", "sendMessage", "status", times=2, skip=1, status=502)

    statuses = []
    for _ in range(5):
        assert api("getMe")["ok"]
        answer = raw(cloud, send_message())
        statuses.append(int(answer.split()[1]))

    assert statuses == [200, 502, 502, 200, 200]
    struck = [call for call in cloud.telegram.calls("sendMessage") if call.fault]
    assert [(call.fault, call.status) for call in struck] == [("status", 502)] * 2
    api.close()


def test_a_502_is_a_page_of_html(cloud):
    cloud.fault("telegram", None, "status", status=502)
    answer = raw(cloud, get_me())

    assert b"Content-Type: text/html" in answer and b"<h1>502 Bad Gateway</h1>" in answer


def test_a_status_may_have_any_body(cloud):
    cloud.fault(None, None, "status", status=503, body={"x": 1}, headers={"Retry-After": 5})
    answer = raw(cloud, get_me())

    assert answer.startswith(b"HTTP/1.1 503 ") and b"Retry-After: 5\r\n" in answer
    assert json.loads(body_of(answer)) == {"x": 1}
    cloud.fault(None, None, "status", body="Gone.", content_type="text/plain")
    answer = raw(cloud, get_me())
    assert b"Content-Type: text/plain\r\n" in answer and body_of(answer) == b"Gone."


def test_a_flood_is_told_in_the_services_words(cloud):
    cloud.fault("telegram", "getMe", "flood", retry_after=9)
    answer = json.loads(body_of(raw(cloud, get_me())))

    assert answer["parameters"] == {"retry_after": 9}


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [("chat", b"chat/completions", "requests"), ("messages", b"messages", "rate_limit_error")],
)
def test_a_flood_is_told_in_the_models_words(cloud, method, path, kind):
    cloud.fault("models", method, "flood", retry_after=9)
    answer = raw(cloud, b"POST /v1/%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % path)

    assert answer.startswith(b"HTTP/1.1 429 ") and b"\r\nRetry-After: 9\r\n" in answer
    said = json.loads(body_of(answer))
    assert said["error"]["type"] == kind and (said.get("type") == "error") == (method != "chat")


def test_exactly_the_bytes_that_were_given_come_at_their_pace(cloud):
    cloud.fault("telegram", "getMe", "raw", data=b"HTTP/1.1 2")
    assert raw(cloud, get_me()) == b"HTTP/1.1 2"
    cloud.fault("telegram", "getMe", "raw", data=b"fast slow", pause=0.1, fast=4)
    started = time.monotonic()
    assert raw(cloud, get_me()) == b"fast slow"
    assert time.monotonic() - started >= 0.4
    cloud.fault("telegram", "getMe", "raw", data=b"x", then="reset")
    with pytest.raises(ConnectionResetError):
        raw(cloud, get_me())


def test_a_lost_answer_may_have_taken_effect_or_not(cloud):
    before = len(cloud.telegram.messages(42))
    cloud.fault("telegram", "sendMessage", "close", effect=True)
    assert raw(cloud, send_message()) == b""
    assert len(cloud.telegram.messages(42)) == before + 1
    cloud.fault("telegram", "sendMessage", "close")
    assert raw(cloud, send_message()) == b""
    assert len(cloud.telegram.messages(42)) == before + 1
    cloud.fault("telegram", "sendMessage", "close", reset=True)
    with pytest.raises(ConnectionResetError):
        raw(cloud, send_message())


@pytest.mark.parametrize("secure", [False, True])
def test_an_answer_ends_in_its_head_or_in_its_body(cloud, secure):
    cloud.fault("telegram", "getMe", "close_in_head", effect=True)
    answer = raw(cloud, get_me(), secure)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n") and b"\r\n\r\n" not in answer
    cloud.fault("telegram", "getMe", "close_in_body", at=10)
    assert len(body_of(raw(cloud, get_me(), secure))) == 10


def test_a_body_stalls(cloud):
    cloud.fault("telegram", "getMe", "stall_in_body", seconds=0.1)
    started = time.monotonic()

    assert json.loads(body_of(raw(cloud, get_me()[:-2] + b"\r\n").split(b"HTTP/1.1", 2)[1]))["ok"]
    assert time.monotonic() - started > 0.1


def test_an_answer_comes_late(cloud):
    cloud.fault("telegram", "getMe", "delay", seconds=0.1)
    started = time.monotonic()
    raw(cloud, get_me())

    assert time.monotonic() - started > 0.1


def test_a_call_is_heard_late(cloud):
    chat = cloud.telegram
    cloud.fault("telegram", "sendMessage", "late", seconds=0.3)
    before = len(chat.texts(42))
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(raw, cloud, send_message(b"late"))
        time.sleep(0.1)
        assert len(chat.texts(42)) == before
        assert json.loads(body_of(answer.result()))["ok"]
    assert chat.texts(42)[before:] == ["late"]


def test_no_answer_comes(cloud):
    cloud.fault("telegram", "getMe", "hang", seconds=0.1)

    assert raw(cloud, get_me()) == b""


def test_garbage_comes(cloud):
    cloud.fault("telegram", "getMe", "garbage", size=50)
    assert len(raw(cloud, get_me())) == 50
    cloud.fault("telegram", "getMe", "garbage_body")
    assert body_of(raw(cloud, get_me())) == b'{"ok":true,"result":[{]'


@pytest.mark.parametrize("add", [-3, 10])
def test_a_length_is_wrong(cloud, add):
    cloud.fault("telegram", "getMe", "length", add=add)
    head, _, body = raw(cloud, get_me()).partition(b"\r\n\r\n")

    assert f"Content-Length: {len(body) + add}\r\n".encode() in head


def test_headers_have_no_end(cloud):
    cloud.fault("telegram", "getMe", "endless_headers", lines=100, line_bytes=10)
    answer = raw(cloud, get_me())

    assert answer.count(b"\r\n") == 101 and b"\r\n\r\n" not in answer


def test_a_header_is_long(cloud):
    cloud.fault("telegram", "getMe", "long_header", size=5000)
    answer = raw(cloud, get_me())

    assert b"\r\nX-Long: " + b"x" * 5000 + b"\r\n" in answer
    assert json.loads(body_of(answer))["ok"]


def test_a_redirect_comes(cloud):
    cloud.fault("telegram", "getMe", "redirect", to="http://x.invalid/")

    assert b"Location: http://x.invalid/\r\n" in raw(cloud, get_me())


def test_an_answer_is_compressed(cloud):
    cloud.fault("telegram", "getMe", "gzip")
    head, _, body = raw(cloud, get_me()).partition(b"\r\n\r\n")

    assert b"Content-Encoding: gzip" in head and json.loads(gzip.decompress(body))["ok"]


def test_an_answer_comes_in_chunks_with_extensions_and_a_trailer(cloud):
    cloud.fault("telegram", "getMe", "chunked", size=50)
    api = Api(cloud)

    assert api("getMe")["ok"] and api.headers["Transfer-Encoding"] == "chunked"
    assert api("getMe")["ok"]
    api.close()
    cloud.fault("telegram", "getMe", "chunked", size=50)
    answer = raw(cloud, get_me(close=False) + get_me())
    assert b"\r\n\r\n32;n=1\r\n" in answer and b"\r\n0\r\nX-Trailer: yes\r\n\r\n" in answer


def test_an_answer_without_a_length_ends_with_the_connection(cloud):
    cloud.fault("telegram", "getMe", "no_length")
    api = Api(cloud)

    assert api("getMe")["ok"] and "Content-Length" not in api.headers
    assert api.headers["Connection"] == "close"
    api.close()


@pytest.mark.parametrize("announce", [False, True])
def test_a_connection_ends_after_an_answer(cloud, announce):
    cloud.fault("telegram", "getMe", "close_after", announce=announce)
    answer = raw(cloud, get_me(close=False))

    assert json.loads(body_of(answer))["ok"]
    assert (b"Connection: close" in answer) == announce


def test_an_answer_trickles_and_interim_answers_come_first(cloud):
    cloud.fault("telegram", "getMe", "trickle", size=20, pause=0)
    assert json.loads(body_of(raw(cloud, get_me(close=False) + get_me()).split(b"HTTP/1.1")[1]))
    cloud.fault("telegram", "getMe", "continue")
    assert raw(cloud, get_me()).startswith(b"HTTP/1.1 100 Interim\r\n")


def test_a_stream_can_be_struck_too(cloud):
    cloud.fault("models", "chat", "status", status=529)
    answer = raw(
        cloud, b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )

    assert answer.startswith(b"HTTP/1.1 529 Overloaded")


@pytest.mark.parametrize("fault", ["gzip", "length", "close_in_body"])
def test_a_stream_passes_unharmed_where_a_fault_needs_a_whole_answer(cloud, fault):
    body = {"model": NAMES[0], "messages": [{"role": "user", "content": "hi"}], "stream": True}
    data = json.dumps(body).encode()
    lines = ["POST /v1/chat/completions HTTP/1.1", "Host: x", "Connection: close"]
    lines += [f"Authorization: Bearer {KEY}", "Content-Type: application/json"]
    lines += [f"Content-Length: {len(data)}", "", ""]
    cloud.fault("models", "chat", fault)
    answer = raw(cloud, "\r\n".join(lines).encode() + data)

    assert answer.startswith(b"HTTP/1.1 200 OK") and answer.count(b"HTTP/1.1") == 1
    assert answer.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
    call = cloud.models.calls("chat")[-1]
    assert call.fault == fault and not call.error


def test_what_was_cut_off_is_on_record(cloud):
    cloud.fault("telegram", "getMe", "close")
    raw(cloud, get_me())

    call = cloud.telegram.calls("getMe")[-1]
    assert (call.status, call.fault) == (-1, "close")


def test_a_client_that_leaves_ends_its_call(cloud):
    cloud.fault("telegram", "getMe", "hang")
    with socket.create_connection(("127.0.0.1", cloud.plain.port)) as client:
        client.sendall(get_me())
        cloud.wait_for(lambda: cloud.telegram.calls("getMe"))

    cloud.wait_for(lambda: cloud.telegram.calls("getMe")[-1].status == -1)


def test_unknown_faults_are_refused(cloud):
    with pytest.raises(ValueError, match="no such fault: fire"):
        cloud.fault(None, None, "fire")
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
        cloud.fault(None, None, "gzip", colour=1)
    assert {"status", "close", "garbage", "gzip", "endless_headers"} <= set(KINDS)


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"get / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 400),
        (b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\nX: y\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\nx", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", 400),
        (
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (
            b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n", 413),
        (
            b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5f5e0ff\r\n",
            413,
        ),
        (
            b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".ljust(2000, b"1"),
            400,
        ),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX : y\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: \xb2\r\n\r\n".encode("latin-1"), 400),
        ((b"GET / HTTP/1.1\r\nHost: x\r\nX: ").ljust(256 * 1024 + 1, b"y"), 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 404),
    ],
)
def test_http_is_taken_strictly(cloud, request_bytes, status):
    assert raw(cloud, request_bytes).startswith(b"HTTP/1.1 %d " % status)


def test_http_1_0_has_no_host_and_one_answer_unless_asked_for_more(cloud):
    request = get_me(close=False).replace(b"HTTP/1.1\r\nHost: x", b"HTTP/1.0")
    answer = raw(cloud, request)
    assert b'"ok":true' in answer and b"\r\nConnection: close\r\n" in answer
    longer = request.replace(b"\r\n\r\n", b"\r\nConnection: Keep-Alive\r\n\r\n")
    answer = raw(cloud, longer + request)
    assert answer.count(b'"ok":true') == 2 and b"\r\nConnection: keep-alive\r\n" in answer


def test_requests_may_follow_each_other_at_once(cloud):
    assert raw(cloud, get_me(close=False) * 3 + get_me()).count(b'"ok":true') == 4


def test_a_request_may_come_in_chunks_and_byte_by_byte(cloud):
    head = b"POST /bot%s/sendMessage HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" % TOKEN.encode()
    head += b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = b'{"chat_id":42,"text":"chunks"}'
    data = head + b"5\r\n%s\r\n%x;n=1\r\n%s\r\n0\r\nX: y\r\n\r\n" % (
        body[:5],
        len(body) - 5,
        body[5:],
    )

    assert json.loads(body_of(raw(cloud, data)))["result"]["text"] == "chunks"


def test_a_client_may_ask_before_it_sends(cloud):
    head = b"POST /bot%s/getMe HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" % TOKEN.encode()
    answer = raw(cloud, head + b"Expect: 100-continue\r\nContent-Length: 0\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")
