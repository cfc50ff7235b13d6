from thimble.core.conversation import ASSISTANT, SUMMARY, USER
from thimble.core.pressure import CRITICAL, NORMAL, RELIEVED
from thimble.memory import Memory

HEAP = "256k"
TEST_S = 20

SMALL, LARGE = b"x" * 40, b"x" * 30_000
EXCHANGE = [USER, ASSISTANT]


class Settings:
    elevated = 80
    critical = 90
    budget_kb = 0


class Sizes:
    segment = 1024
    segments_max = 0
    segments_min = 4
    reserve = 4096
    slots = 4


def made(segments):
    Sizes.segments_max = segments
    memory = Memory(Settings, Sizes, 0, lambda: 0)
    assert memory.segments.count == segments
    return memory


def say(memory, key, roles, text):
    chat = memory.chats.get(key, 0, len(key))
    for role in roles:
        chat.begin(role)
        memory.chats.append(chat, text, 0, len(text))
        chat.end()
    return chat


def roles_of(chat):
    chat.rewind()
    return [chat.next_turn() for _ in range(chat.turns)]


def test_large_turns_of_one_chat_leave_no_critical_pressure_behind():
    memory = made(40)
    chat = say(memory, b"k", EXCHANGE * 2, LARGE)
    assert memory.look() == CRITICAL
    memory.relieve()
    assert roles_of(chat) == EXCHANGE and memory.compactions == 1
    assert memory.look() == NORMAL == memory.pressure.level


def test_an_exchange_of_the_largest_turns_is_less_than_where_pressure_ends():
    for segments in (9, 10, 11, 12, 16, 24, 96):
        memory = made(segments)
        chat = say(memory, b"k", EXCHANGE * 3, LARGE)
        assert memory.fill() >= RELIEVED
        memory.relieve()
        assert roles_of(chat)[-2:] == EXCHANGE, segments
        assert memory.fill() < RELIEVED, segments


def test_small_turns_stay_up_to_four_and_a_question_without_an_answer_with_its_exchange():
    memory = made(24)
    for roles, small, large in (
        (EXCHANGE * 4, EXCHANGE * 2, EXCHANGE),
        (EXCHANGE * 2, EXCHANGE * 2, EXCHANGE),
        (EXCHANGE * 2 + [USER], EXCHANGE + [USER], EXCHANGE + [USER]),
        ([SUMMARY] + EXCHANGE, [SUMMARY] + EXCHANGE, [SUMMARY] + EXCHANGE),
        ([SUMMARY] + EXCHANGE * 2, EXCHANGE * 2, EXCHANGE),
    ):
        for text, kept in ((SMALL, small), (LARGE, large)):
            chat = say(memory, b"k", roles, text)
            memory.relieve()
            assert roles_of(chat) == kept, (roles, len(text))
            chat.clear()


def test_the_conversation_that_is_being_answered_is_not_touched():
    memory = made(24)
    chat = say(memory, b"k", EXCHANGE * 3, LARGE)
    other = say(memory, b"other", EXCHANGE, SMALL)
    memory.chats.busy = chat
    was = roles_of(chat)
    memory.relieve()
    assert roles_of(chat) == was and roles_of(other) == EXCHANGE
    memory.chats.busy = other
    memory.relieve()
    assert roles_of(chat) == [] and roles_of(other) == EXCHANGE
