"""The whole relay on each microcontroller's own Board, its chip and its radio simulated, against
the simulated cloud: from thimble.run() and the Wi-Fi to the answer, on a littlefs at the root.

Beside what the relay's own console takes, the serial line takes:

    radio NAME  the network of that name is in reach, and no other ("-": none)
    led, year   the LED's pattern and the dog's time, as {"led": N, "dog_ms": N}; the year that the
                clock was set to, or 0
"""

import json

import pytest
from net_kit import UdpServer
from relay_kit import OWNER, Board, House, started_by
from test_clock import answer as reply
from test_clock import good

from tools.runtime import PROJECT

LIB = PROJECT / "host_tests" / "device" / "lib"
START_S = 30
JOINING, ONLINE, SAFE = 0x55, 0x01, 0x0F
SCRIPT = """
import json
import os
import sys
import time

import micropython
import vfs

sys.path.append(os.getenv("BOARD_LIB"))
import fake_board
from fake_board.chip import HARD, Reset, chip
from fake_board.radio import Net
from ramdisk import Disk

port = os.getenv("BOARD_PORT")
radio = fake_board.install(port)
fake_board.live()
radio.air = {"home": Net("correct horse")}
if os.getenv("BOARD_CAUSE") == "reset":
    chip.reset(HARD, 2)
if os.getenv("BOARD_CAUSE") == "button":
    chip.bootsel, chip.pins = True, {0: 0}
files = {}
for name in ("thimble.json", "extra.der"):
    with open(os.getenv("BOARD_FILES") + "/" + name, "rb") as file:
        files[name] = file.read()
disk = Disk(64)
vfs.VfsLfs2.mkfs(disk)
vfs.umount("/")
vfs.mount(vfs.VfsLfs2(disk), "/")
for name in files:
    with open("/" + name, "wb") as file:
        file.write(files[name])
micropython.kbd_intr(3)

import thimble

Own = __import__("thimble.board." + port, None, None, ("Board",)).Board
looks = []


class Board(Own):
    def button(self):
        if os.getenv("BOARD_CAUSE") != "touch":
            return super().button()
        looks.append(time.ticks_ms())
        return time.ticks_diff(looks[-1], looks[0]) < 250

    def restart(self, mark=1):
        # As a SystemExit it passes through run(), and the next run is the next boot.
        type(self).judged = False
        chip.bootsel, chip.pins = False, {}
        try:
            super().restart(mark)
        except Reset:
            raise SystemExit

    def configure(self, pins):
        super().configure(pins)
        self.plain_line = self.read_line
        self.read_line = self.line

    def line(self):
        line = self.plain_line()
        if line == b"led":
            print(json.dumps({"led": self.led._pattern, "dog_ms": chip.dog_ms}))
        elif line == b"year":
            print(json.dumps({"year": chip.date[0] if chip.date else 0}))
        elif line.startswith(b"radio "):
            radio.air = {line[6:].decode(): Net("correct horse")}
        else:
            return line
        return b""


thimble.port = Board
for _ in range(int(os.getenv("BOARD_RUNS"))):
    try:
        thimble.run()
    except SystemExit:
        pass
boots = b""
try:
    with open("/boots", "rb") as file:
        boots = file.read()
except OSError:
    pass
print(
    json.dumps(
        {
            "lit": any(chip.written.values()) or bool(chip.bits and any(chip.bits[-1])),
            "dog_ms": chip.dog_ms,
            "year": chip.date[0] if chip.date else 0,
            "joins": radio.calls.count("connect"),
            "files": sorted(os.listdir("/")),
            "boots": list(boots),
        }
    )
)
"""


class Desk(House):
    """A House whose firmware believes to run on ``port``; it starts the relay ``runs`` times."""

    def __init__(self, folder, port, runs=1, cause="", **options):
        super().__init__(folder, heap="800k", **options)
        self.port, self.runs, self.cause = port, runs, cause

    def start(self, cause=""):
        path = self.folder / "thimble.json"
        path.write_text(json.dumps({**self.config, "tls": {"ca": "extra.der"}}))
        (self.folder / "extra.der").write_bytes(self.cloud.ca_der.read_bytes())
        board = Board(path, self.folder / "root", **self._options)
        self.board = started_by(
            board,
            self.folder / "board.py",
            SCRIPT,
            BOARD_LIB=str(LIB),
            BOARD_PORT=self.port,
            BOARD_FILES=str(self.folder),
            BOARD_RUNS=str(self.runs),
            BOARD_CAUSE=self.cause,
        )
        self.board.__enter__()

    def tells(self, command) -> dict:
        """The answer to a command of the serial line, behind the echo of what was typed."""
        return json.loads(self.board.lines(command, "{")[-1])

    def shown(self, pattern) -> None:
        """Waits until the LED shows ``pattern``."""
        self.wait(lambda: self.tells("led")["led"] == pattern, START_S)

    def ended(self) -> dict:
        """Stops the firmware; what its script says of the board."""
        self.board.stop()
        lines = [self.board._lines.get(timeout=1) for _ in range(self.board._lines.qsize())]
        return json.loads(lines[-1])


@pytest.fixture(params=["rp2", "esp32"])
def port(request):
    return request.param


def desk(folder, port, clock, **options):
    wifi = {"ssid": "home", "password": "correct horse", "country": "DE"}
    settings = {"wifi": wifi, "clock": {"servers": [clock.name]}}
    return Desk(folder, port, settings=settings, **options)


