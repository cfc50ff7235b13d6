"""The relay's parts, made and put together once, on buffers that were made before. An overlay."""

from thimble.core.ring import Ring
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


def wire(relay, buffers, tls):
    """Gives ``relay`` its parts; ``buffers`` and ``tls`` as thimble.boot made them."""
    _keepers(relay, buffers)
    _links(relay, tls)
    _telegram(relay, buffers)
    http = Http(relay.model_link, buffers.model_in, buffers.model_out)
    relay.model = Model(http, relay.config.model, buffers.delta)
    relay.reply.log = relay.aside.log = relay.model.log = relay.log


def _keepers(relay, buffers):
    """The log, the network, and what somebody may use."""
    config, board = relay.config, relay.board
    relay.log = Log(buffers.log)
    relay.log.secrets = config.secrets
    relay.wifi = relay.rates = None
    if board.wlan is not None:
        from thimble.net.wifi import Wifi

        relay.wifi = Wifi(board, config.wifi, relay.log)
    bounds = config.limits
    if bounds.per_user_hour or bounds.calls_per_day:
        from thimble.telegram.rates import Rates

        relay.rates = Rates(bounds.per_user_hour, bounds.calls_per_day, relay.started)


def _links(relay, tls):
    """The two connections. Their room is taken at once: the largest blocks come first."""
    board, tick = relay.board, relay.tick
    sizes = board.profile.room
    rooms = Room(sizes, board.room_inverted), Room(sizes, board.room_inverted)
    relay.resolver = Resolver(tick, board.servers)
    relay.telegram_link = Link(relay.resolver, tick, tls, rooms[0])
    relay.model_link = Link(relay.resolver, tick, tls, rooms[1])


def _telegram(relay, buffers):
    """What comes in, what goes out, and what of both is kept on flash."""
    config, sizes, flash = relay.config, relay.board.profile, relay.board.flash
    secure, host, port, path = config.telegram.endpoint
    http = Http(relay.telegram_link, buffers.telegram_in, buffers.telegram_out)
    http.origin(host, port, secure)
    relay.bot = Bot(http, config.telegram.token, path, updates.PATHS)
    relay.inbox = Ring(buffers.inbox, updates.RECORD)
    relay.asides = Ring(buffers.asides, updates.ASIDE)
    relay.journal = Journal(flash + "/journal", sizes.journal, buffers.notes)
    allow = [b"%d" % number for number in config.telegram.allow]
    relay.updates = updates.Updates(relay.bot, relay.inbox, relay.asides, allow, relay.journal)
    relay.updates.rates = relay.rates
    relay.sessions = Sessions(
        flash + "/turns",
        buffers.turns,
        sizes.files,
        sizes.file_bytes,
        keep_days=config.memory.keep_days,
    )
    limits, pause = Limits(sizes.slots + 16), relay.pause
    parts = config.telegram.max_parts
    relay.reply = Reply(relay.bot, limits, buffers.reply, parts, pause, relay.journal)
    # A short answer to a command, while another answer is being written.
    relay.aside = Reply(relay.bot, limits, buffers.words, 1, pause)
