"""getUpdates: what passes, what is confirmed, what waits."""

import json
import os

from fake_bot_http import Http
from kit import raises
from ramdisk import Disk
from thimble.core.errors import ApiError, NetError, ParseError
from thimble.core.ring import Ring
from thimble.store.journal import Journal
from thimble.telegram import updates
from thimble.telegram.bot import Bot, Peer

QEMU = True
HEAP = "512k"
TOKEN = "1:fake"
FILE = "/ram/journal"

disk = Disk(24)
disk.format("/ram")


def message(number, text="hi", chat=42, sender=42, **more):
    body = {
        "message_id": 7,
        "from": {"id": sender, "is_bot": False},
        "chat": {"id": chat, "type": "private" if chat > 0 else "supergroup"},
        "date": 1,
    }
    body.update(more)
    if text is not None:
        body["text"] = text
    return {"update_id": number, "message": body}


def answer(*items):
    return json.dumps({"ok": True, "result": items}).encode()


def make(*answers, size=40000, step=64, allow=(b"42",)):
    http = Http(answers, step)
    bot = Bot(http, TOKEN, "", updates.PATHS)
    inbox = Ring(bytearray(size), updates.RECORD)
    asides = Ring(bytearray(1024), 2 * updates.ASIDE)
    try:
        os.remove(FILE)
    except OSError:
        pass
    journal = Journal(FILE, 65536, bytearray(512))
    return updates.Updates(bot, inbox, asides, list(allow), journal), http


def texts(ring):
    found, at = [], ring.first()
    while at >= 0:
        found.append(bytes(ring.buf[at + updates.TEXT : at + ring.size(at)]).decode())
        at = ring.after(at)
    return found


def codes(ring):
    """The commands' numbers; the text of none of them may be said to be too long."""
    found, at = [], ring.first()
    while at >= 0:
        assert not ring.buf[at] & updates.LONG
        found.append(ring.buf[at + 3])
        at = ring.after(at)
    return found


def key(ring):
    at = ring.first()
    return bytes(ring.buf[at + updates.KEY : at + updates.KEY + ring.buf[at + 1]])


def test_a_message_of_the_allowed_user_is_in_the_inbox_and_confirmed():
    it, http = make(answer(message(100, "grüß dich 😀")), answer())
    it.poll(0)
    assert texts(it.inbox) == ["grüß dich 😀"]
    assert key(it.inbox) == b"42"
    it.poll(0)
    assert http.last["offset"] == 101
    assert http.last["allowed_updates"] == ["message"]


def test_all_calls_but_a_message_may_be_sent_again():
    it, http = make(*[answer()] * 8)
    bot, peer = it.bot, Peer()
    peer.load(b"42", 0, 2, 2, False)
    bot.message_id_len = 1
    bot.call(b"getMe")
    bot.call(b"setMyCommands")
    bot.call(b"sendMessage", peer, b"hi", 0, 2)
    bot.call(b"editMessageText", peer, b"ho", 0, 2)
    bot.call(b"sendMessage", peer, b"hi", 0, 2)
    it.poll(0)
    bot.call(b"sendChatAction", peer)
    bot.call(b"deleteMessage", peer)
    names = "getMe setMyCommands editMessageText getUpdates sendChatAction deleteMessage"
    assert http.repeatable == names.split()


def test_what_is_edited_is_the_message_that_was_sent_last():
    it, http = make(b'{"ok":true,"result":{"message_id":9007199254740993}}', answer())
    peer = Peer()
    peer.load(b"42", 0, 2, 2, False)
    it.bot.call(b"sendMessage", peer, b"hi", 0, 2)
    it.bot.call(b"editMessageText", peer, b"ho", 0, 2)
    assert (http.last["message_id"], http.last["text"]) == (9007199254740993, "ho")


def test_any_chunking_gives_the_same_record():
    for step in (1, 2, 3, 7, 1000):
        it, _ = make(answer(message(9, '/new "b" \\ c', -1001234567890, 42)), step=step)
        it.poll(0)
        assert texts(it.inbox) == ['/new "b" \\ c'], step
        assert key(it.inbox) == b"-1001234567890"


