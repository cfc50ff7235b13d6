"""The simulated Bot API refuses and answers as the real one."""

import time

import pytest
from cloud_kit import Api

from tools.cloud import TOKEN, Cloud


@pytest.fixture(scope="module")
def running():
    with Cloud(tls=None) as cloud:
        yield cloud


@pytest.fixture
def cloud(running):
    running.telegram.flood_limits(enabled=False)
    running.clear_calls()
    return running


@pytest.fixture
def api(cloud):
    api = Api(cloud)
    yield api
    api.close()


def send(api, text, **params):
    answer = api("sendMessage", chat_id=42, text=text, **params)
    assert answer["ok"], answer
    return answer["result"]


def test_get_me_says_who_the_bot_is(api):
    me = api("getMe")["result"]

    assert me["is_bot"] and me["id"] == int(TOKEN.split(":")[0])


def test_a_message_comes_back_as_it_was_sent(api, cloud):
    message = send(api, "<b>x</b> & y", parse_mode="HTML")

    assert message["text"] == "x & y"
    assert message["entities"] == [{"offset": 0, "length": 1, "type": "bold"}]
    assert message["chat"]["id"] == 42 and message["from"]["is_bot"]
    assert type(message["date"]) is int
    assert cloud.telegram.messages(42)[-1].html == "<b>x</b> & y"


def test_message_ids_count_up_in_private_chats_and_groups_together_in_a_supergroup_alone(
    api, cloud
):
    small = cloud.telegram.chat(-78)
    group = cloud.telegram.chat(-1000000000556)
    chats = (42, small, group, 42, group)
    ids = [api("sendMessage", chat_id=at, text="x")["result"]["message_id"] for at in chats]

    assert [ids[1] - ids[0], ids[3] - ids[0], ids[2], ids[4]] == [1, 2, 1, 2]


@pytest.mark.parametrize("verb", ["GET", "POST"])
def test_parameters_come_by_query_string(api, verb):
    answer = api.send(verb, f"/bot{TOKEN}/sendMessage?chat_id=42&text=a%20%2B+b%C3%BC")

    assert answer["result"]["text"] == "a + bü"


def test_parameters_come_as_a_form(api):
    kind = "application/x-www-form-urlencoded"
    answer = api.send("POST", f"/bot{TOKEN}/sendMessage", b"chat_id=42&text=%F0%9F%98%80", kind)

    assert answer["result"]["text"] == "😀"


def test_parameters_come_as_json_with_surrogate_escapes(api):
    body = rb'{"chat_id":42,"text":"\ud83d\ude00","disable_notification":true}'
    answer = api.send("POST", f"/bot{TOKEN}/sendMessage", body, "application/json")

    assert answer["result"]["text"] == "😀"


def test_parameters_come_as_multipart(api):
    body = (
        b'--B\r\nContent-Disposition: form-data; name="chat_id"\r\n\r\n42\r\n'
        b'--B\r\nContent-Disposition: form-data; name="text"\r\n\r\nhi\r\n--B--\r\n'
    )
    answer = api.send("POST", f"/bot{TOKEN}/sendMessage", body, "multipart/form-data; boundary=B")

    assert answer["result"]["text"] == "hi"


@pytest.mark.parametrize("kind", [None, "text/plain"])
def test_a_body_of_another_kind_is_not_read(api, kind):
    answer = api.send("POST", f"/bot{TOKEN}/sendMessage", b"chat_id=42&text=hi", kind)

    assert answer["description"] == "Bad Request: message text is empty"


@pytest.mark.parametrize(
    ("query", "body", "kind"),
    [
        ("?text=first", b"text=second&chat_id=42", "application/x-www-form-urlencoded"),
        ("", b'{"chat_id":42,"text":"first","text":"second"}', "application/json"),
    ],
)
def test_the_first_of_two_values_counts(api, query, body, kind):
    answer = api.send("POST", f"/bot{TOKEN}/sendMessage{query}", body, kind)

    assert answer["result"]["text"] == "first"


