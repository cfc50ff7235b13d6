import random

from kit import heap_locked, raises, turns_of
from thimble.core.chats import Chats
from thimble.core.conversation import ASSISTANT, USER
from thimble.core.segments import Segments

HEAP = "2m"


def get(chats, key):
    return chats.get(key, 0, len(key))


def find(chats, key):
    return chats.find(key, 0, len(key))


def say(chats, conversation, role, text):
    conversation.begin(role)
    done = chats.append(conversation, text, 0, len(text))
    conversation.end()
    return done


def exchange(chats, key, question, answer):
    conversation = chats.busy = get(chats, key)
    assert say(chats, conversation, USER, question)
    assert say(chats, conversation, ASSISTANT, answer)
    chats.busy = None
    return conversation


def intact(chats, pool):
    assert sum(c.segments_used for c in chats.all) == pool.count - pool.free


def fill(chats, *rows):
    """Exchanges of a segment of 32 bytes each, so many by key, that leave none free."""
    for key, n in rows:
        for i in range(n):
            exchange(chats, key, b"q%d" % i, b"a" * 16)
    assert chats.pool.free == 0


def test_a_chat_is_found_by_its_key_alone():
    chats = Chats(Segments(64, 4), 3)
    one = get(chats, b"42")
    assert get(chats, b"-1001234567890:17") is not one
    assert get(chats, b"42") is one and find(chats, b"42") is one
    assert chats.find(b"xx42yy", 2, 2) is one
    assert find(chats, b"4") is None and find(chats, b"421") is None and find(chats, b"") is None


def test_a_key_has_forty_bytes_at_most():
    chats = Chats(Segments(64, 4), 2)
    key = b"k" * 40
    assert get(chats, key) is find(chats, key)
    raises(ValueError, lambda: chats.get(key + b"k", 0, 41))
    raises(ValueError, lambda: chats.get(key, 0, 0))


def test_the_least_recently_used_makes_way_for_a_new_chat():
    chats = Chats(Segments(64, 8), 3)
    for key in (b"a", b"b", b"c"):
        exchange(chats, key, b"q " + key, b"a")
    get(chats, b"a")
    new = get(chats, b"d")
    assert find(chats, b"b") is None and new.turns == 0
    assert turns_of(find(chats, b"a"))[0] == (USER, b"q a")
    assert find(chats, b"c") is not None


def test_a_slot_without_turns_is_taken_first():
    chats = Chats(Segments(64, 8), 3)
    exchange(chats, b"a", b"q", b"a")
    get(chats, b"empty")
    exchange(chats, b"c", b"q", b"a")
    get(chats, b"d")
    assert find(chats, b"empty") is None and find(chats, b"a").turns == 2


def test_the_busy_one_is_never_renamed_nor_cleared():
    pool = Segments(32, 4)
    chats = Chats(pool, 2)
    busy = exchange(chats, b"busy", b"q", b"a")
    chats.busy = busy
    for i in range(20):
        other = get(chats, b"%d" % i)
        assert other is not busy
        say(chats, other, USER, b"x" * 200)
    assert find(chats, b"busy") is busy and turns_of(busy) == [(USER, b"q"), (ASSISTANT, b"a")]
    intact(chats, pool)


def test_the_busy_one_keeps_its_slot_before_it_has_a_turn():
    chats = Chats(Segments(32, 4), 2)
    chats.busy = busy = get(chats, b"busy")
    for key in (b"a", b"b", b"c"):
        assert get(chats, key) is not busy
    assert find(chats, b"busy") is busy


def test_forgetting_frees_the_slot_and_the_segments():
    pool = Segments(32, 4)
    chats = Chats(pool, 2)
    one = exchange(chats, b"one", b"q" * 50, b"a")
    exchange(chats, b"two", b"q", b"a")
    chats.forget(one)
    assert find(chats, b"one") is None and pool.free == 3 and chats.active == 1
    assert get(chats, b"three") is one


def test_active_counts_conversations_that_hold_turns():
    chats = Chats(Segments(32, 4), 3)
    get(chats, b"a")
    assert chats.active == 0
    exchange(chats, b"a", b"q", b"a")
    exchange(chats, b"b", b"q", b"a")
    assert chats.active == 2


def test_the_one_above_its_fair_share_gives_its_oldest_exchange_first():
    pool = Segments(32, 8)
    chats = Chats(pool, 4)
    small = exchange(chats, b"small", b"q", b"a")
    large = get(chats, b"large")
    for i in range(7):
        exchange(chats, b"large", b"q%d" % i, b"a" * 16)
    assert pool.free == 0 and large.segments_used == 7
    third = exchange(chats, b"third", b"q", b"a")
    assert small.turns == 2 and third.turns == 2
    assert large.turns < 14 and turns_of(large)[-2][1] == b"q6"
    intact(chats, pool)


