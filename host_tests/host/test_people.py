"""Random steps of what people do, in their short form; and that the reference finds faults."""

from types import SimpleNamespace

import pytest

from tools.chaos import compare, people
from tools.chaos.answers import EMPTY, Broken, outcome
from tools.chaos.draws import draw
from tools.chaos.reference import POISON, STARVED, STOPPED, USED_UP, WORDS, Item, Session
from tools.cloud.script import Script

ANSWERED = ([("user", "hello")], 200, Script(mode="echo"))


@pytest.mark.parametrize("seed, steps", [(739, 25), (607, 12)])
def test_random_steps_bring_what_the_reference_says(seed, steps):
    assert not people.run(*draw(seed, steps))


def session(*items, turns=()):
    made = Session(0, exact=True, parts=8, turns=list(turns))
    made.queue += items
    return made


def test_what_was_promised_is_no_fault():
    one = session(Item("ask", "hello"), Item("new"), Item("history"))
    history = "> hello\n\nhello"
    one.settle([ANSWERED], ["hello", "A new conversation begins.", history])
    assert one.turns == [] and len(one.archive) == 2


def test_only_a_full_flash_excuses_a_conversation_that_is_gone():
    said = ["There is nothing to ask again. Write a message first."]
    turns = [("user", "hello"), ("assistant", "hello")]
    one = session(Item("retry"), turns=turns)
    one.full = True
    one.settle([], list(said))
    assert one.turns == []
    with pytest.raises(Broken):
        session(Item("retry"), turns=turns).settle([], said)


@pytest.mark.parametrize(
    "calls, texts, turns",
    [
        ([ANSWERED], [], []),
        ([ANSWERED], ["hello", "hello"], []),
        ([ANSWERED], ["hell"], []),
        ([ANSWERED, ANSWERED], ["hello"], []),
        ([], [], []),
        ([ANSWERED], ["hello"], [("user", "before"), ("assistant", "yes")]),
        ([ANSWERED], ["hello\n\n(Stopped.)"], []),
        ([ANSWERED], ["hel", "lo"], []),
    ],
)
def test_what_was_not_promised_is_found(calls, texts, turns):
    with pytest.raises(Broken):
        session(Item("ask", "hello"), turns=turns).settle(calls, texts)


def test_where_the_bot_was_blocked_an_answer_may_be_missing_or_break_off():
    for texts in ([], ["hel"], ["hello"]):
        one = session(Item("ask", "hello", maybe=True))
        one.settle([ANSWERED], texts)
        assert [role for role, _ in one.turns] == ["user", "assistant"]


@pytest.mark.parametrize("texts", [["hello", "hello"], ["another"], ["hello", "hel"]])
def test_nothing_else_is_excused_where_the_bot_was_blocked(texts):
    with pytest.raises(Broken):
        session(Item("ask", "hello", maybe=True)).settle([ANSWERED], texts)


def test_what_comes_back_without_its_middle_is_asked_again_as_it_is():
    whole, rest = "a" * 900, "a" * 100 + " [...]" + "a" * 100
    one = session(Item("retry"), turns=[("user", whole), ("assistant", "hello")])
    one.settle([([("user", rest)], 200, Script(mode="echo"))], [rest])
    assert one.turns[-1] == ("assistant", rest)


@pytest.mark.parametrize("text", ["\n ", "\u200b", "\u3000\u2003"])
def test_an_answer_that_telegram_takes_for_nothing_is_an_empty_one(text):
    assert outcome(Script(mode="text", text=text), "hello") == ("", EMPTY)


APOLOGIES = [[STARVED], [f"hel\n\n{STARVED}"], [f"hello\n\n{STARVED}"]]


@pytest.mark.parametrize("texts", APOLOGIES)
def test_only_a_small_relay_may_run_out_of_memory_and_retry_asks_that_again(texts):
    with pytest.raises(Broken):
        session(Item("ask", "hello")).settle([ANSWERED], list(texts))
    one = session(Item("ask", "hello"))
    one.small = True
    one.settle([ANSWERED], list(texts))
    one.queue.append(Item("retry"))
    one.settle([ANSWERED], ["hello"])
    assert [text for _, text in one.turns] == ["hello", "hello"]


