"""The loop: poll, take, answer, rest.

Everything that lives long is made in the constructor, on buffers that were made before the code
was loaded. One message is answered at a time; while its answer streams, the connection to
Telegram sends, edits and polls in turn.
"""

import gc
import time

import micropython
from micropython import const

from thimble import overlay
from thimble.core import pressure
from thimble.core.backoff import Backoff
from thimble.core.chats import Chats
from thimble.core.conversation import ASSISTANT, USER
from thimble.core.errors import ApiError, NetError, ParseError
from thimble.core.ring import Ring
from thimble.core.segments import Segments
from thimble.exchange import Exchange
from thimble.log import Log
from thimble.model import request as model
from thimble.net.dns import Resolver
from thimble.net.http import Http
from thimble.net.link import Link
from thimble.net.room import Room
from thimble.telegram import updates
from thimble.telegram.bot import Bot
from thimble.telegram.limits import Limits
from thimble.telegram.reply import Gone, Reply

_SLICE_MS = const(250)
_LONG_POLL_S = const(50)
_IDLE_POLL_S = const(20)
_SHORT_POLL_MS = const(3200)  # between two looks for commands while an answer streams
_MODEL_IDLE_MS = const(60_000)
_GO_ON = b"Go on exactly where you stopped."
_COLLECT_EVERY = const(16)  # answers; a collection is dear, and no message waits for it


