"""The simulated models take, refuse and stream as the real services."""

import http.client
import json
import time

import pytest
from cloud_kit import raw

from tools.cloud import KEY, Cloud
from tools.cloud.script import CUTS, Script, directed, make
from tools.cloud.stream import chunk_packets, pieces_of

NAME = "simulated-1"
USER = {"role": "user", "content": "hi"}


@pytest.fixture(scope="module")
def running():
    with Cloud(tls=None) as cloud:
        yield cloud


@pytest.fixture
def cloud(running):
    running.models.clear()
    running.clear_calls()
    return running


class Dialect:
    """One service's way to be asked and to answer."""

    def __init__(self, api):
        self.api = api
        self.path = "/v1/chat/completions" if api == "openai" else "/v1/messages"
        self.body = {"model": NAME, "messages": [USER]}
        self.headers = {"Content-Type": "application/json"}
        if api == "openai":
            self.headers["Authorization"] = f"Bearer {KEY}"
        else:
            self.headers.update({"x-api-key": KEY, "anthropic-version": "2023-06-01"})
            self.body["max_tokens"] = 100

    def ask(self, cloud, headers=None, **changes):
        """(status, decoded body, headers)."""
        body = {**self.body, **changes}
        body = {name: value for name, value in body.items() if value is not ...}
        return self.post(cloud, json.dumps(body).encode(), headers)

    def post(self, cloud, data, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", cloud.plain.port, timeout=10)
        sent = {**self.headers, **(headers or {})}
        sent = {name: value for name, value in sent.items() if value is not None}
        connection.request("POST", self.path, data, sent)
        response = connection.getresponse()
        try:
            return response.status, json.loads(response.read()), response.headers
        finally:
            connection.close()

    def bytes(self, cloud, connection="close", **changes):
        """The raw answer of a streamed request."""
        body = json.dumps({**self.body, "stream": True, **changes}).encode()
        lines = {
            **self.headers,
            "Host": "x",
            "Content-Length": len(body),
            "Connection": connection,
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return raw(cloud, f"POST {self.path} HTTP/1.1\r\n{head}\r\n".encode() + body)

    def events(self, cloud, **changes):
        """(name, data) of every event of a streamed answer."""
        return events_of(unchunk(self.bytes(cloud, **changes).partition(b"\r\n\r\n")[2]))

    def text(self, answer):
        if self.api == "openai":
            return answer["choices"][0]["message"]["content"]
        return "".join(block.get("text", "") for block in answer["content"])

    def streamed(self, events):
        """The visible text of a streamed answer."""
        if self.api == "openai":
            chunks = [data for _, data in events if data != "[DONE]" and data["choices"]]
            return "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks)
        return "".join(
            data["delta"].get("text", "") for name, data in events if name == "content_block_delta"
        )


@pytest.fixture(params=["openai", "anthropic"])
def dialect(request):
    return Dialect(request.param)


@pytest.fixture
def openai():
    return Dialect("openai")


@pytest.fixture
def anthropic():
    return Dialect("anthropic")


def unchunk(data):
    body = b""
    while data:
        size, _, data = data.partition(b"\r\n")
        body += data[: int(size, 16)]
        data = data[int(size, 16) + 2 :]
    return body


def events_of(body):
    found = []
    for block in body.decode().replace("\r\n", "\n").split("\n\n")[:-1]:
        name = data = None
        for line in block.split("\n"):
            field, _, value = line.partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                data = value if value == "[DONE]" else json.loads(value)
        if data is not None:
            found.append((name, data))
    return found


def error(answer):
    return answer["error"]["message"]


def test_echo_gives_the_last_user_text_back(cloud, dialect):
    cloud.models.default(mode="echo")

    status, answer, _ = dialect.ask(cloud)

    assert status == 200 and dialect.text(answer) == "hi"
    assert dialect.streamed(dialect.events(cloud)) == "hi"


def test_the_default_is_friendly(cloud, dialect):
    assert dialect.text(dialect.ask(cloud)[1]).startswith("You wrote: hi")


def test_scripts_are_used_once_and_in_order(cloud, dialect):
    cloud.models.default(mode="echo")
    cloud.models.script(text="one")
    cloud.models.script(times=2, text="two")

    texts = [dialect.text(dialect.ask(cloud)[1]) for _ in range(4)]

    assert texts == ["one", "two", "two", "hi"] and cloud.models.waiting() == 0


def test_a_refused_request_uses_no_script(cloud, dialect):
    cloud.models.script(text="one")

    assert dialect.ask(cloud, messages=[])[0] == 400
    assert cloud.models.waiting() == 1


def test_length_is_exact(cloud, dialect):
    cloud.models.script(length=5001)
    cloud.models.script(length=7, unit="😀é")

    assert len(dialect.text(dialect.ask(cloud)[1])) == 5001
    assert dialect.text(dialect.ask(cloud)[1]) == "😀é😀é😀é😀"


def test_deltas_are_as_many_as_wanted(cloud, dialect):
    cloud.models.script(length=100, deltas=7)

    events = dialect.events(cloud)

    if dialect.api == "openai":
        assert len([data for _, data in events if "delta" in str(data)]) == 7 + 2
    else:
        assert [name for name, _ in events].count("content_block_delta") == 7


def test_a_directive_in_the_question_changes_one_answer(cloud, dialect):
    question = {"role": "user", "content": "[[mode=echo think=a_b think_as=tags]] hello"}

    text = dialect.text(dialect.ask(cloud, messages=[question])[1])

    assert text == "<think>a b</think>\n\nhello"
    assert "[[nonsense" in dialect.text(
        dialect.ask(cloud, messages=[{"role": "user", "content": "[[nonsense=1]]"}])[1]
    )


@pytest.mark.parametrize(
    "words",
    ["length", "length=x", "delay=", "cut_after=x", "usage=5", "pieces=5", "text=1 delay=x"],
)
def test_a_directive_with_a_wrong_value_is_a_part_of_the_question(cloud, openai, words):
    question = {"role": "user", "content": f"[[{words}]]"}
    answer = openai.ask(cloud, messages=[question])[1]

    assert openai.text(answer).startswith(f"You wrote: [[{words}]]")


def test_a_directives_value_is_what_its_field_holds():
    def changed(words):
        return directed(Script(), f"[[{words}]]")[0]

    assert changed("text=42") == make(text="42")
    assert changed("length=3") == make(length=3)
    assert changed("mode=echo length=3") == Script(mode="echo", length=3)
    assert changed("delay=1 first=.5") == make(delay=1.0, first=0.5)
    assert changed("frills ascii=yes early=1 no_end=no") == make(
        frills=True, ascii=True, early=True
    )
    assert changed("cuts=3 retry_after=7") == make(cuts=3, retry_after=7)
    assert changed("cuts=all message=one_two error=a_b") == make(
        cuts="all", message="one two", error="a_b"
    )
    assert changed("nonsense=1 length=3") == Script()


def test_openai_streams_as_the_service(cloud, openai):
    cloud.models.script(pieces=["a", "b"], usage=(3, 2))

    events = openai.events(cloud, stream_options={"include_usage": True})

    assert [name for name, _ in events] == [None] * 6
    chunks = [data for _, data in events]
    assert chunks[-1] == "[DONE]"
    assert {chunk["object"] for chunk in chunks[:-1]} == {"chat.completion.chunk"}
    assert chunks[0]["choices"][0]["delta"] == {
        "role": "assistant",
        "content": "",
        "refusal": None,
    }
    assert chunks[1]["choices"][0]["delta"] == {"content": "a"} and chunks[1]["usage"] is None
    assert chunks[3]["choices"][0] == {
        "index": 0,
        "delta": {},
        "logprobs": None,
        "finish_reason": "stop",
    }
    assert chunks[4]["choices"] == [] and chunks[4]["usage"]["total_tokens"] == 5


def test_openai_answers_as_the_service(cloud, openai):
    cloud.models.script(text="a", think="hm hm", usage=(3, 2))
    answer = openai.ask(cloud)[1]

    assert answer["object"] == "chat.completion"
    assert answer["choices"] == [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "a",
                "refusal": None,
                "reasoning_content": "hm hm",
            },
            "logprobs": None,
            "finish_reason": "stop",
        }
    ]
    usage = answer["usage"]
    assert [usage[name + "_tokens"] for name in ("prompt", "completion", "total")] == [3, 2, 5]
    assert usage["completion_tokens_details"]["reasoning_tokens"] == 2


