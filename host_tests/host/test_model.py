"""Models in both dialects, over TLS, from the 32-bit runtime, against the simulated services."""

from __future__ import annotations

import json

import pytest
from net_kit import BYE, READ, Server, answer

from tools.cloud import KEY, Cloud

CLIENT = """
import gc, json, micropython, os
from thimble import config
from thimble.core.conversation import ASSISTANT, USER, Conversation
from thimble.core.errors import ThimbleError
from thimble.core.segments import Segments
from thimble.model.request import DONE, TEXT, Model
from thimble.net.dns import Resolver
from thimble.net.http import Http
from thimble.net import roots
from thimble.net.link import Link

NOTHING, CUT = 0, 2  # as in model.request

def tick():
    pass

class Settings:
    pass

settings = Settings()
for name, value in json.loads(os.getenv("MODEL")).items():
    setattr(settings, name, value)
resolver = Resolver(tick, [], None)
settings.endpoint = config.endpoint(settings.url, "model.url")
ca = os.getenv("CA")
link = Link(resolver, tick, roots.context((), "", ca) if ca else None)
http = Http(link, bytearray(1536), bytearray(512))
model = Model(http, settings, bytearray(512))
talk = Conversation(Segments(256, 32))

def say(role, text):
    talk.begin(role)
    assert talk.append(text, 0, len(text))
    talk.end()

def read(keep=True):
    text = b""
    pieces = 0
    while True:
        event = model.poll(100)
        if event == DONE:
            break
        if event == TEXT:
            pieces += 1
            if keep:
                text += bytes(model.out[model.pos:model.end])
    return text.decode(), pieces

def ask(text="hi", past=None):
    '''Prints one line of JSON: the answer, or the error.'''
    text = text.encode()
    out = {"text": None}
    try:
        model.ask(past, text, 0, len(text))
        out["text"], out["pieces"] = read()
        out["reason"] = model.reason
        out["tokens"] = [model.tokens_in, model.tokens_out]
        out["thought"] = model.thought
    except ThimbleError as error:
        out["error"] = type(error).__name__
        out["said"] = str(error)
        for name in ("status", "text", "kind", "retry_after", "stage"):
            if hasattr(error, name):
                out["error_" + name] = getattr(error, name)
        model.stop()
    print(json.dumps(out))
"""

APIS = ("openai", "anthropic")
STOP, LENGTH, CUT, OTHER = range(4)
FINAL, RETRY, TOO_LONG = range(3)


@pytest.fixture(scope="module")
def running():
    with Cloud(tls="rp2") as cloud:
        yield cloud


@pytest.fixture
def cloud(running):
    running.models.clear()
    running.models.directives = True
    running.clear_faults()
    running.clear_calls()
    return running


@pytest.fixture(params=APIS)
def api(request):
    return request.param


@pytest.fixture
def run(device, cloud):
    """Runs a source behind CLIENT; what it printed, each line decoded."""

    def run(source="ask()", api="openai", secure=True, timeout=20, **model):
        section = {**cloud.config(api, secure)["model"], "system": "", "max_tokens": 300}
        env = {"MODEL": json.dumps({**section, **model}), "CA": str(cloud.ca_der)}
        done = device.run(CLIENT + source, env=env, timeout=timeout)
        assert done.returncode == 0, done.stdout + done.stderr
        assert KEY not in done.stdout
        return [json.loads(line) for line in done.stdout.splitlines()]

    return run


HARD = 'zwölf €uro "😀" \\ \t\n\x01 <b> ' + "漢字" * 40


def test_what_is_said_arrives_and_comes_back_unchanged(run, cloud, api):
    cloud.models.default(mode="echo", cuts="all", usage=(11, 22))
    source = f"ask({HARD!r})"
    (said,) = run(source, api)
    assert said["text"] == HARD and said["reason"] == STOP and said["tokens"] == [11, 22]
    cloud.models.default(mode="echo", cuts="bytes", cut_pause=0, ascii=True, newline="\r\n")
    (said,) = run(f"ask({HARD[:60]!r})", api)
    assert said["text"] == HARD[:60]


def test_two_answers_share_one_connection(run, cloud, api):
    before = cloud.counts()["handshakes"]
    assert [said["reason"] for said in run("ask()\nask()", api)] == [STOP, STOP]
    assert cloud.counts()["handshakes"] == before + 1
    assert len({call.connection for call in cloud.models.calls()}) == 1


def test_the_request_holds_system_turns_and_question(run, cloud, api):
    source = "say(USER, b'one')\nsay(ASSISTANT, 'zw\\u00f6lf'.encode() * 100)\nask('three', talk)"
    (said,) = run(source, api, system="Be «brief».", secure=False)
    assert said["text"] and said["reason"] == STOP
    body = cloud.models.calls()[0].params
    messages = [
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "zwölf" * 100},
        {"role": "user", "content": "three"},
    ]
    if api == "openai":
        messages.insert(0, {"role": "system", "content": "Be «brief»."})
        assert body["stream_options"] == {"include_usage": True}
    else:
        assert body["system"] == "Be «brief»."
    assert body["messages"] == messages
    assert body["stream"] is True and body["max_tokens"] == 300


