"""The relay in the simulated cloud: what a person says, and what comes back."""

import contextlib
import itertools
import json
import time

import pytest
from relay_kit import GROUPS, OWNER, STRANGER, House

from tools.cloud.world import ANONYMOUS

SYSTEM = "Answer briefly, in Märchen style 🧵."
SETTINGS = {"model": {"system": SYSTEM}}
CUT = "\n\n(The answer was cut off here; /retry asks again.)"
STOPPED = "\n\n(Stopped.)"
MORE = "\n\n(/more goes on.)"
LENGTH = "\n\n(That was model.max_tokens; /more goes on.)"
WORDS = "one two three four five six seven eight nine ten"


class Slow:
    """What takes seconds because polls and edits keep their distance: it is begun before the other
    tests and looked at when they are done."""

    def __init__(self, start):
        self.private, self.group = start(limits=True), start(limits=True)
        for house, chat in ((self.private, OWNER), (self.group, GROUPS[0])):
            house.cloud.models.default(text=WORDS, delay=0.7)
            house.say("go @thimble_test_bot", chat, user=OWNER)
        self.stopped, self.full, self.other = start(), start(), start()
        for house in (self.stopped, self.full):
            house.cloud.models.script(length=3000, unit="word ", delay=0.1, deltas=600)
        self.other.cloud.models.script(text=WORDS, delay=0.6)
        for house in (self.stopped, self.full, self.other):
            house.say("go", OWNER)
            house.wait(lambda house=house: house.texts(OWNER))
        self.stopped.say("/stop", OWNER)
        self.crowded = {OWNER: start(limits=True), GROUPS[0]: start(limits=True)}
        for chat, house in self.crowded.items():
            house.cloud.models.script(length=3000, unit="word ", delay=0.1, deltas=80)
            house.say("go", OWNER)
            house.wait(lambda house=house: house.texts(OWNER))
            for _ in range(12):
                house.say("/status@thimble_test_bot", chat, user=OWNER)
        self.crowded[OWNER].say("/stop", OWNER)
        # More than one answer to getUpdates brings, and more than the inbox takes.
        others = [self.full.chat() for _ in range(4)]
        for number in range(24):
            self.full.say(f"{number} " + "x" * 4000, others[number % 4])
        self.full.say("/stop", OWNER)
        self.elsewhere = self.other.say("/stop")


@pytest.fixture(scope="module", autouse=True)
def slow(tmp_path_factory):
    with contextlib.ExitStack() as stack:
        yield Slow(
            lambda **how: stack.enter_context(House(tmp_path_factory.mktemp("slow"), **how))
        )


@pytest.fixture
def build(tmp_path):
    """Starts a house of the test's own."""
    houses = []

    def start(**options):
        houses.append(House(tmp_path / str(len(houses)), **options))
        return houses[-1].__enter__()

    yield start
    for house in houses:
        house.__exit__()


# A message in, an answer out.


def test_an_answer_streams_as_one_message_and_its_edits_over_verified_tls(house):
    text = "The answer grows: " + WORDS
    house.cloud.models.script(text=text, delay=0.15)
    chat = house.say("go")
    house.last(chat, text)

    changes = house.changes(chat)
    assert [one["kind"] for one in changes] == ["sent", *["edited"] * (len(changes) - 1)]
    assert len(changes) > 1
    for one in changes:
        assert text.startswith(one["text"])
    assert all(call.secure for call in house.cloud.calls())
    sent = house.cloud.telegram.calls("sendMessage")
    for call in sent + house.cloud.telegram.calls("editMessageText"):
        assert json.loads(call.params["link_preview_options"]) == {"is_disabled": True}
        assert "parse_mode" not in call.params and "entities" not in call.params


@pytest.mark.parametrize("api", ["openai", "anthropic"])
@pytest.mark.parametrize("tls", ["rp2", "1.3", None])
def test_a_conversation_is_relayed_in_either_dialect_over_any_tls(build, api, tls):
    house = build(api=api, tls=tls, settings={"model": {"system": SYSTEM}})
    house.cloud.models.script(text="The first answer.")
    chat = house.say("the first question")
    house.last(chat, "The first answer.")
    house.ask("and the second 🧵", chat)

    assert house.prompts()[-1] == [
        ("system", SYSTEM),
        ("user", "the first question"),
        ("assistant", "The first answer."),
        ("user", "and the second 🧵"),
    ]
    method = {"openai": "chat", "anthropic": "messages"}[api]
    assert {call.method for call in house.cloud.models.calls()} == {method}


