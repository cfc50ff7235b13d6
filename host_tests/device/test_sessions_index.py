"""What finding the turns of a session takes: heap, and bytes that are read."""

import micropython

from kit import live
from turns_desk import (
    close,
    content,
    disk,
    exchange,
    fresh,
    loaded,
    pairs,
    pool,
    put,
    rebooted,
    say,
    text_of,
    turn,
)
from thimble.core.chats import Chats
from thimble.core.conversation import ASSISTANT, SUMMARY, USER
from thimble.store import archive

HEAP = "3m"
TEST_S = 60
QEMU = "the store is for a board whose flash is not in its heap"


def test_an_exchange_allocates_nothing():
    sessions = fresh()
    question, answer = b"q" * 700, b"a" * 300
    keys = [b"%d" % i for i in range(4)]

    @micropython.native  # so that its own frame costs nothing
    def run():
        for key in keys:
            sessions.begin(key, 0, 1, USER)
            sessions.write(question, 0, 700)
            sessions.end()
            sessions.begin(key, 0, 1, ASSISTANT)
            for _ in range(10):
                sessions.write(answer, 0, 30)
            sessions.end()
            sessions.commit()

    run()
    before = micropython.mem_total()
    disk.allocated = 0
    run()
    cost = micropython.mem_total() - before - disk.allocated
    assert cost == 0, cost
    assert sessions.files == 1


def cost_of_loading(sessions, key):
    """(bytes of heap, blocks' reads) that rebuilding this key's conversation takes."""
    chats = Chats(pool, 2)
    conversation = chats.get(key, 0, len(key))
    disk.allocated = disk.reads = 0
    before = micropython.mem_total()
    sessions.load(chats, conversation, 8000)
    cost = micropython.mem_total() - before - disk.allocated
    conversation.clear()
    return cost, disk.reads


def test_loading_from_files_that_are_open_allocates_nothing_and_nothing_stays():
    sessions = fresh()
    for i in range(900):
        exchange(sessions, b"%d" % (i % 50), text_of(200), text_of(200))
    assert sessions.files == 6
    cost_of_loading(sessions, b"7")
    cost = cost_of_loading(sessions, b"7")
    assert cost[0] == 0, cost
    early = late = 1 << 29
    for i in range(600):
        exchange(sessions, b"%d" % (i % 200), text_of(200), text_of(200))
        if i % 30 == 0:
            cost_of_loading(sessions, b"7")
            # The least of ten: the collector takes what is left on the stack for pointers.
            if i < 300:
                early = min(early, live())
            else:
                late = min(late, live())
    assert late < early + 10 * 16, (early, late)  # less than a block for each time in between


def test_a_session_that_the_index_knows_is_loaded_without_reading_the_files_through():
    sessions = fresh()
    for i in range(40):
        assert not loaded(sessions, b"%d" % i)
        for _ in range(4):
            exchange(sessions, b"%d" % i, text_of(60), text_of(400))
    assert sessions.files > 4
    _, through = cost_of_loading(rebooted(), b"7")
    sessions = rebooted()
    keys = [b"%d" % i for i in range(40)]
    expected = [loaded(sessions, key) for key in keys]
    for key in keys:
        heap, reads = cost_of_loading(sessions, key)
        assert heap == 0 and reads < through / 12, (heap, reads, through)
    assert [loaded(sessions, key) for key in keys] == expected
    archive.clear(sessions, b"7", 0, 1)
    exchange(sessions, b"7", b"asks", b"is told")
    heap, reads = cost_of_loading(sessions, b"7")
    assert heap == 0 and reads < through / 12, (heap, reads, through)


def test_sessions_that_speak_by_turns_are_loaded_without_reading_the_files_through():
    sessions = fresh()
    keys = [b"%d" % i for i in range(40)]
    for i in range(4):
        for key in keys:
            assert i or not loaded(sessions, key)
            exchange(sessions, key, text_of(60), text_of(400))
    sessions.begin(b"0", 0, 1, USER)
    sessions.write(b"more", 0, 4)
    assert len(loaded(sessions, b"1")) == 8
    sessions.end()
    sessions.commit()
    reads = [cost_of_loading(sessions, key)[1] for key in keys]
    _, through = cost_of_loading(rebooted(), keys[0])
    assert max(reads) < through / 12, (reads, through)


def test_what_the_index_had_no_room_for_is_found_all_the_same():
    sessions = fresh()
    keys = [b"%d" % i for i in range(120)]
    said = {}
    for i in range(4):  # as nobody loads before, the places of the turns before are not known
        for key in keys:
            exchange(sessions, key, b"%d asks" % i, b"%d is told" % i)
            said[key] = said.get(key, []) + [
                (USER, b"%d asks" % i),
                (ASSISTANT, b"%d is told" % i),
            ]
    for key in keys[:3] + keys[-3:]:
        assert loaded(sessions, key) == said[key]
        heap, reads = cost_of_loading(sessions, key)
        assert heap <= 128 and reads > 100, "read through, with a frame in the heap"