def test_the_order_of_the_fields_does_not_matter():
    whole = (
        b'{"result":[{"message":{"text":"x",'
        b'"reply_to_message":{"text":"not this","from":{"id":1}},'
        b'"chat":{"type":"private","id":42},"from":{"id":42}},"update_id":5}],"ok":true}'
    )
    it, http = make(whole, answer())
    it.poll(0)
    assert texts(it.inbox) == ["x"]
    it.poll(0)
    assert http.last["offset"] == 6


def test_an_answer_that_says_nothing_is_called_a_redirect_only_where_it_is_one():
    for status in (200, 302, 400, 502):
        for kind in (True, False) if status >= 300 else (True,):
            it, http = make((status, b"{}"))
            http.is_json = kind
            error = raises(ApiError, lambda it=it: it.poll(0))
            assert error.status == status and str(status) in error.text
            assert ("redirects" in error.text) == (status == 302), error.text


def test_a_stranger_is_counted_confirmed_and_nothing_else():
    it, http = make(answer(message(5, sender=666, chat=666)), answer())
    it.poll(0)
    assert it.inbox.count == 0 and it.refused == 1
    assert bytes(it.refused_id[: it.refused_len]) == b"666"
    it.poll(0)
    assert http.last["offset"] == 6


def test_who_is_refused_in_a_group_is_named_by_its_id_which_a_fake_sender_has_not():
    # An admin who stays anonymous is 1087968824 in every group there is: who listed that id would
    # let in whoever adds the bot to a group.
    group = {"id": -100, "type": "supergroup"}
    it, _ = make(answer(message(5, sender=1087968824, chat=-100, sender_chat=group)))
    it.poll(0)
    assert it.inbox.count == 0 and it.refused == 1
    assert bytes(it.refused_id[: it.refused_len]) == b"-100"


def test_an_empty_allow_list_lets_nobody_in():
    it, _ = make(answer(message(5)), allow=())
    it.poll(0)
    assert it.inbox.count == 0 and it.refused == 1


def test_an_id_that_only_begins_like_an_allowed_one_is_refused():
    it, _ = make(answer(message(5, sender=421, chat=421), message(6, sender=4, chat=4)))
    it.poll(0)
    assert it.inbox.count == 0 and it.refused == 2


def test_a_listed_group_lets_its_members_in():
    it, _ = make(answer(message(5, "/new", sender=7, chat=-100)), allow=(b"42", b"-100"))
    it.poll(0)
    at = it.inbox.first()
    assert it.inbox.buf[at] & updates.GROUP and not it.inbox.buf[at] & updates.OWNER


def test_a_topic_of_a_forum_is_a_conversation_of_its_own():
    topic = message(5, "/new", chat=-100, message_thread_id=33, is_topic_message=True)
    it, _ = make(answer(topic))
    it.poll(0)
    assert key(it.inbox) == b"-100:33"


def test_a_thread_that_is_no_topic_is_not():
    it, _ = make(answer(message(5, "/new", chat=-100, message_thread_id=33)))
    it.poll(0)
    assert key(it.inbox) == b"-100"


def test_updates_without_text_are_confirmed_and_those_of_a_person_kept_to_be_answered():
    it, http = make(
        answer(
            {"update_id": 1, "my_chat_member": {"chat": {"id": 42}}},
            message(2, None, new_chat_members=[{"id": 3}]),
            message(3, None, photo=[{"file_id": "x"}], caption="look"),
        ),
        answer(),
    )
    it.poll(0)
    assert it.inbox.count == 1
    assert it.inbox.buf[it.inbox.first()] & updates.ODD
    it.poll(0)
    assert http.last["offset"] == 4


def test_what_a_person_sends_without_words_is_kept_to_be_answered():
    kinds = ("poll", "dice", "story", "checklist", "paid_media", "game")
    items = [message(2 + i, None, **{kinds[i]: {"text": "/new"}}) for i in range(len(kinds))]
    it, _ = make(answer(*items))
    it.poll(0)
    assert it.inbox.count == len(kinds)


def rich(number, *blocks, **more):
    return message(number, None, rich_message={"blocks": blocks}, **more)


