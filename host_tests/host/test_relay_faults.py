"""The relay when the way is bad: broken answers, wrong certificates, other pollers, long use."""

import time

import pytest
from relay_kit import OWNER, House
from weeks_kit import Weeks

CERTIFICATES = {
    "wrong_host": "does not match",
    "expired": "expired (or the clock is wrong)",
    "not_yet": "in the future (or the clock is wrong)",
    "untrusted": "not correctly signed by the trusted CA",
    "self_signed": "not correctly signed by the trusted CA",
}
FAULTS = {
    "a 502 in HTML": ("status", {"status": 502}),
    "a length too long": ("length", {"add": 10}),
    "endless headers": ("endless_headers", {"forever": True}),
    "garbage": ("garbage", {}),
    "a body that is no JSON": ("garbage_body", {}),
    "a reset": ("close", {"reset": True}),
    "a redirect": ("redirect", {}),
}


@pytest.fixture
def build(tmp_path):
    """Makes a house of the test's own, to be entered."""
    return lambda **options: House(tmp_path, **options)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_poll_that_breaks_is_survived(house, fault):
    name, options = fault
    armed = house.cloud.fault("telegram", "getUpdates", name, **options)
    chat = house.ask("before")
    house.ask("after", chat)

    assert armed.applied == 1
    assert house.texts(chat) == ["before", "after"]


def test_a_message_whose_polls_are_cut_off_several_times_is_not_lost(tmp_path):
    with Weeks(tmp_path / "house") as house:
        armed = house.cloud.fault("telegram", "getUpdates", "length", times=4, skip=2, add=-10)
        for hour, text in ((0.1, "before"), (0.2, "after")):
            house.at(hour, house.cloud.telegram.say, chat=101, text=text)
        house.until(0.3)

        assert armed.applied == 4
        assert house.texts(101) == ["before", "after"]
        assert house.board.status()["dropped"] == 0


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_model_that_breaks_is_survived(house, fault):
    name, options = fault
    armed = house.cloud.fault("models", "chat", name, **options)
    chat = house.say("broken")
    house.wait(lambda: house.texts(chat))
    house.ask("whole", chat)

    assert armed.applied == 1


@pytest.mark.parametrize("name", ["trickle", "chunked", "continue", "no_length"])
def test_an_odd_but_right_answer_from_telegram_is_taken(house, name):
    house.cloud.fault("telegram", "getUpdates", name, times=2)
    chat = house.ask("before")
    house.ask("after", chat)
    assert house.texts(chat) == ["before", "after"]


@pytest.mark.parametrize("announce", [True, False])
def test_servers_that_end_every_connection_behind_its_answer_are_borne(house, announce):
    house.cloud.fault(None, None, "close_after", times=None, announce=announce)
    chat = house.ask("before")
    house.ask("after", chat, timeout=20)
    house.quiet()
    assert house.texts(chat) == ["before", "after"]


def test_a_message_that_could_not_be_sent_is_sent_again(house):
    house.cloud.fault("telegram", "sendMessage", "status", status=502)
    chat = house.ask("hello")
    assert house.texts(chat) == ["hello"]


@pytest.mark.parametrize("status", [400, 403])
@pytest.mark.parametrize("kind", ["a page", "json"])
def test_an_answer_that_is_refused_but_not_by_telegram_is_sent_again(house, status, kind):
    body = {"error": "denied"} if kind == "json" else None
    house.cloud.fault("telegram", "sendMessage", "status", status=status, body=body)
    house.ask("hello")


def test_while_telegram_bids_an_answer_wait_others_are_served_and_stop_ends_it(tmp_path):
    with Weeks(tmp_path / "house") as house:
        say, later = house.cloud.telegram.say, 0.1 + 15 / 3600
        house.cloud.models.default(text="word " * 100, delay=0.2)
        house.cloud.fault("telegram", "editMessageText", "flood", retry_after=60)
        house.at(0.1, say, chat=101, text="go")
        house.at(later, say, chat=101, text="/stop")
        house.at(later, say, chat=102, text="/help")
        house.until(0.15)

        refused, edit = house.cloud.telegram.calls("editMessageText")
        assert round(edit.time - refused.time, 3) >= 60
        (helped,) = house.changes(102)
        assert refused.time < helped["time"] < house.began + later * 3600 + 6
        assert len([call for call in polls(house) if refused.time < call.time < edit.time]) > 3
        assert house.texts(101)[-1].endswith("(Stopped.)") and not house.cloud.telegram.pending()


def test_what_the_model_writes_on_for_whoever_has_blocked_the_bot_is_not_waited_for(house):
    house.cloud.models.script(length=6000, deltas=600, delay=0.1)
    chat = house.say("at length")
    house.wait(lambda: house.texts(chat))
    before = house.board.status()["answered"]
    house.cloud.telegram.block(chat)
    house.wait(lambda: house.board.status()["answered"] == before + 1)
    house.wait(lambda: house.cloud.counts()["open"] == {"telegram": 1}, 5)
    house.ask("next")


def test_dropped_connections_are_made_again(house):
    house.ask("before")
    house.cloud.drop(reset=True)
    house.ask("after")


