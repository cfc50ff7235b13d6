import gc

from kit import raises
from thimble.core.conversation import ASSISTANT, SUMMARY, USER
from thimble.core.pressure import CRITICAL, ELEVATED, NORMAL, RELIEVED
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
    memory = filled(segments)
    assert memory.segments.count == segments
    return memory


def filled(segments, overlays=0, budget_kb=0):
    """A Memory with as many of the segments as there is room for."""
    Sizes.segments_max = segments
    Settings.budget_kb = budget_kb
    return Memory(Settings, Sizes, overlays, lambda: 0)


def taken(left):
    """What leaves no more than ``left`` bytes of the heap, in pieces."""
    gc.collect()
    pieces = []
    while gc.mem_free() > left:
        pieces.append(bytearray(512))
    return pieces


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
    assert memory.look() == CRITICAL and not memory.short
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


def test_where_the_reserve_never_fitted_some_segments_come_back_all_the_same():
    gc.collect()
    filler = []
    while gc.mem_free() > 20_000:
        filler.append(bytearray(1000))
    Sizes.segments_max = 24
    small = Memory(Settings, Sizes, 32_768, lambda: 0)
    assert small.segments.count == Sizes.segments_min
    small.relieve(True)
    assert small.segments.count == 0
    small.look()
    assert 0 < small.segments.count < Sizes.segments_min
    assert filler


def test_the_conversation_that_is_being_answered_is_not_touched():
    for text in (SMALL, LARGE):
        memory = made(24)
        chat = say(memory, b"k", EXCHANGE * 6, text)
        other = say(memory, b"other", EXCHANGE, SMALL)
        memory.chats.busy = chat
        was = roles_of(chat)
        memory.relieve()
        assert roles_of(chat) == was and roles_of(other) == EXCHANGE
        memory.chats.busy = memory.chats.get(b"other", 0, 5)
        memory.relieve()
        assert roles_of(chat) == [] and roles_of(other) == EXCHANGE
        memory.chats.busy = say(memory, b"other", EXCHANGE * 6, text)
        was = roles_of(other)
        memory.relieve()
        assert roles_of(other) == was


def test_the_levels_begin_where_the_settings_say():
    Settings.elevated, Settings.critical = 70, 75
    try:
        memory = made(40)
        say(memory, b"k", [USER] * 29, b"x" * 1000)
        assert memory.fill() == 72 and memory.look() == ELEVATED
        say(memory, b"k", [USER] * 2, b"x" * 1000)
        assert memory.fill() == 77 and memory.look() == CRITICAL
        memory = made(40)
        idle = say(memory, b"idle", EXCHANGE, b"x" * 1000)
        say(memory, b"k", [USER] * 27, b"x" * 1000)
        assert 70 <= memory.fill() < 75 and memory.look() == NORMAL and not idle.turns
    finally:
        Settings.elevated, Settings.critical = 80, 90


def test_those_silent_longest_are_let_go_until_the_pressure_is_over_but_not_the_busy_one():
    memory = made(24)
    chats = [say(memory, key, EXCHANGE, b"x" * 2500) for key in (b"a", b"b", b"c", b"d")]
    assert memory.fill() >= Settings.elevated
    memory.chats.busy = chats[0]
    assert memory.look() == NORMAL
    assert [chat.turns for chat in chats] == [2, 0, 0, 2]
    say(memory, b"b", EXCHANGE, b"x" * 2500)
    assert memory.fill() >= RELIEVED and memory.look() == NORMAL and chats[3].turns
    memory = made(24)
    chats = say(memory, b"a", EXCHANGE, b"x" * 2500), say(memory, b"b", EXCHANGE + [USER], LARGE)
    assert memory.fill() >= Settings.elevated and memory.look() == NORMAL
    assert [chat.turns for chat in chats] == [0, 3] and memory.fill() >= RELIEVED


def test_the_share_of_one_more_conversation_is_its_part_of_the_whole_and_two_segments_at_least():
    memory = made(12)
    assert memory.share() == 8 * 1024 and memory.segments.share == 3 * 1024  # alone
    for key, share in ((b"a", 6), (b"b", 4), (b"c", 3), (b"d", 2)):
        say(memory, key, EXCHANGE, b"x" * 1500)
        assert memory.share() == share * 1024
    memory = made(4)
    for key in (b"a", b"b", b"c"):
        say(memory, key, EXCHANGE, SMALL)
    assert memory.share() == 2 * 1024
    assert made(4).segments.share == 2 * 1024


def test_small_conversations_leave_one_more_what_is_free_short_of_pressure():
    memory = made(40)
    for key in (b"a", b"b", b"c"):
        say(memory, key, EXCHANGE, SMALL)
    chat = say(memory, b"d", [USER], b"")
    assert memory.segments.free == 37 and memory.share() == 21 * 1024
    for _ in range(21):
        say(memory, b"d", [USER], b"x" * 1000)
    assert chat.turns == 21 and 55 <= memory.fill() <= RELIEVED