def test_a_rich_messages_texts_are_read_a_line_for_each_block():
    blocks = (
        '{"type":"heading","text":"Head","size":1}',
        '{"type":"paragraph","text":["plain ",{"type":"bold","text":{"type":"italic","text":["bo",'
        '"ld"]}},{"type":"url","text":"!","url":"no"},{"type":"x","expression":"\\\\pi"}]}',
        '{"type":"list","items":[{"label":"1.","blocks":[{"type":"paragraph","text":"one"}]},{'
        '"label":"2.","blocks":[{"type":"paragraph","text":["tw",{"type":"code","text":"o"}]}]}]}',
        '{"type":"divider"}',
        '{"type":"table","cells":[[{"text":"a","align":"left"},{"text":"b"}],[{"text":"c"},{}]],'
        '"caption":"cap"}',
        '{"type":"details","summary":"sum","blocks":[{"type":"pre","text":"x = 1"}]}',
        '{"type":"mathematical_expression","expression":"e^x"}',
        '{"type":"photo","photo":[{"file_id":"no"}],"caption":{"text":["lo","ok"]}}',
    )
    said = "Head|plain bold!\\pi|one|two|a|b|c|cap|sum|x = 1|e^x|look"
    whole = answer(message(5, None, rich_message={"blocks": [0]}), message(6, "and this"))
    whole = whole.replace(b"[0]", b"[" + ",".join(blocks).encode() + b"]")
    for step in (1, 7, 1000):
        it, _ = make(whole, step=step)
        it.poll(0)
        found = texts(it.inbox)
        assert found == [said.replace("|", "\n") + "\n", "and this"], found


def test_a_rich_messages_lists_may_lie_in_each_other():
    text = ["not ", {"type": "bold", "text": ["so ", {"type": "italic", "text": ["d", "eep"]}]}]
    blocks = [{"type": "paragraph", "text": text}]
    for depth in range(6):
        it, _ = make(answer(rich(5, *blocks), message(6, "and this")))
        it.poll(0)
        assert texts(it.inbox) == ["not so deep\n", "and this"], depth
        blocks = [{"type": "list", "items": [{"label": "1.", "blocks": blocks}]}]


def test_a_rich_message_that_can_never_fit_is_marked_as_too_long():
    for size in (12287, 12289, 12321, 13000):  # and a line's end
        for count in (1, 2, 48):
            line = size // count
            blocks = [{"text": "x" * (line - 1)}] * (count - 1)
            blocks.append({"text": "y" * (size - line * (count - 1))})
            it, _ = make(answer(rich(1, *blocks), message(2)), step=1000)
            it.poll(0)
            at = it.inbox.first()
            long = size > 12288
            assert bool(it.inbox.buf[at] & updates.LONG) == long, (size, count)
            assert it.inbox.size(at) == updates.TEXT + (0 if long else 12288)
            assert texts(it.inbox)[1] == "hi"


def test_ids_of_52_bits_keep_every_digit():
    big = 4503599627370495
    listed = (b"%d" % big,)
    it, http = make(answer(message(2147483646, chat=big, sender=big)), answer(), allow=listed)
    it.poll(0)
    assert key(it.inbox) == b"4503599627370495"
    it.poll(0)
    assert http.last["offset"] == 2147483647


def test_the_longest_message_of_telegram_fits():
    it, _ = make(answer(message(1, "€" * 4096)))
    it.poll(0)
    assert texts(it.inbox) == ["€" * 4096]


def test_a_text_that_can_never_fit_is_marked_as_too_long_and_confirmed():
    it, http = make(answer(message(1, "x" * 13000)), answer())
    it.poll(0)
    at = it.inbox.first()
    assert it.inbox.buf[at] & updates.LONG and it.inbox.size(at) == updates.TEXT
    it.poll(0)
    assert http.last["offset"] == 2


def test_a_full_inbox_confirms_nothing_more_and_loses_nothing():
    items = [message(n, "%d" % n * 2000) for n in range(1, 8)]
    it, http = make(answer(*items), answer(*items), answer(), size=updates.RECORD + 4000)
    it.poll(0)
    first = it.inbox.count
    assert 0 < first < 7 and it.inbox.full
    assert not it.due(it.polled_at + 3900) and it.due(it.polled_at + 4100)
    it.poll(0)
    assert http.last["offset"] == first + 1 and http.last["limit"] == 100
    assert it.inbox.count == first
    while it.inbox.count:
        it.inbox.drop(it.inbox.first())
    http.answers.insert(0, answer(*items[first:]))
    it.poll(0)
    assert http.last["offset"] == first + 1
    assert texts(it.inbox)[0] == items[first]["message"]["text"]


