import micropython
import os
import random

from blocks import Blocks
from kit import live, turns_of
from thimble.core.chats import Chats
from thimble.core.conversation import ASSISTANT, SUMMARY, USER
from thimble.core.segments import Segments
from thimble.store import archive, chunks as module
from thimble.store.sessions import Sessions

HEAP = "3m"
TEST_S = 60

FOLDER = "/flash/turns"
NOW = 29_000_000  # some minute of 2025
DAY = 1440
CUT = b" [...]"
GAP = b" [...] "
LETTERS = 'aé€😀b \n"ü漢'

disk = Blocks(212)
scratch = bytearray(512)
pool = Segments(2048, 32)


running = []


def opened(**settings):
    sessions = Sessions(FOLDER, scratch, **settings)
    sessions.now = NOW
    running.append(sessions)
    return sessions


def close(sessions):
    for number in range(sessions.limit):
        sessions.close(number)


def reset():
    """All that runs ends as at a reset: what it has not committed is lost."""
    disk.failing = 0
    while running:
        try:
            close(running.pop())
        except OSError:
            pass
    disk.failing = -1


def fresh(**settings):
    reset()
    disk.format()
    return opened(**settings)


def rebooted(**settings):
    reset()
    disk.mount()
    return opened(**settings)


def turn(sessions, key, role, text, keep=0):
    sessions.begin(key, 0, len(key), role, keep)
    at = 0
    while at < len(text):
        step = random.randint(1, 700)
        sessions.write(text, at, min(step, len(text) - at))
        at += step
    sessions.end()


def exchange(sessions, key, question, answer):
    turn(sessions, key, USER, question)
    turn(sessions, key, ASSISTANT, answer)
    sessions.commit()


def loaded(sessions, key, limit=60_000):
    chats = Chats(pool, 2)
    conversation = chats.get(key, 0, len(key))
    n = sessions.load(chats, conversation, limit)
    turns = turns_of(conversation)
    conversation.clear()
    assert n == len(turns) and pool.free == pool.count
    return turns


def history(sessions, key, count=40):
    n = archive.history(sessions, key, 0, len(key), count)
    turns = turns_of(sessions)
    assert n == len(turns) <= count
    return turns


def files():
    return sorted((int(name), size) for name, _, _, size in os.ilistdir(FOLDER))


def content(number):
    with open("%s/%d" % (FOLDER, number), "rb") as file:
        return file.read()


def put(number, data):
    with open("%s/%d" % (FOLDER, number), "wb") as file:
        file.write(data)


def everything():
    return b"".join(content(number) for number, _ in files())


def pairs(n, name=b""):
    """n exchanges' turns, each text telling which."""
    turns = []
    for i in range(n):
        turns.append((USER, name + b" asks %d" % i))
        turns.append((ASSISTANT, name + b" is told %d" % i))
    return turns


def say(sessions, key, turns):
    for i in range(0, len(turns), 2):
        exchange(sessions, key, turns[i][1], turns[i + 1][1])


def text_of(n):
    """n bytes of text in characters of every length."""
    parts = []
    while n > 0:
        letter = random.choice(LETTERS).encode()
        if len(letter) <= n:
            parts.append(letter)
            n -= len(letter)
    return b"".join(parts)


def test_a_folder_without_turns_gives_none():
    sessions = fresh()
    assert loaded(sessions, b"42") == [] and history(sessions, b"42") == []
    assert sessions.files == sessions.bytes == sessions.error == 0
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
    assert files() == [(1, sessions.bytes)] and sessions.files == 1


def test_every_length_of_text_comes_back():
    sessions = fresh(files=30, file_bytes=60_000)
    for n in range(1, 600):
        text = text_of(n)
        exchange(sessions, b"k", text, b"a")
        if n < 20 or 240 < n < 270 or n > 500:
            assert loaded(sessions, b"k", n + 1) == [(USER, text), (ASSISTANT, b"a")], n