@pytest.mark.parametrize("body", [b'{"a"', b'["a"]'])
def test_a_body_that_is_no_json_object_is_400_without_a_body(api, body):
    assert api.send("POST", f"/bot{TOKEN}/getMe", body, "application/json") is None
    assert api.status == 400


def test_method_names_ignore_case(api):
    assert api("GETME")["ok"]


def test_an_unknown_method_is_404(api):
    assert api.error("sendMassage") == "Not Found: method not found"
    assert api.status == 404


@pytest.mark.parametrize(
    ("token", "status", "description"),
    [
        ("123456789:wrong", 401, "Unauthorized"),
        ("1:FAKE", 401, "Unauthorized"),
        ("nonsense", 404, "Not Found"),
    ],
)
def test_a_wrong_token_is_refused(cloud, token, status, description):
    api = Api(cloud, token)

    assert api.error("getMe") == description
    assert api.status == status
    api.close()


@pytest.mark.parametrize(
    ("params", "description"),
    [
        ({"text": ""}, "message text is empty"),
        ({"chat_id": 42}, "message text is empty"),
        ({"text": " \n "}, "text must be non-empty"),
        ({"text": "<b></b>", "parse_mode": "HTML"}, "text must be non-empty"),
        ({"text": "x" * 4097}, "message is too long"),
        ({"text": "x" * 40000}, "text is too long"),
        ({"text": "<b>x", "parse_mode": "HTML"}, None),
        ({"text": "x", "parse_mode": "BB"}, "unsupported parse_mode"),
        ({"text": "x", "chat_id": ""}, "chat_id is empty"),
        ({"text": "x", "chat_id": 43}, "chat not found"),
        ({"text": "x", "chat_id": "@nobody"}, "chat not found"),
        ({"text": "x", "reply_to_message_id": 99999}, "message to be replied not found"),
        ({"text": "x", "message_thread_id": 7}, "message thread not found"),
        ({"text": "\ud83d"}, "strings must be encoded in UTF-8"),
    ],
)
def test_a_message_that_cannot_be_sent_is_refused(api, params, description):
    given = {"chat_id": 42, **params}

    found = api.error("sendMessage", **given)

    assert api.status == 400
    if description is not None:
        assert found == "Bad Request: " + description
    else:
        assert found.startswith("Bad Request: can't parse entities: Can't find end tag")


@pytest.mark.parametrize(
    "text",
    [
        "\u200b",
        "\ufeff",
        "\u2800 \n",
        "\u180e",
        "\u200d\u200d",
        "\xa0",
        "\u202e\u3000",
        "\U000e0041",
    ],
)
def test_a_text_of_which_nothing_is_seen_is_empty(api, text):
    assert api.error("sendMessage", chat_id=42, text=text) == (
        "Bad Request: text must be non-empty"
    )
    assert send(api, "." + text)["text"].startswith(".")


def test_a_run_of_marks_of_a_direction_keeps_only_its_last(api):
    assert send(api, "a\u200f\u200e\u200fb")["text"] == "a\u200c\u200c\u200fb"


@pytest.mark.parametrize("mode", ["Markdown", "MarkdownV2", "markdownv2"])
def test_markdown_is_not_taken_for_plain_text(api, mode):
    found = api.error("sendMessage", chat_id=42, text="plain", parse_mode=mode)

    assert api.status == 501 and "the simulated Telegram knows no Markdown" in found


def test_utf8_is_checked_in_raw_bytes(api):
    body = b'{"chat_id":42,"text":"\xed\xa0\xbd\xed\xb8\x80"}'
    answer = api.send("POST", f"/bot{TOKEN}/sendMessage", body, "application/json")

    assert answer["description"] == "Bad Request: strings must be encoded in UTF-8"


def test_length_is_counted_in_utf16_units_after_entities(api):
    assert send(api, "<b>" + "x" * 4096 + "</b>", parse_mode="HTML")
    assert send(api, "😀" * 2048)
    assert api.error("sendMessage", chat_id=42, text="😀" * 2048 + "x") == (
        "Bad Request: message is too long"
    )


