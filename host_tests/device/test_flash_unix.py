"""The flash image of the Unix board: what fails in it never jumps out of littlefs's C code."""

import errno
import os

import vfs
from kit import heap_locked

from thimble.board.unix import Flash

TEST_S = 10
_PATH = "/tmp/thimble-test-flash-%d.img"


class Failing:
    """A file that raises from now on."""

    def __init__(self, file, error):
        self._file = file
        self.error = error
        self.left = -1

    def _count(self):
        if self.left == 0:
            raise self.error
        self.left -= 1

    def seek(self, at):
        self._count()
        return self._file.seek(at)

    def write(self, buf):
        self._count()
        return self._file.write(buf)

    def readinto(self, buf):
        self._count()
        return self._file.readinto(buf)

    def flush(self):
        self._count()

    def close(self):
        self._file.close()


def _made():
    path = _PATH % id(_PATH)
    flash = Flash(path, 32)
    os.remove(path)  # the open file stays until it is closed
    vfs.VfsLfs2.mkfs(flash)
    return flash


def test_an_image_has_its_whole_size_at_once_and_is_found_as_it_was_left():
    path = _PATH % id(_PATH)
    last = bytes(range(64))
    flash = Flash(path, 8)
    try:
        assert flash.blank()
        for block in (0, 7):
            flash.writeblocks(block, last, 4096 - 64)
        flash.close()
        for _ in range(2):
            flash = Flash(path, 8)
            assert os.stat(path)[6] == 8 * 4096
            for block in (0, 7):
                buf = bytearray(64)
                flash.readblocks(block, buf, 4096 - 64)
                assert buf == last, block
            flash.writeblocks(0, last)
            assert not flash.blank()
            flash.close()
    finally:
        os.remove(path)


def test_reading_and_writing_blocks_takes_no_heap():
    flash = _made()
    buf = bytearray(64)
    heap_locked(lambda: flash.writeblocks(3, buf, 64))
    heap_locked(lambda: flash.readblocks(3, buf, 64))
    heap_locked(lambda: flash.ioctl(3, 0))
    flash.close()


def test_a_failure_at_any_step_is_an_error_and_what_was_written_before_stays():
    for error in (MemoryError(), OSError(errno.EACCES)):
        for step in range(40):
            flash = _made()
            fs = vfs.VfsLfs2(flash)
            with fs.open("kept", "wb") as file:
                file.write(b"here")
            failing = flash._file = Failing(flash._file, error)
            failing.left = step
            try:
                with fs.open("new", "wb") as file:
                    file.write(b"x" * 5000)
                done = True
            except OSError as caught:
                assert caught.errno == errno.EIO, caught
                done = False
            failing.left = -1
            again = vfs.VfsLfs2(flash)
            with again.open("kept", "rb") as file:
                assert file.read() == b"here"
            if done:
                with again.open("new", "rb") as file:
                    assert len(file.read()) == 5000
            flash.close()
        assert not done or step > 10


def test_what_could_not_be_read_or_written_is_an_error_each_time():
    buf = bytearray(64)
    for error in (MemoryError(), OSError(errno.EACCES)):
        for step in (0, 1):
            flash = _made()
            failing = flash._file = Failing(flash._file, error)
            for operation in (flash.readblocks, flash.writeblocks):
                failing.left = step
                assert operation(3, buf) == -errno.EIO
            flash.close()


def test_what_littlefs_wants_to_be_kept_is_flushed_and_nothing_else():
    flash = _made()
    flash._file = Failing(flash._file, OSError(errno.EACCES))
    flash._file.left = 0
    assert [flash.ioctl(op, 0) for op in (1, 2, 3, 4, 5)] == [0, 0, -errno.EIO, 32, 4096]
    flash.close()


def test_an_interrupt_is_kept_for_the_loop_and_the_operation_is_done():
    class Interrupted(Failing):
        def _count(self):
            if self.left == 0:
                self.left = -1
                raise KeyboardInterrupt
            self.left -= 1

    for step in range(30):
        flash = _made()
        fs = vfs.VfsLfs2(flash)
        interrupted = flash._file = Interrupted(flash._file, None)
        interrupted.left = step
        with fs.open("new", "wb") as file:
            file.write(b"x" * 5000)
        assert flash.interrupted or step > 10, step
        with vfs.VfsLfs2(flash).open("new", "rb") as file:
            assert len(file.read()) == 5000
        flash.close()