def test_of_two_equally_large_the_less_recently_used_gives():
    pool = Segments(32, 8)
    chats = Chats(pool, 4)
    fill(chats, (b"old", 4), (b"new", 4))
    exchange(chats, b"third", b"q", b"a")
    assert find(chats, b"old").turns == 6 and find(chats, b"new").turns == 8


def test_the_larger_gives_even_if_it_was_used_last_and_a_fair_share_is_safe():
    pool = Segments(32, 12)
    chats = Chats(pool, 4)
    for key, n in ((b"fair", 4), (b"large", 3), (b"larger", 5), (b"large", 0)):
        for i in range(n):
            exchange(chats, key, b"q%d" % i, b"a" * 16)
        get(chats, key)
    assert pool.free == 0
    chats.room(find(chats, b"fair"))  # 12 segments for three chats: 4 are a fair share
    turns = [find(chats, key).turns for key in (b"fair", b"large", b"larger")]
    assert turns == [8, 6, 8]
    exchange(chats, b"new", b"q", b"a" * 30)  # … and 3 for four: "fair" is the least used
    turns = [find(chats, key).turns for key in (b"fair", b"large", b"larger", b"new")]
    assert turns == [6, 6, 8, 2], turns


def test_a_budget_is_kept_while_others_speak_and_grows_back_when_they_fall_silent():
    pool = Segments(32, 12)
    chats = Chats(pool, 4)
    keys = (b"one", b"two", b"three", b"four")
    for i in range(20):
        for key in keys:
            exchange(chats, key, b"q%02d" % i, b"a" * 16)
    assert [find(chats, key).segments_used for key in keys] == [3] * 4
    for i in range(50):
        exchange(chats, b"one", b"q%02d" % i, b"a" * 16)
    assert sorted(c.segments_used for c in chats.all) == [0, 0, 0, 12]
    for i in range(20):
        exchange(chats, b"two", b"q%02d" % i, b"a" * 16)
        exchange(chats, b"one", b"q%02d" % i, b"a" * 16)
    assert [find(chats, key).segments_used for key in keys[:2]] == [6, 6]
    intact(chats, pool)


def test_of_two_equally_large_the_slot_does_not_matter():
    pool = Segments(32, 8)
    chats = Chats(pool, 4)
    for key in (b"new", b"old"):
        for i in range(4):
            exchange(chats, key, b"q%d" % i, b"a" * 16)
    get(chats, b"new")
    exchange(chats, b"third", b"q", b"a")
    assert find(chats, b"old").turns == 6 and find(chats, b"new").turns == 8


def test_the_largest_is_found_but_for_one_that_is_stuck_and_of_two_the_one_less_used():
    chats = Chats(Segments(32, 12), 4)
    assert chats.largest(0) is None
    for key, n in ((b"small", 2), (b"new", 4), (b"old", 4)):
        for i in range(n):
            exchange(chats, key, b"q%d" % i, b"a" * 16)
    new = get(chats, b"new")
    old = find(chats, b"old")
    assert chats.largest(0) is old and chats.largest(4) is None
    old.stuck = True
    assert chats.largest(0) is new


def test_the_one_that_is_answered_gives_first_if_it_holds_most():
    pool = Segments(32, 12)
    chats = Chats(pool, 4)
    fill(chats, (b"large", 5), (b"small", 1), (b"largest", 6))
    chats.busy = find(chats, b"largest")
    assert chats.room(chats.busy)
    turns = [find(chats, key).turns for key in (b"large", b"small", b"largest")]
    assert turns == [10, 2, 10]


def test_at_a_fair_share_it_makes_room_of_its_own():
    pool = Segments(32, 8)
    chats = Chats(pool, 4)
    fill(chats, (b"one", 4), (b"two", 4))
    two = exchange(chats, b"two", b"new", b"a" * 15)
    assert find(chats, b"one").turns == two.turns == 8
    assert turns_of(two)[-2][1] == b"new"