def test_conversations_of_two_chats_are_kept_apart(house):
    first = house.ask("mine")
    second = house.ask("yours")
    house.ask("mine again", first)

    texts = [text for role, text in house.prompts()[-1] if role != "system"]
    assert texts == ["mine", "mine", "mine again"]
    assert house.texts(second) == ["yours"]


@pytest.mark.parametrize("raw", [False, True], ids=["escaped", "utf8"])
def test_emoji_and_umlauts_pass_unchanged(house, raw):
    text = 'Grüße, 中文 und 👩‍👩‍👧‍👦 🇩🇪 "quoted" \\ back\nnew line – ∑'
    house.cloud.models.default(mode="echo", ascii=not raw)
    chat = house.ask(text, raw=raw)

    assert house.prompts()[-1][-1] == ("user", text)
    assert house.texts(chat) == [text]


@pytest.mark.parametrize("cuts", ["all", "escape"])
def test_a_stream_cut_anywhere_gives_the_same_text(house, cuts):
    house.cloud.models.default(mode="echo", ascii=True, cuts=cuts)
    house.ask('Grüße 👩‍👧 "a" \\\n–')


def test_the_first_words_come_within_a_second_of_the_first_delta(house):
    house.cloud.models.script(text="one two three four", first=0.5, delay=0.4)
    chat = house.say("go")
    call = house.wait(lambda: house.cloud.models.calls())[0]
    house.wait(lambda: house.changes(chat))

    assert house.changes(chat)[0]["time"] - (call.time + 0.5) < 1
    house.last(chat, "one two three four")


def test_typing_is_shown_while_the_model_is_silent(house):
    house.cloud.models.script(text="late", first=1)
    chat = house.say("go")
    house.last(chat, "late")

    actions = house.cloud.telegram.calls("sendChatAction")
    assert [call.params["chat_id"] for call in actions] == [str(chat)]
    assert actions[0].params["action"] == "typing"


def test_until_the_model_answers_at_all_typing_is_shown_and_commands_are_served(house):
    chat, other = house.ask("before"), house.chat()
    fault = house.cloud.fault("models", "chat", "late", seconds=30)
    house.say("and now?", chat)
    house.wait(lambda: fault.applied and house.cloud.telegram.calls("sendChatAction"), 2)
    house.say("/help", other)
    house.wait(lambda: house.texts(other), 6)
    house.say("/stop", chat)
    house.last(chat, STOPPED.strip(), 6)
    house.say("/retry", chat)
    house.last(chat, "and now?")

    typing = [call.params["chat_id"] for call in house.cloud.telegram.calls("sendChatAction")]
    assert len(typing) > 1 and set(typing) == {str(chat)}
    asked = [("user", "before"), ("assistant", "before"), ("user", "and now?")]
    assert house.prompts()[-1][1:] == asked


def test_typing_is_shown_while_a_connection_to_the_model_is_made(build):
    house = build()
    house.ask("the first")

    order = [call.method for call in house.cloud.calls()]
    assert order.count("sendChatAction") == 1
    assert order.index("sendChatAction") < order.index("chat")


def test_a_quick_answer_shows_no_typing_and_needs_no_edit(house):
    chat = house.ask("before, for the connection")
    before = house.cloud.telegram.count("sendChatAction")
    house.ask("quick", chat)

    assert len(house.changes(chat)) == 2
    assert house.cloud.telegram.count("sendChatAction") == before


def test_an_answer_whose_message_is_deleted_while_it_grows_goes_on_in_another(house):
    house.cloud.models.script(text="one two three four five six", deltas=6, delay=0.5)
    chat = house.say("count")
    house.wait(lambda: house.cloud.telegram.messages(chat))
    house.cloud.telegram.remove(chat, house.cloud.telegram.messages(chat)[0].id)
    house.last(chat, "one two three four five six")


def test_a_429_from_telegram_is_waited_out(house):
    house.cloud.fault("telegram", "sendMessage", "flood", retry_after=1)
    started = time.monotonic()
    house.ask("patience")

    assert time.monotonic() - started >= 1
    assert house.board.status()["error"].startswith("the server answered 429: ")


# Long answers.