def test_openai_refuses_in_a_field_of_its_own(cloud, openai):
    cloud.models.default(pieces=["not", " that"], finish="refusal")

    message = openai.ask(cloud)[1]["choices"][0]["message"]
    assert (message["content"], message["refusal"]) == (None, "not that")
    chunks = [data for _, data in openai.events(cloud) if data != "[DONE]"]
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert deltas[1:] == [{"refusal": "not"}, {"refusal": " that"}, {}]


def test_openai_tells_usage_only_when_asked_unless_the_script_says_so(cloud, openai):
    for options in ({}, {"stream_options": {"include_usage": False}}):
        assert "usage" not in str(openai.events(cloud, **options))
    cloud.models.script(usage_always=True)
    assert "prompt_tokens" in str(openai.events(cloud))


def test_anthropic_streams_as_the_service(cloud, anthropic):
    cloud.models.script(pieces=["a", "b"], usage=(3, 2))

    events = anthropic.events(cloud)

    assert [name for name, _ in events] == [
        *("message_start", "ping", "content_block_start", "content_block_delta"),
        *("content_block_delta", "content_block_stop", "message_delta", "message_stop"),
    ]
    assert all(name == data["type"] for name, data in events)
    message = events[0][1]["message"]
    assert (message["content"], message["stop_reason"], message["role"]) == ([], None, "assistant")
    assert (message["usage"]["input_tokens"], message["usage"]["output_tokens"]) == (3, 1)
    assert events[6][1]["delta"] == {"stop_reason": "end_turn", "stop_sequence": None}
    assert events[6][1]["usage"] == {"output_tokens": 2}