def interleaved(count):
    sessions = fresh(files=8)
    rounds = 6
    keys = [b"%d" % (7 * i) for i in range(count)]
    for i in range(rounds):
        for key in keys:
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
    sessions = fresh()
    said = [(USER, b"q" * 100), (ASSISTANT, b"a" * 50)] * 3
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
            sessions = fresh()
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
    sessions = fresh()
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
    for mark in (7, 7, 8):
        turn(sessions, b"k", USER, b"%d" % mark, mark)
    turn(sessions, b"k", ASSISTANT, b"eight")
    turn(sessions, b"k", USER, b"9", 9)
    said = [(USER, b"8"), (ASSISTANT, b"eight"), (USER, b"9")]
    assert loaded(sessions, b"k") == said
    assert history(sessions, b"k") == [(USER, b"7")] + said


def test_after_a_clear_nothing_older_is_loaded_but_shown():
    sessions = fresh()
    say(sessions, b"k", pairs(3))
    say(sessions, b"other", pairs(2, b"other"))
    archive.clear(sessions, b"k", 0, 1)
    sessions = rebooted()
    assert loaded(sessions, b"k") == [] and history(sessions, b"k") == pairs(3)
    assert loaded(sessions, b"other") == pairs(2, b"other")
    say(sessions, b"k", pairs(1, b"new"))
    assert loaded(sessions, b"k") == pairs(1, b"new")
    assert history(sessions, b"k", 4) == pairs(3)[-2:] + pairs(1, b"new")


def test_a_summary_stands_in_place_of_what_it_does_not_keep():
    sessions = fresh()
    say(sessions, b"k", pairs(5))
    turn(sessions, b"k", SUMMARY, b"so far", 4)
    sessions.commit()
    short = [(SUMMARY, b"so far")] + pairs(5)[-4:]
    assert loaded(sessions, b"k") == short == loaded(rebooted(), b"k")
    say(sessions, b"k", pairs(1, b"then"))
    assert loaded(sessions, b"k") == short + pairs(1, b"then")
    assert history(sessions, b"k") == pairs(5) + pairs(1, b"then")
    room = sum(len(text) for _, text in short[:1] + pairs(1, b"then"))
    assert loaded(sessions, b"k", room) == short[:1] + pairs(1, b"then")
    turn(sessions, b"k", SUMMARY, b"shorter", 0)
    assert loaded(sessions, b"k") == [(SUMMARY, b"shorter")]
    archive.clear(sessions, b"k", 0, 1)
    assert loaded(sessions, b"k") == []


def test_history_reads_like_a_conversation():
    sessions = fresh()
    say(sessions, b"k", [(USER, b"q" * 900), (ASSISTANT, b"a" * 900)])
    assert archive.history(sessions, b"k", 0, 1, 1) == 1
    assert sessions.next_turn() == ASSISTANT and sessions.next_turn() == -1
    assert not sessions.next_piece()
    assert archive.history(sessions, b"k", 0, 1, 9) == 2
    assert sessions.next_turn() == USER and sessions.next_piece()
    assert sessions.next_turn() == ASSISTANT and sessions.next_piece()
    assert sessions.buf[sessions.pos] == ord("a")
    assert turns_of(sessions) == history(sessions, b"k") != []


def test_reading_while_a_turn_is_written_and_writing_while_one_is_read_mixes_nothing_up():
    sessions = fresh()
    say(sessions, b"k", pairs(30))
    sessions.begin(b"other", 0, 5, USER)
    sessions.write(b"first ", 0, 6)
    assert loaded(sessions, b"k") == pairs(30)[-40:]
    sessions.write(b"second", 0, 6)
    assert archive.history(sessions, b"k", 0, 1, 40) == 40
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
    assert archive.history(sessions, b"k", 0, 1, 2) == 2 and sessions.next_turn() == USER
    text = b""
    for _ in range(2):
        sessions.write(b"w" * 120, 0, 120)
        assert sessions.next_piece()
        text += bytes(sessions.buf[sessions.pos : sessions.stop])
    assert text == said[0][1] and not sessions.next_piece()
    sessions.end()
    assert loaded(sessions, b"other") == [(USER, b"w" * 240)]


