import json

from fake_model_http import Http
from kit import raises
from thimble.core.conversation import ASSISTANT, USER, Conversation
from thimble.core.errors import ApiError, NetError, ParseError, ThimbleError
from thimble.core.segments import Segments
from thimble.model.request import DONE, LENGTH, TEXT, Model

NOTHING, STOP, CUT, OTHER = 0, 0, 2, 3  # as there

QEMU = True
HEAP = "2m"
TEST_S = 30


class Settings:
    def __init__(self, **given):
        self.api = "openai"
        self.endpoint = (True, "api.example.com", 443, "/v1")
        self.key = "sk-test-0123456789"
        self.name = "small-model"
        self.system = ""
        self.max_tokens = 256
        for name, value in given.items():
            setattr(self, name, value)


def model_of(http, **given):
    return Model(http, Settings(**given), bytearray(320))


def talk(*turns):
    c = Conversation(Segments(32, 40))
    for role, text in turns:
        c.begin(role)
        assert c.append(text, 0, len(text))
        c.end()
    return c


def ask(model, text=b"hi", conversation=None):
    assert model.ask(conversation, b"<" + text + b">", 1, len(text))
    return read(model)


def read(model):
    """The text of an answer, read to its end."""
    text = b""
    for _ in range(100000):
        event = model.poll(100)
        if event == DONE:
            text.decode()
            return text
        if event == TEXT:
            assert model.pos < model.end
            piece = bytes(model.out[model.pos : model.end])
            piece.decode()
            text += piece
    raise AssertionError("no end")


def chunk(**delta):
    choice = {"index": 0, "delta": delta, "finish_reason": None}
    return sse({"id": "1", "choices": [choice], "usage": None})


def finish(reason="stop"):
    return sse({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}], "usage": None})


def sse(data, event=None):
    head = b"event: %s\n" % event if event else b""
    return head + b"data: " + json.dumps(data).encode() + b"\n\n"


def claude(kind, **fields):
    fields["type"] = kind
    return sse(fields, kind.encode())


