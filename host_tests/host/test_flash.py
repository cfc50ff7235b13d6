"""The firmware onto a board: the emulated one with stock MicroPython and a file system in RAM."""

import hashlib
import os
import random
import re
import select
import stat
import subprocess
import sys
import threading
import tty
import zipfile

import pytest
import serial
import serial.tools.list_ports

from tools import backup, build, configure, flash, qemu, remote
from tools.remote import BoardError, Facts, Remote

PICO_W = Facts((1, 26, 0), "Raspberry Pi Pico W with RP2040", 4 << 10 | 0x306, 4096, 212, 200, "")
S3 = "Generic ESP32S3 module with Octal-SPIRAM with ESP32S3"
ESP32_S3 = {"version": (1, 25, 0), "machine": S3, "mpy": 10 << 10 | 0x306}
FIRST = b'"""Starts Thimble on a board whose image does not have it frozen."""\n\nimport thimble\n'


@pytest.fixture(scope="module")
def board():
    with qemu.Board(qemu.build(stock=True)) as board:
        yield board


@pytest.fixture
def flashed(board):
    """The board with the firmware on it, whatever the test before left there."""
    flash.flash("qemu", board.port, say=lambda line: None)
    return board


def put(board, path, data=b"x"):
    with Remote(board.port) as link:
        link.write(path, data)


def files(board):
    with Remote(board.port) as link:
        return link.sizes("/")


def fill(link, left):
    """Leaves ``left`` blocks of the board's file system free."""
    free = link.facts().free
    link.run(
        "f = open('/big', 'wb'); b = bytes(4096)\n"
        f"for _ in range({free - left}): f.write(b)\n"
        "f.close()"
    )


def make(*words):
    return subprocess.run(["make", "-s", *words], capture_output=True, text=True, timeout=120)


# Copying.


def test_the_first_flash_copies_and_verifies_all_and_the_second_nothing(board):
    said = []
    copied, _ = flash.flash("qemu", board.port, said.append)
    wanted = flash.plan("qemu", frozen=False)
    assert copied == len(wanted) > 40
    assert files(board) == {path: len(data) for path, data in wanted.items()}
    assert said[-1].startswith("thimble 0.1.0 starts in ")
    assert flash.flash("qemu", board.port, said.append) == (0, 0)


def test_what_was_copied_is_imported_from_there_and_runs(flashed):
    with Remote(flashed.port) as link:
        link.maintain()
        code = "from thimble.core import octets, scan; print(octets.__file__, octets.crc16)"
        assert link.run(code).startswith("thimble/core/octets.mpy <function")
        link.run("import sys; sys.modules['usocket'] = sys")  # this board has no sockets
        assert "MQTTClient" in link.run("from umqtt import simple; print(dir(simple))")


def test_an_interrupted_copy_starts_nothing_and_the_next_one_completes_it(flashed):
    class Unplugged(Exception):
        pass

    def unplug(line):
        if "core/text" in line:
            raise Unplugged

    for path in ("/thimble/core/scan.mpy", "/thimble/core/text.mpy", "/thimble/relay.mpy"):
        put(flashed, path, b"old")
    with pytest.raises(Unplugged):
        flash.flash("qemu", flashed.port, unplug)
    assert flash.MAIN not in files(flashed)
    copied, removed = flash.flash("qemu", flashed.port)
    assert (copied, removed) == (3, 0)  # text, relay, main.py
    assert flash.flash("qemu", flashed.port) == (0, 0)


def test_a_corrupted_file_of_the_same_size_is_found_and_copied_again(flashed):
    size = files(flashed)["/thimble/relay.mpy"]
    put(flashed, "/thimble/relay.mpy", bytes(size))
    assert flash.flash("qemu", flashed.port) == (1, 0)


