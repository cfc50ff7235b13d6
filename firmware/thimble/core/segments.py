"""A pool of equal blocks of memory, from which the conversations are made.

    data   the blocks: bytearrays of ``size`` bytes, None where one went back to the heap
    next   array 'h', for each block the index of the one after it in its chain, -1 at the end

A taken block belongs to its taker, who chains it. The free blocks are a chain of their own, and
so are the places of the missing ones.
"""

from array import array

_MOST = const(0xFFFFFF)  # what a turn's header can count


class Segments:
    """Up to ``most`` blocks of ``size`` bytes, of which ``made`` (all) are made now if they fit.

    ``count`` of them exist, and ``free`` of these are not taken. ``share``: the most bytes of
    text that one turn of a conversation may keep.
    """

    def __init__(self, size, most, made=None):
        self.size = size
        self.share = _MOST
        self.count = self.free = 0
        self.next = array("h", range(-1, most - 1))
        self.data = [None] * most
        self._free = -1
        self._gone = most - 1
        self.regrow(most if made is None else made)

    def take(self):
        """Index of a block that is now the caller's, its ``next`` -1; or -1: none is free."""
        index = self._free
        if index >= 0:
            self._free = self.next[index]
            self.next[index] = -1
            self.free -= 1
        return index

    def give(self, index):
        """Takes block ``index`` back."""
        self.next[index] = self._free
        self._free = index
        self.free += 1

    def release(self, n):
        """Gives up to ``n`` free blocks back to the heap; returns how many."""
        done = 0
        while done < n and self._free >= 0:
            index = self.take()
            self.data[index] = None
            self.next[index] = self._gone
            self._gone = index
            done += 1
        self.count -= done
        return done

    def regrow(self, n):
        """Makes up to ``n`` released blocks anew, as the heap allows; returns how many."""
        done = 0
        while done < n and self._gone >= 0:
            index = self._gone
            try:
                self.data[index] = bytearray(self.size)
            except MemoryError:
                break
            self._gone = self.next[index]
            self.give(index)
            done += 1
        self.count += done
        return done
