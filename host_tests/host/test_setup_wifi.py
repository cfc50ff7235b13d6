"""The wizard's Wi-Fi section through a terminal, on a fake radio in the 32-bit runtime."""

import io
import json
import re

import pexpect
import pytest
from net_kit import READ, Server, UdpServer
from test_clock import answer as reply
from test_clock import good

from tools.cloud.cloud import Cloud
from tools.cloud.models import NAMES
from tools.witness import WITNESS

PASSWORD = "correct horse battery"
WRONG = "wrong horse of the neighbour"
SOURCE = """
import io, micropython, sys
micropython.kbd_intr(3)
import fake_board
radio = fake_board.install("{port}")
from fake_board import Settings, chip
from fake_board.radio import Net
chip.power_on(); radio.power_on()
radio.air["home"] = Net("{password}", -50)
radio.air["guests"] = Net(None, -70)
radio.air["far"] = Net("{password}", -90)
setattr(radio, "{fault}", True)

class Answer:
    raw = io.BytesIO(b"{portal}")
    def close(self): asked.append("closed")

asked = []
def get(url, **options):
    asked.append(url)
    return Answer()
sys.modules["requests"] = Settings(get=get)
from thimble.board.{port} import Board
from thimble.console import setup
board = Board()
board.config_path = "{path}"
setup.run("{section}", board)
print("asked", asked, "clock", chip.date is not None)
"""


@pytest.fixture
def wizard(device, tmp_path):
    """Starts the wizard on a board; its clock is set by a server of our own."""
    path = tmp_path / "thimble.json"
    started = []

    def start(port="rp2", portal="success\\n", section="wifi", others=None, fault="", **wifi):
        with_clock = {"clock": {"servers": [server.name]}, "wifi": wifi}
        path.write_text(json.dumps(with_clock | (others or {})))
        values = {"port": port, "portal": portal, "password": PASSWORD, "path": path}
        values |= {"section": section, "fault": fault}
        argv, env = device.command(SOURCE.format(**values))
        child = pexpect.spawn(argv[0], argv[1:], env=env, timeout=20, encoding="utf-8")
        child.logfile_read = io.StringIO()
        child.path = path
        started.append(child)
        return child

    with UdpServer(good) as server:
        yield start
    for child in started:
        child.close(force=True)
        shown = child.logfile_read.getvalue()
        WITNESS.heard({"THIMBLE_CONFIG": str(path)}, shown.encode())
        assert PASSWORD[:-4] not in shown and WRONG[:-4] not in shown


def answer(child, question, text=""):
    child.expect(rf"{question}[^\n]*\]: ")
    child.send(text + "\r")


@pytest.mark.parametrize("port", ["rp2", "esp32"])
def test_a_network_is_scanned_chosen_by_number_joined_and_saved(wizard, port):
    child = wizard(port)
    answer(child, "Country", "de")
    child.expect(r"1  home +-50 dBm\r\n +2  guests +-70 dBm open\r\n +3  far +-90 dBm\r\n")
    answer(child, "Network", "1")
    answer(child, "Password", PASSWORD)
    child.expect_exact("Joined home; the clock is 20")
    child.expect_exact("Saved in ")
    child.expect_exact("Ctrl-D at the prompt, or a reset, starts the relay.")
    child.expect_exact("asked ['http://detectportal.firefox.com/success.txt', 'closed']")
    child.expect_exact("clock True")
    wifi = json.loads(child.path.read_text())["wifi"]
    assert (wifi["ssid"], wifi["password"], wifi["country"]) == ("home", PASSWORD, "de")


@pytest.mark.parametrize("port", ["rp2", "esp32"])
def test_a_wrong_password_is_said_and_asked_for_again(wizard, port):
    child = wizard(port, networks=[{"ssid": "guests"}])  # which would let it in
    answer(child, "Country")
    answer(child, "Network", "home")
    answer(child, "Password", WRONG)
    child.expect_exact("home refused the password")
    answer(child, "Country")
    answer(child, r"Network, its number or name \[home")
    answer(child, f"Password, - for none \\[…{WRONG[-4:]}", PASSWORD)
    child.expect_exact("Joined home;")
    child.expect_exact("Saved in ")
    assert json.loads(child.path.read_text())["wifi"]["password"] == PASSWORD


def test_another_network_never_gets_the_password_of_the_one_before(wizard):
    child = wizard(ssid="home", password=PASSWORD, country="DE")
    answer(child, "Country", "-")
    answer(child, "Network", "guests")
    child.expect_exact("Joined guests;")
    child.expect_exact("Saved in ")
    assert json.loads(child.path.read_text())["wifi"] == {"ssid": "guests", "country": ""}


