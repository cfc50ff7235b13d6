"""A house whose time goes on only while its relay waits, to the millisecond: weeks take seconds.

It is the real relay, and the cloud's time goes with its own. In front of the runtime's `time` and
`select` stand two files that ask the house at each wait how late it is then: the end of the poll
that Telegram holds, the moment of what is planned next, or as late as was asked for. Before, the
house lets all arrive that is on its way, so that no hour depends on the machine.
"""

import asyncio
import heapq
import itertools
import math
import socket
import struct

from relay_kit import Board, House, started_by

WRAP = 1 << 30  # ticks_ms
HOUR = 3_600_000
TIME = """
import os
import socket
import struct
from utime import *

_sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
_sock.connect(socket.getaddrinfo("127.0.0.1", int(os.getenv("WEEKS_PORT")))[0][-1])
_box = bytearray(8)
_now = [0, 0]

def sleep_ms(ms):
    struct.pack_into("<I", _box, 0, ms)
    _sock.write(_box)
    _sock.readinto(_box)
    _now[:] = struct.unpack("<II", _box)

def ticks_ms():
    return _now[0]

def time():
    return _now[1]

sleep_ms(0)
"""
SELECT = """
import uselect
from time import sleep_ms
from uselect import *

class poll:
    def __init__(self):
        self._poll = poll = uselect.poll()
        self.register, self.unregister, self.modify = poll.register, poll.unregister, poll.modify

    def ipoll(self, ms):
        for pause in (0, ms):
            for _ in self._poll.ipoll(0):
                break
            else:
                if ms > 0:
                    sleep_ms(pause)
        return self._poll.ipoll(0)
"""


class Weeks(House):
    """A house that begins an hour before the ticks wrap. ``now``: ms since then."""

    def __init__(self, folder, **options):
        super().__init__(folder, tls=None, limits=True, board=self._board, heap="190k", **options)
        self.now = 0
        self.cloud.clock.stop()
        self.began = self.cloud.clock.time()
        self._plan, self._order = [], itertools.count()
        self._dark = 0  # ms that the power stays away
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.bind(("127.0.0.1", 0))
        loop = self.cloud.thread.loop
        loop.call_soon_threadsafe(loop.add_reader, self._sock, self._asked)

    def _board(self, *args, **options):
        (self.folder / "time.py").write_text(TIME)
        (self.folder / "select.py").write_text(SELECT)
        source, port = "import thimble\nthimble.run()\n", str(self._sock.getsockname()[1])
        board = Board(*args, **options)
        return started_by(board, self.folder / "weeks.py", source, WEEKS_PORT=port)

    def at(self, hour, what, *args, **named):
        """Plans a call."""
        call = int(hour * HOUR), next(self._order), lambda: what(*args, **named)
        heapq.heappush(self._plan, call)

    def cut(self, hours):
        """The power goes, and comes back so many hours later."""
        self._dark = int(hours * HOUR)
        self.board.process.kill()

    def until(self, hour, kept=False):
        """Waits for that hour, as long as an hour passes in a minute; how long it takes in all is
        the machine's affair. ``kept``: a relay that has ended is started again."""
        while self.now < hour * HOUR:
            goal = min(hour * HOUR, self.now + HOUR)
            self.wait(lambda goal=goal: self.now >= goal or self._ended(), 60)
            if self._ended():
                assert kept, self.board.why()
                if not self.board.again():
                    assert self._dark, self.board.why()
                    self.cloud.thread.call(self._pass)
                    self.start()

    def _ended(self):
        return self.board.process.poll() is not None

    def _pass(self):
        end, self._dark = self.now + self._dark, 0
        while self.now < end:
            self._go(end - self.now)

    def _go(self, ms):
        """The time goes on, up to what is planned next."""
        if self._plan:
            ms = max(0, min(ms, self._plan[0][0] - self.now))
        self.now += ms
        self.cloud.clock.advance(ms / 1000)
        while self._plan and self._plan[0][0] <= self.now:
            heapq.heappop(self._plan)[2]()

    def _asked(self):
        data, sender = self._sock.recvfrom(8)
        self._task = asyncio.ensure_future(self._answer(sender, *struct.unpack("<I", data[:4])))

    async def _answer(self, sender, ms):
        telegram, clock = self.cloud.telegram, self.cloud.clock
        await self._quiet()
        if ms:
            due = math.ceil(clock.due() * 1000) if clock.due() < math.inf else ms
            self._go(due if telegram.polling() else min(ms, due))
            await self._quiet()
        ticks = (WRAP - HOUR + self.now) % WRAP
        self._sock.sendto(struct.pack("<II", ticks, int(clock.time())), sender)

    async def _quiet(self):
        """Until the cloud has done all that it can do at this moment. No public call of a loop
        tells whether something is ready."""
        loop = self.cloud.thread.loop
        await asyncio.sleep(0)
        while loop._ready:
            await asyncio.sleep(0)
