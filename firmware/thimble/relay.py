"""The loop: poll, take, answer, rest.

Everything that lives long is made in the constructor, on buffers that were made before the code
was loaded. One message is answered at a time; while its answer streams, the connection to
Telegram sends, edits and polls in turn. While the model is out of reach the messages wait in the
journal and in the inbox, and all else goes on.
"""

import os
import time

import micropython
from micropython import const

from thimble import overlay
from thimble.board import led
from thimble.core.backoff import Backoff
from thimble.core.conversation import ASSISTANT, USER
from thimble.core.errors import ApiError, NetError, ParseError
from thimble.core.pressure import CRITICAL, ELEVATED
from thimble.core.ring import Ring
from thimble.exchange import Exchange
from thimble.keepers import watch
from thimble.log import Log
from thimble.memory import Memory
from thimble.model import request as model
from thimble.net.dns import Resolver
from thimble.net.http import Http
from thimble.net.link import Link
from thimble.net.room import Room
from thimble.store.journal import Journal
from thimble.store.sessions import Sessions
from thimble.telegram import updates
from thimble.telegram.bot import Bot
from thimble.telegram.limits import Limits
from thimble.telegram.reply import Gone, Reply

_SLICE_MS = const(250)
_LONG_POLL_S = const(50)
_IDLE_POLL_S = const(20)
_SHORT_POLL_MS = const(3200)  # between two looks for commands while an answer streams
_MODEL_IDLE_MS = const(60_000)
_LOOK_MS = const(30_000)
_DEAF = const(16)  # as board.base.DEAF
_TRIES = const(4)  # of the model before a message has to wait
_ATTEMPTS = const(3)  # to answer a message: one that crashes the board is closed then
_RETRY_MOST_S = const(86_400)  # ticks_ms cannot hold much more
_EPOCH_2000 = const(15_778_080)  # minutes from 1970, where some ports' clocks begin later
_DAY = const(1440)
_YEAR = const(2024)  # a clock that says less was never set
_STARVED = const(b"\n\n(Memory ran out here; /retry asks again.)")
_POISON = const(
    b"I have tried three times to answer this message and failed. Please ask differently."
)
_GO_ON = const(b"Go on exactly where you stopped.")
_USED_UP = const(
    b"The model has been asked as often as it may be in a day. Please ask again tomorrow."
)
_GOOD_MS = const(30_000)  # a boot is good then
# When to compact.
_NOW = const(1)
_LATER = const(2)
_COLLECT_EVERY = const(16)  # answers; a collection is dear, and no message waits for it

# What a poll and what an answer may come to.
_NO_POLL = (NetError, ApiError, ParseError)
_NO_ANSWER = (Gone, NetError, MemoryError)


