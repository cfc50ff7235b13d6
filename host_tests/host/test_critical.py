"""Critical pressure: heap that is taken away from outside is given back by the relay."""

import re

import pytest
from memory_kit import Pressed
from relay_kit import House

CRITICAL = 2
FEW = 4
LEFT = 500


@pytest.fixture
def house(tmp_path):
    with Pressed(tmp_path) as house:
        house.do("fast")
        yield house


def talk(house, chats, count=6, size=120):
    for number in range(count):
        for chat in chats:
            house.ask(f"{number} of {chat} ".ljust(size, "x"), chat)


def squeeze(house) -> None:
    """Takes nearly all the heap there is away, and lets the relay look."""
    assert house.do(f"take {LEFT}")["heap"] >= 90
    house.do("look")


def test_a_board_whose_other_heap_is_short_closes_the_idle_connection(house):
    chat = house.ask("hello")
    before = house.state()
    assert before["model_open"] and before["level"] == 0
    house.do("outside 95")
    house.do("look")
    assert house.state()["level"] == CRITICAL
    house.ask("and again", chat)
    assert house.state()["handshakes"] == before["handshakes"] + 1
    house.do("outside 10")
    house.do("look")
    assert house.state()["level"] == 0


def test_heap_taken_from_outside_is_given_back_and_taken_again_when_there_is_room(house):
    first, second = house.chat(), house.chat()
    talk(house, (first, second))
    rested = house.state()
    assert rested["level"] == 0 and rested["model_open"] and rested["cached"]
    assert rested["chats"][str(second)] == [0, 1] * 6

    squeeze(house)
    after = house.state()
    assert after["level"] == CRITICAL
    # The last turns of the one used last; the others come back from flash.
    assert after["chats"] == {str(second): [0, 1] * (FEW // 2)}
    assert after["segments"] < rested["segments"] and after["heap"] < 60
    assert after["compactions"] > rested["compactions"]

    house.ask("still there", first, timeout=20)
    # Its connection had been closed.
    assert house.state()["handshakes"] == rested["handshakes"] + 1
    said = [text for _, text in house.prompts()[-1]]
    assert (
        said[-1] == "still there" and len(said) > 1 and all(f"of {first}" in t for t in said[:-1])
    )

    house.do("give")
    house.do("look")
    eased = house.state()
    # All but what the reserve now needs more than at boot.
    assert eased["level"] == 0 and after["segments"] < eased["segments"]
    assert eased["segments"] >= rested["segments"] - 3
    house.ask("and now?", second)
    assert len(house.prompts()[-1]) > FEW


def test_what_is_seen_while_an_answer_is_written_costs_all_others_but_not_that_one(house):
    other, chat = house.chat(), house.chat()
    talk(house, (other, chat), 5)
    house.cloud.models.script(length=1500, deltas=60, delay=0.1)
    house.say("long", chat)
    house.wait(lambda: len(house.texts(chat)) == 6)
    house.do(f"take {LEFT}")
    house.do("battery 4000")  # what is done every 30 s is due
    state = house.wait(lambda: house.state()["level"] == CRITICAL and house.state())
    assert state["busy"] and state["chats"] == {str(chat): [0, 1] * 6}

    house.wait(lambda: not house.state()["busy"], 20)
    answer = house.texts(chat)[-1]
    assert len(answer) == 1500
    house.ask("next", chat)
    assert [text for _, text in house.prompts()[-1]][-3:] == ["long", answer, "next"]


def test_who_writes_much_without_a_pause_keeps_the_connection_to_the_model(tmp_path):
    """A handshake takes a board seconds, and no segment comes of it."""
    with House(tmp_path, settings={"memory": {"elevated": 61, "critical": 62}}) as house:
        chat = house.chat()
        for number in range(16):
            house.say(f"{number} ".ljust(2500, "x"), chat)
        house.wait(lambda: house.newest(chat).startswith("15 "), 40)
        house.wait(lambda: house.board.status()["compactions"])
        assert house.board.status()["handshakes"] == 2
        # As many exchanges as there is room for stand in every prompt, and then in a summary.
        assert all(len(said) >= 5 for said in house.prompts()[2:16])
        assert house.prompts()[16][-1][1].startswith("Summarize our conversation")


def test_connection_and_addresses_go_and_a_report_is_written(house):
    chat = house.chat()
    talk(house, (chat,), 2)
    squeeze(house)
    # What is asked at once needs no model: the connection stays closed behind it.
    house.say("/new", chat)
    house.wait(lambda: "new conversation" in house.newest(chat))
    house.wait(lambda: not house.state()["model_open"])
    # Telegram's own connection is in use; its address is asked for when it is made anew.
    assert house.state()["cached"] == 0
    report = house.file("memory.txt")
    assert "critical" in report and "segments" in report and "block of" in report


def test_a_report_tells_how_memory_stood_however_late_it_is_written(house):
    house.ask("hello")
    fill = house.state()["fill"]
    house.do("outside 10")
    squeeze(house)  # served in the wait of a poll; the report is written behind it
    house.do("give")
    house.do("look")
    assert house.state()["level"] == 0
    house.say("and now?")
    house.wait(lambda: "memory.txt" in house.do("files")["files"])
    line = house.file("memory.txt").split("\n")[0]
    segments, heap, outside = map(int, re.findall(r"(\d+) %", line))
    assert "critical" in line and segments == fill > 0 and 90 <= heap <= 100 and outside == 10


def test_a_report_is_written_each_time_it_gets_critical_and_only_then(house):
    chat = house.ask("hello")
    for count in (1, 2):
        house.do("outside 95")
        for number in range(3):  # as every 30 s, while it lasts
            house.do("look")
            house.ask(f"{number}", chat)  # between messages it would be written
        house.quiet()
        report = house.file("memory.txt")
        assert report.count("critical") == report.count("outside 95 %") == count
        house.do("outside 10")
        house.do("look")


def test_where_other_memory_stays_elevated_the_log_names_no_compaction_that_was_none(house):
    chat = house.ask("hello")
    house.do("outside 85")
    for number in range(3):  # as every 30 s, while it lasts
        house.do("look")
        house.ask(f"{number}", chat)
    house.quiet()
    state = house.state()
    assert (state["level"], state["compactions"]) == (1, 0)
    assert not [line for line in house.board.log if "compacted" in line]


@pytest.mark.parametrize("kb, same", [(0, True), (1000, True), (172, False), (20, False)])
def test_a_budget_caps_the_relay_under_its_heap(tmp_path, kb, same):
    with Pressed(tmp_path, settings={"memory": {"budget_kb": kb}}) as house:
        state = house.state()
        assert (state["segments"] >= 20) == same
        chat = house.chat()
        for number in range(4):
            house.ask(f"{number}", chat)
        house.do("look")
        state = house.state()
        assert state["level"] == 0, state
        assert state["chats"][str(chat)] == [0, 1] * 4


def test_a_command_of_the_console_is_carried_out_in_the_place_of_free_segments(tmp_path):
    with Pressed(tmp_path, heap="240k") as house:  # code from files takes the place of 40 segments
        chat = house.ask("hello")
        house.board.ask("config model.max_tokens 98")  # its names stay from now on
        house.do("look")
        before = house.state()["segments"]
        house.do("take 2000")
        assert house.board.ask("config model.max_tokens 99").startswith("saved;")
        assert house.state()["segments"] < before
        house.do("give")
        house.do("look")
        assert house.state()["segments"] >= before - 3
        house.ask("and again", chat)