def test_a_budget_bounds_them_and_the_fewest_are_made_under_any():
    whole = gc.mem_free() + gc.mem_alloc()
    memory = filled(1000, budget_kb=128)
    gc.collect()
    assert 120 * 1024 < gc.mem_alloc() < 128 * 1024 < whole
    count = memory.segments.count
    memory.regrow()
    assert memory.segments.count == count
    del memory
    memory = filled(1000, budget_kb=1)
    assert memory.segments.count == Sizes.segments_min
    assert memory.look() == NORMAL  # else it would be a pressure that nothing relieves


def test_what_is_used_counts_against_the_budget_not_against_the_heap():
    memory = filled(1000, budget_kb=128)
    assert memory.look() == NORMAL
    # Beside the reserve, less than one more segment is left of the budget.
    piece = bytearray(Sizes.reserve + Sizes.segment)
    assert memory.look() == CRITICAL and memory.short
    assert gc.mem_free() > 64 * 1024 > len(piece)
    del piece
    assert memory.look() == NORMAL


def test_a_conversation_that_loses_turns_under_pressure_counts_as_compacted():
    memory = made(24)
    for key in (b"a", b"b", b"c"):
        say(memory, key, EXCHANGE, SMALL)
    memory.chats.get(b"empty", 0, 5)
    last = say(memory, b"c", EXCHANGE, SMALL)
    memory.relieve()
    assert memory.compactions == 2 and last.turns == 4, "the last one kept all it had"
    say(memory, b"c", EXCHANGE, SMALL)
    memory.relieve()
    assert memory.compactions == 3 and last.turns == 4


def test_free_segments_go_to_the_heap_where_it_is_short_all_but_two():
    memory = made(40)
    chat = say(memory, b"k", EXCHANGE, SMALL)
    memory.relieve()
    assert memory.segments.count == 40, "the heap has enough"
    pieces = taken(10_000)
    assert memory.look() == CRITICAL
    memory.relieve()
    assert memory.segments.count == chat.segments_used + 2
    memory.relieve(True)
    assert memory.segments.count == chat.segments_used and roles_of(chat) == EXCHANGE
    del pieces
    memory.relieve()
    assert memory.segments.count == chat.segments_used, "it is for look() to take them back"
    assert memory.look() == NORMAL and memory.segments.count == 40


def test_no_segment_comes_back_before_the_pressure_is_over():
    memory = made(40)
    pieces = taken(10_000)
    assert memory.look() == CRITICAL
    memory.relieve()
    count = memory.segments.count
    while memory.heap() >= 75:
        pieces.pop()
        gc.collect()
    while memory.heap() < 65:
        pieces.append(bytearray(512))
    memory.look()
    assert memory.pressure.level == CRITICAL and memory.segments.count == count < 40
    del pieces
    memory.look()
    assert memory.pressure.level == NORMAL and memory.segments.count == 40


def test_segments_come_back_while_the_reserve_stays_free():
    memory = made(40)
    memory.relieve(True)
    assert memory.segments.count == 0
    pieces = taken(Sizes.reserve + 10 * 1024)
    memory.regrow()
    gc.collect()
    assert gc.mem_free() >= Sizes.reserve
    assert 5 < memory.segments.count <= 10
    del pieces
    memory.regrow()
    assert memory.segments.count == 40


def test_a_heap_in_pieces_smaller_than_a_segment_gives_none_back():
    memory = made(40)
    memory.relieve(True)
    pieces = taken(10_000)  # less is in holes that the loading of this file has left
    for i in range(0, len(pieces), 2):
        pieces[i] = None
    gc.collect()
    assert gc.mem_free() > Sizes.reserve + 40 * 1024
    memory.regrow()
    assert memory.segments.count < 10


def test_garbage_is_collected_before_it_passes_for_pressure():
    memory = made(40)
    gc.disable()
    try:
        taken(10_000)
        assert memory.heap() >= Settings.critical
        assert memory.look() == NORMAL and memory.heap() < RELIEVED
    finally:
        gc.enable()


def test_the_fewest_bytes_that_were_free_are_remembered():
    memory = made(40)
    pieces = taken(30_000)
    memory.collect()
    low = memory.heap_low
    assert 25_000 < low <= 30_000
    del pieces
    memory.collect()
    assert memory.heap_low == low


def test_the_largest_block_is_what_the_heap_can_give_at_once():
    memory = made(40)
    block = memory.largest_block()
    assert 10_000 < block <= gc.mem_free() and len(bytearray(block)) == block
    raises(MemoryError, lambda: bytearray(block + 128))


def test_the_conversations_get_what_the_heap_has_beside_the_reserve():
    memory = filled(1000, overlays=3000)
    memory.collect()
    # What is free beside it lies in holes that the loading of this file has left.
    assert 7096 <= gc.mem_free() < 7096 + 32 * 1024