def test_who_is_refused_behind_a_full_inbox_is_counted_once():
    items = [message(1, "a" * 12000), message(2, "b"), message(3, "no", 66, 66)]
    it, _ = make(answer(*items), answer(*items[1:]), answer(*items[1:]), size=14336)
    it.poll(0)
    assert it.inbox.full and it.refused == 0
    it.poll(0)
    it.inbox.drop(it.inbox.first())
    it.poll(0)
    assert texts(it.inbox) == ["b"] and it.refused == 1


def test_stop_acts_once_though_a_full_inbox_cannot_confirm_it():
    items = [message(1, "a" * 5000), message(2, "b" * 100), message(3, "/stop")]
    it, http = make(*[answer(*items[n:]) for n in (0, 1, 1, 1)], size=updates.RECORD + 1000)
    it.poll(0)
    assert it.inbox.full and texts(it.asides) == ["/stop"]
    it.asides.drop(it.asides.first())
    it.poll(0)
    assert it.asides.count == 0
    it.inbox.drop(it.inbox.first())
    it.poll(0)
    assert it.inbox.count == 0 and codes(it.asides) == [updates.STOPPED]
    it.asides.drop(it.asides.first())
    http.answers = [answer()]
    it.poll(0)
    assert http.last["offset"] == 4 and it.duplicates == 0


def test_each_of_many_commands_behind_a_full_inbox_is_acted_upon_once():
    waiting = [message(2 + n, ("/status", "/help")[n & 1]) for n in range(20)]
    it, http = make(answer(message(1, "a" * 12000), *waiting), size=14336)
    assert len(polled(it, http, waiting)) == 16 and it.inbox.full
    waiting.append(message(22, "/stop"))
    assert polled(it, http, waiting) == ["/stop"]
    it.inbox.drop(it.inbox.first())
    # The four, and the one that was remembered longest, whose place the /stop took.
    assert len(polled(it, http, waiting)) == 5
    assert http.last["offset"] == 23


def polled(it, http, waiting):
    """What is set aside in a dozen polls, each of which brings what is not confirmed."""
    acted = []
    for _ in range(12):
        it.poll(0)
        acted += texts(it.asides)
        it.asides.clear()
        offset = http.last.get("offset", 2)
        http.answers = [answer(*[one for one in waiting if one["update_id"] >= offset])]
    return acted


def full(*items, allow=(b"42", b"43", b"44", b"45")):
    """What a full inbox took of these items; then they come again, and there is room."""
    first = message(500000, "a" * 12000)
    it, _ = make(answer(first, *items), answer(*items), size=14336, allow=allow)
    it.poll(0)
    assert it.inbox.full and it.inbox.count == 1
    now = texts(it.asides)
    while it.asides.count:
        it.asides.drop(it.asides.first())
    it.inbox.drop(it.inbox.first())
    it.poll(0)
    return it, now


def test_stop_behind_a_full_inbox_closes_what_comes_in_later_from_before_it():
    said = [(42, "one"), (43, "mine"), (42, "/new"), (42, "/retry"), (42, "two"), (42, "/stop")]
    said += [(42, "three"), (44, "/stop")]
    it, now = full(*[message(500001 + n, text, who, who) for n, (who, text) in enumerate(said)])
    assert now == ["/stop", "/stop"]
    assert texts(it.inbox) == ["mine", "/new", "three"]
    assert codes(it.asides) == [updates.STOPPED] * 3 and texts(it.asides) == [""] * 3
    assert it.received == 9 and it.duplicates == 0


def test_the_later_of_two_stops_behind_a_full_inbox_counts():
    said = ["one", "/stop", "two", "/stop", "three"]
    it, now = full(*[message(500001 + n, text) for n, text in enumerate(said)])
    assert now == ["/stop", "/stop"]
    assert texts(it.inbox) == ["three"] and codes(it.asides) == [updates.STOPPED] * 2