USAGE = sse({"choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": 7}})
END = b"data: [DONE]\n\n"
HELLO = chunk(role="assistant", content="") + chunk(content="Hällo ") + chunk(content="wörld 😀")
OPENAI = b": comment\n\n" + HELLO + finish() + USAGE + END
OPENAI_TEXT = "Hällo wörld 😀".encode()
CLAUDE = (
    claude("message_start", message={"usage": {"input_tokens": 12, "output_tokens": 1}})
    + claude("ping")
    + claude("content_block_start", index=0, content_block={"type": "thinking", "thinking": ""})
    + claude("content_block_delta", index=0, delta={"type": "thinking_delta", "thinking": "hm"})
    + claude("content_block_delta", index=0, delta={"type": "signature_delta", "signature": "x"})
    + claude("content_block_stop", index=0)
    + claude("content_block_start", index=1, content_block={"type": "text", "text": ""})
    + claude("content_block_delta", index=1, delta={"type": "text_delta", "text": "Hällo "})
    + claude("content_block_delta", index=1, delta={"type": "text_delta", "text": "wörld 😀"})
    + claude("content_block_stop", index=1)
    + claude("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 7})
    + claude("message_stop")
)


# Requests.


def test_openai_request():
    http = Http((200, OPENAI))
    model = model_of(http, system='Be "brief".')
    past = talk((USER, b"a\nb"), (ASSISTANT, "c – d".encode()))
    ask(model, "now € \\".encode(), past)
    assert http.at == ("api.example.com", 443, True)
    lines = http.heads[0].split(b"\r\n")
    assert lines[0] == b"POST /v1/chat/completions HTTP/1.1" and lines[-1] == b""
    assert b"Authorization: Bearer sk-test-0123456789" in lines
    assert b"Content-Type: application/json" in lines
    assert json.loads(http.bodies[0]) == {
        "model": "small-model",
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 256,
        "messages": [
            {"role": "system", "content": 'Be "brief".'},
            {"role": "user", "content": "a\nb"},
            {"role": "assistant", "content": "c – d"},
            {"role": "user", "content": "now € \\"},
        ],
    }


def test_anthropic_request():
    http = Http((200, CLAUDE))
    model = model_of(
        http, api="anthropic", system="Be brief.", endpoint=(False, "127.0.0.1", 8080, "/v1")
    )
    ask(model, b"now", talk((USER, b"a"), (ASSISTANT, b"b")))
    assert http.at == ("127.0.0.1", 8080, False)
    lines = http.heads[0].split(b"\r\n")
    assert lines[0] == b"POST /v1/messages HTTP/1.1" and lines[-1] == b""
    assert b"x-api-key: sk-test-0123456789" in lines and b"anthropic-version: 2023-06-01" in lines
    assert json.loads(http.bodies[0]) == {
        "model": "small-model",
        "stream": True,
        "max_tokens": 256,
        "system": "Be brief.",
        "messages": [
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": "b"},
            {"role": "user", "content": "now"},
        ],
    }


def test_without_a_key_there_is_no_key_header():
    for api, answer in (("openai", OPENAI), ("anthropic", CLAUDE)):
        http = Http((200, answer))
        ask(model_of(http, api=api, key=""))
        head = http.heads[0].lower()
        assert b"authorization" not in head and b"x-api-key" not in head
        body = json.loads(http.bodies[0])
        assert body["messages"] == [{"role": "user", "content": "hi"}] and "system" not in body


def test_the_messages_alternate_whatever_the_conversation_holds():
    cases = (
        (((USER, b"a"), (USER, b"b")), b"c", ["a\n\nb\n\nc"]),
        (((ASSISTANT, b"x"), (USER, b"a"), (ASSISTANT, b"b")), b"c", ["a", "b", "c"]),
        (((ASSISTANT, b"x"),), b"c", ["c"]),
        (((USER, b"a"), (ASSISTANT, b"b"), (ASSISTANT, b"c")), b"d", ["a", "b\n\nc", "d"]),
        (((USER, b"a"),), b"", ["a"]),
        ((), b"c", ["c"]),
    )
    for api, answer in (("openai", OPENAI), ("anthropic", CLAUDE)):
        for turns, text, contents in cases:
            http = Http((200, answer))
            ask(model_of(http, api=api), text, talk(*turns))
            messages = json.loads(http.bodies[0])["messages"]
            assert [m["content"] for m in messages] == contents
            for i, message in enumerate(messages):
                assert message["role"] == ("assistant" if i % 2 else "user")


def test_a_turn_without_its_middle_is_sent_as_valid_text():
    pool = Segments(32, 8)
    pool.share = 128
    c = Conversation(pool)
    text = "€uro ".encode() * 200
    c.begin(USER)
    assert c.append(text, 0, len(text))
    c.end()
    http = Http((200, OPENAI))
    ask(model_of(http), b"go on", c)
    assert " [...] " in json.loads(http.bodies[0])["messages"][0]["content"]


# Answers.


def test_a_stream_in_both_dialects_cut_anywhere():
    for api, answer, thought in (("openai", OPENAI, False), ("anthropic", CLAUDE, True)):
        for step in (1, 2, 3, 7, 50, 4096):
            http = Http((200, answer), step=step)
            model = model_of(http, api=api)
            assert ask(model) == OPENAI_TEXT, step
            assert model.reason == STOP and model.thought == thought
            assert (model.tokens_in, model.tokens_out) == (12, 7)
            assert http.drained and not http.closed
            model.stop()  # complete: the connection stays
            assert not http.closed
            assert model.poll(0) == DONE
            model.close()
            assert http.closed


def test_an_event_without_data_is_passed_over_wherever_it_stands():
    for body in (b"data:\n\n" + OPENAI, OPENAI.replace(END, b"data:\n\ndata: \n\n" + END)):
        assert ask(model_of(Http((200, body)))) == OPENAI_TEXT


def test_poll_returns_each_piece_as_it_comes():
    http = Http((200, [-1, chunk(content="a") + chunk(content="b"), -1, chunk(content="c"), END]))
    model = model_of(http)
    model.ask(None, b"hi", 0, 2)
    assert model.poll(9) == NOTHING
    assert model.poll(9) == TEXT and model.out[model.pos : model.end] == b"a"
    assert model.poll(9) == TEXT and model.out[model.pos : model.end] == b"b"
    assert model.poll(9) == NOTHING
    assert model.poll(9) == TEXT and model.out[model.pos : model.end] == b"c"
    assert model.poll(9) == DONE and model.reason == STOP


def test_poll_reads_once_at_most_so_that_pings_do_not_hold_it():
    http = Http((200, [b": ping\n\n"] * 9 + [chunk(content="a"), END]))
    model = model_of(http)
    model.ask(None, b"hi", 0, 2)
    for _ in range(9):
        assert model.poll(9) == NOTHING
    assert model.poll(9) == TEXT


def test_a_long_delta_comes_in_whole_characters():
    text = 'zwölf € 😀 \\"\n' * 900
    for body in (chunk(content=text) + finish() + END, chunk(content=text) + END):
        assert ask(model_of(Http((200, body), step=1000))) == text.encode()


def test_reasoning_is_not_shown():
    for name in ("reasoning", "reasoning_content"):
        body = chunk(**{name: "hm", "content": None}) + chunk(**{name: "so", "content": ""})
        model = model_of(Http((200, body + HELLO + finish() + END)))
        assert ask(model) == OPENAI_TEXT and model.thought
    body = b"".join(chunk(content=c) for c in "\n<think>\nhm</think>\n\n") + HELLO + finish() + END
    model = model_of(Http((200, body), (200, OPENAI), (200, body)))
    for thought in (True, False, True):
        assert ask(model) == OPENAI_TEXT and model.thought == thought
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]
    body = chunk(content=parts) + chunk(content=[{"type": "text", "text": "yes"}]) + finish() + END
    model = model_of(Http((200, body)))
    assert ask(model) == b"yes" and model.thought