@pytest.mark.parametrize("name", ["the moon", "0", "4"])  # numbers of none of the three
def test_a_network_that_is_away_is_said_and_ctrl_c_changes_nothing(wizard, name):
    child = wizard(ssid="home", password=PASSWORD)
    before = child.path.read_bytes()
    answer(child, "Country")
    answer(child, "Network", name)
    answer(child, "Password", WRONG)
    child.expect_exact(f"{name} is not in reach")
    child.expect_exact("]: ")
    child.send("\x03")
    child.expect_exact("Nothing was changed.")
    assert child.path.read_bytes() == before


def test_a_captive_portal_is_told_from_the_internet(wizard):
    child = wizard(portal="<html>Room number, please</html>", ssid="home", password=PASSWORD)
    for question in ("Country", "Network", "Password"):
        answer(child, question)
    child.expect_exact("a captive portal stands before the Internet")
    answer(child, "Country")


PORTAL = "network failure (wifi): a captive portal stands"


@pytest.mark.parametrize(
    "page, said",
    [
        (b"200 OK\r\n\r\nsuccess\n", "None"),
        (b"200 OK\r\n\r\n" + b"<p>Room number, please</p>" * 20_000, PORTAL),
        (b"302 Found\r\nLocation: /login\r\n\r\n", PORTAL),
        (b"511 Network Authentication Required\r\n\r\n", PORTAL),
        (b"", "None"),
    ],
    ids=["none", "a large page", "a relative redirect", "an empty page", "silence"],
)
def test_whatever_answers_instead_of_the_internet_is_a_portal(device, page, said):
    source = """
import sys
sys.path.append(".frozen")
import requests
from thimble.console import prove
get = requests.get
requests.get = lambda url, **options: get("http://127.0.0.1:{}/success.txt", **options)
try:
    print(prove.portal())
except prove.NetError as error:
    print(error)
"""
    with Server([READ, b"HTTP/1.0 " * bool(page) + page]) as server:
        done = device.run(source.format(server.port))
    assert done.stdout.startswith(said), done.stdout + done.stderr


def test_no_answer_at_all_and_nothing_to_ask_with_are_no_portal(device):
    source = """
import sys
from fake_board import Settings
from thimble.console import prove
def get(url, **options):
    raise OSError(104)
sys.modules["requests"] = Settings(get=get)
print(prove.portal())
del sys.modules["requests"]
sys.path[:] = []
print(prove.portal())
"""
    done = device.run(source)
    assert done.stdout == "None\nNone\n", done.stderr


@pytest.mark.parametrize("port, fault", [("rp2", "stuck"), ("esp32", "nameless")])
def test_a_radio_that_does_not_list_the_networks_is_said_and_one_can_be_typed(wizard, port, fault):
    child = wizard(port, fault=fault)
    answer(child, "Country")
    child.expect_exact("No list of networks (")
    answer(child, "Network", "home")
    answer(child, "Password", PASSWORD)
    child.expect_exact("Joined home;" if fault == "stuck" else "the radio does not obey")


def test_a_country_that_is_none_is_refused_by_name(wizard):
    child = wizard()
    answer(child, "Country", "Germany")
    child.expect_exact("wifi.country must be two letters such as DE")
    answer(child, "Country")


def test_another_section_alone_joins_first_and_asks_for_the_network_only_where_it_must(wizard):
    with Cloud() as cloud:
        others = cloud.config(secure=False)
        networks = [{"ssid": "away"}, {"ssid": "home", "password": PASSWORD}]
        child = wizard("rp2", "success\\n", "model", others, networks=networks)
        child.expect_exact("Joining the network ...")
        for question in ("API", "URL", "Key"):
            answer(child, question)
        answer(child, "Model", NAMES[1])
        child.expect_exact("The model says:")
        child.expect_exact("Saved in ")
        assert json.loads(child.path.read_text())["model"]["name"] == NAMES[1]

        child = wizard("esp32", "success\\n", "telegram", others, ssid="home", password=WRONG)
        child.expect_exact("home refused the password")
        answer(child, "Country")
        answer(child, "Network")
        answer(child, "Password", PASSWORD)
        child.expect_exact("Joined home;")
        answer(child, "Bot token")
        child.expect_exact("Hello, I am @")
        child.expect_exact("Saved in ")