def test_stops_of_three_chats_are_remembered_behind_a_full_inbox():
    chats = 42, 43, 44, 45
    items = [message(500001 + n, str(chat), chat, chat) for n, chat in enumerate(chats)]
    items += [message(500005 + n, "/stop", chat, chat) for n, chat in enumerate(chats)]
    it, now = full(*items)
    assert len(now) == 4
    assert texts(it.inbox) == ["42"] and codes(it.asides) == [updates.STOPPED] * 3


def test_only_a_stop_closes_what_a_full_inbox_left():
    it, now = full(message(500001, "one"), message(500002, "/status"))
    assert now == ["/status"] and texts(it.inbox) == ["one"]


def test_a_stop_in_a_topic_closes_nothing_of_another_topic():
    said = [("/retry", 33), ("/more", 34), ("/stop", 33)]
    items = [
        message(500001 + n, text, -100, message_thread_id=topic, is_topic_message=True)
        for n, (text, topic) in enumerate(said)
    ]
    it, _ = full(*items)
    assert texts(it.inbox) == ["/more"] and codes(it.asides) == [updates.STOPPED]


def test_a_reboot_waits_until_it_can_be_confirmed():
    it, now = full(message(500001, "/reboot"))
    assert now == [] and texts(it.asides) == ["/reboot"]


def test_a_stop_closes_nothing_of_a_new_sequence_of_ids():
    stop, new = message(500002, "/stop"), message(3, "new")
    it, _ = make(answer(message(500000, "a" * 12000), stop), answer(new), size=14336)
    it.poll(0)
    assert it.inbox.full and texts(it.asides) == ["/stop"]
    it.inbox.drop(it.inbox.first())
    it.poll(0)
    assert texts(it.inbox) == ["new"]


def test_a_full_inbox_takes_commands_with_any_words_behind_them():
    many = " please" * 500
    said = ["x" * 3000, "/help" + many, "x/stop" + many, "/model" + many, "/stop" + many]
    it, now = full(*[message(500001 + n, text) for n, text in enumerate(said)])
    assert now == [(word + many)[:96] for word in ("/help", "/stop")]
    assert texts(it.inbox) == ["/model" + many]
    assert codes(it.asides) == [updates.STOPPED] * 2


def test_commands_that_act_at_once_pass_the_queue_and_the_others_keep_their_place():
    it, _ = make(
        answer(message(1, "/new"), message(2, "/help@Thimble_bot x"), message(3, "/stopp"))
    )
    it.poll(0)
    assert texts(it.inbox) == ["/new", "/stopp"]
    assert texts(it.asides) == ["/help@Thimble_bot x"]
    at = it.asides.first()
    assert it.asides.buf[at + 3] == updates.HELP
    start, end = updates.argument(it.asides.buf, at, it.asides.size(at))
    assert bytes(it.asides.buf[start:end]) == b"x"


def test_words_behind_a_command_that_acts_at_once_do_not_make_it_wait():
    many = " please" * 40
    said = ["/stop" + many, "/model " + many, "/reboot" + many]
    it, _ = make(answer(*[message(1 + n, text) for n, text in enumerate(said)]))
    it.poll(0)
    assert texts(it.asides) == [said[0][:96], said[2][:96]]
    assert texts(it.inbox) == [said[1]], "its words have a meaning"


def test_every_command_has_its_number():
    words = ("stop", "status", "help", "start", "model", "new", "retry", "more", "history")
    for number, word in enumerate(words + ("forget", "reboot")):
        it, _ = make(answer(message(5, "/" + word + " x")))
        it.poll(0)
        ring = it.asides if it.asides.count else it.inbox
        assert ring.buf[ring.first() + 3] == number + 1, word
        assert (ring is it.asides) == (number < 5 or word == "reboot"), word


def test_a_command_alone_has_no_argument():
    record = bytearray(updates.TEXT) + b"/new  and what an earlier record left"
    for size in (updates.TEXT + 2, updates.TEXT + 4, updates.TEXT + 5):
        assert updates.argument(record, 0, size) == (size, size)


def test_a_record_keeps_the_minute_when_it_came():
    it, _ = make(answer(message(5)))
    it.minute = 0x1234567
    it.poll(0)
    assert updates.minute_at(it.inbox.buf, it.inbox.first()) == 0x1234567


