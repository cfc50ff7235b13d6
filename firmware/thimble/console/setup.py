"""The wizard: asks for what a relay needs, and proves each answer. An overlay.

Nothing is written before the end, and then all at once: whoever stops leaves everything as it was.
"""

import time

from thimble import config, overlay, port
from thimble.console import pair, prove, settings
from thimble.console.terminal import Terminal
from thimble.core.errors import ConfigError, ThimbleError
from thimble.log import blotted

_SECTIONS = const(("wifi", "telegram", "pair", "model"))
_PAIR_MS = const(300_000)
_URLS = {"openai": config.DEFAULTS["model"]["url"], "anthropic": "https://api.anthropic.com/v1"}


def run(section="", board=None):
    """Asks for one section (wifi, telegram, pair, model) or for all of them."""
    if section and section not in _SECTIONS:
        print("%s is not a section; there are %s" % (section, ", ".join(_SECTIONS)))
        return
    terminal = Terminal()
    own = None
    try:
        if board is None:
            board = own = port()
        _Wizard(board, terminal).run(section)
    except KeyboardInterrupt:
        print("\nNothing was changed.")
    except (EOFError, OSError, ConfigError) as error:
        print("\nNothing was changed (%s)." % (str(error) or "the line has ended"))
    finally:
        terminal.close()
        if own:
            own.close()
        overlay.unload(
            "config", "console.settings", "console.pair", "console.prove", "console.terminal"
        )


class _Wizard:
    def __init__(self, board, terminal):
        self._board = board
        self._terminal = terminal
        self._online = board.wlan is None
        self._path = board.config_path
        try:
            self._values = settings.stored(self._path)
        except ConfigError as error:
            print("%s\nWith Enter a new one begins; Ctrl-C leaves it." % error)
            terminal.ask("")
            self._values = {}

    def run(self, section):
        print("Enter keeps what stands in [ ]. Ctrl-C leaves everything as it was.")
        for name in (section,) if section else _SECTIONS:
            if name != "wifi":
                self._connect()
            if name != "pair" or section or not self._now("telegram.allow"):
                getattr(self, name)()
        config.save(self._values, self._path)
        print("Saved in", self._path)
        if self._board.wlan is not None:
            print("Ctrl-D at the prompt, or a reset, starts the relay.")

    # The sections.

    def wifi(self):
        """Which network: scans, joins, looks for a captive portal, sets the clock."""
        board = self._board
        if board.wlan is None:
            print("Wi-Fi: the system keeps the network.")
            return
        from thimble.net.wifi import Wifi

        done = None
        while not done:
            self._ask("wifi.country", "Country, two letters")
            try:
                found = Wifi(board, self._settings().wifi, prove.Quiet()).scan()
            except (OSError, RuntimeError, MemoryError) as error:  # see net.wifi
                found = ()
                print("No list of networks (%s)." % error)
            names, free = [], []
            for dbm, name, is_open in found:
                names.append(name)
                free += [name] * is_open
                print("%3d  %-32s %d dBm%s" % (len(names), name, dbm, " open" * is_open))
            before = self._now("wifi.ssid")
            ssid = self._ask("wifi.ssid", "Network, its number or name", names)
            if ssid != before:
                self._values["wifi"].pop("password", None)
            if ssid not in free:
                self._ask("wifi.password", "Password, - for none")
            done = ssid and self._proved(self._join)
        print(
            "Joined %s; the clock is %04d-%02d-%02d %02d:%02d UTC." % ((done,) + time.gmtime()[:5])
        )

    def _join(self, board, settings, alone=True):
        """Joins wifi.ssid, or any known network where not ``alone``; its name."""
        if alone:
            settings.wifi.networks = []
        name = prove.join(board, settings, not settings.wifi.networks)
        prove.portal()
        prove.clock(board, settings)
        self._online = True
        return name

    def _connect(self):
        """Sees to it that there is a network, before something else is proved."""
        if not self._online:
            print("Joining the network ...")
            if not self._proved(lambda *args: self._join(*args, False)):
                self.wifi()

    def telegram(self):
        """Which bot."""
        done = None
        while not done:
            if self._ask("telegram.token", "Bot token from @BotFather"):
                done = self._proved(self._bot)
        print("Hello, I am %s." % prove.username(done))

    def _bot(self, board, settings):
        section = settings.telegram
        return prove.telegram(prove.way(board, settings, section), section, pair.PATHS)

    def pair(self):
        """Who is answered: whoever sends a code to the bot."""
        allow = self._now("telegram.allow")
        print("Answered are: %s." % (str(allow)[1:-1] or "nobody"))
        bot = self._proved(self._bot)
        if bot is None:
            return
        code = pair.code()
        name = prove.username(bot)
        print("Send to %s:  /start %s" % (name, code))
        print("or open  https://t.me/%s?start=%s" % (name[1:], code))
        print("Waiting up to 5 minutes; Enter goes on without.")
        pairing = pair.Pairing(bot, code, bool(allow))
        end = time.ticks_add(time.ticks_ms(), _PAIR_MS)
        found = 0
        while not found and time.ticks_diff(end, time.ticks_ms()) > 0:
            if self._terminal.pressed():
                break
            try:
                found = pairing.poll()
            except ThimbleError as error:
                if getattr(error, "status", 0) == 409 and "webhook" in str(error):
                    self._proved(lambda *args: bot.call(b"deleteWebhook"))
                else:
                    self._say(error)
                time.sleep_ms(1000)
        bot.http.close()
        if found < 1:
            print("Nobody was paired." + ("" if allow else " Nobody is answered until then."))
        elif found in allow:
            print(found, "is on the list already.")
        else:
            print(found, "is on the list now.")
            self._put("telegram.allow", allow + [found])

    def model(self):
        """Which model."""
        done = None
        while not done:
            api = self._ask("model.api", "API, openai or anthropic")
            if self._now("model.url") in _URLS.values():
                self._put("model.url", _URLS[api])
            self._ask("model.url", "URL")
            self._ask("model.key", "Key, - for none")
            if self._ask("model.name", "Model"):
                done = self._proved(prove.model)
        print("The model says:", done)

    # One answer.

    def _ask(self, name, words, names=()):
        """Asks for a setting until it is one that may be, and keeps it; what it is then."""
        secret = name in config.SECRETS
        while True:
            now = self._now(name)
            shown = (settings.masked(now) if secret else now) or "not set"
            text = self._terminal.ask("%s [%s]: " % (words, shown), secret)
            if not text:
                return now
            if text.isdigit() and 0 < int(text) <= len(names):
                text = names[int(text) - 1]
            text = "" if text == "-" else text
            section, key = name.split(".")
            try:
                config.check({section: {key: text}})
            except ConfigError as error:
                print(error)
                continue
            self._put(name, text)
            return text

    def _now(self, name):
        section, key = name.split(".")
        return self._values.get(section, {}).get(key, config.DEFAULTS[section][key])

    def _put(self, name, value):
        section, key = name.split(".")
        self._values.setdefault(section, {})[key] = value

    def _settings(self):
        return config.settings(self._values, self._path)

    def _proved(self, proof):
        """What the proof gives; None where it failed, which is said."""
        try:
            return proof(self._board, self._settings())
        except ThimbleError as error:
            self._say(error)
        except MemoryError:
            print("Not enough memory.")
        return None

    def _say(self, error):
        print(blotted(str(error), self._settings().secrets))
