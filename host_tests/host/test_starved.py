"""Memory fails in spite of all: it costs at most that answer, and the next message works.

The collector is stopped, the heap filled with tuples of one block each, and K of these are freed,
while a message is there to be answered.
"""

import itertools
import os
import time

import pytest
from memory_kit import Pressed
from relay_kit import POISON

from tools import firmware

STARVED = "(Memory ran out here. /retry asks again; send a command again.)"
BLOCK = 16
LEAST = 100  # so many blocks are tried in any case


def counts():
    """How many blocks are free: more and more, and each number if the environment has EACH."""
    if os.environ.get("EACH"):
        yield from itertools.count()
    count = 0
    while True:
        yield count
        count = int(max(count + 16, count * 1.5))


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    with Pressed(tmp_path_factory.mktemp("starved")) as house:
        house.do("fast")
        yield house


def valid(roles) -> bool:
    """Whether a conversation's turns begin with the user and alternate."""
    return all(role == number % 2 for number, role in enumerate(roles))


def at_rest(state):
    """The state of a relay that has ended what it did, else None."""
    return None if state["busy"] or state["inbox"] else state


def starve(house, chat, count, how) -> bool:
    """One message with so many blocks free, and one after it; whether the first was answered."""
    before = len(house.texts(chat))
    if how == "cold":
        house.do("cold")
    house.do(f"{'poll' if how == 'poll' else 'starve'} {count}")
    house.say(f"starved {count}", chat)
    house.wait(lambda: house.texts(chat)[before:], 60)  # the network may back off
    house.wait(lambda: house.cloud.telegram.polling(), 20)
    house.ask(f"next {count}", chat, timeout=20)

    said = house.texts(chat)[before]
    assert said in (f"starved {count}", STARVED, f"starved {count}\n\n{STARVED}"), said
    assert len(house.texts(chat)) == before + 2
    state = house.wait(lambda: at_rest(house.state()))
    # The heap was as full as it should be; the filling itself leaves a few dead blocks.
    assert state["left"] <= BLOCK * (count + 64), state
    assert valid(state["chats"][str(chat)]), (count, state)
    assert house.prompts()[-1][-1] == ("user", f"next {count}")
    assert house.board.process.poll() is None
    house.cloud.clear_calls()
    return STARVED not in said


@pytest.mark.parametrize("how", ["warm", "poll", "cold"])
def test_with_any_number_of_free_blocks_the_person_is_answered_or_told(house, how):
    chat = house.chat()
    for number in range(3):
        house.ask(f"warm {number}", chat)
    passed = 0
    for count in counts():
        answered = starve(house, chat, count, how)
        # With its connections kept a message needs no heap; new ones do.
        assert count or answered == (how != "cold")
        passed = passed + 1 if answered else 0
        if passed >= 3 and count >= LEAST:
            break
    assert count < 10_000


def test_nothing_is_left_in_the_journal_and_nothing_is_answered_again(house):
    chat = house.chat()
    house.do("cold")
    house.do("starve 0")
    house.say("starved", chat)
    house.wait(lambda: house.texts(chat), 60)
    house.quiet()
    house.restart()
    house.ask("next", chat, timeout=20)
    house.quiet()

    assert house.texts(chat) == [STARVED, "next"]
    assert house.state()["inbox"] == 0
    assert house.board.status()["received"] == 1


@pytest.mark.parametrize("command", ["/help", "/status", "/history", "/new", "/forget", "/retry"])
def test_a_command_without_memory_costs_at_most_its_answer(house, command):
    for count in (0, 250):
        chat = house.ask("before")
        house.do("cold")
        house.do(f"starve {count}")
        house.say(command, chat)
        house.wait(lambda chat=chat: len(house.texts(chat)) == 2, 60)
        house.wait(lambda: house.cloud.telegram.polling(), 20)
        house.ask("after", chat, timeout=20)
        assert valid(house.state()["chats"][str(chat)])