def test_what_is_null_or_empty_is_not_there():
    none = chunk(content="", reasoning=None, reasoning_content="", refusal=None)
    none += sse({"choices": [], "error": None, "x_groq": {"error": None}})
    none += sse({"choices": [], "error": "", "base_resp": {"status_code": 0, "status_msg": ""}})
    model = model_of(Http((200, none + HELLO + none + finish() + END)))
    assert ask(model) == OPENAI_TEXT and model.reason == STOP and not model.thought


def test_text_that_looked_like_a_tag_is_shown_at_the_end():
    body = chunk(content=" <thi") + finish()
    for rest in (END, NetError("body", "gone")):
        model = model_of(Http((200, [body, rest])))
        assert ask(model) == b"<thi" and model.reason == STOP


def test_reasons():
    cases = (
        ("stop", STOP),
        ("length", LENGTH),
        ("content_filter", OTHER),
        ("sensitive", OTHER),
        ("tool_calls", STOP),
        ("eos_token", STOP),
        ("model_length", LENGTH),
        ("error", CUT),
        ("abort", CUT),
        ("insufficient_system_resource", CUT),
        ("network_error", CUT),  # Z.ai
    )
    for said, reason in cases:
        model = model_of(Http((200, HELLO + finish(said) + END)))
        ask(model)
        assert model.reason == reason
    cases = (
        ("end_turn", STOP),
        ("stop_sequence", STOP),
        ("tool_use", STOP),
        ("max_tokens", LENGTH),
        ("model_context_window_exceeded", LENGTH),
        ("refusal", OTHER),
    )
    for said, reason in cases:
        body = claude("content_block_delta", index=0, delta={"type": "text_delta", "text": "x"})
        body += claude("message_delta", delta={"stop_reason": said}) + claude("message_stop")
        model = model_of(Http((200, body)), api="anthropic")
        assert ask(model) == b"x" and model.reason == reason


def test_a_reason_that_is_empty_is_none():
    words = sse({"choices": [{"delta": {"content": "word "}, "finish_reason": ""}]})
    model = model_of(Http((200, [words, -1, words + END])))
    model.ask(None, b"hi", 0, 2)
    assert model.poll(9) == TEXT and model.poll(9) == NOTHING and model.reason < 0
    assert read(model) == b"word " and model.reason == STOP


def test_the_answer_so_far_beside_each_delta_is_not_shown():
    # Perplexity sends both; which comes first is not said.
    body = b""
    so_far = ""
    for word in ("Two ", "words", ""):
        so_far += word
        for choice in (
            {"delta": {"content": word}, "message": {"role": "assistant", "content": so_far}},
            {"message": {"role": "assistant", "content": so_far}, "delta": {"content": ""}},
        ):
            choice["finish_reason"] = None if word else "stop"
            body += sse({"object": "chat.completion.chunk", "choices": [choice]})
    for step in (1, 4096):
        model = model_of(Http((200, body + END), step=step))
        assert ask(model) == b"Two words" and model.reason == STOP


def test_a_refusal_is_shown_and_told():
    body = chunk(content=None, refusal="I will") + chunk(refusal=" not.") + finish() + END
    model = model_of(Http((200, body)))
    assert ask(model) == b"I will not." and model.reason == OTHER


