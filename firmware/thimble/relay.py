"""The loop: poll, take, answer, rest; and what is served in every wait.

One message is answered at a time; while its answer streams, the connection to Telegram sends,
edits and polls in turn. While the model is out of reach the messages wait in the journal and in
the inbox, and all else goes on.
"""

import gc
import os
import thimble.wiring  # noqa: F401 (with it comes all code that stays; itself it leaves again)
import time

from thimble import overlay
from thimble.exchange import Exchange
from thimble.keepers import watch
from thimble.memory import Memory
from thimble.poller import Poller
from thimble.responder import Responder

_NORMAL = const(0)  # as core.pressure.NORMAL
_ELEVATED = const(1)  # as core.pressure.ELEVATED
_CRITICAL = const(2)  # as core.pressure.CRITICAL
_JOINING = const(0x55)  # as board.led.JOINING
_ONLINE = const(0x01)  # as board.led.ONLINE
_THINKING = const(0x33)  # as board.led.THINKING
_ERROR = const(0x15)  # as board.led.ERROR
_LOW_BATTERY = const(0x05)  # as board.led.LOW_BATTERY
_SLICE_MS = const(250)
_LONG_POLL_S = const(50)
_IDLE_POLL_S = const(20)
_SHORT_POLL_MS = const(3200)  # between two looks for commands while an answer streams
_MODEL_IDLE_MS = const(60_000)
_LOOK_MS = const(30_000)
_GOOD_MS = const(30_000)  # a boot is good then
_DEAF = const(16)  # as board.base._DEAF
_EPOCH_2000 = const(15_778_080)  # minutes from 1970, where some ports' clocks begin later
_DAY = const(1440)
_NEVER = const(-2)  # no day has begun, see start.begin_day
_YEAR = const(2024)  # a clock that says less was never set
# When to compact.
_NOW = const(1)
_LATER = const(2)
# What tick() and look() leave to be done between messages, beside closing the model's connection.
_SHED = const(1)
_RECONNECT = const(2)
_GAUGES = const(2)  # a shift: left of the flags, Memory.gauges() as they are to be reported


