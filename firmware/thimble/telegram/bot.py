"""The Bot API's methods that the relay calls, over one kept-alive connection.

Sources: core.telegram.org/bots/api and the server's own Client.cpp. Every call is a POST with a
JSON body that is written twice (count, then stream), so a text of any length needs no copy. The
token stands in the path, never in an error.

    peer   who a call is about: see Peer
    text   (buf, off, end), UTF-8; at most 4,096 UTF-16 units, not empty after trimming
"""

from time import ticks_diff, ticks_ms

from thimble.core.errors import ApiError, NetError
from thimble.core.octets import copy, get_int, same
from thimble.core.scan import Scanner
from thimble.core.text import boundary

_MORE = const(0)  # as core.scan.MORE
_VALUE = const(3)  # as core.scan._VALUE
_PIECE = const(4)  # as core.scan._PIECE
_INTEGER = const(1)  # as core.scan._INTEGER
_TRUE = const(3)  # as core.scan._TRUE
# The paths that every answer may have come first.
_OK = const(0)
_CODE = const(1)
_DESCRIPTION = const(2)
_MESSAGE_ID = const(4)
_USERNAME = const(5)
_PATHS = b"ok error_code description parameters.retry_after result.message_id result.username "
_FIRST = const(6)  # where those of the updates begin

_ANSWER_MS = const(15000)
_WHOLE_MS = const(120_000)
_SCRATCH = const(160)
_SAID = const(128)  # of it, for what an error says


class Peer:
    """A chat, or a topic of a forum group: whom an answer goes to.

    ``key[:key_len]`` names the conversation: the chat's id in decimal, and ``:`` and the
    topic's id behind it in a forum; ``key[:chat_len]`` is the chat's id alone.
    """

    def __init__(self):
        self.key = bytearray(40)
        self.key_len = self.chat_len = 0
        self.group = False

    def load(self, buf, off, key_len, chat_len, group):
        """Takes the key that stands at buf[off:off + key_len]."""
        self.key_len = key_len
        self.chat_len = chat_len
        self.group = group
        while key_len:
            key_len -= 1
            self.key[key_len] = buf[off + key_len]

    def is_at(self, buf, off, key_len):
        """Whether buf[off:off + key_len] is this peer's key."""
        return key_len == self.key_len and same(self.key, 0, buf, off, key_len)


