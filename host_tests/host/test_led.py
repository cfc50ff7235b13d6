"""What the LED shows while the relay works."""

from memory_kit import Pressed

ONLINE, THINKING, ERROR, LOW_BATTERY = 0x01, 0x33, 0x15, 0x05
WAIT_S = 20


def test_the_led_tells_rest_from_an_answer_and_warns_of_a_low_battery(tmp_path):
    with Pressed(tmp_path) as house:
        house.do("fast")
        chat = house.ask("hello")
        shown(house, ONLINE)
        house.do("battery 3399")
        house.cloud.models.script(length=600, delay=0.1, deltas=30)
        house.say("at length", chat)
        shown(house, THINKING)
        shown(house, LOW_BATTERY)
        house.do("battery 3400")
        house.ask("and now", chat)
        shown(house, ONLINE)


def test_the_led_shows_an_error_while_the_model_is_out_of_reach(tmp_path):
    with Pressed(tmp_path) as house:
        chat = house.ask("hello")
        house.cloud.models.default(status=503, retry_after=3600)
        house.say("are you there", chat)
        shown(house, ERROR)


def shown(house, pattern):
    """Waits until the LED shows ``pattern``."""
    house.wait(lambda: house.state()["led"] == pattern, WAIT_S)