def test_anthropic_answers_as_the_service(cloud, anthropic):
    cloud.models.script(text="a", think="hm hm", usage=(3, 2))
    answer = anthropic.ask(cloud)[1]

    thought, said = answer["content"]
    assert thought.pop("signature") and thought == {"type": "thinking", "thinking": "hm hm"}
    assert said == {"type": "text", "text": "a"}
    assert (answer["type"], answer["role"]) == ("message", "assistant")
    assert (answer["stop_reason"], answer["stop_sequence"]) == ("end_turn", None)
    assert (answer["usage"]["input_tokens"], answer["usage"]["output_tokens"]) == (3, 2)
    cloud.models.script(text="")
    assert anthropic.ask(cloud)[1]["content"] == []


@pytest.mark.parametrize(
    ("finish", "openai_word", "anthropic_word"),
    [
        ("stop", "stop", "end_turn"),
        ("length", "length", "max_tokens"),
        ("tool_calls", "tool_calls", "tool_use"),
        ("content_filter", "content_filter", "refusal"),
        ("refusal", "stop", "refusal"),
    ],
)
def test_finish_reasons(cloud, finish, openai_word, anthropic_word):
    cloud.models.script(times=2, text="x", finish=finish)

    answer = Dialect("openai").ask(cloud)[1]
    assert answer["choices"][0]["finish_reason"] == openai_word
    assert Dialect("anthropic").ask(cloud)[1]["stop_reason"] == anthropic_word


def test_an_empty_answer_that_reasoned_to_its_limit(cloud, dialect):
    cloud.models.script(text="", think="long thoughts " * 10, finish="length")

    events = dialect.events(cloud)

    assert dialect.streamed(events) == "" and "thoughts" in str(events)
    assert "length" in str(events) or "max_tokens" in str(events)


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_openai_reasoning_has_a_field(cloud, openai, field):
    cloud.models.script(
        text="x", think="hm hm", think_as="field" if field == "reasoning_content" else field
    )
    chunks = [data for _, data in openai.events(cloud) if data != "[DONE]"]
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]

    assert "".join(delta.get(field) or "" for delta in deltas) == "hm hm"
    assert [delta["content"] for delta in deltas if field in delta] == [None]


def test_anthropic_reasoning_is_a_thinking_block(cloud, anthropic):
    cloud.models.script(text="x", think="hm hm")

    events = anthropic.events(cloud)

    blocks = [data for name, data in events if name.startswith("content_block")]
    kinds = [
        (block.get("delta") or block.get("content_block") or block)["type"] for block in blocks
    ]
    assert kinds == [
        *("thinking", "thinking_delta", "signature_delta", "content_block_stop"),
        *("text", "text_delta", "content_block_stop"),
    ]
    assert [block["index"] for block in blocks] == [0] * 4 + [1] * 3
    assert blocks[0]["content_block"] == {"type": "thinking", "thinking": "", "signature": ""}


def test_think_tags_stand_in_the_content(cloud, dialect):
    cloud.models.script(text="x", think="hm", think_as="tags")

    assert dialect.streamed(dialect.events(cloud)) == "<think>hm</think>\n\nx"