class Bot:
    """Calls methods. An answer that is not "ok" raises ApiError; a broken link NetError.

    paths: the paths of the updates that get_updates() will bring, separated by spaces;
    one that begins with a dot lies within result[].message, with ~ within its rich_message.
    answer_ms: bound on an answer from its header to its end, however its bytes drip in.
    """

    repeatable = False

    def __init__(self, http, token, path, paths):
        self.http = http
        self.answer_ms = _WHOLE_MS
        self._began = 0
        self._path = ("POST " + path + "/bot" + token + "/").encode()
        self.id = token.partition(":")[0].encode()  # no secret, unlike the rest
        self._method = self._buf = b""
        self._peer = self._updates = None
        self._off = self._end = self._timeout = 0
        paths = paths.replace(b"~", b".rich_message").replace(b" .", b" result[].message.")
        self.scanner = Scanner((_PATHS + paths).split())
        self._scratch = bytearray(_SCRATCH)
        # The id of the message that the last call sent, in decimal, and the bot's own name.
        self.message_id = bytearray(20)
        self.message_id_len = 0
        self.username = bytearray(32)
        self.username_len = 0
        self._ok = False
        # Of the last error: its number, the seconds that Telegram asks us to wait, or 0.
        self.code = self.retry_after = self._described = 0

    def call(self, method, peer=None, buf=b"", off=0, end=0):
        """Calls the method with this name, about ``peer``; getUpdates: see get_updates().

        buf[off:end] is the text of sendMessage and editMessageText, or without a peer the inside
        of the body's JSON. sendMessage sets ``message_id``, getMe ``username``; editMessageText
        and deleteMessage are about the ``message_id`` that the caller has set.
        """
        self._peer = peer
        self._updates = None
        self._buf = buf
        self._off = off
        self._end = end
        # An edit may be repeated; a message sent twice is there twice.
        self.repeatable = method != b"sendMessage"
        self._begin(method, _ANSWER_MS)
        while self.next() >= 0:
            pass

    def get_updates(self, updates, timeout_s):
        """Asks for messages, for which Telegram waits up to ``timeout_s`` seconds (at most 50).

        ``updates.write_body`` writes what else is asked for. The caller goes on with next() until
        it is negative.
        """
        self._peer = None
        self._updates = updates
        self._timeout = timeout_s
        self.repeatable = True
        self._begin(b"getUpdates", timeout_s * 1000 + _ANSWER_MS)

    def scratch(self):
        """What is scanned from here on is not of an update."""
        self.scanner.out(self._scratch, 0, _SCRATCH)

    def _begin(self, method, first_ms):
        self._method = method
        self._ok = False
        self.code = self.retry_after = self._described = 0
        self.scanner.start(self._scratch, 0, _SCRATCH)
        self.http.request(self, first_ms)
        self._began = ticks_ms()
        if self.http.status >= 300 and not self.http.is_json:
            self.http.drain()
            raise self._error()

    def next(self):
        """The scanner's next event beyond the envelope; -1 once the whole answer is read.

        Raises ApiError if the answer was an error, ParseError if it was no valid JSON.
        """
        scanner, http = self.scanner, self.http
        while True:
            event = scanner.next()
            if event == _VALUE or event == _PIECE:
                if scanner.path < _FIRST:
                    self._take(event)
                    continue
                return event
            if event != _MORE:
                return event
            if ticks_diff(ticks_ms(), self._began) > self.answer_ms:
                http.close()
                raise NetError("deadline", "Telegram's answer took over %d ms" % self.answer_ms)
            count = http.read(_ANSWER_MS)
            if count == 0:
                scanner.finish()
                if not self._ok:
                    raise self._error()
                return -1
            if count > 0:
                scanner.feed(http.inbuf, http.pos, http.pos + count)

    def _take(self, event):
        """Keeps one value of the envelope or of a simple result."""
        path = self.scanner.path
        n = self.scanner.length
        if path == _DESCRIPTION:
            if not self._described:
                self._described = boundary(self._scratch, 0, min(n, _SAID))
                # What follows must not overwrite it.
                self.scanner.out(self._scratch, _SAID, _SCRATCH - _SAID)
        elif event == _PIECE:
            pass
        elif path == _OK:
            self._ok = self.scanner.kind == _TRUE
        elif path == _MESSAGE_ID:
            self.message_id_len = n = min(n, 20)
            copy(self.message_id, 0, self._scratch, 0, n)
        elif path == _USERNAME:
            self.username_len = n = min(n, 32)
            copy(self.username, 0, self._scratch, 0, n)
        elif self.scanner.kind == _INTEGER:
            at = _SAID if self._described else 0
            n = get_int(self._scratch, at, at + n)
            if path == _CODE:
                self.code = n
            else:
                self.retry_after = max(n, 0)

    def _error(self):
        code = self.code = self.code or self.http.status
        wait = self.retry_after = self.retry_after or self.http.retry_after
        text = bytes(self._scratch[: self._described]).decode()
        if not text:
            text = "Telegram answered %d without saying why"
            if 300 <= code < 400:
                text = "Telegram redirects (%d), which is not followed"
            text %= code
        return ApiError(code, text, wait)

    # What Http asks for.

    def write_head(self, w):
        w.raw(self._path)
        w.raw(self._method)
        w.raw(b" HTTP/1.1\r\nContent-Type: application/json\r\n")

    def write_body(self, w):
        peer = self._peer
        if peer is None:
            w.raw(b"{")
            if self._updates is not None:
                w.raw(b'"allowed_updates":["message"],"timeout":')
                w.num(self._timeout)
                self._updates.write_body(w)
            else:
                w.view(self._buf, self._off, self._end)
            w.raw(b"}")
            return
        w.raw(b'{"chat_id":')
        w.view(peer.key, 0, peer.chat_len)
        if self._method == b"editMessageText" or self._method == b"deleteMessage":
            w.raw(b',"message_id":')
            w.view(self.message_id, 0, self.message_id_len)
        elif peer.key_len > peer.chat_len:
            w.raw(b',"message_thread_id":')
            w.view(peer.key, peer.chat_len + 1, peer.key_len)
        if self._method == b"deleteMessage":
            w.raw(b"}")
        elif self._method == b"sendChatAction":
            w.raw(b',"action":"typing"}')
        else:
            w.raw(b',"link_preview_options":{"is_disabled":true},"text":"')
            w.json(self._buf, self._off, self._end)
            w.raw(b'"}')
