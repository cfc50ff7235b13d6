"""Which conversations a compaction shortens, and what is left of them, beside a model that says at
once what it is told to."""

import thimble.compaction as compaction
from thimble.core.conversation import ASSISTANT, SUMMARY, USER
from thimble.core.pressure import RELIEVED
from thimble.memory import Memory
from thimble.model import request

HEAP = "256k"
TEST_S = 20

EXCHANGE = [USER, ASSISTANT]


class Settings:
    elevated = 80
    critical = 90
    budget_kb = 0
    max_messages = 16


class Sizes:
    segment = 1024
    segments_max = 24
    segments_min = 4
    reserve = 4096
    slots = 4


class Part:
    """Stands for all that is not looked at: whatever is called does nothing."""

    def nothing(self, *args):
        pass

    begin = write = end = commit = info = fail = look_in = nothing


class Model(Part):
    """``says``: b"" where it cannot; ``asked``: how many turns it was to summarize each time;
    ``comes_with``: the event with which a message comes."""

    says = b"In short."
    comes_with = -1
    reason = pos = 0

    def __init__(self):
        self.asked = []
        self.stopped = 0

    def ask(self, chat, buf, off, n):
        assert self.chats.busy is chat  # which nothing takes away meanwhile
        self.asked.append(self.turns)
        self.out, self.end = self.says, len(self.says)
        self.events = [request.DONE, request.TEXT]
        return bool(self.says)

    def poll(self, ms):
        event = self.events.pop()
        self.inbox.count += event == self.comes_with
        return event

    def stop(self):
        self.stopped += 1


def make():
    """A relay around a Memory of 24 segments."""
    relay = Part()
    relay.memory = Memory(Settings, Sizes, 0, lambda: 0)
    assert relay.memory.segments.count == Sizes.segments_max
    relay.config = relay.inbox = relay.exchange = Part()
    relay.config.memory = Settings
    relay.inbox.count = relay.exchange.calls = 0
    relay.exchange.calls_left = lambda: 1000
    relay.sessions = relay.log = Part()
    relay.model = Model()
    relay.model.chats, relay.model.inbox = relay.memory.chats, relay.inbox
    relay.reply = Part()
    relay.reply.buf = bytearray(4096)
    relay.reply.peer = Part()
    return relay


def say(relay, key, roles, size):
    chats = relay.memory.chats
    chat = chats.get(key, 0, len(key))
    for role in roles:
        chat.begin(role)
        chats.append(chat, b"x" * size, 0, size)
        chat.end()
    return chat


def text(chat):
    """The text of the conversation's next turn."""
    found = b""
    while chat.next_piece():
        found += bytes(chat.buf[chat.pos : chat.stop])
    return found


def test_one_that_is_too_long_costs_no_other_that_can_leave_ram():
    relay = make()
    silent = say(relay, b"a", EXCHANGE, 1500)
    large = say(relay, b"b", EXCHANGE * 2, 3000)
    long = say(relay, b"c", EXCHANGE * 9, 20)
    assert RELIEVED <= relay.memory.fill() < Settings.elevated
    assert not compaction.run(relay)
    assert relay.model.asked == [8] and relay.memory.compactions == 1
    assert [chat.turns for chat in (silent, large)] == [0, 4]
    assert long.turns == 11 and relay.memory.fill() < RELIEVED


def test_a_message_that_comes_before_the_end_of_a_summary_ends_it_and_one_that_comes_with_it_not():
    for event, given_up in ((request.TEXT, True), (request.DONE, False)):
        relay = make()
        chat = say(relay, b"a", EXCHANGE * 9, 20)
        relay.model.comes_with = event
        said, relay.log = [], Part()
        relay.log.info = said.append
        assert compaction.run(relay) == given_up
        assert relay.memory.compactions == len(said) == (not given_up)
        assert chat.turns == (18 if given_up else 11)
        left = "compacted to %d %% of the segments" % relay.memory.fill()
        assert given_up or said == [left]


