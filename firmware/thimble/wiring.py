"""What the relay is made of, in the order in which it is made. It leaves memory after that.

There are two connections, each with its own buffers and the room that TLS takes. On the one the
bot polls and sends, on the other the model is asked. What waits stands in two rings, what has to
outlive a reset in the journal and the sessions. All buffers were made before the code was loaded.
"""

from thimble.core.ring import Ring
from thimble.keepers.watch import Watch
from thimble.log import Log
from thimble.model.request import Model
from thimble.net.dns import Resolver
from thimble.net.http import Http
from thimble.net.link import Link
from thimble.net.room import Room
from thimble.store.journal import Journal
from thimble.store.sessions import Sessions
from thimble.telegram import updates
from thimble.telegram.bot import Bot
from thimble.telegram.limits import Limits
from thimble.telegram.reply import Reply

_DEAF = const(16)  # as board.base._DEAF


def make(relay, buffers, tls):
    """Makes the parts of ``relay``, which has its config, its board and when it was started."""
    config, board = relay.config, relay.board
    sizes, tick = board.profile, relay.tick
    relay.watch = Watch(board.feed, relay.started, restarts=max(0, board.mark - _DEAF))
    relay.log = log = Log(buffers.log)
    log.secrets = config.secrets
    relay.wifi = None
    if board.wlan is not None:
        from thimble.net.wifi import Wifi

        relay.wifi = Wifi(board, config.wifi, log)
    rooms = Room(sizes.room, board.room_kept), Room(sizes.room, board.room_kept)
    relay.inbox = Ring(buffers.inbox, updates.RECORD)
    relay.asides = Ring(buffers.asides, 2 * updates.ASIDE)  # one of them for a /stop
    relay.resolver = Resolver(tick, board.servers)
    relay.telegram_link = Link(relay.resolver, tick, tls, rooms[0])
    relay.model_link = Link(relay.resolver, tick, tls, rooms[1])

    secure, host, port, path = config.telegram.endpoint
    http = Http(relay.telegram_link, buffers.telegram_in, buffers.telegram_out)
    http.origin(host, port, secure)
    relay.bot = bot = Bot(http, config.telegram.token, path, updates.PATHS)
    relay.journal = Journal(board.flash + "/journal", sizes.journal, buffers.notes)
    allow = [b"%d" % number for number in config.telegram.allow]
    relay.updates = updates.Updates(bot, relay.inbox, relay.asides, allow, relay.journal)
    relay.sessions = Sessions(
        board.flash + "/turns",
        buffers.turns,
        sizes.files,
        sizes.file_bytes,
        keep_days=config.memory.keep_days,
    )
    limits = Limits(sizes.slots + 16)
    parts = config.telegram.max_parts
    relay.reply = Reply(bot, limits, buffers.reply, parts, relay.linger, relay.journal)
    # A short answer to a command, while another answer is being written.
    relay.aside = Reply(bot, limits, buffers.words, 1, relay.pause)
    http = Http(relay.model_link, buffers.model_in, buffers.model_out)
    relay.model = Model(http, config.model, buffers.delta)
    relay.reply.log = relay.aside.log = relay.model.log = log
    relay.rates = None
    bounds = config.limits
    if bounds.per_user_hour or bounds.calls_per_day:
        from thimble.telegram.rates import Rates

        relay.rates = Rates(bounds.per_user_hour, bounds.calls_per_day, relay.started)
        relay.updates.rates = relay.rates
