"""What goes out: first words, edits, parts, limits, refusals."""

import micropython
import time

from kit import raises
from thimble.core.errors import ApiError, NetError, ParseError
from thimble.core.text import units
from thimble.telegram.limits import Limits
from thimble.telegram.reply import Gone, Reply


QEMU = True
HEAP = "512k"

NAMES = {
    b"sendChatAction": "typing",
    b"sendMessage": "send",
    b"editMessageText": "edit",
    b"deleteMessage": "delete",
}


class Bot:
    """Keeps the chat as Telegram would; ``errors`` are raised first, one a call."""

    def __init__(self):
        self.message_id = bytearray(20)
        self.message_id_len = 0
        self.shown = []
        self.calls = []
        self.errors = []
        self.code = self.retry_after = 0

    def _fail(self, name):
        self.calls.append(name)
        if self.errors:
            error = self.errors.pop(0)
            if isinstance(error, ApiError):
                self.code = error.status
                self.retry_after = error.retry_after
            if error:
                raise error

    def call(self, method, peer, buf=b"", off=0, end=0):
        self._fail(NAMES[method])
        text = bytes(buf[off:end]).decode()
        if method == b"sendMessage":
            self.shown.append(text)
            number = b"%d" % len(self.shown)
            self.message_id[: len(number)] = number
            self.message_id_len = len(number)
        elif method != b"sendChatAction":
            number = int(bytes(self.message_id[: self.message_id_len]))
            self.shown[number - 1] = text if method == b"editMessageText" else None


class Journal:
    """What an earlier attempt has sent: an id for each part; what is sent now comes to it."""

    def __init__(self, *parts):
        self.parts = list(parts)

    def sent(self, record, part, out):
        name = self.parts[part] if part < len(self.parts) else b""
        out[: len(name)] = name
        return len(name)

    def answering(self, record, part, buf, n):
        self.parts[part:] = [bytes(buf[1 : 1 + n])] + self.parts[part + 1 :]


class Pause:
    def __init__(self):
        self.waited = 0

    def __call__(self, ms):
        self.waited += max(ms, 0)
        time.sleep_ms(min(max(ms, 0), 20))


def make(parts=8, group=False):
    bot = Bot()
    reply = Reply(bot, FreeLimits(), bytearray(12288 + 1536), parts, Pause())
    reply.peer.load(b"42", 0, 2, 2, group)
    reply.begin()
    return reply, bot


class FreeLimits:
    blocked = 0

    def wait_ms(self, peer, now, spare):
        wait, self.blocked = self.blocked, 0
        return wait

    def spend(self, peer, now):
        pass

    def block(self, peer, now, seconds):
        self.blocked = seconds * 1000


def write(reply, text):
    """Returns what of the text was taken."""
    data = text.encode()
    step = 500
    at = 0
    taken = b""
    while at < len(data):
        end = min(at + step, len(data))
        while end < len(data) and data[end] & 0xC0 == 0x80:
            end += 1
        taken += data[at : reply.append(data, at, end)]
        at = end
    return taken.decode()


def test_the_first_words_are_sent_at_once_when_they_are_a_few():
    reply, bot = make()
    write(reply, "x" * 30)
    reply.tick(time.ticks_ms())
    assert bot.shown == ["x" * 30]


def test_a_single_word_waits_half_a_second_for_more():
    reply, bot = make()
    write(reply, "Hi")
    now = time.ticks_ms()
    reply.tick(now)
    assert bot.shown == []
    reply.tick(time.ticks_add(now, 510))
    assert bot.shown == ["Hi"]


def test_half_a_second_counts_from_the_word_on_however_long_it_was_waited_for():
    reply, bot = make()
    time.sleep_ms(520)
    write(reply, "Hi")
    reply.tick(time.ticks_ms())
    assert bot.shown == []


def test_what_grows_waits_for_the_limits_without_a_pause():
    reply, bot = make()
    write(reply, "x" * 30)
    reply.limits.blocked = 1000
    reply.tick(time.ticks_ms())
    assert bot.calls == [] and reply._pause.waited == 0
    reply.tick(time.ticks_ms())
    assert bot.calls == ["send"]


def test_of_a_chats_burst_one_call_is_left_for_the_last_words():
    reply, bot = make()
    reply.limits = Limits(4)
    now = time.ticks_ms()
    for _ in range(4):
        reply.limits.spend(reply.peer, now)
    write(reply, "x" * 30)
    reply.tick(now)
    assert bot.calls == []
    reply.finish(b"")
    assert bot.calls == ["send"] and reply._pause.waited == 0