class Relay:
    """Relays until it is interrupted.

    config, board, buffers, tls: see thimble.boot
    """

    def __init__(self, config, board, buffers, tls):
        sizes = board.profile
        self.config = config
        self.board = board
        self.started = now = time.ticks_ms()
        deaf = max(0, board.mark - _DEAF)
        self.watch = watch.Watch(board.feed, now, restarts=deaf)
        self._silent = False  # the connections are to be made anew
        self._calm = led.ONLINE  # what the LED shows while all is well and nothing is to do
        self.log = Log(buffers.log)
        self.log.secrets = config.secrets
        self.wifi = None
        self._joined = board.wlan is None
        if board.wlan is not None:
            from thimble.net.wifi import Wifi

            self.wifi = Wifi(board, config.wifi, self.log)
        rooms = Room(sizes.room, board.room_inverted), Room(sizes.room, board.room_inverted)
        self.inbox = Ring(buffers.inbox, updates.RECORD)
        self.asides = Ring(buffers.asides, updates.ASIDE)
        # Bound once: each look-up of a method for its own sake makes an object.
        self._tick = self.tick
        self._pause = self.pause
        self._attempt = self._carry_out
        self.between = self.meanwhile

        secure, host, port, path = config.telegram.endpoint
        resolver = Resolver(self._tick, board.servers)
        self.telegram_link = Link(resolver, self._tick, tls, rooms[0])
        self.model_link = Link(resolver, self._tick, tls, rooms[1])
        self.resolver = resolver
        http = Http(self.telegram_link, buffers.telegram_in, buffers.telegram_out)
        http.origin(host, port, secure)
        self.bot = Bot(http, config.telegram.token, path, updates.PATHS)
        allow = [b"%d" % number for number in config.telegram.allow]
        self.journal = journal = Journal(board.flash + "/journal", sizes.journal, buffers.notes)
        self.updates = updates.Updates(self.bot, self.inbox, self.asides, allow, journal)
        self._get_updates = self.updates.poll
        self.sessions = Sessions(
            board.flash + "/turns",
            buffers.turns,
            sizes.files,
            sizes.file_bytes,
            keep_days=config.memory.keep_days,
        )
        limits = Limits(sizes.slots + 16)
        parts = config.telegram.max_parts
        self.reply = Reply(self.bot, limits, buffers.reply, parts, self.linger, journal)
        # A short answer to a command, while another answer is being written.
        self.aside = Reply(self.bot, limits, buffers.words, 1, self._pause)
        http = Http(self.model_link, buffers.model_in, buffers.model_out)
        self.model = model.Model(http, config.model, buffers.delta)
        self.reply.log = self.aside.log = self.model.log = self.log
        self._backoff = Backoff()
        self._outage = Backoff(5000)  # of the model
        self._model_at = None  # when it is tried again
        self.model_wait = 0  # milliseconds that it asked for
        self.greeted = False
        self._refusals = self.odd = 0
        self._refused = ""
        self._away = False  # Telegram: no answer could be brought
        self._poll_at = self._poll_from = self.started
        self._used_at = self.started
        self._stopping = False
        # Of the record that is being answered: how often the model may be tried, and whether the
        # record need not be seen to again.
        self._tries = 0
        self._over = True
        self.answered = self.calls = 0
        # A crash: what the owner is to be told; resets in a row (see safe); of the loop, and when
        # the first of those was.
        self.tell = ""
        self.crashes = self.faults = 0
        self.fault_at = self.started
        self._proving = True  # that this boot is good
        self.rebooting = False
        self.rates = None
        bounds = config.limits
        if bounds.per_user_hour or bounds.calls_per_day:
            from thimble.telegram.rates import Rates

            self.rates = Rates(bounds.per_user_hour, bounds.calls_per_day, now)
            self.updates.rates = self.rates
        self.minute = 0  # since 1970; 0 while the clock is not set
        self._cleaned = 0
        self._looked = self.started
        self._due = self._strained = 0  # compaction, what relieve() leaves to be done
        self._exchange = None
        overlays = overlay.warm_up()
        held = 2 * sum(sizes.room) if board.room_inverted else 0
        self.memory = Memory(config.memory, sizes, held, overlays, board.strain)
        self._exchange = Exchange(self)

    # The loop.

    def run(self):
        """Relays until KeyboardInterrupt, which passes through."""
        self.board.guard(self.watch.alive)
        count = self.memory.segments.count
        self.log.info("relay up: %s, %d segments" % (self.board.profile.name, count))
        if self.inbox.count:
            self.log.info("%d messages wait from before the start" % self.inbox.count)
            if self.board.reset_cause == "power-on" or self.board.mark > _DEAF:
                overlay.call("start", "forgive", self)
        self._show()
        self._begin_day()
        self._look()
        starved = False
        try:
            while True:
                try:
                    if starved:
                        self._starved()
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
            self.journal.close()

    def _turn(self):
        record = self._ready()
        if self._held_off():
            if record < 0:
                self.pause(_SLICE_MS)
        elif self.tell and self.greeted and not (self.crashes > 1 and self._proving):
            overlay.call("store.crash", "tell", self)
        elif not (self.greeted or self._backoff.failures):
            overlay.call("start", "greet", self)
        elif record < 0 or self.updates.due(time.ticks_ms()):
            self._poll(0 if record >= 0 or not self.greeted else self._rest_s())
        if self.asides.count:
            self._answer_asides()
        if self.rebooting:
            self.rebooting = False
            overlay.call("console.commands", "reboot", self)
        if self._silent:
            self._silent = False
            self.telegram_link.close()
            self.model.close()
        if self._strained:
            risen = self._strained > 1
            self._strained = 0
            self.model.close()
            self.resolver.clear()
            if risen:
                overlay.call("store.crash", "memory", self)
        record = self._ready()
        if record >= 0:
            self._answer(record)
        elif self._due == _NOW:
            self._due = 0
            overlay.call("compaction", "run", self)
        elif self.minute - self._cleaned >= _DAY:
            self._begin_day()

    def _begin_day(self):
        """The clock is set, and what is too old leaves the flash."""
        if self.wifi is not None:
            overlay.call("start", "set_clock", self)
        self._tell_time()
        self._cleaned = self.minute
        overlay.call("store.archive", "clean", self.sessions, self.minute)

    def _show(self):
        """The LED, while Telegram can be reached."""
        pattern = self._calm
        if not self._joined:
            pattern = led.JOINING
        elif self.memory.chats.busy is not None:
            pattern = led.THINKING
        elif self._model_at is not None:
            pattern = led.ERROR
        self.board.led.show(pattern)

    def _tell_time(self):
        self.sessions.now = self.updates.minute = self.minute = _minute()

    def _rest_s(self):
        """How long the poll may wait: a warm model connection is closed when nothing comes."""
        idle = time.ticks_diff(time.ticks_ms(), self._used_at)
        if self._due == _NOW or self._away:
            return 0
        if self.tell:
            return _SHORT_POLL_MS // 1000  # the owner is to know soon
        if self._model_at is not None:
            left = time.ticks_diff(self._model_at, time.ticks_ms()) // 1000
            if left > 0 or self.inbox.count:
                return max(0, min(left, _IDLE_POLL_S))
            self._model_at = None  # nobody waits for it any more
            self._show()
        if self.model_link.is_open:
            if idle < _MODEL_IDLE_MS:
                return _IDLE_POLL_S
            self.model.close()
        self.memory.collect()
        return _LONG_POLL_S

    # Memory.

    def compact_later(self):
        """A message came while conversations were being compacted. The next look tries again, not
        the next message: each try is a call of the model."""
        self._due = _LATER

    def _look(self, again=False):
        """Looks at the gauges, and gives memory back at once where it is critical."""
        was = self.memory.pressure.level
        level = self.memory.look(again)
        if level == CRITICAL:
            self._strained = max(self._strained, 1 + (was < level))  # a report where it has risen
            self.memory.relieve()
        for chat in self.memory.chats.all:
            if chat.turns > self.config.memory.max_messages:
                level = ELEVATED
        if level == ELEVATED and (again or self._due != _LATER):
            self._due = _NOW

    def _starved(self):
        """After a MemoryError, anywhere: what was begun is given up, and memory given back."""
        # First: what follows may need some, be it only to close a connection.
        self.memory.relieve(True)
        self._give_up()
        self.memory.relieve(True)
        self.resolver.clear()
        # Should even a poll have no room, it is not to be tried all the time.
        self._poll_from = time.ticks_add(time.ticks_ms(), self._backoff.next(0))
        try:
            self.log.fail("memory ran out")
        except MemoryError:
            pass

    def _give_up(self):
        """Ends what was begun, wherever it stood: the connections, the turn of a conversation."""
        self.sessions.abort()
        chat = self.memory.chats.busy
        if chat is not None:
            chat.abort()
            self.memory.chats.busy = None
        self.telegram_link.close()
        self.model.close()
        self.sessions.commit()

    def tick(self):
        """What is served between the slices of every wait: memory, the serial line's commands."""
        now = time.ticks_ms()
        self.watch.mark(now)
        self.board.led.serve(now)
        if self.wifi is not None and self.wifi.serve(now) != self._joined:
            self._joined = not self._joined
            self._show()
        step = self.watch.step(now)
        if step:
            self._wake_up(step)
        if time.ticks_diff(now, self._looked) >= _LOOK_MS:
            self._looked = now
            self.log.seconds()
            self._tell_time()
            self.reply.limits.serve(now)
            self._calm = led.LOW_BATTERY if self.board.battery_low() else led.ONLINE
            if self.rates is not None:
                self.rates.serve(now, self.calls)
            if self._exchange is not None:
                self._look(True)
        if self._proving and time.ticks_diff(now, self.started) >= _GOOD_MS:
            self._prove()
        line = self.board.read_line()
        if line:
            self._obey(line)

    def _obey(self, line):
        """Carries out a command of the serial line. A try would make tick's frame too large."""
        try:
            overlay.call("console.commands", "carry_out", self, line)
        except MemoryError:
            print("not enough memory for that now; try again")

    def _prove(self):
        """The boot is good: those before it do not count any more, see safe."""
        self._proving = False
        try:
            os.remove(self.board.flash + "/boots")
        except OSError:
            pass  # they were good

    def _wake_up(self, step):
        """Telegram has been silent for too long: what the liveness keeper asks for."""
        self.log.info("no poll was completed for long: step %d" % step)
        if step == watch.RESTART:
            self.board.restart(_DEAF + min(self.watch.restarts + 1, 200))
        elif step == watch.RADIO and self.wifi is not None:
            self.wifi.recycle()
        self._silent = True

    def pause(self, ms):
        """Waits; the rest of the relay is served meanwhile."""
        if ms > _SLICE_MS:
            self._look(True)  # it may be memory that is waited for
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
            self._look(True)
        while ms > 0:
            self.pause(min(ms, _SLICE_MS))
            self.look_in()
            ms = time.ticks_diff(end, time.ticks_ms())

    # Telegram.

    def _poll(self, timeout_s):
        """One getUpdates. After a failure Telegram is left alone for a while."""
        error = _error(self._get_updates, timeout_s, _NO_POLL)
        if error is not None:
            self.missed(error)
            if not self.minute and self.wifi is not None:
                self._begin_day()  # without a clock no certificate is accepted
            return
        self._backoff.reset()
        self._away = False
        self._poll_at = self._poll_from = time.ticks_ms()
        self.watch.polled(self._poll_at)
        self._show()
        if self.updates.refused != self._refusals:
            self._name_refused()

    def missed(self, error):
        """Telegram failed: nothing is polled before the backoff's end, or before it wishes."""
        wait = self._backoff.next(time.ticks_ms() & 255)
        answered = isinstance(error, ApiError)
        self._away = isinstance(error, NetError) and error.stage != "journal"
        if answered:
            self.watch.polled(time.ticks_ms())  # it is not Telegram that is out of reach
            wait = max(wait, min(error.retry_after, _RETRY_MOST_S) * 1000)
        self._poll_from = time.ticks_add(time.ticks_ms(), wait)
        self.board.led.show(led.ERROR if self._joined else led.JOINING)
        self.log.fail(overlay.call("outage", "advice", self, error) if answered else error)

    def _held_off(self):
        """Whether Telegram is to be left alone still. What a full inbox does not confirm would be
        the answer to each poll, at once."""
        now = time.ticks_ms()
        if time.ticks_diff(self._poll_from, now) > 0:
            return True
        return self.inbox.full and not self.updates.due(now)

    def _name_refused(self):
        """Names whom the allow-list kept out, once, so that the owner can add the id."""
        self._refusals = self.updates.refused
        number = bytes(self.updates.refused_id[: self.updates.refused_len]).decode()
        if number != self._refused:
            self._refused = number
            self.log.info("refused %s; add it to telegram.allow to let it in" % number)

    def _answer_asides(self):
        """The commands that act at once."""
        ring = self.asides
        while ring.count:
            record = ring.first()
            _load(self.aside.peer, ring.buf, record)
            self.aside.begin()
            try:
                self._act(ring.buf, record)
            except MemoryError:  # first: to look for several at once makes a tuple
                if self.memory.chats.busy is not None:
                    raise
                self._starved()
                self._apologize(self.aside)
            except (Gone, NetError) as error:
                self.log.fail(error)
            finally:
                ring.drop(record)
                self.answered += 1
        self.journal.commit()  # a command that was carried out does not come again

    def _act(self, buf, record):
        """Carries out a command that acts at once."""
        here = False
        if buf[record + 3] == updates.STOP:
            if self.memory.chats.busy is not None:
                here = self.reply.peer.is_at(buf, record + updates.KEY, buf[record + 1])
            self._stopping = self._stopping or here
            if self.inbox.count > here and overlay.call("outage", "stop", self, record, here):
                return
        if not here:
            self.say(self.aside, self.asides, record)

    def say(self, reply, ring, record):
        """Answers a record with what the commands say to it."""
        words = overlay.call("console.commands", "answer", self, ring, record)
        if words:
            reply.say(words)
        else:
            reply.finish(b"")

    def _ready(self):
        """The record to see to now, or -1: while the model is out of reach, whom to tell so.

        While Telegram is, none: each try would be a call of the model for nothing.
        """
        if self._away:
            return -1
        if not self._waiting():
            return self._next()
        ring = self.inbox
        record = ring.first()
        while record >= 0 and ring.buf[record + updates.STATE] & updates.TOLD:
            record = ring.after(record)
        return record

    def _waiting(self):
        """Whether the model is out of reach, and it is not yet time to try it again."""
        at = self._model_at
        return at is not None and time.ticks_diff(at, time.ticks_ms()) > 0

    def _next(self):
        """The record to answer: the oldest of the chat that was served longest ago."""
        ring = self.inbox
        found = record = ring.first()
        least = self._served(record) if ring.count > 1 else 0
        while least:
            record = ring.after(record)
            if record < 0:
                break
            if self._served(record) < least:
                found = record
                least = self._served(record)
        return found

    def _served(self, record):
        """When the record's chat was served last, as a number that grows; 0 if it is not known."""
        buf = self.inbox.buf
        chat = self.memory.chats.find(buf, record + updates.KEY, buf[record + 1])
        return chat.stamp if chat is not None else 0

    # One answer.

    def _answer(self, record):
        """Answers the record and drops it, or leaves it for when the model can be reached."""
        buf = self.inbox.buf
        _load(self.reply.peer, buf, record)
        if self._waiting() and overlay.call("outage", "holds", self, record):
            return
        self._begin(buf[record + updates.STATE], record)
        error = _error(self._attempt, record, _NO_ANSWER)
        if error is not None:
            self._fail(record, error)
        self.memory.chats.busy = None
        self._show()
        if self._over:
            self.done(record)

    def _begin(self, state, record):
        """Notes the attempt before it is made."""
        more = state & updates.COUNT < updates.COUNT
        self.journal.attempt(record, state + more | updates.BEGUN)
        self.reply.begin(record, state & updates.BEGUN > 0)
        self.board.led.show(led.THINKING)
        self._tries = min(1 if state & updates.TOLD else _TRIES, self.calls_left())
        self._stopping = False
        self._over = True

    def _carry_out(self, record):
        """What the record asks for. ``_over`` is False if it is to be tried again later."""
        tries = self.inbox.buf[record + updates.STATE] & updates.COUNT
        if tries > _ATTEMPTS:
            if tries <= 2 * _ATTEMPTS:
                self.reply.say(_POISON)
        elif self.inbox.buf[record] & updates.ODD:
            overlay.call("outage", "odd", self, record)
        elif not self.asks(record):
            self.say(self.reply, self.inbox, record)
        elif self.calls_left() > 0:
            self._ask(record)
        elif not self.rates.told(self.reply.peer.key, self.reply.peer.key_len):
            self.reply.say(_USED_UP)

    def _ask(self, record):
        """Answers a record that needs the model."""
        chat = self.conversation(record)
        code = self.inbox.buf[record + 3]
        again = code == updates.RETRY
        # An earlier attempt may have come as far as writing it to the sessions.
        if chat.turns and self.reply.again and self.sessions.mark == self._exchange.mark:
            again = True
        chat.pop(ASSISTANT if again else USER)  # a question stands there that got no answer
        if not chat.turns and updates.RETRY <= code <= updates.MORE:
            self.say(self.reply, self.inbox, record)
        elif self._asked(record, again):
            self._model_at = None
            self.model_wait = 0
            self._outage.reset()
        else:
            self._over = overlay.call("outage", "park", self, record)

    def _asked(self, record, again):
        """Whether the model could be reached for the record; ``again``: for the last question."""
        if again:
            return self._run(b"", 0, 0)
        if self.inbox.buf[record + 3] == updates.MORE:
            return self._run(_GO_ON, 0, len(_GO_ON))
        size = self.inbox.size(record) - updates.TEXT
        return self._run(self.inbox.buf, record + updates.TEXT, size)

    def _run(self, buf, off, size):
        return self._exchange.run(self.memory.chats.busy, buf, off, size, self._tries)

    def asks(self, record):
        """Whether the model is needed for the record."""
        buf = self.inbox.buf
        code = buf[record + 3]
        if buf[record] & updates.LONG or self.inbox.size(record) == updates.TEXT:
            return False
        return not code or updates.RETRY <= code <= updates.MORE

    def calls_left(self):
        """How often the model may be asked today."""
        return 1000 if self.rates is None else self.rates.left(self.calls)

    def conversation(self, record):
        """The conversation of the record's chat, now the busy one; from flash if need be."""
        buf = self.inbox.buf
        chat = self.memory.chats.get(buf, record + updates.KEY, buf[record + 1])
        self.memory.chats.busy = chat
        self._exchange.mark = updates.mark_at(buf, record)
        self.sessions.mark = -1
        if not chat.turns:
            self._load_turns(chat)
        return chat

    def _load_turns(self, chat):
        try:
            self.sessions.load(self.memory.chats, chat, self.memory.share())
        except MemoryError:
            self.memory.chats.forget(chat)  # half a conversation would pass for the whole
            raise

    def done(self, record):
        """The record is answered, or never will be."""
        self.journal.done(record)
        self.inbox.drop(record)
        if not self.inbox.count:
            self.journal.commit()
        self.answered += 1
        self._used_at = time.ticks_ms()
        self._look()
        if not self.answered % _COLLECT_EVERY:
            self.memory.collect()

    def _apologize(self, reply):
        """Says that memory ran out, if there is enough for that."""
        try:
            reply.finish(_STARVED)
        except MemoryError:
            self.telegram_link.close()
        except (Gone, NetError) as error:
            self.log.fail(error)

    def _fail(self, record, error):
        """The answer could not be brought: its chat is gone, Telegram away, or memory ran out."""
        if isinstance(error, MemoryError):
            self._starved()
            self._apologize(self.reply)
            return
        self.log.fail(error)
        self.model.stop()
        self._over = isinstance(error, Gone)
        chat = self.memory.chats.busy
        if self._over:
            self.sessions.end()
            if chat is not None:
                chat.end()
        else:
            self.sessions.abort()
            if chat is not None:
                chat.clear()  # what is on flash says how far it came
            self.set_back(record)
        self.sessions.commit()

    def set_back(self, record):
        """Not being able to answer it was no attempt."""
        self.journal.attempt(record, self.inbox.buf[record + updates.STATE] - 1)

    def retry_later(self):
        """The model is out of reach: it is left alone for a while."""
        wait = max(self._outage.next(time.ticks_ms() & 255), self.model_wait)
        self._model_at = time.ticks_add(time.ticks_ms(), wait)

    # While an answer streams.

    def meanwhile(self):
        """Between two pieces of an answer: shows it, and looks for commands. True to stop."""
        self.reply.tick(time.ticks_ms())
        return self.look_in()

    def look_in(self):
        """Looks for commands and messages, if it is time for that. True to stop the answer."""
        now = time.ticks_ms()
        if time.ticks_diff(now, self._poll_at) >= _SHORT_POLL_MS and self.updates.due(now):
            self._poll_at = now
            if not self._held_off():
                self._poll(0)
            if self.asides.count:
                self._answer_asides()
        return self._stopping

    def wait(self, ms):
        """Waits before another try; True if /stop came."""
        self._look(True)
        end = time.ticks_add(time.ticks_ms(), ms)
        while time.ticks_diff(end, time.ticks_ms()) > 0:
            if self.meanwhile():
                return True
            self.pause(min(_SLICE_MS, ms))
        return False


@micropython.native
def _error(function, argument, expected):
    """What of ``expected`` function(argument) raised; None if nothing.

    Native, as few things are: bytecode that keeps an error has a frame too large for the stack,
    which would be put in the heap at each message.
    """
    try:
        function(argument)
    except expected as error:
        return error


def _load(peer, buf, record):
    """The peer is now the record's."""
    peer.load(
        buf,
        record + updates.KEY,
        buf[record + 1],
        buf[record + 2],
        buf[record] & updates.GROUP > 0,
    )


def _minute():
    """Minutes since 1970; 0 if the clock was never set."""
    year = time.gmtime()[0]
    if year < _YEAR:
        return 0
    return int(time.time()) // 60 + (_EPOCH_2000 if time.gmtime(0)[0] == 2000 else 0)