def test_a_file_that_arrives_damaged_is_named(flashed, monkeypatch):
    put(flashed, "/thimble/log.mpy", b"old")
    write = Remote.write
    monkeypatch.setattr(
        Remote, "write", lambda self, path, data: write(self, path, data.replace(b"t", b"u"))
    )
    with pytest.raises(BoardError, match=r"not on the board as they were sent: .*log\.mpy"):
        flash.flash("qemu", flashed.port)
    assert flash.MAIN not in files(flashed)  # nothing starts on it


def test_a_main_py_that_arrives_damaged_is_not_left_there(flashed, monkeypatch):
    put(flashed, flash.MAIN, FIRST)
    write = Remote.write
    monkeypatch.setattr(Remote, "write", lambda self, path, data: write(self, path, data[:-1]))
    with pytest.raises(BoardError, match=r"not on the board as they were sent: /main\.py"):
        flash.flash("qemu", flashed.port)
    assert flash.MAIN not in files(flashed)


def test_what_the_firmware_no_longer_has_goes_and_what_is_the_users_stays(flashed):
    put(flashed, "/thimble/core/scan.py", b"raise SystemExit")
    put(flashed, "/thimble.json", b"{}")
    mine = {"/lib/mine.py", "/lib/umqtt/robust.mpy", "/roots/mine.der"}
    for path in mine:
        put(flashed, path)
    assert flash.flash("qemu", flashed.port) == (0, 1)
    assert {"/thimble.json", *mine} < files(flashed).keys()
    assert "/thimble/core/scan.py" not in files(flashed)
    with Remote(flashed.port) as link:
        for path in mine:
            link.remove(path)


def test_each_main_py_of_the_users_own_is_kept_beside_ours(flashed):
    mine = {
        "/main.old.py": b"print('mine')\n",
        "/main.old2.py": b"print('the relay starts')\nimport thimble\nthimble.run()\n",
    }
    for data in mine.values():
        put(flashed, flash.MAIN, data)
        flash.flash("qemu", flashed.port)
    with Remote(flashed.port) as link:
        assert {path: link.read(path) for path in mine} == mine
        for path in mine:
            link.remove(path)


def test_a_main_py_of_an_older_thimble_is_not_kept(flashed):
    put(flashed, flash.MAIN, FIRST)
    flash.flash("qemu", flashed.port)
    assert "/main.old.py" not in files(flashed)


def test_an_image_with_the_firmware_frozen_gets_main_py_and_the_certificates():
    with qemu.Board() as board:
        flash.flash("qemu", board.port)
        assert {path.split("/")[1] for path in files(board)} == {"main.py", "roots"}


class StandIn:
    """In the place of a board that only says what it is: with no file, and taking all."""

    facts_ = PICO_W

    def __init__(self, port):
        self.files = {}

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        pass

    maintain = reset = __exit__

    def facts(self):
        return self.facts_

    def sizes(self, *paths):
        return {}

    def hashes(self, paths):
        return {path: hashlib.sha256(self.files[path]).hexdigest() for path in paths}

    def write(self, path, data):
        self.files[path] = data

    def first_line(self, start):
        return start


@pytest.mark.parametrize(
    "name, changed, told",
    [("pico_w", {}, True), ("pico_w", {"frozen": "0.1.0"}, False), ("esp32_s3", ESP32_S3, False)],
)
def test_a_board_whose_heap_does_not_hold_the_relay_is_told_before_the_copying(
    monkeypatch, name, changed, told
):
    monkeypatch.setattr(flash, "Remote", StandIn)
    monkeypatch.setattr(StandIn, "facts_", Facts(**{**PICO_W.__dict__, **changed}))
    monkeypatch.setattr(flash, "plan", lambda name, frozen: {flash.MAIN: b"import thimble"})
    said = []
    assert flash.flash(name, "a port", said.append) == (1, 0)
    assert "copy /main.py (14 bytes)" in said
    assert told == ("frozen image (make firmware BOARD=pico_w" in said[0])


