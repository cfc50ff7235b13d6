"""What goes out: one answer, shown in Telegram while it is written.

The first words are sent as a message, which is then edited as the text grows. Past 4,096 UTF-16
units the text goes on in a further message, split at a natural place. The buffer holds the part
that is still growing, never the whole answer.

Another way to stream needs only to replace `_show` (one state of the part to the person) and
`tick` (when).
"""

from time import ticks_add, ticks_diff, ticks_ms

from thimble.core import text
from thimble.core.backoff import Backoff
from thimble.core.errors import ApiError, NetError, ParseError, ThimbleError, failure
from thimble.core.octets import copy
from thimble.telegram.bot import Peer

_UNITS = const(4096)
_PIECE = const(512)
_NOTE = const(65)  # units of the longest note
_PARTS_MOST = const(100)  # deleted at the most
_FIRST_UNITS = const(24)  # the first words: this many units, or what is there after _FIRST_MS
_FIRST_MS = const(500)
_EDIT_MS = const(1500)
_GROUP_EDIT_MS = const(4000)
_TYPING_MS = const(4000)  # Telegram shows it for 5 s, or until a message comes
_TYPING_AFTER_MS = const(300)
_DELIVER_MS = const(600_000)
# What Telegram bids wait for longer is left: other chats would wait as well, and while an aside
# waits nothing is polled.
LONG_MS = const(120_000)
_FAILURES = (NetError, ParseError)


class Gone(ThimbleError):
    """The answer cannot reach the person: Telegram's refusal is final."""


