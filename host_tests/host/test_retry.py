"""When the relay asks again: exactly when it is told to, else with a backoff that grows."""

import itertools
import re

import pytest

SLACK = 1.5  # what a busy machine may add
PAGE = "<html>slow down</html>"


def pauses(calls) -> list[float]:
    """Seconds between each answer and the next call."""
    return [
        later.time - (earlier.time + earlier.ms / 1000)
        for earlier, later in itertools.pairwise(calls)
    ]


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
    if how == "json":
        fault = house.cloud.fault(service, method, "flood", retry_after=seconds)
    else:  # a proxy in between, which has only the header
        headers = {"Retry-After": seconds}
        options = {"body": PAGE, "content_type": "text/html", "headers": headers}
        fault = house.cloud.fault(service, method, "status", status=429, **options)
    chat = house.ask("patience", timeout=15)
    house.ask("and on", chat)

    assert fault.applied == 1
    calls = house.cloud.calls(service, method)
    struck = next(number for number, call in enumerate(calls) if call.status == 429)
    waited = pauses(calls)[struck]
    assert seconds - 0.01 <= waited < seconds + SLACK


def test_polls_that_fail_are_repeated_with_a_backoff_that_doubles_and_begins_anew(house):
    for _ in range(2):
        house.quiet(0)
        house.cloud.clear_calls()
        fault = house.cloud.fault("telegram", "getUpdates", "status", times=4, status=500)
        chat = house.ask("before")
        house.wait(lambda fault=fault: fault.applied == 4, 15)
        house.ask("after", chat, timeout=15)
        calls = house.cloud.telegram.calls("getUpdates")
        struck = next(number for number, call in enumerate(calls) if call.status == 500)
        for longest, waited in zip((1, 2, 4, 8), pauses(calls)[struck:], strict=False):
            assert longest / 2 <= waited + 0.01 and waited < longest + SLACK, waited
    assert re.search("500", house.board.status()["error"])


def test_commands_of_a_chat_that_has_to_wait_for_long_hold_up_no_message_of_another(house):
    fault = house.cloud.fault("telegram", "sendMessage", "flood", retry_after=300)
    chat = house.say("/help")
    house.wait(lambda: fault.applied)
    for _ in range(6):  # more than may wait
        house.say("/help", chat)
    house.ask("another", timeout=15)
    house.wait(lambda: not house.cloud.telegram.pending())
    assert not house.texts(chat)