# Refusals. Each leaves the board as it was.


def test_a_full_file_system_is_refused_before_anything_is_written(flashed):
    with Remote(flashed.port) as link:
        for path in link.sizes("/thimble/net"):
            link.remove(path)
        fill(link, 8)
    before = files(flashed)
    with pytest.raises(BoardError, match=r"full: \d+ KB are needed, \d+ KB are free; nothing was"):
        flash.flash("qemu", flashed.port)
    assert "starts in" in Remote(flashed.port).first_line("thimble ")
    assert files(flashed) == before and flash.MAIN in before
    with Remote(flashed.port) as link:
        link.remove("/big")


@pytest.mark.parametrize(
    "new, stale, blocks",
    [
        ({"/a/z": 0}, [], 2),
        ({"/a/z": 5 * 4096}, [], 10),
        ({"/a/z": 5 * 4096 + 1}, [], 12),
        ({"/b/z": 4 * 4096}, [], 10),  # and its folder
        ({"/a/z": 6 * 4096 + 1}, ["/a/x", "/a/y"], 10),
        ({"/a/x": 7 * 4096}, ["/a/y"], 10),
    ],
)
def test_room_is_needed_for_what_is_new_and_for_the_largest_while_it_is_replaced(
    new, stale, blocks
):
    sizes = {"/a/x": 3 * 4096, "/a/y": 1}
    flash.room(Facts(**{**PICO_W.__dict__, "free": blocks}), sizes, new, stale)
    with pytest.raises(BoardError, match="file system is full"):
        flash.room(Facts(**{**PICO_W.__dict__, "free": blocks - 1}), sizes, new, stale)


@pytest.mark.parametrize(
    "last, said",
    [
        ("OSError: [Errno 28] ENOSPC", "the board's file system is full"),
        ("OSError: 28", "the board's file system is full"),
        ("OSError: 281", "the board said: OSError: 281"),
    ],
)
def test_what_a_board_says_that_has_no_room_is_understood(last, said):
    class Link:
        def exec_raw(self, code, timeout):
            return b"", f"Traceback (most recent call last):\r\n{last}\r\n".encode()

    board = Remote("no board is asked")
    board.link = Link()
    with pytest.raises(BoardError, match=f"^{re.escape(said)}$"):
        board.run("pass")


def test_a_line_that_is_lost_is_named():
    class Link:
        def exec_raw(self, code, timeout):
            raise serial.SerialException("device disconnected")

    board = Remote("/dev/ttyACM7")
    board.link = Link()
    with pytest.raises(BoardError, match=r"^the connection to /dev/ttyACM7 was lost: device disc"):
        board.run("pass")


def test_the_only_board_is_taken_and_of_several_or_none_it_is_said(monkeypatch):
    class Port:
        def __init__(self, device, vid):
            self.device, self.vid = device, vid

    def ports(*found):
        monkeypatch.setattr(serial.tools.list_ports, "comports", lambda: found)

    mine, other, built_in = Port("/dev/a", 11914), Port("/dev/b", 12346), Port("/dev/c", None)
    ports(mine, other)
    assert remote.choose("/dev/b") == "/dev/b"
    with pytest.raises(BoardError, match=r"^say which: PORT=/dev/a or PORT=/dev/b$"):
        remote.choose("")
    ports(built_in, other)
    assert remote.choose("") == "/dev/b"
    ports(built_in)
    with pytest.raises(BoardError, match=r"^no board found on a USB port: "):
        remote.choose("")


def test_a_write_that_finds_no_room_leaves_no_piece_behind(flashed):
    with Remote(flashed.port) as link:
        link.write("/large", b"what was there")
        fill(link, 3)
        # littlefs has a little more room than it says.
        link.run("""
n = 0
try:
    while True:
        n += 1
        with open("/pad%d" % n, "wb") as f:
            f.write(b)
except OSError:
    pass
""")
        before = link.sizes("/")
        with pytest.raises(BoardError, match="file system is full"):
            link.write("/large", bytes(20 * 1024))
        assert link.sizes("/") == before and link.read("/large") == b"what was there"
        for path in before:
            if path.startswith(("/big", "/pad", "/large")):
                link.remove(path)