def test_reasoning_that_uses_up_the_budget_leaves_an_empty_answer():
    model = model_of(Http((200, chunk(reasoning="hm") + finish("length") + END)))
    assert ask(model) == b"" and model.thought and model.reason == LENGTH


def test_an_answer_without_usage_tells_no_tokens():
    model = model_of(Http((200, OPENAI), (200, HELLO + finish() + END)))
    ask(model)
    ask(model)
    assert (model.tokens_in, model.tokens_out) == (0, 0)


def test_an_answer_in_one_piece():
    message = {"role": "assistant", "content": "Hällo wörld 😀", "reasoning_content": "hm"}
    whole = {
        "choices": [{"message": message, "finish_reason": "length"}],
        "usage": {"prompt_tokens": 12, "completion_tokens": 7},
    }
    other = {
        "type": "message",
        "content": [
            {"type": "thinking", "thinking": "hm"},
            {"type": "text", "text": "Hällo wörld 😀"},
        ],
        "stop_reason": "max_tokens",
        "usage": {"input_tokens": 12, "output_tokens": 7},
    }
    for api, body in (("openai", whole), ("anthropic", other)):
        for step in (1, 9, 4096):
            text = b"\r\n  " + json.dumps(body).encode() + b"\r\n"
            model = model_of(Http((200, text), step=step, is_json=step > 1), api=api)
            assert ask(model) == OPENAI_TEXT
            assert model.reason == LENGTH and model.thought
            assert (model.tokens_in, model.tokens_out) == (12, 7)


def test_events_are_read_whatever_their_type_is_said_to_be():
    for before in (b"", b"\n", b": ping\n\n"):
        model = model_of(Http((200, before + OPENAI), step=1, is_json=True))
        assert ask(model) == OPENAI_TEXT and model.reason == STOP


def test_an_answer_in_one_piece_may_leave_out_why_it_ended():
    body = json.dumps({"choices": [{"message": {"content": "yes"}}]}).encode()
    model = model_of(Http((200, body), is_json=True))
    assert ask(model) == b"yes" and model.reason == STOP


def test_behind_the_last_event_nothing_is_waited_for():
    for api, answer in (("openai", OPENAI), ("anthropic", CLAUDE)):
        http = Http((200, [answer, -1, -1]))
        model = model_of(http, api=api)
        model.ask(None, b"hi", 0, 2)
        event = TEXT
        while event == TEXT:
            event = model.poll(9)
        assert event == DONE and http.drained and not http.closed


def test_an_answer_without_done_ends_with_its_body():
    for step in (1, 4096):
        http = Http((200, HELLO + finish()), step=step)
        model = model_of(http)
        assert ask(model) == OPENAI_TEXT and model.reason == STOP and not http.closed
    model = model_of(Http((200, (HELLO + finish("length"))[:-2])))  # nor with a blank line
    assert ask(model) == OPENAI_TEXT and model.reason == LENGTH


def test_a_finished_answer_is_not_waited_for_for_long():
    from thimble.model import request

    http = Http((200, [HELLO + finish()] + [-1] * 9))
    model = model_of(http)
    model.ask(None, b"hi", 0, 2)
    while model.poll(9) != NOTHING:
        pass
    real = request.ticks_ms
    request.ticks_ms = lambda: real() + 4000
    try:
        assert model.poll(9) == DONE
    finally:
        request.ticks_ms = real
    assert model.reason == STOP and http.closed


def test_an_answer_whose_every_chunk_says_that_it_ends_is_waited_for():
    from thimble.model import request

    def part(delta, before=False):
        reason = b'"finish_reason":"stop"'
        return b'data: {"choices":[{%s%s"delta":{"%s"}%s%s}]}\n\n' % (
            (reason, b",", delta, b"", b"") if before else (b"", b"", delta, b",", reason)
        )

    parts = [part(b'reasoning_content":"hm'), -1, part(b'content":"yes', True), -1]
    parts += [part(b'content":"!'), END]
    model = model_of(Http((200, parts)))
    model.ask(None, b"hi", 0, 2)
    real = request.ticks_ms
    waited = [0]
    request.ticks_ms = lambda: real() + waited[0]
    text = b""
    try:
        for _ in range(20):
            event = model.poll(9)
            if event == DONE:
                break
            if event == TEXT:
                text += bytes(model.out[model.pos : model.end])
            waited[0] += 4000
    finally:
        request.ticks_ms = real
    assert text == b"yes!" and model.reason == STOP and model.thought


