"""HTTP/1.1 over a link that is a script: every framing, cut at every byte."""

import gc
import micropython

from kit import raises

from thimble.core.errors import NetError
from thimble.net import http as module
from thimble.net.http import Http

QEMU = True
HEAP = "384k"  # the scripts of the peer, up to 64 KB each
END = b""  # in a script: the peer closes
NOTHING = None  # in a script: no bytes within the time


class Link:
    """A link whose peer sends the pieces of `script`, connection by connection."""

    def __init__(self, *scripts):
        self.scripts = list(scripts)
        self.script = None
        self.used = 0  # bytes of the first piece
        self.is_open = False
        self.cut = False
        self.opens = 0
        self.peer = None
        self.sent = bytearray()
        self.stale = False
        self.fail_send = None

    def open(self, host, port, secure):
        self.opens += 1
        self.peer = host, port, secure
        self.is_open = True
        if self.scripts:
            self.script = list(self.scripts.pop(0))
            self.used = 0

    def close(self):
        self.is_open = False

    def dead(self):
        return self.stale

    def send(self, buf, off, end):
        assert self.is_open
        if self.fail_send:
            self.fail_send, error = None, self.fail_send
            raise error
        self.sent.extend(buf[off:end])

    def recv(self, buf, ms):
        if not self.script:
            return -1
        piece = self.script[0]
        if piece is NOTHING:
            self.script.pop(0)
            return -1
        if piece == END:
            return 0
        n = min(len(piece) - self.used, len(buf))
        buf[:n] = memoryview(piece)[self.used : self.used + n]
        self.used += n
        if self.used == len(piece):
            self.script.pop(0)
            self.used = 0
        return n


class Request:
    """`text` is in the body; None sends an empty one."""

    def __init__(self, text=None, repeatable=True, method=b"POST"):
        self.text = text
        self.repeatable = repeatable
        self.method = method

    def write_head(self, w):
        w.raw(self.method)
        w.raw(b" /x HTTP/1.1\r\nAccept: */*\r\n")

    def write_body(self, w):
        if self.text is None:
            return
        w.raw(b'{"n":')
        w.num(-42)
        w.raw(b',"t":"')
        w.json(self.text, 0, len(self.text))
        w.raw(b'","v":"')
        w.view(self.text, 1, 3)
        w.raw(b'"}')


def client(*scripts, size=512, out=128):
    http = Http(Link(*scripts), bytearray(size), bytearray(out))
    http.origin("example.org", 443, True)
    return http


def body(http):
    """All of the body."""
    text = bytearray()
    while True:
        n = http.read(100)
        if n == 0:
            return bytes(text)
        if n > 0:
            text.extend(http.inbuf[http.pos : http.pos + n])


def fetch(http, request=None):
    status = http.request(request or Request(), 1000)
    return status, body(http)


def fails(http, request=None):
    """The NetError of a request."""
    return raises(NetError, lambda: fetch(http, request))


def failure(*script, size=512):
    """(stage, detail) of what a request to a scripted peer raises, or its reading."""
    http = client(script, size=size)
    error = fails(http)
    assert not http.link.is_open
    return error.stage, error.detail


PLAIN = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\nhello world"
)
CHUNKED = (
    b"HTTP/1.1 200 OK\r\ntransfer-ENCODING:  chunked \r\nServer: x\r\n\r\n"
    b'4\r\nhell\r\n07;a=b;c="d;e"\r\no world\r\n00 \r\nTrailer: 1\r\nX: y\r\n\r\n'
)
TO_END = b"HTTP/1.1 200 OK\nContent-Type: text/plain\n\nhello world"
ANSWERS = (PLAIN, CHUNKED, TO_END)
EMPTY = b"HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n"


def pieces(data, *cuts):
    last = 0
    for cut in cuts:
        yield data[last:cut]
        last = cut
    yield data[last:]
    if data is TO_END:
        yield END


def test_every_framing_survives_every_cut_into_two():
    for data in ANSWERS:
        for cut in range(1, len(data)):
            http = client(pieces(data, cut))
            assert fetch(http) == (200, b"hello world"), cut
            assert http.is_json == (data is PLAIN)
            assert http.link.is_open == (data is not TO_END)