def test_tokens_are_four_letters_and_reasoning_counts(cloud):
    cloud.models.default(text="12345678", think="1234")

    usage = Dialect("openai").ask(cloud)[1]["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (5, 3)  # 4 for the turn
    usage = Dialect("anthropic").ask(cloud)[1]["usage"]
    assert (usage["input_tokens"], usage["output_tokens"]) == (9, 3)  # and for the system's text


def test_the_pieces_that_went_out_are_counted(cloud, dialect):
    cloud.models.default(pieces=["one", "two"], think="not these")
    before = cloud.models.words
    dialect.ask(cloud)
    assert cloud.models.words == before + 2
    dialect.events(cloud)
    assert cloud.models.words == before + 4


def test_keepalives_come_before_the_first_delta(cloud):
    cloud.models.script(times=2, text="x", keepalives=3, first=0.03)

    started = time.monotonic()
    comments = Dialect("openai").bytes(cloud)
    assert time.monotonic() - started >= 0.03
    assert comments.count(b": OPENROUTER PROCESSING\n\n") == 3
    assert [name for name, _ in Dialect("anthropic").events(cloud)].count("ping") == 4


def test_delays_are_kept(cloud, dialect):
    cloud.models.script(pieces=["a", "b", "c"], first=0.05, delay=0.05)
    started = time.monotonic()
    dialect.events(cloud)
    assert time.monotonic() - started >= 0.15

    cloud.models.script(pieces=["a", "b"], first=0.05, delay=0.05)
    started = time.monotonic()
    dialect.ask(cloud)
    assert time.monotonic() - started >= 0.15


def test_a_stream_stalls(cloud, dialect):
    cloud.models.script(pieces=["a", "b"], stall_after=1, stall=0.1)
    started = time.monotonic()

    assert dialect.streamed(dialect.events(cloud)) == "ab"
    assert time.monotonic() - started >= 0.1


@pytest.mark.parametrize("cuts", [*CUTS, 1, 5])
def test_a_cut_stream_says_the_same(cloud, dialect, cuts):
    text = 'a "quoted" line\nwith 😀, é and \\'
    cloud.models.script(times=2, text=text, cuts=cuts, cut_pause=0)
    cloud.models.script(text=text, cuts=cuts, cut_pause=0, ascii=True, newline="\r\n")

    assert dialect.streamed(dialect.events(cloud)) == text
    assert dialect.streamed(dialect.events(cloud)) == text
    assert dialect.streamed(dialect.events(cloud)) == text


def test_cuts_fall_where_they_should():
    data = "x\\n\\ud83d é".encode()

    assert pieces_of(data, "escape") == [b"x\\", b"n\\", b"ud8", "3d é".encode()]
    assert pieces_of(data, "utf8") == [b"x\\n\\ud83d \xc3", b"\xa9"]
    assert len(pieces_of("😀".encode(), "utf8")) == 4
    assert pieces_of(data, 4) == [b"x\\n\\", b"ud83", b"d \xc3\xa9"]
    assert chunk_packets(b"x" * 31, "header") == [b"1", b"f\r", b"\n" + b"x" * 31 + b"\r", b"\n"]


def test_a_text_in_words_is_the_same_text():
    text = " one  two\n\nthree" + "e" * 30 + " \n"
    assert len(Script().split(text)) > 5 and "".join(Script().split(text)) == text


def test_other_framings(cloud, dialect):
    for framing in ("close", "length"):
        cloud.models.script(text="hello", framing=framing)
        head, _, body = dialect.bytes(cloud).partition(b"\r\n\r\n")
        assert dialect.streamed(events_of(body)) == "hello"
        assert (b"Content-Length" in head) == (framing == "length")
        assert b"Content-Type: text/event-stream" in head and b"Connection: close" in head


def test_a_body_that_the_end_of_the_connection_ends_says_so(cloud, dialect):
    cloud.models.script(text="hello", framing="close")
    answer = dialect.bytes(cloud, connection="keep-alive")

    assert b"\r\nConnection: close\r\n" in answer and b"hello" in answer


def test_a_cut_off_stream_ends_in_the_middle(cloud, dialect):
    cloud.models.script(pieces=["one", "two", "three"], cut_after=2)

    answer = dialect.bytes(cloud)

    assert b"two" in answer and b"three" not in answer and not answer.endswith(b"0\r\n\r\n")


def test_a_stream_may_be_cut_off_before_it_says_why_it_ends(cloud, dialect):
    cloud.models.script(pieces=["one"], cut_after=1)

    answer = dialect.bytes(cloud)

    assert b"one" in answer and not answer.endswith(b"0\r\n\r\n")
    assert b'"stop"' not in answer and b"end_turn" not in answer


def test_an_answer_in_one_piece_may_be_cut_off_too(cloud, dialect):
    cloud.models.script(text="x" * 100, cut_after=1)
    with pytest.raises(http.client.IncompleteRead):
        dialect.ask(cloud)
    cloud.models.script(text="x" * 100, cut_after=1, cut_how="reset")
    with pytest.raises(ConnectionResetError):
        dialect.ask(cloud)


def test_a_reset_stream_ends_with_a_reset(cloud, dialect):
    cloud.models.script(pieces=["one", "two"], cut_after=1, cut_how="reset")

    with pytest.raises(ConnectionResetError):
        dialect.bytes(cloud)


def test_an_error_inside_the_stream(cloud):
    cloud.models.script(times=2, pieces=["one", "two"], error_after=1)

    name, data = Dialect("openai").events(cloud)[-1]
    assert name is None and data["error"] == {
        "code": 502,
        "message": "Provider returned an error",
    }
    assert data["choices"][0]["finish_reason"] == "error"
    name, data = Dialect("anthropic").events(cloud)[-1]
    assert name == "error" and data["error"] == {
        "details": None,
        "type": "overloaded_error",
        "message": "Overloaded",
    }
    assert data["request_id"].startswith("req_")


def test_a_stream_with_an_error_in_it_ends_in_good_order(cloud, dialect):
    cloud.models.script(pieces=["one", "two"], error_after=1)
    answer = dialect.bytes(cloud)

    assert answer.endswith(b"\r\n0\r\n\r\n") and b"two" not in answer


def test_frills_change_nothing_of_what_is_said(cloud, dialect):
    cloud.models.default(text="No frills.", deltas=4, frills=True)
    head, _, body = dialect.bytes(cloud).partition(b"\r\n\r\n")
    events = events_of(unchunk(body))

    assert dialect.streamed(events) == "No frills."
    assert b"\r\ntransfer-encoding: chunked\r\n" in head and len(head) > 900
    if dialect.api == "openai":
        assert body.count(b": OPENROUTER PROCESSING") == 4
        assert events[0][1]["choices"] == [] and "obfuscation" in events[2][1]
        reasons = [data["choices"][0]["finish_reason"] for _, data in events[1:-1]]
        assert reasons == [""] * 5 + ["stop"]
    else:
        names = [name for name, _ in events]
        assert names.count("ping") == 5 and "message_note" in names
        assert b"redacted_thinking" in body and b"citations_delta" in body


def test_the_reason_may_come_with_the_last_words(cloud, openai):
    cloud.models.default(text="early", deltas=2, early=True)
    *_, last, done = openai.events(cloud)

    assert last[1]["choices"][0]["delta"]["content"] == "rly"
    assert last[1]["choices"][0]["finish_reason"] == "stop" and last[1]["usage"]
    assert done == (None, "[DONE]")


def test_a_stream_that_is_not_to_be_had_is_an_answer_in_one_piece(cloud, dialect):
    cloud.models.default(text="whole", no_stream=True)
    head, _, body = dialect.bytes(cloud).partition(b"\r\n\r\n")

    assert b"application/json" in head and dialect.text(json.loads(body)) == "whole"


def test_half_of_a_surrogate_pair_goes_out_as_it_is(cloud, dialect):
    cloud.models.script(pieces=["a\ud83d"])
    assert b"a\xed\xa0\xbd" in dialect.bytes(cloud)

    cloud.models.script(pieces=["a\ud83d"], ascii=True)
    assert rb"a\ud83d" in dialect.bytes(cloud)


def test_a_stream_without_its_end(cloud, dialect):
    cloud.models.script(text="x", no_end=True)

    answer = str(dialect.events(cloud))
    assert "DONE" not in answer and "message_stop" not in answer


@pytest.mark.parametrize(
    ("status", "openai_kind", "code", "anthropic_kind"),
    [
        (400, "invalid_request_error", None, "invalid_request_error"),
        (401, "invalid_request_error", "invalid_api_key", "authentication_error"),
        (402, "server_error", None, "billing_error"),
        (403, "request_forbidden", "unsupported_country_region_territory", "permission_error"),
        (404, "invalid_request_error", "model_not_found", "not_found_error"),
        (413, "server_error", None, "request_too_large"),
        (429, "requests", "rate_limit_exceeded", "rate_limit_error"),
        (500, "server_error", None, "api_error"),
        (503, "service_unavailable_error", None, "api_error"),
        (504, "server_error", None, "timeout_error"),
        (529, "server_error", None, "overloaded_error"),
    ],
)
def test_failures_have_the_services_own_bodies(cloud, status, openai_kind, code, anthropic_kind):
    cloud.models.script(times=2, status=status, retry_after=7)

    found, answer, headers = Dialect("openai").ask(cloud)
    assert (found, answer["error"]["type"]) == (status, openai_kind)
    assert answer["error"]["code"] == code and answer["error"]["param"] is None
    assert headers["Retry-After"] == "7" and headers["X-Request-Id"].startswith("req_")
    found, answer, headers = Dialect("anthropic").ask(cloud, stream=True)
    assert (found, answer["error"]["type"]) == (status, anthropic_kind)
    assert answer["type"] == "error" and answer["request_id"].startswith("req_")
    assert headers["Retry-After"] == "7" and headers["Request-Id"] == answer["request_id"]


def test_a_failure_may_have_words_of_its_own(cloud, dialect):
    cloud.models.script(status=503, message="Later.", error="busy")
    said = dialect.ask(cloud)[1]["error"]
    assert said["message"] == "Later."
    assert said["code" if dialect.api == "openai" else "type"] == "busy"

    cloud.models.script(error_after=0, message="Later.", error="busy")
    said = dialect.events(cloud)[-1][1]["error"]
    assert said["message"] == "Later."
    assert said["code" if dialect.api == "openai" else "type"] == "busy"


def test_a_failure_waits_as_long_as_an_answer_would(cloud, dialect):
    cloud.models.script(status=503, first=0.1)
    started = time.monotonic()

    assert dialect.ask(cloud)[0] == 503 and time.monotonic() - started >= 0.1


def test_a_prompt_that_is_too_long(cloud):
    cloud.models.script(times=2, context=10)
    long = [{"role": "user", "content": "x" * 100}]

    status, answer, _ = Dialect("openai").ask(cloud, messages=long)
    assert (status, answer["error"]["code"]) == (400, "context_length_exceeded")
    assert answer["error"]["param"] == "messages"
    status, answer, _ = Dialect("anthropic").ask(cloud, messages=long)
    assert status == 400 and error(answer) == "prompt is too long: 33 tokens > 10 maximum"
    cloud.models.script(context=10)
    assert Dialect("anthropic").ask(cloud, system="x" * 100)[0] == 400
    cloud.models.script(context=29)
    assert Dialect("openai").ask(cloud, messages=long)[0] == 200


def test_models_that_refuse_parameters(cloud, openai):
    cloud.models.default(refuse_max_tokens=True, refuse_stream_options=True)

    answer = openai.ask(cloud, max_tokens=5)[1]
    assert answer["error"]["code"] == "unsupported_parameter"
    assert answer["error"]["param"] == "max_tokens"
    assert "'max_completion_tokens'" in error(answer)
    assert openai.ask(cloud, max_completion_tokens=5)[0] == 200
    answer = openai.ask(cloud, stream=True, stream_options={})[1]
    assert error(answer) == "Unrecognized request argument supplied: stream_options"


def test_the_limit_is_obeyed_when_the_script_says_so(cloud, dialect):
    cloud.models.script(length=1000, obey_limit=True)

    answer = dialect.ask(cloud, max_tokens=10)[1]

    assert len(dialect.text(answer)) == 40
    assert "length" in str(answer) or "max_tokens" in str(answer)
    cloud.models.script(length=40, obey_limit=True)
    answer = str(dialect.ask(cloud, max_tokens=10)[1])
    assert "'stop'" in answer or "end_turn" in answer


def test_openais_limit_has_two_names(cloud, openai):
    cloud.models.default(length=1000, obey_limit=True)

    assert len(openai.text(openai.ask(cloud, max_completion_tokens=10)[1])) == 40
    assert len(openai.text(openai.ask(cloud)[1])) == 1000


@pytest.mark.parametrize(
    ("changes", "message", "param", "code"),
    [
        ({"model": ...}, "you must provide a model parameter", None, None),
        ({"model": ""}, "you must provide a model parameter", None, None),
        ({"model": 4}, "you must provide a model parameter", None, None),
        ({"model": "nobody"}, "The model `nobody` does not exist", None, "model_not_found"),
        (
            {"messages": ...},
            "Missing required parameter: 'messages'.",
            "messages",
            "missing_required_parameter",
        ),
        ({"messages": "hi"}, "Invalid type for 'messages'", "messages", "invalid_type"),
        ({"messages": []}, "Invalid 'messages': empty array.", "messages", "empty_array"),
        ({"messages": ["hi"]}, "Invalid type for", "messages[0]", "invalid_type"),
        (
            {"messages": [{"role": "robot", "content": "x"}]},
            "Invalid value: 'robot'.",
            "messages[0].role",
            "invalid_value",
        ),
        (
            {"messages": [{"content": "x"}]},
            "Missing required parameter: 'messages[0].role'.",
            "messages[0].role",
            "missing_required_parameter",
        ),
        (
            {"messages": [{"role": "user"}]},
            "Invalid value for 'content'",
            "messages.[0].content",
            None,
        ),
        (
            {"messages": [USER, {"role": "assistant", "content": None}]},
            "Invalid value for 'content'",
            "messages.[1].content",
            None,
        ),
        (
            {"messages": [{"role": "user", "content": 5}]},
            "Invalid type for",
            "messages[0].content",
            "invalid_type",
        ),
        (
            {"messages": [{"role": "user", "content": ["x"]}]},
            "Invalid type for",
            "messages[0].content[0]",
            "invalid_type",
        ),
        (
            {"max_tokens": "5"},
            "Invalid type for 'max_tokens': expected an integer, but got a str",
            "max_tokens",
            "invalid_type",
        ),
        (
            {"max_tokens": True},
            "Invalid type for 'max_tokens': expected an integer, but got true",
            "max_tokens",
            "invalid_type",
        ),
        (
            {"max_tokens": 0},
            "Invalid 'max_tokens': integer below minimum value.",
            "max_tokens",
            "integer_below_min_value",
        ),
        (
            {"max_completion_tokens": 1 << 30},
            "max_tokens is too large: 1073741824.",
            "max_tokens",
            "invalid_value",
        ),
        (
            {"max_tokens": 5, "max_completion_tokens": 5},
            "Setting 'max_tokens' and",
            "max_tokens",
            "invalid_parameter_combination",
        ),
        (
            {"temperature": 3},
            "Invalid 'temperature': decimal above maximum value. Expected a value <= 2",
            "temperature",
            "decimal_above_max_value",
        ),
        (
            {"top_p": -1},
            "Invalid 'top_p': decimal below minimum value. Expected a value >= 0",
            "top_p",
            "decimal_below_min_value",
        ),
        (
            {"top_p": 1.5},
            "Invalid 'top_p': decimal above maximum value. Expected a value <= 1",
            "top_p",
            "decimal_above_max_value",
        ),
        ({"temperature": True}, "Invalid type for", "temperature", "invalid_type"),
        ({"stream": "yes"}, "Invalid type for 'stream'", "stream", "invalid_type"),
        (
            {"stream_options": {"include_usage": True}},
            "The 'stream_options' parameter is only",
            "stream_options",
            None,
        ),
        (
            {"stream": True, "stream_options": True},
            "Invalid type for",
            "stream_options",
            "invalid_type",
        ),
        ({"colour": 1}, "Unrecognized request argument supplied: colour", None, None),
    ],
)
def test_openai_refuses(cloud, openai, changes, message, param, code):
    status, answer, _ = openai.ask(cloud, **changes)

    assert status == (404 if code == "model_not_found" else 400)
    assert error(answer).startswith(message)
    assert set(answer["error"]) == {"message", "type", "param", "code"}
    assert (answer["error"]["param"], answer["error"]["code"]) == (param, code)
    assert answer["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    "changes",
    [
        {"temperature": 0, "top_p": 1, "presence_penalty": -2, "frequency_penalty": 2, "n": 1},
        {"top_p": 0, "presence_penalty": 2, "frequency_penalty": -2},
        {"temperature": 2.0, "top_p": None, "max_tokens": None, "stream": None},
        {"reasoning_effort": "low", "seed": 1, "stop": "x", "user": "u", "metadata": {}},
        {"messages": [{"role": "developer", "content": "Be brief."}, USER]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]},
        {"messages": [{"role": "assistant", "content": None, "tool_calls": [{}]}, USER]},
    ],
)
def test_openai_takes(cloud, openai, changes):
    assert openai.ask(cloud, **changes)[0] == 200


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": ...}, "model: Field required"),
        ({"model": "nobody"}, "model: nobody"),
        ({"max_tokens": ...}, "max_tokens: Field required"),
        ({"model": 4}, "model: Input should be a valid string"),
        ({"max_tokens": True}, "max_tokens: Input should be a valid integer"),
        ({"max_tokens": 1 << 30}, "max_tokens: 1073741824 > "),
        ({"max_tokens": 0}, "max_tokens: must be greater than or equal to 1"),
        ({"max_tokens": "5"}, "max_tokens: Input should be a valid integer"),
        ({"messages": "hi"}, "messages: Input should be a valid list"),
        ({"messages": ["hi"]}, "messages.0: Input should be a valid dictionary"),
        ({"messages": [{"role": "user"}]}, "messages.0.content: Field required"),
        ({"messages": [{"content": "hi"}]}, "messages.0.role: Field required"),
        ({"messages": [{**USER, "name": "x"}]}, "messages.0.name: Extra inputs are not permitted"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content: Input should be"),
        ({"messages": []}, "messages: at least one message is required"),
        ({"messages": [{"role": "system", "content": "x"}]}, "messages: Unexpected role"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages.0.role: Input should be"),
        (
            {"messages": [{"role": "assistant", "content": "x"}, USER]},
            'messages: first message must use the "user" role',
        ),
        ({"messages": [USER, USER]}, "messages: roles must alternate"),
        ({"messages": [{"role": "user", "content": ""}]}, "messages.0: all messages must have"),
        ({"messages": [{"role": "user", "content": []}]}, "messages.0: all messages must have"),
        (
            {"messages": [USER, {"role": "assistant", "content": ""}, USER]},
            "messages.1: all messages must have",
        ),
        (
            {"messages": [{"role": "user", "content": [{"text": "hi"}]}]},
            "messages.0.content.0.type: Field required",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
            "messages.0.content.0.text.text: Field required",
        ),
        (
            {"messages": [{"role": "user", "content": " \n"}]},
            "messages: text content blocks must contain non-whitespace text",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": " "}]}]},
            "messages: text content blocks must contain non-whitespace text",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": ""}]}]},
            "messages: text content blocks must be non-empty",
        ),
        (
            {"messages": [USER, {"role": "assistant", "content": "x "}]},
            "messages: final assistant content cannot end with trailing whitespace",
        ),
        (
            {
                "messages": [
                    USER,
                    {"role": "assistant", "content": [{"type": "text", "text": "x\n"}]},
                ]
            },
            "messages: final assistant content cannot end with trailing whitespace",
        ),
        ({"stream_options": {}}, "stream_options: Extra inputs are not permitted"),
        ({"stream": "yes"}, "stream: Input should be a valid boolean"),
        ({"temperature": 1.5}, "temperature: range: 0..1"),
        ({"temperature": -1}, "temperature: range: 0..1"),
        ({"temperature": "hot"}, "temperature: Input should be a valid number"),
        ({"temperature": True}, "temperature: Input should be a valid number"),
        ({"system": 5}, "system: Input should be a valid list"),
        ({"system": [{"type": "image"}]}, "system.0.type: Input should be 'text'"),
        ({"system": [{"type": "text"}]}, "system.0.text: Field required"),
        ({"system": [{"type": "text", "text": ""}]}, "system: text content blocks must be"),
        ({"system": [{"type": "text", "text": " "}]}, "system: text content blocks must contain"),
        ({"system": "\n"}, "system: text content blocks must contain"),
    ],
)
def test_anthropic_refuses(cloud, anthropic, changes, message):
    status, answer, _ = anthropic.ask(cloud, **changes)

    unknown = changes.get("model") == "nobody"
    assert status == (404 if unknown else 400)
    assert error(answer).startswith(message)
    assert answer["error"]["type"] == ("not_found_error" if unknown else "invalid_request_error")