@pytest.mark.parametrize("text", ["x" + " " * 32768, "é" * 16385])
def test_a_text_has_32_kib_at_most_before_it_is_trimmed(api, text):
    assert send(api, "x" + " " * 32767)["text"] == "x"
    assert api.error("sendMessage", chat_id=42, text=text) == "Bad Request: text is too long"


def test_lines_stay_and_what_would_turn_or_cross_the_text_is_dropped(api):
    assert send(api, "\xa0a\nb\x0cc\xa0")["text"] == "\xa0a\nb c\xa0"
    assert send(api, "a\u2028b\u202ec\u0333d\u033fe\u030af")["text"] == "abcdef"


@pytest.mark.parametrize(
    ("source", "text", "entities"),
    [
        ("\n a\tb\r\x00<i>c</i> \n", "a b c", [(4, 1)]),
        ("😀\r<b>\r</b><i>é\r </i>", "😀é", [(2, 1)]),
        ("<i>a</i><b> </b>", "a", [(0, 1)]),
        ("\n<i> a</i>", " a", [(0, 2)]),
    ],
)
def test_control_characters_become_spaces_and_ends_are_trimmed(api, source, text, entities):
    message = send(api, source, parse_mode="HTML")

    assert message["text"] == text
    assert message["entities"] == [
        {"offset": offset, "length": length, "type": "italic"} for offset, length in entities
    ]


def test_entities_are_taken_from_their_parameter(api):
    long, short = ({"offset": 0, "length": length, "type": "bold"} for length in (2, 1))

    assert send(api, "ab", entities=[short, long])["entities"] == [long, short]
    for other in ("[", {"offset": 0}):
        assert "entities" not in send(api, "ab", entities=other)


@pytest.mark.parametrize(
    ("entity", "description"),
    [
        (1, "expected an Object"),
        ({"offset": 0}, 'Can\'t find field "length"'),
        ({"length": 1}, 'Can\'t find field "offset"'),
    ],
)
def test_an_entity_has_a_place(api, entity, description):
    assert api.error("sendMessage", chat_id=42, text="ab", entities=[entity]) == (
        "Bad Request: can't parse MessageEntity: " + description
    )


@pytest.mark.parametrize(
    ("offset", "length", "description"),
    [
        (4, 1, "begins after the end of the text at UTF-16 offset 4"),
        (3, 1, "beginning at UTF-16 offset 3 ends after the end of the text at UTF-16 offset 4"),
        (0, 9, "beginning at UTF-16 offset 0 ends after the end of the text at UTF-16 offset 9"),
        (-1, 1, "with incorrect offset -1"),
        (0, 1000001, "with incorrect length 1000001"),
        (9, 0, None),
        (0, 3, None),
    ],
)
def test_an_entity_lies_within_the_text(api, offset, length, description):
    given = [{"offset": offset, "length": length, "type": "bold"}]
    params = {"chat_id": 42, "text": "a😀", "entities": given}

    if description:
        found = api.error("sendMessage", **params)
        assert found.startswith("Bad Request: ") and found.endswith("entity " + description)
    else:
        assert api("sendMessage", **params)["ok"]


def test_an_edit_changes_the_text_and_is_remembered(api, cloud):
    number = send(api, "one")["message_id"]
    answer = api("editMessageText", chat_id=42, message_id=number, text="two")

    assert answer["result"]["text"] == "two"
    assert answer["result"]["edit_date"] >= answer["result"]["date"]
    assert type(answer["result"]["edit_date"]) is int
    message = cloud.telegram.messages(42)[-1]
    assert [text for _, text in message.versions] == ["one", "two"]
    assert message.versions[0][0] <= message.versions[1][0]


def test_an_edit_without_a_change_is_refused(api):
    number = send(api, "<b>a</b>", parse_mode="HTML")["message_id"]
    same = {"chat_id": 42, "message_id": number}

    assert api.error("editMessageText", text="<strong>a</strong> ", parse_mode="HTML", **same) == (
        "Bad Request: message is not modified: specified new message content and reply markup are "
        "exactly the same as a current content and reply markup of the message"
    )
    assert api("editMessageText", text="a", **same)["ok"]
    button = {"inline_keyboard": [[{"text": "x", "callback_data": "y"}]]}
    edited = api("editMessageText", text="a", reply_markup=button, **same)["result"]
    assert edited["reply_markup"] == button
    assert "is not modified" in api.error("editMessageText", text="a", reply_markup=button, **same)