def test_more_commands_than_have_a_place_are_not_asked_for_all_the_time(build):
    house = build()
    chat = house.ask("before")
    fault = house.cloud.fault("telegram", "sendMessage", "flood", retry_after=3)
    house.quiet()
    before = len(house.cloud.telegram.calls("getUpdates"))
    house.cloud.telegram.say_many(["/help"] * 6, chat)
    house.wait(lambda: len(house.texts(chat)) == 7, 30)
    assert fault.applied
    assert len(house.cloud.telegram.calls("getUpdates")) - before < 20


def test_an_answer_past_4096_units_goes_on_in_further_messages(house):
    chat = house.say("[[length=9000 deltas=60 unit=wörter_und_🧵_mehr]]")
    house.wait(lambda: len(house.texts(chat)) == 3, 15)
    house.quiet()

    texts = house.texts(chat)
    whole = ("wörter_und_🧵_mehr" * 600)[:9000]
    assert "".join(texts) == whole
    assert all(len(text.encode("utf-16-le")) // 2 <= 4096 for text in texts)


def test_an_answer_takes_8_messages_if_nothing_else_is_said(house):
    house.cloud.models.script(length=40_000, deltas=100)
    chat = house.say("long")
    house.wait(lambda: house.newest(chat).endswith(MORE), 30)
    assert len(house.texts(chat)) == 8


def test_max_parts_bounds_an_answer_and_more_goes_on(build):
    house = build(settings={"telegram": {"max_parts": 2}})
    house.cloud.models.script(length=12000, deltas=50)
    chat = house.say("long")
    house.wait(lambda: house.newest(chat).endswith(MORE), 15)
    assert len(house.texts(chat)) == 2
    house.cloud.models.script(text="The rest.")
    house.say("/more", chat)
    house.last(chat, "The rest.")

    assert house.prompts()[-1][-1][0] == "user"
    assert [role for role, _ in house.prompts()[-1]] == ["user", "assistant", "user"]


def test_more_goes_on_behind_what_was_shown_not_behind_what_was_written(build):
    house = build(settings={"telegram": {"max_parts": 1}})
    first = " ".join(f"first{number:03}" for number in range(330))
    second = " ".join(f"second{number:03}" for number in range(400))
    house.cloud.models.script(text=f"{first}\n\n{second}", deltas=200)
    chat = house.say("long")
    house.wait(lambda: house.newest(chat).endswith(MORE), 20)
    shown = house.texts(chat)[-1].removesuffix(MORE)
    house.say("/more", chat)
    house.wait(lambda: len(house.prompts()) == 2)

    assert 3900 < len(shown) <= 4096
    role, written = house.prompts()[-1][1]
    assert role == "assistant"
    assert written.rstrip().endswith(shown[-200:])  # of a long turn the middle is left out


def test_an_answer_at_max_tokens_says_so_and_more_goes_on(house):
    house.cloud.models.script(text="Half of", finish="length")
    chat = house.say("tell")
    house.last(chat, "Half of" + LENGTH)
    house.say("/more", chat)
    house.wait(lambda: len(house.texts(chat)) == 2)

    assert ("assistant", "Half of") in house.prompts()[-1]


# Commands.


def test_stop_with_nothing_to_stop_says_so(house):
    chat = house.say("/stop")
    house.last(chat, "Nothing is being written here.")
    assert not house.cloud.models.calls()


def test_a_command_stays_one_whatever_stands_behind_it(house):
    chat, words = house.chat(), " please" * 40
    for command, said in (("/help", "Write a message"), ("/model", "Only the owner")):
        house.say(command + words, chat)
        house.wait(lambda said=said: said in "".join(house.texts(chat)), 5)
    assert not house.cloud.models.calls()


def test_stop_reaches_what_still_waits_and_nothing_that_comes_after_it(house):
    house.cloud.models.script(text="word " * 60, delay=0.1)
    busy, chat = house.say("go"), house.chat()
    house.wait(lambda: house.texts(busy))
    house.cloud.telegram.say_many(["one", "two", "/new", "/stop", "three"], chat)
    house.cloud.telegram.say_many(["next", "/stop"], busy)
    house.last(chat, "three")
    house.quiet()

    assert house.texts(chat) == ["(Stopped.)", "A new conversation begins.", "three"]
    assert house.texts(busy)[-1].endswith(STOPPED)
    asked = [prompt[-1][1] for prompt in house.prompts()]
    assert asked == ["go", "three"]
    house.say("/stop", chat)
    house.last(chat, "Nothing is being written here.")


def test_stop_reaches_what_a_small_full_inbox_has_left_at_telegram(build):
    house = build(profile="pico_w", tls=None)
    house.cloud.models.script(text="word " * 60, delay=0.1)
    busy, chat = house.say("go"), house.chat()
    house.wait(lambda: house.texts(busy))
    many = [f"{number} " + "吾輩は猫である。" * 500 for number in range(8)]
    house.cloud.telegram.say_many([*many, "/stop" + " please" * 40, "on"], chat)
    house.last(chat, "on", 20)
    house.quiet()

    assert [text[:10] for text in house.texts(chat)] == ["(Stopped.)", "on"]
    assert [prompt[-1][1][:10] for prompt in house.prompts()] == ["go", "on"]
    house.wait(lambda: house.board.status()["answered"] == 11)
    state = house.board.status()
    assert state["duplicates"] == 0 and state["received"] == 11


def test_a_cut_answer_is_marked_and_retry_replaces_it(house):
    house.cloud.models.script(text=WORDS, cut_after=4)
    chat = house.say("count")
    house.wait(lambda: house.texts(chat))
    house.last(chat, "one two three four" + CUT)
    assert house.board.status()["error"] == "the model's answer broke off before its end"
    house.cloud.models.script(text=WORDS)
    house.say("/retry", chat)
    house.last(chat, WORDS)

    assert house.prompts()[-1] == [("system", SYSTEM), ("user", "count")]


def test_retry_after_a_failure_asks_the_question_that_failed(house):
    house.cloud.models.script(status=401)
    chat = house.say("count")
    house.wait(lambda: house.texts(chat))
    house.say("/retry", chat)
    house.last(chat, "count")

    assert house.prompts()[-1] == [("system", SYSTEM), ("user", "count")]


def test_new_forgets_the_conversation(house):
    chat = house.ask("before")
    house.say("/new", chat)
    house.last(chat, "A new conversation begins.")
    house.ask("after", chat)

    assert house.prompts()[-1] == [("system", SYSTEM), ("user", "after")]


def test_retry_and_more_of_nothing_say_so(house):
    chat = house.say("/retry")
    house.last(chat, "There is nothing to ask again. Write a message first.")
    house.say("/more", chat)
    house.last(chat, "There is no answer to go on with. Write a message first.")
    assert not house.cloud.models.calls()


def test_only_the_owner_sets_the_model(house):
    other = house.say("/model other-1")
    house.last(other, "Only the owner can set the model.")
    house.say("/model simulated-reasoner-1", OWNER)
    house.wait(lambda: "simulated-reasoner-1" in "".join(house.texts(OWNER)[-1:]))
    house.ask("who are you?", other)
    assert house.cloud.models.calls()[-1].params["model"] == "simulated-reasoner-1"
    house.say("/model simulated-1", OWNER)
    house.wait(lambda: "simulated-1 " in "".join(house.texts(OWNER)[-1:]))


def test_help_and_start_and_status_are_answered_without_the_model(house):
    chat = house.say("/help")
    house.wait(lambda: house.texts(chat))
    assert "\n/retry" in house.texts(chat)[0]
    assert house.texts(chat)[0].endswith("\n/reboot restarts the relay, for the owner")
    house.say("/start", chat)
    house.wait(lambda: "Hello" in "".join(house.texts(chat)))
    house.say("/status", chat)
    house.wait(lambda: "memory" in "".join(house.texts(chat)))
    assert not house.cloud.models.calls()
    menu = [entry["command"] for entry in house.cloud.telegram.commands()]
    words = "new stop retry more history forget model status help"
    assert menu == words.split()


# What the model's service does wrong.


@pytest.mark.parametrize("text", ["", "\n\u3000\u200b"])
def test_an_empty_answer_says_so_and_leaves_no_turn(house, text):
    house.cloud.models.script(text=text)
    chat = house.say("nothing?")
    house.last(chat, "The model gave an empty answer. /retry asks again.")
    house.ask("well", chat)

    assert house.prompts()[-1] == [("system", SYSTEM), ("user", "well")]


@pytest.mark.parametrize("think", ["", "Hm."])
@pytest.mark.parametrize(
    ("finish", "said"),
    [
        ("content_filter", "(The model's provider withheld the rest.)"),
        ("tool_calls", "The model gave an empty answer. /retry asks again."),
    ],
)
def test_an_answer_that_ends_before_its_first_word_says_why(house, finish, said, think):
    house.cloud.models.script(text="", finish=finish, think=think)
    chat = house.say("nothing?")
    house.last(chat, said)
    house.ask("well", chat)

    assert house.prompts()[-1] == [("system", SYSTEM), ("user", "well")]


@pytest.mark.parametrize("think", ["", "Hm."])
def test_an_answer_that_is_all_reasoning_says_what_to_set_and_leaves_no_turn(house, think):
    house.cloud.models.script(text="", finish="length", think=think)
    chat = house.say("nothing?")
    said = "The model used up model.max_tokens on its reasoning. Raise that setting."
    house.last(chat, said)
    house.ask("well", chat)

    assert house.prompts()[-1] == [("system", SYSTEM), ("user", "well")]


def test_an_error_inside_the_stream_marks_the_answer_as_cut(house):
    house.cloud.models.script(text=WORDS, error_after=3)
    chat = house.say("go")
    house.wait(lambda: house.texts(chat))
    house.last(chat, "one two three" + CUT)
    house.ask("goes on", chat)


@pytest.mark.parametrize("status", [400, 401])
def test_a_refusal_is_told_and_never_holds_the_key(house, status):
    house.cloud.models.script(status=status, message=f"Incorrect: {house.cloud.key} (no)")
    chat = house.say("hello")
    text = house.wait(lambda: house.texts(chat))[-1]

    assert str(status) in text
    if status == 401:
        assert text == (
            "The model refused the key (401). Set model.key to one that is valid for model.url."
        )
    assert house.cloud.key not in text and house.cloud.key not in house.said()
    assert len(house.cloud.models.calls()) == 1


@pytest.mark.parametrize("status", [402, 403, 404, 413, 422])
def test_what_no_second_try_would_change_is_told_after_one_call(house, status):
    house.cloud.models.script(status=status)
    chat = house.say("hello")
    assert f"({status})" in house.wait(lambda: house.texts(chat))[-1]
    house.ask("goes on", chat)
    assert [call.status for call in house.cloud.models.calls()] == [status, 200]


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 529])
def test_an_overloaded_model_is_asked_again(house, status):
    house.cloud.models.script(status=status, retry_after=1 if status == 429 else None)
    house.ask("patience")

    assert [call.status for call in house.cloud.models.calls()] == [status, 200]
    assert house.prompts()[0] == house.prompts()[1]