def test_a_model_that_may_not_be_asked_today_is_not():
    for left in (0, 1):
        relay = make()
        relay.exchange.calls_left = [lambda: 0, lambda: 1][left]
        chat = say(relay, b"a", EXCHANGE * 9, 20)
        compaction.run(relay)
        assert len(relay.model.asked) == left == relay.exchange.calls
        assert chat.turns == (11 if left else 8)


def test_while_the_heap_is_short_the_model_is_not_asked():
    for short, asked in ((False, 1), (True, 0)):
        relay = make()
        relay.memory.short = short
        chat = say(relay, b"a", EXCHANGE * 9, 20)
        compaction.run(relay)
        assert len(relay.model.asked) == asked == relay.exchange.calls
        assert chat.turns == (11 if asked else 8)


def test_a_model_that_could_not_is_not_asked_about_the_next_one():
    relay = make()
    relay.model.says = b""
    chats = [say(relay, key, EXCHANGE * 9, 20) for key in (b"a", b"b")]
    compaction.run(relay)
    assert len(relay.model.asked) == 1
    assert [chat.turns for chat in chats] == [8, 8]


def test_the_older_half_is_all_before_the_question_in_the_middle_or_the_last_before_that():
    for exchanges, older in ((9, 8), (10, 10), (11, 10), (12, 12)):
        relay = make()
        chat = say(relay, b"a", EXCHANGE * exchanges, 20)
        compaction.run(relay)
        assert relay.model.asked == [older] and chat.turns == 2 * exchanges - older + 1


def test_pressure_that_is_no_conversations_is_left_as_it_is():
    relay = make()
    relay.memory.fill = lambda: 100
    assert not compaction.run(relay)
    assert not relay.model.asked and not relay.memory.compactions


def test_few_turns_leave_ram_and_the_model_is_not_asked():
    relay = make()
    chat = say(relay, b"a", EXCHANGE + [USER], 6000)
    assert relay.memory.fill() >= RELIEVED
    compaction.run(relay)
    assert not relay.model.asked and chat.turns == 0


def test_a_summary_is_not_summarized_by_itself():
    relay = make()
    chat = say(relay, b"a", [SUMMARY, USER, ASSISTANT, USER], 4000)
    assert relay.memory.fill() >= RELIEVED
    compaction.run(relay)
    assert not relay.model.asked and chat.turns == 2


def test_one_that_gave_nothing_to_another_is_shortened_all_the_same():
    relay = make()
    chat = say(relay, b"a", EXCHANGE * 3, 2700)
    chat.stuck = True
    compaction.run(relay)
    assert relay.model.asked == [2] and relay.memory.fill() < RELIEVED


def test_a_new_summary_takes_the_place_of_the_one_before():
    relay = make()
    chat = say(relay, b"a", EXCHANGE * 9, 20)
    for said in (b"In short.", b"Shorter."):
        relay.model.says = said
        compaction.run(relay)
        chat.rewind()
        assert chat.next_turn() == SUMMARY and text(chat) == said
        say(relay, b"a", EXCHANGE * 4, 20)
    assert len(relay.model.asked) == 2


def test_as_many_messages_as_there_may_be_are_not_too_many():
    relay = make()
    say(relay, b"a", EXCHANGE * 9, 20)
    exact = say(relay, b"b", EXCHANGE * 8, 20)
    compaction.run(relay)
    assert len(relay.model.asked) == 1 and exact.turns == 16


def test_a_summary_is_taken_up_to_max_tokens_and_not_where_it_breaks_off():
    for reason, taken in ((request.LENGTH, True), (request.LENGTH + 1, False)):
        relay = make()
        relay.model.reason = reason
        chat = say(relay, b"a", EXCHANGE * 9, 20)
        compaction.run(relay)
        chat.rewind()
        assert (chat.next_turn() == SUMMARY) == taken
        assert relay.memory.chats.busy is None and relay.model.stopped == 1
        assert relay.model.waiting is None  # it would keep code that leaves memory
