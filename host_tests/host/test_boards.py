"""The boards' folders against MicroPython's source: what can be told without toolchains."""

import json
import re
import subprocess
import sys

import pytest

from tools import port as port_
from tools import qemu
from tools.runtime import PROJECT

BOARDS = {"esp32_s3": ("esp32", "ESP32_GENERIC_S3"), "pico_w": ("rp2", "RPI_PICO_W")}
LIBRARY = """
bundle-networking aioble onewire ds18x20 dht neopixel aioespnow umqtt.simple umqtt.robust upysh
"""

# What makemanifest.py does with a manifest, but for compiling.
EVALUATE = """
import json, sys
sys.path.insert(0, sys.argv[1] + "/tools")
import manifestfile
names = ("MPY_DIR", "MPY_LIB_DIR", "PORT_DIR", "BOARD_DIR")
manifest = manifestfile.ManifestFile(
    manifestfile.MODE_FREEZE, dict(zip(names, (sys.argv[1], *sys.argv[3:]))))
manifest.execute(sys.argv[2])
print(json.dumps({f.target_path: f.opt for f in manifest.files()}))
"""


def board_file(name, file):
    return PROJECT / "boards" / name / file


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """A micropython-lib that has every package that is asked for, all empty."""
    folder = tmp_path_factory.mktemp("lib")
    for name in LIBRARY.split():
        package = folder / "micropython" / name
        package.mkdir(parents=True)
        module = name.replace(".", "/") + ".py"
        (package / module).parent.mkdir(exist_ok=True)
        (package / module).touch()
        (package / "manifest.py").write_text(f"module({module!r})\n")
    return folder


def frozen(name, library):
    """What the board's manifest freezes: path to optimisation level."""
    port, _ = BOARDS[name]
    source = port_.source()
    paths = [source, board_file(name, "manifest.py"), library, source / "ports" / port]
    paths.append(PROJECT / "boards" / name)
    command = [sys.executable, "-c", EVALUATE, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", BOARDS)
def test_the_manifest_freezes_the_ports_modules_and_ours_but_no_main(name, library):
    files = frozen(name, library)
    assert {"_boot.py", "asyncio/core.py", "umqtt/simple.py", "thimble/relay.py"} < files.keys()
    assert not {"main.py", "boot.py"} & files.keys()
    assert {opt for path, opt in files.items() if path.startswith("thimble/")} == {3}


@pytest.mark.parametrize("name", BOARDS)
def test_of_the_boards_modules_only_its_own_ports_is_frozen(name, library):
    ports = {f"thimble/board/{port}.py" for port in ("esp32", "rp2", "unix")}
    have = {
        path
        for path in ports & frozen(name, library).keys()
        if path != f"thimble/board/{BOARDS[name][0]}.py"
    }
    assert not have
    assert "thimble/board/__init__.py" in frozen(name, library)


@pytest.mark.parametrize("name", BOARDS)
def test_every_file_of_the_ports_board_that_ours_builds_on_is_there(name):
    port, board = BOARDS[name]
    root = port_.source() / "ports" / port
    wanted = []
    for path in (PROJECT / "boards" / name).glob("mpconfig*"):
        wanted += re.findall(r"boards/[\w/]+\.(?:cmake|h)", path.read_text())
    assert f"boards/{board}/mpconfigboard.cmake" in wanted
    assert f"boards/{board}/mpconfigboard.h" in wanted
    assert [path for path in wanted if not (root / path).exists()] == []


@pytest.mark.parametrize(
    "name, defined",
    [
        ("esp32_s3", 'MICROPY_HW_MCU_NAME "ESP32S3"'),
        ("pico_w", 'MICROPY_HW_BOARD_NAME "Raspberry Pi Pico W"'),
    ],
)
def test_the_header_compiles_to_the_ports_settings_and_our_hostname(name, defined):
    folder, port = PROJECT / "boards" / name, port_.source() / "ports" / BOARDS[name][0]
    command = [qemu.COMPILER, "-E", "-dM", "-Wall", "-Werror", f"-I{folder}", f"-I{port}"]
    done = subprocess.run(
        [*command, str(folder / "mpconfigboard.h")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"#define " + re.sub(r"\s", r"\\s+", defined), done.stdout)
    assert '#define MICROPY_PY_NETWORK_HOSTNAME_DEFAULT "thimble"' in done.stdout


def test_the_pico_ws_pins_are_those_of_the_port():
    theirs = port_.source() / "ports" / "rp2" / "boards" / "RPI_PICO_W" / "pins.csv"
    assert board_file("pico_w", "pins.csv").read_text() == theirs.read_text()


@pytest.mark.parametrize("name", [*BOARDS, "qemu"])
def test_the_description_has_the_keys_that_micropythons_board_list_reads(name):
    known = json.loads(board_file(name, "board.json").read_text())
    needed = {"deploy", "docs", "features", "images", "mcu", "product", "url", "vendor"}
    assert needed <= known.keys() and known["mcu"]


@pytest.mark.parametrize("name", BOARDS)
def test_make_firmware_hands_our_folder_to_the_ports_own_build(name):
    command = ["make", "-n", "firmware", f"BOARD={name}", f"MPY_DIR={port_.source()}"]
    said = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=60).stdout
    assert re.search(rf'MICROPY_BOARD_DIR="{PROJECT}/boards/{name}"', said)
    assert f"MICROPY_FROZEN_MANIFEST={PROJECT}/boards/{name}/manifest.py" in said
    assert f"MICROPY_BOARD={name}" in said


@pytest.mark.parametrize(
    "words, said",
    [
        (["BOARD=qemu"], "say which: BOARD=esp32_s3 or pico_w"),
        (["BOARD=pico_w", "MPY_DIR=/nowhere"], "a source tree of MicroPython 1.25 or newer"),
    ],
)
def test_make_firmware_says_what_it_lacks(words, said):
    done = subprocess.run(
        ["make", "-s", "firmware", *words], cwd=PROJECT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode and said in done.stderr
