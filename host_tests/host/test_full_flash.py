"""A flash that is full: nothing is lost, and the log and the status say so."""

import time

import pytest
from relay_kit import OWNER, House

# Fills the flash, or makes room again.
BALLAST = """
import os
from thimble.board.unix import Board

board = Board()
os.chdir("/flash")
try:
    for number in range(300):
        with open("ballast%d" % number, "wb") as file:
            for _ in range(8):
                file.write(bytes(4096))
                file.flush()
except OSError as error:
    print(error.errno)
board.close()
"""
# The last block, too: of what is larger than littlefs keeps beside a name, no more is taken.
BRIM = """
import os
from thimble.board.unix import Board

board = Board()
for size in (4000, 2000, 1000, 500, 300, 200):
    try:
        for number in range(300):
            with open("/flash/ballast_%d_%d" % (size, number), "wb") as file:
                file.write(bytes(size))
    except OSError as error:
        full = error.errno
print(full)
board.close()
"""
ROOM = """
import os
from thimble.board.unix import Board

board = Board()
for name in os.listdir("/flash"):
    if name.startswith("ballast"):
        os.remove("/flash/" + name)
board.close()
"""


@pytest.fixture
def house(tmp_path):
    with House(tmp_path / "house") as house:
        house.wait(lambda: house.cloud.telegram.polling())
        house.board.stop()
        yield house


def fill(house, device, *scripts):
    for script in scripts or (BALLAST,):
        done = device.run(script, house.board._command[1])
        assert done.stdout == "28\n", done.stderr


def test_without_room_for_the_journal_messages_wait_at_telegram(house, device):
    house.flash.unlink()
    fill(house, device)
    house.start()
    chats = [house.say(f"message {number}") for number in range(3)]
    error = house.wait(lambda: house.board.status()["error"])
    assert error == (
        "The flash cannot be written (error 28). It is full. Messages wait at Telegram meanwhile."
    )
    assert house.said().count("It is full") >= 2  # in the log and in the status
    assert house.cloud.telegram.pending() and not house.texts(OWNER)
    house.board.stop()
    device.run(ROOM, house.board._command[1])
    house.start()
    house.wait(lambda: all(house.texts(chat) for chat in chats))
    assert [house.texts(chat) for chat in chats] == [[f"message {n}"] for n in range(3)]


def test_without_room_for_what_was_said_messages_are_answered(house, device):
    fill(house, device)
    house.start()
    chat = house.ask(("long " * 500).strip())
    house.ask("short", chat)
    error = house.wait(lambda: house.board.status()["error"])
    assert error == "The flash is full: a part of what was said may not be kept."
    assert error in house.said()


def test_while_the_journal_takes_no_message_that_is_said_and_polls_keep_their_distance(
    house, device
):
    fill(house, device, BALLAST, BRIM)
    house.start()
    house.quiet()
    polls = house.cloud.telegram.count("getUpdates")
    chat = house.say("long " * 100)
    error = house.wait(lambda: house.board.status()["error"])
    assert "Messages wait at Telegram meanwhile." in error
    time.sleep(3)
    assert house.cloud.telegram.count("getUpdates") - polls < 12
    house.board.stop()
    device.run(ROOM, house.board._command[1])
    house.start()
    house.wait(lambda: house.texts(chat))


def test_what_was_said_long_ago_makes_room_for_the_journal(house, device):
    house.start()
    for number in range(4):  # that is two files, and a journal that was just made anew
        text = f"{number} " + "\u20ac" * 3900
        chat = house.say(text)
        house.wait(lambda chat=chat, text=text: "".join(house.texts(chat)) == text)
    house.quiet()
    house.board.stop()
    fill(house, device, BALLAST, BRIM)
    house.start()
    house.ask(("long " * 100).strip())