def test_a_connection_that_ends_early_cuts_the_answer():
    lost = NetError("body", "gone")
    for rest in (
        [],
        [lost],
        [-1, lost],
        [b'data: {"choices":[{"delta":{"con'],
        [b'data: {"choices":[{"delta":{"content":""}}\n\n', HELLO],
        [b"data: oops\n\n"],
    ):
        http = Http((200, [HELLO] + rest))
        model = model_of(http)
        model.log = Log()
        assert ask(model) == OPENAI_TEXT, rest
        assert model.reason == CUT and http.closed and len(model.log.said) == 1


def test_a_connection_that_ends_early_does_not_cut_what_was_complete():
    for said, reason in (("stop", STOP), ("length", LENGTH)):
        http = Http((200, [HELLO + finish(said), NetError("body", "gone")]))
        model = model_of(http)
        model.log = Log()
        assert ask(model) == OPENAI_TEXT and model.reason == reason
        assert http.closed and not model.log.said


class Log:
    def __init__(self):
        self.said = []

    def fail(self, text):
        self.said.append(text)


def test_a_connection_that_ends_before_any_text_is_an_error():
    for body in (b"", b": ping\n\n", chunk(reasoning="hm"), b"data: oops\n\n"):
        for step in (1, 4096):
            http = Http((200, body), step=step)
            error = raises(ThimbleError, lambda http=http: ask(model_of(http)))
            assert isinstance(error, ParseError) or error.stage == "closed"
            assert http.closed
    error = raises(ParseError, lambda: ask(model_of(Http((200, b'{"choi'), is_json=True))))
    assert "ends too early" in str(error)


def test_what_is_no_stream_of_events_is_refused_for_good():
    for page in (b"<html>", b"\r\n<!DOCTYPE html>\n<p>data</p>\n\n", b"OK"):
        for step in (1, 4096):
            http = Http((200, page), step=step)
            error = raises(ApiError, lambda http=http: ask(model_of(http)))
            assert error.kind == 0 and "Check model.url" in error.text


def test_silence_progress_and_length_are_bounded():
    http = Http((200, [-1] * 99))
    model = model_of(http)
    model.ask(None, b"hi", 0, 2)
    assert http.silence_ms == model.silence_ms == 300_000
    assert model.poll(0) == NOTHING
    model.progress_ms = -1
    assert raises(NetError, lambda: model.poll(0)).stage == "silence"
    assert http.closed and model.poll(0) == DONE
    http = Http((200, [HELLO] + [-1] * 99))
    model = model_of(http)
    model.ask(None, b"hi", 0, 2)
    model.answer_ms = -1
    assert raises(NetError, lambda: model.poll(0)).stage == "deadline"


def test_what_goes_on_is_waited_for_and_what_only_keeps_the_connection_is_not():
    from thimble.model import request

    now = 0
    real = request.ticks_ms
    request.ticks_ms = lambda: now
    try:
        pings = [b": ping\n\n"] * 9
        steps = [chunk(reasoning="hm"), chunk(content="a"), chunk(content="b"), finish()] + pings
        model = model_of(Http((200, steps)))
        model.answer_ms = 2_000_000
        model.ask(None, b"hi", 0, 2)
        for ms, event in (
            (0, NOTHING),
            (290_000, TEXT),
            (290_000, TEXT),
            (290_000, NOTHING),
            (2_900, NOTHING),
            (200, DONE),
        ):
            now += ms
            assert model.poll(9) == event, now
        assert model.reason == STOP
        model = model_of(Http((200, [HELLO] + pings)))
        model.ask(None, b"hi", 0, 2)
        for ms, event in ((0, TEXT), (0, TEXT), (290_000, NOTHING), (20_000, DONE)):
            now += ms
            assert model.poll(9) == event, now
        assert model.reason == CUT
    finally:
        request.ticks_ms = real


def test_a_question_may_be_given_up_before_the_answer_begins():
    http = Http((200, OPENAI))
    model = model_of(http)
    model.waiting = lambda: True
    assert not model.ask(None, b"hi", 0, 2)
    assert http.closed


