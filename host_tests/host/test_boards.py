"""The boards' folders against MicroPython's source: what can be told without toolchains."""

import ast
import json
import re
import shutil
import subprocess
import sys

import pytest

from tools import port as port_
from tools import qemu
from tools.build import FIRMWARE
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
    assert "thimble/board/base.py" in frozen(name, library)
    assert ("thimble/board/larger.py" in frozen(name, library)) == (name != "pico_w")


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
    qemu.need()
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


@pytest.fixture
def tree(tmp_path):
    """A source tree whose makefiles take BUILD as MicroPython's do, and write down what they got.

    The port makes mpy-cross where there is none, in a make of its own.
    """
    files = {
        "py/mkrules.cmake": "",
        "mpy-cross/Makefile": """
BUILD ?= build
all:
	test -z "$(FROZEN_MANIFEST)"
	mkdir -p $(BUILD)
	touch $(BUILD)/mpy-cross
""",
    }
    for port, _ in BOARDS.values():
        files[f"ports/{port}/Makefile"] = """
all:
	test -e ../../mpy-cross/build/mpy-cross || $(MAKE) -C ../../mpy-cross USER_C_MODULES=
	test -e ../../mpy-cross/build/mpy-cross
	echo "BUILD=$(BUILD) VARIANT=$(BOARD_VARIANT)"
"""
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def image(tree, folder, *words):
    """Runs `make firmware` with its results in ``folder``; returns what it said."""
    makefile = folder / "Makefile"
    makefile.write_text((PROJECT / "Makefile").read_text())
    command = ["make", "firmware", f"MPY_DIR={tree}", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("name", BOARDS)
def test_make_firmware_builds_a_fresh_trees_mpy_cross_in_its_own_place(name, tree, tmp_path):
    folder = tmp_path / "work"
    folder.mkdir()
    said = image(tree, folder, f"BOARD={name}")
    assert (tree / "mpy-cross" / "build" / "mpy-cross").exists()
    assert f"BUILD={folder}/build/image/{name} " in said


def test_each_variant_of_a_board_has_a_folder_of_its_own(tree, tmp_path):
    """A variant's settings are kept there from the first build on."""
    folder = tmp_path / "work"
    folder.mkdir()
    said = image(tree, folder, "BOARD=esp32_s3", "BOARD_VARIANT=SPIRAM_OCT")
    assert f"BUILD={folder}/build/image/esp32_s3-SPIRAM_OCT VARIANT=SPIRAM_OCT" in said


@pytest.mark.parametrize("spaced", ["work", "tree"])
def test_a_path_with_a_space_is_named_before_anything_is_built(spaced, tree, tmp_path):
    """make cannot have such a path in a rule."""
    places = {"work": tmp_path / "work", "tree": tmp_path / "tree"}
    places[spaced] = tmp_path / f"my {spaced}"
    places["work"].mkdir()
    shutil.copytree(
        tree, places["tree"], ignore=lambda *_: {path.name for path in places.values()}
    )
    (places["work"] / "Makefile").write_text((PROJECT / "Makefile").read_text())
    done = subprocess.run(
        ["make", "firmware", "BOARD=pico_w", f"MPY_DIR={places['tree']}"],
        cwd=places["work"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode and "below a path with a space in it: move " in done.stderr
    assert not list(tmp_path.rglob("mpy-cross/build"))


@pytest.mark.parametrize("same", [True, False])
def test_what_was_built_from_another_tree_is_not_built_upon(same, tree, tmp_path):
    folder = tmp_path / "work"
    built = folder / "build" / "image" / "pico_w"
    built.mkdir(parents=True)
    home = f"{tree if same else tmp_path / 'older'}/ports/rp2"
    (built / "CMakeCache.txt").write_text(f"# kept\nCMAKE_HOME_DIRECTORY:INTERNAL={home}\n")
    image(tree, folder, "BOARD=pico_w")
    assert built.exists() == same


@pytest.mark.parametrize(
    "words, said",
    [
        (["BOARD=qemu"], "say which: BOARD=esp32_s3 or pico_w"),
        (["BOARD=pico_w", "MPY_DIR=/nowhere"], "a source tree of MicroPython 1.26 or newer"),
    ],
)
def test_make_firmware_says_what_it_lacks(words, said):
    done = subprocess.run(
        ["make", "-s", "firmware", *words], cwd=PROJECT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode and said in done.stderr


def starts(folder, *options):
    """Addresses, modulo 4, of arrays declared as mpy-tool.py declares machine code for armv6m."""
    place = '__attribute__((section(".text,\\"ax\\",%progbits @ "))) __attribute__ ((aligned (2)))'
    names = "abcd"
    lines = [
        f"const unsigned char {name}[{6 + 4 * i}] {place} = {{1}};" for i, name in enumerate(names)
    ]
    (folder / "code.c").write_text("\n".join(lines))
    out = str(folder / "code.o")
    compile_it = [qemu.COMPILER, "-mcpu=cortex-m0plus", "-mthumb", "-Os", "-Wall", "-Werror"]
    subprocess.run([*compile_it, *options, "-c", str(folder / "code.c"), "-o", out], check=True)
    said = subprocess.run(["arm-none-eabi-nm", out], capture_output=True, text=True, check=True)
    found = [line.split() for line in said.stdout.splitlines()]
    return {int(address, 16) % 4 for address, _, name in found if name in names}


def test_frozen_machine_code_begins_at_whole_words_on_a_pico_w(tmp_path):
    """An M0+ reads words only there; on the emulated M3 nothing would show it."""
    qemu.need()
    settings = board_file("pico_w", "mpconfigboard.cmake").read_text()
    found = re.search(r'frozen_content\.c\s+PROPERTIES COMPILE_OPTIONS "([^"]+)"', settings)
    assert starts(tmp_path) == {0, 2}
    assert starts(tmp_path, found[1]) == {0}


def test_the_pico_ws_larger_stack_fits_into_the_ports_start():
    """The heap's making is where the stack's size is told again: so it comes after, and once."""
    wraps = re.findall(r"--wrap=(\w+)", board_file("pico_w", "mpconfigboard.cmake").read_text())
    assert re.findall(r"void __wrap_(\w+)", board_file("pico_w", "stack.c").read_text()) == wraps
    main = (port_.source() / "ports" / "rp2" / "main.c").read_text()
    stack = main.index("mp_cstack_init_with_top(&__StackTop, &__StackTop - &__StackBottom);")
    heap = main.rindex("gc_init(&__GcHeapStart, &__GcHeapEnd);")
    assert stack < heap < main.index("for (;;)")


def members(*files):
    """The names that the classes in these files of thimble/board have, or set in themselves."""
    names = set()
    for file in files:
        for node in ast.walk(ast.parse((FIRMWARE / "thimble" / "board" / file).read_text())):
            if isinstance(node, ast.FunctionDef):
                names.add(node.name)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names.add(node.id)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                names.add(node.attr)
    return names


@pytest.mark.parametrize("port", ["esp32", "rp2"])
def test_a_board_has_all_that_the_firmware_asks_of_it(port):
    asked = set()
    for path in (FIRMWARE / "thimble").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute):
                owner = getattr(node.value, "attr", getattr(node.value, "id", ""))
                if owner in ("board", "_board") and path.parent.name != "board":
                    asked.add(node.attr)
    assert {"flash", "reset_cause", "guard"} <= asked
    assert asked - members("base.py", f"{port}.py") == set()