@pytest.mark.parametrize("count", [0, 120, 500])
def test_a_conversation_that_could_not_be_loaded_is_whole_the_next_time(tmp_path, count):
    with Pressed(tmp_path) as house:
        chat = house.ask("one")
        house.restart()
        house.do(f"starve {count}")
        house.say("two", chat)
        house.wait(lambda: len(house.texts(chat)) == 2)
        house.wait(lambda: house.cloud.telegram.polling(), 20)
        house.ask("three", chat, timeout=20)

        said = [text for _, text in house.prompts()[-1]]
        assert said[:2] == ["one", "one"] and said[-1] == "three"


@pytest.mark.parametrize("count", [0, 120, 500])
def test_a_compaction_without_memory_ends_nothing(tmp_path, count):
    with Pressed(tmp_path, settings={"memory": {"max_messages": 10}}) as house:
        house.do("fast")
        chat = house.chat()
        for number in range(5):
            house.ask(f"{number}", chat)
        house.do("turns 2")
        house.do(f"starve {count}")
        house.say("5", chat)
        house.wait(lambda: len(house.texts(chat)) == 6)
        house.wait(lambda: house.cloud.telegram.polling(), 20)
        house.ask("after", chat, timeout=20)
        house.wait(lambda: house.state()["busy"] is False)


def test_polls_that_find_no_memory_keep_their_distance(tmp_path):
    with Pressed(tmp_path) as house:
        house.ask("before")
        house.do("poor 3")
        house.say("wakes it")  # the poll that waits is the last good one, its answer finds none
        house.wait(lambda: house.state()["ran_out"] == 1)
        start = time.monotonic()
        house.wait(lambda: house.state()["ran_out"] == 4, 20)
        assert time.monotonic() - start > 2.5  # 0.5, 1 and 2 s between them
        house.ask("after", timeout=20)


@pytest.mark.parametrize("count", [0, 200])
def test_a_heap_that_stays_full_for_many_turns_ends_nothing(tmp_path, count):
    with Pressed(tmp_path) as house:
        house.do("fast")
        chat = house.ask("before")
        house.do("cold")
        house.do("turns 12")
        house.do(f"starve {count}")
        for number in range(4):
            house.say(f"during {number}", chat)
        house.wait(lambda: house.state().get("inbox") == 0 and house.cloud.telegram.polling(), 40)
        state = {}
        for number in range(12):  # each is a turn at least
            if "chats" not in state:
                house.ask(f"after {number}", chat, timeout=40)
                state = house.state()
        assert valid(state["chats"][str(chat)])


@pytest.mark.parametrize("count", [0, 40, 120, 250, 500])
@pytest.mark.parametrize("how", ["warm", "cold"])
def test_retry_asks_again_what_memory_ran_out_for(house, how, count):
    chat = house.ask("before")
    if how == "cold":
        house.do("cold")
    house.do(f"starve {count}")
    house.say("this", chat)
    house.wait(lambda: len(house.texts(chat)) == 2, 60)
    house.wait(lambda: house.cloud.telegram.polling(), 20)
    house.say("/retry", chat)
    house.wait(lambda: len(house.texts(chat)) == 3, 20)

    assert house.texts(chat)[-1] == "this"
    assert [text for _, text in house.prompts()[-1]][-3:] == ["before", "before", "this"]


@pytest.mark.parametrize("count", [0, 100])
def test_a_command_beside_an_answer_for_which_memory_runs_out_is_not_lost(house, count):
    first, second = house.chat(), house.ask("before")
    house.say("[[length=400 deltas=80 delay=0.1]]", first)
    house.wait(lambda: house.texts(first))
    house.do(f"starve {count}")
    house.say("/help", second)
    house.wait(lambda: len(house.texts(second)) == 2, 20)
    house.wait(lambda: house.newest(first).endswith(STARVED), 20)