class Relay:
    """Relays until it is interrupted. Its parts: see wiring.

    config, board, buffers, tls: see thimble.boot
    """

    def __init__(self, config, board, buffers, tls):
        self.config = config
        self.board = board
        self.started = self._looked = time.ticks_ms()
        self._calm = _ONLINE  # what the LED shows while all is well and nothing is to do
        self.answered = 0
        # A crash: what the owner is to be told; resets in a row (see safe); of the loop, and when
        # the first of those was.
        self.tell = ""
        self.crashes = self.faults = 0
        self.fault_at = self.started
        self._proving = True  # that this boot is good
        self.rebooting = False
        # Now and when the day began, in minutes since 1970; 0 while the clock is not set.
        self.minute = 0
        self.cleaned = _NEVER
        self._todo = self._compact = 0
        import thimble.wiring  # noqa: F811 (once more, where a relay ran before)

        thimble.wiring.make(self, buffers, tls)
        overlay.unload("wiring")
        gc.collect()  # what is made now fills its place
        self.joined = self.wifi is None
        self.poller = Poller(self)
        self.exchange = Exchange(self)
        self.responder = Responder(self)
        overlays = overlay.warm_up()
        self.memory = Memory(config.memory, board.profile, overlays, board.strain)

    # The loop.

    def run(self):
        """Relays until KeyboardInterrupt, which passes through."""
        self.board.guard(self.watch.alive)
        count = self.memory.segments.count
        self.log.info("relay up: %s, %d segments" % (self.board.profile.name, count))
        if self.inbox.count:
            self.log.info("%d messages still wait" % self.inbox.count)
        self.show()
        starved = False
        try:
            while True:
                try:
                    if starved:
                        self.starved()
                    starved = False
                    self._turn()
                except MemoryError:
                    starved = True
                except Exception as error:
                    self._give_up()
                    overlay.call("store.crash", "crash", self, error)
        finally:
            self.telegram_link.close()
            self.model_link.close()
            for number in range(self.sessions.limit):
                self.sessions.close(number)
            self.journal.close()

    def _turn(self):
        poller = self.poller
        if self.cleaned < 0:
            if time.ticks_diff(poller.rest_until, time.ticks_ms()) > 0:  # since memory ran out
                self.pause(_SLICE_MS)
                return
            overlay.call("start", "begin_day", self)
            self.look()
        record = self.responder.ready()
        if poller.held_off():
            if record < 0:
                self.pause(_SLICE_MS)
        elif self.tell and poller.greeted and not (self.crashes > 1 and self._proving):
            overlay.call("start", "tell", self)
        elif not (poller.greeted or poller.backoff.failures):
            overlay.call("start", "greet", self)
        elif record < 0 or self.updates.due(time.ticks_ms()):
            poller.poll(0 if record >= 0 else self._rest_s())
        if self.asides.count:
            self.responder.answer_asides()
        if self.rebooting:
            self.rebooting = False
            overlay.call("console.commands", "reboot", self)
        todo = self._todo
        if todo:
            self._todo = 0
            if todo & (_SHED | _RECONNECT):
                self.model.close()
            if todo & _RECONNECT:
                self.telegram_link.close()
            if todo & _SHED:
                self.resolver.clear()
            if todo >> _GAUGES:
                overlay.call("store.crash", "memory", self, todo >> _GAUGES)
        if self.sessions.error:
            overlay.call("outage", "unkept", self)
        record = self.responder.ready()
        if record >= 0:
            self.responder.answer(record)
        elif self._compact == _NOW:
            self._compact = 0
            if overlay.call("compaction", "run", self):
                # The next look tries again, not the next message: each try is a call of the model.
                self._compact = _LATER
        elif not 0 <= self.minute - self.cleaned < _DAY:  # a clock that was ahead is set back
            overlay.call("start", "begin_day", self)

    def _rest_s(self):
        """How long the poll may wait: a warm model connection is closed when nothing comes."""
        now = time.ticks_ms()
        exchange = self.exchange
        if self._compact == _NOW or self.poller.away:
            return 0
        if self.tell or self.asides.count:
            return _SHORT_POLL_MS // 1000  # somebody is to know soon
        if exchange.retry_at is not None:
            left = time.ticks_diff(exchange.retry_at, now) // 1000
            if left > 0 or self.inbox.count:
                return max(0, min(left, _IDLE_POLL_S))
            exchange.retry_at = None  # nobody waits for it any more
            self.show()
        if self.model_link.is_open:
            if 0 <= time.ticks_diff(now, self.responder.done_at) < _MODEL_IDLE_MS:
                return _IDLE_POLL_S
            self.model.close()
        self.memory.collect()
        return _LONG_POLL_S

    # The clock, and the LED.

    def tell_time(self):
        """The minute, to those who need it."""
        minute = 0
        if time.gmtime()[0] >= _YEAR:
            minute = int(time.time()) // 60 + (_EPOCH_2000 if time.gmtime(0)[0] == 2000 else 0)
        self.sessions.now = self.updates.minute = self.minute = minute

    def show(self):
        """The LED, while Telegram can be reached."""
        pattern = self._calm
        if not self.joined:
            pattern = _JOINING
        elif self.memory.chats.busy is not None:
            pattern = _THINKING
        elif self.exchange.retry_at is not None:
            pattern = _ERROR
        self.board.led.show(pattern)

    # Memory.

    def look(self, again=False):
        """Looks at the gauges, and gives memory back at once where the heap is critical."""
        was = self.memory.pressure.level
        level = self.memory.look(again)
        if level == _CRITICAL:
            if was < level:
                self._todo = self._todo & (_SHED | _RECONNECT) | self.memory.gauges() << _GAUGES
            if self.memory.short:
                self.memory.relieve()
                self._todo |= _SHED
                level = _NORMAL
        for chat in self.memory.chats.all:
            if chat.turns > self.config.memory.max_messages:
                level = _ELEVATED
        if level and (again or self._compact != _LATER):
            self._compact = _NOW

    def starved(self):
        """After a MemoryError, anywhere: what was begun is given up, and memory given back."""
        # First: what follows may need some, be it only to close a connection.
        self.memory.relieve(True)
        self._give_up()
        self.memory.relieve(True)
        self.resolver.clear()
        # Should even a poll have no room, it is not to be tried all the time.
        poller = self.poller
        poller.rest_until = time.ticks_add(time.ticks_ms(), poller.backoff.next(0))
        try:
            self.log.fail("memory ran out")
        except MemoryError:
            pass

    def _give_up(self):
        """Ends what was begun, wherever it stood: the connections, the turn of a conversation."""
        self.sessions.abort()
        chat = self.memory.chats.busy
        if chat is not None:
            chat.clear()  # what is on flash says how far it came
            self.memory.chats.busy = None
        self.telegram_link.close()
        self.model.close()
        self.sessions.commit()

    # Waits, and what is served in them.

    def tick(self):
        """What is served between the slices of every wait: memory, the serial line's commands."""
        now = time.ticks_ms()
        self.watch.mark(now)
        self.board.led.serve(now)
        if self.wifi is not None and self.wifi.serve(now) != self.joined:
            self.joined = not self.joined
            self.show()
        step = self.watch.step(now)
        if step:  # Telegram has been silent for too long
            self.log.info("no poll for long: step %d" % step)
            self._todo |= _RECONNECT
            if step == watch.RESTART:
                self.board.restart(_DEAF + min(self.watch.restarts + 1, 200))
            elif step == watch.RADIO and self.wifi is not None:
                self.wifi.recycle()
        if time.ticks_diff(now, self._looked) >= _LOOK_MS:
            self._looked = now
            self.log.seconds()
            self.tell_time()
            self.reply.limits.serve(now)
            self._calm = _LOW_BATTERY if self.board.battery_low() else _ONLINE
            if self.rates is not None:
                self.rates.serve(now, self.exchange.calls)
            self.look(True)
        if self._proving and time.ticks_diff(now, self.started) >= _GOOD_MS:
            self._prove()
        line = self.board.read_line()
        if line:
            self._obey(line)

    def _prove(self):
        """The boot is good: those before it do not count any more, see safe."""
        self._proving = False
        try:
            os.remove(self.board.flash + "/boots")
        except OSError:
            pass  # they were good

    def _obey(self, line):
        """Carries out a command of the serial line, if need be in the place of free segments,
        which look() takes again. A try would make tick's frame too large.
        """
        segments = self.memory.segments
        for _ in range(2):
            try:
                return overlay.call("console.commands", "carry_out", self, line)
            except MemoryError:
                segments.release(segments.free)
        print("not enough memory for that now; try again")

    def pause(self, ms):
        """Waits; the rest of the relay is served meanwhile."""
        if ms > _SLICE_MS:
            self.look(True)  # it may be memory that is waited for
        end = time.ticks_add(time.ticks_ms(), ms)
        left = ms
        while left > 0:
            self.tick()
            time.sleep_ms(min(left, _SLICE_MS))
            left = time.ticks_diff(end, time.ticks_ms())

    def linger(self, ms):
        """Waits until an answer may go on; commands and messages are taken meanwhile."""
        end = time.ticks_add(time.ticks_ms(), ms)
        if ms > _SLICE_MS:
            self.look(True)
        while ms > 0:
            self.pause(min(ms, _SLICE_MS))
            self.look_in()
            ms = time.ticks_diff(end, time.ticks_ms())

    def look_in(self):
        """Looks for commands and messages, if it is time for that. True to stop the answer."""
        now, poller = time.ticks_ms(), self.poller
        if time.ticks_diff(now, poller.rest_until) >= _SHORT_POLL_MS and self.updates.due(now):
            poller.poll(0)
            if self.asides.count:
                self.responder.answer_asides()
        return self.responder.stopping