def test_another_chip_is_refused(flashed):
    before = files(flashed)
    done = make("flash", "BOARD=pico_w", f"PORT={flashed.port}")
    assert done.returncode != 0
    assert "this board is a mps2-an385 with Cortex-M3, which BOARD=pico_w is not" in done.stderr
    assert files(flashed) == before


@pytest.mark.parametrize(
    "name, changed, said",
    [
        ("pico_w", {"machine": "Raspberry Pi Pico with RP2040"}, "which BOARD=pico_w is not"),
        ("esp32_s3", {}, "Pico W with RP2040, which BOARD=esp32_s3 is not"),
        ("esp32_s3", {"machine": "FeatherS2 with ESP32-S2"}, "which BOARD=esp32_s3 is not"),
        ("esp32_s3", {"machine": "ESP32S3's twin with ESP32-C3"}, "which BOARD=esp32_s3 is not"),
        ("esp32_s3", {"machine": S3}, "does not run our compiled files"),
        ("pico_w", {"version": (1, 25, 0)}, "MicroPython 1.25.0; 1.26 or newer is needed"),
        ("esp32_s3", {**ESP32_S3, "version": (1, 24, 1)}, "1.24.1; 1.25 or newer is needed"),
        ("pico_w", {"mpy": 4 << 10 | 0x206}, "does not run our compiled files"),
    ],
)
def test_a_board_that_cannot_run_it_is_refused_with_a_sentence(name, changed, said):
    with pytest.raises(BoardError, match=said):
        flash.check(name, Facts(**{**PICO_W.__dict__, **changed}))


def test_a_micropython_from_before_it_told_its_machine_is_refused_by_its_version(
    flashed, monkeypatch
):
    """Before 1.19 there is no sys.implementation._machine."""
    old = "class Old:\n    version = (1, 18, 0)\n    mpy = 7942\n"
    facts = remote._FACTS.replace("sys.implementation", "Old")
    monkeypatch.setattr(remote, "_FACTS", old + facts)
    before = files(flashed)
    with pytest.raises(BoardError, match=r"MicroPython 1\.18\.0; 1\.25 or newer is needed"):
        flash.flash("esp32_s3", flashed.port)
    assert files(flashed) == before


def test_the_boards_that_are_meant_are_taken():
    flash.check("pico_w", PICO_W)
    for machine in (S3, "FeatherS3 with ESP32-S3", "TinyS3 with ESP32-S3-FN8"):
        flash.check("esp32_s3", Facts(**{**PICO_W.__dict__, **ESP32_S3, "machine": machine}))


def test_a_line_on_which_nobody_answers_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(remote, "ANSWER_S", 1)
    with pytest.raises(BoardError, match=r"no answer from .*/nothing .*right port"):
        Remote(str(tmp_path / "nothing")).connect(within=1)


def test_a_port_that_only_a_group_may_use_is_said(tmp_path, monkeypatch):
    port = tmp_path / "ttyACM7"
    port.touch()
    monkeypatch.setattr(os, "access", lambda path, mode: path != str(port))
    group = re.escape(port.group())
    with pytest.raises(BoardError, match=rf"you may not use .*/ttyACM7, .* -aG {group} \$USER"):
        Remote(str(port)).connect(within=1)


def test_a_line_that_never_falls_silent_is_said():
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    ended = threading.Event()

    def send():
        while not ended.is_set():
            if select.select([], [ours], [], 0.1)[1]:
                os.write(ours, b"\x1b[2J\x8f?" * 10)

    sender = threading.Thread(target=send)
    sender.start()
    argv = [sys.executable, "-m", "tools.flash", "qemu", "--port", os.ttyname(theirs)]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    finally:
        ended.set()
        sender.join()
        os.close(ours)
        os.close(theirs)
    assert (
        done.returncode == 1 and "could not enter raw repl): is it the right port" in done.stderr
    )