def test_stop_abandons_the_answer():
    http = Http((200, [HELLO, HELLO]), (200, OPENAI))
    model = model_of(http)
    model.ask(None, b"hi", 0, 2)
    assert model.poll(9) == TEXT
    model.stop()
    assert http.closed and model.poll(9) == DONE
    assert ask(model) == OPENAI_TEXT


# Errors.


def refuse(status, body=b"", **given):
    http = Http((status, body), step=given.pop("step", 4096), is_json=True)
    http.retry_after = given.pop("retry_after", 0)
    model = model_of(http, **given)
    return raises(ApiError, lambda: ask(model))


def error_of(message, **fields):
    fields["message"] = message
    return json.dumps({"error": fields}).encode()


def test_every_status_becomes_a_sentence_for_the_owner():
    from thimble.core.errors import FINAL, RETRY

    cases = (
        (401, "model.key", FINAL),
        (402, "credit", FINAL),
        (404, "model.name", FINAL),
        (301, "model.url", FINAL),
        (408, "later", RETRY),
        (429, "later", RETRY),
        (500, "later", RETRY),
        (503, "later", RETRY),
        (529, "overloaded", RETRY),
        (403, "model.key", FINAL),
    )
    for status, word, kind in cases:
        for body in (
            b"",
            b"<html><body>Nope</body></html>" * 99,
            b'{"error":"x"}',
            b'{"err',
            b"[]",
        ):
            error = refuse(status, body)
            assert error.status == status and error.kind == kind, (status, body)
            if status == 403 and b"x" in body:
                assert error.text.endswith("It says: x")
                continue
            assert word in error.text and "(%d)" % status in error.text, error.text
    assert '"small-model"' in refuse(404).text
    assert (
        "model.url" in refuse(400).text and "model.url" not in refuse(400, b'{"error":"x"}').text
    )
    error = refuse(429, retry_after=17)
    assert error.retry_after == 17 and "17 s" in error.text


def test_the_services_words_are_passed_on_cut_at_a_character():
    cases = (
        (error_of("No such thing: ä"), "No such thing: ä"),
        (b'{"error":"plain\\n words"}', "plain words"),
        (b'{"object":"error","message":"vLLM says"}', "vLLM says"),
        (b'{"detail":"a detail"}', "a detail"),
        (b'{"detail":[{"loc":["body","x"],"msg":"Extra inputs"}]}', "Extra inputs"),
        (b'{"message":{"detail":[{"loc":["body","x"],"msg":"Extra"}]}}', "Extra"),
        (b'{"success":false,"errors":[{"code":7003,"message":"No route"}]}', "No route"),
        (b'[{"error":{"code":400,"message":"in a list"}}]', "in a list"),
        (error_of("first") + b"  ", "first"),
        (error_of("€" * 2000), "€" * 66),
    )
    for body, words in cases:
        for step in (1, 5, 4096):
            error = refuse(400, body, step=step)
            assert error.text.endswith(" It says: " + words), error.text
            assert error.kind == 0
    error = refuse(400, error_of("Bad", type="invalid_request_error"), api="anthropic")
    assert error.text.endswith(" It says: Bad")


def test_the_key_never_appears():
    key = "sk-test-0123456789"
    for status in (400, 401, 403, 404, 422, 429, 500):
        for words in ("Key " + key, "x" * 190 + key, key):
            error = refuse(status, error_of(words))
            assert "sk-test" not in str(error) and "sk-test" not in error.text


def test_a_quota_that_is_used_up_is_final_whatever_the_status():
    body = error_of("You exceeded your quota", type="insufficient_quota")
    error = refuse(429, body)
    assert error.kind == 0 and "credit" in error.text and "(429)" in error.text
    # Z.ai, ModelScope.
    for named in ({"code": "1113"}, {"type": "insufficient_balance_error"}):
        error = refuse(429, error_of("Insufficient balance. Please recharge.", **named))
        assert error.kind == 0 and "credit" in error.text
    body = error_of("[1113][…]", type="rate_limit_error", code="1113")
    error = refuse(429, body, api="anthropic")
    assert error.kind == 0 and "credit" in error.text


