"""getUpdates keeps the Bot API server's rules; time passes by the cloud's clock."""

import http.client
import json
import threading
import time

import pytest
from cloud_kit import Api, raw

from tools.cloud import TOKEN, Cloud
from tools.cloud.world import ANONYMOUS

DAY = 24 * 3600


@pytest.fixture(scope="module")
def running():
    with Cloud(tls=None) as cloud:
        yield cloud


@pytest.fixture
def cloud(running):
    running.telegram.restart_ids(1000)
    running.telegram.thread.call(lambda: setattr(running.telegram.updates, "allowed", None))
    running.advance(10)  # no poll of another test is recent, no conflict either
    return running


@pytest.fixture
def api(cloud):
    api = Api(cloud)
    yield api
    api.close()


class Waiting:
    """A getUpdates under way in a thread."""

    def __init__(self, cloud, **params):
        self.api = Api(cloud)
        self.answer = None
        self.seconds = 0.0
        self._thread = threading.Thread(target=self._run, args=(params,))
        polls = cloud.telegram.count("getUpdates")
        self._thread.start()
        cloud.wait_for(lambda: cloud.telegram.count("getUpdates") > polls)

    def _run(self, params):
        started = time.monotonic()
        self.answer = self.api("getUpdates", **params)
        self.seconds = time.monotonic() - started

    def join(self):
        self._thread.join(10)
        assert not self._thread.is_alive()
        self.api.close()
        return self.answer


def ids(answer):
    return [update["update_id"] for update in answer["result"]]


def say(cloud, count):
    cloud.telegram.say_many([str(number) for number in range(count)])


def test_an_offset_confirms_what_is_older(api, cloud):
    say(cloud, 3)

    assert ids(api("getUpdates")) == [1000, 1001, 1002]
    assert ids(api("getUpdates", offset=1001)) == [1001, 1002]
    assert cloud.telegram.pending() == 2
    cloud.advance(5)
    assert ids(api("getUpdates")) == [1001, 1002]


@pytest.mark.parametrize(
    ("limit", "most"),
    [(2, 2), ("2x", 2), (0, 1), (-5, 1), ("x", 1), (1000, 100), ("", 100), (None, 100)],
)
def test_limit_is_a_number_from_1_to_100(api, cloud, limit, most):
    say(cloud, 102)

    assert len(ids(api("getUpdates", limit=limit))) == most


def test_an_answer_stays_below_4_mib(api, cloud):
    for _ in range(5):
        cloud.telegram.push("poll", b'{"id":"%s"}' % (b"1" * (1 << 20)))

    assert ids(api("getUpdates")) == [1000, 1001, 1002]


def test_the_queue_holds_100_000_updates(cloud):
    updates = cloud.telegram.updates
    cloud.thread.call(lambda: [updates.push("poll", b"{}") for _ in range(99_999)])

    assert cloud.telegram.say(42, "the last that fits") > 0
    assert cloud.telegram.push("poll", "{}") is None
    assert cloud.telegram.pending() == 100_000


def test_a_negative_offset_keeps_the_last_ones(api, cloud):
    say(cloud, 5)

    assert ids(api("getUpdates", offset=-2)) == [1003, 1004]
    assert cloud.telegram.pending() == 2


def test_an_offset_far_past_the_end_means_the_head(api, cloud):
    say(cloud, 2)

    assert ids(api("getUpdates", offset=1002 + 11)) == [1000, 1001]
    assert ids(api("getUpdates", offset=1002 + 10)) == []
    assert cloud.telegram.pending() == 0


def test_an_offset_a_little_past_the_end_confirms_what_comes_next(still):
    after = still.telegram.updates.tail + 3
    poll = Waiting(still, offset=after, timeout=30)
    say(still, 4)
    still.advance(1)

    assert ids(poll.join()) == [after]
    assert still.telegram.pending() == 1