@pytest.mark.parametrize(
    ("params", "description"),
    [
        ({"message_id": 99999}, "message to edit not found"),
        ({"message_id": "x"}, "message to edit not found"),
        ({}, "message to edit not found"),
        ({"chat_id": None}, "message identifier is not specified"),
        ({"chat_id": None, "message_id": 1}, "chat_id is empty"),
        ({"chat_id": None, "inline_message_id": "x"}, "MESSAGE_ID_INVALID"),
        ({"message_id": 99999, "text": ""}, "message text is empty"),
    ],
)
def test_an_edit_of_nothing_is_refused(api, params, description):
    given = {"chat_id": 42, "text": "x", **params}

    assert api.error("editMessageText", **given) == "Bad Request: " + description


def test_a_users_message_cannot_be_edited(api, cloud):
    number = cloud.telegram.say(42, "mine")

    assert api.error("editMessageText", chat_id=42, message_id=number, text="x") == (
        "Bad Request: message can't be edited"
    )


def test_a_deleted_message_is_gone(api, cloud):
    number = send(api, "x")["message_id"]

    assert api("deleteMessage", chat_id=42, message_id=number)["result"] is True
    assert api.error("deleteMessage", chat_id=42, message_id=number) == (
        "Bad Request: message to delete not found"
    )
    assert api.error("editMessageText", chat_id=42, message_id=number, text="y") == (
        "Bad Request: message to edit not found"
    )
    assert number not in [message.id for message in cloud.telegram.messages(42)]
    assert number in [message.id for message in cloud.telegram.messages(42, deleted=True)]


def test_what_a_person_deleted_the_bot_finds_out_by_its_edit(api, cloud):
    sent = api("sendMessage", chat_id=42, text="x")["result"]
    cloud.telegram.remove(42, sent["message_id"])

    known = {"chat_id": 42, "message_id": sent["message_id"]}
    assert api.error("editMessageText", text="y", **known) == "Bad Request: MESSAGE_ID_INVALID"
    assert api("deleteMessage", **known)["result"] is True
    assert sent["message_id"] not in [one.id for one in cloud.telegram.messages(42)]


@pytest.mark.parametrize(
    ("chat", "description"),
    [
        (42, "message can't be deleted for everyone"),
        (-601, "message can't be deleted for everyone"),
        (-1000000000601, "message can't be deleted"),
    ],
)
def test_a_message_can_be_deleted_for_48_hours(api, cloud, chat, description):
    cloud.telegram.chat(chat)
    first, second = (
        api("sendMessage", chat_id=chat, text="x")["result"]["message_id"] for _ in range(2)
    )
    cloud.advance(48 * 3600 - 60)
    assert api("deleteMessage", chat_id=chat, message_id=first)["ok"]
    cloud.advance(61)

    assert api.error("deleteMessage", chat_id=chat, message_id=second) == (
        "Bad Request: " + description
    )


def test_a_persons_message_can_be_deleted_in_a_private_chat_alone(api, cloud):
    old = cloud.telegram.say(42, "x", date=1)
    assert api.error("deleteMessage", chat_id=42, message_id=old) == (
        "Bad Request: message can't be deleted for everyone"
    )
    number = cloud.telegram.say(42, "x")
    assert api("deleteMessage", chat_id=42, message_id=number)["result"] is True
    assert api.error("deleteMessage", chat_id=42, message_id=number) == (
        "Bad Request: message to delete not found"
    )
    number = cloud.telegram.say(-1000000000602, "x")
    assert api.error("deleteMessage", chat_id=-1000000000602, message_id=number) == (
        "Bad Request: message can't be deleted"
    )


@pytest.mark.parametrize(
    ("params", "description"),
    [
        ({"message_id": 1}, "chat identifier is not specified"),
        ({"chat_id": 42}, "message identifier is not specified"),
        ({"chat_id": 42, "message_id": 99999}, "message to delete not found"),
    ],
)
def test_nothing_cannot_be_deleted(api, params, description):
    assert api.error("deleteMessage", **params) == "Bad Request: " + description