def test_every_framing_survives_one_byte_at_a_time():
    for data in ANSWERS:
        http = client(pieces(data, *range(1, len(data))))
        assert fetch(http) == (200, b"hello world")


def test_every_framing_survives_waits_without_bytes():
    for data in ANSWERS:
        script = []
        for piece in pieces(data, *range(1, len(data))):
            script.append(piece)
            if b"\r\n\r\n" in data[: len(script)] and piece:
                script.append(NOTHING)
        http = client(script)
        if data is not TO_END:
            assert fetch(http) == (200, b"hello world")


def test_an_inbuf_of_one_byte_is_enough_for_any_answer():
    for data in ANSWERS:
        assert fetch(client(pieces(data), size=1)) == (200, b"hello world")


def test_an_answer_that_breaks_off_is_an_error_at_every_byte():
    for data in (PLAIN, CHUNKED):
        for cut in range(len(data)):
            http = client((data[:cut], END) if cut else (END,))
            error = fails(http)
            if cut > data.find(b"\r\n\r\n") + 3:
                assert error.stage == "body", (cut, error)
            else:
                assert error.stage == "closed", (cut, error)
            assert not http.link.is_open


def test_a_body_to_the_end_of_a_cut_tls_connection_is_an_error():
    http = client((TO_END, END))
    http.request(Request(), 1000)
    http.link.cut = True
    assert raises(NetError, lambda: body(http)).stage == "body"


def test_a_request_states_its_length_and_its_host():
    http = client((PLAIN,))
    fetch(http, Request('ü"\n\x01x'.encode()))
    expected = '{"n":-42,"t":"ü\\"\\n\\u0001x","v":"'.encode() + b'\xbc""}'
    head, _, sent = bytes(http.link.sent).partition(b"\r\n\r\n")
    assert sent == expected
    assert head == (
        b"POST /x HTTP/1.1\r\nAccept: */*\r\nHost: example.org\r\nContent-Length: %d" % len(sent)
    )


def test_a_request_larger_than_its_buffer_is_streamed():
    for size in range(90, 400, 7):
        text = bytes([33 + i % 90 for i in range(size)])
        for out in (64, 65, 77, 256):
            http = client((PLAIN,), out=out)
            fetch(http, Request(text))
            head, _, sent = bytes(http.link.sent).partition(b"\r\n\r\n")
            assert head.endswith(b"Content-Length: %d" % len(sent))
            said = text.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
            assert sent == b'{"n":-42,"t":"' + said + b'","v":"' + text[1:3] + b'"}'


def test_a_request_without_a_body_states_no_length():
    http = client((PLAIN,))
    fetch(http, Request(method=b"GET"))
    assert http.link.sent == (
        b"GET /x HTTP/1.1\r\nAccept: */*\r\nHost: example.org\r\nContent-Length: 0\r\n\r\n"
    )


def test_a_request_names_the_port_that_is_not_the_usual_one():
    for port, secure, said in (
        (443, True, b""),
        (80, True, b":80"),
        (80, False, b""),
        (443, False, b":443"),
        (8080, False, b":8080"),
    ):
        http = client((PLAIN,))
        http.origin("10.0.0.1", port, secure)
        fetch(http)
        assert http.link.peer == ("10.0.0.1", port, secure)
        assert b"\r\nHost: 10.0.0.1" + said + b"\r\n" in http.link.sent


class Growing(Request):
    """Its two passes disagree."""

    def __init__(self, first, second):
        super().__init__(b"")
        self.lengths = [first, second]

    def write_body(self, w):
        text = b"a" * self.lengths.pop(0)
        w.view(text, 0, len(text))


def test_a_body_that_changes_between_its_passes_is_never_sent_wrong():
    for first, second in ((10, 11), (10, 9), (500, 501), (500, 499), (0, 1), (100, 5000)):
        http = client((PLAIN,))
        assert fails(http, Growing(first, second)).stage == "body"
        assert not http.link.is_open
        assert len(bytes(http.link.sent).partition(b"\r\n\r\n")[2]) <= first