def test_a_board_that_takes_no_more_bytes_is_given_up(monkeypatch):
    monkeypatch.setattr(remote, "WRITE_S", 0.5)
    ours, theirs = os.openpty()
    tty.setraw(theirs)

    def prompts():
        """The raw prompt, and that there is no raw paste; then nothing is read any more."""
        for asked, said in ((b"\r\x01", remote.RAW + b">"), (b"\x05A\x01", b"R\x00")):
            heard = b""
            while not heard.endswith(asked):
                heard += os.read(ours, 1)
            os.write(ours, said)

    def flood():
        board = Remote(os.ttyname(theirs))
        board.connect()
        try:
            board.run("pass\n" * 20_000)
        except BoardError as error:
            ended.append(str(error))

    ended = []
    threads = [threading.Thread(target=target, daemon=True) for target in (prompts, flood)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert ended and ended[0].startswith(f"the connection to {os.ttyname(theirs)} was lost: ")
    os.close(ours)
    os.close(theirs)


def test_a_board_whose_main_fails_at_once_is_told_with_its_last_words(flashed, monkeypatch):
    put(flashed, "/thimble/__init__.mpy", b"no mpy")
    with Remote(flashed.port) as link:
        link.reset()
        with pytest.raises(
            BoardError, match=r"did not start Thimble; it said: ValueError: incompatible .mpy"
        ):
            link.first_line("thimble ", within=8)


# Maintenance.


def test_a_maintenance_boot_starts_nothing_and_counts_once(flashed):
    with Remote(flashed.port) as link:
        link.maintain()
        link.write(remote.MARKER, b"")
        link.reset()
        assert link.first_line("thimble ").endswith("maintenance, nothing is started")
        link.connect()
        assert remote.MARKER not in link.sizes("/")
        link.reset()
        assert "starts in" in link.first_line("thimble ")


BOOTS = b"""import os
with open("/boots.log", "a") as log:
    log.write("maintenance " if "maintenance" in os.listdir() else "start ")
"""


@pytest.mark.parametrize("command", ["flash", "configure", "save", "restore", "erase"])
def test_whatever_copies_files_first_asks_for_a_maintenance_boot(flashed, tmp_path, command):
    config = {"thimble.json": '{"telegram": {"token": "1:a"}, "model": {"name": "x"}}'}
    (tmp_path / "thimble.json").write_text(config["thimble.json"])
    put(flashed, "/thimble.json")
    put(flashed, "/thimble/log.mpy")
    put(flashed, "/boot.py", BOOTS)
    put(flashed, "/boots", b"\3\0")  # a reset by hand is no crash, nor one more of them
    {
        "flash": lambda: flash.flash("qemu", flashed.port),
        "configure": lambda: configure.configure(
            tmp_path / "thimble.json", flashed.port, force=True
        ),
        "save": lambda: backup.save(flashed.port, tmp_path / "board.zip"),
        "restore": lambda: backup.restore(flashed.port, zipped(tmp_path, config)),
        "erase": lambda: backup.erase(flashed.port),
    }[command]()
    if command not in ("flash", "configure"):  # which have waited for it
        assert "starts in" in Remote(flashed.port).first_line("thimble ")
    with Remote(flashed.port) as link:
        assert link.read("/boots.log") == b"maintenance start "
        assert "/boots" not in link.sizes("/")
        for path in ("/boot.py", "/boots.log", "/thimble.json"):
            link.remove(path)


def test_whatever_goes_wrong_in_it_the_board_starts_again(flashed):
    with pytest.raises(KeyboardInterrupt), Remote(flashed.port) as link:
        link.maintain()
        link.link.exec_raw_no_follow("while True: pass")
        raise KeyboardInterrupt
    assert "starts in" in Remote(flashed.port).first_line("thimble ")


def test_a_maintenance_boot_that_was_asked_for_in_vain_is_none(flashed, monkeypatch):
    def interrupted(link):
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(Remote, "reset", interrupted)
    with pytest.raises(KeyboardInterrupt), Remote(flashed.port) as link:
        link.maintain()
    assert "starts in" in Remote(flashed.port).first_line("thimble ")


def test_a_board_is_not_reset_that_was_only_asked_nor_again_that_was_reset_already(flashed):
    put(flashed, "/boot.py", BOOTS)
    put(flashed, "/boots.log", b"")
    with pytest.raises(KeyboardInterrupt), Remote(flashed.port) as link:
        link.reset()
        assert "starts in" in link.first_line("thimble ")
        raise KeyboardInterrupt
    with Remote(flashed.port) as link:
        assert link.read("/boots.log") == b"start "
        for path in ("/boot.py", "/boots.log"):
            link.remove(path)


def test_a_port_that_goes_with_the_reset_is_waited_for(flashed, tmp_path):
    """As that of a USB device does."""
    for number, wait in enumerate((Remote.connect, lambda link: link.first_line("thimble "))):
        with Remote(flashed.port) as link:
            link.reset()
        port = tmp_path / str(number)
        comes = threading.Timer(0.7, os.symlink, (flashed.port, port))
        comes.start()
        link = Remote(str(port))
        wait(link)
        link.close()
        comes.join()


class Link:
    """What mpremote has of a line that is gone."""

    in_raw_repl = True

    def exit_raw_repl(self):
        raise serial.SerialException("device disconnected")

    close = exit_raw_repl


def unanswered(within=0.0):
    raise BoardError("no answer")


def test_where_the_board_is_gone_it_is_said_what_it_did_not_do(monkeypatch):
    board = Remote("no board is asked")
    monkeypatch.setattr(board, "connect", lambda within=0.0: None)
    with pytest.raises(BoardError, match=r"^the connection was lost$"), board:
        board.link = Link()
        monkeypatch.setattr(board, "connect", unanswered)
        raise BoardError("the connection was lost")


def test_a_board_that_cannot_be_reset_is_not_written_to(monkeypatch):
    class Deaf(Remote):
        said = ()

        def connect(self, within=0.0):
            pass

        def restart(self):
            pass

        def run(self, code, silence=0.0):
            self.said += (code,)
            return "False" if code == "print('_before' in globals())" and self.new else "True"

    monkeypatch.setattr(remote, "RESET_S", 1)
    for new in (True, False):
        board = Deaf("no board is asked")
        board.new = new
        if new:
            board.maintain()
            assert remote.MARKER in board.said[-1]  # is removed
        else:
            with pytest.raises(BoardError, match=r"^the board was not reset within 1 s$"):
                board.maintain()


def test_the_relay_is_started_three_seconds_after_boot(device):
    source = """
import sys, time
class thimble:
    VERSION = "0.1.0"
    run = staticmethod(lambda: print(time.ticks_diff(time.ticks_ms(), start)))
sys.modules["thimble"] = thimble
with open(%r) as file:
    main = file.read()
start = time.ticks_ms()
exec(main)
"""
    *lines, waited = device.run(source % str(build.FIRMWARE / "main.py")).stdout.splitlines()
    assert [line[14:27] for line in lines] == ["starts in 3 s", "starts in 2 s", "starts in 1 s"]
    assert int(waited) >= 3000


def test_ctrl_c_in_the_seconds_after_boot_gives_the_prompt(flashed):
    with Remote(flashed.port) as link:
        link.reset()
        link.first_line("thimble ")
        link.connect()
        assert link.run("print('relay' in dir(), 1 + 1)") == "False 2\r\n"


# What the board has written.

WRITTEN = {
    "/thimble.json": b'{"tls": {"ca": "/home.pem"}}',
    "/thimble.json.new": b"{",
    "/thimble.trial.json": b"{}",
    "/home.pem": b"a root that the configuration names",
    "/ca-0123abcd.pem": b"a root that make configure has left",
    "/journal": bytes(range(256)) * 8,
    "/journal.tail/now": b"now",
    "/turns/7": b"turns",
    "/turns/new": b"",
    "/crash.txt": b"crash",
    "/memory.txt": b"memory",
}
FOREIGN = (
    "/boot.py",
    "/helper.py",
    "/webrepl_cfg.py",
    "/ca.pem",
    "/ca-mine.pem",
    "/boots.txt",
    "/journal.txt",
    "/thimble.json.old",
    "/photos/a.jpg",
    "/photos/turns/7",
)


@pytest.fixture
def lived_in(flashed):
    """A board with files of ours and of somebody else's, and no others but the firmware's."""
    with Remote(flashed.port) as link:
        link.maintain()
        for path in link.sizes("/").keys() - flash.plan("qemu", frozen=False).keys():
            link.remove(path)
        for path, data in WRITTEN.items():
            link.write(path, data)
        for path in FOREIGN:
            link.write(path, b"mine")
    yield flashed
    with Remote(flashed.port) as link:
        for path in [*WRITTEN, *FOREIGN]:
            link.remove(path)


def test_backup_and_restore_bring_back_what_the_board_had_written(lived_in, tmp_path):
    archive = tmp_path / "board.zip"
    assert backup.save(lived_in.port, archive) == len(WRITTEN)
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    put(lived_in, "/thimble.json", b'{"tls": {"ca": "later.pem"}}')
    put(lived_in, "/journal", b"other")
    for path in ("/later.pem", "/turns/8", "/photos/b.jpg"):
        put(lived_in, path)
    backup.restore(lived_in.port, archive)
    with Remote(lived_in.port) as link:
        assert {path: link.read(path) for path in WRITTEN} == WRITTEN
        left = link.sizes("/").keys()
        link.remove("/photos/b.jpg")
    assert not {"/later.pem", "/turns/8"} & left and {*FOREIGN, "/photos/b.jpg"} < left
    assert flash.flash("qemu", lived_in.port) == (0, 0)


def test_erase_removes_what_the_board_has_written_and_nothing_else(lived_in):
    done = make("erase", f"PORT={lived_in.port}")
    assert done.returncode == 0, done.stderr
    assert files(lived_in).keys() == {*FOREIGN, *flash.plan("qemu", frozen=False)}
    assert flash.flash("qemu", lived_in.port) == (0, 0)


@pytest.mark.parametrize("config", ["{", '{"tls": {"ca": 5}}', '{"tls": {"ca": "main.py"}}'])
def test_a_configuration_that_names_no_certificate_of_its_own_is_erased_alone(flashed, config):
    put(flashed, "/thimble.json", config.encode())
    before = files(flashed)
    assert backup.erase(flashed.port) == 1
    assert before.keys() - files(flashed).keys() == {"/thimble.json"}


def test_a_full_board_can_be_erased_and_takes_no_backup_that_does_not_fit(flashed, tmp_path):
    put(flashed, "/journal", b"now")
    with Remote(flashed.port) as link:
        fill(link, 3)
    before = files(flashed)
    large = zipped(tmp_path, {"journal": bytes(20 * 1024)})
    with pytest.raises(BoardError, match=r"full: 40 KB are needed, .*; nothing was changed"):
        backup.restore(flashed.port, large)
    assert files(flashed) == before
    assert backup.erase(flashed.port) == 1
    assert "starts in" in Remote(flashed.port).first_line("thimble ")
    with Remote(flashed.port) as link:
        link.remove("/big")


def test_with_half_of_a_backup_a_board_starts_nothing_and_the_next_restore_completes_it(
    lived_in, tmp_path, monkeypatch
):
    archive = tmp_path / "board.zip"
    backup.save(lived_in.port, archive)
    put(lived_in, flash.MAIN, b"print('mine')")
    write = Remote.write

    def interrupted(link, path, data):
        if path == "/turns/7":
            raise BoardError("unplugged")
        write(link, path, data)

    monkeypatch.setattr(Remote, "write", interrupted)
    with pytest.raises(BoardError, match="unplugged; the board starts nothing until this is done"):
        backup.restore(lived_in.port, archive)
    monkeypatch.undo()
    assert not {flash.MAIN, "/thimble.json"} & files(lived_in).keys()
    with pytest.raises(BoardError, match="a restore was interrupted on this board"):
        flash.flash("qemu", lived_in.port)
    backup.restore(lived_in.port, archive)
    with Remote(lived_in.port) as link:
        assert {path: link.read(path) for path in WRITTEN} == WRITTEN
        assert link.read(flash.MAIN) == b"print('mine')"
        link.remove(flash.MAIN)
    assert flash.AWAY not in files(lived_in)


def zipped(folder, files):
    path = folder / "some.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def encrypted(path):
    """Marks the only file in an archive as encrypted, in both its headers."""
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    "files, holds",
    [
        ({}, "nothing"),
        ({"turns/": b""}, "nothing"),
        ({"holiday/a.txt": b"a"}, "/holiday/a.txt"),
        ({"board/thimble.json": b"{}"}, "/board/thimble.json"),
        ({"thimble.json": b"{}", "home.pem": b""}, "/home.pem"),
        ({"thimble.json": b'{"tls": {"ca": "main.py"}}', "main.py": b""}, "/main.py"),
        ({"thimble.json": b"{}", "thimble/relay.mpy": b""}, "/thimble/relay.mpy"),
        ({"turns/../main": b""}, "/turns/../main"),
        ({"thimble.json": b'{"tls": {"ca": "lib/a.pem"}}', "lib/a.pem": b""}, "/lib/a.pem"),
    ],
)
def test_no_other_archive_is_restored(tmp_path, files, holds):
    with pytest.raises(BoardError, match=f"zip is not a backup: it holds {holds}$"):
        backup.restore("no board is asked", zipped(tmp_path, files))


