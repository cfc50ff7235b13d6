"""The ESP32-S3's board, on a chip that behaves as one does."""

import errno

from kit import raises

import fake_board
from fake_board import Bitten, Reset, chip, pins
from fake_board.chip import noisy

radio = fake_board.install("esp32")

from fake_board.desk import Desk, bitten_after, turn  # noqa: E402
from thimble.board.esp32 import Board  # noqa: E402
from thimble.keepers.watch import Watch  # noqa: E402

TEST_S = 20

desk = Desk(radio, Board)
power_on, guarded = desk.power_on, desk.guarded


def test_the_loop_feeds_the_dog():
    _, guard = guarded()
    turn(guard, 900_000)


def test_a_hang_is_ended_by_the_dog_in_two_minutes():
    _, guard = guarded()
    turn(guard, 60_000)
    assert 119_000 <= bitten_after() <= 120_000
    assert Board().reset_cause == "watchdog"


def test_a_loop_that_turns_but_gets_nowhere_is_ended_at_last():
    _, guard = guarded()
    start = chip.now
    error = None
    try:
        while chip.now - start < 2_000_000:
            turn(guard, 250)
            guard.step(chip.now)  # its restart does not come about
    except Bitten as bite:
        error = bite
    assert error and 1_070_000 <= chip.now - start <= 1_090_000


def test_a_timer_feeds_while_the_repl_is_open():
    board, guard = guarded()
    guard.rest()
    board.rest()
    board.close()
    chip.run(3_600_000)


def test_a_repl_without_a_dog_starts_no_timer():
    board = power_on()
    board.rest()
    assert chip.timers == []


def test_a_relay_that_is_started_again_feeds_for_itself():
    board, guard = guarded()
    guard.rest()
    board.rest()
    again = Board()
    guard = Watch(again.feed, chip.now)
    again.guard(guard.alive)
    turn(guard, 300_000)
    assert bitten_after() <= 120_000


def test_a_sleep_longer_than_the_dogs_time_is_no_hang():
    board, _ = guarded()
    board.sleep(300_000)
    assert sum(chip.slept) == 300_000


def test_every_reset_cause_is_told_from_the_others():
    power_on()
    for cause, name in (
        (1, "power-on"),
        (2, "reset"),
        (3, "watchdog"),
        (4, "deep sleep"),
        (5, "soft reset"),
        (0, "unknown"),
    ):
        chip.cause = cause
        assert Board().reset_cause == name


def test_a_restart_that_was_asked_for_hands_over_its_mark_once():
    for mark in (1, 2, 3, 23, 255):
        board = power_on()
        board.memory(b"state of charge")
        raises(Reset, lambda: board.restart(mark))  # noqa: B023
        board = Board()
        assert (board.mark, board.reset_cause) == (mark, "restart")
        assert board.memory() == b"state of charge"
        chip.soft_reset()
        board = Board()
        assert (board.mark, board.reset_cause) == (0, "soft reset")


def test_what_others_left_in_the_memory_is_no_mark():
    power_on()
    for data in (b"", b"\xa7", b"\x01\x02\x03", b"some other program's"):
        chip.rtc = data
        assert Board().mark == 0
        assert Board().memory() == b""


def test_memory_outlives_deep_sleep_but_not_a_loss_of_power():
    board = power_on()
    board.memory(bytes(range(200)))
    raises(Reset, lambda: board.deep_sleep(60_000))
    assert radio.calls[-1] == "active"  # the radio's power went before
    board = Board()
    assert board.reset_cause == "deep sleep"
    assert board.memory() == bytes(range(200))
    board.memory(bytes(board.memory_size))
    raises(ValueError, lambda: board.memory(bytes(board.memory_size + 1)))
    assert power_on().memory() == b""


def test_the_battery_is_measured_through_noise_and_bursts():
    board = power_on()
    board.configure(pins(battery_adc="4"))
    for millivolts in (1500, 1850, 2100):
        chip.adc[4] = noisy(millivolts, 10)
        for _ in range(20):
            assert abs(board.battery_mv() - 2 * millivolts) <= 20


def test_a_chip_that_was_never_calibrated_has_no_battery():
    board = power_on()
    board.configure(pins(battery_adc="4"))

    def sample():
        raise OSError(errno.EOPNOTSUPP, "ESP_ERR_NOT_SUPPORTED")

    chip.adc[4] = sample
    assert board.battery_mv() is None and not board.battery_low()


def test_a_battery_is_low_under_what_the_settings_say():
    board = power_on()
    assert not board.battery_low()  # none is measured
    board.configure(pins(battery_adc="4", battery_low_mv=3400))
    for voltage in (noisy(1720, 5), noisy(1700, 0)):
        chip.adc[4] = voltage
        assert not board.battery_low()
    chip.adc[4] = noisy(1680, 5)
    assert board.battery_low()
    board.configure(pins(battery_adc="4", battery_low_mv=0))
    assert not board.battery_low()


def test_a_pin_that_is_none_is_refused_by_the_settings_name():
    board = power_on()
    for key, settings in (
        ("board.led", pins(led="LED")),
        ("board.led", pins(led="10000000000")),
        ("board.button", pins(button="22")),
        ("board.battery_adc", pins(battery_adc="21")),
    ):
        error = raises(ValueError, lambda: board.configure(settings))  # noqa: B023
        assert key in str(error), error


def test_a_pin_that_measures_nothing_while_the_radio_is_on_is_refused():
    board = power_on()
    for chip.modes_shown in (False, True):
        for pin in ("11", "18"):
            error = raises(ValueError, lambda: board.configure(pins(battery_adc=pin)))  # noqa: B023
            assert "board.battery_adc: pin %s measures no volts" % pin in str(error)
        for pin in ("5", "10"):
            board.configure(pins(battery_adc=pin))


def test_the_idf_heap_is_strained_when_no_connection_finds_a_block_there():
    board = power_on()
    assert board.strain() < 60
    for largest, least, most in ((22_000, 80, 89), (19_900, 90, 99), (500, 100, 100)):
        chip.heaps = [(16_000, 9_000, 400, 400), (220_000, 90_000, largest, 0)]
        assert least <= board.strain() <= most


def test_the_boards_own_led_is_a_dim_ws2812_that_is_lit_from_the_start():
    board = power_on()
    board.configure(pins())
    board.led.serve(300)
    board.close()
    assert chip.bits == [b"\x0c\x0c\x0c", b"\0\0\0"]


def test_the_boot_button_works_once_the_board_is_up():
    board = power_on()
    assert not board.button()
    board.configure(pins())
    assert not board.button()
    chip.pins[0] = 0
    assert board.button() and board.held(300)
    board.configure(pins(button="none"))
    assert not board.button()


def test_the_chip_tells_its_temperature():
    assert power_on().temperature() == 41