def test_first_words_that_could_not_be_sent_leave_telegram_alone_for_a_while():
    reply, bot = make()
    write(reply, "x" * 30)
    bot.errors = [NetError("connect", "refused")]
    now = time.ticks_ms()
    reply.tick(now)
    reply.tick(time.ticks_add(now, 100))
    assert bot.calls == ["send"]
    reply.tick(time.ticks_add(now, 5000))
    assert bot.shown == ["x" * 30]


def test_two_answers_of_one_bot_each_edit_their_own_message():
    first, bot = make()
    second = Reply(bot, FreeLimits(), bytearray(2048), 8, Pause())
    for reply, word in ((first, "a"), (second, "b"), (first, "c"), (second, "d")):
        write(reply, word)
        reply.finish(b"")
    assert bot.shown == ["ac", "bd"]


def test_edits_come_at_most_every_1500_ms_and_every_4000_in_groups():
    for group, spacing in ((False, 1500), (True, 4000)):
        reply, bot = make(group=group)
        write(reply, "x" * 30)
        reply.tick(time.ticks_ms())
        write(reply, "y")
        now = time.ticks_ms()
        reply.tick(time.ticks_add(now, spacing - 50))
        assert bot.calls == ["send"]
        reply.tick(time.ticks_add(now, spacing + 50))
        assert bot.calls == ["send", "edit"]


def test_the_last_words_are_shown_whatever_happened_before():
    reply, bot = make()
    write(reply, "x" * 30)
    reply.tick(time.ticks_ms())
    write(reply, " end")
    reply.finish(b"")
    assert bot.shown == ["x" * 30 + " end"]


def test_white_space_at_the_beginning_is_not_a_message():
    reply, bot = make()
    write(reply, "\n\n  ")
    reply.tick(time.ticks_ms() + 1000)
    reply.finish(b"")
    assert bot.shown == [] and not reply.length


def test_what_is_blank_to_telegram_ends_no_answer():
    reply, bot = make()
    write(reply, "x" * 4096)
    for piece in "\n\t\t", "\u3000":
        write(reply, piece)
        reply.tick(time.ticks_ms() + 2000)
    assert bot.calls == ["send"]
    bot.errors = [ApiError(400, "Bad Request: text must be non-empty")]
    write(reply, "\u2800")  # a blank that is not known here
    reply.tick(time.ticks_ms() + 2000)
    write(reply, "end")
    reply.finish(b"")
    assert bot.shown == ["x" * 4096, "\u2800end"]


def test_a_text_of_4096_units_is_one_message_and_one_more_makes_two():
    reply, bot = make()
    write(reply, "😀" * 2048)
    reply.finish(b"")
    assert bot.shown == ["😀" * 2048]
    reply.begin()
    bot.shown = []
    write(reply, "a" * 4097)
    reply.finish(b"")
    assert bot.shown == ["a" * 4096, "a"]


def test_a_long_text_is_split_at_a_paragraph_and_nothing_but_the_space_is_lost():
    reply, bot = make()
    text = "\n\n".join("%d " % n + "word " * 300 for n in range(10)).strip()
    write(reply, text)
    reply.finish(b"")
    assert len(bot.shown) > 1
    assert all(len(part) <= 4096 for part in bot.shown)
    assert "".join("".join(bot.shown).split()) == "".join(text.split())
    assert bot.shown[1][0].isdigit()


def test_after_the_last_part_the_rest_is_refused_and_the_note_says_how_to_go_on():
    reply, bot = make(parts=2)
    write(reply, "word " * 3000)
    assert reply.full
    reply.finish(b"\n\n(/more goes on.)")
    assert len(bot.shown) == 2
    assert bot.shown[1].endswith("(/more goes on.)") and len(bot.shown[1]) <= 4096


def test_no_more_is_taken_than_is_shown():
    note = "\n\n(/more goes on.)"
    for parts in (1, 2):
        for text in ("word " * 3000, "A" * 4000 + "\n\n" + "🧵 " * 3000, "x" * 9000, "中" * 9000):
            reply, bot = make(parts)
            taken = write(reply, text)
            assert reply.full and text.startswith(taken)
            reply.finish(note.encode())
            assert len(bot.shown) == parts and bot.shown[-1].endswith(note)
            shown = "".join(bot.shown)[: -len(note)]
            assert "".join(shown.split()) == "".join(taken.split())
            assert all(units(one.encode(), 0, len(one.encode())) <= 4096 for one in bot.shown)
            assert text[len(taken)] == " " or " " not in text


