"""The journal on a flash that loses its power, or fails, at any moment."""

import os
import random
import vfs

from journal_desk import LARGEST, Desk
from journal_file import replayed, sample, write
from ramdisk import Cuts, Disk, PowerCut, Stand

HEAP = "2m"
TEST_S = 90
_BLOCKS = 16
_ENOENT = 2
_ENOSPC = 28


def _cut_everywhere(size, most):
    other = Desk(size, most, "/copy/journal")
    with Stand() as disk:
        desk = Desk(size, most)

        def check(half):
            found = other.boot()
            desk.promises.check(found)
            assert not other.journal.damaged and not other.journal.error
            other.journal.close()

        cuts = Cuts(disk, "/copy", check)
        desk.boot()
        desk.work(60)
        assert len(desk.promises.closed) >= 50 and not desk.ring.count
        print("%d cuts, %d rewrites" % (cuts.count, desk.journal.rewrites))
        assert cuts.count > 1000 and not desk.journal.error
        return desk.journal.rewrites


def test_a_power_cut_at_any_moment_loses_and_repeats_nothing_while_the_file_is_often_rewritten():
    assert _cut_everywhere(900, 1300) >= 4


def test_a_power_cut_at_any_moment_loses_and_repeats_nothing_in_a_file_of_several_blocks():
    assert _cut_everywhere(1200, 14000) == 1, "the first start's"


def test_a_relay_that_loses_its_power_again_and_again_answers_everything_once():
    random.seed(7)
    desk = Desk()
    with Stand() as disk:
        desk.boot()
    cuts = 0
    for chain in range(200):
        disk = disk.after_reset()
        disk.stop_at = random.randrange(110)
        disk.half = bool(chain & 1)
        try:
            disk.mount()
            desk.boot_again()
            desk.work(4, desk.promises.offset_most)
        except PowerCut:
            cuts += 1
        vfs.umount("/flash")
    print("%d updates, %d cuts" % (desk.promises.offset_most, cuts))
    assert cuts > 100 and desk.promises.offset_most > 300
    disk = disk.after_reset()
    disk.mount()
    desk.boot_again()
    desk.work(0)
    assert not desk.boot_again().records and not desk.journal.damaged
    vfs.umount("/flash")


def test_a_power_cut_while_a_torn_file_is_made_anew_leaves_what_was_whole():
    with Stand() as disk:
        desk = Desk(most=4000)
        content = sample(desk)
        write(content[:-3])
        expected = replayed(content, len(content) - 3)
        other = Desk(1200, 4000, "/copy/journal")

        def check(half):
            found = other.boot()
            assert (found.records, found.offset) == expected
            other.journal.close()

        cuts = Cuts(disk, "/copy", check)
        desk.boot()
        assert desk.journal.damaged == 1 and desk.journal.rewrites == 1 and cuts.count > 8


def test_after_an_operation_that_failed_the_journal_recovers_and_has_lost_nothing():
    with Stand() as disk:
        desk = Desk()
        desk.boot()
        desk.work(6)
        whole = disk.ops
    failed = 0
    for first in range(20, whole):
        for count in (1, 60):
            with Stand() as disk:
                disk.fail_at = (first, first + count)
                desk = Desk()
                desk.boot()
                desk.work(6)
                failed += bool(desk.errors)
                disk.fail_at = (-1, -1)
                assert desk.commit(), "it recovers by itself"
                desk.work(3, desk.promises.offset_most)
                desk.journal.close()
                desk.boot_again()
                assert not desk.journal.damaged
                desk.journal.close()
    assert failed > 20


def test_a_rewriting_of_several_blocks_that_fails_anywhere_loses_nothing():
    failed = at = 0
    while at >= 0:
        with Stand(32) as disk:
            desk = Desk(12000, 14000)
            desk.boot()
            assert desk.take(range(80)) > 70 and desk.journal.size > 2 * 4096
            disk.fail_at = (disk.ops + at, disk.ops + at + 1)
            failed += not desk.journal.rewrite()
            at = at + 1 if disk.ops > disk.fail_at[0] else -1
            disk.fail_at = (-1, -1)
            desk.boot_again()
            assert not desk.journal.damaged
    print("%d of the operations failed" % failed)
    assert failed > 20


def test_a_read_that_fails_once_at_the_start_loses_nothing():
    with Stand(32) as disk:
        desk = Desk(4000, 8000)
        desk.boot()
        desk.work(6)
        assert desk.take(range(6, 15)) == 9
        desk.send(desk.attempt())
        desk.journal.close()
        left = bytes(disk.data)
        before = disk.reads
        desk.boot_again()
        reads = disk.reads - before
        desk.journal.close()
    failed = 0
    # The first reads find the files; after one of them fails littlefs itself may give old ones.
    for first in range(3, reads):
        disk = Disk(32)
        disk.data[:] = left
        disk.mount()
        disk.bad_reads = (disk.reads + first, disk.reads + first + 1)
        assert len(desk.boot().records) == 9, first
        failed += desk.journal.damaged
        assert desk.commit()
        desk.journal.close()
        desk.promises.check(desk.boot())
        desk.journal.close()
        vfs.umount("/flash")
    assert reads > 100 and failed > 10


def test_where_reading_fails_for_good_the_journal_begins_anew_and_ends_nothing():
    with Stand(32) as disk:
        desk = Desk(4000, 8000)
        desk.boot()
        desk.take(range(9))
        desk.journal.close()
        disk.bad_reads = (disk.reads + 12, disk.reads + 2000)
        assert not desk.boot().records and desk.journal.error
        disk.bad_reads = (-1, -1)
        assert desk.journal.commit()


def _fill(*paths):
    """Writes files until nothing fits; the errno of that."""
    for path in paths:
        try:
            with open(path, "wb") as file:
                while True:
                    file.write(bytes(512))
                    file.flush()
        except OSError as error:
            full = error.errno
    return full


def test_a_full_flash_is_said_and_no_record_is_torn():
    with Stand():
        desk = Desk()
        desk.boot()
        desk.take((0, 1))
        full = _fill("/flash/ballast", "/flash/more")
        for _ in range(3):
            if desk.ring.count:
                desk.send(desk.attempt())
        assert desk.take((2, 3, 4)) == 0 and not desk.journal.commit()
        assert desk.journal.error == full == _ENOSPC
        # What a reset would find now.
        other = Desk()
        desk.promises.check(other.boot())
        assert not other.journal.damaged
        other.journal.close()
        os.remove("/flash/more")
        assert desk.commit() and desk.take((2, 3)) == 2
        desk.journal.close()
        desk.boot_again()


def test_without_a_file_the_relay_goes_on_and_nothing_may_be_confirmed():
    with Stand():
        desk = Desk(path="/flash/none/journal")
        found = desk.boot()
        assert not found.records and desk.journal.error == _ENOENT
        assert desk.take((0,)) == 0 and not desk.journal.commit()
        desk.journal.error = 0
        off = desk.ring.pend(LARGEST)
        assert not desk.journal.received(off, LARGEST) and desk.journal.error == _ENOENT
        desk.ring.finish(LARGEST)
        desk.journal.attempt(off, 1)
        desk.journal.done(off)
        desk.journal.close()
        os.mkdir("/flash/none")
        assert desk.take((0,)) == 1, "it is there again"
