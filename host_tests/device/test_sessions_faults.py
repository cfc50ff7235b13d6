"""Sessions on a flash that is corrupt, torn, full or failing, and in a heap that is used up."""

import os
import random

from turns_desk import (
    FOLDER,
    NOW,
    content,
    disk,
    exchange,
    fill,
    files,
    fresh,
    history,
    loaded,
    opened,
    pairs,
    pool,
    put,
    rebooted,
    reset,
    say,
    turn,
)
from thimble.core.conversation import ASSISTANT, USER
from thimble.store import archive, chunks as module

HEAP = "3m"
TEST_S = 60


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


def test_a_full_disk_gets_the_oldest_file_and_never_the_only_one():
    for count in (1, 3):
        sessions = fresh(files=4, file_bytes=8192)
        while sessions.files < count:
            exchange(sessions, b"k", b"q" * 600, b"a" * 600)
        exchange(sessions, b"k", b"asks", b"is told")
        assert not sessions.check(5) and sessions.files == len(files()) == count
        fill(0)
        exchange(sessions, b"k", b"q" * 3000, b"a")
        assert sessions.error == 28 and sessions.files == len(files()) == max(count - 1, 1)
        assert loaded(sessions, b"k")[-2:] == [(USER, b"asks"), (ASSISTANT, b"is told")]


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


def test_a_read_that_fails_is_said_and_nothing_is_lost_from_the_files():
    sessions = fresh()
    say(sessions, b"k", pairs(3))
    get = module.get
    module.get = lambda *rest: -5
    try:
        assert loaded(sessions, b"k") == [] and sessions.error == 5
    finally:
        module.get = get
    sessions.error = 0
    say(sessions, b"k", pairs(1, b"then"))
    said = pairs(3) + pairs(1, b"then")
    assert history(sessions, b"k") == said == loaded(sessions, b"k") == loaded(rebooted(), b"k")


def test_one_read_that_fails_is_made_again():
    sessions = fresh()
    said = []
    for i in range(4):
        said += [(USER, b"q%d" % i * 200), (ASSISTANT, b"a%d" % i * 300)]
    say(sessions, b"k", said)
    get = module.get
    reads = 0

    def fails_once(*rest):
        nonlocal reads
        reads -= 1
        return get(*rest) if reads else -5

    module.get = fails_once
    most = 0
    try:
        while reads <= 0:
            most += 1
            sessions = rebooted()
            reads = most
            assert loaded(sessions, b"k") == said and not sessions.error
    finally:
        module.get = get
    assert most > 8


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
