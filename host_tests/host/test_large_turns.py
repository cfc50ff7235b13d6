"""Turns of many kilobytes, in the small heap of a Pico W, of a chat that left RAM."""

import pytest
from memory_kit import Pressed
from relay_kit import SUMMARY

QUESTION = "\u732b" * 3900  # 11,700 bytes
GAP = " [...] "
LONG = 18_000


@pytest.fixture
def start(tmp_path):
    """Starts a house of the test's own, in so large a heap."""
    houses = []

    def start(heap):
        houses.append(Pressed(tmp_path / heap, heap=heap).__enter__())
        houses[-1].do("fast")
        return houses[-1]

    yield start
    for house in houses:
        house.__exit__()


def grow(house, chat, name) -> None:
    """An exchange of a large question and a large answer."""
    answered = house.state()["answered"]
    house.cloud.models.script(length=LONG, unit=f"{name}_", deltas=20)
    house.say(f"{name} {QUESTION}", chat)
    house.wait(lambda: house.state()["answered"] > answered, 30)
    house.quiet()


def shortened(turn, role, begins) -> bool:
    said, text = turn
    if text.startswith(SUMMARY):  # for which a busy machine leaves the relay time
        text = text.partition("\n\n")[2]
    return said == role and GAP in text and text.startswith(begins)


@pytest.mark.parametrize("heap", ["176k", "200k"])
def test_a_large_last_exchange_comes_back_shortened_after_others_and_after_a_restart(start, heap):
    house = start(heap)
    chat, others = house.chat(), [house.chat() for _ in range(5)]
    grow(house, chat, "large")
    for number in range(12):
        for other in others:
            house.ask(f"{number} of {other} ".ljust(400, "x"), other)
    if str(chat) in house.state()["chats"]:
        assert not house.state()["chats"][str(chat)]  # it left RAM
    house.ask("and now?", chat)
    first, second, last = house.prompts()[-1]
    assert shortened(first, "user", "large ") and shortened(second, "assistant", "large_")
    assert last == ("user", "and now?")

    grow(house, chat, "again")
    for number in range(3):
        for other in others:
            house.ask(f"{number} of {other} ".ljust(400, "x"), other)
    house.restart()
    house.do("fast")
    for other in others:
        house.ask("hello", other)
    house.ask("and then?", chat)
    *_, first, second, last = house.prompts()[-1]
    assert shortened(first, "user", "again ") and shortened(second, "assistant", "again_")
    assert last == ("user", "and then?")
