"""When the relay asks again: exactly when it is told to, else with a backoff that grows."""

import itertools

import pytest
from weeks_kit import Weeks

PAGE = "<html>slow down</html>"


@pytest.fixture
def house(tmp_path):
    with Weeks(tmp_path / "house") as house:
        yield house


def behind(calls, status) -> list[float]:
    """Seconds from the first call that got this status to the next, and from each to its next."""
    struck = next(number for number, call in enumerate(calls) if call.status == status)
    return [round(later.time - call.time, 3) for call, later in itertools.pairwise(calls[struck:])]


@pytest.mark.parametrize("seconds", [1, 3])
@pytest.mark.parametrize(
    "service, method, how",
    [
        ("telegram", "getUpdates", "json"),
        ("telegram", "getUpdates", "page"),
        ("telegram", "sendMessage", "json"),
        ("telegram", "sendMessage", "page"),
        ("models", "chat", "json"),
        ("models", "chat", "page"),
    ],
)
def test_retry_after_is_obeyed_to_the_second(house, service, method, how, seconds):
    kind, options = "flood", {"retry_after": seconds}
    if how == "page":  # a proxy in between, which has only the header
        kind, options = "status", {"status": 429, "body": PAGE, "content_type": "text/html"}
        options["headers"] = {"Retry-After": seconds}
    house.at(0.1, house.cloud.fault, service, method, kind, **options)
    for hour, text in ((0.1, "patience"), (0.11, "and on")):
        house.at(hour, house.cloud.telegram.say, chat=101, text=text)
    house.until(0.15)

    assert house.texts(101) == ["patience", "and on"]
    calls = house.cloud.calls(service, method)
    assert [call.status for call in calls].count(429) == 1
    assert seconds <= behind(calls, 429)[0] < seconds + 0.3


def test_polls_that_fail_are_repeated_with_a_backoff_that_doubles_and_begins_anew(house):
    for hour in (0.1, 0.2):
        house.at(hour, house.cloud.clear_calls)
        house.at(hour, house.cloud.fault, "telegram", "getUpdates", "status", 4, status=500)
        house.at(hour, house.cloud.telegram.say, chat=101, text="before")
        house.until(hour + 0.05)
        waits = behind(house.cloud.telegram.calls("getUpdates"), 500)
        for longest, waited in zip((1, 2, 4, 8), waits[:4], strict=True):
            assert longest / 2 <= waited < longest + 0.3, waits
    assert "500" in house.board.status()["error"]


def test_commands_of_a_chat_that_has_to_wait_for_long_hold_up_no_message_of_another(house):
    house.cloud.fault("telegram", "sendMessage", "flood", retry_after=300)
    for hour in (0.1, *[0.101] * 6):  # more than may wait
        house.at(hour, house.cloud.telegram.say, chat=101, text="/help")
    house.at(0.102, house.cloud.telegram.say, chat=102, text="another")
    house.until(0.12)

    assert house.texts(102) == ["another"] and not house.texts(101)
    assert not house.cloud.telegram.pending()
