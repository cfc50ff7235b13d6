"""The journal: what its file says, its bound and its cost, on littlefs on a flash in RAM."""

import builtins
import micropython
import os
import random

from journal_desk import BOT, LARGEST, PATH, Desk
from journal_file import read, replayed, sample, starts_of, write
from kit import allocated, raises
from ramdisk import Stand
from thimble.core import octets
from thimble.store import journal
from thimble.store.journal import Journal

HEAP = "2m"
TEST_S = 90
_TAIL = PATH + ".tail/now"


def test_a_file_cut_off_at_any_byte_gives_what_its_whole_records_say():
    with Stand():
        desk = Desk(most=4000)
        content = sample(desk)
        full = replayed(content, len(content))
        assert full[0] == [(1, 1, [b"98", b"99"]), (3, 0, []), (5, 0, [])] and full[1] == 6
        ends = set(starts_of(content))
        for end in range(len(content) + 1):
            write(content[:end])
            found = desk.boot()
            assert (found.records, found.offset) == replayed(content, end), end
            assert desk.journal.damaged == (end not in ends)
            assert desk.journal.rewrites == (end not in ends or not end), "never appended behind"
            # What comes next is behind whole records, and is found again.
            assert desk.take((7,)) == 1
            desk.journal.close()
            again = desk.boot()
            assert [r[0] for r in again.records] == [r[0] for r in found.records] + [7]
            assert again.records[: len(found.records)] == found.records
            assert not desk.journal.damaged
            desk.journal.close()


def test_one_wrong_byte_ends_the_file_there():
    random.seed(11)
    with Stand():
        desk = Desk(most=4000)
        content = sample(desk)
        starts = list(starts_of(content))
        for at in range(0, len(content), 1 if len(content) < 800 else 2):
            for flip in (1 << random.randrange(8), random.randrange(1, 256)):
                broken = bytearray(content)
                broken[at] ^= flip
                write(broken)
                found = desk.boot()
                begin = max(start for start in starts if start <= at)
                assert (found.records, found.offset) == replayed(content, begin), (at, flip)
                assert desk.journal.damaged == 1
                desk.journal.close()


def test_a_file_of_anything_at_all_never_stops_the_start():
    random.seed(5)
    with Stand():
        desk = Desk(most=4000)
        content = sample(desk)
        for _ in range(300):
            junk = bytearray(random.getrandbits(8) for _ in range(random.randrange(1, 200)))
            at = random.randrange(len(content))
            keep = (b"", content[:at], content)[random.randrange(3)]
            write(keep + junk + content[at:])
            desk.boot()
            desk.take((9,))
            assert desk.commit() and not desk.journal.error
            desk.journal.close()


def test_one_wrong_byte_ends_the_file_where_a_tail_belongs_to_it_too():
    with Stand():
        desk = Desk()
        desk.boot()
        desk.take(range(3))
        desk.send(desk.attempt())
        content, tail = read(), read(_TAIL)
        starts = list(starts_of(content))
        for at in range(len(content)):
            broken = bytearray(content)
            broken[at] ^= 8
            write(broken)
            write(tail, _TAIL)
            found = desk.boot()
            whole, offset = replayed(content, max(start for start in starts if start <= at))
            numbers = [record[0] for record in whole]
            assert [record[0] for record in found.records] == numbers and found.offset == offset
            assert desk.take((7,)) == 1
            desk.journal.close()
            assert [record[0] for record in desk.boot().records] == numbers + [7], at
            assert not desk.journal.damaged
            desk.journal.close()


def test_a_tail_of_anything_at_all_never_stops_the_start():
    random.seed(3)
    with Stand():
        for _ in range(100):
            write(b"")
            desk = Desk()
            desk.boot()
            desk.take((1,))
            desk.attempt()
            tail = bytearray(read(_TAIL))
            tail[1] = random.getrandbits(8)
            for i in range(4, len(tail)):
                if random.getrandbits(3) == 0:
                    tail[i] = random.getrandbits(8)
            tail.extend(bytes(random.getrandbits(8) for _ in range(random.randrange(200))))
            write(read(), PATH)
            write(tail, _TAIL)
            assert [record[0] for record in desk.boot().records] == [1]
            assert desk.take((2,)) == 1 and not desk.journal.error
            desk.journal.close()
            assert [record[0] for record in desk.boot().records] == [1, 2]
            desk.journal.close()


