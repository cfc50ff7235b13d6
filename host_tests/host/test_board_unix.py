"""The Unix board: its dog, its restarts, and lines from standard input."""

from __future__ import annotations

import signal
import time

import pytest

SETUP = """
import os, socket, sys, time
from thimble.board.unix import Board
from thimble.keepers.watch import Watch

board = Board()
guard = Watch(board.feed, time.ticks_ms())

def slices(ms):
    '''The loop at work: a slice of 50 ms, and its mark.'''
    for _ in range(ms // 50):
        time.sleep_ms(50)
        guard.mark(time.ticks_ms())
"""

HANGS = {
    "a loop": "while True: pass",
    "a sleep": "time.sleep(60)",
    "a read": "sys.stdin.buffer.read(1)",
    "a connection": "s = socket.socket(); s.bind(socket.getaddrinfo('127.0.0.1', 0)[0][-1]); "
    "s.listen(1); s.accept()",
    "a loop that swallows all": """
while True:
    try:
        time.sleep(60)
    except BaseException:
        pass
""",
}


def env(tmp_path, dog_s=1, **more: str) -> dict[str, str]:
    return {"THIMBLE_ROOT": str(tmp_path), "THIMBLE_DOG_S": str(dog_s), **more}


def cause(device, tmp_path, **more: str) -> list[str]:
    """What the next start finds, ended cleanly."""
    source = SETUP + "print(board.reset_cause, board.mark); board.close()"
    done = device.run(source, env=env(tmp_path, **more))
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("stage", HANGS)
def test_what_hangs_is_ended_by_the_dog(device, tmp_path, stage):
    process = device.start(SETUP + "board.guard(guard.alive)\n" + HANGS[stage], env(tmp_path))
    started = time.monotonic()
    assert process.wait(10) == -signal.SIGALRM
    assert time.monotonic() - started < 6
    assert cause(device, tmp_path, THIMBLE_CAUSE="watchdog") == ["watchdog", "0"]


def test_a_loop_whose_slices_end_is_left_alone(device, tmp_path):
    source = "board.guard(guard.alive); slices(4000); print('done'); board.close()"
    done = device.run(SETUP + source, env=env(tmp_path, dog_s=2))
    assert (done.returncode, done.stdout) == (0, "done\n")


def test_a_loop_that_gets_nowhere_is_not_fed(device, tmp_path):
    source = """
asked = []
def few(now):
    asked.append(now)
    return len(asked) < 2
board.guard(few)
slices(20_000)
"""
    assert device.start(SETUP + source, env(tmp_path, dog_s=3)).wait(10) == -signal.SIGALRM


def test_nobody_is_bitten_at_the_repl(device, tmp_path):
    source = "board.guard(guard.alive); guard.rest(); board.rest(); time.sleep(3); print('here')"
    done = device.run(SETUP + source, env=env(tmp_path))
    assert (done.returncode, done.stdout) == (0, "here\n")


def test_a_restart_ends_the_process_and_hands_over_its_mark_once(device, tmp_path):
    source = "\ntry:\n    board.restart(19)\nfinally:\n    board.close()"
    assert device.run(SETUP + source, env=env(tmp_path)).returncode == 75
    assert cause(device, tmp_path) == ["restart", "19"]
    assert cause(device, tmp_path) == ["power-on", "0"]


def test_a_mark_that_a_power_cut_left_empty_is_none(device, tmp_path):
    source = "board.memory(b'x'); open('/flash/rtc', 'w').close(); board.close()"
    assert device.run(SETUP + source, env=env(tmp_path)).returncode == 0
    assert cause(device, tmp_path) == ["power-on", "0"]


def test_a_kill_is_a_crash(device, tmp_path):
    process = device.start(SETUP + "print('up'); time.sleep(60)", env(tmp_path))
    assert process.stdout.readline() == "up\n"
    process.kill()
    process.wait()
    assert cause(device, tmp_path) == ["crash", "0"]


def test_memory_outlives_a_deep_sleep(device, tmp_path):
    source = "board.memory(b'charge 71')"
    source += "\ntry:\n    board.deep_sleep(100)\nfinally:\n    board.close()"
    assert device.run(SETUP + source, env=env(tmp_path)).returncode == 75
    source = "print(board.reset_cause, board.memory()); board.close()"
    done = device.run(SETUP + source, env=env(tmp_path))
    assert done.stdout == "deep sleep b'charge 71'\n"