def test_a_conversation_too_long_is_compacted_once_and_answered(house):
    chat = house.chat()
    for number in range(4):
        house.ask(f"{number} " + "x" * 300, chat)
    # Four exchanges are about 660 tokens, half of them 330.
    house.cloud.models.default(mode="echo", context=600)
    house.ask("and now?", chat, timeout=15)

    assert [call.status for call in house.cloud.models.calls()][-2:] == [400, 200]
    assert len(house.prompts()[-1]) == 1 + 4 + 1
    assert house.prompts()[-1][1][1].startswith("2 ")


def test_a_conversation_still_too_long_when_it_is_compacted_is_told_after_two_calls(house):
    chat = house.chat()
    for number in range(4):
        house.ask(f"{number} " + "x" * 300, chat)
    house.cloud.clear_calls()
    house.cloud.models.default(mode="echo", context=100)
    house.say("and now?", chat)
    house.last(chat, "The conversation is too long for the model (400). /new begins a new one.")
    assert [len(prompt) for prompt in house.prompts()] == [1 + 8 + 1, 1 + 4 + 1]


def test_one_message_too_long_for_the_model_is_told_after_one_call(house):
    house.cloud.models.default(mode="echo", context=50)
    chat = house.say("x" * 1000)
    too_long = "The conversation is too long for the model (400). /new begins a new one."
    house.last(chat, too_long)
    assert len(house.cloud.models.calls()) == 1
    house.say("/retry", chat)
    house.wait(lambda: house.texts(chat) == [too_long] * 2)
    assert house.prompts()[1:] == [house.prompts()[0]], "the question is still there"
    house.cloud.models.default(mode="echo")
    house.say("/retry", chat)
    house.last(chat, "x" * 1000)