class Relay:
    """Relays until it is interrupted.

    config, board, buffers, tls: see thimble.boot
    """

    def __init__(self, config, board, buffers, tls):
        sizes = board.profile
        self.config = config
        self.board = board
        self.started = time.ticks_ms()
        self.log = Log(buffers.log)
        self.log.secrets = config.secrets
        rooms = Room(sizes.room, board.room_inverted), Room(sizes.room, board.room_inverted)
        self.inbox = Ring(buffers.inbox, updates.RECORD)
        self.asides = Ring(buffers.asides, updates.ASIDE)
        self._tick = self.tick
        self._pause = self.pause

        secure, host, port, path = config.telegram.endpoint
        resolver = Resolver(self._tick, board.servers)
        self.telegram_link = Link(resolver, self._tick, tls, rooms[0])
        self.model_link = Link(resolver, self._tick, tls, rooms[1])
        http = Http(self.telegram_link, buffers.telegram_in, buffers.telegram_out)
        http.origin(host, port, secure)
        self.bot = Bot(http, config.telegram.token, path, updates.PATHS)
        allow = [b"%d" % number for number in config.telegram.allow]
        self.updates = updates.Updates(self.bot, self.inbox, self.asides, allow)
        limits = Limits(sizes.slots + 16)
        self.reply = Reply(self.bot, limits, buffers.reply, config.telegram.max_parts, self._pause)
        # A short answer to a command, while another answer is being written.
        self.aside = Reply(self.bot, limits, buffers.words, 1, self._pause)
        http = Http(self.model_link, buffers.model_in, buffers.model_out)
        self.model = model.Model(http, config.model, buffers.delta)
        self._backoff = Backoff()
        self._greeted = False
        self._refusals = 0
        self._refused = ""
        self._poll_at = self.started
        self._used_at = self.started
        self._stopping = False
        self.answered = 0
        self._conversations(sizes)
        self._exchange = Exchange(self)

    def _conversations(self, sizes):
        """The segments, of what is left when both connections are open."""
        budget = self.config.memory.budget_kb * 1024
        self.segments = Segments(sizes.segment, sizes.segments_max, 0)
        self.chats = Chats(self.segments, sizes.slots)
        gc.collect()
        # Held while the segments are made: what comes and goes needs room in one piece.
        try:
            reserve = bytearray(sizes.reserve)
        except MemoryError:
            reserve = None
        free, used = gc.mem_free(), gc.mem_alloc()
        if self.board.room_inverted:
            free -= 2 * sum(sizes.room)
            used += 2 * sum(sizes.room)
        self._budget = min(budget or free + used, free + used)
        spare = min(free, self._budget - used) if reserve else 0
        self.segments.regrow(min(sizes.segments_max, max(spare, 0) // (sizes.segment + 16)))
        del reserve
        gc.collect()
        self.segments.regrow(sizes.segments_min - self.segments.count)
        self.segments.share = sizes.segment * max(2, self.segments.count // 4)
        self._floor = gc.mem_alloc() + 2 * sum(sizes.room)
        self.heap_low = gc.mem_free()

    # The loop.

    def run(self):
        """Relays until KeyboardInterrupt, which passes through."""
        self.log.info("relay up: %s, %d segments" % (self.board.profile.name, self.segments.count))
        try:
            while True:
                self._turn()
        finally:
            self.telegram_link.close()
            self.model_link.close()

    def _turn(self):
        record = self._next()
        if record < 0 or self.updates.due(time.ticks_ms()):
            self._poll(0 if record >= 0 or not self._greeted else self._rest_s())
        self._answer_asides()
        record = self._next()
        if record >= 0:
            self._answer(record)
            self.inbox.drop(record)
            self.answered += 1
            self._used_at = time.ticks_ms()
            if not self.answered % _COLLECT_EVERY:
                self._collect()
        elif not self._greeted:
            self._greet()

    def _rest_s(self):
        """How long the poll may wait: a warm model connection is closed when nothing comes."""
        idle = time.ticks_diff(time.ticks_ms(), self._used_at)
        if self.model_link.is_open:
            if idle < _MODEL_IDLE_MS:
                return _IDLE_POLL_S
            self.model.close()
        self._collect()
        return _LONG_POLL_S

    def _collect(self):
        gc.collect()
        self.heap_low = min(self.heap_low, gc.mem_free())

    def pressure(self):
        """The level of memory pressure, see core.pressure."""
        memory = self.config.memory
        used = self.segments.count - self.segments.free
        whole = self.segments.count
        return pressure.level(
            used,
            whole,
            gc.mem_alloc(),
            self._floor,
            self._budget,
            memory.elevated,
            memory.critical,
        )

    def tick(self):
        """What is served between the slices of every wait: the serial line's commands."""
        line = self.board.read_line()
        if line:
            try:
                overlay.call("console.commands", "carry_out", self, line)
            except MemoryError:
                print("not enough memory for that now; try again")

    def pause(self, ms):
        """Waits; the rest of the relay is served meanwhile."""
        end = time.ticks_add(time.ticks_ms(), ms)
        left = ms
        while left > 0:
            self.tick()
            time.sleep_ms(min(left, _SLICE_MS))
            left = time.ticks_diff(end, time.ticks_ms())

    # Telegram.

    @micropython.native
    def _poll(self, timeout_s):
        """One getUpdates; a failure is waited out."""
        try:
            self.updates.poll(timeout_s)
        except (NetError, ApiError, ParseError) as error:
            wait = self._backoff.next(time.ticks_ms() & 255)
            if isinstance(error, ApiError):
                wait = max(wait, error.retry_after * 1000)
                error = self._advice(error)
            self.log.fail(error)
            self.pause(wait)
            return
        self._backoff.reset()
        self._poll_at = time.ticks_ms()
        self._log_refused()

    def _advice(self, error):
        """What the person can do about Telegram's error, as a text."""
        if error.status in (401, 404):
            return "Telegram refused the token (%d). Set telegram.token." % error.status
        if error.status == 409:
            if "webhook" in error.text:
                self._greeted = False
                self._call(self.bot.delete_webhook)
                return "Telegram had a webhook for this bot; it is removed now."
            return "Another program polls Telegram with this token (409). Stop it."
        return error

    def _log_refused(self):
        """Names whom the allow-list kept out, once, so that the owner can add the id."""
        if self.updates.refused == self._refusals:
            return
        self._refusals = self.updates.refused
        number = bytes(self.updates.refused_id[: self.updates.refused_len]).decode()
        if number != self._refused:
            self._refused = number
            self.log.info("refused %s; add it to telegram.allow to let it in" % number)

    def _greet(self):
        """Once the first poll is through: the bot's own name, and the menu of commands."""
        self._greeted = True
        if self._call(self.bot.get_me):
            self._call(self._set_menu)

    def _set_menu(self):
        overlay.call("console.commands", "set_menu", self.bot)

    def _call(self, method):
        try:
            method()
            return True
        except (NetError, ApiError, ParseError) as error:
            self.log.fail(error)
            return False

    def _answer_asides(self):
        """The commands that act at once."""
        ring = self.asides
        while ring.count:
            record = ring.first()
            buf, size = ring.buf, ring.size(record)
            self._load(self.aside.peer, buf, record)
            try:
                if (
                    buf[record + 3] == updates.STOP
                    and self.chats.busy is not None
                    and self.reply.peer.is_at(buf, record + updates.KEY, buf[record + 1])
                ):
                    self._stopping = True
                else:
                    self._say(self.aside, buf, record, size)
            except Gone as error:
                self.log.fail(error)
            ring.drop(record)
            self.answered += 1

    def _say(self, reply, buf, record, size):
        """Answers a record with what the commands say to it."""
        reply.say(overlay.call("console.commands", "answer", self, buf, record, size))

    @micropython.native
    def _load(self, peer, buf, record):
        group = bool(buf[record] & updates.GROUP)
        peer.load(buf, record + updates.KEY, buf[record + 1], buf[record + 2], group)

    @micropython.native
    def _next(self):
        """The record to answer: the oldest of the chat that was served longest ago."""
        ring = self.inbox
        found = record = ring.first()
        least = 0
        while record >= 0 and ring.count > 1:
            chat = self.chats.find(ring.buf, record + updates.KEY, ring.buf[record + 1])
            stamp = chat.stamp if chat is not None else 0
            if record == found or stamp < least:
                found, least = record, stamp
            if not least:
                break
            record = ring.after(record)
        return found

    # One answer.

    @micropython.native
    def _answer(self, record):
        buf = self.inbox.buf
        reply = self.reply
        flags, code = buf[record], buf[record + 3]
        off = record + updates.TEXT
        size = self.inbox.size(record) - updates.TEXT
        self._load(reply.peer, buf, record)
        reply.begin()
        chat = self.chats.get(buf, record + updates.KEY, buf[record + 1])
        self.chats.busy = chat
        self._stopping = False
        try:
            said = flags & updates.LONG or not size
            if said:
                pass
            elif code == updates.NEW:
                chat.clear()
                said = True
            elif code == updates.RETRY:
                chat.pop(ASSISTANT)
                said = not chat.turns
                if not said:
                    self._exchange.run(chat, buf, 0, 0)
            else:
                chat.pop(USER)  # a question that got no answer
                if code != updates.MORE:
                    self._exchange.run(chat, buf, off, size)
                elif chat.turns:
                    self._exchange.run(chat, _GO_ON, 0, len(_GO_ON))
                else:
                    said = True
            if said:
                self._say(reply, buf, record, size + updates.TEXT)
        except Gone as error:
            self.model.stop()
            chat.end()
            self.log.fail(error)
        self.chats.busy = None

    def meanwhile(self):
        """Between two pieces of an answer: shows it, and looks for commands. True to stop."""
        now = time.ticks_ms()
        self.reply.tick(now)
        if time.ticks_diff(now, self._poll_at) >= _SHORT_POLL_MS and self.updates.due(now):
            self._poll_at = now
            self._glance()
        return self._stopping

    def _glance(self):
        """A poll that does not wait, and whose failure is left to the next one."""
        try:
            self.updates.poll(0)
        except (NetError, ApiError, ParseError) as error:
            self.log.fail(error)
        self._log_refused()
        self._answer_asides()

    def wait(self, ms):
        """Waits before another try; True if /stop came."""
        end = time.ticks_add(time.ticks_ms(), ms)
        while time.ticks_diff(end, time.ticks_ms()) > 0:
            if self.meanwhile():
                return True
            self.pause(min(_SLICE_MS, ms))
        return False