@pytest.mark.parametrize(
    "changes",
    [
        {"temperature": 0, "top_p": 0.5, "top_k": 5, "stop_sequences": ["x"], "metadata": {}},
        {"thinking": {"type": "disabled"}, "system": ""},
        {"system": [{"type": "text", "text": "Be brief."}]},
        {"messages": [USER, {"role": "assistant", "content": "x"}]},
        {"messages": [USER, {"role": "assistant", "content": ""}]},
        {"messages": [{"role": "user", "content": "line\n"}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]},
    ],
)
def test_anthropic_takes(cloud, anthropic, changes):
    assert anthropic.ask(cloud, **changes)[0] == 200


@pytest.mark.parametrize(
    ("api", "headers", "status", "message"),
    [
        ("openai", {"Authorization": None}, 401, "You didn't provide an API key."),
        ("openai", {"Authorization": KEY}, 401, "You didn't provide an API key."),
        ("openai", {"Authorization": "Bearer x"}, 401, "Incorrect API key provided"),
        ("openai", {"Content-Type": "text/plain"}, 400, "We could not parse the JSON body"),
        ("anthropic", {"x-api-key": None}, 401, "x-api-key header is required"),
        ("anthropic", {"x-api-key": "x"}, 401, "invalid x-api-key"),
        (
            "anthropic",
            {"x-api-key": "x", "Authorization": f"Bearer {KEY}"},
            401,
            "invalid x-api-key",
        ),
        ("anthropic", {"Authorization": "Bearer x"}, 401, "Invalid bearer token"),
        ("anthropic", {"Content-Type": "text/plain"}, 400, "The request's content type must be"),
        (
            "anthropic",
            {"x-api-key": None, "Authorization": "Bearer x"},
            401,
            "Invalid bearer token",
        ),
        ("anthropic", {"anthropic-version": None}, 400, "anthropic-version: header is required"),
        ("anthropic", {"anthropic-version": "9"}, 400, 'anthropic-version: "9" is not a valid'),
    ],
)
def test_headers_are_checked(cloud, api, headers, status, message):
    found, answer, _ = Dialect(api).ask(cloud, headers)

    assert found == status and error(answer).startswith(message)
    if api == "anthropic":
        assert answer["error"]["type"] == (
            "authentication_error" if status == 401 else "invalid_request_error"
        )


