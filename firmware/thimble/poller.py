"""The poll of Telegram, and what becomes of one that fails."""

from time import ticks_add, ticks_diff, ticks_ms

from thimble import overlay
from thimble.core.backoff import Backoff
from thimble.core.errors import ApiError, NetError, ThimbleError, failure

_JOINING = const(0x55)  # as board.led.JOINING
_ERROR = const(0x15)  # as board.led.ERROR
_RETRY_MOST_S = const(86_400)  # ticks_ms cannot hold much more
_LONG_AGO_MS = const(432_000_000)  # a day more, and it would soon pass for a time to come
_NAMED_MOST = const(96)  # characters: the ids that were named last, six at the least


class Poller:
    """Polls for ``relay``.

    backoff     of the polls that failed since the last that did not
    rest_until  Telegram is left alone until then; after a good poll that brought something, when
                that was completed
    away        Telegram is out of reach: no answer could be brought
    greeted     the bot knows its own name, see start.greet
    """

    def __init__(self, relay):
        self._relay = relay
        self._get_updates = relay.updates.poll  # bound once
        self.backoff = Backoff()
        self.rest_until = relay.started
        self.away = self.greeted = False
        self._refused = ""

    def poll(self, timeout_s):
        """One getUpdates. After a failure Telegram is left alone for a while."""
        relay = self._relay
        updates = relay.updates
        # What should hold the poll and does not, a proxy, say, is not asked all the time: not
        # before a sixteenth of the timeout.
        self.rest_until = ticks_add(ticks_ms(), timeout_s << 6)
        error = failure(self._get_updates, timeout_s, ThimbleError)
        if error is not None:
            self.missed(error)
            if not relay.minute and relay.wifi is not None:
                # Without a clock no certificate is accepted.
                overlay.call("start", "begin_day", relay)
            return
        self.backoff.reset()
        self.away = False
        now = ticks_ms()
        if relay.inbox.full or updates.due(now):  # it brought something
            self.rest_until = now
        relay.watch.polled(now)
        relay.show()
        if updates.refused_len:
            self._name_refused(updates)

    def missed(self, error):
        """Telegram failed: nothing is polled before the backoff's end, or before it wishes."""
        relay = self._relay
        wait = self.backoff.next(ticks_ms() & 255)
        now, updates = ticks_ms(), relay.updates
        away = lost = isinstance(error, NetError) and error.stage != "journal"
        if isinstance(error, ApiError):
            # A token that is refused brings no answers, either.
            away = self.away and (error.status >= 500 or error.status in (401, 404))
            wait = max(wait, min(error.retry_after, _RETRY_MOST_S) * 1000)
            # It is not Telegram that is out of reach; nothing is to be heard before that time.
            relay.watch.polled(ticks_add(now, wait))
        self.away = away
        if ticks_diff(now, updates.polled_at) > _LONG_AGO_MS:
            updates.polled_at = ticks_add(now, -_LONG_AGO_MS)
            if away:
                relay.exchange.retry_at = None  # that was long ago, too
        self.rest_until = ticks_add(now, wait)
        relay.board.led.show(_ERROR if relay.joined else _JOINING)
        relay.log.fail(error if lost else overlay.call("outage", "advice", relay, error))

    def held_off(self):
        """Whether Telegram is to be left alone still. What is not confirmed, since the inbox or
        the asides are full, would be the answer to each poll, at once."""
        relay, now = self._relay, ticks_ms()
        return ticks_diff(self.rest_until, now) > 0 or (
            (relay.inbox.full or relay.asides.full) and not relay.updates.due(now)
        )

    def _name_refused(self, updates):
        """Names whom the allow-list kept out, once, so that the owner can add the id."""
        number = " %s;" % bytes(updates.refused_id[: updates.refused_len]).decode()
        updates.refused_len = 0
        if number not in self._refused:
            self._refused = (self._refused + number)[-_NAMED_MOST:]
            self._relay.log.info("refused%s add it to telegram.allow to let it in" % number)
