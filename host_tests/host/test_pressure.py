"""Critical pressure: heap that is taken away from outside is given back by the relay."""

import pytest
from memory_kit import Pressed

CRITICAL = 2
FEW = 4
REPORT_BYTES = 2048


@pytest.fixture
def house(tmp_path):
    with Pressed(tmp_path) as house:
        house.do("fast")
        yield house


def talk(house, chats, count=6, size=120):
    for number in range(count):
        for chat in chats:
            house.ask(f"{number} of {chat} ".ljust(size, "x"), chat)


def squeeze(house) -> dict:
    """Takes all the heap there is away, and lets the relay look; its state before it has."""
    held = house.do("take 1000000")["held"]
    assert held > 4000
    before = house.state()
    house.do("look")
    return before


def test_heap_taken_from_outside_is_given_back_and_taken_again_when_there_is_room(house):
    first, second = house.chat(), house.chat()
    talk(house, (first, second))
    rested = house.state()
    assert rested["level"] == 0 and rested["model_open"] and rested["cached"]
    assert rested["chats"][str(second)] == [0, 1] * 6

    before = squeeze(house)
    assert before["heap"] >= 90
    after = house.state()
    assert after["level"] == CRITICAL
    # The last turns of the one used last; the others come back from flash.
    assert after["chats"] == {str(second): [0, 1] * (FEW // 2)}
    assert after["segments"] < rested["segments"] and after["heap"] < 60
    assert after["compactions"] > rested["compactions"]

    house.ask("still there", first, timeout=20)
    house.wait(lambda: not house.state()["model_open"] or house.state()["handshakes"] >= 4)
    said = [text for _, text in house.prompts()[-1]]
    assert (
        said[-1] == "still there" and len(said) > 1 and all(f"of {first}" in t for t in said[:-1])
    )

    house.do("give")
    house.do("look")
    eased = house.state()
    assert eased["level"] == 0 and eased["segments"] == rested["segments"]
    house.ask("and now?", second)
    assert len(house.prompts()[-1]) > FEW


def test_connection_and_addresses_go_and_a_report_is_written(house):
    chat = house.chat()
    talk(house, (chat,), 2)
    squeeze(house)
    # What is asked at once needs no model: the connection stays closed behind it.
    house.say("/new", chat)
    house.wait(lambda: "new conversation" in house.texts(chat)[-1])
    house.wait(lambda: not house.state()["model_open"])
    # Telegram's own connection is in use; its address is asked for when it is made anew.
    assert house.state()["cached"] == 0
    report = house.file("memory.txt")
    assert "critical" in report and "segments" in report and "block of" in report


def test_reports_are_written_when_it_gets_critical_and_the_file_stays_small(house):
    chat = house.chat()
    talk(house, (chat,), 2)
    for number in range(14):
        house.do("take 1000000")
        for _ in range(3):  # as every 30 s, while it lasts
            house.do("look")
        house.say("/new", chat)
        house.wait(lambda number=number: len(house.texts(chat)) == 3 + number)
        house.wait(lambda: house.cloud.telegram.polling())
        house.do("give")
        house.do("look")
    report = house.file("memory.txt")
    assert 1000 < len(report) <= REPORT_BYTES
    # One for each time: the file holds the newest, whole lines of them.
    assert report.count("critical") <= 14
    assert all(line[0].isalpha() for line in report.splitlines())
    assert house.secrets[0] not in report and house.secrets[1] not in report


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