def test_a_page_in_place_of_an_answer_is_told_after_one_call(house):
    page = "<!DOCTYPE html>\n<html>\n<title>A router</title>\n</html>\n"
    house.cloud.fault("models", "chat", "status", status=200, body=page, content_type="text/html")
    chat = house.say("hello")
    house.last(chat, "What answers is no language model's service (200). Check model.url.")
    assert len(house.cloud.models.calls()) == 1


def test_why_a_model_declines_is_told(house):
    house.cloud.models.script(status=403, message="Your input was flagged for violence")
    chat = house.say("hello")
    said = "The model's service refused the request (403). It says: "
    house.last(chat, said + "Your input was flagged for violence")
    assert len(house.cloud.models.calls()) == 1


def test_max_completion_tokens_is_remembered_once_it_was_asked_for(build):
    house = build()
    house.cloud.models.default(mode="echo", refuse_max_tokens=True)
    chat = house.ask("one")
    house.ask("two", chat)

    names = [
        [name for name in call.params if name.endswith("_tokens")]
        for call in house.cloud.models.calls()
    ]
    assert names == [["max_tokens"], ["max_completion_tokens"], ["max_completion_tokens"]]


@pytest.mark.parametrize("where", ["field", "reasoning", "tags"])
def test_reasoning_is_not_shown_and_not_kept(house, where):
    house.cloud.models.script(text="Four.", think="Let me count: 1 2 3", think_as=where)
    chat = house.say("two and two?")
    house.last(chat, "Four.")
    house.ask("sure?", chat)

    assert all("count" not in one["text"] for one in house.changes(chat))
    assert house.prompts()[-1][-2] == ("assistant", "Four.")


