"""The model is out of reach: messages wait in the journal, and all else goes on."""

import pytest
from relay_kit import OWNER, WAITING, Board, House, started_by

NO_MODEL = "The model could not be reached for too long. /retry asks again."

# The relay as it is, but that it tries a model that is out of reach again ten times as soon, waits
# for one that says nothing a hundredth of the time, and gives up an answer that cannot be sent
# after 2 s.
IMPATIENT = """
import gc

import thimble

_booted = thimble.boot(thimble.port())
from thimble.core.backoff import Backoff
from thimble.relay import Relay

relay = Relay(*_booted)
relay.exchange.outage = Backoff(500)
relay.exchange._retry = Backoff(100)
relay.exchange.patience_ms = 2000
relay.reply.deliver_ms = 2000
relay.model.silence_ms = 3000
gc.threshold(-1)
try:
    relay.run()
except KeyboardInterrupt:
    pass
finally:
    _booted[1].close()
"""

# Runs in MicroPython: every message in the journal came so many minutes earlier.
AGED = """
import vfs
from thimble.board.unix import Flash
from thimble.core import octets

vfs.mount(vfs.VfsLfs2(Flash(%r, 212)), "/flash")
with open("/flash/journal", "rb") as file:
    data = bytearray(file.read())
at = count = 0
while at < len(data):
    n = data[at + 3] | data[at + 4] << 8
    if data[at] == 2:
        minute = int.from_bytes(data[at + 71 : at + 75], "little") - %d
        data[at + 71 : at + 75] = minute.to_bytes(4, "little")
        crc = octets.crc16(data, at + 7, n, octets.crc16(data, at, 5, 0xFFFF))
        data[at + 5 : at + 7] = crc.to_bytes(2, "little")
        count += 1
    at += 7 + n
with open("/flash/journal", "wb") as file:
    file.write(data)
vfs.umount("/flash")
print(count)
"""


@pytest.fixture(scope="module")
def impatient(tmp_path_factory):
    """A Board that runs the script above."""
    path = tmp_path_factory.mktemp("impatient") / "impatient.py"

    def board(*args, **options):
        # The script lives in that heap, too.
        return started_by(Board(*args, heap="180k", **options), path, IMPATIENT)

    return board


@pytest.fixture
def house(tmp_path, impatient):
    """A house whose model has a port of its own: `house.model`."""
    settings = {"model": {"patience_min": 60}}
    house = House(tmp_path / "house", settings=settings, board=impatient)
    house.model = house.cloud.listen()
    house.config["model"]["url"] = house.model.url + "/v1"
    with house:
        yield house


def test_messages_wait_for_a_model_that_refuses_connections_and_all_else_goes_on(house):
    chat, other = house.ask("before"), house.chat()
    house.cloud.unlisten(house.model)
    house.cloud.telegram.say_many(["one", "two"], chat)
    house.last(chat, WAITING, 20)
    house.say("three", other)
    house.last(other, WAITING)
    house.say("/status", other)
    house.wait(lambda: "memory" in house.newest(other))
    house.say("/help", other)
    house.wait(lambda: "/retry" in house.newest(other))
    house.quiet()

    house.kill()
    house.start()
    house.say("four", chat)
    house.quiet(4)
    assert house.texts(chat) == ["before", WAITING], "told once, also after a restart"
    assert len(house.texts(other)) == 3

    house.cloud.relisten(house.model)
    house.last(chat, "four", 30)
    house.last(other, "three")
    assert house.texts(chat) == ["before", WAITING, "one", "two", "four"]
    assert [turn[1] for turn in house.prompts()[-1]][-1:] in (["four"], ["three"])
    house.ask("and on", chat)
    spoken = ["before", "before", "one", "one", "two", "two", "four", "four", "and on"]
    assert [words for _, words in house.prompts()[-1]] == spoken


@pytest.mark.parametrize("fault", ["endless_headers", "garbage_body"])
def test_answers_that_are_none_each_time_are_told_as_that_and_not_as_an_outage(house, fault):
    armed = house.cloud.fault("models", "chat", fault, times=4)
    chat = house.say("one")
    house.wait(lambda: house.texts(chat))

    assert armed.applied == 4
    (said,) = house.texts(chat)
    assert said.startswith("The model cannot be reached: ") and said != WAITING
    house.ask("two", chat)


@pytest.mark.parametrize("how", [{"first": 60}, {"stall_after": 0, "stall": 60}])
def test_a_model_that_takes_a_question_and_says_nothing_is_asked_twice(house, how):
    chat = house.ask("before")
    for _ in range(2):
        house.cloud.models.script(text="too late", **how)
    house.say("one", chat)
    house.wait(lambda: len(house.texts(chat)) == 2, 20)

    assert house.texts(chat)[1].startswith("The model cannot be reached: network failure (")
    assert len(house.prompts()) == 3
    house.say("/retry", chat)
    house.last(chat, "one")


@pytest.mark.parametrize("fault", ["garbage", "garbage_body"])
def test_one_answer_that_is_none_ends_no_wait_for_the_model(house, fault):
    house.cloud.models.default(status=503)
    chat = house.say("one")
    house.last(chat, WAITING, 20)
    armed = house.cloud.fault("models", "chat", fault)
    house.wait(lambda: armed.applied)
    house.cloud.models.default(mode="echo")
    house.last(chat, "one", 20)

    other = house.chat()
    house.cloud.fault("models", "chat", "close", times=3)
    armed = house.cloud.fault("models", "chat", fault)
    house.ask("two", other, timeout=20)
    assert armed.applied


