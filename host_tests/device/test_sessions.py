"""What sessions remember and give back: to a conversation, and to /history."""

from kit import turns_of
from turns_desk import (
    NOW,
    ROOM,
    exchange,
    files,
    fresh,
    history,
    loaded,
    opened,
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
from thimble.core.segments import Segments
from thimble.store import archive

HEAP = "3m"
TEST_S = 60

GAP = b" [...] "


def test_a_folder_without_turns_gives_none():
    sessions = fresh()
    assert loaded(sessions, b"42") == [] and history(sessions, b"42") == []
    assert sessions.files == sessions.error == 0
    assert archive.forget(sessions, b"42", 0, 2)
    archive.clean(sessions, NOW)
    sessions.commit()
    assert sessions.error == 0


def test_turns_come_back_as_they_were_said_after_a_reboot_too():
    sessions = fresh()
    said = [(USER, b"hello"), (ASSISTANT, text_of(3000)), (USER, text_of(255)), (ASSISTANT, b"x")]
    say(sessions, b"-100:7", said)
    assert loaded(sessions, b"-100:7") == said
    sessions = rebooted()
    assert loaded(sessions, b"-100:7") == said
    say(sessions, b"-100:7", pairs(1))
    assert loaded(rebooted(), b"-100:7") == said + pairs(1)
    assert [number for number, _ in files()] == [1] and sessions.files == 1


def test_every_length_of_text_comes_back():
    sessions = fresh(files=30, file_bytes=60_000)
    for n in range(1, 600):
        text = text_of(n)
        exchange(sessions, b"k", text, b"a")
        if n < 20 or 240 < n < 270 or n > 500:
            assert loaded(sessions, b"k", n + 1) == [(USER, text), (ASSISTANT, b"a")], n


def begun(key, **settings):
    """Sessions on an empty flash that looked for this key before its first turn, as a relay does:
    from then on the index leads from turn to turn. With fresh() the files are read through."""
    sessions = fresh(**settings)
    assert loaded(sessions, key) == []
    return sessions


def interleaved(count):
    sessions = fresh(files=8)
    rounds = 6
    keys = [b"%d" % (7 * i) for i in range(count)]
    for i in range(rounds):
        for key in keys:
            assert i or loaded(sessions, key) == []
            exchange(sessions, key, key + b" asks %d" % i, key + b" is told %d" % i)
    for boot in range(2):
        if boot:
            sessions = rebooted(files=8)
        for key in keys:
            assert loaded(sessions, key) == pairs(rounds, key), key
            assert loaded(sessions, key, 37) == pairs(rounds, key)[-2:]
        assert loaded(sessions, b"8") == []
        assert loaded(sessions, b"1") == [] and loaded(sessions, b"77777777") == []


def test_one_session_finds_its_turns():
    interleaved(1)


def test_four_sessions_find_their_own_turns():
    interleaved(4)


def test_32_sessions_find_their_own_turns():
    interleaved(32)


def test_200_sessions_find_their_own_turns():
    interleaved(200)


def test_a_key_may_have_40_bytes_and_is_not_taken_for_its_beginning():
    sessions = fresh()
    long = b"-1001234567890123456789:1234567890123456"
    assert len(long) == 40
    say(sessions, long, pairs(2, b"long"))
    say(sessions, long[:39], pairs(1, b"short"))
    assert loaded(sessions, long) == pairs(2, b"long")
    assert loaded(sessions, long[:39]) == pairs(1, b"short")


def test_load_gives_the_newest_turns_that_fit_and_begins_with_the_user():
    said = [(USER, b"q" * 100), (ASSISTANT, b"a" * 50)] * 3
    for known in (False, True):
        sessions = begun(b"k") if known else fresh()
        say(sessions, b"k", said)
        assert loaded(sessions, b"k", 450) == said
        for limit, n in ((449, 4), (300, 4), (299, 2), (150, 2)):
            assert len(loaded(sessions, b"k", limit)) == n, limit


def test_a_turn_counts_at_most_with_what_the_conversation_keeps_of_it():
    sessions = fresh()
    exchange(sessions, b"k", b"q" * 12_000, b"answer")
    most, pool.share = pool.share, 6144
    chats = Chats(pool, 2)
    conversation = chats.get(b"k", 0, 1)
    assert sessions.load(chats, conversation, 6200) == 2
    turns = turns_of(conversation)
    conversation.clear()
    pool.share = most
    assert len(turns[0][1]) <= 6144 + 8 and turns[1] == (ASSISTANT, b"answer")


def kept_of(text, whole):
    """Whether ``text`` is head and tail of ``whole``, marked; characters at the gap may go."""
    head, gap, tail = text.partition(GAP)
    return gap and head and tail and whole.startswith(head) and whole.endswith(tail)


def test_a_last_exchange_larger_than_the_share_comes_back_with_head_and_tail():
    long, middle, short = text_of(12_000), text_of(5000), b"short"
    chats = Chats(Segments(1024, 40), 2)
    chats.pool.share = 10 * 1024
    for question, answer in ((long, long), (long, short), (short, long), (middle, long)):
        for behind in (b"", b"unanswered", long):
            sessions = begun(b"k")
            exchange(sessions, b"k", b"earlier", b"answer")
            exchange(sessions, b"k", question, answer)
            said = [(USER, question), (ASSISTANT, answer)]
            if behind:
                turn(sessions, b"k", USER, behind)
                sessions.commit()
                said.append((USER, behind))
            for _ in range(2):
                conversation = chats.get(b"k", 0, 1)
                n = sessions.load(chats, conversation, 6 * 1024)
                turns = turns_of(conversation)[-len(said) :]
                used = conversation.segments_used
                conversation.clear()
                assert n >= len(turns) == len(said) and used <= 8
                for i in range(len(said)):
                    role, text = turns[i]
                    whole = said[i][1]
                    assert role == said[i][0]
                    assert text == whole or len(whole) > 1000 and kept_of(text, whole)
                assert chats.pool.share == 10 * 1024
                sessions = rebooted()  # then the files are read through


def test_a_summary_comes_with_an_exchange_that_had_to_be_shortened():
    sessions = begun(b"k")
    exchange(sessions, b"k", b"earlier", b"answer")
    exchange(sessions, b"k", b"q" * 9000, b"a" * 9000)
    turn(sessions, b"k", SUMMARY, b"s" * 700, 2)
    sessions.commit()
    for _ in range(2):
        turns = loaded(sessions, b"k", 6000)
        assert [role for role, _ in turns] == [SUMMARY, USER, ASSISTANT]
        assert turns[0][1] == b"s" * 700
        sessions = rebooted()


def test_a_large_exchange_is_loaded_into_a_pool_that_others_have_filled():
    sessions = fresh()
    exchange(sessions, b"k", b"earlier", b"answer")
    exchange(sessions, b"k", b"q" * 12_000, b"a" * 12_000)
    for free in range(4):
        for count in (8, 12, 24):
            chats = Chats(Segments(1024, count), 6)
            pool = chats.pool
            pool.share = 1024 * max(2, count // 4)
            names = [b"1", b"2", b"3", b"4", b"5"]
            while pool.free > free:
                for name in names:
                    other = chats.get(name, 0, 1)
                    for role in range(2):
                        if pool.free > free:
                            other.begin(role)
                            other.append(name * 900, 0, 900)
                            other.end()
            chats.busy = conversation = chats.get(b"k", 0, 1)
            limit = 1024 * max(2, count // (chats.active + 1))
            sessions.load(chats, conversation, limit)
            turns = turns_of(conversation)[-2:]
            assert [role for role, _ in turns] == [USER, ASSISTANT], (free, count)
            for _, text in turns:
                assert GAP in text and 250 < len(text) < pool.share + 1024
            for other in chats.all:
                assert not other.turns or turns_of(other)[0][0] == USER


def test_loading_into_a_full_pool_makes_room_at_the_expense_of_others():
    sessions = fresh()
    said = [(USER, text_of(3000)), (ASSISTANT, text_of(3000))]
    say(sessions, b"k", said)
    chats = Chats(pool, 3)
    other = chats.get(b"other", 0, 5)
    while pool.free:
        other.begin(USER)
        other.append(b"x" * 2000, 0, 2000)
        other.end()
    conversation = chats.get(b"k", 0, 1)
    assert sessions.load(chats, conversation, 8000) == 2 and turns_of(conversation) == said
    conversation.clear()
    other.clear()


def test_a_turn_that_the_pool_cannot_take_is_not_loaded_in_part():
    sessions = fresh()
    say(sessions, b"k", [(USER, b"q" * 200), (ASSISTANT, b"a" * 200)])
    chats = Chats(Segments(64, 1), 2)
    conversation = chats.get(b"k", 0, 1)
    assert sessions.load(chats, conversation, 8000) == 0 and turns_of(conversation) == []
    # Nor is one of which the end would fit again.
    turn(sessions, b"o", USER, b"q" * 530)
    chats = Chats(Segments(300, 1), 2)
    conversation = chats.get(b"o", 0, 1)
    assert sessions.load(chats, conversation, 8000) == 0 and turns_of(conversation) == []


def test_the_files_numbers_may_grow_large():
    sessions = fresh(files=4, file_bytes=2048)
    put(1_000_000, b"")
    sessions = opened(files=4, file_bytes=2048)
    for i in range(12):
        exchange(sessions, b"k", b"q%d" % i, b"a" * 600)
    assert loaded(sessions, b"k")[-1] == (ASSISTANT, b"a" * 600)
    assert len(loaded(sessions, b"k")) >= 6 and files()[0][0] > 1_000_000


def test_at_most_40_turns_are_loaded_and_shown():
    sessions = fresh()
    say(sessions, b"k", pairs(70))
    assert loaded(sessions, b"k") == pairs(70)[-40:] == history(sessions, b"k", 100)[-40:]
    turn(sessions, b"k", SUMMARY, b"all in all", 140)
    assert loaded(sessions, b"k") == [(SUMMARY, b"all in all")] + pairs(70)[-40:]


def test_a_turn_without_an_end_does_not_exist():
    sessions = fresh()
    say(sessions, b"k", pairs(1))
    turn(sessions, b"k", USER, b"again?")
    for text in (b"half an ans", b"x" * 1000):
        sessions.begin(b"k", 0, 1, ASSISTANT)
        sessions.write(text, 0, len(text))
        sessions.abort()
        sessions.end()
        sessions.commit()
        assert loaded(sessions, b"k") == pairs(1) + [(USER, b"again?")]
    sessions.begin(b"k", 0, 1, ASSISTANT)
    sessions.write(b"y" * 1000, 0, 1000)
    sessions.commit()  # as it is at a crash
    sessions = rebooted()
    assert history(sessions, b"k") == pairs(1) + [(USER, b"again?")]
    turn(sessions, b"k", ASSISTANT, b"again!")
    assert loaded(sessions, b"k") == pairs(1) + [(USER, b"again?"), (ASSISTANT, b"again!")]
    assert sessions.files == 1


def test_a_crash_before_the_commit_leaves_what_was_committed():
    sessions = fresh()
    say(sessions, b"k", pairs(3))
    turn(sessions, b"k", USER, b"z" * 5000)
    sessions.begin(b"k", 0, 1, ASSISTANT)
    sessions.write(b"y" * 5000, 0, 5000)
    sessions = rebooted()
    assert loaded(sessions, b"k") == pairs(3)
    say(sessions, b"k", pairs(1))
    assert loaded(rebooted(), b"k") == pairs(3) + pairs(1)


def test_a_turn_without_text_does_not_exist():
    sessions = fresh()
    turn(sessions, b"k", USER, b"")
    exchange(sessions, b"k", b"q", b"a")
    turn(sessions, b"k", USER, b"")
    assert history(sessions, b"k") == loaded(sessions, b"k") == [(USER, b"q"), (ASSISTANT, b"a")]


def test_of_turns_of_one_role_in_a_row_the_last_is_loaded():
    sessions = fresh()
    said = [(USER, b"1"), (USER, b"2"), (ASSISTANT, b"3"), (ASSISTANT, b"4"), (USER, b"5")]
    for role, text in [(ASSISTANT, b"0")] + said:
        turn(sessions, b"k", role, text)
    assert loaded(sessions, b"k") == [(USER, b"2"), (ASSISTANT, b"4"), (USER, b"5")]
    assert history(sessions, b"k") == [(ASSISTANT, b"0")] + said


def test_a_question_that_was_tried_more_than_once_is_shown_once():
    sessions = fresh()
    for mark, text in ((0x107, b"7"), (0x107, b"7 again"), (0x207, b"8")):
        turn(sessions, b"k", USER, text, mark)
    turn(sessions, b"k", ASSISTANT, b"eight")
    turn(sessions, b"k", USER, b"9", 1)
    turn(sessions, b"k", USER, b"9", 1)
    said = [(USER, b"8"), (ASSISTANT, b"eight"), (USER, b"9")]
    assert loaded(sessions, b"k") == said
    assert history(sessions, b"k") == [(USER, b"7 again")] + said


def test_the_last_question_is_known_by_its_mark_whether_it_was_answered_or_not():
    sessions = fresh()
    assert not loaded(sessions, b"k")
    for mark in (0x307, 0xFE07):
        for role in (USER, ASSISTANT):
            turn(sessions, b"k", role, b"text", mark if role == USER else 0)
            sessions.commit()
            sessions.mark = -1
            assert loaded(sessions, b"k") and sessions.mark == mark
            sessions = rebooted()  # then the files are read through
            assert loaded(sessions, b"k") and sessions.mark == mark
    turn(sessions, b"k", SUMMARY, b"so far", 2)
    assert loaded(sessions, b"k") and sessions.mark == 0xFE07
    assert loaded(rebooted(), b"k") and sessions.mark == 0xFE07
    assert not loaded(sessions, b"other") and sessions.mark == -1


def test_after_a_clear_nothing_older_is_loaded_but_shown():
    sessions = fresh()
    say(sessions, b"k", pairs(3))
    turn(sessions, b"k", SUMMARY, b"so far", 2)
    say(sessions, b"other", pairs(2, b"other"))
    archive.clear(sessions, b"k", 0, 1)
    sessions = rebooted()
    assert loaded(sessions, b"k") == [] and history(sessions, b"k") == pairs(3)
    assert loaded(sessions, b"other") == pairs(2, b"other")
    say(sessions, b"k", pairs(1, b"new"))
    assert loaded(sessions, b"k") == pairs(1, b"new")
    assert history(sessions, b"k", 4) == pairs(3)[-2:] + pairs(1, b"new")


def test_a_summary_that_keeps_one_turn_keeps_what_takes_its_place():
    sessions = begun(b"k")
    say(sessions, b"k", pairs(2))
    turn(sessions, b"k", SUMMARY, b"so far", 1)
    turn(sessions, b"k", ASSISTANT, b"better")
    turn(sessions, b"k", USER, b"more")
    sessions.commit()
    for _ in range(2):
        assert loaded(sessions, b"k") == [(SUMMARY, b"so far"), (USER, b"more")]
        sessions = rebooted()


def test_a_summary_stands_in_place_of_what_it_does_not_keep():
    sessions = begun(b"k")
    say(sessions, b"k", pairs(5))
    turn(sessions, b"k", SUMMARY, b"so far", 4)
    sessions.commit()
    short = [(SUMMARY, b"so far")] + pairs(5)[-4:]
    say(sessions, b"other", pairs(1))
    assert loaded(sessions, b"k") == short
    sessions = rebooted()
    assert loaded(sessions, b"k") == short and loaded(sessions, b"other") == pairs(1)
    say(sessions, b"k", pairs(1, b"then"))
    assert loaded(sessions, b"k") == short + pairs(1, b"then")
    assert history(sessions, b"k") == pairs(5) + pairs(1, b"then")
    room = sum(len(text) for _, text in short[:1] + pairs(1, b"then"))
    assert loaded(sessions, b"k", room) == short[:1] + pairs(1, b"then")
    turn(sessions, b"k", SUMMARY, b"shorter", 0)
    assert loaded(sessions, b"k") == [(SUMMARY, b"shorter")]
    archive.clear(sessions, b"k", 0, 1)
    assert loaded(sessions, b"k") == []


def test_a_summary_takes_its_part_of_the_room_and_is_left_out_where_there_is_too_little():
    sessions = begun(b"k")
    say(sessions, b"k", pairs(5))
    turn(sessions, b"k", SUMMARY, b"s" * 200, 4)
    sessions.commit()
    last = sum(len(text) for _, text in pairs(5)[-2:])
    for _ in range(2):
        assert loaded(sessions, b"k", 199) == pairs(5)[-4:]
        assert loaded(sessions, b"k", 200 + last) == [(SUMMARY, b"s" * 200)] + pairs(5)[-2:]
        sessions = rebooted()


def test_history_reads_like_a_conversation():
    sessions = fresh()
    say(sessions, b"k", [(USER, b"q" * 900), (ASSISTANT, b"a" * 900)])
    assert archive.history(sessions, b"k", 0, 1, 1, ROOM) == 1
    assert sessions.next_turn() == ASSISTANT and sessions.next_turn() == -1
    assert not sessions.next_piece()
    assert archive.history(sessions, b"k", 0, 1, 9, ROOM) == 2
    assert sessions.next_turn() == USER and sessions.next_piece()
    assert sessions.next_turn() == ASSISTANT and sessions.next_piece()
    assert sessions.buf[sessions.pos] == ord("a")
    assert turns_of(sessions) == history(sessions, b"k") != []


def test_history_begins_where_the_newest_turns_fit_the_room_and_has_the_last_in_any_case():
    sessions = fresh()
    said = [
        (USER, b"q" * 100),
        (ASSISTANT, b"a" * 900),
        (USER, b"r" * 50),
        (ASSISTANT, b"b" * 450),
    ]
    say(sessions, b"k", said)
    for room, turns in ((1500, 4), (1499, 3), (1400, 3), (1399, 2), (500, 2), (499, 1), (0, 1)):
        assert history(sessions, b"k", 40, room) == said[-turns:], room
    assert history(sessions, b"k", 2, 1500) == said[-2:]
    assert history(sessions, b"other", 40, 0) == []


def test_reading_while_a_turn_is_written_and_writing_while_one_is_read_mixes_nothing_up():
    sessions = fresh()
    say(sessions, b"k", pairs(30))
    sessions.begin(b"other", 0, 5, USER)
    sessions.write(b"first ", 0, 6)
    assert loaded(sessions, b"k") == pairs(30)[-40:]
    sessions.write(b"second", 0, 6)
    assert archive.history(sessions, b"k", 0, 1, 40, ROOM) == 40
    seen = []
    sessions.rewind()
    for i in range(40):
        sessions.write(b" and %d" % i, 0, len(b" and %d" % i))
        role = sessions.next_turn()
        sessions.write(b".", 0, 1)
        assert sessions.next_piece()
        seen.append((role, bytes(sessions.buf[sessions.pos : sessions.stop])))
    assert seen == pairs(30)[-40:]
    sessions.end()
    told = b"first second" + b"".join(b" and %d." % i for i in range(40))
    assert loaded(sessions, b"other") == [(USER, told)]


def test_writing_between_two_pieces_of_a_turn_that_is_read_spoils_neither():
    sessions = fresh()
    said = [(USER, b"q" * 200 + b"r" * 200), (ASSISTANT, b"a")]
    say(sessions, b"k", said)
    sessions.begin(b"other", 0, 5, USER)
    assert archive.history(sessions, b"k", 0, 1, 2, ROOM) == 2 and sessions.next_turn() == USER
    text = b""
    for _ in range(2):
        sessions.write(b"w" * 120, 0, 120)
        assert sessions.next_piece()
        text += bytes(sessions.buf[sessions.pos : sessions.stop])
    assert text == said[0][1] and not sessions.next_piece()
    sessions.end()
    assert loaded(sessions, b"other") == [(USER, b"w" * 240)]
