"""Proofs that a configuration works: what the wizard, the console's ``test`` and ``make
configure`` have in common. An overlay.

Each raises a ThimbleError that says what does not work.
"""

import gc
import time

from thimble import overlay
from thimble.core.errors import ApiError, ConfigError, NetError, ThimbleError
from thimble.log import blotted
from thimble.model import request
from thimble.net.dns import Resolver
from thimble.net.http import Http
from thimble.net.link import Link
from thimble.telegram.bot import Bot

_JOIN_MS = const(45_000)
_QUESTION = const(b"Answer with one word: hello")
_OUT = const(320)
_SHOWN = const(60)
_SILENCE_MS = const(60_000)
# Answers "success" to whoever reaches it; a captive portal answers something else.
_OPEN = const("http://detectportal.firefox.com/success.txt")
_BUSY = const("an answer is being written; try again when it is done")


class Quiet:
    """A log that keeps nothing: the one who asks says what went wrong."""

    def info(self, line):
        pass

    fail = info


def _tick():
    """Nothing is served while something is proved."""


def join(board, settings, first):
    """Joins a network; ``first``: gives up as soon as one has failed. The network's name."""
    from thimble.net.wifi import Wifi

    board.radio_off()  # a Pico W takes the addresses of one network into the next
    wifi = Wifi(board, settings.wifi, Quiet())
    end = time.ticks_add(time.ticks_ms(), _JOIN_MS)
    while not wifi.serve(time.ticks_ms()):
        if first and wifi.error or time.ticks_diff(end, time.ticks_ms()) <= 0:
            raise NetError("wifi", wifi.error or "no network in time")
        time.sleep_ms(100)
    return wifi.ssid


def clock(board, settings):
    """Sets the clock; a failure counts only where it was never set."""
    resolver = Resolver(_tick, board.servers)
    try:
        overlay.call("net.clock", "sync", resolver, _tick, board.set_clock, settings.clock.servers)
    except NetError:
        if not overlay.call("net.clock", "plausible"):
            raise


def portal():
    """Raises NetError where a captive portal answers in the place of the Internet.

    By `requests` where it is there: plain HTTP, no secret. No answer at all says nothing.
    """
    try:
        import requests

        answer = requests.get(_OPEN, timeout=10)
        said = answer.raw.read(7)  # a portal's page may be larger than the memory
        answer.close()
    except (ImportError, OSError):
        return
    except (ValueError, NotImplementedError) as error:
        if "HTTP" in str(error):
            return  # "HTTP error": closed without an answer
        said = b""  # a redirect that it cannot follow, say
    if said != b"success":
        raise NetError("wifi", "a captive portal stands before the Internet; a board cannot pass")


def way(board, settings, section):
    """An Http of its own for the endpoint of ``section``."""
    from thimble.net import roots

    secure, host = section.endpoint[:2]
    gc.collect()
    tls = roots.context([host], board.roots, settings.tls.ca) if secure else None
    link = Link(Resolver(_tick, board.servers), _tick, tls)
    return Http(link, bytearray(1024), bytearray(512))


def telegram(http, section, paths=b""):
    """A Bot that has called getMe; ``paths`` as Bot takes them."""
    secure, host, port, path = section.endpoint
    http.origin(host, port, secure)
    bot = Bot(http, section.token, path, paths)
    try:
        bot.call(b"getMe")
    except ApiError as error:
        if error.status in (401, 404):
            raise ConfigError("Telegram refused the token (%d)" % error.status)
        raise
    return bot


def username(bot):
    """@ and the bot's name."""
    return "@" + bytes(bot.username[: bot.username_len]).decode()


def model(board, settings):
    """What the model says over a connection of its own, see word."""
    section = settings.model
    asked = request.Model(way(board, settings, section), section, bytearray(_OUT))
    asked.silence_ms = asked.progress_ms = asked.answer_ms = _SILENCE_MS
    return word(asked)


def word(asked):
    """The beginning of what the Model ``asked`` says when it is asked for one word."""
    said = ""
    try:
        asked.waiting = None  # the last exchange's
        asked.ask(None, _QUESTION, 0, len(_QUESTION))
        while True:
            event = asked.poll(250)
            if event == request.TEXT and len(said) < _SHOWN:
                said += bytes(asked.out[asked.pos : asked.end]).decode()
            elif event == request.DONE:
                break
    finally:
        asked.close()
    if not said:
        raise ConfigError("the model's answer was empty; more model.max_tokens may help")
    return "".join([char for char in said[:_SHOWN] if char >= " "])


def test(relay):
    """The console's ``test``: both services, over the connection that else goes to the model."""
    config, chats, http = relay.config, relay.memory.chats, relay.model.http
    if chats.busy is not None:
        print(_BUSY)
        return
    chats.busy = chats.all[0]  # nobody else uses the connection, and no second test begins
    secure, host, port, _ = config.model.endpoint
    try:
        relay.model.close()
        _say("telegram", lambda: username(telegram(http, config.telegram)), config)
        http.origin(host, port, secure)
        gc.collect()
        _say("model", lambda: word(relay.model), config)
    finally:
        http.origin(host, port, secure)
        chats.busy = None


def _say(what, proof, config):
    """Prints what became of one proof; whether it held."""
    try:
        said, good = proof(), True
    except ThimbleError as error:
        said, good = error, False
    print("%-9s %s: %s" % (what, "works" if good else "FAILS", blotted(str(said), config.secrets)))
    return good


def report(board, path):
    """Proves the configuration at ``path`` and prints what works; whether all of it does."""
    from thimble import config

    made = config.load(path)
    if board.wlan is not None:
        if not _say("wifi", lambda: join(board, made, False), made):
            return False
        if not _say("clock", lambda: clock(board, made) or "is right", made):
            return False

    section = made.telegram
    good = _say("telegram", lambda: username(telegram(way(board, made, section), section)), made)
    return _say("model", lambda: model(board, made), made) and good