def test_a_word_that_only_begins_like_a_command_is_none():
    it, _ = make(answer(message(5, "/stops"), message(6, "/sto"), message(7, "/")))
    it.poll(0)
    at = it.inbox.first()
    while at >= 0:
        assert it.inbox.buf[at + 3] == 0
        at = it.inbox.after(at)
    assert it.inbox.count == 3


def test_a_command_for_another_bot_is_nobodys_business():
    it, _ = make(b'{"ok":true,"result":{"username":"mine"}}', answer(message(1, "/help@other")))
    it.bot.call(b"getMe")
    it.poll(0)
    assert it.asides.count == 0 and it.inbox.count == 0


def test_a_repeated_update_is_dropped_and_a_new_sequence_far_below_is_answered():
    it, http = make(answer(message(500000)), answer(message(499999)), answer(message(3)), answer())
    it.poll(0)
    it.poll(0)
    assert it.duplicates == 1 and it.inbox.count == 1
    it.poll(0)
    assert it.inbox.count == 2
    it.poll(0)
    assert http.last["offset"] == 4


def test_a_thousand_ids_below_the_next_are_repetitions_and_what_is_further_down_is_new():
    for number, known in ((4001, 1), (4000, 0)):
        it, _ = make(answer(message(5000)), answer(message(number)))
        it.poll(0)
        it.poll(0)
        assert (it.duplicates, it.inbox.count) == (known, 2 - known)


def test_an_error_is_raised_with_its_code_text_and_wait():
    it, _ = make(
        (
            429,
            b'{"ok":false,"error_code":429,"description":"Too Many Requests: retry '
            b'after 7","parameters":{"retry_after":7}}',
        )
    )
    error = raises(ApiError, lambda: it.poll(0))
    assert (error.status, error.retry_after) == (429, 7)
    assert error.text == "Too Many Requests: retry after 7"


def test_what_an_error_leaves_unsaid_is_not_taken_from_the_one_before():
    it, _ = make(
        (429, b'{"ok":false,"error_code":429,"description":"x","parameters":{"retry_after":7}}'),
        (400, b'{"ok":false,"description":"y"}'),
        (502, b"{}"),
    )
    raises(ApiError, lambda: it.poll(0))
    error = raises(ApiError, lambda: it.poll(0))
    assert (error.status, error.retry_after, error.text) == (400, 0, "y")
    error = raises(ApiError, lambda: it.poll(0))
    assert error.status == 502 and "without saying why" in error.text


def test_an_answer_that_drips_in_for_too_long_is_given_up():
    it, http = make(answer(message(5)))
    it.bot.answer_ms = -1
    assert raises(NetError, lambda: it.poll(0)).stage == "deadline"
    assert http.closed and it.inbox.count == 0


def test_what_an_error_says_is_cut_between_two_characters():
    said = "a" * 127 + "ü"
    body = {"ok": False, "error_code": 400, "description": said}
    it, _ = make((400, json.dumps(body).encode()))
    assert raises(ApiError, lambda: it.poll(0)).text == said[:127]


def test_an_update_that_breaks_the_scanner_is_dropped_the_fifth_time_and_the_rest_goes_on():
    bad = b'{"ok":true,"result":[{"update_id":8,"message":{"text":"\xff"}}]}'
    it, http = make(*[bad] * 5, answer(message(9)))
    for limit in (10, 1, 1, 1, 1):
        assert it.dropped == 0
        raises(ParseError, lambda: it.poll(0))
        assert http.last["limit"] == limit and "offset" not in http.last
    assert it.dropped == 1
    it.poll(0)
    assert http.last["offset"] == 9
    assert texts(it.inbox) == ["hi"]


def test_a_message_whose_answers_are_cut_off_is_not_lost():
    whole = answer(message(8))
    cut = whole[: whole.index(b'"hi"')]
    it, http = make(cut, cut, cut, whole)
    for _ in range(3):
        raises(ParseError, lambda: it.poll(0))
    it.poll(0)
    assert it.dropped == 0 and texts(it.inbox) == ["hi"]