def test_ids_may_start_anew_and_lower(api, cloud):
    say(cloud, 2)
    api("getUpdates", offset=1002)
    cloud.telegram.restart_ids(7)
    say(cloud, 1)

    assert ids(api("getUpdates", offset=1002)) == [7]


def test_an_unconfirmed_update_waits_a_day(api, cloud):
    say(cloud, 1)
    cloud.advance(DAY - 5)
    say(cloud, 1)
    cloud.advance(10)

    assert ids(api("getUpdates")) == [1001]


def test_an_update_that_nobody_asks_for_waits_a_day(still):
    say(still, 1)
    still.advance(DAY - 1)
    assert still.telegram.pending() == 1
    still.advance(2)

    assert still.telegram.pending() == 0


def test_a_long_poll_ends_with_the_first_update(cloud):
    poll = Waiting(cloud, timeout=30)
    assert cloud.telegram.polling()
    cloud.telegram.say(42, "wake up")

    assert poll.join()["result"][0]["message"]["text"] == "wake up"
    assert poll.seconds < 2


def test_updates_of_one_moment_come_together(cloud):
    poll = Waiting(cloud, timeout=30)
    say(cloud, 5)

    assert len(ids(poll.join())) == 5


def test_a_long_poll_keeps_its_limit(cloud):
    poll = Waiting(cloud, timeout=30, limit=2)
    say(cloud, 5)

    assert len(ids(poll.join())) == 2


def test_a_long_poll_lasts_50_seconds_at_most(still):
    poll = Waiting(still, timeout=600)
    still.advance(49)
    assert still.telegram.polling()
    still.advance(1.5)

    assert not still.telegram.polling()
    assert poll.join() == {"ok": True, "result": []}


@pytest.mark.parametrize("timeout", [None, 0, -1])
def test_a_short_poll_does_not_wait(still, timeout):
    api = Api(still)

    assert ids(api("getUpdates", timeout=timeout)) == []
    api.close()


@pytest.mark.parametrize(("timeout", "seconds"), [(0, 3), (2, 3), (30, 30)])
def test_the_same_offset_again_within_3_seconds_waits_at_least_3_seconds(still, timeout, seconds):
    api = Api(still)
    api("getUpdates", offset=5)
    api.close()
    still.advance(2.5)
    poll = Waiting(still, offset=5, timeout=timeout)
    still.advance(seconds - 0.5)
    assert still.telegram.polling()
    still.advance(1)

    assert not still.telegram.polling()
    assert ids(poll.join()) == []


def test_the_same_offset_after_3_seconds_does_not_wait(still):
    api = Api(still)
    api("getUpdates", offset=5)
    still.advance(3.1)

    assert ids(api("getUpdates", offset=5)) == []
    api.close()


def test_the_same_offset_again_at_once_gives_one_update(api, cloud):
    say(cloud, 3)

    assert len(ids(api("getUpdates"))) == 3
    assert len(ids(api("getUpdates"))) == 1
    cloud.advance(0.6)
    assert len(ids(api("getUpdates"))) == 3


def test_the_older_of_two_pollers_gets_409(cloud):
    older = Waiting(cloud, timeout=30)
    newer = Waiting(cloud, timeout=30)
    answer = older.join()

    assert answer == {
        "ok": False,
        "error_code": 409,
        "description": "Conflict: terminated by other getUpdates request; make sure that only one "
        "bot instance is running",
    }
    cloud.telegram.say(42, "for the newer")
    assert len(ids(newer.join())) == 1


def test_a_second_conflict_within_3_seconds_is_told_3_seconds_later(still):
    first, second = Waiting(still, timeout=30), Waiting(still, timeout=30)
    assert first.join()["error_code"] == 409
    still.advance(2.5)
    third = Waiting(still, timeout=30)
    still.advance(2.5)
    time.sleep(0.1)
    assert second.answer is None
    still.advance(1)
    assert second.join()["error_code"] == 409

    last = Waiting(still, timeout=30)
    assert third.join()["error_code"] == 409
    say(still, 1)
    still.advance(1)
    assert len(ids(last.join())) == 1


