"""The emulated board: an image with the firmware frozen, QEMU, mpremote's way in."""

import subprocess
import sys
import time

import pytest
from collector_kit import TESTS, project, run

from tools import cli, qemu


@pytest.fixture(scope="module")
def board():
    with qemu.Board() as board:
        yield board


def mpremote(board, *words):
    """What mpremote's own command prints, run against the board."""
    command = [sys.executable, "-m", "mpremote", "connect", f"port:{board.port}", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def test_mpremote_talks_to_it_and_the_firmware_is_frozen(board):
    said = mpremote(board, "exec", "import sys, thimble; print(sys.platform, thimble.__file__)")
    assert said.split() == ["qemu", "thimble/__init__.py"]


def test_a_file_that_mpremote_copies_survives_soft_and_hard_resets(board, tmp_path):
    (tmp_path / "note.txt").write_text("kept\n")
    mpremote(board, "fs", "cp", str(tmp_path / "note.txt"), ":note.txt")
    assert mpremote(board, "fs", "cat", ":note.txt").endswith("kept\n")
    mpremote(board, "reset")
    time.sleep(0.5)
    assert mpremote(board, "fs", "cat", ":note.txt").endswith("kept\n")


def test_main_py_runs_at_boot_and_ctrl_c_ends_it(board):
    link = board.connect()
    link.fs_writefile("main.py", b"import time\nprint('main runs')\nwhile 1: time.sleep_ms(10)\n")
    link.exec_raw_no_follow("import machine; machine.reset()")
    assert link.read_until(1, b"main runs\r\n", timeout=5).endswith(b"main runs\r\n")
    link.serial.write(b"\x03")
    assert b"KeyboardInterrupt" in link.read_until(1, b">>> ", timeout=5)
    link.enter_raw_repl(soft_reset=False)
    link.fs_rmfile("main.py")
    link.close()


def test_its_clock_goes_like_the_hosts(board):
    link = board.connect()
    start = time.monotonic()
    code = "import time; t = time.ticks_ms(); time.sleep_ms(700)"
    link.exec(code)
    passed = int(link.eval("time.ticks_diff(time.ticks_ms(), t)"))
    link.close()
    assert 700 <= passed <= (time.monotonic() - start) * 1000 + 20


def test_viper_and_native_functions_are_frozen_as_machine_code_of_this_architecture():
    out = subprocess.run(
        ["arm-none-eabi-nm", str(qemu.build().frozen)], capture_output=True, text=True, check=True
    ).stdout
    native = [line.split()[2] for line in out.splitlines() if line.split()[-2] == "t"]
    for module in ("core_scan", "core_sse", "core_text", "core_octets"):
        assert any(name.startswith(f"fun_data_thimble_{module}_") for name in native), module


def test_a_build_is_made_once_for_each_state_of_the_sources():
    first = qemu.build()
    made = first.elf.stat().st_mtime_ns
    assert qemu.build() == first and first.elf.stat().st_mtime_ns == made


def test_without_the_compiler_the_error_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(cli.ToolMissing) as caught:
        qemu.build()
    assert "apt-get install gcc-arm-none-eabi" in str(caught.value)
    assert "missing: arm-none-eabi-gcc, qemu-system-arm, make" in str(caught.value)


def test_device_tests_on_the_board_fail_hang_and_pass_one_by_one(tmp_path):
    qemu.need()
    _, said = run(project(tmp_path, "QEMU = True\n" + TESTS), "-k", "qemu", bound=120)
    assert "2 failed, 2 passed, 8 deselected" in said
    assert "AssertionError: as it should" in said and "in test_fails" in said
    assert "max free sz" in said and "no end within 2 s" in said
