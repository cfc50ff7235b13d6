"""Telegram's flood limits, kept from our side so that it need not refuse.

A chat takes about 1 message a second with small bursts, a group 20 a minute, all chats together 30
a second; edits count (core.telegram.org/bots/faq). Each bucket is one number, the time at which it
will be full again (the generic cell rate algorithm), so refilling it costs nothing.
"""

from array import array

from time import ticks_add, ticks_diff, ticks_ms

from thimble.core.octets import copy, find

_CHAT_MS = const(1050)
_CHAT_BURST_MS = const(4200)  # four calls ahead, and the one that is made
_GROUP_MS = const(3500)
_GROUP_BURST_MS = const(7000)
_ALL_MS = const(50)
_ALL_BURST_MS = const(450)  # with it never more than 30 in any second
_KEY = const(20)
_STALE_MS = const(3_700_000)  # a time further off is one from before the ticks wrapped


class Limits:
    """The buckets of the ``chats`` that were served last, and the one of all chats."""

    def __init__(self, chats):
        self._keys = bytearray(chats * _KEY)
        self._lens = bytearray(chats)
        # When each is full again; behind the chats', the bucket of all, and the last block's end.
        self._full_at = array("i", [ticks_ms()] * (chats + 2))

    def wait_ms(self, peer, now, spare):
        """Milliseconds until ``peer`` may get a call with ``spare`` more in reserve."""
        wait = self._find(peer)
        if wait >= 0:
            wait = self._ahead(wait, now)
            if peer.group:
                wait += spare * _GROUP_MS - _GROUP_BURST_MS
            else:
                wait += spare * _CHAT_MS - _CHAT_BURST_MS
        return max(self._ahead(len(self._lens), now) - _ALL_BURST_MS, wait, 0)

    def spend(self, peer, now):
        """Counts one call to ``peer``."""
        self._delay(self._slot(peer, now), now, _GROUP_MS if peer.group else _CHAT_MS)
        self._delay(len(self._lens), now, _ALL_MS)

    def block(self, peer, now, wait):
        """Telegram said to wait (429): nothing goes to ``peer`` for so many seconds.

        An hour at most: then Telegram is asked again."""
        wait = min(wait, 3600) * 1000 + (_GROUP_BURST_MS if peer.group else _CHAT_BURST_MS)
        slot = self._slot(peer, now)
        self._full_at[slot] = now
        self._delay(slot, now, wait)
        if wait > self.blocked(now):
            self._full_at[-1] = ticks_add(now, wait)

    def blocked(self, now):
        """Milliseconds for which some chat is blocked still."""
        return self._ahead(-1, now)

    def serve(self, now):
        """To be called every few days at least: the time when a bucket was full long ago would
        else be one to come, when the ticks have wrapped."""
        for slot in range(len(self._full_at)):
            if not self._ahead(slot, now):
                self._full_at[slot] = now

    def _delay(self, slot, now, ms):
        self._full_at[slot] = ticks_add(now, self._ahead(slot, now) + ms)

    def _ahead(self, slot, now):
        """Milliseconds until the bucket is full."""
        ahead = ticks_diff(self._full_at[slot], now)
        return ahead if 0 < ahead < _STALE_MS else 0

    def _find(self, peer):
        return find(self._keys, self._lens, _KEY, peer.key, 0, peer.chat_len)

    def _slot(self, peer, now):
        """The peer's slot, taking the fullest bucket's if it has none."""
        slot = self._find(peer)
        if slot < 0:
            slot = 0
            other = len(self._lens)
            while other:
                other -= 1
                if self._ahead(other, now) < self._ahead(slot, now):
                    slot = other
            copy(self._keys, slot * _KEY, peer.key, 0, peer.chat_len)
            self._lens[slot] = peer.chat_len
            self._full_at[slot] = now
        return slot
