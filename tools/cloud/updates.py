"""The queue of updates and the long poll, by the rules of the Bot API server.

Client.cpp (process_get_updates_query, do_get_updates, long_poll_wakeup, abort_long_poll) and
tdlib's TQueue.cpp: an offset confirms what is older; an update waits 24 hours; the same offset
again within 3 s waits 3 s; of two waiting polls the older one gets 409; an offset far past the end
means the queue's head.
"""

import asyncio
import collections
import json
import random

from .errors import ApiError
from .params import integer
from .wire import Response

LIFE_S = 24 * 3600
MAX_TIMEOUT_S = 50
MAX_EVENTS = 100_000
_FUTURE = 10
_ANSWER_BYTES = 1 << 22
_WAKE_S = 0.001

# Kinds that a bot gets only if it asks for them by name.
_OPTIONAL = frozenset(("chat_member", "message_reaction", "message_reaction_count"))

CONFLICT_POLL = (
    "Conflict: terminated by other getUpdates request; make sure that only one bot instance is "
    "running"
)
CONFLICT_WEBHOOK = (
    "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete "
    "the webhook first"
)


class Poll:
    """A getUpdates that waits."""

    def __init__(self, offset, limit, future, timer):
        self.offset = offset
        self.limit = limit
        self.future = future
        self.timer = timer


class Updates:
    """`tail` is the id that the next update gets; `events` holds (id, expiry, bytes), where the
    bytes are the update's JSON without its id, from `"message":` on."""

    def __init__(self, clock, first_id=None):
        self._clock = clock
        self._previous_offset = None
        self._previous_start = -100.0
        self._next_conflict = -100.0
        self._waking = None
        self._waiting = None
        self.allowed = None
        self.events = collections.deque()
        self.tail = first_id or random.randrange(2_000_001, 1_000_000_000)
        self.webhook_url = ""

    @property
    def head(self) -> int:
        return self.events[0][0] if self.events else self.tail

    @property
    def polling(self) -> bool:
        """True while a long poll waits."""
        return self._waiting is not None

    def wants(self, kind: str) -> bool:
        if self.allowed is None:
            return kind not in _OPTIONAL
        return kind in self.allowed

    def push(self, kind: str, payload: bytes) -> int | None:
        """Queues an update of this kind, whose object is `payload`, and returns its id, or None if
        the bot has not asked for this kind or the queue is full."""
        if not self.wants(kind) or len(self.events) >= MAX_EVENTS:
            return None
        number = self.tail
        self.tail += 1
        expiry = self._clock.time() + LIFE_S
        self.events.append((number, expiry, b'"%s":%s' % (kind.encode(), payload)))
        if self._waiting is not None and self._waking is None:
            self._waking = self._clock.call_later(_WAKE_S, self._wake)
        return number

    def restart(self, first_id: int):
        """Ids start anew, as after a week without updates; what was waiting is gone."""
        self.events.clear()
        self.tail = first_id

    def pending(self) -> int:
        self._expire()
        return len(self.events)

    def poll(self, params: dict):
        """getUpdates: a Response, or an awaitable of one. Raises ApiError."""
        if self.webhook_url:
            return self._conflict(CONFLICT_WEBHOOK)
        offset = integer(params, "offset", 0, -(2**31), 2**31 - 1)
        limit = integer(params, "limit", 100, 1, 100)
        timeout = integer(params, "timeout", 0, 0, MAX_TIMEOUT_S)
        self._allow(params.get("allowed_updates", ""))
        now = self._clock.time()
        if offset == self._previous_offset:
            if timeout < 3 and now < self._previous_start + 3.0:
                timeout = 3
            if now < self._previous_start + 0.5:
                limit = 1
        self._previous_offset = offset
        self._previous_start = now
        answer, offset = self._get(offset, limit, wait=timeout != 0)
        if answer is not None:
            return answer
        self.abort(CONFLICT_POLL)
        future = asyncio.get_running_loop().create_future()
        poll = Poll(offset, limit, future, None)
        poll.timer = self._clock.call_later(timeout, lambda: self._answer(poll))
        self._waiting = poll
        return self._wait(poll)

    def abort(self, why: str):
        """Ends the poll that waits with 409."""
        poll, self._waiting = self._waiting, None
        if poll is not None and not poll.future.done():
            poll.future.set_result(self._conflict(why))

    def _allow(self, text):
        try:
            names = json.loads(text)
        except ValueError:
            return
        if isinstance(names, list) and all(isinstance(name, str) for name in names):
            self.allowed = frozenset(name.lower() for name in names) or None

    def _get(self, offset, limit, wait):
        """(answer, None), or (None, resolved offset) if there is nothing and `wait` is set."""
        events = self.events
        self._expire()
        if offset < 0:
            while len(events) > -offset:
                events.popleft()
        if offset <= 0 or offset > self.tail + _FUTURE:
            offset = self.head
        while events and events[0][0] < offset:
            events.popleft()
        if wait and not events:
            return None, offset
        parts, size = [], 0
        for number, _, payload in events:
            size += 50 + len(payload)
            if len(parts) == limit or size >= _ANSWER_BYTES:
                break
            parts.append(b'{"update_id":%d,\n%s}' % (number, payload))
        return Response(200, b'{"ok":true,"result":[' + b",\n".join(parts) + b"]}"), None

    def _expire(self):
        now = self._clock.time()
        while self.events and self.events[0][1] < now:
            self.events.popleft()

    def _wake(self):
        self._waking = None
        if self._waiting is not None:
            self._answer(self._waiting)

    def _answer(self, poll):
        if self._waiting is poll:
            self._waiting = None
        if not poll.future.done():
            poll.future.set_result(self._get(poll.offset, poll.limit, wait=False)[0])

    async def _wait(self, poll):
        try:
            result = await poll.future
        finally:
            if self._waiting is poll:
                self._waiting = None
            self._clock.cancel(poll.timer)
        return result if isinstance(result, Response) else await result

    def _conflict(self, why):
        """409, at once or, if there was one in the last 3 s, after 3 s."""
        now = self._clock.time()
        if now >= self._next_conflict:
            self._next_conflict = now + 3.0
            return self._refuse(why, 0)
        return self._refuse(why, 3.0)

    async def _refuse(self, why, seconds):
        if seconds:
            await self._clock.sleep(seconds)
        raise ApiError(409, why)
