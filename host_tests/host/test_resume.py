"""The relay is killed in the middle of its work, and started again on the same flash."""

import time

import pytest
from relay_kit import OWNER, POISON, House, Kept

SYSTEM = "Be brief."
SETTINGS = {"model": {"system": SYSTEM}}
WORDS = "one two three four five six seven eight nine ten"


def asked(house, times=1):
    """Waits until the model has been asked so often since the test began."""
    return house.wait(lambda: len(house.cloud.models.calls()) >= times)


def sent(house, chat):
    """The messages that were ever sent to a chat: (id, deleted since)."""
    messages = house.cloud.telegram.messages(chat, deleted=True)
    return [(message.id, bool(message.deleted)) for message in messages]


def noted(house):
    """Waits until the last message that was sent is on flash: until another call follows it."""
    house.wait(lambda: house.cloud.telegram.calls()[-1].method != "sendMessage")


def again(house, **script):
    """Kills it, and starts it with a model that says something else."""
    house.kill()
    house.cloud.clear_faults()
    house.cloud.models.clear()
    house.cloud.models.default(**(script or {"mode": "echo"}))
    house.start()


# At each phase.


def test_what_was_half_received_is_received_again(house):
    fault = house.cloud.fault("telegram", "getUpdates", "stall_in_body", 2)
    chat = house.say("hello")
    house.wait(lambda: fault.applied)
    again(house)
    house.last(chat, "hello")


def test_what_was_received_and_not_confirmed_is_answered_once(house):
    house.cloud.models.default(first=30.0)
    chat = house.say("hello")
    asked(house)
    assert house.cloud.telegram.pending() == 1, "not confirmed yet"
    again(house)
    house.last(chat, "hello")
    house.quiet()
    assert house.texts(chat) == ["hello"]


def test_what_was_confirmed_and_not_begun_is_answered_in_order(house):
    house.cloud.models.default(first=30.0)
    chat, other = house.say("first"), house.chat()
    asked(house)
    house.cloud.telegram.say_many(["second", "third"], chat)
    house.say("elsewhere", other)
    house.wait(lambda: not house.cloud.telegram.pending())
    again(house)
    house.last(chat, "third", 20)
    house.last(other, "elsewhere")
    assert house.texts(chat) == ["first", "second", "third"]


def test_an_answer_that_was_begun_goes_on_in_the_message_that_shows_it(house):
    house.cloud.models.default(text=WORDS, delay=0.5)
    chat = house.say("count")
    house.wait(lambda: "two" in "".join(house.texts(chat)))
    noted(house)
    again(house, text="something else")
    house.last(chat, "something else")
    assert len(sent(house, chat)) == 1
    assert house.prompts()[-1] == [("system", SYSTEM), ("user", "count")]


def long_answer(house):
    """A chat with two whole messages of a longer answer, of which a third is on its way."""
    house.cloud.models.default(length=12000, unit="long word ", deltas=40, delay=0.1)
    chat = house.say("tell")
    house.wait(lambda: len(house.texts(chat)) == 3, 20)
    noted(house)
    return chat


def test_parts_of_a_longer_attempt_are_deleted_and_the_first_is_edited(house):
    chat = long_answer(house)
    again(house, text="short")
    house.wait(lambda: house.texts(chat) == ["short"])
    first, *others = sent(house, chat)
    assert not first[1] and len(others) == 2 and all(deleted for _, deleted in others)


def test_a_long_answer_goes_on_in_the_parts_that_are_there(house):
    chat = long_answer(house)
    before = [number for number, _ in sent(house, chat)]
    again(house, length=16000, unit="long word ", deltas=40)
    house.wait(lambda: len(house.texts(chat)) == 4, 20)
    house.quiet()
    assert [number for number, _ in sent(house, chat)][:3] == before
    assert len("".join(house.texts(chat))) > 15900
    assert not any(deleted for _, deleted in sent(house, chat))


def test_an_answer_that_was_written_down_but_not_delivered_is_not_remembered_twice(house):
    house.cloud.fault("telegram", "sendMessage", "hang")
    chat = house.say("hello")
    house.wait(lambda: house.cloud.telegram.calls("sendMessage"))
    again(house)
    house.last(chat, "hello")
    assert house.prompts()[-1] == [("system", SYSTEM), ("user", "hello")]
    house.quiet()
    again(house)
    house.ask("and now?", chat)
    spoken = [("user", "hello"), ("assistant", "hello"), ("user", "and now?")]
    assert house.prompts()[-1] == [("system", SYSTEM), *spoken]


def test_who_says_the_same_again_is_not_taken_for_an_attempt(house):
    chat = house.ask("go on")
    house.cloud.models.default(first=30.0)
    house.say("go on", chat)
    asked(house, 2)
    again(house)
    house.wait(lambda: house.texts(chat) == ["go on"] * 2)
    said = [("user", "go on"), ("assistant", "go on"), ("user", "go on")]
    assert house.prompts()[-1] == [("system", SYSTEM), *said]


