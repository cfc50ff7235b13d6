"""The Pico W's board, on a chip that behaves as an RP2040 does; its dog with all its teeth."""

import os
import sys
from kit import heap_locked, raises

import fake_board
from fake_board import Reset, chip, pins
from fake_board.chip import WDT, noisy

radio = fake_board.install("rp2")

from fake_board.desk import Desk, bitten_after, turn  # noqa: E402
import thimble.safe as safe  # noqa: E402
from thimble.board import led  # noqa: E402
from thimble.board.rp2 import Board  # noqa: E402
from thimble.keepers.watch import Watch  # noqa: E402

TEST_S = 20

desk = Desk(radio, Board)
power_on, guarded = desk.power_on, desk.guarded


# The dog.


def test_the_dog_never_bites_while_slices_end():
    _, guard = guarded()
    turn(guard, 600_000)
    assert chip.dog_ms == 8388


def test_a_hang_is_ended_by_the_dog_within_forty_seconds():
    _, guard = guarded()
    turn(guard, 60_000)
    assert 30_000 <= bitten_after() <= 38_388
    assert Board().reset_cause == "watchdog"


def test_a_blocking_call_of_twenty_seconds_is_no_hang():
    _, guard = guarded()
    turn(guard, 10_000)
    chip.block(20_000)
    guard.mark(chip.now)
    turn(guard, 30_000)


def test_the_callback_runs_with_the_heap_locked():
    board, _ = guarded()
    heap_locked(lambda: board._beat(None))
    chip.run(20_000)
    assert len(chip.timers) == 1  # a callback that allocates is called no more


def test_an_open_repl_has_no_dog():
    board, guard = guarded()
    guard.rest()
    board.rest()
    board.close()
    chip.run(3_600_000)
    chip.soft_reset()  # by mpremote, say
    chip.run(3_600_000)


def test_a_soft_reset_ends_the_timer_and_the_dog_bites_within_its_time():
    _, guard = guarded()
    turn(guard, 30_000)
    chip.soft_reset()
    assert bitten_after() <= 8388


def test_a_start_after_a_soft_reset_may_take_longer_than_the_dogs_time():
    """Reading a full flash, or the wizard before it; and safe mode has no dog at all."""
    guarded()
    chip.soft_reset()
    chip.run(5000)
    board = Board()
    assert chip.dog_ms is None and chip.timers == []
    chip.run(600_000)
    guard = Watch(board.feed, chip.now)
    board.guard(guard.alive)
    turn(guard, 30_000)
    assert 30_000 <= bitten_after() <= 38_388


def test_a_relay_that_is_started_again_is_not_kept_alive_by_the_old_ones_timer():
    board, guard = guarded()
    guard.rest()
    board.rest()
    again = Board()
    guard = Watch(again.feed, chip.now)
    again.guard(guard.alive)
    turn(guard, 30_000)
    assert 30_000 <= bitten_after() <= 38_388


def test_the_fake_dog_is_as_bad_as_the_real_one():
    raises(ValueError, lambda: WDT(timeout=8389))
    assert not hasattr(WDT, "deinit")


# What outlives a reset.


def test_every_reset_cause_is_told_from_the_others():
    assert power_on().reset_cause == "power-on"
    for reason, cause in ((1, "watchdog"), (2, "reset"), (0, "power-on")):
        chip.reset(3, reason)
        assert Board().reset_cause == cause


def started():
    """The Board of an interpreter that has just begun: nothing of ours is loaded."""
    del sys.modules["thimble.board.rp2"]
    from thimble.board.rp2 import Board

    return Board()


def test_a_soft_reset_is_told_from_the_reset_before_it():
    power_on()
    for reset, cause in (
        (chip.power_on, "power-on"),
        (lambda: chip.reset(3, 2), "reset"),
        (lambda: chip.reset(3, 1), "watchdog"),
    ):
        reset()
        assert started().reset_cause == cause
        for _ in range(3):
            chip.soft_reset()
            board = started()
            assert board.reset_cause == "soft reset"
    raises(Reset, board.restart)
    assert started().reset_cause == "restart"
    chip.soft_reset()
    assert started().reset_cause == "soft reset"


