"""The keeper of memory: holds the conversations, watches the gauges, gives memory back.

Three gauges: how many of the segments are used; how much of the heap above the floor, which is
what is used after boot with the connections open and no conversation; and what the board says of
memory outside this heap, where an ESP32 has its TLS. Collections are dear on a board and are made
between messages.
"""

import gc

from thimble.core.chats import Chats
from thimble.core.pressure import Pressure, percent
from thimble.core.segments import Segments

_RELIEVED = const(60)  # as core.pressure.RELIEVED
_FEW = const(4)  # turns that a conversation keeps under critical pressure, if they are small
_LEAST = const(3)  # that it keeps anyhow: the last exchange, and a question behind it


class Memory:
    """To be made last: the conversations get what the heap has left.

    settings  the configuration's section ``memory``
    sizes     the board's profile
    code      bytes that code takes which comes and goes; the reserve is there for it, too
    strain    gives the percent to which memory outside this heap is strained

    ``chats``, ``segments``, ``pressure``; ``heap_low``, the fewest bytes free after a collection;
    ``compactions``, how often a conversation was compacted; ``short``, whether at the last look
    more was short than the segments, which a summary can free.
    """

    def __init__(self, settings, sizes, code, strain):
        self.pressure = Pressure(settings.elevated, settings.critical)
        self._elevated = settings.elevated
        self._outside = strain
        self.compactions = self.short = 0
        self.segments = segments = Segments(sizes.segment, sizes.segments_max, 0)
        self.chats = Chats(segments, sizes.slots)
        reserve = sizes.reserve + code
        gc.collect()
        # Held while the segments are made: what comes and goes needs room in large pieces.
        room, left, piece = [], reserve, reserve
        while left > 0 and piece >= sizes.segment:
            try:
                room.append(bytearray(piece))
                left -= piece
            except MemoryError:
                piece //= 2
        free, used = gc.mem_free(), gc.mem_alloc()
        whole = free + used
        self._budget = min(settings.budget_kb * 1024 or whole, whole)
        spare = min(free, self._budget - used) if left <= 0 else 0
        segments.regrow(min(sizes.segments_max, max(spare, 0) // (sizes.segment + 16)))
        del room
        gc.collect()
        segments.regrow(sizes.segments_min - segments.count)
        segments.share = sizes.segment * max(2, segments.count // 4)
        self._most = segments.count
        self._floor = gc.mem_alloc()
        # A budget under what is needed anyhow would be a pressure that nothing can relieve.
        self._budget = max(self._budget, min(self._floor + reserve, whole))
        self.heap_low = gc.mem_free()
        # Where the least number of segments left less than that, which then was too little for
        # something, regrow() takes two fewer.
        self._reserve = min(reserve, self.heap_low + 2 * sizes.segment)

    def collect(self):
        """Collects, and notes what is free then."""
        gc.collect()
        self.heap_low = min(self.heap_low, gc.mem_free())

    def look(self, again=False):
        """The level to act upon now, see Pressure.look. Collects if the heap seems to be short."""
        heap = self.heap()
        if heap >= _RELIEVED:
            self.collect()
            heap = self.heap()
        if self.fill() >= self._elevated:
            self.evict()
        heap = max(heap, self._outside())
        self.short = heap >= _RELIEVED
        level = self.pressure.look(max(self.fill(), heap), again)
        if not self.pressure.level:
            self.regrow()
        return level

    def share(self):
        """Bytes that one more conversation may have: the whole divided among the active ones, if
        there are any, or what is free, as long as no pressure comes of it."""
        segments = self.segments
        fair = segments.count // ((self.chats.active or 1) + 1)
        return segments.size * max(2, fair, segments.free - segments.count * 2 // 5)

    def fill(self):
        """Percent of the segments that conversations hold."""
        return percent(self.segments.count - self.segments.free, self._most)

    def heap(self):
        """Percent of the heap above the floor that is used, garbage too."""
        return percent(gc.mem_alloc() - self._floor, self._budget - self._floor)

    def gauges(self):
        """All three, in percent: the segments, the heap, and the board's, seven bits each."""
        return (self.fill() << 7 | self.heap()) << 7 | self._outside()

    def largest_block(self):
        """Bytes of the largest block that the heap could give; nothing but trying tells."""
        low, high = 0, gc.mem_free()
        while high - low > 64:
            middle = (low + high) // 2
            try:
                bytearray(middle)
                low = middle
            except MemoryError:
                high = middle
            gc.collect()
        return low

    def regrow(self):
        """Takes back segments that went to the heap, while the reserve stays free."""
        segments = self.segments
        if segments.count < self._most:
            self.collect()
        while segments.count < self._most and gc.mem_free() > self._reserve + segments.size:
            if not segments.regrow(1):
                break

    def evict(self):
        """Lets go of conversations that come back from flash when they speak, the least recently
        used first, until the pressure is over or one is left. The busy one stays."""
        chats = self.chats
        while self.fill() >= _RELIEVED and chats.active > 1:
            chats.oldest(None).clear()

    def relieve(self, hard=False):
        """Keeps only the last turns of the conversation used last, the last exchange if they are
        large, and none of the others, which come back from flash. If it is the heap that is short,
        or ``hard``, what segments are free then go to it, all but two, or all if ``hard``;
        regrow() leaves it the reserve.

        The conversation that is being answered is not touched.
        """
        chats, segments = self.chats, self.segments
        last = chats.all[0]
        for chat in chats.all:
            if chat.stamp > last.stamp:
                last = chat
        for chat in chats.all:
            if chat is not chats.busy and chat is not last:
                self.compactions += chat.turns > 0
                chats.forget(chat)
        if last is not chats.busy:
            size = last.turns
            while last.turns > (_FEW if self.fill() < _RELIEVED else _LEAST):
                if not last.drop_oldest():
                    break
            self.compactions += last.turns < size
        self.collect()
        if hard or self.heap() >= _RELIEVED:
            segments.release(segments.free - (0 if hard else 2))
            self.collect()