def test_who_blocked_the_bot_gets_nothing(api, cloud):
    cloud.telegram.chat(77)
    cloud.telegram.block(77)

    assert api.error("sendMessage", chat_id=77, text="x") == (
        "Forbidden: bot was blocked by the user"
    )
    assert api.status == 403
    cloud.telegram.unblock(77)
    assert api("sendMessage", chat_id=77, text="x")["ok"]


@pytest.mark.parametrize(
    ("chat", "kind"),
    [(-602, "group"), (-1000000000603, "supergroup"), (-1000000000604, "channel")],
)
def test_who_threw_the_bot_out_gets_nothing(api, cloud, chat, kind):
    cloud.telegram.chat(chat, kind if kind == "channel" else None)
    for status, description in (
        ("kicked", f"Forbidden: bot was kicked from the {kind} chat"),
        ("left", f"Forbidden: bot is not a member of the {kind} chat"),
    ):
        cloud.telegram.member(chat, status)
        assert api.error("sendMessage", chat_id=chat, text="x") == description
        assert api.status == 403
    cloud.telegram.member(chat, "member")
    assert api("sendMessage", chat_id=chat, text="x")["result"]["chat"]["type"] == kind


def test_a_group_that_became_a_supergroup_says_so(api, cloud):
    cloud.telegram.chat(-500)
    cloud.telegram.migrate(-500, -1001234567890)
    answer = api("sendMessage", chat_id=-500, text="x")

    assert answer["error_code"] == api.status == 400
    assert answer["description"] == ("Bad Request: group chat was upgraded to a supergroup chat")
    assert answer["parameters"] == {"migrate_to_chat_id": -1001234567890}
    told = [one["message"] for one in api("getUpdates")["result"][-2:]]
    assert told[0]["chat"]["id"] == -500 and told[0]["migrate_to_chat_id"] == -1001234567890
    assert told[1]["chat"]["id"] == -1001234567890 and told[1]["migrate_from_chat_id"] == -500


@pytest.mark.parametrize("chat", [79, -1000000000555])
def test_a_topic_must_exist(api, cloud, chat):
    cloud.telegram.chat(chat, forum=chat < 0, topics=[1])
    cloud.telegram.say(chat, "a topic that somebody begins", thread=9)

    message = api("sendMessage", chat_id=chat, text="x", message_thread_id=9)["result"]

    assert message["message_thread_id"] == 9 and message["is_topic_message"]
    for unknown in (8, 1):  # 1 is the topic General, which has to be left out
        assert api.error("sendMessage", chat_id=chat, text="x", message_thread_id=unknown) == (
            "Bad Request: message thread not found"
        )


def test_a_group_without_topics_ignores_them(api, cloud):
    chat = cloud.telegram.chat(-1000000000558)
    message = api("sendMessage", chat_id=chat, text="x", message_thread_id=8)["result"]

    assert "message_thread_id" not in message


def test_a_reply_shows_what_it_answers(api, cloud):
    number = cloud.telegram.say(42, "question")
    message = send(api, "answer", reply_parameters={"message_id": number})

    assert message["reply_to_message"]["text"] == "question"
    lost = {"message_id": 99999, "allow_sending_without_reply": True}
    for nothing in (lost, {"message_id": -1}, {}, ""):
        assert "reply_to_message" not in send(api, "answer", reply_parameters=nothing)
    assert "reply_to_message" not in send(
        api, "answer", reply_to_message_id=99999, allow_sending_without_reply=True
    )


def test_a_deleted_message_cannot_be_answered(api):
    number = send(api, "x")["message_id"]
    api("deleteMessage", chat_id=42, message_id=number)

    assert api.error("sendMessage", chat_id=42, text="y", reply_to_message_id=number) == (
        "Bad Request: message to be replied not found"
    )