def test_another_poller_is_named_and_outlasted(house):
    conflict = {"ok": False, "error_code": 409, "description": "Conflict: terminated by other"}
    house.cloud.fault("telegram", "getUpdates", "status", status=409, body=conflict)
    chat = house.ask("before")
    house.ask("after", chat)
    assert "Another program polls Telegram" in house.said()


def test_a_webhook_that_stays_is_named_once_and_not_said_to_be_removed(tmp_path):
    webhook = "Conflict: can't use getUpdates method while webhook is active"
    with Weeks(tmp_path / "house") as house:
        for method, status, said in (("getUpdates", 409, webhook), ("deleteWebhook", 500, "no")):
            body = {"ok": False, "error_code": status, "description": said}
            options = {"status": status, "body": body}
            house.at(0.1, house.cloud.fault, "telegram", method, "status", None, 0, **options)
        house.until(0.5)

        assert house.cloud.telegram.count("deleteWebhook") > 20
        assert sum(webhook in line for line in house.board.log) == 1
        assert len(house.board.log) < 4


@pytest.mark.parametrize("fault", [{"status": 429, "retry_after": 5}, {"status": 409}])
def test_a_poll_refused_while_an_answer_streams_is_explained_and_its_wait_kept(tmp_path, fault):
    said = {"ok": False, "error_code": fault["status"], "description": "Conflict: other"}
    if "retry_after" in fault:
        said["parameters"] = {"retry_after": fault["retry_after"]}
    with Weeks(tmp_path / "house") as house:
        house.cloud.models.default(text="word " * 40, delay=0.3)
        house.at(0.1, house.cloud.telegram.say, chat=101, text="go")
        house.at(
            *(0.101, house.cloud.fault, "telegram", "getUpdates", "status"),
            status=fault["status"],
            body=said,
        )
        house.until(0.15)

        calls, edits = polls(house), house.cloud.telegram.calls("editMessageText")
        at = [call.status for call in calls].index(fault["status"])
        assert edits[0].time < calls[at].time < edits[-1].time
        if "retry_after" in fault:
            assert round(calls[at + 1].time - calls[at].time, 3) >= fault["retry_after"]
        else:
            assert any("Another program polls Telegram" in line for line in house.board.log)


def polls(house):
    return house.cloud.telegram.calls("getUpdates")


def test_ids_that_start_anew_lower_are_answered(house):
    house.ask("before")
    house.quiet(0)
    house.cloud.telegram.restart_ids()
    chat = house.ask("after")
    house.ask("and on", chat)
    assert house.board.status()["duplicates"] == 0


@pytest.mark.parametrize("kind", CERTIFICATES)
def test_a_bad_certificate_of_telegram_gets_no_request(build, kind):
    house = build()
    listener = house.cloud.listen(certificate=kind)
    house.config["telegram"]["url"] = listener.url
    with house:
        house.wait(lambda: any("certificate" in line for line in house.board.log))
        time.sleep(0.2)
        assert not house.cloud.calls()
        assert "certificate" in house.board.status()["error"]
        assert CERTIFICATES[kind] in house.board.status()["error"]


@pytest.mark.parametrize("kind", CERTIFICATES)
def test_a_bad_certificate_of_the_model_gets_no_request(build, kind):
    house = build()
    listener = house.cloud.listen(certificate=kind)
    house.config["model"]["url"] = listener.url + "/v1"
    with house:
        house.say("hello", OWNER)
        text = house.wait(lambda: house.texts(OWNER))[0]
        assert CERTIFICATES[kind] in text and CERTIFICATES[kind] in house.board.status()["error"]
        time.sleep(0.2)
        assert not house.cloud.models.calls()


@pytest.mark.parametrize("service, method", [("telegram", "getUpdates"), ("models", "chat")])
def test_a_redirect_to_plain_http_is_not_followed_and_said(build, service, method):
    with build() as house:
        plain = house.cloud.listen(tls=None)
        path = f"/bot{house.cloud.token}/getUpdates" if service == "telegram" else ""
        fault = house.cloud.fault(service, method, "redirect", to=plain.url + path, status=307)
        chat = house.say("hello")
        house.wait(lambda: any("307" in line for line in house.board.log))
        house.ask("after", chat)

        assert fault.applied == 1
        assert plain.connections == 0
        assert not [call for call in house.cloud.calls() if not call.secure]


def test_a_wrong_token_is_said_without_it(build):
    house = build(settings={"telegram": {"token": "123456789:AAwrong-token"}})
    with house:
        house.wait(lambda: any("telegram.token" in line for line in house.board.log))
        assert "AAwrong-token" not in house.said()


def test_the_live_heap_is_the_same_after_20_and_after_60_messages(build):
    with build() as house:
        chats = [house.chat() for _ in range(10)]
        used = {}
        for number in range(60):
            house.ask(f"message {number % 10} 🧵", chats[number % 10])
            if number in (9, 19, 59):  # the first one pays for what is only loaded once
                house.quiet(0)
                used[number] = house.board.status()["heap_used"]
        assert used[19] == used[59]


def test_no_secret_was_let_out(house):
    said = house.said()
    assert not [secret for secret in house.secrets if secret in said or secret[-12:] in said]
