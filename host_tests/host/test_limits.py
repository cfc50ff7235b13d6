"""Bounds on messages and calls, and what only the owner may do."""

import pytest
from relay_kit import GROUPS, OWNER, STRANGER, House, Kept

SLOWER = "You have written as much as you may in an hour."
USED_UP = "The model has been asked as often as it may be in a day. Please ask again tomorrow."
NAME = "@thimble_test_bot"


@pytest.fixture
def build(tmp_path):
    """Makes a house with these limits, to be entered."""
    return lambda **limits: House(tmp_path, settings={"limits": limits})


def test_beyond_an_hours_messages_a_person_is_told_once_and_then_not_heard(build):
    with build(per_user_hour=3) as house:
        for number in range(3):
            house.ask(f"message {number}", OWNER)
        for _ in range(4):
            house.say("too much", OWNER)
        house.wait(lambda: house.newest(OWNER).startswith(SLOWER))
        house.quiet()
        assert len(house.texts(OWNER)) == 4 and len(house.cloud.models.calls()) == 3
        assert house.cloud.telegram.pending() == 0

        house.say("/help", OWNER)  # what costs no call of the model is heard
        house.wait(lambda: "/retry asks" in house.newest(OWNER))
        house.say("/forget", OWNER)
        house.last(OWNER, "All that was said here is deleted.")
        house.ask("somebody else", house.chat())


def test_commands_that_need_no_model_are_free(build):
    with build(per_user_hour=2) as house:
        house.cloud.telegram.say_many(["/new", "/history", "/forget", "/help"], OWNER)
        house.ask("one", OWNER)
        house.cloud.telegram.say_many(["/retry", "/retry"], OWNER)
        house.wait(lambda: house.newest(OWNER).startswith(SLOWER))
        house.quiet()
        assert len(house.cloud.models.calls()) == 2


def test_an_hours_messages_are_a_persons_wherever_they_are_written(build):
    with build(per_user_hour=2) as house:
        house.ask(f"{NAME} one", GROUPS[0], user=STRANGER)
        house.ask(f"{NAME} two", GROUPS[1], user=STRANGER)
        house.say(f"{NAME} three", GROUPS[1], user=STRANGER)
        house.wait(lambda: house.newest(GROUPS[1]).startswith(SLOWER))
        house.ask(f"{NAME} I", GROUPS[1], user=OWNER)


def test_beyond_a_days_calls_each_chat_is_told_once_and_the_model_is_left_alone(build):
    with build(calls_per_day=2) as house:
        one = house.ask("first")
        house.ask("second", one)
        house.say("third", one)
        house.last(one, USED_UP)
        two = house.say("hello")
        house.last(two, USED_UP)
        house.say("fourth", one)
        house.say("/new", one)
        house.last(one, "A new conversation begins.")
        house.quiet()

        assert house.texts(one)[-2:] == [USED_UP, "A new conversation begins."]
        assert house.texts(two) == [USED_UP]
        assert len(house.cloud.models.calls()) == 2


def test_tries_count_as_calls(build):
    with build(calls_per_day=2) as house:
        house.cloud.models.default(status=503, message="overloaded")
        chat = house.say("hello")
        house.wait(lambda: house.texts(chat)[-1:] == [USED_UP], 30)
        assert len(house.cloud.models.calls()) == 2


def test_whoever_was_told_to_wait_is_told_that_the_calls_are_used_up(build):
    with build(calls_per_day=6) as house:
        house.cloud.models.default(status=503, message="overloaded")
        chat = house.say("one")
        house.wait(lambda: house.texts(chat), 30)
        house.say("two", chat)
        house.quiet()
        house.wait(lambda: house.board.status()["inbox"] == 0, 60)
        assert house.texts(chat)[1:] == [USED_UP] * 2


def test_the_second_try_of_a_conversation_that_is_too_long_counts_too(build):
    with build(calls_per_day=3) as house:
        chat = house.ask("one".ljust(100, "x"))
        house.ask("two".ljust(100, "x"), chat)
        house.say("three [[context=20]]", chat)
        house.wait(lambda: "too long for the model" in house.newest(chat))
        house.say("four", chat)
        house.last(chat, USED_UP)
        assert len(house.cloud.models.calls()) == 3


def test_tries_behind_one_that_was_too_long_do_not_pass_the_days_bound(build):
    with build(calls_per_day=4) as house:
        chat = house.ask("one".ljust(100, "x"))
        house.ask("two".ljust(100, "x"), chat)
        house.cloud.models.default(status=503, message="overloaded")
        house.cloud.models.script(context=20)
        house.say("three", chat)
        house.last(chat, USED_UP, 60)
        assert len(house.cloud.models.calls()) == 4


def test_only_the_owner_sets_the_model(build):
    with build() as house:
        other = house.say("/model simulated-reasoner-1")
        house.last(other, "Only the owner can set the model.")
        house.say("/model simulated-reasoner-1", OWNER)
        house.last(OWNER, "From now on simulated-reasoner-1 answers, until the next restart.")
        house.ask("hello", other)
        assert house.cloud.models.calls()[-1].params["model"] == "simulated-reasoner-1"


def test_only_the_owner_reboots_which_happens_once_and_loses_nothing(tmp_path):
    with House(tmp_path, board=Kept) as house:
        other = house.ask("before")
        house.say("/reboot", other)
        house.last(other, "Only the owner can restart me.")
        house.cloud.telegram.say_many(["/reboot", "after"], OWNER)
        house.last(OWNER, "after", 20)
        house.quiet()
        assert house.board.starts == 2
        assert house.texts(OWNER) == ["Restarting.", "after"]
        assert house.board.status()["reset_cause"] == "restart"
        assert house.cloud.telegram.pending() == 0


def test_a_command_that_comes_while_a_reboot_is_confirmed_is_not_lost(tmp_path):
    with House(tmp_path, board=Kept) as house:
        house.ask("before", OWNER)
        house.quiet()
        house.cloud.fault("telegram", "sendMessage", "delay", seconds=1.0)
        house.say("/reboot", OWNER)
        house.last(OWNER, "Restarting.")
        house.say("/help", OWNER)
        house.wait(lambda: house.board.starts == 2, 20)
        house.ask("after", OWNER, timeout=20)
        house.quiet()
        assert len(house.texts(OWNER)) == 4 and "/new begins" in house.texts(OWNER)[2]


def test_a_reboot_counts_though_telegram_could_not_be_told(tmp_path):
    with House(tmp_path, board=Kept) as house:
        house.ask("before", OWNER)
        house.quiet()
        house.say("/reboot", OWNER)
        house.last(OWNER, "Restarting.")
        house.cloud.fault("telegram", "getUpdates", "close", reset=True, times=1)
        house.ask("after", OWNER, timeout=20)
        house.quiet()
        assert house.board.starts == 2 and house.texts(OWNER)[1:] == ["Restarting.", "after"]


def test_stop_while_it_is_said_that_the_calls_are_used_up_closes_nothing_twice(build):
    with build(calls_per_day=1) as house:
        chat = house.ask("first")
        fault = house.cloud.fault("telegram", "sendMessage", "status", times=3, status=502)
        house.say("second", chat)
        house.wait(lambda: fault.applied)
        house.say("/stop", chat)
        house.wait(lambda: USED_UP in house.texts(chat), 20)
        house.say("/new", chat)
        house.last(chat, "A new conversation begins.")
        house.wait(lambda: house.board.status()["inbox"] == 0)
