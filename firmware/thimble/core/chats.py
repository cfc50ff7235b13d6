"""The conversations that are in RAM, each found by the key of its chat.

A key is the chat's id, or "chat:thread", as bytes. There are a few slots; what they hold shares
one pool of segments. When that is used up, those who hold more than their share give first.
"""

from thimble.core.conversation import Conversation
from thimble.core.octets import copy, find

_HEADER = const(7)  # as core.conversation.HEADER
_KEY_BYTES = const(40)

_SILENT = const(8)  # messages of each of the others without one of its own


class Chats:
    """``slots`` (two or more) conversations over a pool of segments, made now.

    ``busy``: the Conversation that is being answered, or None; it is never cleared for another.
    One that is ``stuck`` has nothing to give while room is made.
    """

    def __init__(self, segments, slots):
        self.pool = segments
        self._most = segments.size - _HEADER  # for what is appended one free segment is enough
        self._keys = bytearray(slots * _KEY_BYTES)
        self._lens = bytearray(slots)
        self.all = []
        for slot in range(slots):
            conversation = Conversation(segments)
            conversation.slot = slot
            conversation.key = memoryview(self._keys)[slot * _KEY_BYTES :][:_KEY_BYTES]
            conversation.key_len = conversation.stamp = 0
            conversation.stuck = False
            self.all.append(conversation)
        self.busy = None
        self._clock = 0

    @property
    def active(self):
        """Conversations that hold turns."""
        n = 0
        for conversation in self.all:
            n += conversation.turns > 0
        return n

    def find(self, buf, off, n):
        """The conversation with the key ``buf[off:off + n]``, or None."""
        if n:
            n = find(self._keys, self._lens, _KEY_BYTES, buf, off, n)
            if n >= 0:
                return self.all[n]
        return None

    def get(self, buf, off, n):
        """The conversation with this key, now the most recently used; an empty one if it is new.

        A new one takes a slot without turns, else that of the least recently used conversation,
        which is lost, but never the busy one. ValueError if the key has more than 40 bytes.
        """
        if not 0 < n <= _KEY_BYTES:
            raise ValueError("bad key")
        found = self.find(buf, off, n)
        if found is None:
            found = self._idle()
            found.clear()
            copy(found.key, 0, buf, off, n)
            found.key_len = self._lens[found.slot] = n
        self._clock += 1
        found.stamp = self._clock
        return found

    def _idle(self):
        found = None
        for other in self.all:
            if not other.turns and other is not self.busy:
                if found is None or other.stamp < found.stamp:
                    found = other
        return found or self.oldest(self.busy)

    def forget(self, conversation):
        """Clears a conversation and frees its slot."""
        conversation.clear()
        conversation.key_len = conversation.stamp = self._lens[conversation.slot] = 0

    def append(self, conversation, buf, off, n):
        """Adds ``buf[off:off + n]`` to the conversation's open turn, making room as needed.

        The turn survives; if all else fails its middle goes. False: the pool is too small for
        even that, and the rest of the text is lost.
        """
        while n > 0:
            step = min(n, self._most)
            while not conversation.append(buf, off, step):
                if not self.room(conversation):
                    return False
            off += step
            n -= step
        return True

    def room(self, conversation):
        """Makes at least one segment free for ``conversation``; False if nothing at all can go.

        First go the oldest exchanges of whoever holds most above a fair share. If that is this
        one, or nobody, a whole conversation that has fallen silent goes instead, then this one's
        own oldest exchanges, then whole conversations, the least recently used first, last the
        middle of its open turn.
        """
        for other in self.all:
            other.stuck = other is self.busy and other is not conversation
        fair = self.pool.count // (self.active + (not conversation.turns))
        while not self.pool.free:
            other = self.largest(fair)
            if other is None or other is conversation:
                silent = self.oldest(conversation)
                if silent and self._clock - silent.stamp > _SILENT * self.active:
                    silent.clear()
                    continue
            if other is None:
                break
            other.stuck = not other.drop_oldest()
        while not self.pool.free:
            if conversation.drop_oldest():
                continue
            other = self.oldest(conversation)
            if other is not None:
                other.clear()
            elif not conversation.squeeze():
                return False
        return True

    def largest(self, fair):
        """Who holds most segments, more than ``fair``, and is not ``stuck``: of two the one less
        used; or None."""
        found = None
        for other in self.all:
            if other.stuck or other.segments_used <= fair:
                continue
            if found is not None:
                more = other.segments_used - found.segments_used
                if more < 0 or (not more and other.stamp > found.stamp):
                    continue
            found = other
        return found

    def oldest(self, conversation):
        """The least recently used one with segments, but ``conversation`` and the busy one."""
        found = None
        for other in self.all:
            if other is conversation or other is self.busy or not other.segments_used:
                continue
            if found is None or other.stamp < found.stamp:
                found = other
        return found