def test_what_retry_asks_instead_of_what_memory_ran_out_for_is_found():
    one = session(Item("ask", "hello"), turns=[("user", "a"), ("assistant", "a")])
    one.small = True
    one.settle([], [STARVED])
    one.queue.append(Item("retry"))
    with pytest.raises(Broken):
        one.settle([([("user", "a")], 200, Script(mode="echo"))], ["a"])


@pytest.mark.parametrize("texts", [[], [STARVED, STARVED], [STARVED, "hello"]])
def test_a_small_relay_answers_each_message_once_too(texts):
    one = session(Item("ask", "hello"))
    one.small = True
    with pytest.raises(Broken):
        one.settle([ANSWERED], texts)


def test_what_a_small_relay_has_tried_three_times_is_closed():
    one = session(Item("ask", "hello"))
    one.small = True
    one.settle([ANSWERED] * 3, [POISON])
    with pytest.raises(Broken):
        session(Item("ask", "hello")).settle([ANSWERED] * 3, [POISON])


def test_new_for_which_memory_ran_out_may_be_done_or_not():
    turns = [("user", "hello"), ("assistant", "hello")]
    for before in ([], turns):
        one = session(Item("new"), Item("ask", "hello"), turns=turns)
        one.small = True
        one.settle([([*before, ("user", "hello")], 200, Script(mode="echo"))], [STARVED, "hello"])


@pytest.mark.parametrize("kind", ["retry", "more"])
def test_what_stop_closed_may_be_answered_or_not(kind):
    for texts in ([], [WORDS[kind]]):
        session(Item(kind, stopped=1)).settle([], texts)
    with pytest.raises(Broken):
        session(Item(kind)).settle([], [])


def test_whoever_was_told_that_the_days_calls_are_made_is_not_told_again_behind_stop():
    for texts, further in (([USED_UP], []), ([], [USED_UP])):
        one = session(Item("ask", "hello", stopped=1))
        one.settle([], texts, used_up=True)
        one.queue.append(Item("ask", "again"))
        one.settle([], further, used_up=True)
    with pytest.raises(Broken):
        session(Item("ask", "hello")).settle([], [], used_up=True)


def test_what_is_asked_after_stop_is_found():
    one = session(Item("ask", "hello", stopped=1))
    one.asides.append(Item("stop"))
    one.look_behind([(1, "hello")], [(2, STOPPED)])
    with pytest.raises(Broken):
        one.look_behind([(3, "hello")], [(2, STOPPED)])


def call(at, status=200, error=""):
    made = SimpleNamespace(time=at, status=status, error=error)
    made.params, made.method, made.fault = {"chat_id": "42"}, "sendMessage", ""
    return made


def flooded(flood, again):
    """A town where a call was refused for 5 s, and another came ``again`` seconds after it."""
    calls = [call(100, 429, "Too Many Requests: retry after 5"), call(100 + again)]
    cloud = SimpleNamespace(telegram=SimpleNamespace(calls=lambda: calls))
    return SimpleNamespace(cloud=cloud, how={"flood": flood}, waits={}, restarted_at=0)


def test_a_call_before_retry_after_is_over_is_found():
    compare.look_at_calls(flooded("tight", 5.1))
    with pytest.raises(Broken):
        compare.look_at_calls(flooded("tight", 4.9))


def test_a_blocked_chat_is_tried_once_for_each_message():
    town = flooded("documented", 1)
    town.heard, town.rough = {"42": 2}, False
    calls = [call(at, 403, "Forbidden") for at in range(3)]
    town.cloud.telegram.calls = lambda: calls[:2]
    compare.look_at_calls(town)
    town.cloud.telegram.calls = lambda: calls
    with pytest.raises(Broken):
        compare.look_at_calls(town)


def test_a_429_is_found_where_there_must_be_none():
    with pytest.raises(Broken):
        compare.look_at_calls(flooded("documented", 5.1))


def test_a_run_that_fails_is_shortened(monkeypatch):
    def fails(how, steps):
        return "why" if {3, 17} <= set(steps) else ""

    monkeypatch.setattr(people, "run", fails)
    assert people.shorten({}, list(range(20)), 10) == ([3, 17], "why")