def test_a_content_type_may_say_more_and_in_any_case(cloud, dialect):
    assert dialect.ask(cloud, {"Content-Type": "Application/JSON; charset=utf-8"})[0] == 200


def test_the_key_is_looked_at_before_the_body(cloud, dialect):
    wrong = {"Authorization": "Bearer x"}
    assert dialect.ask(cloud, wrong, messages=[], model="nobody")[0] == 401


def test_openai_has_a_code_for_a_wrong_key(cloud, openai):
    answer = openai.ask(cloud, {"Authorization": "Bearer x"})[1]
    assert answer["error"]["code"] == "invalid_api_key"


def test_the_newest_anthropic_version_takes_a_bearer_and_no_temperature(cloud, anthropic):
    headers = {"anthropic-version": "2026-10-21", "Authorization": f"Bearer {KEY}"}
    headers["x-api-key"] = None

    assert anthropic.ask(cloud, headers)[0] == 200
    for name in ("temperature", "top_p", "top_k"):
        status, answer, _ = anthropic.ask(cloud, headers, **{name: 1})
        assert status == 400 and error(answer) == f"{name}: Extra inputs are not permitted"
        assert anthropic.ask(cloud, **{name: 1})[0] == 200


def test_a_body_that_is_not_json(cloud, dialect):
    assert dialect.post(cloud, b'{"model":')[0] == 400
    assert dialect.post(cloud, b"[]")[0] == 400


