"""The relay with its time limits divided by CHAOS_HURRY. Runs in MicroPython.

In place of `thimble.run()`. Only how long it waits for the network is shorter; what it does then,
and its backoff, are the relay's own.
"""

import gc
import os

import thimble

_parts = thimble.boot(thimble.port())

from thimble.relay import Relay  # noqa: E402

_HURRY = int(os.getenv("CHAOS_HURRY") or "1")
_POLL_S = 3  # a shorter one Telegram would hold for as long


class Hurried(Relay):
    """Waits less for the network."""

    def _rest_s(self):
        super()._rest_s()
        return _POLL_S


def hasten(relay):
    """Divides the limits."""
    for link in (relay.telegram_link, relay.model_link):
        link.resolve_ms //= min(_HURRY, 3)
        link.connect_ms //= _HURRY
        link.handshake_ms //= _HURRY
        link.send_ms //= _HURRY
    for http in (relay.bot.http, relay.model.http):
        http.silence_ms //= _HURRY
        http.header_ms //= _HURRY
    relay.model.silence_ms //= _HURRY * 4
    relay.model.progress_ms //= _HURRY * 4
    relay.bot.answer_ms //= _HURRY * 2
    relay.reply.deliver_ms //= _HURRY * 20
    begin = relay.bot._begin

    def hastened(method, first_ms):
        poll_ms = _POLL_S * 1000 if first_ms > 15000 else 0
        begin(method, poll_ms + (first_ms - poll_ms) // _HURRY)

    relay.bot._begin = hastened


def main():
    relay = Hurried(*_parts)
    gc.threshold(-1)
    if _HURRY > 1:
        hasten(relay)
    try:
        relay.run()
    except KeyboardInterrupt:
        pass
    relay.board.close()


main()