# Order.


def test_order_within_a_chat_is_kept_and_chats_take_turns(house):
    house.cloud.models.default(mode="echo", first=0.2)
    busy, quiet = house.chat(), house.chat()
    house.cloud.telegram.say_many([f"{number}" for number in range(4)], busy)
    house.cloud.telegram.say_many(["a", "b"], quiet)
    house.last(busy, "3", 20)
    house.last(quiet, "b")

    assert house.texts(busy) == ["0", "1", "2", "3"]
    assert house.texts(quiet) == ["a", "b"]
    order = [one["text"] for one in house.cloud.telegram.changes() if one["chat"] in (busy, quiet)]
    assert order == ["0", "a", "1", "b", "2", "3"]


def test_commands_that_keep_their_place_take_turns_as_well(house):
    busy, quiet = house.chat(), house.chat()
    house.cloud.models.script(first=0.5, mode="echo")
    house.say("first", house.chat())
    house.cloud.telegram.say_many(["/history"] * 3, busy)
    house.say("hello", quiet)
    house.wait(lambda: len(house.texts(busy)) == 3)
    house.last(quiet, "hello")
    order = [one["chat"] for one in house.cloud.telegram.changes() if one["kind"] == "sent"]
    assert [chat for chat in order if chat in (busy, quiet)] == [busy, quiet, busy, busy]


# Who, where, and what is no text.


def test_strangers_are_counted_and_logged_once_and_cost_nothing(house):
    before = house.board.status()["refused"]
    strangers = STRANGER, 666, 6, STRANGER, 666, 6
    for count, user in enumerate(strangers, before + 1):
        house.say("let me in", user)
        house.wait(lambda count=count: house.board.status()["refused"] == count)
    house.quiet()

    assert not house.texts(STRANGER) and not house.cloud.models.calls()
    for user in strangers:
        assert len([line for line in house.board.log if f"refused {user};" in line]) == 1
    assert not house.cloud.telegram.calls("sendMessage")


def test_a_group_that_is_refused_is_named_not_its_members(house):
    group = -1001000000599
    before = house.board.status()["refused"]
    house.say("let us in", group, user=ANONYMOUS)
    house.say("please", group, user=STRANGER)
    house.wait(lambda: house.board.status()["refused"] == before + 2)
    assert len([line for line in house.board.log if f"refused {group};" in line]) == 1
    assert str(ANONYMOUS) not in house.said()


def test_a_listed_group_that_becomes_a_supergroup_is_named_by_its_new_id(build):
    group, new = GROUPS[0], -1001000000598
    house = build(settings={"telegram": {"allow": [OWNER, group]}})
    house.ask("hello @thimble_test_bot", group, user=STRANGER)
    house.cloud.telegram.migrate(group, new)
    house.say("still there, @thimble_test_bot?", new, user=STRANGER)
    house.wait(lambda: f"refused {new};" in house.said())