@pytest.mark.parametrize(
    ("params", "description"),
    [
        ({"reply_parameters": "{"}, "can't parse reply parameters JSON object"),
        ({"reply_parameters": [1]}, "object expected as reply parameters"),
        ({"reply_parameters": {"quote": "x"}}, 'can\'t find field "message_id"'),
        ({"reply_parameters": {"message_id": 99999}}, "message to be replied not found"),
        ({"reply_markup": "{"}, "can't parse reply keyboard markup JSON object"),
        ({"reply_markup": [1]}, "object expected as reply markup"),
    ],
)
def test_what_goes_with_a_message_is_checked(api, params, description):
    assert api.error("sendMessage", chat_id=42, text="x", **params) == (
        "Bad Request: " + description
    )


def test_chat_actions_are_checked_and_recorded(api, cloud):
    assert api("sendChatAction", chat_id=42, action="typing")["result"] is True
    assert api.error("sendChatAction", chat_id=42, action="dancing") == (
        "Bad Request: wrong parameter action in request"
    )
    assert [call.status for call in cloud.telegram.calls("sendChatAction")] == [200, 400]


def test_a_chat_action_goes_where_a_message_could(api, cloud):
    forum = cloud.telegram.chat(-1000000000559, forum=True, topics=[9])
    group = cloud.telegram.chat(-603)
    for chat, thread, description in (
        (43, None, "chat not found"),
        (group, 9, "chat is not a forum"),
        (forum, 8, "message thread not found"),
    ):
        assert api.error(
            "sendChatAction", chat_id=chat, message_thread_id=thread, action="typing"
        ) == ("Bad Request: " + description)
    for thread in (None, 1, 9):
        assert api("sendChatAction", chat_id=forum, message_thread_id=thread, action="typing")[
            "ok"
        ]


def test_commands_are_kept(api, cloud):
    given = [{"command": "/stop", "description": "Stops"}]

    assert api("setMyCommands", commands=given)["result"] is True
    assert cloud.telegram.commands() == [{"command": "stop", "description": "Stops"}]
    assert api("getMyCommands")["result"] == cloud.telegram.commands()
    assert api("deleteMyCommands")["result"] is True
    assert cloud.telegram.commands() == []
    assert api.error("setMyCommands", commands=[{"command": "x"}]) == (
        "Bad Request: can't parse BotCommand: Can't find field \"description\""
    )
    assert api.error("setMyCommands", commands=[{"command": "Ä", "description": "x"}]) == (
        "Bad Request: BOT_COMMAND_INVALID"
    )


@pytest.mark.parametrize(
    ("commands", "description"),
    [
        ("[", "can't parse commands JSON object"),
        ({"command": "a"}, "expected an Array of BotCommand"),
        (["a"], "can't parse BotCommand: expected an Object"),
        ([{"command": "/", "description": "x"}], "command must be non-empty"),
        ([{"command": "a" * 33, "description": "x"}], "command length must not exceed 32"),
        ([{"command": "a", "description": " "}], "command description must be non-empty"),
        (
            [{"command": "a", "description": "x" * 257}],
            "command description length must not exceed 256",
        ),
        ([{"command": "Stop", "description": "x"}], "BOT_COMMAND_INVALID"),
        ([{"command": "a-b", "description": "x"}], "BOT_COMMAND_INVALID"),
        ([{"command": "a", "description": "x"}] * 101, "BOT_COMMANDS_TOO_MUCH"),
    ],
)
def test_commands_keep_their_form(api, commands, description):
    assert api("setMyCommands", commands=[{"command": "a" * 32, "description": "x" * 256}] * 100)
    assert api.error("setMyCommands", commands=commands) == "Bad Request: " + description
    assert len(api("getMyCommands")["result"]) == 100


def test_webhooks_are_set_and_deleted(api):
    assert api("deleteWebhook")["description"] == "Webhook is already deleted"
    assert api("setWebhook", url="https://x.invalid/")["result"] is True
    assert api("getWebhookInfo")["result"]["url"] == "https://x.invalid/"
    assert api.error("getUpdates").startswith("Conflict: can't use getUpdates method while")
    assert api("deleteWebhook")["description"] == "Webhook was deleted"
    assert api("getUpdates")["ok"]
    assert api.error("setWebhook", url="http://x.invalid/") == (
        "Bad Request: bad webhook: An HTTPS URL must be provided for webhook"
    )


