"""What comes in: getUpdates, scanned as it arrives, straight into the inbox.

A record in the inbox (or among the asides):

     0  flags: GROUP, OWNER, ODD (no text in it), LONG (the text did not fit)
     1  bytes of the key, 2  bytes of the chat's id in it, 3  the command's number or 0
     4  bytes of the update's id
     5  its state: attempts to answer it (COUNT), BEGUN, TOLD; store.journal keeps it
     6  the key (see Peer), at most 40 bytes
    46  its number in the journal, 2 bytes
    48  the update's id in decimal, at most 16 bytes
    64  the minute when it came, least significant byte first
    68  the text

The offset of getUpdates confirms every earlier update, so it moves only past what is in the inbox
and in the journal (or needs no place there), and is sent only once the journal is on flash. While
either is full nothing more is confirmed: the poll goes on at the same offset and takes only the
commands that act at once, each one time. A /stop that passed the queue so closes what lies before
it at Telegram, too: as that comes in it is set aside as STOPPED, and nothing is said. The last
/stop of three chats is remembered for that, until a restart; a fourth takes the place of the
first, whose older messages are answered then.

A group's message is taken where it means the bot: it is a command, a reply to the bot, or names it
as @username. All else that is said there is confirmed and never looked at again.
"""

from time import ticks_diff, ticks_ms

from thimble.core.errors import ApiError, NetError, ParseError
from thimble.core.octets import behind, copy, crc16, find, increment, same

_OPEN = const(1)  # as core.scan._OPEN
_CLOSE = const(2)  # as core.scan._CLOSE
_VALUE = const(3)  # as core.scan._VALUE
_PIECE = const(4)  # as core.scan._PIECE
_STRING = const(0)  # as core.scan._STRING
_INTEGER = const(1)  # as core.scan._INTEGER
_TRUE = const(3)  # as core.scan._TRUE
GROUP = const(1)
OWNER = const(2)
ODD = const(4)
LONG = const(8)
STATE = const(5)
COUNT = const(63)
BEGUN = const(64)  # an attempt was made, which may have sent messages
TOLD = const(128)  # the person knows that the answer has to wait
KEY = const(6)
TEXT = const(68)
_UPDATE = const(48)
_UPDATE_MOST = const(16)
_MINUTE = const(64)
_DIGITS = const(20)  # of an id
_KEY_MOST = const(40)
_NUMBER = const(32)  # room behind the text for the numbers that come after it

_TEXT_MOST = const(12288)  # 4,096 UTF-16 units
RECORD = const(TEXT + _TEXT_MOST + _NUMBER)
_ASIDE_MOST = const(96)
ASIDE = const(TEXT + _ASIDE_MOST + _NUMBER)

# Commands that act at once, also while an answer is written and while the inbox is full.
STOP = const(1)
STATUS = const(2)
HELP = const(3)
START = const(4)
MODEL = const(5)
# Commands that keep their place among the messages.
NEW = const(6)
RETRY = const(7)
MORE = const(8)
HISTORY = const(9)
FORGET = const(10)
# Acts at once too, but only where it can be confirmed: it would come round again.
REBOOT = const(11)
# No command, but a message beyond what its sender may write in an hour: it is told once.
SLOWER = const(12)
# No command either, but a message that a later /stop closed: nothing is said to it.
STOPPED = const(13)
# Their words, in this order, and the bytes of each.
_COMMANDS = const(
    b"stop    status  help    start   model   new     retry   more    history forget  reboot  "
)
_LENGTHS = const(b"\x04\x06\x04\x05\x05\x03\x05\x04\x07\x06\x06")
_WIDTH = const(8)

_ELEMENT = const(6)  # as telegram.bot._FIRST
# Ids, in the order of their places in _ids.
_FROM = const(0)
_ID = const(1)
_CHAT = const(2)
_THREAD = const(3)
_REPLY = const(4)
_IDS = const(5)
_FIRST_ID = const(7)
_TYPE = const(_FIRST_ID + 5)
_TOPIC = const(_FIRST_ID + 6)
_WORDS = const(_FIRST_ID + 7)
_LINE = const(_FIRST_ID + 12)  # behind it: what begins and ends a line of a rich message
# Behind it: what has no text, and yet a person expects an answer. Who has an animation has a
# document as well.
_ROOT = const(_FIRST_ID + 20)
# Why a group's message may mean the bot.
_REPLIED = const(1)
_TO_ROOT = const(2)  # of a topic: every message in it replies to that, unless to another
_NAMED = const(4)
PATHS = (
    b"result[] .from.id result[].update_id .chat.id .message_thread_id .reply_to_message.from.id "
    b".chat.type .is_topic_message .text .caption "
    b"~.text ~.text.\xff ~.text.text ~.text.expression "
    b"~.\xff ~.blocks ~.items ~.cells ~.caption ~.summary ~.expression "
    b".reply_to_message.forum_topic_created "
    b".photo .voice .sticker .document .video .audio .video_note .location .contact "
    b".poll .dice .story .checklist .paid_media .game"
)