def test_a_board_joins_sets_its_clock_answers_and_ends_at_the_prompt(tmp_path, port):
    with UdpServer(good) as clock, desk(tmp_path, port, clock) as house:
        chat = house.chat()
        house.ask("hello from the desk", chat, START_S)
        house.ask("and again", chat)
        # The text is there a moment before the message is closed.
        house.wait(lambda: house.tells("status")["answered"] == 2)
        told = house.tells("status")
        assert told["board"] == {"rp2": "pico_w", "esp32": "esp32_s3"}[port]
        assert told["reset_cause"] == "power-on" and told["error"] == ""
        assert told["rssi"] == -60 and told["battery_mv"] is None
        assert len(clock.queries) == 1
        assert house.tells("led")["dog_ms"] == {"rp2": 8388, "esp32": 120_000}[port]
        ended = house.ended()
    assert ended["year"] > 2024 and ended["joins"] == 1 and not ended["lit"]
    assert ended["dog_ms"] == {"rp2": None, "esp32": 120_000}[port]  # nothing stops an ESP32's
    assert {"journal", "thimble.json", "turns"} <= set(ended["files"])


def test_the_relay_starts_again_at_the_prompt_and_remembers(tmp_path, port):
    with UdpServer(good) as clock, desk(tmp_path, port, clock, runs=2) as house:
        chat = house.ask("first", timeout=START_S)
        house.board.process.send_signal(2)  # Ctrl-C
        house.ask("second", chat, START_S)
        assert [text for _, text in house.prompts()[-1]] == ["first", "first", "second"]


def test_no_message_is_blamed_for_ctrl_c_whatever_booted_the_board(tmp_path, port):
    """Behind `make flash`, say, a chip calls the boot a reset for as long as it lasts."""
    with (
        UdpServer(good) as clock,
        desk(tmp_path, port, clock, runs=4, cause="reset") as house,
    ):
        chat = house.say("[[length=600 deltas=30 delay=0.1]]")
        for asked in (1, 2, 3):
            house.wait(lambda asked=asked: len(house.prompts()) == asked, START_S)
            house.tells("status")
            house.board.process.send_signal(2)  # Ctrl-C
        house.wait(lambda: len(house.newest(chat)) > 590, START_S)  # and no apology


def test_the_led_tells_that_the_network_is_away_and_back(tmp_path, port):
    with UdpServer(good) as clock, desk(tmp_path, port, clock) as house:
        house.shown(ONLINE)
        house.board.tell("radio -")
        house.shown(JOINING)
        house.board.tell("radio home")
        house.shown(ONLINE)
        house.ask("hello", timeout=START_S)


def test_a_clock_that_could_not_be_set_is_set_once_a_server_answers(tmp_path, port):
    """After a power cut the access point is back before the line is."""
    down = True

    def late(query, count):
        return [reply(query, stratum=0)] if down else good(query, count)

    with UdpServer(late) as clock, desk(tmp_path, port, clock) as house:
        house.cloud.fault("telegram", None, "close", times=1000)
        never = "the clock was never set: certificates will not be accepted"
        house.wait(lambda: any(never in line for line in house.board.log), START_S)
        down = False
        house.wait(lambda: house.tells("year")["year"] > 2024, START_S)
        house.cloud.clear_faults()
        house.ask("hello", timeout=START_S)
        assert not house.texts(OWNER)  # that is no crash


def test_without_a_configuration_the_prompt_comes_and_no_soft_reset(device, tmp_path, port):
    source = """
import sys
import fake_board
fake_board.install("{0}")
fake_board.chip.power_on()
from thimble.board.{0} import Board
Board.config_path = "{1}/none.json"
import thimble
thimble.sys = fake_board.Settings(platform="{0}", modules=sys.modules)
thimble.run()
print("the prompt")
"""
    done = device.run(source.format(port, tmp_path))
    refused, asks, prompt = done.stdout.splitlines()
    assert "none.json cannot be read" in refused and prompt == "the prompt"
    assert asks == "thimble.setup() asks for what is needed"


def test_a_reset_counts_once_however_often_the_relay_is_started_then(tmp_path, port):
    with UdpServer(good) as clock:
        house = desk(tmp_path, port, clock, runs=6, cause="reset")
        house.config["telegram"]["token"] = ""
        with house:
            house.board.process.wait(START_S)
            ended = house.ended()
            assert sum("configuration:" in line for line in house.board.log) == 0
    assert ended["boots"] == [1, 0]


def test_the_button_and_a_command_lead_to_safe_mode_with_its_own_light(tmp_path, port):
    with (
        UdpServer(good) as clock,
        desk(tmp_path, port, clock, runs=4, cause="button") as house,
    ):
        house.shown(SAFE)
        assert house.tells("status")["error"] == "safe mode"
        house.board.tell("relay")
        house.ask("hello", timeout=START_S)
        house.board.tell("safe")
        house.shown(SAFE)
        assert house.ended()["boots"] == []


def test_a_button_that_is_only_touched_leads_nowhere(tmp_path, port):
    with UdpServer(good) as clock, desk(tmp_path, port, clock, cause="touch") as house:
        house.ask("hello", timeout=START_S)
        assert house.tells("status")["error"] == ""