def test_an_update_is_not_dropped_for_what_broke_the_answers_before_it():
    whole = answer(message(8))
    cut = whole[: whole.index(b'"hi"')]
    ends = [answer(message(number, "and"))[:-1] for number in range(1, 6)]
    for before, others in ([b"<html>"] * 6, 0), (ends, 5), ([cut] * 4 + [whole[:-1]], 1):
        last = answer(message(9))
        it, _ = make(*before, last[: last.index(b'"hi"')], last)
        for _ in range(len(before) + 1):
            raises(ParseError, lambda it=it: it.poll(0))
        it.poll(0)
        assert it.dropped == 0 and it.inbox.count == others + 1


def test_broken_answers_with_a_good_one_between_drop_nothing():
    bad = b'{"ok":true,"result":[{"update_id":8,"message":{"text":"\xff"}}]}'
    it, http = make(*[bad, answer()] * 5)
    for _ in range(5):
        raises(ParseError, lambda: it.poll(0))
        it.poll(0)
    assert it.dropped == 0 and "offset" not in http.last


def test_an_answer_that_breaks_before_its_updates_id_drops_nothing():
    bad = b'{"ok":true,"result":[{"message":{"text":"\xff"}}]}'
    it, http = make(*[bad] * 5, answer())
    for _ in range(5):
        raises(ParseError, lambda: it.poll(0))
    it.poll(0)
    assert it.dropped == 0 and "offset" not in http.last


def test_what_breaks_the_scanner_behind_a_full_inbox_is_dropped_when_there_is_room():
    bad = b'{"ok":true,"result":[{"update_id":2,"message":{"text":"\xff"}}]}'
    first = answer(message(1, "a" * 12000), message(2))
    it, http = make(first, *[bad] * 6, answer(), size=14336)
    it.poll(0)
    for _ in range(5):
        raises(ParseError, lambda: it.poll(0))
    assert it.inbox.full and it.dropped == 0 and http.last["limit"] == 1
    it.inbox.drop(it.inbox.first())
    raises(ParseError, lambda: it.poll(0))
    it.poll(0)
    assert it.dropped == 1 and http.last["offset"] == 3


def test_an_update_without_an_id_is_nothing():
    nameless = message(1)
    del nameless["update_id"]
    it, http = make(answer(nameless), answer())
    it.poll(0)
    assert it.inbox.count == 0
    it.poll(0)
    assert "offset" not in http.last


def test_a_flash_that_cannot_be_written_confirms_nothing():
    it, http = make(answer(message(1)), answer())
    it.poll(0)
    disk.fail_at = (0, 1 << 29)
    error = raises(NetError, lambda: it.poll(0))
    disk.fail_at = (-1, -1)
    assert error.stage == "journal" and "error 5" in error.detail
    assert "offset" not in http.last
    it.poll(0)
    assert http.last["offset"] == 2


def test_a_truncated_answer_is_an_error_and_what_was_whole_is_kept():
    whole = answer(message(1, "one"), message(2, "two"))
    it, _ = make(whole[: whole.find(b"two")])
    raises(ParseError, lambda: it.poll(0))
    assert texts(it.inbox) == ["one"]


def test_polls_at_an_unchanged_offset_keep_telegrams_distance():
    it, _ = make(answer(), answer(message(1)))
    it.poll(0)
    at = it.polled_at
    assert not it.due(at + 3100) and it.due(at + 3300)
    it.poll(0)
    assert it.due(it.polled_at)


def test_what_waits_at_a_start_is_answered_before_the_first_poll():
    it, _ = make(answer(message(1)))
    it.poll(0)
    it.journal.close()
    inbox, journal = Ring(bytearray(20000), updates.RECORD), Journal(FILE, 65536, bytearray(512))
    it = updates.Updates(it.bot, inbox, it.asides, [b"42"], journal)
    assert texts(it.inbox) == ["hi"]
    at = it.polled_at
    assert not it.due(at + 3100) and it.due(at + 3300)


# Groups: who is meant.

NAME = b'{"ok":true,"result":{"username":"Thimble_Bot"}}'
BOT, OTHER = {"id": 1, "is_bot": True}, {"id": 7, "is_bot": False}


def group(*items):
    it, http = make(NAME, answer(*items), answer(), allow=(b"-100",))
    it.bot.call(b"getMe")
    it.poll(0)
    return it, http