def test_a_webhook_ends_the_poll_that_waits_and_refuses_the_next(still):
    api = Api(still)
    poll = Waiting(still, timeout=30)
    api("setWebhook", url="https://x.invalid/")
    assert poll.join() == {
        "ok": False,
        "error_code": 409,
        "description": "Conflict: terminated by setWebhook request",
    }
    still.advance(3)
    assert api.error("getUpdates") == (
        "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to "
        "delete the webhook first"
    )
    assert api.status == 409
    api("deleteWebhook")

    assert api("getUpdates")["ok"]
    api.close()


def test_a_poll_that_gets_updates_at_once_does_not_end_the_waiting_one(api, cloud):
    poll = Waiting(cloud, timeout=30)
    assert ids(api("getUpdates", offset=1)) == []
    assert cloud.telegram.polling()
    cloud.telegram.say(42, "x")

    assert len(ids(poll.join())) == 1


def test_a_poller_that_goes_away_confirms_nothing(cloud):
    connection = http.client.HTTPConnection("127.0.0.1", cloud.plain.port)
    connection.request("GET", f"/bot{TOKEN}/getUpdates?timeout=30")
    cloud.wait_for(cloud.telegram.polling)
    connection.close()
    cloud.wait_for(lambda: not cloud.telegram.polling())
    say(cloud, 1)

    assert cloud.telegram.pending() == 1


def test_allowed_updates_are_remembered(api, cloud):
    api("getUpdates", allowed_updates=["callback_query"])

    assert cloud.telegram.say(42, "unwanted") > 0
    cloud.telegram.callback(42, data="wanted")
    cloud.advance(5)
    updates = api("getUpdates", timeout=0)["result"]
    assert [list(update)[1] for update in updates] == ["callback_query"]
    api("getUpdates", allowed_updates=[])
    assert cloud.telegram.updates.allowed is None


@pytest.mark.parametrize("given", ["message", '"message"', "[1]", '{"message":1}'])
def test_allowed_updates_that_are_no_array_of_names_change_nothing(api, cloud, given):
    api("getUpdates", allowed_updates=["Callback_Query"])
    assert api("getUpdates", offset=1, allowed_updates=given)["ok"]

    assert cloud.telegram.updates.allowed == {"callback_query"}


def test_a_rich_message_has_no_text(api, cloud):
    cloud.telegram.rich(42, ["one", {"type": "divider"}])
    message = api("getUpdates")["result"][0]["message"]
    one, rule = message["rich_message"]["blocks"]
    assert one == {"type": "paragraph", "text": "one"} and rule == {"type": "divider"}
    assert "text" not in message


def test_optional_kinds_do_not_come_unasked(cloud):
    for kind in ("chat_member", "message_reaction", "message_reaction_count"):
        assert cloud.telegram.push(kind, {"chat": {"id": 42}}) is None
    assert cloud.telegram.push("poll", '{"id":"1"}') == 1000


