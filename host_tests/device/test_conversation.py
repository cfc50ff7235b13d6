import random

from kit import allocated, heap_locked, turns_of
from thimble.core.conversation import ASSISTANT, HEADER, SUMMARY, USER, Conversation
from thimble.core.segments import Segments

GAP = b" [...] "
LETTERS = 'aé€😀b \n"ü漢'


def say(conversation, role, text):
    conversation.begin(role)
    done = conversation.append(text, 0, len(text))
    conversation.end()
    return done


def exchange(conversation, question, answer):
    assert say(conversation, USER, question) and say(conversation, ASSISTANT, answer)


def text_of(n):
    """At least n bytes of text, characters of every length."""
    letters = []
    size = 0
    while size < n:
        letters.append(random.choice(LETTERS))
        size += len(letters[-1].encode())
    return "".join(letters).encode()


def worn(size, most):
    """A pool whose blocks have been used by others."""
    pool = Segments(size, most)
    for block in pool.data:
        block[:] = b"\xff" * size
    return pool


def consistent(conversation, pool):
    """The chain is as long as its counters say, and nothing of the pool is lost."""
    n, seg, last = 0, conversation._first, -1
    while seg >= 0:
        n, last, seg = n + 1, seg, pool.next[seg]
    assert n == conversation.segments_used == pool.count - pool.free, (n, pool.free)
    assert last == conversation._last


def is_head_and_tail(kept, full, share):
    """Whether ``kept`` is ``full`` without its middle, cut between characters."""
    kept.decode()
    at = kept.find(GAP)
    while at >= 0:
        head, tail = kept[:at], kept[at + len(GAP) :]
        if full.startswith(head) and full.endswith(tail):
            return len(head) + len(tail) <= share
        at = kept.find(GAP, at + 1)
    return False


def test_an_empty_conversation_has_no_turns():
    pool = Segments(32, 2)
    c = Conversation(pool)
    assert turns_of(c) == [] and c.turns == 0 and c.segments_used == 0
    assert not c.drop_oldest() and not c.squeeze() and not c.next_piece()


def test_turns_are_read_as_they_were_written():
    pool = Segments(32, 20)
    c = Conversation(pool)
    exchange(c, b"hello", b"hi there, this one runs across a segment or two or three of them")
    exchange(c, "wörld".encode(), b"x")
    assert turns_of(c) == [
        (USER, b"hello"),
        (ASSISTANT, b"hi there, this one runs across a segment or two or three of them"),
        (USER, "wörld".encode()),
        (ASSISTANT, b"x"),
    ]
    assert c.turns == 4
    consistent(c, pool)


def test_a_turn_may_be_left_half_read():
    c = Conversation(Segments(16, 20))
    exchange(c, b"q" * 50, b"a" * 50)
    c.rewind()
    assert c.next_turn() == USER and c.next_piece()
    assert c.next_turn() == ASSISTANT and c.next_piece() and c.buf[c.pos] == ord("a")
    assert c.next_turn() == -1 and not c.next_piece()


def test_a_turn_without_text_is_not_stored():
    pool = Segments(32, 2)
    c = Conversation(pool)
    c.begin(USER)
    assert c.append(b"", 0, 0)
    c.end()
    assert c.turns == 0 and pool.free == 2
    assert say(c, USER, b"x")
    c.begin(ASSISTANT)
    c.abort()
    assert turns_of(c) == [(USER, b"x")]


def test_every_header_offset_is_survived():
    for n in range(1, 80):
        pool = Segments(32, 8)
        c = Conversation(pool)
        exchange(c, b"q" * n, b"answer")
        assert turns_of(c) == [(USER, b"q" * n), (ASSISTANT, b"answer")]
        exchange(c, b"again", b"more")
        assert c.drop_oldest()
        assert turns_of(c) == [(USER, b"again"), (ASSISTANT, b"more")]
        consistent(c, pool)
        assert c.drop_oldest() and pool.free == 8


def test_append_to_a_full_pool_changes_nothing():
    for n in range(1, 120):
        pool = Segments(32, 3)
        c = Conversation(pool)
        c.begin(USER)
        assert c.append(b"0123456789", 0, 10)
        before = turns_of(c), c.segments_used
        fits = 3 * 32 - HEADER - 10
        assert c.append(b"x" * n, 0, n) == (n <= fits)
        if n > fits:
            assert (turns_of(c), c.segments_used) == before
        consistent(c, pool)