def test_what_needs_no_model_is_answered_in_an_outage_in_its_place(house):
    waits, chat = house.ask("before"), house.ask("something")
    house.cloud.models.default(status=503)
    house.say("wait", waits)
    house.last(waits, WAITING, 20)
    house.say("/new", waits)
    house.say("/history", chat)
    house.wait(lambda: house.newest(chat).startswith("> something"))
    house.say("/new", chat)
    house.last(chat, "A new conversation begins.")
    house.cloud.telegram.photo(chat=chat)
    house.last(chat, "I can read only text.")
    assert house.texts(chat)[2:] == ["A new conversation begins.", "I can read only text."]
    assert house.texts(waits) == ["before", WAITING]
    house.cloud.models.default(mode="echo")
    house.last(waits, "A new conversation begins.", 30)
    assert house.texts(waits)[2:] == ["wait", "A new conversation begins."]


def test_stop_closes_what_waits_for_the_model_for_good(house):
    house.cloud.models.default(status=503)
    chat, other = house.chat(), house.chat()
    house.cloud.telegram.say_many(["one", "two"], chat)
    house.last(chat, WAITING, 20)
    house.say("three", other)
    house.last(other, WAITING, 20)
    house.say("/stop", chat)
    house.last(chat, "(Stopped.)")
    house.wait(lambda: house.board.status()["journal"] == 1)
    house.quiet()  # what was said may be at Telegram before the journal is on flash
    house.kill()
    house.start()
    house.cloud.models.default(mode="echo")
    house.last(other, "three", 30)
    house.ask("four", chat)
    assert house.texts(chat) == [WAITING, "(Stopped.)", "four"]


def test_restarts_in_an_outage_are_no_attempts(house):
    house.cloud.models.default(status=503)
    chat = house.say("patience")
    house.last(chat, WAITING, 20)
    for _ in range(4):
        count = len(house.cloud.models.calls())
        house.kill()
        house.start()
        house.wait(lambda count=count: len(house.cloud.models.calls()) > count)
        house.quiet()
    house.cloud.models.default(mode="echo")
    house.last(chat, "patience", 30)
    assert house.texts(chat) == [WAITING, "patience"]


def test_stop_ends_an_answer_that_telegram_does_not_take(house):
    chat = house.ask("before")
    house.cloud.models.script(text="word " * 100, delay=0.1)
    house.say("go", chat)
    house.wait(lambda: len(house.texts(chat)) == 2)
    fault = house.cloud.fault("telegram", "editMessageText", "status", times=None)
    house.say("/stop", chat)
    house.wait(lambda: house.board.status()["inbox"] == 0, 30)
    house.cloud.clear_faults()
    house.ask("and on", chat)
    assert fault.applied and len(house.cloud.models.calls()) == 3
    roles = [role for role, _ in house.prompts()[-1]]
    assert roles == ["user", "assistant"] * 2 + ["user"]


def test_a_message_that_waited_too_long_is_closed_with_an_apology(house, device):
    house.cloud.models.default(status=503)
    chat, other = house.say("too long"), house.chat()
    house.last(chat, WAITING, 20)
    house.quiet()
    house.kill()
    done = device.run(AGED % (str(house.flash), 62))
    assert done.stdout.strip() == "1", done
    house.start()
    house.last(chat, NO_MODEL, 20)
    house.say("in time", other)
    house.last(other, WAITING, 20)
    house.cloud.models.default(mode="echo")
    house.last(other, "in time", 30)
    assert house.texts(chat) == [WAITING, NO_MODEL]

    house.kill()
    house.start()
    house.say("/retry", chat)
    house.last(chat, "too long")


def test_an_answer_whose_first_part_cannot_be_sent_for_long_is_asked_for_anew(house):
    chat = house.ask("before")
    house.cloud.models.default(text="word " * 1000 + "end", deltas=100, delay=0.02)
    house.cloud.fault("telegram", "editMessageText", "status", times=None)
    house.say("go", chat)
    house.wait(lambda: any("left for later" in line for line in house.board.log), 20)
    house.cloud.clear_faults()
    house.wait(lambda: house.board.status()["inbox"] == 0, 30)
    assert " ".join(house.texts(chat)[1:]) == "word " * 1000 + "end"
    assert len(house.cloud.models.calls()) == 3


@pytest.mark.parametrize("status", [409, 500])
def test_polls_that_telegram_refuses_hold_no_answer_back(house, status):
    chat = house.ask("before")
    house.quiet()
    said = {"ok": False, "error_code": status, "description": "refused"}
    fault = house.cloud.fault(
        "telegram", "getUpdates", "status", times=None, status=status, body=said
    )
    house.cloud.telegram.say_many(["one", "two", "three"], chat)
    house.last(chat, "three")
    assert fault.applied


@pytest.mark.parametrize("seconds, told", [(1, False), (4, True)])
def test_a_model_that_asks_for_patience_is_not_asked_before(house, seconds, told):
    house.ask("before", OWNER)
    house.cloud.clear_calls()
    fault = house.cloud.fault("models", "chat", "flood", retry_after=seconds)
    house.say("hello", OWNER)
    house.wait(lambda: fault.applied)
    if told:  # parked: all else goes on meanwhile
        other = house.say("/help")
        house.wait(lambda: house.texts(other), seconds - 0.5)
        assert not house.cloud.counts()["open"].get("models"), "a connection idles"
    house.last(OWNER, "hello", seconds + 5)
    first, *others = house.cloud.models.calls()
    waited = others[0].time - (first.time + first.ms / 1000)
    assert seconds - 0.01 <= waited < seconds + 3
    assert (WAITING in house.texts(OWNER)) == told