def test_the_last_part_has_room_for_the_longest_note():
    note = "\n\n(Memory ran out here. /retry asks again; send a command again.)"
    reply, bot = make(1)
    taken = write(reply, "x" * 9000)
    reply.finish(note.encode())
    assert bot.shown == [taken + note]


def test_what_fits_is_taken_whole():
    reply, bot = make(1)
    text = "word " * 800
    assert write(reply, text) == text and not reply.full
    reply.finish(b"")
    assert bot.shown == [text]


def test_where_the_buffer_is_small_parts_end_sooner_and_nothing_is_lost():
    for most in (1, 8):
        bot = Bot()
        reply = Reply(bot, FreeLimits(), bytearray(1024), most, Pause())
        taken = write(reply, "é" * 1500)
        reply.finish(b"")
        assert "".join(bot.shown) == taken and len(bot.shown) <= most
        assert len(taken) == (256 if most == 1 else 1500)


def test_a_note_alone_begins_with_its_words():
    reply, bot = make()
    reply.finish(b"\n\n[cut]")
    assert bot.shown == ["[cut]"]


def test_a_note_that_does_not_fit_goes_into_a_further_message():
    reply, bot = make()
    write(reply, "a" * 4090)
    reply.finish(b"\n\n(The answer was cut off here.)")
    assert len(bot.shown) == 2 and bot.shown[1].endswith("cut off here.)")


def test_429_is_waited_out_exactly_and_then_shown():
    reply, bot = make()
    bot.errors = [ApiError(429, "Too Many Requests: retry after 3", 3)]
    write(reply, "hello")
    reply.finish(b"")
    assert bot.shown == ["hello"]
    assert 3000 <= reply._pause.waited < 3100


def test_a_429_that_says_no_time_is_waited_out_for_a_second():
    reply, bot = slow(ApiError(429, "Too Many Requests"))
    reply.say(b"hello")
    assert bot.shown == ["hello"]
    assert time.ticks_diff(bot.begun[1], bot.ended[0]) >= 1000


class Slow(Bot):
    """Its calls take 200 ms; `begun` and `ended` are the ticks of each."""

    def __init__(self):
        super().__init__()
        self.begun = []
        self.ended = []

    def _fail(self, name):
        self.begun.append(time.ticks_ms())
        time.sleep_ms(200)
        self.ended.append(time.ticks_ms())
        super()._fail(name)


def slow(error):
    """A reply with true limits, whose bot's first call fails with `error`."""
    bot = Slow()
    bot.errors = [error]
    reply = Reply(bot, Limits(4), bytearray(12288 + 1536), 8, time.sleep_ms)
    reply.peer.load(b"42", 0, 2, 2, False)
    reply.begin()
    return reply, bot


def test_retry_after_counts_from_the_answer_that_says_it():
    reply, bot = slow(ApiError(429, "Too Many Requests: retry after 1", 1))
    reply.say(b"hello")
    waited = time.ticks_diff(bot.begun[1], bot.ended[0])
    assert bot.shown == ["hello"] and 1000 <= waited < 1100, waited


def test_a_429_for_typing_holds_back_the_message_too():
    reply, bot = slow(ApiError(429, "Too Many Requests: retry after 1", 1))
    reply.tick(time.ticks_add(time.ticks_ms(), 400))
    reply.say(b"hello")
    waited = time.ticks_diff(bot.begun[1], bot.ended[0])
    assert bot.calls == ["typing", "send"] and 1000 <= waited < 1100, waited


class Lines:
    def __init__(self):
        self.said = []

    def fail(self, error):
        self.said.append(str(error))


def test_what_delays_an_answer_is_said():
    reply, bot = make()
    reply.log = Lines()
    bot.errors = [NetError("closed", "reset"), ApiError(502, "bad gateway")]
    bot.errors.append(ApiError(429, "Too Many Requests: retry after 1", 1))
    write(reply, "hello")
    reply.finish(b"")
    said = reply.log.said
    assert bot.shown == ["hello"] and len(said) == 3
    assert "reset" in said[0] and "bad gateway" in said[1] and "429" in said[2]


def test_not_modified_counts_as_shown():
    reply, bot = make()
    write(reply, "x" * 30)
    reply.tick(time.ticks_ms())
    bot.errors = [ApiError(400, "Bad Request: message is not modified: specified new …")]
    write(reply, " ")
    reply.finish(b"")
    assert bot.calls == ["send", "edit"]