_LIMIT = const(10)
_FULL_LIMIT = const(100)  # Telegram's most: a command may stand behind all that has no room
_SAME_OFFSET_MS = const(3200)  # sooner, Telegram would hold the poll for 3 s
_FULL_MS = const(4000)
# What a server or a proxy cut off comes whole the next time, or the one after that. Of crashes the
# third would restart the board, and all would begin anew.
_BROKEN_MOST = const(5)
_CRASH = const(3)
_SEEN = const(16)
_STOPS = const(3)
# Of a remembered /stop: the part of its record from the key to the update's id, whose length takes
# the place of the number in the journal.
_STOP = const(58)
_STOP_LEN = const(40)
_STOP_ID = const(42)
_NEAR = const(1000)

# Not the update's fault. Named in poll() itself, they would make its frame too large.
_PASSING = (NetError, ApiError, MemoryError)


class Updates:
    """Polls, and puts what may pass into ``inbox`` and ``asides`` (two rings), and ``journal``.

    The inbox holds already, and the offset is, what the journal has.
    ``allow`` is a list of ids as decimal bytes; the first of a user is the owner's. Counters:
    received, refused, duplicates, dropped.
    ``refused_id`` is the last chat that was refused, for the log.
    """

    def __init__(self, bot, inbox, asides, allow, journal):
        self.bot = bot
        self.inbox = inbox
        self.asides = asides
        self.journal = journal
        self.owner = b""
        # The list in the form that octets.find() takes.
        self._listed = bytearray(len(allow) * _DIGITS)
        self._listed_lens = bytearray(len(allow))
        for i in range(len(allow)):
            word = allow[i]
            if len(word) <= _DIGITS:  # else it is nobody's
                copy(self._listed, i * _DIGITS, word, 0, len(word))
                self._listed_lens[i] = len(word)
            if not self.owner and word[0] != 0x2D:  # a group's is negative
                self.owner = word
        self.received = self.refused = self.duplicates = self.dropped = 0
        self.minute = 0  # the caller's to set
        self.rates = None  # telegram.rates, where there are bounds
        self.refused_id = bytearray(_DIGITS)
        self.refused_len = 0
        self.polled_at = ticks_ms()
        # The next getUpdates' offset in decimal (0 bytes before the first update), and whether it
        # has moved since the last call.
        self._offset = bytearray(_DIGITS + 1)
        self._offset_len = journal.load(inbox, bot.id, self._offset)
        self._moved = not inbox.count  # what waits is answered first
        self._limit = _LIMIT
        self._broken = 0
        # Ids of the updates that were acted upon before they could be confirmed.
        self._seen = bytearray(_SEEN * _UPDATE_MOST)
        self._seen_len = bytearray(_SEEN)
        self._seen_next = self._stops_next = 0
        self._stops = bytearray(_STOPS * _STOP)
        self._stops_len = bytearray(_STOPS)
        # The update that is being scanned.
        self._scratch = bytearray(ASIDE)
        self._ids = bytearray(_IDS * _DIGITS)
        self._lens = bytearray(_IDS)
        self._reset()

    def due(self, now):
        """Whether a poll that does not wait may be made now: Telegram would not hold it."""
        full = self.inbox.full
        if self._moved and not full:
            return True
        wait = _FULL_MS if full else _SAME_OFFSET_MS
        return ticks_diff(now, self.polled_at) >= wait

    def poll(self, timeout_s):
        """One getUpdates that waits up to ``timeout_s`` seconds (at most 50) for something.

        Raises NetError, ApiError; ParseError for an answer that is no valid JSON, of which the
        updates before the place are taken. An update that breaks five answers is dropped.
        Where the journal cannot be written nothing is confirmed: NetError("journal").
        """
        if self.journal.commit():
            self._confirming = not (self.inbox.full or self.journal.full(RECORD))
            self._moved = False
            self.bot.get_updates(self, timeout_s)
            self._reset()
            try:
                self._take()
            except _PASSING:
                raise
            except ParseError:
                self._survive(1)
                raise
            except Exception:  # what nobody expected as well: it would come round again
                self._survive(_CRASH)
                raise
            self._broken = 0
            self._limit = _LIMIT
            self.polled_at = ticks_ms()
        if self.journal.doubt:  # what had no place in it would come again at once
            raise NetError("journal", "flash cannot be written (error %d)" % self.journal.error)

    def _take(self):
        """Goes through the answer."""
        bot = self.bot
        event = bot.next()
        while event >= 0:
            path = bot.scanner.path
            if path == _ELEMENT:
                if event == _OPEN:
                    self._open()
                elif event == _CLOSE:
                    self._close()
                    self._reset()
                    bot.scratch()
            elif path > _ELEMENT:
                self._field(event, path)
            event = bot.next()

    def write_body(self, w):
        """For the Bot: which updates."""
        w.raw(b',"limit":')
        w.num(self._limit if self._confirming or self._limit == 1 else _FULL_LIMIT)
        if self._offset_len:
            w.raw(b',"offset":')
            w.view(self._offset, 0, self._offset_len)

    # One update.

    def _reset(self):
        self._buf = self._scratch
        self._off = self._text_len = self._flags = self._meant = 0
        self._topic = False
        for slot in range(_IDS):
            self._lens[slot] = 0

    def _open(self):
        """Makes room for one update: in the inbox if it has any, else where commands fit."""
        size = ASIDE
        if self._confirming:
            off = -1
            if not (self.inbox.full or self.journal.full(RECORD)):
                off = self.inbox.pend(RECORD)
            if off < 0:
                self._confirming = False
            else:
                self._buf, self._off, size = self.inbox.buf, off, RECORD
        self.bot.scanner.out(self._buf, self._off + TEXT, size - TEXT)

    def _field(self, event, path):
        """Takes a value, which stands behind the text."""
        scanner = self.bot.scanner
        at = self._off + TEXT + self._text_len
        if path > _ROOT:
            self._flags |= ODD
        elif path == _ROOT:
            self._meant |= _TO_ROOT
        elif path == _TOPIC:
            self._topic = scanner.kind == _TRUE
        elif path >= _WORDS:
            if event >= _VALUE:
                if scanner.kind == _STRING:
                    self._words(event, scanner.length)
            elif path > _LINE and self._text_len and self._buf[at - 1] != 10:
                self._buf[at] = 10
                self._words(event, 1)
        elif path == _TYPE:
            # "private", "group" or "supergroup"; a channel posts no messages.
            if scanner.length and self._buf[at] != 0x70:
                self._flags |= GROUP
        elif scanner.kind == _INTEGER and scanner.length <= _DIGITS:
            path -= _FIRST_ID
            copy(self._ids, path * _DIGITS, self._buf, at, scanner.length)
            self._lens[path] = scanner.length

    def _words(self, event, length):
        if self._flags & LONG:
            return  # the rest of it
        largest = _TEXT_MOST if self._buf is not self._scratch else _ASIDE_MOST
        length += self._text_len  # a rich message has its text in pieces
        if event == _PIECE or length > largest:
            self._flags |= LONG
            # Of a command its beginning is kept, by one byte too long to be set aside as it is.
            length = largest + 1 if largest == _ASIDE_MOST and self._buf[TEXT] == 0x2F else 0
        self._text_len = length
        self.bot.scanner.out(self._buf, self._off + TEXT + length, largest + _NUMBER - length)

    def _close(self):
        """Decides what becomes of the update, and moves the offset past it if it is safe."""
        if not 0 < self._lens[_ID] <= _UPDATE_MOST or self._known():
            return
        command = self._judge()
        if command < 0:
            self._confirm()
        else:
            self._write_head(command)
            self._place(command)

    def _judge(self):
        """The number of the command, 0 for other messages, -1 for what is not to be answered."""
        if not self._lens[_CHAT] or not (self._text_len or self._flags & (ODD | LONG)):
            return -1  # of a kind that nobody answers
        if not self._allowed():
            self.refused += self._confirming  # once, though it may come again
            return -1
        command = self._command()
        if command < 0 or self._flags & GROUP and not (command or self._for_me()):
            return -1
        if self._flags & ODD:
            self._text_len = 0
        if self.rates is not None and (not command or RETRY <= command <= MORE):
            over = self.rates.over(self._ids, self._lens[_FROM])
            if over > 1:
                return -1
            if over:
                command = SLOWER
                self._text_len = 0
                self._flags &= GROUP | OWNER
        return command

    def _write_head(self, command):
        """Writes all of the record but its text."""
        buf, off = self._buf, self._off
        buf[off] = self._flags
        buf[off + 2] = self._put(off + KEY, _CHAT)
        buf[off + 1] = self._key_len(off)
        buf[off + 3] = command
        buf[off + 4] = self._put(off + _UPDATE, _ID)
        minute = self.minute
        for at in range(off + _MINUTE, off + TEXT):
            buf[at] = minute & 255
            minute >>= 8

    def _key_len(self, off):
        """Bytes of the key at ``off``, whose chat is written: a topic comes behind it."""
        n = self._lens[_CHAT]
        if self._topic and self._lens[_THREAD] and n + 1 + self._lens[_THREAD] <= _KEY_MOST:
            self._buf[off + KEY + n] = 0x3A
            n += 1 + self._put(off + KEY + n + 1, _THREAD)
        return n

    def _put(self, at, slot):
        """Writes an id into the record; returns its length."""
        n = self._lens[slot]
        copy(self._buf, at, self._ids, slot * _DIGITS, n)
        return n

    def _place(self, command):
        size = TEXT + self._text_len
        if STOP <= command <= START or command == REBOOT:
            size = min(size, TEXT + _ASIDE_MOST)  # what stands behind the word has no meaning
            self._buf[self._off] &= GROUP | OWNER
        elif self._confirming and self._stopped(command):
            command = self._buf[self._off + 3] = STOPPED
            size = TEXT
        now = STOP <= command <= MODEL or command >= SLOWER
        now = now or (command == REBOOT and self._confirming)
        if now and size <= TEXT + _ASIDE_MOST:
            if not self._put_aside(command, size):
                self._confirming = False
                return
        elif command != REBOOT and self._confirming and self.journal.received(self._off, size):
            self.inbox.finish(size)
        else:
            self._confirming = False
            return
        self.received += 1
        if self.rates is not None and (
            not command or RETRY <= command <= MORE or command >= SLOWER
        ):
            self.rates.took(self._ids, self._lens[_FROM])
        if self._confirming:
            self._confirm()
            self.journal.offset(self._offset, 0, self._offset_len)
        else:
            # Acted upon, but to come again.
            at = self._seen_next
            copy(self._seen, at * _UPDATE_MOST, self._ids, _ID * _DIGITS, _UPDATE_MOST)
            self._seen_len[at] = self._lens[_ID]
            self._seen_next = (at + 1) % _SEEN
            if command == STOP:
                self._remember()

    def _stop(self):
        """Where a /stop of the record's chat is remembered, or -1."""
        n = self._buf[self._off + 1]
        return find(self._stops, self._stops_len, _STOP, self._buf, self._off + KEY, n)

    def _remember(self):
        """Remembers the /stop in the record, in place of an earlier one of its chat."""
        at = self._stop()
        if at < 0:
            at = self._stops_next
            self._stops_next = (at + 1) % _STOPS
            self._stops_len[at] = self._buf[self._off + 1]
        at *= _STOP
        copy(self._stops, at, self._buf, self._off + KEY, _STOP)
        self._stops[at + _STOP_LEN] = self._lens[_ID]

    def _stopped(self, command):
        """Whether a /stop that is remembered closes the message: it needs the model, and an id far
        below belongs to a new sequence."""
        if not self._text_len or command and not RETRY <= command <= MORE:
            return False
        at = self._stop()
        if at < 0:
            return False
        at *= _STOP
        n = self._stops[at + _STOP_LEN]
        n = behind(self._ids, _ID * _DIGITS, self._lens[_ID], self._stops, at + _STOP_ID, n)
        return 0 < n <= _NEAR

    def _put_aside(self, command, size):
        # Beside others that wait there is always room for a /stop.
        if command != STOP and (
            self.asides.full
            or not self._confirming
            and self._seen_len[self._seen_next]  # it would be acted upon again, or another
        ):
            return False
        at = self.asides.pend(ASIDE)
        if at < 0:
            return False
        copy(self.asides.buf, at, self._buf, self._off, size)
        self.asides.finish(size)
        return True

    def _confirm(self):
        """Moves the offset past this update, unless an earlier one still has no place."""
        if self._confirming:
            n = self._lens[_ID]
            copy(self._offset, 0, self._ids, _ID * _DIGITS, n)
            self._offset_len = increment(self._offset, 0, n)
            self._moved = True
            self._broken = 0

    def _known(self):
        """Whether this update was acted upon already.

        Telegram sends nothing below the offset but when it begins a new sequence of ids, which it
        does after a week of silence: a few below is a repetition, far below is new.
        """
        n = self._lens[_ID]
        slot = find(self._seen, self._seen_len, _UPDATE_MOST, self._ids, _ID * _DIGITS, n)
        if slot >= 0:
            if self._confirming:
                self._seen_len[slot] = 0
                self._confirm()
            return True
        if n == self._offset_len and same(self._ids, _ID * _DIGITS, self._offset, 0, n):
            return False  # the next one, as nearly always
        n = behind(self._ids, _ID * _DIGITS, n, self._offset, 0, self._offset_len)
        known = 0 < n <= _NEAR
        self.duplicates += known
        return known

    def _allowed(self):
        """Whether the sender or the chat is on the list; if not, ``refused_id`` says where."""
        if self._lists(_FROM):
            if self._is(_FROM, self.owner):
                self._flags |= OWNER
        elif not self._lists(_CHAT):
            # The chat's id, which in private is the sender's. In groups many share a sender, all
            # admins without a name, say: that, listed, would let in the world.
            self.refused_len = self._lens[_CHAT]
            copy(self.refused_id, 0, self._ids, _CHAT * _DIGITS, self.refused_len)
            return False
        return True

    def _lists(self, slot):
        """Whether one of the ids is on the list."""
        n = self._lens[slot]
        if n:
            n = find(self._listed, self._listed_lens, _DIGITS, self._ids, slot * _DIGITS, n) + 1
        return n > 0

    def _is(self, slot, word):
        """Whether one of the ids is ``word``."""
        n = self._lens[slot]
        return n == len(word) and same(self._ids, slot * _DIGITS, word, 0, n)

    def _command(self):
        """The number of the command in the text, 0 if it is none, -1 if it is for another bot."""
        at = self._off + TEXT
        end = at + self._text_len
        if at == end or self._buf[at] != 0x2F or self._flags & ODD:
            return 0
        at += 1
        stop = at
        while stop < end and self._buf[stop] > 0x20 and self._buf[stop] != 0x40:
            stop += 1
        if stop < end and self._buf[stop] == 0x40:
            if self.bot.username_len or self._flags & GROUP:
                if not self._named(stop + 1, end):
                    return -1
            self._meant |= _NAMED
        stop -= at
        return find(_COMMANDS, _LENGTHS, _WIDTH, self._buf, at, stop) + 1

    def _for_me(self):
        """Whether a group's message that is no command means the bot."""
        buf, at = self._buf, self._off + TEXT
        end = at + self._text_len
        if self._is(_REPLY, self.bot.id):
            self._meant |= _REPLIED
        if self._meant == _REPLIED or self._meant & _NAMED:
            return True
        start = at
        at = buf.find(b"@", at, end)
        while at >= 0:
            if self._named(at + 1, end) and (at == start or not _in_word(buf[at - 1])):
                return True
            at = buf.find(b"@", at + 1, end)
        return False

    def _named(self, at, end):
        """Whether the bot's name, in any case, is the word at ``at``.

        While the name is not known nothing more is confirmed: the update comes again.
        """
        buf = self._buf
        n = self.bot.username_len
        if not n:
            self._confirming = False
            return False
        if at + n > end or (at + n < end and _in_word(buf[at + n])):
            return False
        for i in range(n):
            if buf[at + i] | 0x20 != self.bot.username[i] | 0x20:
                return False
        return True

    def _survive(self, weight):
        """After an answer that broke: asks for one update at a time, and drops the one whose id
        could be read but whose rest breaks each time. It would jam the queue for ever.
        """
        self._limit = 1
        if self._lens[_ID]:
            self._broken += weight
            if self._broken >= _BROKEN_MOST and self._confirming:
                self.dropped += 1
                self._confirm()


def _in_word(char):
    """Whether a username may have this byte in it."""
    return 48 <= char <= 57 or 97 <= char | 0x20 <= 122 or char == 95


def argument(buf, off, size):
    """(start, end) of what stands behind the command in the record's text."""
    pos, end = off + TEXT, off + size
    while pos < end and buf[pos] > 0x20:
        pos += 1
    while pos < end and buf[pos] <= 0x20:
        pos += 1
    return pos, end


def mark_at(buf, record):
    """16 bits that tell the record's update from those around it."""
    return crc16(buf, record + _UPDATE, buf[record + 4], 0xFFFF)


def minute_at(buf, record):
    """When the record came, see Updates.minute."""
    at = record + _MINUTE
    return buf[at] | buf[at + 1] << 8 | buf[at + 2] << 16 | (buf[at + 3] & 31) << 24