class Reply:
    """Streams an answer to ``peer``.

    buf        the part that grows, and beside it room for the largest piece (512 bytes); a part
               ends at 4,096 units, or where that room begins
    max_parts  messages an answer may have; then ``full`` is set and what follows is not taken
    pause      pause(ms) waits, serving the rest of the relay
    record     what it answers, see begin()
    again      an attempt before this one may have sent messages
    journal    where the ids of the messages that are sent are noted, or None: then the answer is
               an aside, which is given up after two minutes
    log        where it is said what keeps an answer from being sent, or None
    """

    # Then an answer that cannot be sent is left for later. Here, not in each: an object's table
    # has no room for it without growing.
    deliver_ms = _DELIVER_MS

    def __init__(self, bot, limits, buf, max_parts, pause, journal=None):
        self.bot = bot
        self.limits = limits
        self.buf = buf
        self.max_parts = max_parts
        self.log = None
        self.peer = Peer()
        self._pause = pause
        self._journal = journal
        self._most = len(buf) - _PIECE
        self._id = bytearray(21)  # the part's message, behind a byte for the journal
        self._backoff = Backoff()
        self.begin()

    def begin(self, record=-1, again=False):
        """A new answer, to the chat that ``peer`` was loaded with.

        record: what it answers, for the journal, or -1. again: an attempt before this one may
        have sent messages: they are edited, and those that are too many removed.
        """
        self.length = self.parts = self._units = 0
        self.full = False
        self.record = record
        self.again = again
        self._begun = self._at = ticks_ms()
        self._typed = False
        self._part()

    def _part(self):
        """A message begins: a new one, or the one that an earlier attempt has sent."""
        self._shown = self._id_len = 0
        if self.again:
            self._id_len = self._journal.sent(self.record, self.parts, self.bot.message_id)
            copy(self._id, 1, self.bot.message_id, 0, self._id_len)
        self._edited = self._id_len > 0

    def append(self, buf, off, end):
        """Adds text (whole characters); sends a part that is complete, which may take a while.

        Returns where the text ends that was taken: before ``end`` where the last part is full.
        """
        if not self.length:
            off = text.skip_space(buf, off, end)
        if self.parts + 1 >= self.max_parts:
            end = self._fits(buf, off, end)
        if off >= end:
            return end
        if not self.length and not self.parts:
            self._at = ticks_ms()
        copy(self.buf, self.length, buf, off, end - off)
        self.length += end - off
        self._units += text.units(buf, off, end)
        while self._units > _UNITS or self.length > self._most:
            self._split(_UNITS)
        return end

    def _fits(self, buf, off, end):
        """Where the text ends that the last part takes, beside the note that says how to go on."""
        if self.full:
            return off
        fits = _UNITS - _NOTE - self._units
        fits = text.fit(buf, off, end, fits)
        if fits - off > self._most - self.length:
            fits = text.boundary(buf, off, off + self._most - self.length)
        if fits < end:
            self.full = True
            end = buf.rfind(b" ", off, fits + 1)
            if end < 0:
                end = fits
        return end

    def tick(self, now):
        """Shows what is new if it is time for that; never waits for Telegram's limits."""
        if self._shown == self.length:
            if not (self._id_len or self.parts):
                self._type(now)
            return
        since = ticks_diff(now, self._at)
        if self._id_len:
            if since < self._spacing():
                return
        elif since < 0:  # the one before failed
            return
        elif not self.parts and self._units < _FIRST_UNITS and since < _FIRST_MS:
            return
        # The last edit must not have to wait: one more call stays in reserve.
        if not self.limits.wait_ms(self.peer, now, 1):
            now = self._try()
            if now:
                self._at = ticks_add(ticks_ms(), now)

    def _spacing(self):
        """Milliseconds between two edits."""
        return _GROUP_EDIT_MS if self.peer.group else _EDIT_MS

    def finish(self, note):
        """Brings the last words, with ``note`` behind them.

        Raises Gone if that is impossible; NetError, as append() may, if Telegram could not be
        reached for long: then the answer is to be given anew, later.
        """
        if note:
            units = text.units(note, 0, len(note))
            if self._units + units > _UNITS or self.length + len(note) > len(self.buf):
                self._split(_UNITS - units)
            if not self.length:
                note = note.lstrip()
            copy(self.buf, self.length, note, 0, len(note))
            self.length += len(note)
        if self.length and self._shown != self.length:
            self._deliver()
        if self.again:
            self._remove_surplus()

    def _remove_surplus(self):
        """Deletes what an earlier attempt sent beyond this answer's messages, if Telegram can."""
        bot = self.bot
        part = self.parts + (self.length > 0)
        while part <= _PARTS_MOST:
            bot.message_id_len = self._journal.sent(self.record, part, bot.message_id)
            if not bot.message_id_len:
                break
            part += 1
            try:
                bot.call(b"deleteMessage", self.peer)
            except ThimbleError:
                pass
        self.again = False

    def say(self, words):
        """A whole short answer, bytes of at most 4,096 units; cut to what the buffer holds.

        It takes the place of what was begun and not shown.
        """
        self.length = text.boundary(words, 0, min(len(words), len(self.buf)))
        copy(self.buf, 0, words, 0, self.length)
        self.finish(b"")

    def _split(self, limit):
        whole = self.length
        if whole > self._most:
            fits = text.boundary(self.buf, 0, self._most)
            limit = min(limit, text.units(self.buf, 0, fits))
        self.length = text.cut(self.buf, 0, whole, limit)
        self._deliver()
        rest = text.skip_space(self.buf, self.length, whole)
        copy(self.buf, 0, self.buf, rest, whole - rest)
        self.length = whole - rest
        self._units = text.units(self.buf, 0, self.length)
        self.parts += 1
        self._part()

    def _deliver(self):
        """Shows the part as it is, whatever it takes: waits for limits, retries, gives up late."""
        start = ticks_ms()
        self._backoff.reset()
        if self._edited:
            self._pause(self._spacing() - ticks_diff(start, self._at))
        while self._shown != self.length:
            wait = self.limits.wait_ms(self.peer, ticks_ms(), 0)
            if not wait:
                wait = self._try()
                if self._shown == self.length:
                    return
            most = self.deliver_ms if self._journal else LONG_MS
            if wait > LONG_MS or ticks_diff(ticks_ms(), start) > most:
                raise NetError("telegram", "an answer could not be sent; it is left for later")
            self._pause(wait)

    def _try(self):
        """Shows the part, or returns how many milliseconds to leave Telegram alone."""
        error = failure(Reply._show, self, _FAILURES)  # self._show would be made anew
        if error is None:
            return 0
        if self.log:
            self.log.fail(error)
        return self._backoff.next(ticks_ms() & 255)

    def _show(self):
        """Sends the part or edits its message, unless Telegram asks to try that again later.

        NetError passes through; so does Gone.
        """
        error = failure(Reply._call, self, ApiError)
        if error is None or self._settled(error):
            self._shown = self.length
            self._at = ticks_ms()

    def _call(self):
        bot, peer = self.bot, self.peer
        self.limits.spend(peer, ticks_ms())
        if self._id_len:
            copy(bot.message_id, 0, self._id, 1, self._id_len)
            bot.message_id_len = self._id_len
            self._edited = True
            bot.call(b"editMessageText", peer, self.buf, 0, self.length)
            return
        bot.call(b"sendMessage", peer, self.buf, 0, self.length)
        self._id_len = bot.message_id_len
        copy(self._id, 1, bot.message_id, 0, self._id_len)
        if self.record >= 0:
            self._journal.answering(self.record, self.parts, self._id, self._id_len)

    def _settled(self, error):
        """What an error from Telegram means: True, it is as wished; False, try again; or Gone."""
        said = error.text
        if error.status == 429:
            if self.log:
                self.log.fail(error)
            self._refused()
        elif error.status == 400 and ("not modified" in said or "empty" in said):
            return True  # with what follows it will be a text
        elif error.status == 400 and self._id_len and ("edit" in said or "MESSAGE_ID" in said):
            self._id_len = 0  # the person deleted it
        elif error.status in (400, 403) and ": " in said:  # Telegram's words, not a proxy's
            raise Gone("Telegram refused an answer (%d: %s)" % (error.status, said))
        else:
            raise NetError("http", said)
        return False

    def _type(self, now):
        """Shows "typing…" while there are no words; that it fails changes nothing."""
        if self.limits.wait_ms(self.peer, now, 0):
            return  # Telegram has said to wait, or would
        if ticks_diff(now, self._begun) >= (_TYPING_MS if self._typed else _TYPING_AFTER_MS):
            self._begun = now
            self._typed = True
            try:
                self.bot.call(b"sendChatAction", self.peer)
            except ThimbleError:  # its name would make the frame too large
                self._refused()

    def _refused(self):
        # From now on, not from when the call was made: Telegram counts from its answer.
        if self.bot.code == 429:
            self.limits.block(self.peer, ticks_ms(), max(self.bot.retry_after, 1))
