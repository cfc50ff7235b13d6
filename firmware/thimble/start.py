"""The first steps, the relay's and each day's: attempts that were none, the clock, the greeting,
what the owner is to know.

An overlay.
"""

from thimble import overlay
from thimble.core.errors import NetError, ThimbleError

_STATE = const(5)  # as telegram.updates.STATE
_COUNT = const(63)  # as telegram.updates.COUNT
_JOIN_MS = const(60_000)
# Of Relay.cleaned: the first day has not begun, and whether attempts were forgiven.
_NEVER = const(-2)  # as relay._NEVER
_FORGIVEN = const(-1)


def begin_day(relay):
    """Sets the clock, against which certificates are checked, by SNTP once there is a network;
    what is too old leaves the flash.

    The relay's first one is begun again where memory runs out or something goes wrong.
    """
    if relay.cleaned == _NEVER:
        relay.cleaned = _FORGIVEN
        if relay.board.reset_cause in ("power-on", "restart", "soft reset"):
            _forgive(relay)
    tick, wifi = relay.tick, relay.wifi
    try:
        if wifi is not None:
            while not wifi.join(_JOIN_MS, tick):
                relay.log.fail(wifi.error or "no network yet")
            args = relay.resolver, tick, relay.board.set_clock, relay.config.clock.servers
            overlay.call("net.clock", "sync", *args)
    except NetError as error:
        relay.log.fail(error)
        if not overlay.call("net.clock", "plausible"):
            relay.log.info("the clock was never set: certificates will not be accepted")
    relay.tell_time()
    relay.cleaned = relay.minute
    overlay.call("store.archive", "clean", relay.sessions, relay.minute)


def _forgive(relay):
    """An attempt that ended with the power, or with Telegram's silence, is none."""
    buf = relay.inbox.buf
    record = relay.inbox.first()
    while record >= 0:
        buf[record + _STATE] -= buf[record + _STATE] & _COUNT > 0
        record = relay.inbox.after(record)


def greet(relay):
    """Learns the bot's own name, by which groups mean it, and sets the menu of commands."""
    try:
        relay.bot.call(b"getMe")
        relay.poller.greeted = True
    except ThimbleError as error:
        relay.poller.missed(error)
        return
    try:
        overlay.call("console.commands", "set_menu", relay.bot)
    except ThimbleError as error:
        relay.log.fail(error)


def tell(relay):
    """Tells the owner why there was a restart."""
    owner, reason = relay.updates.owner, relay.tell
    relay.tell = ""
    if not owner:
        return
    times = " %d times" % relay.crashes if relay.crashes > 1 else ""
    relay.aside.peer.load(owner, 0, len(owner), len(owner), False)
    relay.aside.begin()
    try:
        relay.aside.say(("Something went wrong, and I restarted%s: %s" % (times, reason)).encode())
    except ThimbleError as error:
        relay.log.fail(error)