def test_updates_of_all_kinds_arrive(api, cloud):
    people, group = cloud.telegram, cloud.telegram.chat(-(2**52))
    question = people.say(42, "hello /start@thimble_test_bot now")
    people.edit(42, question, "hello again")
    people.photo(42, "look")
    people.sticker(42)
    people.voice(42, 5)
    people.join(group, 2**52 - 1)
    people.leave(group, 2**52 - 1)
    people.channel_post()
    people.callback(42, data="button")
    people.block(42)
    people.unblock(42)
    people.say(-1000000000777, "in a topic", user=2**52, thread=5)
    people.say(42, "in a topic of a private chat", thread=6)

    updates = api("getUpdates")["result"]

    kinds = [list(update)[1] for update in updates]
    assert kinds == [
        *("message", "edited_message", "message", "message", "message", "message", "message"),
        *("channel_post", "callback_query", "my_chat_member", "my_chat_member", "message"),
        "message",
    ]
    first, edited, photo, sticker, voice, joined, left = (u[list(u)[1]] for u in updates[:7])
    assert first["entities"] == [{"offset": 6, "length": 23, "type": "bot_command"}]
    assert edited["message_id"] == first["message_id"] and edited["text"] == "hello again"
    assert edited["edit_date"] >= edited["date"] and "entities" not in edited
    assert photo["caption"] == "look" and photo["photo"][0]["width"] == 90
    assert sticker["sticker"]["emoji"] == "😀" and voice["voice"]["duration"] == 5
    assert joined["new_chat_members"][0]["id"] == 2**52 - 1 and joined["chat"]["id"] == -(2**52)
    assert left["left_chat_member"]["id"] == 2**52 - 1
    changes = [update["my_chat_member"] for update in updates[9:11]]
    assert [
        (change["old_chat_member"]["status"], change["new_chat_member"]["status"])
        for change in changes
    ] == [("member", "kicked"), ("kicked", "member")]
    topic = updates[11]["message"]
    assert topic["message_thread_id"] == 5 and topic["is_topic_message"]
    assert topic["from"]["id"] == 2**52 and topic["chat"]["is_forum"]
    assert updates[12]["message"]["message_thread_id"] == 6
    assert updates[12]["message"]["is_topic_message"]


def test_what_is_answered_stands_before_the_text_or_behind_it(cloud):
    cloud.telegram.say(42, "now", reply_to="before")
    cloud.telegram.say(42, "now", reply_to="before", reply_last=True)
    query = b"GET /bot%s/getUpdates HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    body = raw(cloud, query % TOKEN.encode()).partition(b"\r\n\r\n")[2]
    first, second = json.loads(body)["result"]

    assert first["message"]["text"] == second["message"]["text"] == "now"
    assert list(first["message"]).index("reply_to_message") < list(first["message"]).index("text")
    assert list(second["message"])[-1] == "reply_to_message"
    assert first["message"]["reply_to_message"]["text"] == "before"


def test_a_reply_in_a_supergroup_has_a_thread_that_is_no_topic(api, cloud):
    group = cloud.telegram.chat(-1000000000557)
    root = cloud.telegram.say(group, "root", user=42)
    reply = cloud.telegram.say(group, "reply", user=43, reply_to=root)
    cloud.telegram.say(group, "reply to that", user=42, reply_to=reply)
    messages = [update["message"] for update in api("getUpdates")["result"]]

    assert [one.get("message_thread_id") for one in messages] == [None, root, root]
    assert not any("is_topic_message" in one for one in messages)


def test_an_admin_without_a_name_writes_as_the_group(api, cloud):
    group = cloud.telegram.chat(-1000000000560)
    cloud.telegram.say(group, "x", user=ANONYMOUS)
    message = api("getUpdates")["result"][0]["message"]

    assert message["from"]["id"] == 1087968824 and message["from"]["is_bot"]
    assert message["from"]["username"] == "GroupAnonymousBot"
    assert message["sender_chat"] == message["chat"]


def test_text_comes_in_escapes_or_in_raw_utf8(cloud):
    cloud.telegram.say(42, "😀é")
    cloud.telegram.say(42, "😀é", raw=True)
    query = b"GET /bot%s/getUpdates HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    body = raw(cloud, query % TOKEN.encode()).partition(b"\r\n\r\n")[2]

    assert rb'"text":"\ud83d\ude00\u00e9"' in body
    assert '"text":"😀é"'.encode() in body
    assert b'{"update_id":1000,\n"message":{' in body


def test_extra_fields_and_dates_are_put_in(api, cloud):
    cloud.telegram.say(42, "x", date=1, extra={"via_bot": {"id": 5}})

    message = api("getUpdates")["result"][0]["message"]
    assert message["date"] == 1 and message["via_bot"] == {"id": 5}
    with pytest.raises(TypeError, match="unknown options: rww"):
        cloud.telegram.say(42, "x", rww=True)
