"""Two weeks on a battery: no moment of long ago passes for one to come, or for just now."""

import collections
import itertools
import json
import random

import pytest
from relay_kit import WAITING
from weeks_kit import HOUR, Weeks

# What may be out of reach, and how; without a service: the power.
OUTAGES = (
    ("models", "status", {"status": 503}),
    ("models", "flood", {"retry_after": 4000}),
    ("models", "hang", {}),
    ("models", "close", {}),
    ("telegram", "status", {"status": 502}),
    ("telegram", "hang", {}),
    ("telegram", "close", {}),
    (None, None, None),
    (None, None, None),
)
HOW = ("", "[[first=20]]", "[[deltas=40 delay=0.5]]" + "x" * 3000)  # is answered


def test_two_weeks_with_long_silences_leave_everything_as_it_was(tmp_path):
    hours = (0.2, 0.3, 24, 24, 24.01, 176, 176.1, 310)
    chats = (101, 102, 103)
    opened, flash = [], []
    with Weeks(tmp_path / "house", settings={"memory": {"keep_days": 3}}) as house:
        say = house.cloud.telegram.say
        for (number, hour), chat in itertools.product(enumerate(hours), chats):
            house.at(hour, say, chat=chat, text=f"message {number}")
        house.at(160, say, chat=101, text="/history")
        house.at(311, say, chat=102, text="/history")
        for hour in range(12, 313, 12):
            house.at(hour - 0.5, lambda: opened.append(house.cloud.counts()["open"]))
        for hour in (150, 159):
            house.at(hour, lambda: flash.extend(p.read_bytes() for p in tmp_path.rglob("*.img")))
        for hour in (25, 313):
            house.at(hour, house.board.tell, "status")
        house.until(314)

        for chat in chats:
            texts = [text for text in house.texts(chat) if text.startswith("message")]
            assert texts == [f"message {number}" for number in range(len(hours))]
        assert "There is nothing in the archive." in house.texts(101), "older than keep_days"
        assert house.texts(102)[-1] == "> message 7\n\nmessage 7"
        for change in house.changes(103):
            hour = (change["time"] - house.began) / 3600
            assert any(-0.001 < hour - said < 0.02 for said in hours), "nobody has to wait"
        first, last = (json.loads(line) for line in house.board._lines.queue)
        assert (first["uptime_s"] // 3600, last["uptime_s"] // 3600) == (25, 313)
        assert 0 <= last["last_poll_s"] <= 60
        assert last["heap_used"] < first["heap_used"] + 1024, "no more each day"
        assert flash[0] == flash[1], "idle, it writes nothing"
        assert opened == [{"telegram": 1}] * 26, "the model's connection is closed when idle"
        assert not [line for line in house.board.log if "step" in line]


def test_a_message_waits_no_longer_than_patience_whatever_the_model_asks_for(tmp_path):
    with Weeks(tmp_path / "house", settings={"model": {"patience_min": 90}}) as house:
        house.cloud.fault("models", None, "flood", 9, retry_after=80_000)
        house.at(0.2, house.cloud.telegram.say, chat=101, text="hello")
        house.until(3)

        (closed,) = [one for one in house.changes(101) if "for too long" in one["text"]]
        assert 1.7 <= (closed["time"] - house.began) / 3600 < 1.75


def test_how_long_a_model_asked_for_is_forgotten_when_that_is_over(tmp_path):
    with Weeks(tmp_path / "house") as house:
        house.cloud.fault("models", "chat", "flood", retry_after=300)
        gone = house.cloud.fault("models", "chat", "close", times=2)
        house.at(0.1, house.cloud.telegram.say, chat=101, text="hello")
        house.until(0.3)

        assert house.texts(101) == [WAITING, "hello"] and gone.applied == 2
        _, *calls = [call.time for call in house.cloud.models.calls()]
        assert all(later - earlier < 30 for earlier, later in itertools.pairwise(calls))


def test_a_model_that_asks_for_months_is_asked_again_after_a_day(tmp_path):
    with Weeks(tmp_path / "house", settings={"model": {"patience_min": 100_000}}) as house:
        house.cloud.fault("models", None, "flood", retry_after=10_000_000)
        house.at(0.2, house.cloud.telegram.say, chat=101, text="hello")
        house.until(25)

        _, answered = house.changes(101)
        assert answered["text"] == "hello"
        assert 24.2 <= (answered["time"] - house.began) / 3600 < 24.21


def test_for_whoever_was_told_to_wait_the_model_is_tried_once_at_a_time(tmp_path):
    with Weeks(tmp_path / "house") as house:
        house.cloud.models.default(status=503)
        house.at(0.1, house.cloud.telegram.say, chat=101, text="hello")
        house.until(0.3)

        _, _, _, *calls = [call.time for call in house.cloud.models.calls()]
        waits = [later - earlier for earlier, later in itertools.pairwise(calls)]
        assert house.texts(101) == [WAITING] and len(waits) > 10
        for longest, waited in zip((5, 10, 20, 40, *[60] * len(waits)), waits, strict=False):
            assert longest / 2 <= waited < longest + 2, waits


def test_answers_that_are_none_count_as_long_as_none_comes_between(tmp_path):
    with Weeks(tmp_path / "house") as house:
        for number in range(5):
            hour = 0.1 + number / 10
            house.at(hour, house.cloud.fault, "models", "chat", "garbage_body")
            house.at(hour, house.cloud.telegram.say, chat=101, text=f"message {number}")
        house.until(0.6)

        assert house.texts(101) == [f"message {number}" for number in range(5)]
        assert len(house.prompts()) == 10


def test_the_only_question_of_a_conversation_is_not_dropped_because_it_is_too_long(tmp_path):
    with Weeks(tmp_path / "house") as house:
        house.cloud.models.default(mode="echo", context=5)
        house.at(0.1, house.cloud.telegram.say, chat=101, text="hello".ljust(100, "x"))
        house.at(0.2, house.cloud.telegram.say, chat=101, text="/retry")
        house.until(0.3)

        assert len(house.texts(101)) == 2
        assert all("too long for the model" in said for said in house.texts(101))
        assert [len(turns) for turns in house.prompts()] == [1, 1]


def test_a_full_inbox_is_polled_every_four_seconds_in_an_outage_and_commands_are_taken(tmp_path):
    with Weeks(tmp_path / "house") as house:
        house.cloud.models.default(status=503)
        say, polls = house.cloud.telegram.say, []
        for number in range(8):
            house.at(0.1, say, chat=101, text=f"{number}".ljust(4000, "x"))
        for text in ("more than there is room for", "/help", "/stop"):
            house.at(0.15, say, chat=102, text=text)
        for hour in (0.2, 0.3):
            house.at(hour, lambda: polls.append(house.cloud.telegram.count("getUpdates")))
        house.until(0.35)

        assert 80 <= polls[1] - polls[0] <= 90
        _, said = house.texts(102)
        assert house.cloud.telegram.pending() and said == "(Stopped.)"


@pytest.mark.parametrize("result", [[], None])
def test_what_does_not_hold_a_poll_is_not_asked_all_the_time(tmp_path, result):
    body = {"ok": True, "result": result}
    with Weeks(tmp_path / "house") as house:
        polls = []
        house.at(
            0.1,
            house.cloud.fault,
            "telegram",
            "getUpdates",
            "status",
            None,
            0,
            status=200,
            body=body,
        )
        for hour in (0.2, 0.3):
            house.at(hour, lambda: polls.append(house.cloud.telegram.count("getUpdates")))
        house.at(0.4, house.cloud.clear_faults)
        house.at(0.4, house.cloud.telegram.say, chat=101, text="hello")
        house.until(0.45)

        assert polls[1] - polls[0] <= 120
        (answered,) = house.changes(101)
        assert answered["time"] - house.began - 0.4 * 3600 < 5


def test_a_name_that_telegram_does_not_tell_is_not_asked_for_all_the_time(tmp_path):
    house = Weeks(tmp_path / "house")
    house.cloud.fault("telegram", "getMe", "status", None, status=502)
    with house:
        house.at(0.1, house.cloud.telegram.say, chat=101, text="hello")
        house.at(0.9, house.cloud.clear_faults)
        house.until(1)

        calls = [call.time for call in house.cloud.telegram.calls("getMe")]
        (answered,) = house.changes(101)
        assert len(calls) < 100 and (calls[-1] - house.began) / 3600 < 0.92
        assert answered["time"] - house.began - 0.1 * 3600 < 5


def test_polls_are_long_again_once_nobody_waits_for_the_model_any_more(tmp_path):
    with Weeks(tmp_path / "house") as house:
        house.cloud.models.default(status=503)
        polls = []
        house.at(0.1, house.cloud.telegram.say, chat=101, text="blocked")
        house.at(0.2, house.cloud.telegram.block, chat=101)
        house.at(0.2, house.cloud.models.default, mode="echo")
        for hour in (0.5, 0.6):
            house.at(hour, lambda: polls.append(house.cloud.telegram.count("getUpdates")))
        house.until(0.65)

        assert house.texts(101) == [WAITING] and house.board.status()["inbox"] == 0
        assert polls[1] - polls[0] <= 8


def test_while_telegram_is_out_of_reach_the_model_is_not_asked_again_and_again(tmp_path):
    asked = []
    with Weeks(tmp_path / "house") as house:
        house.at(0.1, house.cloud.telegram.say, chat=101, text="before")
        house.at(0.2, house.cloud.fault, "telegram", None, "close", None)
        house.at(0.2, house.cloud.telegram.say, chat=101, text="hello")
        house.at(0.42, lambda: asked.extend(turns[-1][1] for turns in house.prompts()))
        house.at(0.43, house.cloud.clear_faults)  # before 15 minutes: they bring a restart
        house.until(0.6)

        assert asked == ["before", "hello"]
        assert house.texts(101) == ["before", "hello"]


def test_a_chat_that_telegram_bids_wait_for_an_hour_holds_up_nobody(tmp_path):
    with Weeks(tmp_path / "house") as house:
        house.cloud.fault("telegram", "sendMessage", "flood", retry_after=3000)
        house.at(0.2, house.cloud.telegram.say, chat=101, text="held")
        for hour in (0.3, 0.9):
            house.at(hour, house.cloud.telegram.say, chat=102, text="another")
        house.until(1.5)

        moments = [(change["time"] - house.began) / 3600 for change in house.changes(102)]
        assert [round(moment, 2) for moment in moments] == [0.3, 0.9]
        (held,) = house.changes(101)
        late = held["time"] - house.began - 0.2 * 3600 - 3000
        assert 0 <= late < 5 and held["text"] == "held"
        assert [turns[-1][1] for turns in house.prompts()].count("held") == 2


def test_an_answer_that_telegram_never_takes_is_asked_for_three_times(tmp_path):
    with Weeks(tmp_path / "house") as house:
        house.cloud.fault("telegram", "sendMessage", "status", None, status=502)
        house.at(0.1, house.cloud.telegram.say, chat=101, text="never")
        house.at(1.5, house.cloud.clear_faults)
        house.at(1.6, house.cloud.telegram.say, chat=101, text="well")
        house.until(2)

        assert [turns[-1][1] for turns in house.prompts()] == ["never"] * 3 + ["well"]
        assert house.texts(101)[-1] == "well"


def test_an_answer_that_telegram_was_away_for_was_no_attempt(tmp_path):
    tries = []
    with Weeks(tmp_path / "house") as house:

        def look():
            """Telegram is away for 12 minutes from each try to answer on, five times."""
            now, count = house.now, len(house.prompts())
            if count > len(tries) and count <= 5:
                house.cloud.fault("telegram", None, "close", None)
                tries.append(now)
            elif tries and now - tries[-1] >= 750_000:
                house.cloud.clear_faults()

        house.cloud.models.default(mode="echo", first=30)
        house.at(0.2, house.cloud.telegram.say, chat=101, text="hello")
        for step in range(1000):
            house.at(0.2 + step / 360, look)
        house.until(3)

        assert len(tries) == 5 and len(house.prompts()) == 6
        assert house.texts(101) == ["hello"]


def test_an_answer_that_cannot_be_sent_for_long_is_left_for_later_and_not_lost(tmp_path):
    with Weeks(tmp_path / "house") as house:
        house.at(0.1, house.cloud.telegram.say, chat=101, text="before")
        house.at(0.2, house.cloud.fault, "telegram", "sendMessage", "close", None)
        house.at(0.21, house.cloud.telegram.say, chat=101, text="hello")
        house.at(0.57, house.cloud.clear_faults)
        house.at(0.9, house.cloud.telegram.say, chat=101, text="after")
        house.until(1)

        assert sum("left for later" in line for line in house.board.log) == 2
        assert house.texts(101) == ["before", "hello", "after"]


def test_an_answer_outlasts_hours_without_telegram_and_is_asked_for_once_more(tmp_path):
    long = "[[length=3000 deltas=30 delay=1]]"
    with Weeks(tmp_path / "house") as house:
        house.at(0.1, house.cloud.telegram.say, chat=101, text="before")
        house.at(0.2, house.cloud.telegram.say, chat=101, text=long)
        house.at(0.202, house.cloud.fault, "telegram", None, "status", None, status=502)
        house.at(3, house.cloud.clear_faults)
        house.until(3.1)

        assert len(house.texts(101)[-1]) == 3000 and house.board.status()["inbox"] == 0
        asked = [[text for _, text in turns] for turns in house.prompts()]
        assert asked == [["before"], *[["before", "before", long]] * 2]


def test_stop_closes_the_only_message_that_waits_for_the_model(tmp_path):
    with Weeks(tmp_path / "house") as house:
        house.cloud.models.default(status=503)
        house.at(0.1, house.cloud.telegram.say, chat=101, text="wait")
        house.at(0.2, house.cloud.telegram.say, chat=101, text="/stop")
        house.until(0.3)

        assert house.texts(101) == [WAITING, "(Stopped.)"]
        assert house.board.status()["inbox"] == 0


def test_a_model_that_thinks_and_comes_to_no_word_is_asked_twice(tmp_path):
    with Weeks(tmp_path / "house") as house:
        house.cloud.models.default(think="thinking " * 3000, deltas=2000, delay=1)
        house.at(0.1, house.cloud.telegram.say, chat=101, text="hello")
        house.until(1)

        assert len(house.prompts()) == 2
        (said,) = house.texts(101)
        assert said.startswith("The model cannot be reached: network failure (deadline)")


def test_with_a_token_that_was_revoked_the_model_is_not_asked_again_and_again(tmp_path):
    refusal = {"ok": False, "error_code": 401, "description": "Unauthorized"}
    with Weeks(tmp_path / "house") as house:
        house.cloud.models.default(mode="echo", first=2)
        house.at(0.2, house.cloud.telegram.say, chat=101, text="hello")
        house.at(
            0.2003, house.cloud.fault, "telegram", None, "status", None, status=401, body=refusal
        )
        house.until(1.5)

        assert len(house.prompts()) == 1
        assert house.board.status()["error"].startswith("Telegram refused the token (401).")


def test_a_chat_that_telegram_bids_wait_again_and_again_is_answered_three_times(tmp_path):
    with Weeks(tmp_path / "house") as house:
        house.cloud.fault("telegram", "sendMessage", "flood", None, retry_after=130)
        house.at(0.2, house.cloud.telegram.say, chat=101, text="held")
        house.until(1)

        assert len(house.prompts()) == 3 and house.board.status()["inbox"] == 0


def test_who_cannot_be_told_that_the_model_is_away_keeps_nobody_from_being_told(tmp_path):
    with Weeks(tmp_path / "house") as house:
        house.cloud.fault("telegram", "sendMessage", "flood", retry_after=3000)
        house.at(0.2, house.cloud.telegram.say, chat=101, text="held")
        house.at(0.22, house.cloud.models.default, status=503)
        house.at(0.25, house.cloud.telegram.say, chat=102, text="one")
        house.at(0.3, house.cloud.telegram.say, chat=103, text="two")
        house.at(0.5, house.cloud.models.default, mode="echo")
        house.until(1.2)

        assert [house.texts(chat) for chat in (102, 103)] == [[WAITING, "one"], [WAITING, "two"]]
        assert house.texts(101) == ["held"]


def test_commands_whose_answers_telegram_does_not_take_end_in_no_restart(tmp_path):
    with Weeks(tmp_path / "house") as house:
        house.cloud.fault("telegram", "sendMessage", "status", None, status=502)
        for chat in (101, 102, 103):
            house.at(0.2, house.cloud.telegram.say, chat=chat, text="/help")
        house.at(1, house.cloud.clear_faults)
        house.at(1.1, house.cloud.telegram.say, chat=104, text="well")
        house.until(1.2)

        assert house.texts(104) == ["well"]
        assert not [line for line in house.board.log if line.endswith(("step 2", "step 3"))]


def test_a_board_restarts_less_and_less_often_while_telegram_stays_silent(tmp_path):
    with Weeks(tmp_path / "house") as house:
        restarts, again = [], house.board.again

        def counted():
            restarts.append(house.now / HOUR * 60)
            return again()

        house.board.again = counted
        house.cloud.fault("telegram", None, "close", None)
        house.until(2.6, kept=True)
        house.cloud.clear_faults()
        house.at(2.7, house.cloud.telegram.say, chat=101, text="hello")
        house.at(2.8, house.cloud.fault, "telegram", None, "close", None)
        house.until(3.2, kept=True)

        assert house.texts(101) == ["hello"]
        first, second, third, last = restarts  # in minutes
        assert 15 <= first < 17 and 30 <= second - first < 32 and 60 <= third - second < 62
        assert 15 <= last - 2.8 * 60 < 17


@pytest.mark.parametrize("commands", [("/history",), ("/history", "/forget")])
def test_commands_that_need_no_model_take_their_turn(tmp_path, commands):
    with Weeks(tmp_path / "house") as house:
        house.at(0.1, house.cloud.telegram.say, chat=102, text="before")
        for number in range(20):
            text = commands[number % len(commands)]
            house.at(0.2, house.cloud.telegram.say, chat=101, text=text)
        house.at(0.2001, house.cloud.telegram.say, chat=102, text="me too")
        house.until(0.3)

        assert len(house.texts(101)) == 20
        _, answered = house.changes(102)
        assert answered["time"] - house.began - 0.2 * 3600 < 5


def test_a_stop_counts_though_one_of_another_chat_comes_with_it(tmp_path):
    with Weeks(tmp_path / "house") as house:
        text = "[[deltas=60 delay=1]]" + "word " * 60
        house.at(0.1, house.cloud.telegram.say, chat=101, text=text)
        for chat in (101, 102):
            house.at(0.105, house.cloud.telegram.say, chat=chat, text="/stop")
        house.until(0.2)

        assert house.texts(101)[0].endswith("(Stopped.)") and len(house.texts(102)) == 1


def test_what_was_asked_by_whoever_cannot_be_answered_outlasts_a_power_cut(tmp_path):
    gone = {"ok": False, "error_code": 403, "description": "Forbidden: bot was blocked"}
    text = "[[deltas=9 delay=1]]" + "word " * 90
    with Weeks(tmp_path / "house") as house:
        fault = house.cloud.fault("telegram", "sendMessage", "status", status=403, body=gone)
        house.at(0.1, house.cloud.telegram.say, chat=101, text=text)
        house.at(0.2, house.cut, 0.01)
        house.at(0.3, house.cloud.telegram.say, chat=101, text="next")
        house.until(0.4, kept=True)

        assert fault.applied and house.texts(101) == ["next"]
        asked, begun, _ = [said for _, said in house.prompts()[-1]]
        assert asked == text and begun.startswith("word")


@pytest.mark.parametrize("seed", (1, 2))
def test_days_of_outages_and_power_cuts_lose_nothing(tmp_path, seed):
    draw = random.Random(seed)
    chats, hour, said = range(101, 113), 0.1, collections.defaultdict(list)
    with Weeks(tmp_path / "house", settings={"model": {"patience_min": 90}}) as house:
        for number in range(60):
            chat, how = draw.choice(chats), draw.choice(HOW)
            text = f"message {number} {how}"
            said[chat].append(number)
            house.at(hour, house.cloud.telegram.say, chat=chat, text=text)
            hour += draw.choice((0.001, 0.001, 0.01, 2))
        end = hour
        hour = 0.1
        while hour < end:
            service, kind, options = draw.choice(OUTAGES)
            lasts = min(10 ** draw.uniform(-3, 1), 8)
            if service:
                house.at(hour, house.cloud.fault, service, None, kind, None, **options)
                house.at(hour + lasts, house.cloud.clear_faults)
            else:
                house.at(hour, house.cut, lasts)
            hour += lasts + draw.choice((0.01, 0.1, 1, 4))
        house.until(max(hour, end) + 3, kept=True)

        for chat in chats:
            got = [text for text in house.texts(chat) if text != WAITING]
            answered = [int(text.split()[1]) for text in got if text.startswith("message")]
            assert answered == [number for number in said[chat] if number in answered]
            closed = [text for text in got if text.startswith(("The model co", "The model ca"))]
            assert len(closed) == len(said[chat]) - len(answered)
        assert house.board.status()["inbox"] == 0