def said_in_group(*said, **more):
    return [message(n + 1, text, -100, 7, **more) for n, text in enumerate(said)]


def test_a_groups_talk_is_confirmed_and_nothing_else():
    said = ["hi all", "mail me@thimble_bot", "@thimble_bots", "@thimble_bot_", "@", "x@"]
    it, http = group(*said_in_group(*said))
    assert (it.inbox.count, it.asides.count) == (0, 0)
    assert (it.received, it.refused) == (0, 0)
    it.poll(0)
    assert http.last["offset"] == 7


def test_a_name_as_a_word_anywhere_means_the_bot_in_any_case():
    said = ["@thimble_bot hi", "hi, @Thimble_Bot", "(@THIMBLE_BOT)", "x@y @thimble_bot!"]
    said += ["…@thimble_bot's turn"]
    it, _ = group(*said_in_group(*said))
    assert texts(it.inbox) == said


def test_a_rich_message_that_names_the_bot_means_it():
    name = {"type": "paragraph", "text": [{"type": "mention", "text": "@thimble_bot"}, " hi"]}
    other = {"type": "paragraph", "text": "lunch"}
    it, _ = group(rich(1, other, chat=-100), rich(2, other, name, chat=-100))
    assert texts(it.inbox) == ["lunch\n@thimble_bot hi\n"] and not (it.asides.count or it.refused)


def test_a_reply_means_the_bot_only_if_it_is_the_bots_message():
    items = said_in_group("yes", reply_to_message={"message_id": 3, "from": BOT, "text": "eh?"})
    items += [message(2, "no", -100, 7, reply_to_message={"from": OTHER, "text": "@thimble_bot"})]
    items += [message(3, "nor", -100, 7, reply_to_message={"from": {"id": 11}, "text": "x"})]
    it, _ = group(*items)
    assert texts(it.inbox) == ["yes"] and not (it.asides.count or it.refused)


def test_what_stands_in_a_topic_that_the_bot_opened_is_no_reply_to_it():
    root = {"message_id": 5, "from": BOT, "forum_topic_created": {"name": "t", "icon_color": 1}}
    items = said_in_group("no", reply_to_message=root, message_thread_id=5, is_topic_message=True)
    it, _ = group(*items)
    assert it.inbox.count == 0 and not (it.asides.count or it.refused)


def test_commands_of_a_group_are_taken_unless_they_are_anothers():
    said = ["/new", "/retry@thimble_bot", "/weather@Thimble_bot now", "/weather", "/new@other"]
    it, _ = group(*said_in_group(*said))
    assert texts(it.inbox) == said[:3] and not (it.asides.count or it.refused)


def test_a_groups_photo_is_answered_only_if_its_caption_names_the_bot():
    photo = [{"file_id": "x"}]
    items = said_in_group(None, photo=photo)
    items += [message(2, None, -100, 7, photo=photo, caption="look")]
    items += [message(3, None, -100, 7, photo=photo, caption="/help")]
    items += [message(4, None, -100, 7, caption="@thimble_bot look", photo=photo)]
    it, _ = group(*items)
    assert texts(it.inbox) == [""] and not (it.asides.count or it.refused)
    assert it.inbox.buf[it.inbox.first()] & updates.ODD


def test_until_the_bot_knows_its_name_what_may_mean_it_waits_at_telegram():
    items = said_in_group("chatter", "hi @thimble_bot", "/new")
    it, http = make(answer(*items), NAME, answer(*items[1:]), answer(), allow=(b"-100",))
    it.poll(0)
    assert it.inbox.count == 0
    it.bot.call(b"getMe")
    it.poll(0)
    assert http.last["offset"] == 2
    assert texts(it.inbox) == ["hi @thimble_bot", "/new"]


def test_the_owner_is_the_first_user_of_the_list_though_a_group_stands_before():
    it, _ = make(answer(message(1), message(2, sender=43, chat=43)), allow=(b"-100", b"42", b"43"))
    it.poll(0)
    at = it.inbox.first()
    assert it.inbox.buf[at] & updates.OWNER
    assert not it.inbox.buf[it.inbox.after(at)] & updates.OWNER
