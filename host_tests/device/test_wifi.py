"""The Wi-Fi of a Pico W: its chip joins only when it is told to, gets stuck, and lies."""

import micropython

import fake_board
from fake_board import chip
from kit import heap_locked, raises

radio = fake_board.install("rp2")

from fake_board.air import Net, live, start  # noqa: E402
from thimble.board.rp2 import Board  # noqa: E402
from thimble.net.wifi import known  # noqa: E402
from thimble.relay import Relay  # noqa: E402

TEST_S = 20


class Silent:
    """A relay, its watch and its board at once; ``now``: which step is due."""

    joined, _proving, _todo = True, False, 0

    def __init__(self, wifi, log):
        self.wifi, self.log = wifi, log
        self.watch = self.board = self.led = self
        self.started = self._looked = chip.now

    def mark(self, now):
        pass

    serve = mark

    def step(self, now):
        return self.now

    def restart(self, mark):
        raise SystemExit(mark)

    def read_line(self):
        return b""

    show = read_line


def test_one_network_is_joined_without_a_scan():
    wifi, board, log = start(Board)
    assert 0 < live(wifi, 10_000, True) < 3000
    assert (wifi.up, wifi.ssid, wifi.joins, wifi.error) == (True, "home", 1, "")
    assert board.servers == ["10.0.0.2"]
    assert "scan" not in radio.calls
    assert log.lines == ["wifi: home, address 10.0.0.7"]


def test_a_tick_between_two_looks_at_the_radio_allocates_nothing_frames_included():
    wifi, _, _ = start(Board)
    live(wifi, 5000)
    now = chip.now & 0x3FFFFFFF
    wifi.serve(now)
    before = micropython.mem_total()
    for _ in range(20):
        wifi.serve(now)
    assert micropython.mem_total() == before


def test_country_and_name_are_set_before_the_radio_starts():
    for country in ("DE", "de"):
        wifi, _, _ = start(Board, country=country, hostname="kitchen")
        live(wifi, 5000)
        assert (radio.country_at_start, radio.hostname_at_start) == ("DE", "kitchen")


def test_the_power_mode_is_the_settings():
    for mode, value in (("none", 16), ("performance", 10555714), ("powersave", 17)):
        wifi, _, _ = start(Board, power=mode)
        live(wifi, 5000)
        assert radio.pm == value


def test_a_static_address_needs_no_dhcp():
    static = {"address": "10.0.0.50", "netmask": "255.255.255.0", "gateway": "10.0.0.1"}
    wifi, board, _ = start(Board, **static)
    radio.air["home"].dhcp = False
    assert live(wifi, 10_000, True) > 0
    assert radio.address == ("10.0.0.50", "255.255.255.0", "10.0.0.1", "10.0.0.1")
    assert board.servers == ["10.0.0.1"]
    wifi, _, _ = start(Board, dns="9.9.9.9", **static)
    live(wifi, 10_000, True)
    assert radio.address[3] == "9.9.9.9"  # what MicroPython's own code asks


def test_a_name_server_that_is_set_goes_before_dhcps():
    wifi, board, _ = start(Board, dns="9.9.9.9")
    live(wifi, 10_000, True)
    assert board.servers == ["9.9.9.9"]


def test_without_a_name_server_from_dhcp_the_gateway_is_asked():
    wifi, board, _ = start(Board)
    radio.address = ("10.0.0.7", "255.255.255.0", "10.0.0.1", "0.0.0.0")
    live(wifi, 10_000, True)
    assert board.servers == ["10.0.0.1"]


def test_in_another_network_its_own_name_server_is_asked():
    wifi, board, _ = start(Board, networks=[{"ssid": "phone", "password": "p"}])
    lease = "172.20.10.4", "255.255.255.240", "172.20.10.1", "0.0.0.0"
    radio.air["phone"] = Net("p", lease=lease)
    live(wifi, 60_000)
    assert (wifi.ssid, board.servers) == ("home", ["10.0.0.2"])
    del radio.air["home"]
    live(wifi, 20_000)
    assert (wifi.ssid, board.servers) == ("phone", ["172.20.10.1"])


def test_a_network_without_dhcp_is_given_up_at_the_deadline_and_tried_again():
    wifi, _, log = start(Board)
    radio.air["home"].dhcp = False
    live(wifi, 25_000)
    assert wifi.error == "home was not joined in time (is the password right?)"
    radio.air["home"].dhcp = True
    assert 0 < live(wifi, 60_000, True)
    assert wifi.error == ""


