"""Pairing: who sends a code to the bot goes on the allow-list. An overlay.

In private, where the chat has the person's id: in a group many may share a sender.
"""

import os
import time

from thimble.core.errors import ThimbleError

PATHS = b"result[] result[].update_id .chat.id .text"

_FIRST = const(6)  # as telegram.bot._FIRST
_OPEN = const(1)  # as core.scan._OPEN
_CLOSE = const(2)  # as core.scan._CLOSE
_PIECE = const(4)  # as core.scan._PIECE
# Their places behind the Bot's own.
_UPDATE = const(1)
_TEXT = const(3)
_OUT = const(64)
_MOST = const(100)  # updates that Telegram gives at once, and no others until it may forget them
_POLL_S = const(5)
_APART_MS = const(600)  # sooner, Telegram would give only one update


def code():
    """Eight digits."""
    return "%08d" % (int.from_bytes(os.urandom(6), "big") % 100_000_000)


class Pairing:
    """bot: a Bot for PATHS. code: what is to be sent, alone or behind /start. keep: messages that
    wait are left there, since the relay is to answer them."""

    def __init__(self, bot, code, keep):
        self._bot = bot
        self._wanted = code.encode()
        self._keep = keep
        self._timeout = _POLL_S
        self._offset = 0
        self._buf = bytearray(_OUT)
        self._ids = [0, 0]
        self._good = self._long = False

    def poll(self):
        """Looks for the code for some seconds: the id of its sender, or 0. Raises ThimbleError.

        -1 where so much waits that it cannot be seen, which is said.
        """
        found, count, last = self._ask()
        if last and (not self._keep or found and count == 1):
            self._offset = last + 1
        elif count == _MOST and not found:
            print("100 messages wait. Let the relay answer them, then pair.")
            return -1
        if found:
            self._timeout = 0
            try:
                self._ask()  # confirms it, so that the relay does not answer it
            except ThimbleError:
                pass  # it has come all the same
        elif last:
            time.sleep_ms(_APART_MS)
        return found

    def write_body(self, w):
        """For the Bot: which updates."""
        if self._offset:
            w.raw(b',"offset":')
            w.raw(b"%d" % self._offset)

    def _ask(self):
        """(sender of the code or 0, how many updates there are up to it, the last one's id)."""
        bot = self._bot
        scanner = bot.scanner
        bot.get_updates(self, self._timeout)
        sender = count = last = 0
        event = bot.next()
        while event >= 0:
            path = scanner.path - _FIRST
            if path > 0:
                self._field(path, event, scanner.length)
            elif event == _OPEN:
                self._ids[:] = (0, 0)
                self._good = self._long = False
            elif event == _CLOSE and not sender:
                count += 1
                last = self._ids[0]
                sender = max(0, self._ids[1]) if self._good else 0
            if event == _CLOSE:
                bot.scratch()
            else:
                scanner.out(self._buf, 0, _OUT)
            event = bot.next()
        return sender, count, last

    def _field(self, path, event, size):
        if path != _TEXT:
            self._ids[path - _UPDATE] = int(bytes(self._buf[:size]))
            return
        words = bytes(self._buf[:size]).split()
        self._good = not self._long and words[-1:] == [self._wanted] and len(words) < 3
        self._long = event == _PIECE
