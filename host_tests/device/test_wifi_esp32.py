"""The Wi-Fi of an ESP32: it joins again by itself, and takes no second connect()."""

import fake_board
from fake_board import chip

radio = fake_board.install("esp32")

from fake_board.air import Net, live, start  # noqa: E402
from thimble.board.esp32 import Board  # noqa: E402
from thimble.net.wifi import Wifi  # noqa: E402

TEST_S = 20


def test_a_network_is_joined():
    wifi, board, _ = start(Board)
    assert 0 < live(wifi, 10_000, True) < 3000
    assert board.servers == ["10.0.0.2"]


def test_no_connect_comes_without_a_disconnect_before_it():
    wifi, _, log = start(Board, networks=[{"ssid": "office", "password": "o"}])
    radio.air.clear()
    live(wifi, 600_000)
    radio.air["office"] = Net("changed")
    live(wifi, 600_000)
    radio.air["office"] = Net("o")
    assert live(wifi, 100_000, True) > 0
    assert radio.calls.count("connect") > 20
    for place, name in enumerate(radio.calls):
        assert name != "connect" or radio.calls[place - 1] == "disconnect"
    assert "does not obey" not in str(log.lines)


def test_a_link_that_drops_for_a_moment_is_left_to_the_chip():
    wifi, _, _ = start(Board)
    live(wifi, 60_000)
    net = radio.air.pop("home")
    live(wifi, 3000)
    assert not wifi.up
    radio.air["home"] = net
    assert live(wifi, 10_000, True) > 0
    assert radio.calls.count("connect") == 1


def test_a_link_that_stood_for_weeks_is_treated_no_differently():
    wifi, _, _ = start(Board)
    live(wifi, 60_000)
    for _ in range(10):
        chip.now += 150_000_000
        live(wifi, 1000)
    net = radio.air.pop("home")
    live(wifi, 3000)
    radio.air["home"] = net
    assert live(wifi, 10_000, True) > 0
    assert radio.calls.count("connect") == 1


def test_a_chip_that_does_not_find_back_is_told_to():
    wifi, _, _ = start(Board, networks=[{"ssid": "office", "password": "o"}])
    live(wifi, 60_000)
    del radio.air["home"]
    radio.air["office"] = Net("o")
    assert 15_000 <= live(wifi, 60_000, True) <= 30_000
    assert wifi.ssid == "office"


def test_the_reason_of_an_old_failure_does_not_end_a_new_try():
    wifi, _, _ = start(Board)
    net = radio.air.pop("home")
    live(wifi, 22_000)
    assert wifi.error == "home is not in reach"
    assert radio.reason == 201
    radio.air["home"] = net
    assert live(wifi, 30_000, True) > 0


def test_a_wrong_password_is_said():
    wifi, _, _ = start(Board, password="wrong")
    live(wifi, 25_000)
    assert wifi.error == "home refused the password"


def test_a_wrong_password_that_the_driver_does_not_tell_is_asked_about():
    wifi, _, _ = start(Board, password="wrong")
    radio.vague = True
    live(wifi, 25_000)
    assert wifi.error == "home was not joined in time (is the password right?)"


def test_a_network_that_was_kept_through_a_soft_reset_is_left_first():
    wifi, board, log = start(Board)
    live(wifi, 10_000)
    radio.air["office"] = Net("o")
    settings = wifi._settings
    settings.ssid, settings.password = "office", "o"
    chip.soft_reset()
    again = Wifi(Board(), settings, log)
    assert live(again, 10_000, True) > 0
    assert radio.up == "office"


def test_a_driver_that_fails_with_or_without_words_for_it_is_switched_off_and_on():
    for trouble, said in (("stuck", "Wifi Not Started"), ("nameless", "Wifi Unknown Error")):
        wifi, _, log = start(Board)
        live(wifi, 10_000)
        setattr(radio, trouble, True)
        live(wifi, 20_000)
        assert wifi.cycles >= 1 and not wifi.up
        assert "does not obey (%s" % said in str(log.lines)
        setattr(radio, trouble, False)
        assert live(wifi, 90_000, True) > 0


def test_the_keeper_may_ask_for_its_power():
    wifi, _, _ = start(Board)
    live(wifi, 10_000)
    radio.lies = True
    wifi.recycle()
    assert live(wifi, 10_000, True) > 0
    assert radio.powered == 2 and not radio.lies