def test_the_process_size_is_known_on_linux_only(device, tmp_path):
    source = """
print(board.rss_kb())
import thimble.board.unix
def nothing(path):
    raise OSError(2)
thimble.board.unix.open = nothing
print(board.rss_kb())
del thimble.board.unix.open
board.close()"""
    here, elsewhere = device.run(SETUP + source, env=env(tmp_path)).stdout.split()
    assert int(here) > 1000 and elsewhere == "None"


def test_an_interrupt_comes_where_the_loop_looks_for_it_and_never_within_a_collection(
    device, tmp_path
):
    """There it would leave the heap locked: no clean stop, and the next start would find a
    crash."""
    source = """
import gc
board.guard(guard.alive)
try:
    print('up')
    while True:
        gc.collect()
        board.read_line()
except KeyboardInterrupt:
    os.system('kill -INT $PPID')  # pressed twice
    print('interrupted')
board.close()
print('closed')
time.sleep(60)  # and behind the end it comes at once
"""
    for _ in range(3):
        process = device.start(SETUP + source, env(tmp_path, dog_s=20))
        assert process.stdout.readline() == "up\n"
        process.send_signal(signal.SIGINT)
        said = process.stdout.readline()
        assert said == "interrupted\n", said + process.stderr.read()
        assert process.stdout.readline() == "closed\n", process.stderr.read()
        process.send_signal(signal.SIGINT)
        assert process.wait(5) == 1
        assert cause(device, tmp_path) == ["power-on", "0"]


def test_an_interrupt_that_came_while_a_block_was_written_comes_once_with_the_next_slice(
    device, tmp_path
):
    source = """
board._flash.interrupted = True
for _ in range(2):
    try:
        slices(1500)
        print('on')
    except KeyboardInterrupt:
        print('interrupted')
board.close()
"""
    done = device.run(SETUP + source, env=env(tmp_path))
    assert done.stdout == "interrupted\non\n", done.stderr


LINES = """
import time
from thimble.board.line import Line

line = Line(ECHO)
got = []
end = time.ticks_add(time.ticks_ms(), 3000)
while len(got) < WANTED and time.ticks_diff(end, time.ticks_ms()) > 0:
    found = line.read()
    if found:
        got.append(found)
    time.sleep_ms(1)
print()
print(got)
"""


def typed(device, text: str, wanted: int, echo=False) -> list[str]:
    source = LINES.replace("ECHO", str(echo)).replace("WANTED", str(wanted))
    process = device.start(source)
    out, err = process.communicate(text, timeout=10)
    assert process.returncode == 0, err
    return out.split("\n")


def test_lines_end_with_either_end_and_are_stripped(device):
    *_, last, _ = typed(device, "status\r\n  log \rhelp\n\n\nend\n", 4)
    assert last == "[b'status', b'log', b'help', b'end']"


def test_a_line_that_is_too_long_is_dropped_whole(device):
    lines = "x" * 257 + "\n" + "y" * 256 + "\n" + "z" * 256 + "\x7f\nend\n"
    first, *_, last, _ = typed(device, lines, 3)
    assert first == "that line is too long"
    assert last == f"[b'{'y' * 256}', b'{'z' * 255}', b'end']"


def test_a_line_that_was_too_long_stays_so_when_some_is_taken_back(device):
    first, *_, last, _ = typed(device, "x" * 300 + "\x7f" * 100 + "\nend\n", 1)
    assert first == "that line is too long"
    assert last == "[b'end']"


def test_a_line_without_its_end_does_not_count(device):
    *_, last, _ = typed(device, "status\nrebo", 2)
    assert last == "[b'status']"


def test_what_is_typed_is_shown_on_a_serial_line_and_can_be_taken_back(device):
    first, ended, last, _ = typed(device, "\x7fstaX\x7ftus\x01\r", 1, echo=True)
    assert (first, ended) == ("staX\b \btus", "")
    assert last == "[b'status\\x01']"


def test_strange_bytes_do_no_harm(device):
    junk = "".join(chr(i) for i in range(256) if i not in (8, 10, 13, 127))
    *_, last, _ = typed(device, junk * 9 + "\nend\n", 1)
    assert last == "[b'end']"