def test_what_was_done_is_not_repeated_and_what_was_said_is_remembered(house):
    chat = house.ask("my name is Ada")
    house.quiet()
    calls = len(house.cloud.models.calls())
    again(house)
    house.quiet()
    assert len(house.cloud.models.calls()) == calls and len(sent(house, chat)) == 1
    house.ask("who am I?", chat)
    spoken = [("user", "my name is Ada"), ("assistant", "my name is Ada"), ("user", "who am I?")]
    assert house.prompts()[-1] == [("system", SYSTEM), *spoken]


def test_commands_that_were_carried_out_do_not_come_again(house):
    chat = house.ask("something")
    house.say("/help", chat)
    house.wait(lambda: "/retry" in house.newest(chat))
    house.say("/new", chat)
    house.last(chat, "A new conversation begins.")
    house.quiet()
    again(house)
    house.ask("after", chat)
    assert len(house.texts(chat)) == 4
    assert house.prompts()[-1] == [("system", SYSTEM), ("user", "after")]


# What Telegram has done meanwhile.


def test_a_message_that_the_person_has_deleted_is_sent_anew_and_stays(house):
    house.cloud.models.default(text=WORDS, delay=0.5)
    chat = house.say("count")
    house.wait(lambda: "two" in "".join(house.texts(chat)))
    noted(house)
    house.cloud.telegram.remove(chat, house.cloud.telegram.messages(chat)[0].id)
    again(house, text=WORDS, delay=0.3)
    house.last(chat, WORDS)
    house.quiet()
    assert house.texts(chat) == [WORDS] and len(sent(house, chat)) == 2


def test_ids_that_start_anew_while_it_was_down_are_answered(house):
    chat = house.ask("before")
    house.quiet()
    house.kill()
    house.cloud.telegram.restart_ids()
    house.say("after", chat)
    house.start()
    house.last(chat, "after")
    house.quiet()
    again(house)
    house.ask("and on", chat)
    assert house.texts(chat) == ["before", "after", "and on"]


@pytest.mark.parametrize(
    "status, words",
    [(403, "Forbidden: bot was blocked by the user"), (400, "Bad Request: chat not found")],
)
def test_a_chat_that_refuses_for_good_blocks_nobody_else(house, status, words):
    body = {"ok": False, "error_code": status, "description": words}
    house.cloud.models.default(first=30.0)
    gone, chat = house.say("from the gone"), house.chat()
    asked(house)
    house.say("from another", chat)
    house.wait(lambda: not house.cloud.telegram.pending())
    house.kill()
    house.cloud.models.default(mode="echo")
    fault = house.cloud.fault("telegram", "sendMessage", "status", 1, status=status, body=body)
    house.start()
    house.last(chat, "from another")
    house.quiet()
    assert fault.applied == 1 and not house.texts(gone)


def test_another_bot_begins_a_ledger_of_its_own(tmp_path):
    with House(tmp_path / "house") as house:
        house.cloud.models.default(first=30.0)
        chat = house.say("to the first bot")
        asked(house)
        house.kill()
        token = "987654321:FAKE-token-of-another-bot"
        house.config["telegram"]["token"] = house.cloud.telegram.api.token = token
        house.cloud.telegram.restart_ids(5)
        house.cloud.models.default(mode="echo")
        house.start()
        house.ask("to the second bot", OWNER)
        house.quiet()
        assert not house.texts(chat) and len(house.cloud.models.calls()) == 2


# Poison.


def test_a_message_that_ends_every_attempt_is_closed_after_three_and_the_next_is_answered(house):
    house.cloud.models.script(3, text=WORDS, delay=0.5)
    chat = house.say("poison")
    house.say("wholesome", chat)
    for attempt in range(1, 4):
        asked(house, attempt)
        house.wait(lambda: "two" in "".join(house.texts(chat)))
        house.kill()
        house.start()
    house.last(chat, "wholesome")
    assert house.texts(chat) == [POISON, "wholesome"] and len(sent(house, chat)) == 2
    assert house.cloud.models.count() == 4


@pytest.mark.parametrize("cause", ["power-on", "soft reset"])
def test_losing_power_is_not_blamed_on_the_message(house, cause):
    house.cloud.models.script(5, first=30.0)
    chat = house.say("unlucky")
    for attempt in range(1, 6):
        asked(house, attempt)
        house.kill()
        house.start(cause=cause)
    house.last(chat, "unlucky")


def test_restarts_that_somebody_asked_for_are_not_blamed_on_the_message(tmp_path):
    with House(tmp_path / "house", board=Kept) as house:
        house.cloud.models.script(5, first=30.0)
        chat = house.say("unlucky")
        for attempt in range(1, 6):
            asked(house, attempt)
            house.board.tell("reboot")
            house.wait(lambda attempt=attempt: house.board.starts == attempt + 1, 20)
        house.last(chat, "unlucky", 20)


# While it starts.


def test_power_that_goes_while_it_starts_for_the_first_time_leaves_a_flash_to_start_from(tmp_path):
    with House(tmp_path / "house") as house:
        house.kill()
        for step in range(12):
            house.flash.unlink(missing_ok=True)
            for delay in (0.015 * step, 0.01):
                house.start()
                time.sleep(delay)
                house.kill()
        house.start()
        house.ask("hello", OWNER)