def test_a_message_that_the_person_deleted_is_sent_anew():
    for said in ("message to edit not found", "message can't be edited", "MESSAGE_ID_INVALID"):
        reply, bot = make()
        write(reply, "x" * 30)
        reply.tick(time.ticks_ms())
        bot.errors = [ApiError(400, "Bad Request: " + said)]
        write(reply, " more")
        reply.finish(b"")
        assert bot.calls == ["send", "edit", "send"]
        assert bot.shown[-1] == "x" * 30 + " more"


def test_a_blocked_bot_gives_up_at_once():
    reply, bot = make()
    bot.errors = [ApiError(403, "Forbidden: bot was blocked by the user")]
    write(reply, "hello")
    raises(Gone, lambda: reply.finish(b""))
    assert bot.calls == ["send"]


def test_a_broken_network_is_tried_again_until_it_is_shown():
    reply, bot = make()
    bot.errors = [NetError("closed", "reset"), ApiError(502, "bad gateway"), None]
    write(reply, "hello")
    reply.finish(b"")
    assert bot.shown == ["hello"]


def again(*shown):
    """A reply of which an earlier attempt has sent these messages."""
    journal = Journal(*[b"%d" % (part + 1) for part in range(len(shown))])
    bot = Bot()
    bot.shown = list(shown)
    reply = Reply(bot, FreeLimits(), bytearray(12288 + 1536), 8, Pause(), journal)
    reply.peer.load(b"42", 0, 2, 2, False)
    reply.begin(0, True)
    return reply, bot, journal


def test_an_answer_goes_on_in_the_messages_of_an_earlier_attempt_and_deletes_the_rest():
    reply, bot, _ = again("old", "older", "oldest")
    write(reply, "x" * 4096 + "tail")
    reply.finish(b"")
    assert bot.shown == ["x" * 4096, "tail", None]


def test_what_has_nothing_to_say_leaves_no_message_of_an_earlier_attempt():
    reply, bot, _ = again("old", "older")
    reply.finish(b"")
    assert bot.shown == [None, None]


def test_a_message_that_was_deleted_is_sent_anew_and_counts_from_then_on():
    reply, bot, journal = again("gone", "older")
    bot.errors = [ApiError(400, "Bad Request: message to edit not found")]
    reply.say(b"new")
    assert bot.shown == ["gone", None, "new"] and journal.parts[0] == b"3"


def test_what_cannot_be_deleted_holds_nothing_up():
    reply, bot, _ = again("old", "older", "oldest")
    bot.errors = [None, ApiError(400, "Bad Request: message can't be deleted")]
    reply.say(b"new")
    assert bot.shown == ["new", "older", None]


def test_after_its_time_an_answer_that_cannot_be_sent_is_given_back():
    reply, bot, _ = again()
    reply.deliver_ms = 50
    bot.errors = [NetError("closed", "reset")] * 100
    write(reply, "hello")
    error = raises(NetError, lambda: reply.finish(b""))
    assert "later" in str(error) and bot.shown == []


def test_what_telegram_bids_wait_for_long_is_left():
    for given in (make(), again()[:2]):
        reply, bot = given
        bot.errors = [ApiError(429, "Too Many Requests: retry after 121", 121)]
        error = raises(NetError, lambda reply=reply: reply.say(b"hello"))
        assert error.stage == "telegram" and reply._pause.waited == 0 and bot.shown == []

    reply, bot, _ = again()
    bot.errors = [ApiError(429, "Too Many Requests: retry after 119", 119)]
    reply.say(b"hello")
    assert reply._pause.waited == 119_000 and bot.shown == ["hello"]


def test_typing_is_not_shown_where_telegram_said_to_wait():
    reply, bot = make()
    now = time.ticks_ms()
    reply.limits = Limits(2)
    reply.limits.block(reply.peer, now, 7)
    for ms in range(0, 7000, 500):
        reply.tick(time.ticks_add(now, ms))
    assert bot.calls == []
    reply.tick(time.ticks_add(now, 7100))
    assert bot.calls == ["typing"]


def test_typing_is_shown_until_there_are_words_and_renewed_every_4_seconds():
    reply, bot = make()
    now = time.ticks_ms()
    reply.tick(time.ticks_add(now, 100))
    assert bot.calls == []
    for after in (400, 1000, 4000, 4600):
        reply.tick(time.ticks_add(now, after))
    assert bot.calls == ["typing", "typing"]
    write(reply, "x" * 30)
    for after in (5000, 10000):
        reply.tick(time.ticks_add(now, after))
    assert bot.calls == ["typing", "typing", "send"]