def test_3000_turns_of_any_length_stay_within_the_bound_and_the_newest_are_kept():
    random.seed(1)
    limits = {"files": 6, "file_bytes": 32_768}
    sessions = fresh(**limits)
    said = []
    high = 0
    for i in range(1500):
        question = text_of(random.choice((1, 40, 300, random.randint(1, 12_000))))
        answer = text_of(random.choice((1, 40, 300, random.randint(1, 12_000))))
        key = b"%d" % (i % 50)
        exchange(sessions, key, question, answer)
        said = (said + [(key, question, answer)])[-20:]
        if i % 20 == 0:
            sizes = [size for _, size in files()]
            assert len(sizes) == sessions.files <= 6 and max(sizes) <= 32_768
            assert sum(sizes) == sessions.bytes
            high = max(high, sum(sizes))
        if i % 200 == 199:
            for key, question, answer in said[-5:]:
                assert loaded(sessions, key)[-2:] == [(USER, question), (ASSISTANT, answer)]
    assert sessions.error == 0 and high > 6 * 16_384
    assert files()[-1][0] - files()[0][0] == 5 and files()[0][0] > 100
    oldest = history(sessions, said[0][0])
    assert oldest[-2:] == [(USER, said[0][1]), (ASSISTANT, said[0][2])]


def test_a_turn_longer_than_half_a_file_loses_its_end_between_characters():
    for extra in range(8):
        sessions = fresh(files=3, file_bytes=4096)
        text = b"x" * extra + text_of(9000)
        exchange(sessions, b"k", text, b"short")
        question, answer = loaded(sessions, b"k")
        kept = question[1]
        kept.decode()
        assert kept.endswith(CUT) and text.startswith(kept[: -len(CUT)])
        assert 2048 < len(kept) < 4096 and answer == (ASSISTANT, b"short")
        assert max(size for _, size in files()) <= 4096 and sessions.error == 0


def test_the_oldest_file_goes_first():
    sessions = fresh(files=3, file_bytes=4096)
    for i in range(40):
        exchange(sessions, b"%d" % i, b"q" * 200, b"a" * 200)
    gone = [i for i in range(40) if not loaded(sessions, b"%d" % i)]
    assert gone == list(range(len(gone))) and 10 < len(gone) < 35
    assert sessions.files == 3


def test_a_day_closes_a_file_and_keep_days_removes_it():
    sessions = fresh(files=10)
    start = NOW
    for day in range(6):
        for hour in range(24):
            sessions.now = start + day * DAY + hour * 60
            exchange(sessions, b"k", b"day %d" % day, b"hour %d" % hour)
    count = sessions.files
    assert 4 < count < 7
    archive.clean(sessions, start + 7 * DAY)
    assert sessions.files == count
    archive.clean(sessions, start + 9 * DAY)
    assert b"day 0" not in everything() and b"day 5" in everything()
    assert 0 < sessions.files < count and sessions.bytes == sum(size for _, size in files())
    assert loaded(sessions, b"k")[-1] == (ASSISTANT, b"hour 23")
    archive.clean(sessions, start + 20 * DAY)
    assert files() == [] and sessions.files == sessions.bytes == 0 and sessions.error == 0
    exchange(sessions, b"k", b"back", b"again")
    assert loaded(rebooted(), b"k") == [(USER, b"back"), (ASSISTANT, b"again")]


def test_the_file_that_is_written_is_closed_by_a_day_also_across_a_reboot():
    sessions = fresh(files=10)
    exchange(sessions, b"k", b"q", b"a")
    sessions = rebooted(files=10)
    sessions.now = NOW + DAY
    exchange(sessions, b"k", b"q", b"a")
    assert sessions.files == 1
    sessions = rebooted(files=10)
    sessions.now = NOW + DAY + 1
    exchange(sessions, b"k", b"q", b"a")
    assert sessions.files == 2


def test_few_files_span_more_than_a_day_so_that_keep_days_is_kept():
    sessions = fresh(files=4, keep_days=7)
    for day in range(30):
        sessions.now = NOW + day * DAY
        exchange(sessions, b"k", b"day %d." % day, b"a")
        archive.clean(sessions, sessions.now)
        for ago in range(min(day, 7) + 1):
            assert b"day %d." % (day - ago) in everything(), (day, ago)
        if day > 11:
            assert b"day %d." % (day - 11) not in everything()