def test_a_prompt_that_is_too_long_is_told_apart():
    from thimble.core.errors import TOO_LONG

    cases = (
        (400, error_of("This model's maximum context length is 4097 tokens.")),
        (400, error_of("'max_tokens' is too large: 1024. This model's maximum context length is")),
        (400, error_of("the request exceeds the available context size")),
        (400, error_of("prompt is too long: 208310 tokens > 200000 maximum")),
        (500, error_of("Context size has been exceeded.")),
        (413, b""),
        (413, error_of("Request too large")),
        # xAI, Moonshot, Zhipu, DashScope, Perplexity, Cohere, GitHub, vLLM, Hugging Face's
        # text-generation-inference, Amazon's Bedrock.
        (400, b'{"code":"x","error":"This model\'s maximum prompt length is 131072 but"}'),
        (400, error_of("Your request exceeded model token limit: 8192")),
        (400, error_of("Prompt exceeds max length", code="1261")),
        (400, error_of("<400> InternalError: Range of input length should be [1, 30720]")),
        (400, error_of("The total length of all messages is too long.")),
        (400, error_of("too many tokens: total number of tokens in the prompt exceeds 4081")),
        (400, error_of("prompt token count of 93854 exceeds the limit of 90000")),
        (500, error_of("The decoder prompt (length 9) is longer than the maximum model length")),
        (422, error_of("`inputs` tokens + `max_new_tokens` must be <= 4096")),
        (400, error_of("Input is too long for requested model.")),
        # OpenAI: no waiting helps.
        (429, error_of("Request too large for gpt-4o: Limit 30000, Requested 30601")),
    )
    for status, body in cases:
        for api in ("openai", "anthropic"):
            error = refuse(status, body, api=api)
            assert error.kind == TOO_LONG and "too long" in error.text, (status, body)
    body = error_of("Too many", type="invalid_request_error", code="context_length_exceeded")
    assert refuse(400, body).kind == TOO_LONG
    # OpenRouter quotes who serves the model.
    raw = '{"error":{"message":"This model\'s maximum context length is 262144 tokens."}}'
    body = error_of("Provider returned error", code=400, metadata={"raw": raw})
    assert refuse(400, body).kind == TOO_LONG
    assert refuse(429, error_of("maximum context length")).kind != TOO_LONG


MAX_TOKENS = error_of(
    "Unsupported parameter: 'max_tokens' is not supported with this model. "
    "Use 'max_completion_tokens' instead.",
    param="max_tokens",
)


def test_max_completion_tokens_is_used_where_max_tokens_is_refused_and_remembered():
    http = Http((400, MAX_TOKENS), (200, OPENAI), (200, OPENAI))
    model = model_of(http)
    assert ask(model) == OPENAI_TEXT and ask(model) == OPENAI_TEXT
    bodies = [json.loads(body) for body in http.bodies]
    assert [body.get("max_tokens") for body in bodies] == [256, None, None]
    assert [body.get("max_completion_tokens") for body in bodies] == [None, 256, 256]


def test_stream_options_are_left_out_where_they_are_refused_and_remembered():
    refusals = (
        (400, error_of("Unrecognized request argument supplied: stream_options")),
        (422, b'{"detail":[{"loc":["body","stream_options"],"msg":"Extra inputs"}]}'),
        # Mistral.
        (
            422,
            b'{"object":"error","message":{"detail":[{"type":"extra_forbidden",'
            b'"loc":["body","stream_options","include_usage"],"msg":"Extra inputs are not '
            b'permitted","input":true}]},"type":"invalid_request_error","param":null,"code":null}',
        ),
    )
    for refusal in refusals:
        http = Http(refusal, (200, OPENAI), (200, OPENAI))
        model = model_of(http)
        assert ask(model) == OPENAI_TEXT and ask(model) == OPENAI_TEXT
        assert ["stream_options" in json.loads(body) for body in http.bodies] == [1, 0, 0]


def test_both_may_be_refused_one_after_the_other():
    http = Http((400, MAX_TOKENS), (400, error_of("stream_options?")), (200, OPENAI))
    assert ask(model_of(http)) == OPENAI_TEXT
    body = json.loads(http.bodies[2])
    assert "stream_options" not in body and body["max_completion_tokens"] == 256


def test_a_limit_that_is_refused_under_both_names_is_an_error_and_not_remembered():
    large = error_of("max_tokens is too large: 256")
    http = Http((400, large), (400, large), (200, OPENAI))
    model = model_of(http)
    error = raises(ApiError, lambda: ask(model))
    assert "too large: 256" in error.text and len(http.bodies) == 2
    ask(model)
    assert "max_tokens" in json.loads(http.bodies[2])


def test_anthropic_is_not_asked_twice():
    error = refuse(400, error_of("max_tokens: 256 > 64, stream_options"), api="anthropic")
    assert "256 > 64" in error.text