def test_the_cause_stays_the_same_until_the_next_reset():
    chip.reset(3, 1)
    assert started().reset_cause == "watchdog"
    from thimble.board.rp2 import Board

    assert Board().reset_cause == "watchdog"


def test_a_restart_that_was_asked_for_hands_over_its_mark_once():
    for mark in (1, 2, 3, 23, 255):
        board = power_on()
        raises(Reset, lambda: board.restart(mark))  # noqa: B023
        board = Board()
        assert (board.mark, board.reset_cause) == (mark, "restart")
        chip.reset(3, 1)
        board = Board()
        assert (board.mark, board.reset_cause) == (0, "watchdog")


def test_what_stands_in_the_register_by_chance_is_no_mark():
    power_on()
    chip.registers[0x4005800C] = 0xDEADBE02
    assert Board().mark == 0


def test_twelve_bytes_outlive_a_reset_but_not_a_loss_of_power():
    board = power_on()
    assert board.memory() == bytes(12)
    board.memory(b"\xff\xfe\xfd\xfcabcd123")
    raises(Reset, lambda: board.restart())
    assert Board().memory() == b"\xff\xfe\xfd\xfcabcd123\0"
    raises(ValueError, lambda: board.memory(bytes(13)))
    assert power_on().memory() == bytes(12)


# Sleep.


def test_a_sleep_is_made_of_naps_between_which_the_dog_is_fed():
    board, _ = guarded()
    start = chip.now
    board.sleep(61_000)
    assert chip.now - start == 61_000
    # Before 1.29 a light sleep with the dog running locks up.
    naps = [5000] * 12 + [1000] if sys.implementation[1] >= (1, 29) else []
    assert chip.slept == naps


def test_without_a_dog_it_is_a_light_sleep():
    board = power_on()
    start = chip.now
    board.sleep(12_000)
    assert chip.slept == [5000, 5000, 2000]
    assert chip.now - start == 12_000


def test_a_deep_sleep_ends_in_a_boot_that_knows_it():
    board = power_on()
    radio.active = True
    raises(Reset, lambda: board.deep_sleep(9000))
    assert sum(chip.slept) == 9000
    assert radio.calls[-1] == "deinit"
    assert Board().reset_cause == "deep sleep"


# What is wired to it.


def test_the_battery_is_measured_through_noise_and_bursts():
    board = power_on()
    board.configure(pins(battery_adc="27", battery_ratio=3000, battery_offset_mv=-150))
    for millivolts in (900, 1100, 1399):
        chip.adc[27] = noisy(millivolts, 8)
        for _ in range(20):
            assert abs(board.battery_mv() - (3 * millivolts - 150)) <= 24


def test_without_a_divider_there_is_no_battery():
    board = power_on()
    assert board.battery_mv() is None
    board.configure(pins())
    assert board.battery_mv() is None


def test_a_pin_that_is_none_is_refused_by_the_settings_name():
    board = power_on()
    for key, settings in (
        ("board.led", pins(led="99")),
        ("board.led", pins(led="10000000000")),
        ("board.button", pins(button="no such")),
        ("board.battery_adc", pins(battery_adc="15")),
        ("board.battery_adc", pins(battery_adc="LED")),
        ("board.button", pins(button="LED")),
        # These are the radio's; the port would take them from it.
        ("board.led", pins(led="25")),
        ("board.button", pins(button="23")),
        ("board.battery_adc", pins(battery_adc="29")),
        ("board.led", pins(led="GPIO23")),
        ("board.button", pins(button="GPIO24")),
        ("board.battery_adc", pins(battery_adc="GPIO29")),
    ):
        error = raises(ValueError, lambda: board.configure(settings))  # noqa: B023
        assert key in str(error), error