def test_a_member_of_a_listed_group_may_speak_there_only(house):
    house.ask("hello from the group, @thimble_test_bot", GROUPS[1], user=STRANGER)
    house.say("and alone?", STRANGER)
    house.quiet()
    assert not house.texts(STRANGER)


def test_a_poll_waits_for_50_seconds_where_nothing_is_to_do_and_brings_10_updates_at_most(build):
    house = build()
    house.wait(house.cloud.telegram.polling)
    last = house.cloud.telegram.calls("getUpdates")[-1].params
    assert (last["timeout"], last["limit"]) == ("50", "10")


def test_an_empty_list_lets_nobody_in(build):
    house = build(settings={"telegram": {"allow": []}})
    house.say("hello", OWNER)
    house.wait(lambda: house.board.status()["refused"] == 1)
    assert not house.cloud.models.calls() and not house.texts(OWNER)


@pytest.mark.parametrize("kind", ["photo", "voice", "sticker"])
def test_what_is_no_text_gets_a_short_word_once(house, kind):
    chat = house.chat()
    before = house.texts(chat)
    getattr(house.cloud.telegram, kind)(chat=chat)
    house.wait(lambda: house.texts(chat) != before)
    house.quiet()
    assert house.texts(chat) == [*before, "I can read only text."]
    assert not house.cloud.models.calls()


def test_an_album_gets_one_word(house):
    chat, other = house.chat(), house.chat()
    before = house.texts(chat), house.texts(other)
    for _ in range(3):
        house.cloud.telegram.photo(chat=chat)
    house.cloud.telegram.photo(chat=other)
    house.wait(lambda: house.texts(other) != before[1])
    house.cloud.telegram.photo(chat=other)
    house.ask("and now?", other)
    assert house.texts(chat) == [*before[0], "I can read only text."]
    assert house.texts(other) == [*before[1], "I can read only text.", "and now?"]


def test_a_rich_message_is_asked_line_by_line(house):
    chat = house.chat()
    items = [{"blocks": [{"type": "paragraph", "text": word}]} for word in ("tea", "bread")]
    bold = {"type": "bold", "text": "this"}
    asked = {"type": "paragraph", "text": ["What costs ", bold, "?"]}
    house.cloud.telegram.rich(chat, [asked, {"type": "list", "items": items}])
    house.wait(lambda: house.texts(chat))
    house.quiet()
    assert house.prompts()[-1][-1] == ("user", "What costs this?\ntea\nbread\n")


def test_updates_without_words_are_confirmed_in_silence(house):
    house.cloud.telegram.join(GROUPS[1], 7)
    house.cloud.telegram.leave(GROUPS[1], 7)
    house.quiet()
    assert house.cloud.telegram.pending() == 0
    assert not house.cloud.telegram.calls("sendMessage") and not house.cloud.models.calls()


def test_a_topic_has_its_own_conversation_and_answers_in_its_thread(house):
    group = GROUPS[2]
    house.cloud.telegram.chat(group, "supergroup", forum=True, topics=(7, 9))
    house.ask("in seven @thimble_test_bot", group, user=OWNER, thread=7)
    house.ask("in nine @thimble_test_bot", group, user=OWNER, thread=9)

    assert [(one.text, one.thread) for one in house.cloud.telegram.messages(group)] == [
        ("in seven @thimble_test_bot", 7),
        ("in nine @thimble_test_bot", 9),
    ]
    assert house.prompts()[-1] == [
        ("system", SYSTEM),
        ("user", "in nine @thimble_test_bot"),
    ]
    house.say("/history@thimble_test_bot", group, user=OWNER, thread=7)
    history = "> in seven @thimble_test_bot\n\nin seven @thimble_test_bot"
    house.wait(
        lambda: (
            [(one.text, one.thread) for one in house.cloud.telegram.messages(group)][2:]
            == [(history, 7)]
        )
    )


def test_a_command_for_another_bot_of_the_group_is_left_to_it(house):
    house.say("/help@another_bot", GROUPS[3], user=OWNER)
    house.say("/help@thimble_test_bot", GROUPS[3], user=OWNER)
    house.wait(lambda: house.texts(GROUPS[3]))
    house.quiet()
    assert len(house.texts(GROUPS[3])) == 1