def test_a_summary_is_found_behind_more_turns_than_fit():
    sessions = fresh()
    say(sessions, b"k", pairs(3))
    turn(sessions, b"k", SUMMARY, b"so far", 2)
    for number in (1, 30):
        say(sessions, b"k", pairs(number))
        for _ in range(2):
            assert loaded(sessions, b"k", 30) == [(SUMMARY, b"so far")] + pairs(number)[-2:]
            sessions = rebooted()
            assert loaded(sessions, b"k", 30) == [(SUMMARY, b"so far")] + pairs(number)[-2:]


def test_a_summary_is_found_behind_turns_that_were_written_without_a_look_at_it():
    for first in (True, False):
        sessions = fresh()
        assert not first or not loaded(sessions, b"k")
        say(sessions, b"k", pairs(3))
        turn(sessions, b"k", SUMMARY, b"so far", 2)
        say(sessions, b"k", pairs(2))
        sessions = sessions if first else rebooted()
        say(sessions, b"k", pairs(30))
        expected = [(SUMMARY, b"so far")] + pairs(30)[-2:]
        assert loaded(sessions, b"k", 30) == loaded(sessions, b"k", 30) == expected
        # Nor does it count what the index knew of a session that made way for this one.
        for i in range(56):
            assert not loaded(sessions, b"%d" % i)
            say(sessions, b"%d" % i, pairs(1))
        say(sessions, b"k", pairs(30))
        assert loaded(sessions, b"k", 30) == expected


def test_where_there_is_no_summary_no_more_turns_are_looked_at_than_have_room():
    sessions = fresh()
    assert not loaded(sessions, b"k")
    for _ in range(100):
        exchange(sessions, b"k", text_of(300), text_of(300))
    assert len(loaded(sessions, b"k", 1500)) == 4
    disk.reads = 0
    loaded(sessions, b"k", 1500)
    few, disk.reads = disk.reads, 0
    loaded(sessions, b"k", 15000)
    assert few * 5 < disk.reads


def test_a_session_begun_in_the_three_hundredth_file_is_loaded_without_reading_the_files_through():
    sessions = fresh()
    put(300, b"")
    sessions = rebooted()
    keys = [b"%d" % i for i in range(40)]
    for key in keys:
        assert not loaded(sessions, key)
        for _ in range(4):
            exchange(sessions, key, text_of(60), text_of(400))
    assert sessions.first == 300 and sessions.files > 4
    reads = [cost_of_loading(sessions, key)[1] for key in keys]
    _, through = cost_of_loading(rebooted(), keys[0])
    assert max(reads) < through / 12, (reads, through)


def test_a_link_that_leads_astray_costs_only_time():
    """Every byte of a link is wrong in turn, with a CRC that is right."""
    from thimble.core.octets import crc16

    said = {b"a": pairs(3, b"a"), b"b": pairs(3, b"b")}
    sessions = fresh()
    for i in range(0, 6, 2):
        for key in said:
            say(sessions, key, said[key][i : i + 2])
    for key in said:
        assert loaded(sessions, key) == said[key]
    data = content(1)
    at = 0
    chunks = []
    while at < len(data):
        chunks.append(at)
        at += data[at + 1] + 4
    for at in chunks:
        if data[at] > SUMMARY:
            continue
        for i in range(8, 13):
            for value in (0, 1, 126, 127, 128, 255):
                wrong = bytearray(data)
                wrong[at + i] = value
                end = at + 2 + wrong[at + 1]
                crc = crc16(wrong, at, end - at, 0xFFFF)
                wrong[end : end + 2] = bytes((crc & 255, crc >> 8))
                close(sessions)
                put(1, wrong)
                for key in said:
                    turns = loaded(sessions, key)
                    # It may end there, or take what it says for the whole; never another's text.
                    assert turns == said[key][len(said[key]) - len(turns) :], (at, i, value, turns)


def test_what_the_files_take_of_the_heap_is_taken_at_the_start():
    sessions = fresh()
    chance = text_of(200)
    exchange(sessions, b"k", chance, chance)
    loaded(sessions, b"k")
    used = [0] * 10  # a list that grows would be counted, too
    for i in range(len(used)):
        # The least of four: the collector takes what is left on the stack for pointers.
        used[i] = min(live() for _ in range(4))
        for _ in range(30):
            exchange(sessions, b"k", chance, chance)
    assert sessions.files == 6
    assert max(used) < used[0] + 64, used  # a file that is open takes more