def _record(kind, number, payload):
    head = bytes((kind, number & 255, number >> 8, len(payload), 0))
    crc = octets.crc16(payload, 0, len(payload), octets.crc16(head, 0, 5, 0xFFFF))
    return head + bytes((crc & 255, crc >> 8)) + payload


def test_a_whole_record_that_cannot_stand_there_ends_the_file():
    with Stand():
        desk = Desk(most=4000)
        content = sample(desk)
        expected, offset = replayed(content, len(content))
        message = b"\0\0\0\0\1" + bytes(43) + b"9" + bytes(19)
        for kind, number, payload in (
            (1, 1, BOT),
            (2, 9000, message),  # the scratch has no bit for it
            (3, 6, b"\2"),  # about a message that never came
            (4, 6, b"\x0055"),
            (5, 6, b""),
            (2, 6, message[:-1]),
            (4, 2, b"\x00" + b"5" * 21),
        ):
            write(content + _record(kind, number, payload))
            found = desk.boot()
            assert (found.records, found.offset) == (expected, offset), kind
            assert desk.journal.damaged == 1
            assert desk.take((7,)) == 1
            desk.journal.close()
            assert desk.boot().records == expected + [(7, 0, [])], kind
            desk.journal.close()
        write(content[list(starts_of(content))[1] :])  # it does not say whose it is
        found = desk.boot()
        assert not found.records and not found.offset and desk.journal.damaged == 1
        desk.journal.close()


def test_the_file_of_another_bot_is_dropped():
    with Stand():
        desk = Desk(most=4000)
        sample(desk)
        for bot in (b"987654321", b"12345678", b"1234567890", BOT):
            found = desk.boot(bot)
            assert not found.records and found.offset == 0 and not desk.journal.damaged
            desk.take((3,))
            desk.journal.close()
            assert [r[0] for r in desk.boot(bot).records] == [3]
            desk.journal.attempt(desk.ring.first(), 1)  # which is in the tail


def test_an_id_far_below_the_offset_moves_it_back():
    with Stand():
        desk = Desk()
        desk.boot()
        desk.take((90000,))
        desk.close(desk.attempt())
        desk.take((12,))
        desk.journal.close()
        found = desk.boot()
        assert [r[0] for r in found.records] == [12] and found.offset == 13


def test_what_has_no_place_in_a_smaller_inbox_is_counted():
    with Stand():
        desk = Desk(size=1200, most=4000)
        desk.boot()
        assert desk.take(range(5)) == 5
        desk.journal.close()
        desk = Desk(size=420, most=4000)
        assert [record[0] for record in desk.boot().records] == [0, 1, 2]
        assert desk.journal.damaged == 2