@pytest.mark.parametrize("reply_last", [False, True])
def test_what_a_message_replies_to_is_not_taken_for_its_text(house, reply_last):
    house.ask("mine", reply_to="the text of another", reply_last=reply_last)
    assert house.prompts()[-1][-1] == ("user", "mine")


# The console.


def test_the_console_helps_and_names_what_it_does_not_know(house):
    lines = house.board.lines("help", "help")
    words = "status log config test reboot safe setup help"
    assert [line.split()[0] for line in lines] == words.split()
    assert house.board.ask("bogus") == "unknown command; help lists them"
    assert "relay up" in house.said()


def test_the_status_has_every_key(house):
    assert set(house.board.status()) == {
        *("version", "board", "uptime_s", "reset_cause", "heap_free", "heap_used", "heap_low"),
        *("largest_block", "pressure", "inbox", "journal", "sessions", "received", "answered"),
        *("refused", "dropped", "duplicates", "compactions", "handshakes", "reconnects"),
        *("last_poll_s", "rssi", "battery_mv", "rss_kb", "error", "tokens_in", "tokens_out"),
    }


def test_the_status_counts_the_tokens_of_all_answers(house):
    def spent():
        state = house.board.status()
        return state["tokens_in"], state["tokens_out"]

    before = spent()
    for usage in ((700, 30), (800, 5)):
        house.cloud.models.script(mode="echo", usage=usage)
        house.ask("count")
    after = spent()
    assert (after[0] - before[0], after[1] - before[1]) == (1500, 35)
    chat = house.say("/status")
    line = f"tokens: {after[0]} in, {after[1]} out"
    house.wait(lambda: any(line in text.splitlines() for text in house.texts(chat)))


def test_no_secret_was_let_out(house):
    said = house.said()
    assert not [secret for secret in house.secrets if secret in said or secret[-12:] in said]


# What was begun before all this.


@pytest.mark.parametrize(
    "where, chat, apart", [("private", OWNER, 1.4), ("group", GROUPS[0], 3.9)]
)
def test_edits_keep_their_distance_and_meet_no_flood_limit(slow, where, chat, apart):
    house = getattr(slow, where)
    house.last(chat, WORDS, 25)

    times = [one["time"] for one in house.changes(chat)]
    assert len(times) > 2
    assert min(b - a for a, b in itertools.pairwise(times)) >= apart
    assert not [call for call in house.cloud.telegram.calls() if call.status == 429]


def test_stop_keeps_what_arrived_and_says_so(slow):
    house = slow.stopped
    house.wait(lambda: house.newest(OWNER).endswith(STOPPED))
    kept = house.texts(OWNER)[-1].removesuffix(STOPPED)

    assert len(kept) > 30
    house.ask("next", OWNER)
    assert [role for role, _ in house.prompts()[-1]] == ["user", "assistant", "user"]
    assert house.prompts()[-1][-2][1].strip() == kept.strip()


def test_stop_overtakes_commands_whose_answers_have_to_wait(slow):
    house = slow.crowded[OWNER]
    house.wait(lambda: any(text.endswith(STOPPED) for text in house.texts(OWNER)))
    stop = next(one for one in house.changes(OWNER) if one["text"].endswith(STOPPED))
    assert stop["time"] - house.changes(OWNER)[0]["time"] < 9
    house.wait(
        lambda: len([one for one in house.texts(OWNER) if "free, pressure" in one]) == 12, 20
    )


def test_commands_of_a_group_hold_up_no_answer_in_another_chat(slow):
    house = slow.crowded[GROUPS[0]]
    house.wait(lambda: any(len(text) > 2990 for text in house.texts(OWNER)), 30)
    times = [one["time"] for one in house.changes(OWNER)]
    assert times[-1] - times[0] < 12
    house.wait(lambda: len(house.texts(GROUPS[0])) == 12, 50)


def test_stop_works_while_more_waits_than_the_inbox_takes(slow):
    slow.full.wait(lambda: slow.full.newest(OWNER).endswith(STOPPED), 20)


def test_stop_in_another_chat_stops_nothing(slow):
    slow.other.last(slow.elsewhere, "Nothing is being written here.")
    slow.other.last(OWNER, WORDS)