def test_an_error_inside_the_stream():
    cases = (
        ("openai", sse({"error": {"message": "Down", "code": 502}}), 502, 1),
        ("openai", sse({"error": {"message": "Slow", "code": "rate_limit_exceeded"}}), 429, 1),
        ("openai", sse({"error": "what now"}), 500, 1),
        ("openai", sse({"choices": [], "x_groq": {"error": "over_capacity"}}), 500, 1),
        ("openai", sse({"error": {"code": 502}}), 502, 1),
        ("openai", sse({"error": {"code": "context_length_exceeded", "message": ""}}), 500, 2),
        ("openai", sse({"error": {"code": "data_inspection_failed", "message": "N"}}), 400, 0),
        ("openai", sse({"error": {"code": "content_filter", "message": "Filtered"}}), 400, 0),
        ("anthropic", claude("error", error={"type": "overloaded_error", "message": "O"}), 529, 1),
        ("anthropic", claude("error", error={"type": "api_error", "message": "Oops"}), 500, 1),
        ("anthropic", claude("error", error={"message": "No", "type": "not_found_error"}), 404, 0),
    )
    for api, event, status, kind in cases:
        for step in (1, 4096):
            model = model_of(Http((200, event), step=step), api=api)
            error = raises(ApiError, lambda model=model: ask(model))
            assert (error.status, error.kind) == (status, kind), (event, error.status, error.kind)
            assert model.poll(0) == DONE
    model = model_of(Http((200, HELLO + sse({"error": {"message": "Down", "code": 502}}))))
    model.ask(None, b"hi", 0, 2)
    assert model.poll(0) == TEXT and model.poll(0) == TEXT
    assert "It says: Down" in raises(ApiError, lambda: model.poll(0)).text


def test_an_error_in_a_field_of_its_own_counts():
    # llama.cpp until autumn 2025 (ggml-org/llama.cpp#16109).
    said = b'error: {"code":400,"message":"the request exceeds the available context size"}\n\n'
    for step in (1, 4096):
        model = model_of(Http((200, said + END), step=step))
        error = raises(ApiError, lambda model=model: ask(model))
        assert error.kind == 2 and "too long" in error.text


def test_an_error_event_without_a_blank_line_behind_it_counts():
    model = model_of(Http((200, sse({"error": {"message": "Down", "code": 502}})[:-2])))
    assert raises(ApiError, lambda: ask(model)).status == 502


def test_the_connection_is_kept_after_an_error_that_was_read_to_its_end():
    http = Http((500, error_of("Oops")), (200, [HELLO] * 3))
    model = model_of(http)
    raises(ApiError, lambda: ask(model))
    model.stop()
    assert not http.closed
    model.ask(None, b"hi", 0, 2)
    model.close()
    assert http.closed and model.poll(9) == DONE


def test_an_error_in_place_of_an_answer_with_status_200():
    http = Http((200, error_of("Nope", code=503)), is_json=True)
    assert raises(ApiError, lambda: ask(model_of(http))).status == 503


def test_a_document_that_holds_no_answer_is_refused_for_good():
    for body in (
        b'{"success":false}',
        b'{"choices":null,"base_resp":{"status_code":1008}}',
        b'{"detail":"Not Found"}',
        b'{"error":"Unexpected endpoint or method. (POST /chat/completions)"}',  # LM Studio
    ):
        for api in ("openai", "anthropic"):
            http = Http((200, body), is_json=True)
            error = raises(ApiError, lambda http=http, api=api: ask(model_of(http, api=api)))
            assert error.kind == 0 and "Check model.url" in error.text, body
    assert "Not Found" in refuse(200, b'{"detail":"Not Found"}').text
    body = b'{"base_resp":{"status_code":2049,"status_msg":"invalid api key"}}'  # MiniMax
    assert refuse(200, body).text.endswith(" It says: invalid api key")
    body = json.dumps({"choices": [{"message": {"content": ""}, "finish_reason": "stop"}]})
    assert ask(model_of(Http((200, body.encode()), is_json=True))) == b""


def test_an_error_body_of_any_length_is_read_no_further_than_needed():
    http = Http((500, [b'{"x":"' + b"y" * 4000] + [b"y" * 4000] * 1000))
    error = raises(ApiError, lambda: ask(model_of(http)))
    assert error.status == 500 and http.closed