def test_a_wrong_password_is_said_and_is_no_reason_to_stop():
    wifi, _, log = start(Board, password="wrong")
    live(wifi, 3_600_000)
    assert not wifi.up
    assert wifi.error == "home refused the password"
    assert "wrong" not in str(log.lines)
    radio.air["home"].password = "wrong"
    assert live(wifi, 90_000, True) > 0


def test_a_refusal_that_the_chip_takes_back_does_not_end_the_try():
    wifi, _, log = start(Board)
    radio.air["home"].refuses_ms = 1500
    assert 0 < live(wifi, 20_000, True) < 4000
    assert radio.calls.count("connect") == 1
    assert log.lines == ["wifi: home, address 10.0.0.7"]


def test_a_router_that_is_away_for_hours_is_found_within_its_backoff():
    wifi, _, _ = start(Board)
    net = radio.air.pop("home")
    live(wifi, 4 * 3_600_000)
    assert wifi.error == "home is not in reach"
    connects = radio.calls.count("connect")
    assert 4 * 60 <= connects <= 4 * 130  # every 30 to 60 s
    radio.air["home"] = net
    assert 0 < live(wifi, 70_000, True) <= 66_000


def test_a_link_that_drops_is_joined_again_at_once():
    wifi, _, _ = start(Board)
    live(wifi, 60_000)
    net = radio.air.pop("home")
    live(wifi, 300)
    assert not wifi.up and wifi.error == "home was lost"
    radio.air["home"] = net
    assert 0 < live(wifi, 60_000, True) <= 5000
    assert wifi.joins == 2 and wifi.error == ""


def test_a_link_that_stood_for_a_while_forgets_the_failures_before_it():
    wifi, _, _ = start(Board)
    net = radio.air.pop("home")
    live(wifi, 1_800_000)
    radio.air["home"] = net
    live(wifi, 70_000, True)
    live(wifi, 10_000)
    del radio.air["home"]
    live(wifi, 3000)
    radio.air["home"] = net
    assert 0 < live(wifi, 60_000, True) <= 5000


def test_a_link_that_keeps_dropping_is_joined_less_and_less_often():
    wifi, _, _ = start(Board)
    live(wifi, 60_000)
    for _ in range(200):
        live(wifi, 3000, True)
        if wifi.up:
            live(wifi, 2000)
        net = radio.air.pop("home")
        live(wifi, 500)
        radio.air["home"] = net
    assert 10 < wifi.joins < 60


def test_a_stuck_chip_loses_its_power_and_joins_again():
    wifi, _, log = start(Board)
    live(wifi, 60_000)
    radio.stuck = True  # every call raises EPERM
    live(wifi, 30_000)
    assert (wifi.up, wifi.cycles, radio.powered) == (True, 1, 2)
    assert "deinit" in radio.calls
    assert "does not obey" in str(log.lines)


def test_a_chip_that_stays_stuck_is_tried_for_ever_with_backoff():
    wifi, _, _ = start(Board)
    live(wifi, 10_000, True)
    off = radio.off
    radio.off = lambda: None  # the power cycle does not help
    radio.stuck = True
    live(wifi, 3_600_000)
    radio.off = off
    assert 60 <= wifi.cycles <= 140
    assert live(wifi, 130_000, True) > 0


def test_rounds_in_vain_take_the_radios_power():
    wifi, _, _ = start(Board)
    net = radio.air.pop("home")
    live(wifi, 120_000)
    assert 1 <= wifi.cycles <= 3
    radio.air["home"] = net
    assert live(wifi, 90_000, True) > 0


def test_a_chip_that_lies_stays_up_until_the_keeper_asks_for_its_power():
    wifi, _, _ = start(Board)
    live(wifi, 60_000)
    radio.lies = True
    radio.up = radio.asked = None
    live(wifi, 300_000)
    assert wifi.up  # nothing here can tell
    wifi.recycle()
    assert not wifi.up
    assert 0 < live(wifi, 10_000, True)
    assert not radio.lies
    assert (wifi.joins, wifi.cycles) == (2, 1)