def test_a_webhook_goes_with_the_updates_that_wait_if_told(api, cloud):
    cloud.telegram.restart_ids(1000)
    cloud.telegram.say(42, "x")
    assert api("getWebhookInfo")["result"]["pending_update_count"] == 1
    api("deleteWebhook", drop_pending_updates=True)

    assert api("getWebhookInfo")["result"]["pending_update_count"] == 0


def test_a_burst_is_refused_and_waiting_helps(api, cloud):
    cloud.telegram.flood.reset()
    cloud.telegram.flood_limits(enabled=True)
    number = send(api, "0")["message_id"]
    for count in range(4):
        assert api("editMessageText", chat_id=42, message_id=number, text=f"{count} x")["ok"]

    answer = api("sendMessage", chat_id=42, text="too many")

    assert api.status == 429 and api.headers["Retry-After"] == "1"
    assert answer == {
        "ok": False,
        "error_code": 429,
        "description": "Too Many Requests: retry after 1",
        "parameters": {"retry_after": 1},
    }


def test_a_chat_takes_one_a_second_after_a_burst_of_five(still):
    api = Api(still)
    for seconds in (0, 100):
        still.advance(seconds)
        for _ in range(5):
            assert api("sendMessage", chat_id=42, text="x")["ok"]
        for _ in range(2):
            still.advance(0.8)
            assert api.error("sendMessage", chat_id=42, text="x").endswith("retry after 1")
            still.advance(0.25)
            assert api("sendMessage", chat_id=42, text="x")["ok"]
    api.close()


def test_a_group_takes_twenty_a_minute(still):
    group = still.telegram.chat(-600)
    api = Api(still)
    for _ in range(20):
        assert api("sendMessage", chat_id=group, text="x")["ok"]
        still.advance(1)
    still.advance(0.5)

    assert api.error("sendMessage", chat_id=group, text="x").endswith("retry after 40")
    still.advance(39.6)
    assert api("sendMessage", chat_id=group, text="x")["ok"]
    assert api.error("sendMessage", chat_id=group, text="x").endswith("retry after 1")
    api.close()


def test_thirty_a_second_in_all(still):
    chats = range(1000, 1031)
    for chat in chats:
        still.telegram.chat(chat)
    api = Api(still)
    for chat in chats[:30]:
        assert api("sendMessage", chat_id=chat, text="x")["ok"]

    assert api.error("sendMessage", chat_id=chats[30], text="x").endswith("retry after 1")
    still.advance(1.1)
    assert api("sendMessage", chat_id=chats[30], text="x")["ok"]
    api.close()


def test_a_refused_call_costs_nothing(api, cloud):
    cloud.telegram.flood.reset()
    cloud.telegram.flood_limits(enabled=True)
    for _ in range(10):
        assert api.error("sendMessage", chat_id=42, text="<b>", parse_mode="HTML")
    assert api("sendMessage", chat_id=42, text="x")["ok"]


def test_calls_are_recorded_with_the_token_masked(api, cloud):
    before = time.time()
    send(api, "secret?")
    call = cloud.telegram.calls("sendmessage")[-1]

    assert call.verb == "POST" and call.path == "/bot***/sendMessage"
    assert call.params == {"chat_id": "42", "text": "secret?"}
    assert call.status == 200 and call.ms < 1000 and call.time >= before
    assert cloud.telegram.count("sendMessage") == 1
    assert TOKEN not in repr(call.to_json())


def test_changes_tell_what_the_bot_did_in_order(api, cloud):
    since = (cloud.telegram.changes() or [{"seq": 0}])[-1]["seq"]
    number = send(api, "a")["message_id"]
    api("editMessageText", chat_id=42, message_id=number, text="b")
    api("deleteMessage", chat_id=42, message_id=number)

    changes = cloud.telegram.changes(since)

    assert [(change["kind"], change["text"]) for change in changes] == [
        ("sent", "a"),
        ("edited", "b"),
        ("deleted", "b"),
    ]
