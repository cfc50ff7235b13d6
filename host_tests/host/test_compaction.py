"""Compaction: the older half of a long conversation becomes a summary that the model writes."""

import itertools

import pytest
from memory_kit import Pressed
from relay_kit import SUMMARY, WAITING

SYSTEM = "Answer briefly."
MOST = 16
ASKED = "Summarize our conversation"
WORDS = "grün 🧵 "  # 768 bytes of them end within a character
SAID = "Ada asks about tea 🍵; green is settled."


@pytest.fixture
def build(tmp_path):
    """Starts a house of the test's own."""
    houses = []

    def start(memory=None, limits=None, **options):
        settings = {
            "model": {"system": SYSTEM},
            "memory": {"max_messages": MOST, **(memory or {})},
            "limits": limits or {},
        }
        houses.append(Pressed(tmp_path / str(len(houses)), settings=settings, **options))
        house = houses[-1].__enter__()
        house.do("fast")
        return house

    yield start
    for house in houses:
        house.__exit__()


def fill(house, chat, count=MOST // 2 + 1, size=0):
    """So many exchanges."""
    for number in range(count):
        house.ask(f"{number}".ljust(size, "x"), chat)


def summaries(house) -> list[int]:
    """Which of the requests on record ask for a summary."""
    return [
        number for number, prompt in enumerate(house.prompts()) if prompt[-1][1].startswith(ASKED)
    ]


def texts(prompt) -> list[str]:
    return [text for _, text in prompt]


def alternates(prompt) -> bool:
    roles = [role for role, _ in prompt]
    return roles == [
        "system",
        *itertools.islice(itertools.cycle(["user", "assistant"]), len(roles) - 1),
    ]


def compacted(house, count=1):
    return house.wait(lambda: house.state()["compactions"] >= count)


def summarized(house, said=SAID) -> int:
    """Lets the model summarize a conversation as ``said``; its chat."""
    chat = house.chat()
    fill(house, chat, MOST // 2)
    house.cloud.models.script(mode="echo")
    house.cloud.models.script(text=said)
    house.ask(f"{MOST // 2}", chat)
    compacted(house)
    return chat


def being_summarized(house, chat):
    """The model writes a summary of the chat, and takes its time."""
    fill(house, chat, MOST // 2)
    house.cloud.models.script(mode="echo")
    house.cloud.models.script(length=600, delay=1, deltas=30)
    house.ask("last", chat)
    house.wait(lambda: summaries(house))


@pytest.mark.parametrize("api", ["openai", "anthropic"])
def test_the_older_half_becomes_a_summary_at_the_head_of_the_next_prompt(build, api):
    house = build(api=api)
    chat = summarized(house)
    assert not house.state()["busy"]
    calls = house.state()["calls"]
    house.ask("and now?", chat)

    asked, then = house.prompts()[-2:]
    # Eighteen turns: the older half ends where the user speaks.
    assert texts(asked)[1:-1] == list("00112233")
    assert asked[-1][0] == "user" and asked[-1][1].startswith(ASKED)
    assert texts(then)[2:] == [*"455667788", "and now?"]
    assert then[1] == ("user", SUMMARY + SAID + "\n\n4")
    assert alternates(asked) and alternates(then)
    assert house.state()["compactions"] == 1
    assert calls == MOST // 2 + 1 + 1


def test_a_summary_that_does_not_end_is_cut_at_768_bytes_and_a_whole_character(build):
    house = build()
    chat = house.chat()
    fill(house, chat, MOST // 2)
    house.cloud.models.script(mode="echo")
    house.cloud.models.script(length=5000, unit=WORDS, deltas=200)
    house.ask("last", chat)
    compacted(house)
    house.ask("and now?", chat)

    head = house.prompts()[-1][1][1].removeprefix(SUMMARY).removesuffix("\n\n4")
    assert 764 < len(head.encode()) < 768
    assert (WORDS * 200).startswith(head)


def test_the_summary_is_there_after_a_power_cut(build):
    house = build()
    chat = house.chat()
    fill(house, chat, MOST // 2)
    house.cloud.models.script(mode="echo")
    house.cloud.models.script(text=SAID)
    house.ask("last", chat)
    compacted(house)
    house.kill()
    house.start()
    house.ask("and now?", chat)

    assert house.prompts()[-1][1] == ("user", SUMMARY + SAID + "\n\n4")
    assert texts(house.prompts()[-1])[2:] == [*"4556677", "last", "last", "and now?"]


@pytest.mark.parametrize("silent", [False, True])
def test_a_message_that_comes_meanwhile_is_answered_first_and_nothing_has_changed(build, silent):
    house = build()
    chat = house.chat()
    fill(house, chat, MOST // 2)
    house.cloud.models.script(mode="echo")
    if silent:
        house.cloud.fault("models", "chat", "late", skip=1, seconds=30)
    else:
        house.cloud.models.script(length=600, delay=1, deltas=30)
    house.ask("last", chat)
    house.wait(lambda: summaries(house))
    house.ask("in between", chat, timeout=6)

    said = texts(house.prompts()[-1])[1:]
    assert said == [*"0011223344556677", "last", "last", "in between"]
    house.ask("and another", chat)
    house.quiet()
    assert house.state()["compactions"] == 0 and len(summaries(house)) == 1
    house.do("look")
    house.ask("again", chat, timeout=15)
    compacted(house)
    assert len(summaries(house)) == 2


def test_while_a_message_waits_for_the_model_no_summary_is_asked_for(build):
    house = build()
    chat = house.chat()
    being_summarized(house, chat)
    house.cloud.models.default(status=503, retry_after=3600)
    house.last(house.say("in between"), WAITING)
    house.do("look")
    house.say("/help", chat)  # ends the long poll: a summary is asked for between messages
    house.wait(lambda: house.newest(chat) != "last")
    house.quiet()
    state = house.state()
    assert state["inbox"] == 1 and len(summaries(house)) == 1
    assert len(state["chats"][str(chat)]) == MOST + 2


def test_where_the_model_cannot_whole_oldest_turns_go(build):
    house = build(heap="224k")  # the number of turns is what counts here, not the segments
    chat = house.chat()
    fill(house, chat, MOST // 2)
    house.cloud.models.script(mode="echo")
    house.cloud.models.script(status=503)
    house.ask("last", chat)
    compacted(house)
    house.ask("and now?", chat)

    assert texts(house.prompts()[-1])[1:] == [*"556677", "last", "last", "and now?"]
    assert len(summaries(house)) == 1


def test_a_summary_counts_as_a_call_and_is_not_asked_for_where_none_is_left(build):
    for left in (1, 0):
        house = build(limits={"calls_per_day": MOST // 2 + 1 + left})
        chat = house.chat()
        fill(house, chat)
        compacted(house)
        house.quiet()
        assert len(house.prompts()) == house.state()["calls"] == MOST // 2 + 1 + left
        assert len(summaries(house)) == left


@pytest.mark.parametrize(
    "failure",
    [
        {"status": 503},
        {"text": "I can't help with that.", "finish": "refusal"},
        {"text": "Ada", "finish": "content_filter"},
        {"length": 700, "deltas": 60, "cut_after": 1},
    ],
    ids=["refused", "unwilling", "filtered", "cut"],
)
def test_where_the_model_cannot_the_summary_before_stays(build, failure):
    house = build(heap="224k")
    said = SAID + " More tea." * 70  # in two segments
    chat = summarized(house, said)
    fill(house, chat, 2)
    house.cloud.models.script(mode="echo")
    house.cloud.models.script(**failure)
    house.ask("last", chat)
    compacted(house, 2)
    house.ask("and now?", chat)

    told = [*"8", *"0011", "last", "last", "and now?"]
    assert len(summaries(house)) == 2
    assert house.prompts()[-1][1] == ("user", SUMMARY + said + "\n\n8")
    assert texts(house.prompts()[-1])[2:] == told
    house.restart()
    house.ask("and then?", chat)
    assert house.prompts()[-1][1] == ("user", SUMMARY + said + "\n\n8")
    assert texts(house.prompts()[-1])[2:] == [*told, "and now?", "and then?"]


def test_what_comes_back_after_a_restart_leaves_room_for_what_follows(build):
    """Each of two has more on flash than there is room for in RAM, and no summary."""
    house = build({"max_messages": 200}, heap="224k")
    chats = house.chat(), house.chat()
    room = house.state()["segments"] * 1000
    for number in range(room // 3000 + 1):
        for chat in chats:
            house.ask(f"{number} ".ljust(1500, "x"), chat)
    house.quiet()
    house.restart()
    house.do("fast")
    house.ask("and now?", chats[0])
    before = len(house.prompts()[-1])
    house.quiet()
    assert before > 10 and house.board.status()["pressure"] == "normal"
    house.ask("and then?", chats[0])
    assert len(house.prompts()[-1]) == before + 2


def test_stop_while_a_summary_is_written_is_answered(build):
    house = build()
    chat = house.chat()
    being_summarized(house, chat)
    house.say("/stop", chat)
    house.last(chat, "Nothing is being written here.", 6)


def test_what_comes_with_its_stop_while_a_summary_is_written_is_not_answered(build):
    house = build()
    chat, other = house.chat(), house.chat()
    being_summarized(house, chat)
    house.cloud.telegram.say_many(["never mind", "/stop"], other)
    house.last(other, "(Stopped.)")
    house.ask("and now?", other)
    assert house.texts(other) == ["(Stopped.)", "and now?"]


@pytest.mark.parametrize("command", ["/new", "/retry", "/more"])
def test_commands_do_after_a_compaction_what_they_always_do(build, command):
    house = build()
    chat = house.chat()
    fill(house, chat, MOST // 2)
    house.cloud.models.script(mode="echo")
    house.cloud.models.script(text=SAID)
    house.ask("last", chat)
    compacted(house)
    house.cloud.models.default(text="done")
    if command == "/new":
        house.say("/new", chat)
        house.last(chat, "A new conversation begins.")
        house.say("after", chat)
        house.last(chat, "done")
        assert texts(house.prompts()[-1])[1:] == ["after"]
        return
    house.say(command, chat)
    house.last(chat, "done")
    said = texts(house.prompts()[-1])[1:]
    assert said[0] == SUMMARY + SAID + "\n\n4"
    more = "Go on exactly where you stopped."
    end = ["last"] if command == "/retry" else ["last", "last", more]
    assert said[1:] == [*"4556677", *end]
    assert alternates(house.prompts()[-1])


def test_a_long_conversation_is_compacted_a_bounded_number_of_times(build):
    house = build(memory={"max_messages": 20})
    chat = house.chat()
    for number in range(60):
        house.ask(f"{number}".ljust(60, "x"), chat)
        # A summary that a message came before is asked for again.
        house.wait(lambda: len(house.state()["chats"][str(chat)]) <= 20)

    prompts = house.prompts()  # once: another summary may be asked for at any time
    asked = [prompt for prompt in prompts if prompt[-1][1].startswith(ASKED)]
    # Each one takes at least eight turns, four exchanges, away.
    assert 3 <= len(asked) <= 60 // 4
    assert len(prompts) == 60 + len(asked)
    assert all(alternates(prompt) for prompt in prompts)
    assert len(prompts[-1]) <= 20 + 4


def test_full_segments_are_compacted_until_the_pressure_is_over_and_not_at_every_message(build):
    house = build(memory={"max_messages": 1000})
    idle = house.ask("an idle conversation leaves RAM")
    chat = house.chat()
    house.cloud.models.default(length=700)
    for number in range(60):
        house.say(f"{number} ".ljust(700, "y"), chat)
        house.wait(lambda number=number: len(house.texts(chat)) == number + 1)
        # A person reads before the next message.
        house.wait(lambda: not house.state()["level"])

    asked = summaries(house)
    assert len(house.prompts()) == 1 + 60 + len(asked)
    assert not house.state()["chats"][str(idle)]
    assert 2 <= len(asked) <= 60 // 3
    assert all(alternates(prompt) for prompt in house.prompts())