def test_a_clock_that_was_never_set_removes_nothing():
    sessions = fresh()
    say(sessions, b"k", pairs(2))
    for now in (0, 1, 15_778_080, 28_401_119):  # 2000 and the end of 2023 among them
        archive.clean(sessions, now)
        sessions.now = now
        exchange(sessions, b"k", b"unset", b"%d" % now)
    assert len(history(sessions, b"k")) == 12 and sessions.files == 1


def test_turns_from_before_the_clock_was_set_go_with_those_that_follow():
    sessions = fresh(files=10, file_bytes=4096)
    sessions.now = 0
    for _ in range(6):
        exchange(sessions, b"k", b"q" * 400, b"a" * 400)
    assert sessions.files == 3
    archive.clean(sessions, NOW)
    assert sessions.files == 3
    exchange(sessions, b"k", b"q", b"a")
    archive.clean(sessions, NOW + 7 * DAY)
    assert sessions.files == 3
    archive.clean(sessions, NOW + 8 * DAY)
    assert sessions.files == 0 and files() == []


def test_forget_leaves_no_text_of_the_session_in_any_file_and_all_of_the_others():
    sessions = fresh(files=8, file_bytes=8192)
    for i in range(30):
        for name in (b"mine", b"other", b"third"):
            exchange(sessions, name, name + b" asks %d" % i, name + b" is told %d" % i)
    sessions.begin(b"mine", 0, 4, USER)
    sessions.write(b"mine, not ended", 0, 15)
    sessions.end()
    sessions.begin(b"mine", 0, 4, ASSISTANT)
    sessions.write(b"mine, aborted" * 50, 0, 650)
    sessions.abort()
    sessions.commit()
    assert sessions.files > 1
    sessions.begin(b"mine", 0, 4, USER)
    sessions.write(b"mine, still open" * 50, 0, 800)
    assert archive.forget(sessions, b"mine", 0, 4)
    sessions.end()
    for boot in range(2):
        if boot:
            sessions = rebooted(files=8, file_bytes=8192)
        assert b"mine" not in everything()
        assert history(sessions, b"mine") == loaded(sessions, b"mine") == []
        for name in (b"other", b"third"):
            assert history(sessions, name) == pairs(30, name)[-40:]
        assert sessions.bytes == sum(size for _, size in files()) and sessions.error == 0
    exchange(sessions, b"mine", b"q", b"a")
    assert loaded(sessions, b"mine") == [(USER, b"q"), (ASSISTANT, b"a")]
    assert archive.forget(sessions, b"third", 0, 5) and archive.forget(sessions, b"other", 0, 5)
    assert archive.forget(sessions, b"mine", 0, 4) and files() == [] and sessions.files == 0


def test_forget_removes_what_can_no_longer_be_read():
    sessions = fresh()
    say(sessions, b"other", pairs(3))
    say(sessions, b"mine", pairs(3, b"mine"))
    data = bytearray(content(1))
    data[data.find(b"mine")] ^= 1
    put(1, data)
    sessions = opened()
    assert archive.forget(sessions, b"mine", 0, 4)
    assert b"mine" not in everything() and loaded(sessions, b"other") == pairs(3)


def test_forget_on_a_full_disk_gives_the_file_up_rather_than_the_promise():
    sessions = fresh()
    say(sessions, b"mine", [(USER, b"mine" * 1000), (ASSISTANT, b"a")])
    say(sessions, b"other", [(USER, b"x" * 9000), (ASSISTANT, b"a")])
    fill(0)
    assert archive.forget(sessions, b"mine", 0, 4)
    assert b"mine" not in everything() and sessions.error == 28
    assert all(name.isdigit() for name, _, _, _ in os.ilistdir(FOLDER))


def test_a_rewriting_that_was_cut_short_is_cleaned_up_at_boot():
    sessions = fresh()
    say(sessions, b"k", pairs(2))
    with open(FOLDER + "/new", "wb") as file:
        file.write(b"x" * 5000)
    sessions = rebooted()
    assert [name for name, _, _, _ in os.ilistdir(FOLDER)] == ["1"]
    assert loaded(sessions, b"k") == pairs(2) and sessions.error == 0


