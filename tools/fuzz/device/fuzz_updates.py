"""A case: the size of the pieces, the answer to a getUpdates.

Whatever it was, an update that comes behind it must be taken within a few polls, so that nothing
in it makes the bot deaf.
"""

from binascii import hexlify

from thimble.core.errors import ApiError, NetError, ParseError
from thimble.core.ring import Ring
from thimble.telegram import updates
from thimble.telegram.bot import Bot

_ALLOW = [b"42", b"-1001234567890"]
_GOOD = '{"ok":true,"result":[{"update_id":%s,"message":{"message_id":1,"from":{"id":42},'
_GOOD += '"chat":{"id":42,"type":"private"},"text":"still there?"}}]}'
_POLLS = 4


class Writer:
    def __init__(self):
        self.data = b""

    def raw(self, data):
        self.data += data

    def view(self, buf, off, end):
        self.data += bytes(buf[off:end])

    def num(self, number):
        self.data += b"%d" % number


class Http:
    """Answers with ``answer``; once that is None, with an update of the id that is asked for."""

    status = 200
    retry_after = 0
    is_json = True
    inbuf = bytearray(256)
    pos = 0

    def request(self, req, first_ms):
        writer = Writer()
        req.write_body(writer)
        self.asked = writer.data
        self.rest = self.answer
        if self.rest is None:
            at = self.asked.find(b'"offset":')
            number = self.asked[at + 9 : self.asked.find(b",", at)] if at > 0 else b"1"
            self.rest = (_GOOD % number.decode()).encode()

    def read(self, ms):
        n = min(self.piece, len(self.rest))
        self.inbuf[:n] = self.rest[:n]
        self.rest = self.rest[n:]
        return n

    def drain(self):
        pass


_http = Http()
_bot = Bot(_http, "1:fuzz", "", updates.PATHS)
_bot.username[:4] = b"fuzz"
_bot.username_len = 4
_inbox = bytearray(60000)
_asides = bytearray(2048)


def _records(ring):
    found, at = [], ring.first()
    while at >= 0:
        buf, size = ring.buf, ring.size(at)
        uid = bytes(buf[at + 48 : at + 48 + buf[at + 4]]).decode()
        key = bytes(buf[at + updates.KEY : at + updates.KEY + buf[at + 1]]).decode()
        text = bytes(buf[at + updates.TEXT : at + size])
        text.decode()
        said = (uid, key, buf[at], buf[at + 3], hexlify(text).decode())
        found.append("%s:%s:%d:%d:%s" % said)
        at = ring.after(at)
    return " ".join(found)


class Journal:
    """Has room for everything."""

    doubt = False

    def load(self, ring, bot, out):
        return 0

    def commit(self):
        return True

    def full(self, n):
        return False

    def received(self, record, n):
        return True

    def offset(self, buf, off, n):
        pass


def run(case):
    _http.piece, _http.answer = case[0] % 200 + 1, case[1:]
    inbox, asides = Ring(_inbox, updates.RECORD), Ring(_asides, 2 * updates.ASIDE)
    it = updates.Updates(_bot, inbox, asides, _ALLOW, Journal())
    ended = "taken"
    try:
        it.poll(0)
    except (ApiError, NetError, ParseError) as error:
        assert str(error)
        ended = type(error).__name__
    said = "%s %d | %s | %s" % (ended, it.refused, _records(inbox), _records(asides))
    for ring in (inbox, asides):
        while ring.count:
            ring.drop(ring.first())
    _http.answer = None
    for _ in range(_POLLS):
        try:
            it.poll(0)
        except (ApiError, ParseError):
            pass
        if inbox.count:
            return said
    raise AssertionError("deaf from then on; asked with %s" % _http.asked.decode())
