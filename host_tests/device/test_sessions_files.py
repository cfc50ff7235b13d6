"""The files that sessions share: bounded in number, size and age, and what /forget leaves."""

import os
import random

from turns_desk import (
    FOLDER,
    NOW,
    content,
    disk,
    everything,
    exchange,
    files,
    fill,
    fresh,
    history,
    loaded,
    opened,
    pairs,
    put,
    rebooted,
    say,
    text_of,
)
from thimble.core.conversation import ASSISTANT, USER
from thimble.profile import Profile
from thimble.store import archive

HEAP = "3m"
TEST_S = 60

DAY = 1440
CUT = b" [...]"


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


def test_a_small_boards_files_keep_200_kb_beside_firmware_journal_and_reports():
    """And room to write a file anew, be it of the sessions or the journal."""
    with_firmware = 114 + 8 + 6  # blocks: as .mpy in its folders; the journal; all else
    sessions = fresh(files=Profile.files, file_bytes=Profile.file_bytes)
    with open("/flash/other", "wb") as file:
        for _ in range(with_firmware):
            file.write(bytes(4096))
    least, room = 1 << 20, 212
    while sessions.last < 2 * Profile.files:
        exchange(sessions, b"%d" % (sessions.size % 20), text_of(100), text_of(1000))
        if sessions.last > Profile.files:
            least = min(least, sum(size for _, size in files()))
            room = min(room, disk.free())
    assert least > 200_000 and room > 8 and sessions.files == Profile.files
    kept = history(sessions, b"8")
    assert archive.forget(sessions, b"7", 0, 1) and history(sessions, b"8") == kept
    assert sessions.error == 0 and sessions.files == Profile.files


def test_a_turn_has_16_kb_in_a_file_of_56():
    sessions = fresh(file_bytes=57_344)
    for n in (39_000, 800, 16_000, 100):
        exchange(sessions, b"%d" % n, b"q", text_of(n))
        assert len(history(sessions, b"%d" % n)[1][1]) == n
    assert [size > 40_960 for _, size in files()] == [True, False]


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
    assert 0 < sessions.files == len(files()) < count
    assert loaded(sessions, b"k")[-1] == (ASSISTANT, b"hour 23")
    archive.clean(sessions, start + 20 * DAY)
    assert files() == [] and sessions.files == sessions.error == 0
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


def test_what_was_said_while_the_clock_was_ahead_goes_with_the_rest_of_its_file():
    for days in (2, 3650):
        sessions = fresh(files=10)
        for now in (NOW + days * DAY, NOW):
            sessions.now = now
            exchange(sessions, b"k", b"q", b"a")
        archive.clean(sessions, NOW)
        sessions.now = NOW + DAY + 1
        exchange(sessions, b"k", b"q", b"a")
        assert sessions.files == 2
        archive.clean(sessions, NOW + 9 * DAY + 1)
        assert sessions.files == 0


def test_where_cleaning_is_cut_short_the_newest_stay():
    settings = {"files": 10, "file_bytes": 4096}
    for writes in range(12):
        sessions = fresh(**settings)
        say(sessions, b"k", [(USER, b"q" * 800), (ASSISTANT, b"a" * 800)] * 9)
        last = sessions.last
        disk.failing = writes
        archive.clean(sessions, NOW + 8 * DAY)
        rebooted(**settings)
        assert not files() or files()[-1][0] == last, (writes, files())
    assert writes and not files() and last > 4


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
        assert sessions.files == len(files()) and sessions.error == 0
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


def test_forget_says_so_where_a_file_cannot_be_removed():
    for other in (False, True):
        sessions = fresh()
        say(sessions, b"mine", pairs(2, b"mine"))
        if other:
            say(sessions, b"other", pairs(2))
        disk.failing = 0
        assert not archive.forget(sessions, b"mine", 0, 4) and sessions.error
        disk.failing = -1
        assert b"mine" in everything()
        assert archive.forget(sessions, b"mine", 0, 4) and b"mine" not in everything()


def test_a_rewriting_that_was_cut_short_is_cleaned_up_at_boot():
    sessions = fresh()
    say(sessions, b"k", pairs(2))
    with open(FOLDER + "/new", "wb") as file:
        file.write(b"x" * 5000)
    sessions = rebooted()
    assert [name for name, _, _, _ in os.ilistdir(FOLDER)] == ["1"]
    assert loaded(sessions, b"k") == pairs(2) and sessions.error == 0