@pytest.mark.parametrize("times", [2, 4, 6])
def test_where_not_even_the_apology_finds_memory_the_message_is_tried_again(house, times):
    chat = house.ask("before")
    house.do(f"mute {times}")
    house.say("this", chat)
    house.wait(lambda: house.texts(chat)[1:], 30)
    house.quiet()

    said = "this" if times < 6 else POISON
    assert house.texts(chat) == ["before", said]


def test_while_not_even_a_poll_finds_memory_no_attempt_is_spent(tmp_path):
    with Pressed(tmp_path) as house:
        chat = house.ask("before")
        house.do("poor 3")
        house.say("this", chat)  # the poll that waits is the last good one
        house.last(chat, "this", 20)

        assert house.texts(chat) == ["before", "this"]
        assert [turns[-1][1] for turns in house.prompts()] == ["before", "this", "this"]


def test_where_the_apology_cannot_be_sent_the_message_is_tried_again(tmp_path):
    with Pressed(tmp_path) as house:
        house.do("hasty")
        house.do("mute 1")
        house.cloud.fault("telegram", "sendMessage", "status", None)
        chat = house.say("this")
        house.wait(lambda: any("left for later" in line for line in house.board.log), 20)
        house.cloud.clear_faults()
        house.last(chat, "this", 20)


def test_a_message_for_which_memory_never_suffices_is_given_up(house):
    chat = house.ask("before")
    answered = house.state()["answered"]
    house.do("mute 100")
    house.say("never", chat)
    house.wait(lambda: house.state()["answered"] > answered, 30)
    calls = house.state()["calls"]
    house.do("mute 0")
    house.ask("next", chat, timeout=60)  # the polls have kept their distance

    assert house.texts(chat) == ["before", "next"]
    assert len([1 for turns in house.prompts() if turns[-1][1] == "never"]) == 3
    assert house.state()["calls"] == calls + 1


def told(house, text, chat):
    """Says what the person is told of that memory ran out for it."""
    before = len(house.texts(chat))
    house.say(text, chat)
    house.wait(lambda: house.texts(chat)[before:], 20)
    assert house.texts(chat)[before:] == [STARVED]


def test_where_memory_runs_out_message_upon_message_a_restart_answers_the_third(tmp_path):
    with Pressed(tmp_path) as house:
        house.do("fast")
        chat, other = house.ask("before"), house.chat()
        house.do("short 3")
        told(house, "one", chat)
        told(house, "two", other)
        house.say("/help", other)
        house.wait(lambda: len(house.texts(other)) == 2)
        house.say("three", chat)
        house.say("four", other)
        assert house.board.process.wait(20) == firmware.RESTART
        assert house.texts(chat) == ["before", STARVED]

        house.board.stop()
        house.start()
        house.last(chat, "three", 20)
        house.last(other, "four", 20)
        house.quiet()
        assert house.texts(chat) == ["before", STARVED, "three"]
        assert house.board.status()["reset_cause"] == "restart"
        assert house.prompts()[-2][-3:] == [
            ("user", "before"),
            ("assistant", "before"),
            ("user", "three"),
        ]


# Each of these overlay's functions finds no memory the first time that it is called.
_POOR_START = """
from thimble import overlay

_call = overlay.call
_poor = ["begin_day", "clean", "greet"]


def call(module, function, *args):
    if function in _poor:
        _poor.remove(function)
        raise MemoryError
    return _call(module, function, *args)


overlay.call = call
"""


def test_a_start_that_finds_no_memory_is_begun_again(tmp_path):
    house = Pressed(tmp_path)
    house._source = house._source.replace("def main():", _POOR_START + "\n\ndef main():")
    with house:
        chat = house.ask("hello", timeout=20)
        assert house.state()["ran_out"] == 3
        house.quiet()
        assert house.texts(chat) == ["hello"]
        assert "crash.txt" not in house.do("files")["files"]


def test_an_answer_between_them_shows_that_memory_suffices(house):
    house.do("fast")
    chat = house.chat()
    for number in range(2):
        house.do("short 2")
        told(house, f"one {number}", chat)
        told(house, f"two {number}", chat)
        house.ask(f"three {number}", chat, timeout=20)