def sample():
    """The bytes of a file with three sessions, and what they said."""
    sessions = fresh()
    said = {b"a": [], b"b": [], b"c": []}
    for i in range(3):
        for key in said:
            turns = [(USER, key * 3 + b"?%d" % i), (ASSISTANT, key * (90 * i + 5) + b"!%d" % i)]
            say(sessions, key, turns)
            said[key] += turns
    return content(1), said


def is_part(turns, said):
    """Whether turns are exchanges of said, in its order, the last maybe without its answer."""
    at = 0
    for i in range(0, len(turns), 2):
        pair = turns[i : i + 2]
        while at < len(said) and said[at : at + len(pair)] != pair:
            at += 2
        if at >= len(said):
            return False
        at += 2
    return True


def test_any_corrupt_byte_is_survived_without_foreign_or_wrong_text():
    data, said = sample()
    assert len(data) > 1000
    # In the second of two files the same sessions go on.
    later = {key: pairs(1, key) for key in said}
    sessions = fresh()
    for key in said:
        say(sessions, key, later[key])
    second = content(1)
    reset()
    put(2, second)
    lost = 0
    for i in range(len(data)):
        broken = bytearray(data)
        broken[i] ^= 1 << i % 8 if i & 1 else 255
        put(1, broken)
        reset()
        sessions = opened()
        for key in said:
            turns = loaded(sessions, key)
            assert turns[-2:] == later[key], (i, key, turns)
            assert is_part(turns, said[key] + later[key]), (i, key, turns)
            lost += len(turns) < 8
        assert sessions.error == 0
    assert lost > len(data)


def test_an_answer_whose_question_is_broken_is_not_given_to_an_older_question():
    sessions = fresh(file_bytes=4096)
    say(sessions, b"k", pairs(1))
    exchange(sessions, b"k", b"q" * 3000, b"in the next file")
    assert sessions.files == 2 and len(loaded(sessions, b"k")) == 4
    data = bytearray(content(1))
    data[-9] ^= 1
    reset()
    put(1, data)
    sessions = opened(file_bytes=4096)
    assert loaded(sessions, b"k") == pairs(1)
    say(sessions, b"k", pairs(1, b"new"))
    assert loaded(sessions, b"k") == pairs(1) + pairs(1, b"new")


def test_appending_goes_on_in_a_new_file_behind_a_corrupt_byte():
    data, said = sample()
    for i in range(0, len(data), 7):
        reset()
        disk.format()
        os.mkdir(FOLDER)
        broken = bytearray(data)
        broken[i] ^= 16
        put(1, broken)
        sessions = opened()
        say(sessions, b"a", pairs(1, b"new"))
        assert loaded(sessions, b"a")[-2:] == pairs(1, b"new") == loaded(opened(), b"a")[-2:]
        assert [number for number, _ in files()] == [1, 2] and content(1) == broken


def test_a_byte_that_goes_bad_while_the_file_is_open_closes_it():
    sessions = fresh()
    say(sessions, b"k", pairs(20))
    at = bytes(disk.data).find(b" asks 7")
    while at >= 0:
        disk.data[at + 1] ^= 4
        at = bytes(disk.data).find(b" asks 7")
    assert loaded(sessions, b"k") == pairs(7)
    say(sessions, b"k", pairs(2, b"new"))
    assert loaded(sessions, b"k") == pairs(7) + pairs(2, b"new") and sessions.files == 2


def test_a_file_torn_at_any_byte_keeps_the_turns_before_and_can_be_appended_to():
    data, said = sample()
    order = []
    for i in range(3):
        for key in said:
            order += [
                (key, turn, data.find(turn[1]) + len(turn[1])) for turn in said[key][2 * i :][:2]
            ]
    for n in range(len(data)):
        reset()
        disk.format()
        os.mkdir(FOLDER)
        put(1, data[:n])
        sessions = opened()
        for key in said:
            whole = history(sessions, key)
            assert whole == said[key][: len(whole)], (n, key)
        here = sum(len(history(sessions, key)) for key in said)
        ends = [at for _, _, at in order]
        assert here >= sum(at < n - 400 for at in ends) and here <= sum(at <= n for at in ends)
        say(sessions, b"c", pairs(1, b"new"))
        assert loaded(sessions, b"c")[-2:] == pairs(1, b"new") == loaded(opened(), b"c")[-2:]