def test_interim_answers_are_passed_over():
    http = client((b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\n" + PLAIN,))
    assert fetch(http) == (200, b"hello world")


def test_interim_answers_without_end_are_refused():
    assert failure(b"HTTP/1.1 100 Continue\r\n\r\n" * 9)[0] == "http"
    assert failure(b"HTTP/1.1 101 Switching\r\n\r\n")[0] == "http"


def test_204_and_304_have_no_body_whatever_they_say():
    for line in (b"204 No Content\r\n", b"304 Not Modified\r\nContent-Length: 5\r\n"):
        http = client((b"HTTP/1.1 " + line + b"\r\n",))
        assert fetch(http)[1] == b""
        assert http.link.is_open


def test_a_redirect_is_an_answer_and_is_not_followed():
    http = client((b"HTTP/1.1 302 Found\r\nLocation: https://x/\r\nContent-Length: 0\r\n\r\n",))
    assert fetch(http) == (302, b"")
    assert http.link.opens == 1


def test_retry_after_is_read_in_seconds_and_a_date_is_not_read():
    for value, seconds in (
        (b"17", 17),
        (b" 0 ", 0),
        (b"\t7\t", 7),
        (b"Fri, 1 Jan 2027 00:00:00 GMT", 0),
    ):
        answer = b"HTTP/1.1 429 No\r\nRetry-After:" + value + b"\r\nContent-Length: 0\r\n\r\n"
        http = client((answer, PLAIN))
        assert fetch(http) == (429, b"")
        assert http.retry_after == seconds
        fetch(http)
        assert http.retry_after == 0


def test_a_field_that_is_not_known_is_not_taken_for_another():
    answer = b"HTTP/1.1 429 No\r\nRetries: 9\r\nContent-Length: 0\r\n\r\n"
    http = client((answer,))
    fetch(http)
    assert http.retry_after == 0


def test_what_an_answer_is_says_nothing_of_the_next():
    http = client((PLAIN, CHUNKED))
    fetch(http)
    assert http.is_json
    fetch(http)
    assert not http.is_json


def test_a_page_of_html_with_502_is_read_like_any_answer():
    page = b"<html>" + b"x" * 2000 + b"</html>"
    head = b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n"
    http = client((head + page, END))
    assert fetch(http) == (502, page)
    assert not http.is_json and not http.link.is_open


def test_what_does_not_speak_http_is_named():
    for text in (
        b"SSH-2.0-OpenSSH_9\r\n",
        b"\x15\x03\x01\x00\x02",
        b"HTTP/2 200\r\n\r\n",
        b"RTSP/1.0 200 OK\r\n\r\n",
        b"\r\n",
    ):
        stage, detail = failure(text, END)
        assert stage == "http" and "does not speak HTTP" in detail, text
    for line in (
        b"HTTP/1.1",
        b"HTTP/1.1 20",
        b"HTTP/1.1 2000 OK",
        b"HTTP/1.1 abc",
        b"HTTP/1.1_200",
    ):
        assert failure(line + b"\r\n\r\n")[0] == "http", line
    assert "SSH-2.0-OpenSSH_9" in failure(b"SSH-2.0-OpenSSH_9\r\n")[1]
    assert failure(b"\x15\x1b[2J", END)[1].endswith("'..[2J'")


def test_a_status_line_needs_no_words():
    for line in (b"HTTP/1.1 200", b"HTTP/1.1 200 "):
        assert fetch(client((PLAIN.replace(b"HTTP/1.1 200 OK", line),))) == (200, b"hello world")


def test_long_header_lines_pass_and_headers_without_end_do_not():
    long = b"HTTP/1.1 200 OK\r\nX: " + b"y" * 7000 + b"\r\nContent-Length: 2\r\n\r\nok"
    assert fetch(client((long,), size=100)) == (200, b"ok")
    many = b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"Content-Length: 2\r\n\r\nok"
    assert fetch(client((many,), size=6100)) == (200, b"ok")
    blank = b"HTTP/1.1 200 OK\r\nRetry-After:" + b" " * 99 + b"7\r\nContent-Length: 2\r\n\r\nok"
    assert fetch(client((blank,))) == (200, b"ok")
    assert failure(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 9000)[0] == "http"
    assert failure(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 11000)[0] == "http"
    assert failure(b"HTTP/1.1 200 " + b"O" * 65536)[0] == "http"


def test_lengths_that_lie_are_refused():
    for value in (b"-1", b"+5", b"5x", b"", b"5, 5", b"99999999999", b"0x5", b"1" * 80, b"0" * 80):
        head = b"HTTP/1.1 200 OK\r\nContent-Length: " + value + b"\r\n\r\nhello"
        assert failure(head, END)[0] == "http", value
    for first in (b"0", b"6"):
        two = b"Content-Length: " + first + b"\r\nContent-Length: 5\r\n\r\nhello"
        assert failure(b"HTTP/1.1 200 OK\r\n" + two)[0] == "http"
    same = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello"
    assert fetch(client((same,))) == (200, b"hello")


def test_a_length_beside_chunks_is_ignored_and_the_connection_closed():
    http = client((CHUNKED.replace(b"Server: x", b"Content-Length: 3"),))
    assert fetch(http) == (200, b"hello world")
    assert not http.link.is_open


def test_codings_that_were_not_asked_for_are_refused():
    for field in (
        b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding: chunked, gzip",
        b"Transfer-Encoding: deflate",
        b"Transfer-Encoding: chunked\r\n" * 2,
    ):
        assert failure(b"HTTP/1.1 200 OK\r\n" + field + b"\r\n\r\n")[0] == "http"
    stage, detail = failure(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n")
    assert stage == "http" and "compressed" in detail
    for none in (b"Identity", b""):
        same = PLAIN.replace(b"OK\r\n", b"OK\r\nContent-Encoding: " + none + b"\r\n")
        assert fetch(client((same,))) == (200, b"hello world")


def test_a_list_of_codings_may_begin_with_empty_elements():
    same = CHUNKED.replace(b"chunked", b", ,\tchunked", 1)
    assert fetch(client((same,))) == (200, b"hello world")


def test_bytes_behind_an_answer_end_the_connection():
    http = client((PLAIN + b"more",))
    assert fetch(http) == (200, b"hello world")
    assert not http.link.is_open


def test_bad_chunks_are_refused():
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    for chunks in (
        b"g\r\n",
        b"\r\n",
        b"-5\r\nhello\r\n",
        b"5g\r\nhello\r\n",
        b" 5\r\nhello\r\n",
        b"\x15\r\nhello",
        b"5\r\nhellox\r\n",
        b"5\r\nhello5\r\n",
        b"fffffffff\r\n",
        b"0x5\r\nhello\r\n",
        b"5;" + b"x" * 9000,
        b"0\r\n" + b"X: y\r\n" * 2000,
    ):
        assert failure(head + chunks)[0] in ("body", "http"), chunks


def test_any_number_of_chunks_may_come():
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    http = client([head] + [b"1\r\nx\r\n" * 1000] * 9 + [b"0\r\n\r\n"])
    assert fetch(http) == (200, b"x" * 9000)


def test_the_size_of_a_chunk_is_hexadecimal():
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    text = b"x" * 0xFFF
    chunks, n = b"", 0
    for size in (b"1A9", b"Bc", b"0De", b"9f", b"0F0"):
        chunks += size + b"\r\n" + text[: int(size, 16)] + b"\r\n"
        n += int(size, 16)
    assert fetch(client((head + chunks + b"0\r\n\r\n",))) == (200, text[:n])


def test_a_size_of_which_only_zeros_are_kept_ends_no_answer():
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    last = b"\r\nhello world\r\n0\r\n\r\n"
    assert fetch(client((head + b"0" * 62 + b"b" + last,))) == (200, b"hello world")
    assert failure(head + b"0" * 64 + b"b" + last)[0] == "body"


def test_a_line_that_broke_off_is_not_the_beginning_of_the_next_answers():
    http = client((b"HTTP/1.1 200 OK\r\nX-Ha", END), (PLAIN,))
    fails(http)
    assert fetch(http) == (200, b"hello world")


def test_a_kept_connection_serves_many_requests():
    http = client((PLAIN, CHUNKED, PLAIN))
    for _ in range(3):
        assert fetch(http) == (200, b"hello world")
    assert http.link.opens == 1


def test_connection_close_is_obeyed_and_http_1_0_closes():
    http = client((PLAIN.replace(b"OK\r\n", b"OK\r\nConnection: Close\r\n"),), (PLAIN,))
    fetch(http)
    assert not http.link.is_open
    assert fetch(http) == (200, b"hello world")
    old = PLAIN.replace(b"HTTP/1.1", b"HTTP/1.0")
    http = client((old,))
    fetch(http)
    assert not http.link.is_open
    http = client((old.replace(b"OK\r\n", b"OK\r\nConnection: Keep-Alive\r\n"),))
    fetch(http)
    assert http.link.is_open


def test_close_counts_wherever_keep_alive_stands():
    close, keep = b"Connection: close\r\n", b"Connection: keep-alive\r\n"
    for fields in (close + keep, keep + close, close + close + keep, keep + keep + close + keep):
        for version in (b"OK\r\n", b"OK\r\nConnection: Keep-Alive, Close\r\n"):
            for minor in (b"HTTP/1.0", b"HTTP/1.1"):
                answer = PLAIN.replace(b"OK\r\n", version + fields).replace(b"HTTP/1.1", minor)
                http = client((answer,))
                assert fetch(http) == (200, b"hello world")
                assert not http.link.is_open, answer


def test_a_connection_found_dead_is_opened_anew_before_anything_is_sent():
    http = client((PLAIN,), (PLAIN,))
    fetch(http)
    http.link.stale = True
    assert fetch(http, Request(repeatable=False)) == (200, b"hello world")
    assert http.link.opens == 2


def test_a_kept_connection_that_ends_unanswered_is_tried_once_more():
    http = client((PLAIN, END), (PLAIN,))
    fetch(http)
    assert fetch(http) == (200, b"hello world")
    assert http.link.opens == 2
    http = client((PLAIN, END), (END,), (PLAIN,))
    fetch(http)
    assert raises(NetError, lambda: fetch(http)).stage == "closed"
    assert http.link.opens == 2


def test_a_kept_connection_that_fails_while_it_is_written_to_is_tried_once_more():
    http = client((PLAIN, END), (PLAIN,))
    fetch(http)
    http.link.fail_send = NetError("send", "broken")
    assert fetch(http) == (200, b"hello world")


def test_no_second_attempt_for_what_is_not_repeatable_or_was_answered_or_timed_out():
    http = client((PLAIN, END), (PLAIN,))
    fetch(http)
    raises(NetError, lambda: fetch(http, Request(repeatable=False)))
    http = client((PLAIN, b"HTTP/1.1", END), (PLAIN,))
    fetch(http)
    raises(NetError, lambda: fetch(http))
    http = client((PLAIN, NOTHING), (PLAIN,))
    fetch(http)
    assert raises(NetError, lambda: fetch(http)).stage == "first byte"
    http = client((END,), (PLAIN,))
    raises(NetError, lambda: fetch(http))
    assert http.link.opens == 1


def test_until_an_answer_begins_it_is_asked_whether_it_is_waited_for():
    asked = []

    def wait():
        asked.append(http.link.opens)

    for script, opens in (
        (((PLAIN, NOTHING, NOTHING, PLAIN),), [1, 1]),
        (((PLAIN, END), (NOTHING, PLAIN)), [1, 2]),
        (((PLAIN, NOTHING, END), (PLAIN,)), [1, 1]),
        (((PLAIN, b"HTTP/1.1 102 Wait\r\n\r\n", PLAIN),), []),
    ):
        http = client(*script)
        fetch(http)
        asked.clear()
        assert http.request(Request(), 1000, wait) == 200
        assert body(http) == b"hello world" and asked == opens, (script, asked)


def test_an_answer_that_is_given_up_before_it_begins_leaves_nothing_behind():
    http = client((NOTHING, PLAIN), (PLAIN,))
    assert http.request(Request(), 1000, lambda: True) == 0
    assert not http.link.is_open and http.read(0) == 0
    assert fetch(http) == (200, b"hello world") and http.link.opens == 2


def test_what_is_left_of_an_answer_is_drained_before_the_next_request():
    big = b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n" + b"x" * 60000
    http = client((big, PLAIN))
    http.request(Request(), 1000)
    assert http.read(100) > 0
    assert fetch(http) == (200, b"hello world")
    assert http.link.opens == 1


def test_what_is_too_much_to_drain_closes_the_connection():
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
    http = client([head] + [b"x" * 10000] * 15, (PLAIN,))
    http.request(Request(), 1000)
    http.drain()
    assert not http.link.is_open
    assert 5 < len(http.link.script) < 10  # 128 KB, of which 256 B a read are not of the body
    assert fetch(http) == (200, b"hello world")


def test_an_answer_that_only_closing_ends_is_not_drained():
    http = client((TO_END[:-5], PLAIN), (PLAIN,))
    http.request(Request(), 1000)
    http.drain()
    assert not http.link.is_open and http.link.script == [PLAIN]


def test_an_answer_that_breaks_off_while_it_is_drained_is_no_error_of_the_next_request():
    http = client((PLAIN[:-3], END), (PLAIN,))
    http.request(Request(), 1000)
    assert fetch(http, Request(repeatable=False)) == (200, b"hello world")
    assert http.link.opens == 2


def test_what_does_not_come_is_not_waited_for_longer_than_512_reads():
    http = client([PLAIN[:-3]] + [NOTHING] * 600)
    http.request(Request(), 1000)
    http.drain()
    assert not http.link.is_open
    assert 80 < len(http.link.script) < 100


def test_a_new_origin_closes_the_connection_and_the_same_one_keeps_it():
    http = client((PLAIN,))
    fetch(http)
    http.origin("example.org", 443, True)
    assert http.link.is_open
    for other in (
        ("example.com", 443, True),
        ("example.org", 8443, True),
        ("example.org", 443, False),
    ):
        http = client((PLAIN,))
        fetch(http)
        http.origin(*other)
        assert not http.link.is_open, other


def test_an_exception_in_the_request_leaves_no_half_written_connection():
    class Bad(Request):
        def write_body(self, w):
            w.raw(b"x" * 300)
            if len(http.link.sent):
                raise ValueError

    http = client((PLAIN, EMPTY), (PLAIN,))
    fetch(http)
    http.link.sent = bytearray()
    raises(ValueError, lambda: http.request(Bad(b"a"), 1000))
    assert fetch(http) == (200, b"hello world")
    assert http.link.opens == 2
    assert http.link.sent.endswith(b"Host: example.org\r\nContent-Length: 0\r\n\r\n")


def test_a_header_or_body_that_stalls_is_told_from_a_silent_server():
    assert failure(NOTHING)[0] == "first byte"
    assert failure(b"HTTP/1.1 200 OK\r\n", NOTHING)[0] == "deadline"
    http = client((PLAIN[:-3], NOTHING, NOTHING))
    http.silence_ms = 0
    http.request(Request(), 1000)
    assert http.read(100) == 8
    assert raises(NetError, lambda: http.read(100)).stage == "silence"


def test_reading_nothing_within_the_time_is_minus_one_and_goes_on():
    http = client((PLAIN[:-3], NOTHING, PLAIN[-3:]))
    http.request(Request(), 1000)
    assert http.read(100) == 8
    assert http.read(100) == -1
    assert http.read(100) == 3
    assert http.read(100) == 0
    assert http.read(100) == 0


class Slow(Link):
    """A link to whose script numbers belong as well: milliseconds in which no byte comes.

    now: what the clock says that it and Http go by. longest: of the waits without bytes.
    """

    def __init__(self, *script):
        super().__init__(script)
        self.now = self.longest = 0

    def recv(self, buf, ms):
        left = self.script[0]
        if type(left) is not int:
            return super().recv(buf, ms)
        self.longest = max(self.longest, ms)
        if left > ms:
            self.now += ms
            self.script[0] = left - ms
            return -1
        self.now += left
        self.script.pop(0)
        return self.recv(buf, ms - left)


def timed(script, first_ms, read_ms=100, waiting=None, **bounds):
    """What comes of a request to a Slow peer, when, and the longest wait.

    bounds: attributes of the Http.
    """
    http = Http(Slow(*script), bytearray(64), bytearray(64))
    http.origin("example.org", 443, True)
    for name in bounds:
        setattr(http, name, bounds[name])
    real = module.ticks_ms
    module.ticks_ms = lambda: http.link.now
    try:
        http.request(Request(), first_ms, waiting)
        text = b""
        n = -1
        while n:
            n = http.read(read_ms)
            text += http.inbuf[http.pos : http.pos + n] if n > 0 else b""
    except NetError as error:
        text = error.stage
    finally:
        module.ticks_ms = real
    return text, http.link.now, http.link.longest


def test_an_answer_is_waited_for_in_slices_and_no_longer_than_it_may_take_to_begin():
    assert timed((9000, PLAIN), 1100) == ("first byte", 1100, 250)
    assert timed((9000, PLAIN), 100) == ("first byte", 100, 100)
    assert timed((1050, PLAIN), 1100)[:2] == (b"hello world", 1050)


def test_a_header_has_its_own_time_from_its_first_byte_on():
    drip = [step for byte in PLAIN for step in (100, bytes([byte]))]
    assert timed(drip, 200, header_ms=1000)[:2] == ("deadline", 1100)
    assert timed([900] + drip, 1000, header_ms=20000)[0] == b"hello world"
    assert timed((150, PLAIN[:20], 50, PLAIN[20:]), 1000, header_ms=100)[0] == b"hello world"


def test_behind_an_interim_answer_the_answer_has_the_whole_time_again():
    interim = b"HTTP/1.1 102 Processing\r\n\r\n"
    assert timed((900, interim, 900, PLAIN), 1000, header_ms=50)[0] == b"hello world"
    assert timed((900, interim, 9000, PLAIN), 1000, header_ms=50)[:2] == ("deadline", 1900)


def test_a_body_that_falls_silent_is_given_up_however_short_the_reads():
    for read_ms in (30, 5000):
        script = (PLAIN[:-3], 900, PLAIN[-3:-2], 900, PLAIN[-2:-1], 9000)
        assert timed(script, 1000, read_ms, silence_ms=1000)[:2] == ("silence", 2800), read_ms


def test_reading_takes_no_longer_than_asked_while_only_the_framing_drips():
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    link = Slow(head, *[step for _ in range(50) for step in (40, b"0")], b"1\r\nx\r\n", 9000)
    http = Http(link, bytearray(64), bytearray(64))
    http.origin("example.org", 443, True)
    http.request(Request(), 1000)
    real = module.ticks_ms
    module.ticks_ms = lambda: link.now
    try:
        assert http.read(100) == -1 and link.now == 100
        assert http.read(1000) == -1 and link.now == 1100
        assert http.read(1000) == 1 and link.now == 2000
    finally:
        module.ticks_ms = real


class Ready:
    """A link without allocations of its own: always the same answer."""

    def __init__(self, answer):
        self.answer = answer
        self.silent = 0  # how often there is nothing yet
        self.is_open = self.cut = False

    def open(self, host, port, secure):
        self.is_open = True

    def close(self):
        self.is_open = False

    def dead(self):
        return False

    def send(self, buf, off, end):
        pass

    def recv(self, buf, ms):
        if self.silent:
            self.silent -= 1
            return -1
        for i in range(len(self.answer)):
            buf[i] = self.answer[i]
        return len(self.answer)


def exchange(http, request):
    http.request(request, 1000)
    while http.read(100):
        pass


def test_a_request_and_its_answer_allocate_nothing():
    request = Request(b'what is the "matter"?' * 20)
    gc.disable()
    for answer in (PLAIN, CHUNKED):
        http = Http(Ready(answer), bytearray(512), bytearray(256))
        http.origin("example.org", 443, True)
        exchange(http, request)
        before = micropython.mem_total()
        exchange(http, request)
        http.request(request, 1000)
        http.drain()
        assert micropython.mem_total() - before == 0, micropython.mem_total() - before
    gc.enable()


def test_waiting_for_an_answer_allocates_nothing_frames_included():
    http = Http(Ready(PLAIN), bytearray(512), bytearray(256))
    http.origin("example.org", 443, True)
    request, wait = Request(b"x"), Wait().wait
    exchange(http, request)
    gc.disable()
    before = micropython.mem_total()
    http.link.silent = 50
    http.request(request, 1000, wait)
    assert micropython.mem_total() - before == 0, micropython.mem_total() - before
    assert not http.link.silent
    gc.enable()


class Wait:
    def wait(self):
        return False