def test_other_paths_and_verbs(cloud, openai):
    openai.path = "/v1/nothing"
    status, answer, _ = openai.ask(cloud)
    assert status == 404 and error(answer) == "Invalid URL (POST /v1/nothing)"
    assert answer["error"]["type"] == "invalid_request_error"
    answer = raw(cloud, b"GET /v1/messages HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 405 ")
    key = f"Authorization: Bearer {KEY}\r\n".encode()
    head = b"GET /v1/models HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    assert b"simulated-1" in raw(cloud, head + key + b"\r\n")
    key = f"x-api-key: {KEY}\r\nanthropic-version: 2023-06-01\r\n".encode()
    assert b"simulated-1" in raw(cloud, head + key + b"\r\n")
    assert raw(cloud, head + b"\r\n").startswith(b"HTTP/1.1 401 ")


def test_calls_are_recorded_with_their_bodies(cloud, dialect):
    dialect.ask(cloud)
    dialect.events(cloud)
    call = cloud.models.calls()[-1]

    assert call.params["messages"] == [USER] and call.status == 200
    assert call.method == ("chat" if dialect.api == "openai" else "messages")
    assert cloud.models.count() == 2


def test_scripts_with_mistakes_are_refused(cloud):
    with pytest.raises(ValueError, match="no such mode"):
        cloud.models.script(mode="loud")
    with pytest.raises(ValueError, match="no such cuts"):
        cloud.models.default(cuts="everywhere")
    with pytest.raises(TypeError):
        cloud.models.script(colour=1)