def fill(blocks):
    """Fills the disk but for so many blocks."""
    piece = bytes(4096)
    with open("/flash/spare", "wb") as file:
        for _ in range(blocks):
            file.write(piece)
    with open("/flash/ballast", "wb") as file:
        try:
            while True:
                file.write(piece)
                file.flush()
        except OSError:
            pass
    os.remove("/flash/spare")


def test_a_full_disk_costs_old_turns_or_an_exchange_and_never_the_order():
    random.seed(2)
    full = 0
    for blocks in range(12):
        sessions = fresh(files=4, file_bytes=8192)
        said = []
        for i in range(30):
            if i == 3:
                fill(blocks)
            exchange(
                sessions,
                b"k",
                b"asks %d" % i + b"." * random.randint(1, 3000),
                b"told %d" % i + b"." * random.randint(1, 3000),
            )
            said = history(sessions, b"k")
            said = said[said[:1] != [] and said[0][0] == ASSISTANT :]
            for j in range(0, len(said), 2):
                n = said[j][1].split(b".")[0].split(b" ")[1]
                assert said[j][0] == USER and said[j + 1][0] == ASSISTANT
                assert said[j + 1][1].startswith(b"told " + n + b".")
        os.remove("/flash/ballast")
        exchange(sessions, b"k", b"q", b"a")
        assert loaded(sessions, b"k")[-2:] == [(USER, b"q"), (ASSISTANT, b"a")]
        assert history(rebooted(), b"k")[-2:] == [(USER, b"q"), (ASSISTANT, b"a")]
        full += sessions.error == 28
    assert full


def broken(name, mode):
    raise OSError(5)


def test_an_answer_whose_question_was_not_written_is_not_written_either():
    for opening in (False, True):
        sessions = fresh()
        say(sessions, b"k", pairs(2))
        if opening:
            sessions = rebooted()
            module.open = broken
        disk.failing = 0
        turn(sessions, b"k", USER, b"q" * 900)
        disk.failing = -1
        module.open = open
        assert sessions.error == 5
        turn(sessions, b"k", ASSISTANT, b"a")
        sessions.commit()
        assert history(sessions, b"k") == pairs(2)
        say(sessions, b"k", pairs(1, b"new"))
        assert loaded(rebooted(), b"k") == pairs(2) + pairs(1, b"new")


def test_a_flash_that_fails_raises_nothing():
    for n in range(0, 160, 3):
        sessions = fresh(files=3, file_bytes=4096)
        say(sessions, b"k", pairs(3))
        disk.failing = n
        for _ in range(6):
            exchange(sessions, b"k", b"q" * 300, b"a" * 600)
            archive.clean(sessions, NOW)
            archive.clear(sessions, b"other", 0, 5)
        archive.forget(sessions, b"other", 0, 5)
        loaded(sessions, b"k")
        assert sessions.error or disk.failing > 0
        disk.failing = -1
        for boot in range(2):
            if boot:
                sessions = rebooted()
            exchange(sessions, b"k", b"better", b"now")
            assert loaded(sessions, b"k")[-2:] == [(USER, b"better"), (ASSISTANT, b"now")]


left = 0  # files that can be opened before memory ends


def scarce(name, mode):
    global left
    left -= 1
    if not left:
        raise MemoryError
    return open(name, mode)