@pytest.mark.parametrize("how", ["field", "reasoning", "tags"])
def test_reasoning_is_not_shown(run, cloud, api, how):
    cloud.models.default(text="The answer.", think="Let me < think > " * 9, think_as=how)
    (said,) = run(api=api)
    assert said["text"] == "The answer." and said["thought"] and said["reason"] == STOP


@pytest.mark.parametrize(
    ("finish", "reason"),
    [("stop", STOP), ("length", LENGTH), ("content_filter", OTHER), ("refusal", OTHER)],
)
def test_why_it_ended(run, cloud, api, finish, reason):
    cloud.models.default(text="So far.", finish=finish)
    (said,) = run(api=api)
    assert (said["text"], said["reason"]) == ("So far.", reason)


@pytest.mark.parametrize(
    "habit", [{"frills": True}, {"early": True}, {"frills": True, "early": True}, {"no_stream": 1}]
)
def test_what_some_servers_do_otherwise_changes_nothing(run, cloud, api, habit):
    cloud.models.default(text="Two words.", deltas=2, usage=(11, 22), **habit)
    two = run("ask()\nask()", api)
    for said in two:
        assert (said["text"], said["reason"]) == ("Two words.", STOP)
        assert said["tokens"] == [11, 22]
    assert len({call.connection for call in cloud.models.calls()}) == 1


@pytest.mark.parametrize("framing", ["chunked", "close", "length"])
def test_every_framing_with_and_without_an_end_event(run, cloud, api, framing):
    cloud.models.script(text="All of it.", framing=framing)
    cloud.models.script(text="All of it.", framing=framing, no_end=True)
    for said in run("ask()\nask()", api):
        assert (said["text"], said["reason"]) == ("All of it.", STOP)


@pytest.mark.parametrize(
    ("status", "kind", "word"),
    [
        (400, FINAL, "It says: "),
        (401, FINAL, "Set model.key"),
        (403, FINAL, "It says: "),
        (404, FINAL, "model.name"),
        (429, RETRY, "7 s"),
        (500, RETRY, "later"),
        (503, RETRY, "overloaded"),
        (529, RETRY, "overloaded"),
    ],
)
def test_a_refusal_is_a_sentence_and_the_connection_is_kept(run, cloud, api, status, kind, word):
    cloud.models.script(status=status, retry_after=7 if status == 429 else None)
    error, said = run("ask()\nask()", api)
    assert (error["error_status"], error["error_kind"]) == (status, kind)
    assert word in error["error_text"], error
    assert error["error_retry_after"] == (7 if status == 429 else 0)
    assert said["reason"] == STOP
    assert len({call.connection for call in cloud.models.calls()}) == 1


def test_a_wrong_key_and_a_wrong_name(run, api):
    (said,) = run(api=api, key="sk-wrong-0123456789")
    assert said["error_status"] == 401 and "sk-wrong" not in said["said"] + said["error_text"]
    (said,) = run(api=api, key="")
    assert said["error_status"] == 401
    (said,) = run(api=api, name="unheard-of")
    assert said["error_status"] == 404 and '"unheard-of"' in said["error_text"]


def test_a_prompt_that_is_too_long(run, cloud, api):
    cloud.models.default(context=100)
    (said,) = run("ask('word ' * 200)", api)
    assert said["error_kind"] == TOO_LONG and said["error_status"] == 400


def test_parameters_that_are_refused_are_left_out_from_then_on(run, cloud):
    cloud.models.default(refuse_max_tokens=True, refuse_stream_options=True, text="Yes.")
    assert [said["text"] for said in run("ask()\nask()")] == ["Yes.", "Yes."]
    bodies = [call.params for call in cloud.models.calls()]
    assert len(bodies) == 4
    assert bodies[3]["max_completion_tokens"] == 300
    assert "max_tokens" not in bodies[3] and "stream_options" not in bodies[3]


def test_an_error_inside_the_stream(run, cloud, api):
    cloud.models.script(length=200, error_after=0)
    cloud.models.script(length=200, error_after=5, message="Provider is down")
    first, second = run("ask()\nask()", api)
    status = 502 if api == "openai" else 529
    assert first["error_status"] == second["error_status"] == status
    assert first["error_kind"] == RETRY and "Provider is down" in second["error_text"]


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_connection_that_breaks(run, cloud, api, how):
    cloud.models.script(length=300, cut_after=0, cut_how=how)
    cloud.models.script(length=300, cut_after=20, cut_how=how)
    first, second, third = run("ask()\nask()\nask()", api)
    assert first["error"] == "NetError" and first["error_stage"] in ("body", "closed")
    assert second["reason"] == CUT and 0 < len(second["text"]) < 300
    assert third["reason"] == STOP


