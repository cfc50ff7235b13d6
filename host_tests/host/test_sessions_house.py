"""Many chats in the heap of a Pico W and on its small flash: each has its own memory."""

import re

import pytest
from memory_kit import Pressed
from relay_kit import House

FIRMWARE_KB = 360  # more than the firmware takes as .mpy
SECRET = "the-word-is-%s-"
ARCHIVED = "There is nothing in the archive."


def words(chat, number) -> str:
    return f"chat {chat} says {number}".ljust(90, "x")


@pytest.mark.parametrize("count", [1, 4, 32, 200])
def test_each_chat_remembers_its_own_last_turns_and_nobody_elses(tmp_path, count):
    chats = [100000 + number for number in range(count)]
    rounds = 3 if count > 4 else 6
    settings = {"telegram": {"allow": [42, *chats]}}
    with Pressed(tmp_path, few=True, settings=settings, heap="176k") as house:
        for chat in chats:
            house.cloud.telegram.chat(chat)
        house.do("fast")
        house.do(f"load {FIRMWARE_KB}")
        number = 0
        for part in (rounds - 1, 1):
            for _ in range(part):
                for chat in chats:
                    house.cloud.telegram.say(chat=chat, user=chat, text=words(chat, number))
                    if house.cloud.telegram.pending() > 20:
                        house.wait(lambda: house.cloud.telegram.pending() < 10, 150)
                number += 1
            total = count * number
            house.wait(lambda total=total: house.cloud.models.count() >= total, 120)
            house.quiet()
            if part > 1:
                house.restart()
                house.do("fast")
        seen = set()
        for prompt in house.prompts():
            texts = [text for _, text in prompt]
            if texts[-1].startswith("Summarize"):
                continue
            chat = texts[-1].split()[1]
            assert all(text.split()[1] == chat for text in texts), texts
            assert [role for role, _ in prompt] == ["user", "assistant"] * (len(prompt) // 2) + [
                "user"
            ]
            asked = texts[::2]
            last = int(asked[-1].split()[3].rstrip("x"))
            # What was said just before is there, from memory or from flash, after a restart too.
            if last:
                assert len(asked) > 1 and words(chat, last - 1) == asked[-2], (chat, last, asked)
            seen.add((chat, last))
        assert len(seen) == count * rounds
        status = house.board.status()
        assert status["dropped"] == status["duplicates"] == status["inbox"] == 0
        assert status["pressure"] != "critical"


def test_a_start_on_a_flash_in_use_has_as_much_room_for_conversations_as_the_first(tmp_path):
    with House(tmp_path, heap="176k") as house:
        counts = []
        for number in range(3):
            house.ask(f"{number}")
            line = next(line for line in house.board.log if "relay up" in line)
            counts.append(int(re.search(r"(\d+) segments", line)[1]))
            house.board.stop()
            house.start()
    # What reading the journal leaves must not lie among what stays: of holes that are smaller than
    # a segment nobody has anything. Some more or less are luck.
    assert min(counts) >= counts[0] - 4 > 4, counts


def test_a_conversation_comes_back_whole_while_there_is_room_for_it(tmp_path):
    with Pressed(tmp_path) as house:
        house.do("fast")
        chat = house.chat()
        for number in range(10):
            house.ask(words(chat, number).ljust(400, "x"), chat)
        for _ in range(6):  # as many as there are places
            house.ask("hi")
        state = house.state()
        assert str(chat) not in state["chats"] and state["fill"] < 60
        house.ask("and now?", chat)
        assert len(house.prompts()[-1]) == 21


