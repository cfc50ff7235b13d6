"""The firmware frozen into the 32-bit Unix MicroPython: what `mode="frozen"` runs."""

import os

import pytest
from relay_kit import House

from tools import build, cli, frozen, runtime

# The heap that a relay's modules take.
CODE = """
import gc
gc.collect()
before = gc.mem_alloc()
import thimble.relay
gc.collect()
print(gc.mem_alloc() - before)
"""


def test_the_firmware_and_its_start_are_frozen_and_no_file_of_either_is_at_hand(device):
    done = device.run(
        "import boot, os, sys, thimble.relay, thimble.board.unix\n"
        "print(boot.__file__, thimble.relay.__file__, thimble.board.unix.__file__)\n"
        "print([os.listdir(path) for path in sys.path if path.endswith('data')])",
        mode="frozen",
    )

    assert done.stdout.splitlines() == [
        "boot.py thimble/relay.py thimble/board/unix.py",
        "[['roots']]",
    ]


def test_of_the_boards_only_that_of_this_port_is_frozen(device):
    for name in ("esp32", "rp2"):
        done = device.run(f"import thimble.board.{name}", mode="frozen")
        assert f"no module named 'thimble.board.{name}'" in done.stderr


def test_it_is_debians_build_but_for_what_is_frozen_and_java(device):
    code = (
        "import ffi, gc, machine, micropython, os, select, socket, struct, sys, time, tls, vfs\n"
        "mods = ffi, gc, machine, micropython, os, select, socket, struct, time, tls, vfs\n"
        "for one in mods: print(one, dir(one))\n"
        "print(sys.implementation.version, sys.implementation._mpy, sys.maxsize)\n"
        "at = gc.mem_alloc(); a = bytearray(1); b = gc.mem_alloc(); c = bytearray(17)\n"
        "print(b - at, gc.mem_alloc() - b)\n"
    )
    theirs, ours = (device.run(code, mode=mode).stdout for mode in ("rom", "frozen"))

    assert len(ours.splitlines()) == 13 and ours == theirs


def test_viper_code_is_frozen_as_machine_code_and_runs(device):
    done = device.run(
        "from thimble.core import octets\n"
        "print(octets.crc16, octets.crc16(b'123456789', 0, 9, 0xFFFF), octets.put_int)",
        mode="frozen",
    )
    # Only a function of bytecode prints its name.
    assert done.stdout.startswith("<function> 10673 <function put_int at "), done.stderr


def test_imported_code_takes_less_heap_than_from_rom_and_from_mpy_files(device):
    took = {mode: int(device.run(CODE, mode=mode).stdout) for mode in build.MODES}

    assert took["frozen"] < took["rom"] * 2 // 3, took
    assert took["rom"] < took["mpy"] // 2, took


def test_a_conversation_over_tls_works(tmp_path):
    with House(tmp_path / "house", code="frozen") as house:
        chat = house.ask("from the frozen firmware: ü 🧵")
        house.ask("and again", chat)
        house.wait(lambda: house.board.status()["answered"] == 2)

        assert house.cloud.counts()["handshakes"] == 2
        assert house.prompts()[-1][-2:] == [
            ("assistant", "from the frozen firmware: ü 🧵"),
            ("user", "and again"),
        ]


def test_a_build_is_made_once_for_each_state_of_the_sources():
    first = frozen.find(runtime.find())
    made = os.stat(first.argv[-1]).st_mtime_ns

    assert frozen.find(runtime.find()) == first
    assert os.stat(first.argv[-1]).st_mtime_ns == made


def test_without_the_compiler_the_error_says_what_to_install(monkeypatch, tmp_path):
    beside = runtime.find()
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(cli.ToolMissing) as caught:
        frozen.find(beside)
    assert "apt-get install gcc make" in str(caught.value)
    assert "missing: gcc, make, apt-get, dpkg" in str(caught.value)


def test_a_64_bit_runtime_has_no_frozen_mode():
    with pytest.raises(runtime.RuntimeMissing, match="32-bit"):
        build.command(runtime.find("amd64"), "thimble", mode="frozen")