def test_silence_is_borne_for_a_while_and_pings_for_longer(run, cloud, api):
    cloud.models.script(text="At last.", first=1.5, keepalives=6)
    cloud.models.script(length=200, stall_after=9, stall=60)
    cloud.models.script(length=200, stall_after=0, stall=60)
    source = "model.silence_ms = 700\nask()\nask()\nask()"
    first, second, third = run(source, api)
    assert (first["text"], first["reason"]) == ("At last.", STOP)
    assert second["reason"] == CUT and second["text"]
    assert third["error_stage"] == "silence"


def test_pings_without_progress_have_an_end(run, cloud, api):
    cloud.models.script(text="Too late.", first=30, keepalives=100)
    (said,) = run("model.progress_ms = 900\nask()", api)
    assert said["error_stage"] == "silence"


def test_an_answer_without_end_has_an_end(run, cloud, api):
    cloud.models.script(length=100_000, delay=0.01)
    (said,) = run("model.answer_ms = 900\nask()", api)
    assert said["reason"] == CUT and said["text"]


def test_stop_abandons_an_answer_and_the_next_one_is_whole(run, cloud, api):
    cloud.models.script(length=5000, delay=0.01)
    cloud.models.script(text="Whole.")
    source = """
model.ask(None, b"hi", 0, 2)
while model.poll(100) != TEXT:
    pass
model.stop()
assert model.poll(100) == DONE
ask()
"""
    (said,) = run(source, api)
    assert said["text"] == "Whole."
    assert cloud.models.calls()[0].status == -1


@pytest.mark.parametrize("framing", ["length", "close"])
def test_an_answer_that_is_not_streamed(device, cloud, api, framing):
    if api == "openai":
        body = {"choices": [{"message": {"content": HARD}, "finish_reason": "length"}]}
    else:
        body = {"content": [{"type": "text", "text": HARD}], "stop_reason": "max_tokens"}
    data = json.dumps(body, indent=1).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    if framing == "length":
        head += b"Content-Length: %d\r\n" % len(data)
    section = {**cloud.config(api, False)["model"], "system": "", "max_tokens": 300}
    with Server([READ, head + b"\r\n" + data, BYE]) as server:
        section["url"] = f"http://127.0.0.1:{server.port}/v1"
        done = device.run(CLIENT + "ask()", env={"MODEL": json.dumps(section)})
    said = json.loads(done.stdout)
    assert said["text"] == HARD and said["reason"] == LENGTH


@pytest.mark.parametrize("status", [200, 404, 502])
def test_a_page_of_html_in_place_of_an_answer(device, cloud, api, status):
    page = b"<html><body>" + b"<p>Bad gateway</p>" * 500 + b"</body></html>"
    text = answer(page).replace(b"200 OK", b"%d X" % status)
    section = {**cloud.config(api, False)["model"], "system": "", "max_tokens": 300}
    with Server([READ, text, BYE]) as server:
        section["url"] = f"http://127.0.0.1:{server.port}/v1"
        done = device.run(CLIENT + "ask()", env={"MODEL": json.dumps(section)})
    said = json.loads(done.stdout)
    if status == 200:
        assert said["error_status"] == 200 and said["error_kind"] == FINAL
        assert said["error_text"].endswith("Check model.url.")
    else:
        assert said["error_status"] == status and "html" not in said["error_text"]


HEAP = """
model.ask(None, b"hi", 0, 2)
n = 0
while n < 20:
    n += model.poll(100) == TEXT
before = micropython.mem_total()
while n < 220:
    n += model.poll(100) == TEXT
print(micropython.mem_total() - before)
read(False)
before = micropython.mem_total()
model.ask(None, b"hi", 0, 2)
while model.poll(100) != DONE:
    pass
print(micropython.mem_total() - before)
"""


def test_the_heap_that_an_answer_takes(run, cloud, api):
    cloud.models.default(length=3000, deltas=300)
    delta, whole = run(HEAP, api)
    assert delta <= 16
    assert whole <= 80


def test_an_answer_of_a_megabyte_in_a_heap_of_64_kilobytes(device, cloud, api):
    cloud.models.default(length=1_000_000, deltas=3000)
    section = {**cloud.config(api)["model"], "system": "", "max_tokens": 300}
    source = """
model.ask(None, b"hi", 0, 2)
n = 0
event = model.poll(100)
while event != DONE:
    if event == TEXT:
        n += model.end - model.pos
    event = model.poll(100)
print(n, model.reason)
"""
    env = {"MODEL": json.dumps(section), "CA": str(cloud.ca_der)}
    done = device.run(CLIENT + source, env=env, heap="64k")
    assert done.stdout.split() == ["1000000", "0"], done.stderr
