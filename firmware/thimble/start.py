"""The relay's first steps: attempts that were none, the clock, the greeting of Telegram.

An overlay.
"""

from micropython import const

from thimble import overlay
from thimble.core.errors import NetError, ThimbleError
from thimble.telegram import updates

_JOIN_MS = const(60_000)


def forgive(relay):
    """An attempt that ended with the power, or with Telegram's silence, is none."""
    buf = relay.inbox.buf
    record = relay.inbox.first()
    while record >= 0:
        buf[record + updates.STATE] -= buf[record + updates.STATE] & updates.COUNT > 0
        record = relay.inbox.after(record)


def set_clock(relay):
    """By SNTP, once there is a network: certificates are checked against the clock."""
    tick = relay.tick
    try:
        while not relay.wifi.join(_JOIN_MS, tick):
            relay.log.fail(relay.wifi.error or "no network yet")
        args = relay.resolver, tick, relay.board.set_clock, relay.config.clock.servers
        overlay.call("net.clock", "sync", *args)
    except NetError as error:
        relay.log.fail(error)
        if not overlay.call("net.clock", "plausible"):
            relay.log.info("the clock was never set: certificates will not be accepted")


def greet(relay):
    """Learns the bot's own name, by which groups mean it, and sets the menu of commands."""
    try:
        relay.bot.get_me()
        relay.greeted = True
    except ThimbleError as error:
        relay.missed(error)
        return
    try:
        overlay.call("console.commands", "set_menu", relay.bot)
    except ThimbleError as error:
        relay.log.fail(error)