def test_a_turn_that_could_not_begin_leaves_no_trace():
    pool = Segments(32, 2)
    c = Conversation(pool)
    assert say(c, USER, b"q" * 40)
    assert not say(c, ASSISTANT, b"a" * 40)
    assert turns_of(c) == [(USER, b"q" * 40)]
    consistent(c, pool)


def test_a_turn_that_begins_closes_the_open_one():
    c = Conversation(Segments(32, 3))
    c.begin(USER)
    assert c.append(b"question", 0, 8)
    assert say(c, ASSISTANT, b"answer")
    assert turns_of(c) == [(USER, b"question"), (ASSISTANT, b"answer")]


def test_abort_removes_the_open_turn_only():
    pool = Segments(32, 9)
    c = Conversation(pool)
    assert say(c, USER, b"question")
    c.begin(ASSISTANT)
    assert c.append(b"a" * 100, 0, 100)
    c.abort()
    assert turns_of(c) == [(USER, b"question")]
    consistent(c, pool)
    assert say(c, ASSISTANT, b"better")
    assert turns_of(c)[1] == (ASSISTANT, b"better")
    c.abort()
    assert c.turns == 2


def test_the_oldest_exchange_goes_whole():
    c = Conversation(Segments(32, 20))
    for i in range(3):
        exchange(c, b"q%d" % i, b"a%d" % i)
        assert say(c, ASSISTANT, b"and")
    assert c.drop_oldest()
    assert [text for _, text in turns_of(c)] == [b"q1", b"a1", b"and", b"q2", b"a2", b"and"]
    assert c.drop_oldest() and c.drop_oldest() and not c.drop_oldest()
    assert c.turns == 0


def test_the_question_of_an_open_answer_is_never_dropped():
    for started in (False, True):
        c = Conversation(Segments(32, 20))
        exchange(c, b"q0", b"a0")
        assert say(c, USER, b"q1")
        c.begin(ASSISTANT)
        if started:
            c.append(b"a1", 0, 2)
        assert c.drop_oldest() and not c.drop_oldest()
        assert c.append(b"!", 0, 1)
        assert turns_of(c) == [(USER, b"q1"), (ASSISTANT, b"a1!" if started else b"!")]


def test_pop_removes_the_newest_turn_if_it_has_that_role():
    pool = Segments(32, 9)
    c = Conversation(pool)
    assert not c.pop(USER) and not c.pop(ASSISTANT)
    exchange(c, b"q" * 60, b"a" * 60)
    assert not c.pop(USER) and c.turns == 2
    assert c.pop(ASSISTANT) and turns_of(c) == [(USER, b"q" * 60)]
    consistent(c, pool)
    assert not c.pop(ASSISTANT) and c.pop(USER)
    assert c.turns == 0 and pool.free == 9


def test_a_turn_beyond_its_share_keeps_head_and_tail():
    random.seed(1)
    for size, share in ((16, 64), (32, 128), (32, 200), (64, 128), (64, 1000)):
        for total in range(share - 20, share * 3, 7):
            pool = worn(size, 40)
            c = Conversation(pool)
            pool.share = share
            assert say(c, USER, b"?")
            full = text_of(total)
            c.begin(ASSISTANT)
            off = 0
            while off < len(full):
                n = min(random.randrange(1, 50), len(full) - off)
                assert c.append(full, off, n)
                off += n
            c.end()
            consistent(c, pool)
            kept = turns_of(c)[1][1]
            if kept.find(GAP) < 0:
                assert kept == full and len(kept) <= share
            else:
                assert is_head_and_tail(kept, full, share)
                if share > 4 * size:
                    assert share // 4 < kept.find(GAP) < share // 2, "about the first third"
            if len(full) <= share - size:
                assert kept == full
            elif len(full) > share:
                assert len(kept) > share - 2 * size - 8, (size, share, len(full), len(kept))
            assert c.drop_oldest() and pool.free == 40


def test_at_four_segments_both_ends_keep_at_least_half_a_segment():
    for total in range(257, 1000):
        pool = Segments(64, 9)
        pool.share = 256
        c = Conversation(pool)
        assert say(c, USER, b"h" * 50 + b"-" * (total - 100) + b"t" * 50)
        kept = turns_of(c)[0][1]
        assert kept.startswith(b"h" * 32) and kept.endswith(b"t" * 32)