def test_an_archive_that_is_encrypted_is_refused_with_a_sentence(tmp_path):
    path = encrypted(zipped(tmp_path, {"thimble.json": b"{}"}))
    with pytest.raises(BoardError, match=r"zip is not a backup: .* is encrypted"):
        backup.restore("no board is asked", path)


@pytest.mark.parametrize("at", [0, 40, 1000, -10])
def test_an_archive_that_is_damaged_is_refused_with_a_sentence(tmp_path, at):
    path = tmp_path / "board.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("thimble.json", bytes(random.Random(7).choices(range(32), k=4000)))
    data = bytearray(path.read_bytes())
    data[at : at + 8] = b"\xff" * 8
    path.write_bytes(data)
    with pytest.raises(BoardError, match="zip is not a backup: "):
        backup.restore("no board is asked", path)


def test_of_a_board_that_has_written_nothing_no_backup_is_made(flashed, tmp_path):
    backup.erase(flashed.port)
    with pytest.raises(BoardError, match=r"^the board has nothing to save$"):
        backup.save(flashed.port, tmp_path / "board.zip")
    assert not os.listdir(tmp_path)
    assert "starts in" in Remote(flashed.port).first_line("thimble ")


def test_a_backup_never_overwrites_a_file(flashed, tmp_path):
    put(flashed, "/thimble.json", b"{}")
    there = zipped(tmp_path, {})
    done = make("backup", f"FILE={there}", f"PORT={flashed.port}")
    assert done.returncode and "cannot be written: File exists" in done.stderr