def test_what_configure_proves_on_a_board_begins_with_the_network_and_the_clock(device, tmp_path):
    proof = """
from thimble.console import prove
for port in range(2):
    print(prove.report(board, "{path}"))
    radio.air["home"] = Net("another", -50)
"""
    path = tmp_path / "thimble.json"
    with UdpServer(good) as server, Cloud() as cloud:
        values = {"port": "rp2", "portal": "", "password": PASSWORD, "path": path}
        values |= {"section": "-", "fault": ""}
        settings = {"wifi": {"ssid": "home", "password": PASSWORD}}
        settings["clock"] = {"servers": [server.name]}
        path.write_text(json.dumps(settings | cloud.config(secure=False)))
        done = device.run((SOURCE + proof).format(**values))
    lines = done.stdout.splitlines()[-7:]
    assert [line[:16] for line in lines[:4]] == [
        "wifi      works:",
        "clock     works:",
        "telegram  works:",
        "model     works:",
    ], done.stdout + done.stderr
    assert lines[4] == "True" and lines[6] == "False"
    assert "FAILS" in lines[5] and "home refused the password" in lines[5]


def test_a_clock_that_was_never_set_and_cannot_be_set_is_a_failure(device, tmp_path):
    proof = """
from thimble.console import prove
fake_board.live()
print(prove.report(board, "{path}"))
chip.date = (2026, 1, 1, 3, 0, 0, 0, 0)
print(prove.report(board, "{path}"))
"""
    path = tmp_path / "thimble.json"
    with UdpServer(lambda query, _: [reply(query, stratum=0)]) as server, Cloud() as cloud:
        values = {"port": "rp2", "portal": "", "password": PASSWORD, "path": path}
        values |= {"section": "-", "fault": ""}
        settings = {"wifi": {"ssid": "home", "password": PASSWORD}}
        settings["clock"] = {"servers": [server.name]}
        path.write_text(json.dumps(settings | cloud.config(secure=False)))
        done = device.run((SOURCE + proof).format(**values), timeout=60)
    never, proved, *then = done.stdout.splitlines()[-7:]
    assert never.startswith("clock     FAILS: network failure (clock)"), done.stdout
    assert proved == "False"
    assert then[1] == "clock     works: is right" and then[4] == "True", done.stdout


@pytest.mark.parametrize("port", ["rp2", "esp32"])
def test_status_says_how_the_network_stands(device, port):
    source = """
import fake_board
radio = fake_board.install("{0}")
from fake_board.air import live, start
from thimble.board.{0} import Board
import thimble
wifi, _, _ = start(Board)
thimble.status()
live(wifi, 10_000, True)
thimble.status()
"""
    done = device.run(source.format(port))
    found = [line for line in done.stdout.splitlines() if line.startswith("network")]
    assert found == ["network   not joined", "network   joined, 10.0.0.7, -60 dBm"], done.stderr


def test_a_network_that_refuses_is_no_reason_not_to_join_another_in_time(device):
    source = """
import fake_board
radio = fake_board.install("rp2")
from fake_board import Settings, chip
from fake_board.air import Net, section, start
from thimble.board.rp2 import Board
from thimble.console import prove
_, board, _ = start(Board)
radio.air["guests"] = Net(None, -70)
wifi = section(password="wrong horse", networks=[{"ssid": "guests"}])
print(prove.join(board, Settings(wifi=wifi), False))
radio.air.clear()
for first in (False, True):
    begin = chip.now
    try:
        prove.join(board, Settings(wifi=wifi), first)
    except prove.NetError as error:
        print((chip.now - begin) // 1000, error)
"""
    done = device.run(source)
    joined, late, soon = done.stdout.splitlines()
    seconds, _, why = late.partition(" ")
    # Which was tried last, and how late the last look is, is up to the jitter of the pauses.
    assert joined == "guests"
    assert re.fullmatch(r"network failure \(wifi\): (home|guests) is not in reach", why)
    assert 45 <= int(seconds) <= 48
    assert int(soon.split()[0]) < 10 and soon.endswith("is not in reach")


def test_in_another_network_the_wizard_asks_its_own_name_server(device):
    """Not that of the network before, whose lease a Pico W shows until DHCP has answered."""
    source = """
import fake_board
radio = fake_board.install("rp2")
from fake_board import Settings
from fake_board.air import Net, section, start
from thimble.board.rp2 import Board
from thimble.console import prove
_, board, _ = start(Board)
fake_board.live()
radio.air["phone"] = Net("correct horse", lease=("172.20.10.4", "", "172.20.10.1", "0.0.0.0"))
for ssid in ("home", "phone"):
    prove.join(board, Settings(wifi=section(ssid=ssid)), True)
    print(board.servers)
"""
    done = device.run(source)
    assert done.stdout == "['10.0.0.2']\n['172.20.10.1']\n", done.stderr