def test_a_single_append_may_exceed_the_share():
    pool = Segments(32, 6)
    c = Conversation(pool)
    pool.share = 128
    full = text_of(5000)
    assert say(c, USER, full)
    assert is_head_and_tail(turns_of(c)[0][1], full, 128)
    assert c.segments_used <= 6
    consistent(c, pool)


def test_an_answer_of_a_megabyte_needs_a_fixed_number_of_segments():
    pool = Segments(2048, 6)
    c = Conversation(pool)
    pool.share = 8192
    assert say(c, USER, b"tell me all")
    piece = "zwölf €😀 ".encode() * 60
    c.begin(ASSISTANT)
    most = 0

    def megabyte():
        nonlocal most
        for _ in range(1024 * 1024 // len(piece) + 1):
            assert c.append(piece, 0, len(piece))
            most = max(most, c.segments_used)

    heap_locked(megabyte)
    c.end()
    assert most <= 5
    kept = turns_of(c)[1][1]
    kept.decode()
    at = kept.find(GAP)
    assert (piece * 9).startswith(kept[:at]) and (piece * 9).endswith(kept[at + len(GAP) :])
    assert at > 2000 and len(kept) - at > 2000
    assert len(kept) <= 8192 + len(GAP)


def test_squeezing_makes_an_open_turn_smaller_and_keeps_its_newest_text():
    pool = Segments(32, 10)
    c = Conversation(pool)
    c.begin(USER)
    full = text_of(290)
    assert c.append(full, 0, len(full))
    while c.squeeze():
        consistent(c, pool)
        assert is_head_and_tail(turns_of(c)[0][1], full, len(full))
    assert c.segments_used <= 2
    more = text_of(100)
    for off in range(len(more)):
        assert c.append(more, off, 1)
    c.end()
    assert is_head_and_tail(turns_of(c)[0][1], full + more, 999)


def test_a_turn_squeezed_early_is_marked_where_it_is_cut_however_much_comes():
    random.seed(2)
    for first in range(70, 200, 9):
        pool = Segments(32, 40)
        pool.share = 640
        c = Conversation(pool)
        c.begin(USER)
        full = text_of(first)
        assert c.append(full, 0, len(full)) and c.squeeze()
        for _ in range(60):
            more = text_of(20)
            full += more
            assert c.append(more, 0, len(more))
            assert is_head_and_tail(turns_of(c)[0][1], full, 640)
        consistent(c, pool)


def test_what_is_too_short_to_be_squeezed_stays_as_it_is():
    for used in (0, 40):
        pool = Segments(32, 4)
        c = Conversation(pool)
        if used:
            assert say(c, USER, b"q" * used)
        c.begin(ASSISTANT)
        was = turns_of(c)
        assert not c.squeeze() and turns_of(c) == was  # nothing is written yet
        assert c.append(b"a", 0, 1) and not c.squeeze()
        assert turns_of(c) == was + [(ASSISTANT, b"a")]
        consistent(c, pool)


def test_a_turn_of_more_than_64_kb_reads_back_whole():
    pool = Segments(2048, 36)
    c = Conversation(pool)
    piece = b"0123456789abcdef" * 16
    c.begin(USER)
    for _ in range(270):
        assert c.append(piece, 0, 256)
    assert say(c, ASSISTANT, b"answer")
    c.rewind()
    assert c.next_turn() == USER
    size = 0
    while c.next_piece():
        for at in range(c.pos, c.stop):
            assert c.buf[at] == piece[size & 15]
            size += 1
    assert size == 270 * 256 and c.next_turn() == ASSISTANT


def test_random_use_agrees_with_a_plain_list():
    for seed in range(150):
        random.seed(seed)
        size = random.choice((16, 24, 32, 64))
        pool = Segments(size, random.choice((8, 20, 60)))
        c = Conversation(pool)
        model, opened = [], None
        for _ in range(60):
            action = random.randrange(12)
            if opened is None and action < 6:
                role = ASSISTANT if model and model[-1][0] == USER else USER
                c.begin(role)
                opened = [role, b""]
            elif action < 8 and opened:
                text = text_of(random.randrange(1, 3 * size))
                while not c.append(text, 0, len(text)):
                    if not c.drop_oldest():
                        break
                    while True:  # the model drops as the rule says
                        model.pop(0)
                        if not model or model[0][0] == USER:
                            break
                else:
                    opened[1] += text
            elif action == 8 and opened:
                c.abort()
                opened = None
            elif action < 11 and opened:
                c.end()
                if opened[1]:
                    model.append(tuple(opened))
                opened = None
            elif action == 11 and not opened:
                n = 1
                while n < len(model) and model[n][0] != USER:
                    n += 1
                assert c.drop_oldest() == bool(model), (seed, model)
                del model[:n]
            now = model + ([tuple(opened)] if opened and opened[1] else [])
            assert turns_of(c) == now, (seed, turns_of(c), now)
            assert c.turns == len(now)
            assert not now or now[0][0] == USER
            consistent(c, pool)
        c.clear()
        assert pool.free == pool.count
        assert not any(block is c.buf for block in pool.data)  # free ones may go to the heap


def test_random_use_with_shares_and_squeezing_stays_valid():
    for seed in range(100):
        random.seed(seed)
        size = random.choice((16, 24, 32))
        pool = worn(size, 12)
        c = Conversation(pool)
        pool.share = size * random.randrange(2, 7)
        model = []
        role = USER
        for _ in range(30):
            full = b""
            c.begin(role)
            for _ in range(random.randrange(1, 20)):
                text = text_of(random.randrange(1, 40))
                step = random.randrange(1, 9)  # splits characters
                for off in range(0, len(text), step):
                    n = min(step, len(text) - off)
                    while not c.append(text, off, n):
                        if c.drop_oldest():
                            del model[:2]
                        else:
                            assert c.squeeze()
                        consistent(c, pool)
                full += text
            if random.randrange(6) == 0:
                c.abort()
                if role == ASSISTANT:
                    c.pop(USER)
                    model.pop()
                role = USER
            else:
                c.end()
                model.append((role, full))
                role = 1 - role
            got = turns_of(c)
            assert [role for role, _ in got] == [role for role, _ in model]
            for i in range(len(got)):
                kept, full = got[i][1], model[i][1]
                assert kept == full or is_head_and_tail(kept, full, pool.share)
            consistent(c, pool)


def test_nothing_allocates():
    pool = Segments(64, 8)
    c = Conversation(pool)
    pool.share = 256
    text = "zwölf € 😀 ".encode() * 9

    def work():
        for _ in range(3):
            for role in range(2):
                c.begin(role)
                for _ in range(9):
                    while not c.append(text, 0, len(text)):
                        c.drop_oldest() or c.squeeze()
                c.end()
            c.rewind()
            while c.next_turn() >= 0:
                while c.next_piece():
                    pass
            c.begin(USER)
            c.append(text, 0, 9)
            c.abort()
            c.drop_oldest()
        c.clear()

    heap_locked(work)


def test_a_short_append_takes_no_heap_even_for_its_frame():
    c = Conversation(Segments(2048, 2))
    c.begin(USER)
    assert allocated(lambda: c.append(b"delta", 0, 5)) == 0


def test_a_turn_put_before_the_oldest_reads_back_wherever_the_oldest_begins():
    for first in range(1, 70):
        for n in range(1, 26):
            pool = Segments(32, 12)
            c = Conversation(pool)
            assert say(c, USER, b"q" * first) and say(c, ASSISTANT, b"a" * 20)
            assert say(c, USER, b"next") and say(c, ASSISTANT, b"answer")
            assert c.drop_oldest()
            used, more = c.segments_used, HEADER + n > c._start
            assert c.prepend(SUMMARY, b"..0123456789abcdefghijklmno", 2, n)
            turns = turns_of(c)
            assert [role for role, _ in turns] == [SUMMARY, USER, ASSISTANT]
            assert turns[0][1].rstrip() == b"0123456789abcdefghijklmno"[:n], (first, n)
            assert turns[1:] == [(USER, b"next"), (ASSISTANT, b"answer")]
            assert c.turns == 3 and c.segments_used == used + more
            assert pool.free == 12 - c.segments_used
            assert c.drop_oldest() and turns_of(c) == turns[1:]
            assert c.drop_oldest() and pool.free == 12


def test_a_turn_for_which_no_segment_is_free_is_not_put_before_the_oldest():
    pool = Segments(32, 1)
    c = Conversation(pool)
    assert say(c, USER, b"last")
    assert not heap_locked(lambda: c.prepend(SUMMARY, b"gist", 0, 4))
    assert turns_of(c) == [(USER, b"last")]
    consistent(c, pool)