def test_what_a_cut_rewriting_left_aside_is_removed():
    with Stand():
        desk = Desk(most=4000)
        content = sample(desk)
        write(content[: len(content) // 2], PATH + ".new")
        desk.boot_again()
        assert (
            sorted(os.listdir("/flash")) == ["journal", "journal.tail"]
            and not desk.journal.rewrites
        )


def test_messages_that_wait_keep_their_own_ids_and_attempts_when_the_file_is_rewritten():
    with Stand():
        desk = Desk(most=4000)
        desk.boot()
        desk.take(range(4))
        expected = []
        at = desk.ring.first()
        for number in range(4):  # all are parked, each with as many parts and attempts
            for part in range(number):
                desk.journal.attempt(at, part + 1)
                desk.journal.answering(at, part, bytearray(b" %d%d" % (number, part)), 2)
            expected.append((number, number, [b"%d%d" % (number, p) for p in range(number)]))
            at = desk.ring.after(at)
        desk.close(0)
        for start in range(3):
            assert desk.journal.rewrite() and desk.journal.rewrites == 2 - (start > 0)
            desk.journal.close()
            assert desk.boot().records == expected[1:]


def test_a_message_that_is_done_does_not_come_back_by_a_rewriting_before_it_is_dropped():
    with Stand():
        desk = Desk()
        desk.boot()
        desk.take((0, 1))
        desk.journal.done(desk.ring.first())
        assert desk.journal.rewrite()
        desk.journal.close()
        assert [r[0] for r in desk.boot().records] == [1]


def test_the_message_that_took_the_place_of_a_deleted_one_shows_its_part():
    with Stand():
        desk = Desk()
        desk.boot()
        desk.take((0,))
        at = desk.ring.first()
        for part, name in ((0, b"11"), (1, b"12"), (0, b"13")):
            desk.journal.answering(at, part, bytearray(b" " + name), 2)
        for _ in range(2):
            assert desk.boot().records == [(0, 0, [b"13", b"12"])]
            assert desk.journal.rewrite()


def test_what_is_sent_beyond_256_parts_is_not_taken_for_an_earlier_part():
    with Stand():
        desk = Desk()
        desk.boot()
        desk.take((0,))
        at = desk.ring.first()
        desk.journal.answering(at, 0, bytearray(b" 11"), 2)
        desk.journal.answering(at, 256, bytearray(b" 12"), 2)
        assert desk.boot().records == [(0, 0, [b"11"])]


def test_what_the_tail_said_before_it_was_moved_into_the_file_does_not_count_again():
    with Stand():
        desk = Desk()
        desk.boot()
        desk.take((0,))
        desk.attempt()
        desk.take((1,), False)
        writes = desk.journal.writes
        desk.attempt()
        assert desk.journal.writes == writes + 1, "one flush for both"
        assert [record[:2] for record in desk.boot_again().records] == [(0, 2), (1, 0)]


def test_what_the_tail_said_of_the_file_before_is_not_taken_for_the_rewritten_ones():
    with Stand():
        desk = Desk()
        desk.boot()
        desk.take((0, 90))
        assert desk.journal.rewrite()
        size = desk.journal.size
        desk.close(desk.attempt())
        desk.commit()
        desk.take((180,))
        assert desk.journal.rewrite() and desk.journal.size == size
        assert [record[0] for record in desk.boot_again().records] == [90, 180]


def test_what_the_tail_said_of_a_file_that_was_lost_is_not_taken_for_the_new_ones():
    with Stand():
        desk = Desk()
        desk.boot()
        desk.take((0,))
        desk.close(desk.attempt())
        desk.commit()
        content, tail = bytearray(read()), read(_TAIL)
        content[0] = 0
        write(content)
        write(tail, _TAIL)
        desk = Desk()
        desk.boot()
        assert desk.journal.damaged == 1 and desk.take((90,)) == 1
        assert desk.journal.size == len(content)
        assert [record[0] for record in desk.boot().records] == [90]


def test_more_than_255_messages_of_one_file_each_keep_what_is_said_about_them():
    with Stand(64):
        desk = Desk(most=53000)
        desk.boot()
        for number in range(270):
            desk.take((number,), number > 250)
            if number == 14:  # the file's 15th, as 270 is its 271st
                desk.send(desk.attempt())
                desk.send(number)
            desk.close(desk.attempt() if number > 250 else number)
        desk.take((270,))
        desk.send(desk.attempt())
        assert desk.journal.rewrites == 1, "still the file of the start"
        desk.journal.close()
        assert desk.boot_again().records == [(270, 1, [b"100"])]


def test_a_message_of_any_number_comes_through_a_rewriting():
    with Stand(64):
        desk = Desk(most=53000)
        desk.boot()
        for number in range(255):
            desk.take((number,), False)
            desk.close(number)
        desk.take((255, 256))
        assert desk.journal.count == 257
        desk.send(desk.attempt())
        assert desk.journal.rewrite() and desk.journal.count == 2
        assert desk.boot_again().records == [(255, 1, [b"98"]), (256, 0, [])]


# Its bound.


def test_what_was_answered_stays_so_when_ctrl_c_comes_in_the_middle_of_a_record():
    def interrupted(file, buf, off, n):
        put(file, buf, off, n)
        raise KeyboardInterrupt

    put = journal.put
    with Stand():
        desk = Desk()
        desk.boot()
        desk.take((1, 2))
        number = desk.attempt()
        desk.send(number)
        desk.close(number)
        desk.attempt()
        journal.put = interrupted
        try:
            raises(KeyboardInterrupt, lambda: desk.take((3,)))
        finally:
            journal.put = put
        desk.journal.close()
        assert desk.boot().records == [(2, 1, [])] and not desk.journal.damaged
        desk.journal.close()


def test_a_full_journal_takes_nothing_more_until_something_is_done():
    with Stand():
        desk = Desk(size=4000, most=1500)
        desk.boot()
        room = 1500 - desk.journal.size - 7
        assert not desk.journal.full(room) and desk.journal.full(room + 1)
        numbers = [n for n in range(40) if n % 7 != 3]
        taken = desk.take(numbers)
        assert 5 < taken < 20 and not desk.journal.error
        assert desk.journal.full(LARGEST) and desk.take(numbers[taken:]) == 0
        assert desk.journal.rewrites == 1, "nothing was done: rewriting cannot help"
        # A relay that keeps a message that had no room can go on as with any other.
        off = desk.ring.pend(LARGEST)
        assert not desk.journal.received(off, LARGEST)
        desk.ring.finish(LARGEST)
        size = desk.journal.size
        desk.journal.attempt(off, 1)
        desk.journal.answering(off, 0, bytearray(b" 1"), 1)
        desk.journal.done(off)
        desk.ring.drop(off)
        assert desk.journal.size == size and not desk.journal.error
        assert desk.journal.full(LARGEST) and desk.journal.rewrites == 1
        # What is said about those that it holds is always taken.
        for _ in range(taken):
            now = desk.attempt()
            desk.send(now)
            desk.close(now)
        assert not desk.journal.full(LARGEST)
        desk.take(numbers[taken:])
        desk.journal.close()
        desk.boot_again()


def test_attempts_that_led_to_nothing_take_no_room_from_what_comes():
    with Stand():
        desk = Desk(1200, 2000)
        desk.boot()
        desk.take((0,))
        for _ in range(2):
            for _ in range(120):
                desk.journal.attempt(desk.ring.first(), 1)
                desk.journal.attempt(desk.ring.first(), 0)
                assert not desk.journal.full(LARGEST)
            desk.journal.close()
            assert len(desk.boot_again().records) == 1
        assert desk.journal.rewrites < 3


def test_the_tail_stays_within_its_bound():
    with Stand():
        for n in (0, 1, 6):  # bytes of what is added behind so many DONE, which have none
            for done in range(8):
                desk = Desk()
                desk.boot()
                desk.take((0,))
                at, before = desk.ring.first(), 0
                while desk.journal.fill >= before:  # until it is moved into the file
                    before = desk.journal.fill
                    assert before <= 116, (n, done)
                    if before < done * 7 or not n:
                        desk.journal.done(at)
                        desk.journal.name(at, 1)
                    elif n == 1:
                        desk.journal.attempt(at, 1)
                    else:
                        desk.journal.answering(at, 0, bytearray(b" 12345"), 5)
                desk.journal.close()
                os.remove(PATH)


def test_the_file_stays_within_its_bound():
    with Stand():
        desk = Desk(1200, 2000)
        desk.boot()
        longest = 0
        for number in range(0, 300, 2):
            desk.take((number, number + 1))
            now = desk.attempt()
            desk.send(now)
            desk.close(now)
            if desk.ring.full:
                while desk.ring.count:
                    desk.close(desk.attempt())
            desk.commit()
            longest = max(longest, os.stat(PATH)[6])
        assert 1200 < longest <= 2000 + 7 + 20, longest
        assert desk.journal.rewrites < 60
        desk.journal.close()
        desk.boot_again()


def test_a_scratch_that_cannot_hold_a_bit_for_each_message_is_refused():
    raises(ValueError, lambda: Journal(PATH, 32768, bytearray(166 + 32768 // 600)))
    Journal(PATH, 32768, bytearray(256))


# What it costs.


def _typical(desk):
    """A function that takes one message through the journal as a relay does that has nothing else
    to do: two parts, 100 bytes of text. What came is flushed with the first attempt, which is
    before it is confirmed; then everything before the next step.
    """
    journal, ring, name = desk.journal, desk.ring, bytearray(b" 1234567890")
    record = bytearray(168)
    record[4] = 9
    record[48:57] = b"500000001"

    @micropython.native
    def step():
        off = ring.pend(LARGEST)
        octets.copy(ring.buf, off, record, 0, 168)
        assert not journal.full(LARGEST) and journal.received(off, 168)
        ring.finish(168)
        journal.attempt(off, 1)
        journal.answering(off, 0, name, 10)
        journal.answering(off, 1, name, 9)
        journal.done(off)
        ring.drop(off)
        assert journal.commit()
        octets.increment(record, 48, 9)

    return step


def test_appending_allocates_nothing():
    with Stand():
        desk = Desk(most=4000)
        desk.boot()
        step = _typical(desk)
        offset = b"600000001"

        @micropython.native
        def aside():
            desk.journal.offset(offset, 0, 9)
            desk.journal.offset(offset, 0, 8)
            assert desk.journal.commit()

        assert allocated(step) == 0 and allocated(aside) == 0 and desk.journal.rewrites == 1
        print("a rewriting allocates", allocated(desk.journal.rewrite))


def test_a_commit_with_nothing_new_writes_nothing():
    with Stand() as disk:
        desk = Desk()
        desk.boot()
        desk.take((0,))
        desk.attempt()
        writes, ops = desk.journal.writes, disk.ops
        desk.skip(0)  # the offset that it has
        assert desk.commit() and desk.journal.writes == writes and disk.ops == ops


def test_reading_the_file_takes_no_more_heap_for_many_records_than_for_few():
    with Stand():
        desk = Desk(most=4000)
        desk.boot()
        desk.take((0,))
        at, out = desk.ring.first(), bytearray(21)

        def find():
            assert not desk.journal.sent(at, 0, out)

        few = allocated(find)
        for number in range(50):
            desk.skip(number + 1)
        assert desk.commit() and allocated(find) - few <= 64


def test_a_message_costs_four_flushes_and_few_erases():
    for port, progsize, most, worst in (("an ESP32", 32, 1.2, 4), ("a Pico W", 256, 1.4, 7)):
        print("As %s mounts its flash, for programs of %d bytes:" % (port, progsize))
        _wear(progsize, most, worst)


def _wear(progsize, most_each, most_worst):
    used = 100
    with Stand(212, progsize) as disk:
        desk = Desk(16384, 32768)
        desk.boot()
        with open("/flash/other", "wb") as file:
            for _ in range(used):
                file.write(bytes(4096))
        step, count = _typical(desk), 3000
        erases, programs, writes = disk.erases, disk.programs, desk.journal.writes
        before = list(disk.erased)
        for _ in range(count):
            step()
        each = (disk.erases - erases) / count
        worst = max(disk.erased[block] - before[block] for block in range(212)) / count
        flushes = (desk.journal.writes - writes) / count
        print("a message: %.2f erases, %.2f flushes" % (each, flushes))
        print("%.0f programs" % ((disk.programs - programs) / count))
        print("%d messages: %d rewritings" % (count, desk.journal.rewrites))
        days = 100_000 / 100  # 100 messages a day, 100,000 erases a block
        print("years if all 212 blocks wore alike: %.0f" % (days * 212 / each / 365))
        print("with %d blocks never rewritten, the worst: %.0f" % (used, days / worst / 365))
        assert 4 <= flushes < 4.1 and each < most_each
        assert worst < most_worst / (212 - used), "the free blocks wear evenly, others a bit more"


def test_a_rewriting_of_which_one_write_fails_is_given_up():
    def failing(file, buf, off, n):
        nonlocal left
        left -= 1
        return put(file, buf, off, n) if left else 5

    put = journal.put
    done, nth = False, 0
    while not done:
        nth += 1
        with Stand():
            desk = Desk()
            desk.boot()
            desk.take((1, 2))
            desk.send(desk.attempt())
            left = nth
            journal.put = failing
            try:
                done = desk.journal.rewrite()
            finally:
                journal.put = put
            assert done == (left > 0) and desk.journal.error == (0 if done else 5), nth
            desk.boot_again()
    assert nth > 10, "header and payload of five records"


def test_a_rewriting_that_runs_out_of_memory_costs_nothing():
    whole = open
    for failing in range(2):
        with Stand():
            desk = Desk(most=4000)
            desk.boot()
            assert desk.take((1, 2)) == 2
            left = failing

            def scarce(path, mode):
                nonlocal left
                if not left:
                    left = -1
                    raise MemoryError
                left -= 1
                return whole(path, mode)

            builtins.open = scarce
            raises(MemoryError, desk.journal.rewrite)
            builtins.open = whole
            assert desk.take((3,)) == 1
            desk.journal.close()
            assert [record[0] for record in desk.boot().records] == [1, 2, 3]
            desk.journal.close()