def test_for_want_of_a_poll_the_relay_takes_the_radios_power_and_restarts_at_last():
    wifi, _, log = start(Board)
    live(wifi, 60_000)
    relay = Silent(wifi, log)
    for step in (0, 1, 2):
        relay.now = step
        Relay.tick(relay)
        assert wifi.cycles == (step == 2)
        assert relay._todo == (2 if step else 0)  # _RECONNECT
    relay.now = 3
    for restarts, mark in ((0, 17), (1, 18), (9, 26), (1000, 216)):  # a byte, 16 and their number
        relay.restarts = restarts
        assert raises(SystemExit, lambda: Relay.tick(relay)).args[0] == mark


def three(**values):
    networks = [
        {"ssid": "office", "password": "o", "priority": 50},
        {"ssid": "garden", "password": "g", "priority": 50},
        {"ssid": "phone", "password": "p"},
    ]
    return start(Board, ssid="", networks=networks, **values)


def test_the_highest_priority_in_reach_wins_and_then_the_strongest():
    wifi, _, _ = three()
    radio.air.update({"phone": Net("p", -30), "office": Net("o", -80), "garden": Net("g", -60)})
    live(wifi, 20_000, True)
    assert wifi.ssid == "garden"


def test_what_is_not_in_reach_costs_no_wait():
    wifi, _, _ = three()
    radio.air["phone"] = Net("p", -80)
    assert 0 < live(wifi, 20_000, True) < 5000
    assert wifi.ssid == "phone"


def test_the_next_one_is_tried_when_the_first_refuses():
    wifi, _, log = three()
    radio.air.update({"office": Net("changed", -40), "garden": Net("g", -60)})
    live(wifi, 20_000, True)
    assert wifi.ssid == "garden"
    assert log.lines[0] == "network failure (wifi): office refused the password"


def test_a_hidden_network_is_tried_after_those_in_reach():
    wifi, _, _ = three()
    radio.air.update({"office": Net("o", -40, hidden=True), "phone": Net("x", -60)})
    assert live(wifi, 60_000, True) > 0
    assert wifi.ssid == "office"


def test_the_first_network_of_the_settings_goes_before_the_others():
    _, board, _ = start(Board)
    settings = fake_board.Settings(ssid="home", password="pw", networks=[{"ssid": "x"}])
    assert known(settings) == [(100, "home", "pw"), (0, "x", "")]


def test_without_memory_for_a_scan_the_networks_are_tried_by_priority():
    wifi, board, _ = three()
    radio.air.update({"phone": Net("p", -30), "office": Net("o", -80)})

    def scan():
        raise MemoryError

    board.wlan.scan = scan
    assert live(wifi, 60_000, True) > 0
    assert wifi.ssid == "office"


def test_a_radio_that_has_nothing_to_leave_may_refuse_to():
    wifi, board, _ = start(Board)

    def disconnect():
        raise OSError(1)

    board.wlan.disconnect = disconnect
    assert 0 < live(wifi, 10_000, True) < 3000 and wifi.cycles == 0


def test_an_open_network_is_joined_without_a_key():
    wifi, _, _ = start(Board, password="")
    radio.air["home"].password = None
    assert live(wifi, 10_000, True) > 0


def test_without_any_network_it_says_so_and_goes_on():
    wifi, _, _ = start(Board, ssid="")
    live(wifi, 300_000)
    assert "wifi.ssid" in wifi.error


def test_a_scan_lists_each_name_once_the_strongest_first():
    wifi, _, _ = start(Board)
    radio.air.update({"far": Net("x", -88), "open": Net(None, -50), "": Net("x")})
    assert wifi.scan() == [(-50, "open", True), (-60, "home", False), (-88, "far", False)]


def test_join_waits_no_longer_than_it_is_told_and_ticks_meanwhile():
    wifi, _, _ = start(Board)
    radio.air.clear()
    ticks = []
    begin = chip.now
    assert not wifi.join(30_000, lambda: ticks.append(chip.now))
    assert 30_000 <= chip.now - begin <= 30_500
    assert len(ticks) >= 119
    radio.air["home"] = Net("correct horse")
    assert wifi.join(60_000, lambda: None)


def test_a_link_that_is_up_is_watched_without_allocation():
    wifi, _, _ = start(Board)
    live(wifi, 30_000)

    def watch():
        for now in range(chip.now, chip.now + 60_000, 250):
            assert wifi.serve(now)

    heap_locked(watch)