def test_a_silent_one_goes_instead_of_anything_that_the_speaker_holds():
    for messages, left in ((16, [2, 12]), (17, [0, 14])):
        pool = Segments(32, 8)
        chats = Chats(pool, 4)
        exchange(chats, b"silent", b"q", b"a")
        for i in range(7):
            exchange(chats, b"speaker", b"q%d" % i, b"a" * 16)
        for _ in range(messages - 7):
            chats.busy = get(chats, b"speaker")
        assert pool.free == 0 and chats.room(chats.busy)
        assert [find(chats, key).turns for key in (b"silent", b"speaker")] == left


def test_whole_conversations_go_when_none_is_above_its_share():
    pool = Segments(32, 3)
    chats = Chats(pool, 5)
    for key in (b"a", b"b", b"c"):
        exchange(chats, key, b"q", b"a")
    get(chats, b"a")
    exchange(chats, b"d", b"q", b"a")
    assert find(chats, b"b").turns == 0
    assert find(chats, b"a").turns == find(chats, b"c").turns == find(chats, b"d").turns == 2


def test_last_go_its_own_oldest_exchanges_and_then_its_middle():
    pool = Segments(32, 4)
    chats = Chats(pool, 2)
    for i in range(4):
        exchange(chats, b"a", b"q%d" % i, b"a" * 16)
    a = exchange(chats, b"a", b"q4", b"head" + b"-" * 500 + b"tail")
    (_, question), (_, answer) = turns_of(a)
    assert question == b"q4"
    assert answer.startswith(b"head") and answer.endswith(b"tail") and b" [...] " in answer
    intact(chats, pool)


def test_append_fails_only_when_nothing_at_all_can_go():
    pool = Segments(32, 1)
    chats = Chats(pool, 2)
    a = get(chats, b"a")
    a.begin(USER)
    assert not chats.append(a, b"x" * 60, 0, 60)
    assert not chats.room(a)
    a.end()
    assert turns_of(a) == [(USER, b"x" * 25)]
    empty = Chats(Segments(32, 0), 2)
    assert not say(empty, get(empty, b"a"), USER, b"x")


def test_a_question_and_an_answer_longer_than_the_pool_both_survive():
    for count in (4, 5, 8):
        pool = Segments(64, count)
        pool.share = 64 * max(2, count // 4)  # as thimble.memory sets it
        chats = Chats(pool, 3)
        exchange(chats, b"other", b"q", b"a")
        a = exchange(chats, b"a", b"<" + b"q" * 900 + b">", b"{" + b"a" * 900 + b"}")
        (_, question), (_, answer) = turns_of(a)
        assert question.startswith(b"<") and answer.startswith(b"{") and answer.endswith(b"}")
        assert question.endswith(b">"), count
        intact(chats, pool)


def test_the_share_bounds_what_one_turn_keeps():
    pool = Segments(32, 20)
    pool.share = 128
    chats = Chats(pool, 2)
    a = exchange(chats, b"a", b"q", b"a" * 1000)
    kept = turns_of(a)[1][1]
    assert len(kept) <= 128 + len(b" [...] ") and a.segments_used <= 5


def test_two_hundred_chats_in_sixteen_segments_remember_their_own_turns_only():
    random.seed(7)
    pool = Segments(64, 16)
    chats = Chats(pool, 16)
    told = [[] for _ in range(200)]
    remembered = evicted = 0
    for step in range(3000):
        i = random.randrange(200)
        key = b"%d" % (1000 + i)
        question = b"q %d %d " % (i, step) + b"?" * random.randrange(60)
        answer = b"a %d %d " % (i, step) + b"!" * random.randrange(200)
        known = find(chats, key)
        evicted += len(told[i]) > 0 and (known is None or not known.turns)
        exchange(chats, key, question, answer)
        told[i] += [(USER, question), (ASSISTANT, answer)]
        assert chats.active <= 16
        for conversation in chats.all:
            if not conversation.turns:
                continue
            name = bytes(conversation.key[: conversation.key_len])
            got = turns_of(conversation)
            own = told[int(name) - 1000]
            assert got == own[len(own) - len(got) :], (got, own)
            assert got[0][0] == USER
            remembered += len(got)
        intact(chats, pool)
    assert remembered > 3000 * 16
    assert evicted > 1000


def test_nothing_allocates():
    pool = Segments(64, 6)
    pool.share = 256
    chats = Chats(pool, 3)
    keys = [b"a", b"b", b"c", b"d"]
    text = b"0123456789" * 30

    def work():
        for key in keys:
            conversation = chats.busy = chats.get(key, 0, 1)
            for role in range(2):
                conversation.begin(role)
                chats.append(conversation, text, 0, 300)
                conversation.end()
            chats.busy = None
        chats.forget(conversation)
        chats.active  # noqa: B018

    heap_locked(work)