def test_waiting_for_the_first_words_allocates_nothing_frames_included():
    class Quiet(Bot):
        def call(self, method, peer):
            pass

    reply, _ = make()
    reply.bot = Quiet()
    now = time.ticks_ms()
    reply.tick(now)
    before = micropython.mem_total()
    for _ in range(20):
        now = time.ticks_add(now, 250)
        reply.tick(now)
    assert micropython.mem_total() == before


class Peer:
    def __init__(self, key, group=False):
        self.key = key
        self.chat_len = self.key_len = len(key)
        self.group = group


def test_a_chat_has_a_burst_of_five_and_then_one_a_second():
    limits, now, peer = Limits(4), time.ticks_ms(), Peer(b"42")
    for _ in range(5):
        assert limits.wait_ms(peer, now, 0) == 0
        limits.spend(peer, now)
    assert 900 <= limits.wait_ms(peer, now, 0) <= 1100
    assert limits.wait_ms(peer, now + 1100, 0) == 0
    assert limits.wait_ms(peer, now + 1100, 1) > 0


def test_a_group_has_a_burst_of_three_and_then_one_each_three_and_a_half_seconds():
    limits, now, peer = Limits(4), time.ticks_ms(), Peer(b"-100", True)
    for _ in range(3):
        assert limits.wait_ms(peer, now, 0) == 0
        limits.spend(peer, now)
    assert 3400 <= limits.wait_ms(peer, now, 0) <= 3600
    assert limits.wait_ms(peer, time.ticks_add(now, 3500), 1) > 0


def test_a_group_never_gets_more_than_twenty_in_any_minute():
    assert 15 <= most_in(60000, Limits(4), [Peer(b"-100", True)], 180000, 100) <= 20


def test_all_chats_together_never_get_more_than_thirty_in_any_second():
    peers = [Peer(b"%d" % (1000 + n)) for n in range(60)]
    assert 20 <= most_in(1000, Limits(64), peers, 4000, 5) <= 30


def most_in(span, limits, peers, whole, step):
    """The most calls in any ``span`` of ``whole`` milliseconds, if all are made that may be."""
    start, sent = time.ticks_ms(), []
    for at in range(0, whole, step):
        now = time.ticks_add(start, at)
        for peer in peers:
            if not limits.wait_ms(peer, now, 0):
                limits.spend(peer, now)
                sent.append(at)
    return max(sum(1 for t in sent if at <= t < at + span) for at in sent)


def test_retry_after_blocks_only_that_chat_and_ends_on_time():
    limits, now = Limits(4), time.ticks_ms()
    limits.block(Peer(b"1"), now, 7)
    assert limits.wait_ms(Peer(b"1"), now, 0) == 7000
    assert limits.wait_ms(Peer(b"1"), time.ticks_add(now, 7000), 0) == 0
    assert limits.wait_ms(Peer(b"2"), now, 0) == 0


def test_of_more_chats_than_there_is_room_for_the_one_that_waits_longest_is_not_forgotten():
    limits, now = Limits(2), time.ticks_ms()
    limits.block(Peer(b"1"), now, 7)
    for name in (b"2", b"3"):
        limits.spend(Peer(name), now)
    assert limits.wait_ms(Peer(b"1"), now, 0) == 7000


def test_a_chat_that_was_silent_for_weeks_is_not_held_back():
    limits, start, peer = Limits(4), time.ticks_ms(), Peer(b"42")
    hours = 0
    limits.spend(peer, start)
    now = start
    while hours < 13 * 24:
        hours += 1
        now = time.ticks_add(now, 3_600_000)
        limits.serve(now)
        assert limits.wait_ms(peer, now, 0) == 0
    limits.spend(peer, now)
    for _ in range(4):
        limits.spend(peer, now)
    limits.serve(now)
    assert limits.wait_ms(peer, now, 0) > 900


def test_a_short_answer_that_is_longer_than_the_buffer_is_cut_at_a_character():
    bot = Bot()
    buf = bytearray(20)
    reply = Reply(bot, FreeLimits(), buf, 1, Pause())
    reply.say(("x" + "€" * 20).encode())
    assert bot.shown == ["x" + "€" * 6]


def test_an_answer_of_telegram_that_is_garbage_does_not_end_the_stream():
    reply, bot = make()
    bot.errors = [ParseError("what", 3)]
    write(reply, "x" * 30)
    reply.tick(time.ticks_ms())
    reply.finish(b"")
    assert bot.shown == ["x" * 30]