def test_no_memory_to_open_a_file_costs_at_most_that_exchange():
    global left
    settings = {"files": 3, "file_bytes": 2048}
    n = left = 0
    while left <= 0:  # until the one that would fail is not opened any more
        n += 1
        sessions = fresh(**settings)
        left = n
        said = []
        for i in range(12):
            if i % 5 == 4:
                sessions = rebooted(**settings)
            said += [(USER, b"q%d" % i + b"." * 250), (ASSISTANT, b"a%d" % i + b"." * 250)]
            module.open = scarce
            try:
                say(sessions, b"k", said[-2:])
                loaded(sessions, b"k")
            except MemoryError:
                sessions.abort()
                sessions.commit()
                pool.__init__(2048, 32)
            module.open = open
            turns = loaded(sessions, b"k")
            assert is_part(turns, said) and len(turns) >= min(4, len(said) - 2), (n, i, turns)
    assert n > 10


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
    assert late <= early, (early, late)


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
    used = []
    for _ in range(10):
        # The least of four: the collector takes what is left on the stack for pointers.
        used.append(min(live() for _ in range(4)))
        for _ in range(30):
            exchange(sessions, b"k", chance, chance)
    assert sessions.files == 6
    assert max(used) <= used[0], used


class Model:
    """What the archive has of each key, told simply."""

    def __init__(self):
        self.log = {}

    def add(self, key, kind, text=b"", keep=0):
        self.log.setdefault(key, []).append((kind, text, keep))

    def history(self, key):
        return [
            (kind, text) for kind, text, _ in self.log.get(key, []) if kind in (USER, ASSISTANT)
        ]

    def loaded(self, key, limit):
        turns, head = [], []
        for kind, text, keep in self.log.get(key, []):
            if kind == "clear":
                turns, head = [], []
            elif kind == SUMMARY:
                turns = turns[len(turns) - keep :] if keep < len(turns) else turns
                head = [(SUMMARY, text)]
            else:
                if turns and turns[-1][0] == kind:
                    turns = turns[:-1]
                turns = (turns + [(kind, text)])[-40:]
        if head and len(head[0][1]) > limit:
            head = []
        limit -= sum(len(text) for _, text in head)
        while turns and sum(len(text) for _, text in turns) > limit:
            turns = turns[1:]
        if turns and turns[0][0] == ASSISTANT:
            turns = turns[1:]
        return head + turns


def test_any_sequence_of_operations_is_remembered_as_a_list_would():
    for seed in range(6):
        random.seed(seed)
        settings = {"files": 40, "file_bytes": 4096}
        sessions = fresh(**settings)
        model = Model()
        keys = [b"1", b"11", b"-100:1", b"-100:11", b"2"]
        for step in range(150):
            key = random.choice(keys)
            what = random.randint(0, 19)
            text = b"%d:" % step + text_of(random.choice((1, 20, 250, 700)))
            if what < 10:
                exchange(sessions, key, text, b"to " + text)
                model.add(key, USER, text)
                model.add(key, ASSISTANT, b"to " + text)
            elif what < 13:
                turn(sessions, key, USER if what < 12 else ASSISTANT, text)
                sessions.commit()
                if model.log.get(key) or what < 12:
                    model.add(key, USER if what < 12 else ASSISTANT, text)
                else:
                    model.log[key] = [(ASSISTANT, text, 0)]
            elif what == 13:
                archive.clear(sessions, key, 0, len(key))
                model.add(key, "clear")
            elif what == 14:
                keep = random.randint(0, 6)
                turn(sessions, key, SUMMARY, text, keep)
                sessions.commit()
                model.add(key, SUMMARY, text, keep)
            elif what == 15:
                sessions.begin(key, 0, len(key), random.choice((USER, ASSISTANT)))
                sessions.write(text, 0, len(text))
                sessions.abort()
                sessions.commit()
            elif what == 16:
                assert archive.forget(sessions, key, 0, len(key))
                model.log.pop(key, None)
            elif what == 17:
                archive.clean(sessions, NOW)
            elif what == 18:
                sessions = rebooted(**settings)
            else:
                sessions.begin(key, 0, len(key), USER)
                sessions.write(text, 0, len(text))
                sessions = rebooted(**settings)
            if step % 5 == 0:
                for key in keys:
                    limit = random.choice((60_000, 5000, 3000))  # an exchange always fits
                    expected = model.loaded(key, limit)
                    assert loaded(sessions, key, limit) == expected, (seed, step, key, limit)
                    assert history(sessions, key) == model.history(key)[-40:], (seed, step, key)
        assert sessions.error == 0 and sessions.files < 40