def test_safe_mode_needs_no_light():
    board = power_on()
    board.mark, board.flash, board.read_line = 3, "/tmp", lambda: b""
    board.config_path = "/tmp/thimble-test-safe-%d.json" % id(board)
    with open(board.config_path, "w") as file:
        file.write('{"board": {"led": "99"}}')
    start = chip.now
    try:
        raises(Reset, lambda: safe.check(board, 1000))
    finally:
        os.remove(board.config_path)
    assert chip.now - start >= 1000 and Board().reset_cause == "restart"


def test_bootsel_serves_for_a_button_and_must_be_held():
    board = power_on()
    board.configure(pins())
    assert not board.button() and not board.held(500)
    chip.bootsel = True
    start = chip.now
    assert board.held(500)
    assert chip.now - start == 500


def test_a_button_on_a_pin_pulls_it_down():
    board = power_on()
    board.configure(pins(button="14"))
    chip.bootsel = True
    assert not board.button()
    chip.pins[14] = 0
    assert board.button()


def test_the_led_shows_each_pattern_from_the_tick_without_allocation():
    board = power_on()
    board.configure(pins())

    def shown(pattern):
        board.led.show(pattern)
        levels = []
        for step in range(8):
            heap_locked(lambda: board.led.serve((7 * 8 + step) * 256 + 200))  # noqa: B023
            levels.append(chip.written.get("LED", 0))
        return "".join([str(level) for level in levels])

    assert shown(led.STARTING) == "11111111"
    assert shown(0) == "00000000"
    assert shown(led.JOINING) == "10101010"
    assert shown(led.ONLINE) == "10000000"
    assert shown(led.THINKING) == "11001100"
    assert shown(led.ERROR) == "10101000"
    assert shown(led.SAFE) == "11110000"
    assert shown(led.LOW_BATTERY) == "10100000"


def test_an_led_that_hangs_on_a_dead_radio_stops_nothing():
    board = power_on()
    chip.led_fails = True
    board.configure(pins())  # which lights it
    board.led.show(0)
    board.led.serve(0)
    assert chip.written["LED"] == 0
    chip.led_fails = False
    for pattern, lit in ((led.STARTING, 1), (0, 0)):
        board.led.show(pattern)
        board.led.serve(0)
        assert chip.written["LED"] == lit


def test_an_led_to_the_plus_is_lit_by_a_low_pin():
    board = power_on()
    board.configure(pins(led="15", led_kind="low"))
    board.led.show(led.STARTING)
    board.led.serve(0)
    assert chip.written[15] == 0


def test_a_pin_has_its_number_or_its_name():
    board = power_on()
    for name in ("0", "20", "GPIO20"):
        board.configure(pins(led=name))
        board.led.serve(0)
    assert chip.written == {0: 1, 20: 1}


def test_a_ws2812_is_refused_in_words():
    error = raises(ValueError, lambda: power_on().configure(pins(led="15", led_kind="rgb")))
    assert str(error) == "board.led_kind: rgb is for an ESP32-S3 alone"


def test_the_chip_tells_its_temperature_and_its_number():
    board = power_on()
    chip.adc[4] = lambda: 706
    assert board.temperature() in (26, 27, 28)
    chip.adc[4] = lambda: 706 - 1.721 * 33
    assert board.temperature() in (59, 60, 61)
    assert board.unique_id() == "e6613852831f2b2a"


def test_the_clock_is_set_in_the_order_that_the_chip_wants():
    power_on().set_clock((2026, 11, 21, 13, 14, 15, 5, 325))
    assert chip.date == (2026, 11, 21, 5, 13, 14, 15, 0)


def test_signal_strength_is_none_without_a_network_or_with_a_stuck_radio():
    board = power_on()
    assert board.rssi() is None
    radio.stuck = True
    assert board.rssi() is None
    radio.stuck = False
    radio.air["home"] = fake_board.Settings(rssi=-71)
    radio.up = "home"
    assert board.rssi() == -71

    def lost(what):
        raise OSError(1)  # between the two questions

    board.wlan = fake_board.Settings(isconnected=lambda: True, status=lost)
    assert board.rssi() is None