def test_what_was_forgotten_is_in_no_file_and_not_in_the_next_prompt(tmp_path):
    with Pressed(tmp_path) as house:
        house.do("fast")
        mine, yours = house.chat(), house.chat()
        for number in range(4):
            house.ask(SECRET % mine + str(number), mine)
            house.ask(SECRET % yours + str(number), yours)
        house.say("/forget", mine)
        house.last(mine, "All that was said here is deleted.")
        house.quiet()
        for secret, there in ((SECRET % mine, False), (SECRET % yours, True)):
            held = [name for name in house.do("files")["files"] if secret in house.file(name)]
            assert bool(held) == there, held
        house.say("/history", mine)
        house.last(mine, ARCHIVED)
        house.restart()
        house.ask("hello", mine)
        assert house.prompts()[-1] == [("user", "hello")]
        house.ask("hello", yours)
        assert len(house.prompts()[-1]) == 9


def test_history_sends_the_last_turns_of_whatever_characters(tmp_path):
    with Pressed(tmp_path) as house:
        house.do("fast")
        chat = house.chat()
        text = "ü🧵" * 200
        house.ask(text, chat)
        house.ask("short", chat)
        house.say("/new", chat)
        house.wait(lambda: len(house.texts(chat)) == 3)
        house.say("/history", chat)
        house.wait(lambda: len(house.texts(chat)) == 4)
        shown = house.texts(chat)[-1]
        assert shown == f"> {text}\n\n{text}\n\n> short\n\nshort"


def test_history_sends_of_much_the_newest_and_says_where_max_parts_ends_it(tmp_path):
    with Pressed(tmp_path, settings={"telegram": {"max_parts": 2}}) as house:
        house.do("fast")
        chat = house.ask("old" * 1200)
        house.ask("new" * 1300, chat)
        before = len(house.texts(chat))
        house.say("/history", chat)
        house.wait(lambda: len(house.texts(chat)) == before + 1)
        house.quiet(2)
        assert house.texts(chat)[before:] == ["new" * 1300]
        house.cloud.models.script(length=8000)
        house.say("/more", chat)
        house.wait(lambda: len(house.texts(chat)) == before + 3)
        house.quiet(2)
        house.config["telegram"]["max_parts"] = 1
        house.restart()
        house.say("/history", chat)
        house.wait(lambda: len(house.texts(chat)) == before + 4)
        house.quiet(2)
        assert house.texts(chat)[-1].endswith("\n\n(telegram.max_parts ends it here.)")


def test_history_shows_more_as_it_was_said(tmp_path):
    with Pressed(tmp_path) as house:
        house.do("fast")
        chat = house.ask("short")
        house.cloud.models.script(text="longer")
        house.say("/more", chat)
        house.last(chat, "longer")
        house.say("/history", chat)
        house.wait(lambda: len(house.texts(chat)) == 3)
        assert house.texts(chat)[-1] == "> short\n\nshort\n\n> /more\n\nlonger"


@pytest.mark.parametrize("days", [1, 5])
def test_turns_older_than_keep_days_go_daily(tmp_path, days):
    with Pressed(tmp_path, settings={"memory": {"keep_days": days}}) as house:
        house.do("fast")
        chat = house.chat()
        house.ask("old", chat)
        house.quiet()
        for hours, left in ((24 * days - 1, 1), (48, 0)):
            house.do(f"later {hours * 60}")
            house.say("/help", chat)  # ends the long poll: what is daily is done between messages
            house.quiet()
            house.wait(lambda left=left: house.state()["files"] == left)


def test_turns_older_than_keep_days_go_at_boot(tmp_path):
    with Pressed(tmp_path, settings={"memory": {"keep_days": 1}}) as house:
        house.do("fast")
        house.do(f"later {-3 * 1440}")
        house.ask("old")
        house.quiet()
        assert house.state()["files"] == 1
        house.restart()  # the clock is right again
        house.wait(lambda: house.state()["files"] == 0)


def test_a_clock_that_is_set_back_does_not_put_off_what_is_daily(tmp_path):
    with Pressed(tmp_path, settings={"memory": {"keep_days": 1}}) as house:
        house.do("fast")
        chat = house.chat()
        for days in (10, -10):
            house.do(f"later {days * 1440}")
            house.ask(f"{days}", chat)
            house.quiet()
        house.do(f"later {3 * 1440}")
        house.say("/help", chat)
        house.wait(lambda: house.state()["files"] == 0)
