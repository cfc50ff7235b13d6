"""Telegram's flood limits, kept from our side so that it need not refuse.

A chat takes about 1 message a second with small bursts, a group 20 a minute, all chats together 30
a second; edits count (core.telegram.org/bots/faq). Each bucket is one number, the time at which it
will be full again (the generic cell rate algorithm), so refilling it costs nothing.
"""

import time
from array import array

import micropython
from micropython import const

from thimble.core.octets import copy, same

_CHAT_MS = const(1050)
_CHAT_BURST_MS = const(4200)  # four calls ahead, and the one that is made
_GROUP_MS = const(3500)
_GROUP_BURST_MS = const(7000)
_ALL_MS = const(35)
_ALL_BURST_MS = const(350)
_KEY = const(20)
_STALE_MS = const(3_700_000)  # a time further off is one from before the ticks wrapped


class Limits:
    """The buckets of the ``chats`` that were served last, and the one of all chats."""

    def __init__(self, chats):
        self._keys = bytearray(chats * _KEY)
        self._lens = bytearray(chats)
        self._full_at = array("i", [0] * chats)
        self._all_full_at = time.ticks_ms()

    def wait_ms(self, peer, now, spare):
        """Milliseconds until ``peer`` may get a call with ``spare`` more in reserve."""
        spare *= _GROUP_MS if peer.group else _CHAT_MS
        wait = self._find(peer)
        if wait >= 0:
            wait = self._ahead(self._full_at[wait], now) + spare
            wait -= _GROUP_BURST_MS if peer.group else _CHAT_BURST_MS
        return max(self._ahead(self._all_full_at, now) - _ALL_BURST_MS, wait, 0)

    def spend(self, peer, now):
        """Counts one call to ``peer``."""
        slot = self._slot(peer, now)
        ahead = self._ahead(self._full_at[slot], now)
        ahead += _GROUP_MS if peer.group else _CHAT_MS
        self._full_at[slot] = time.ticks_add(now, ahead)
        ahead = self._ahead(self._all_full_at, now) + _ALL_MS
        self._all_full_at = time.ticks_add(now, ahead)

    def block(self, peer, now, seconds):
        """Telegram said to wait (429): nothing goes to ``peer`` for ``seconds``."""
        burst = _GROUP_BURST_MS if peer.group else _CHAT_BURST_MS
        slot = self._slot(peer, now)
        self._full_at[slot] = time.ticks_add(now, min(seconds, 3600) * 1000 + burst)

    def _ahead(self, full_at, now):
        ahead = time.ticks_diff(full_at, now)
        return ahead if 0 < ahead < _STALE_MS else 0

    def _find(self, peer):
        for slot in range(len(self._lens)):
            if self._lens[slot] == peer.chat_len and same(
                self._keys, slot * _KEY, peer.key, 0, peer.chat_len
            ):
                return slot
        return -1

    @micropython.native
    def _slot(self, peer, now):
        """The peer's slot, taking the fullest bucket's if it has none."""
        slot = self._find(peer)
        if slot < 0:
            slot = least = 0
            for other in range(len(self._lens)):
                ahead = self._ahead(self._full_at[other], now)
                if other == 0 or ahead < least:
                    slot, least = other, ahead
                if not ahead:
                    break
            copy(self._keys, slot * _KEY, peer.key, 0, peer.chat_len)
            self._lens[slot] = peer.chat_len
            self._full_at[slot] = now
        return slot
