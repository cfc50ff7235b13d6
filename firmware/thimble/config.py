"""What can be configured: one JSON file, the same on a board and on Unix.

Every key has a default but the secrets. What is unknown or of the wrong type is refused by name,
so that a mistyped key never passes for its default.
"""

import json
import os

from thimble import overlay
from thimble.core.errors import ConfigError, ParseError
from thimble.core.scan import MORE, Scanner
from thimble.net import is_address

FILE = "thimble.json"
DEFAULTS = {
    "wifi": {
        "ssid": "",
        "password": "",
        "networks": [],
        "country": "",
        "hostname": "thimble",
        "address": "",
        "netmask": "255.255.255.0",
        "gateway": "",
        "dns": "",
        "power": "performance",
    },
    "clock": {"servers": ["pool.ntp.org", "time.cloudflare.com", "time.google.com"]},
    "board": {
        "led": "",
        "led_kind": "",
        "button": "",
        "battery_adc": "",
        "battery_ratio": 0,
        "battery_offset_mv": 0,
        "battery_low_mv": 3400,
    },
    "telegram": {"token": "", "allow": [], "url": "https://api.telegram.org", "max_parts": 8},
    "model": {
        "api": "openai",
        "url": "https://api.openai.com/v1",
        "key": "",
        "name": "",
        "system": "",
        "max_tokens": 1024,
        "patience_min": 720,
    },
    "tls": {"ca": ""},
    "memory": {
        "budget_kb": 0,
        "elevated": 80,
        "critical": 90,
        "max_messages": 200,
        "keep_days": 7,
    },
    "limits": {"per_user_hour": 0, "calls_per_day": 0},
    "power": {"mode": "always"},
    "mqtt": {"host": ""},
}
SECRETS = ("wifi.password", "telegram.token", "model.key")
# By key, of which no two sections share one. What a whole number may be at the most, and at the
# least if that is not 0; a table of pairs would take twice the room.
_MOST = {
    "max_parts": 1_000_000,
    "max_tokens": 1_000_000,
    "battery_ratio": 20_000,
    "battery_offset_mv": 500,
    "battery_low_mv": 20_000,
    "patience_min": 100_000,
    "budget_kb": 1_000_000,
    "elevated": 99,
    "critical": 100,
    "max_messages": 100_000,
    "keep_days": 3650,
    "per_user_hour": 250,
    "calls_per_day": 1_000_000,
    "priority": 100,
}
_LEAST = {
    "max_parts": 1,
    "max_tokens": 1,
    "battery_offset_mv": -500,
    "patience_min": 1,
    "elevated": 61,  # more than core.pressure.RELIEVED, where compaction ends
    "critical": 2,
    "max_messages": 10,  # fewer, and each exchange would end in a compaction
    "keep_days": 1,
}
# What a text may be:
_CHOICES = {
    "api": ("openai", "anthropic"),
    "mode": ("always",),
    "power": ("performance", "powersave", "none"),
    "led_kind": ("", "high", "low", "rgb"),
}
_PLAIN = const(("token", "key", "url"))  # they go into the heads of requests as they are
_ADDRESSES = const(("address", "netmask", "gateway", "dns"))
_HEX = const("0123456789abcdefABCDEF")
# What a list holds; a network of wifi.networks is an object of its own:
_ITEMS = {
    "allow": (int, "whole numbers"),
    "servers": (str, "hosts or host:port"),
    "networks": (dict, "objects with ssid, password, priority"),
}
_NETWORK = {"ssid": "", "password": "", "priority": 0}
_KINDS = {str: "a text", int: "a whole number", list: "a list"}


class Settings:
    """Values as attributes: of a section, or the sections of a configuration.

    Without methods, so that it holds nothing of this module in memory. A whole one has beside its
    sections ``path``, the file it came from, and ``secrets``, the values that no output may show;
    where a section has a ``url``, it has as well ``endpoint``, (secure, host, port, path).
    """


def settings(values, path=""):
    """The Settings of a configuration's ``values``, all else by default. Raises ConfigError."""
    check(values)
    made = Settings()
    made.path = path
    for name, defaults in DEFAULTS.items():
        section = Settings()
        for key, default in defaults.items():
            setattr(section, key, values.get(name, {}).get(key, default))
        if "url" in defaults:
            section.endpoint = endpoint(section.url, name + ".url")
        setattr(made, name, section)
    if made.tls.ca and "/" in path and not made.tls.ca.startswith("/"):
        made.tls.ca = path.rsplit("/", 1)[0] + "/" + made.tls.ca
    found = []
    for secret in SECRETS:
        name, key = secret.split(".")
        found.append(getattr(getattr(made, name), key))
    for entry in made.wifi.networks:
        found.append(entry.get("password"))
    made.secrets = [value for value in found if value]
    return made


def complete(made):
    """The Settings ``made``. Raises ConfigError where something is not set that is needed."""
    if not made.telegram.token:
        raise ConfigError("telegram.token is not set; @BotFather on Telegram gives one")
    if not made.model.name:
        raise ConfigError("model.name is not set; it is the name the endpoint knows")
    if made.model.api == "anthropic" and made.model.url == DEFAULTS["model"]["url"]:
        # The key would go to somebody else.
        raise ConfigError("model.api anthropic needs model.url: https://api.anthropic.com/v1")
    return made


def load(path=FILE):
    """The Settings in the file ``path``. Raises ConfigError with what to do."""
    return settings(read(path), path)


def read(path):
    """The values in the file ``path``, unchecked. Raises ConfigError with what to do."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise ConfigError("%s cannot be read (error %d)" % (path, error.errno or 0))
    try:
        return parse(data)
    except (ParseError, ValueError) as error:
        raise ConfigError("%s is not valid JSON: %s" % (path, str(error).replace("JSON: ", "")))


def get(name=""):
    """What is set: all of it, a section, or of ``section.key`` the value. Raises ConfigError.

    Of a secret only the last four characters.
    """
    return overlay.call("console.settings", "get", name)


def set(name, value):
    """Sets ``section.key`` and saves; it counts from the next start. Raises ConfigError.

    A text may stand for what it is in JSON: a number, a list, a text in quotes.
    """
    overlay.call("console.settings", "put", name, value)


def parse(data):
    """What the JSON in ``data``, bytes, says. Raises ParseError, ValueError.

    MicroPython's own json lets much pass that is none.
    """
    scanner = Scanner(())
    scanner.start(bytearray(1), 0, 1)
    scanner.feed(data, 0, len(data))
    while scanner.next() != MORE:
        pass
    scanner.finish()
    _check_utf8(data)
    values = json.loads(data)
    _join(values)
    return values


def _check_utf8(data):
    # MicroPython's own check has no words, and passes overlong forms and what is beyond Unicode.
    try:
        data.decode()
        last = 0
        for byte in data:
            least = 0xA0 if last == 0xE0 else 0x90 if last == 0xF0 else 0
            most = 0x8F if last == 0xF4 else 0xF4
            if byte in b"\xc0\xc1" or not least <= byte <= most:
                raise ValueError
            last = byte
    except ValueError:
        raise ValueError("it is not UTF-8; save it as UTF-8")


def _join(values):
    """Joins surrogate pairs in all texts: MicroPython's json leaves them apart."""
    pairs = enumerate(values) if isinstance(values, list) else ()
    for key, value in values.items() if isinstance(values, dict) else pairs:
        if isinstance(value, str):
            values[key] = _joined(value.encode())
        else:
            _join(value)


def _joined(data):
    # A surrogate is three bytes, ED A0..BF 80..BF; a high one (to AF) and a low one behind it are
    # one character of four bytes.
    at = data.find(b"\xed")
    while at >= 0:
        if data[at + 1] >= 0xA0:
            if data[at + 1] >= 0xB0 or data[at + 3 : at + 4] != b"\xed" or data[at + 4] < 0xB0:
                raise ConfigError("a text in the configuration has half of a surrogate pair")
            high = (data[at + 1] & 0x0F) << 6 | data[at + 2] & 0x3F
            low = (data[at + 4] & 0x0F) << 6 | data[at + 5] & 0x3F
            point = chr(0x10000 + (high << 10 | low))
            data = data[:at] + point.encode() + data[at + 6 :]
        at = data.find(b"\xed", at + 1)
    return data.decode()


def save(values, path=FILE):
    """Writes ``values`` atomically: after a power cut the file is either the old or the new."""
    check(values)
    aside = path + ".new"
    with open(aside, "w") as file:
        json.dump(values, file)
    read(aside)  # a text may hold bytes with which it could not be
    os.rename(aside, path)


def check(values):
    """Raises ConfigError that names the first key that is unknown, mistyped or out of range."""
    if not isinstance(values, dict):
        raise ConfigError("the configuration must be a JSON object")
    for name, section in values.items():
        if name not in DEFAULTS:
            raise ConfigError("%s is not a section; there are %s" % (name, ", ".join(DEFAULTS)))
        if not isinstance(section, dict):
            raise ConfigError("%s must be a JSON object" % name)
        _check_section(name, DEFAULTS[name], section)
    memory = DEFAULTS["memory"].copy()
    memory.update(values.get("memory", {}))
    if memory["elevated"] >= memory["critical"]:
        raise ConfigError("memory.elevated must be less than memory.critical")
    wifi = values.get("wifi", {})
    if wifi.get("address") and not wifi.get("gateway"):
        raise ConfigError("wifi.address needs wifi.gateway")


def _check_section(name, known, values):
    """Of a section, or of one of wifi.networks."""
    for key, value in values.items():
        if key not in known:
            names = name, key, name, ", ".join(known)
            raise ConfigError("%s.%s is not a setting; %s has %s" % names)
        wanted = _wanted(known[key], key, value)
        if wanted:
            raise ConfigError("%s.%s must %s" % (name, key, wanted))
        if key == "url":
            endpoint(value, name + ".url")
        for network in value if key == "networks" else ():
            _check_section("wifi.networks", _NETWORK, network)
            if not network.get("ssid"):
                raise ConfigError("wifi.networks: a network has no ssid")


def _wanted(default, key, value):
    """What the value of ``key`` must be instead, behind "must"; "" if it may be as it is."""
    kind = type(default)
    # A JSON true is an int to Python, and no number to a person.
    if type(value) is not kind:
        return "be " + _KINDS[kind]
    if kind is int:
        low, high = _LEAST.get(key, 0), _MOST[key]
        return "" if low <= value <= high else "be between %d and %d" % (low, high)
    if kind is list:
        item, names = _ITEMS[key]
        for one in value:
            if type(one) is not item or (item is str and not all(_end(one, 1))):
                return "be a list of " + names
        return ""
    if key in _CHOICES:
        return "" if value in _CHOICES[key] else "be one of: " + ", ".join(_CHOICES[key])
    size = len(value.encode())  # as the radio's drivers count
    if key == "hostname" and not 0 < size <= 32:
        return "have 1 to 32 bytes"
    if not value:
        return ""
    # Around a key there may be some: model.request strips it.
    text = value.strip() if key == "key" else value
    if key in _PLAIN and not all("!" <= char <= "~" for char in text):
        return "have only characters of ASCII, and no spaces"
    if key == "ssid" and size > 32:
        return "have at most 32 bytes"
    if key == "password" and not (8 <= size <= 63 or (size == 64 and not value.strip(_HEX))):
        return "have 8 to 63 bytes, or 64 hex digits"  # WPA: a passphrase, or the key itself
    if key in _ADDRESSES and not is_address(value):
        return "be an IPv4 address such as 192.168.1.7"
    if key == "country" and not (len(value) == 2 and value.isalpha()):
        return "be two letters such as DE"
    if key == "token" and (":" not in value or "/" in value):
        return "look like 123456:ABC… (from @BotFather)"
    return ""


def endpoint(url, key):
    """(secure, host, port, path) of ``url``; ``key`` names the setting in errors.

    ``path`` has no slash at its end. Plain HTTP is taken only for an address of the local
    network: over it a token or a key would be readable by everybody on the way.
    """
    scheme, _, rest = url.partition("://")
    secure = scheme == "https"
    host, slash, path = rest.partition("/")
    host, port = _end(host, 443 if secure else 80)
    if not host or scheme not in ("http", "https"):
        raise ConfigError("%s must be a URL such as https://host/path" % key)
    if not port:
        raise ConfigError("%s has a port that is not between 1 and 65535" % key)
    if not secure and not _local(host):
        raise ConfigError("%s must begin with https:// (%s is not a local address)" % (key, host))
    return secure, host, port, (slash + path).rstrip("/")


def _end(text, port):
    """(host, port) of "host" or "host:port"; ``port`` if there is none, 0 if there cannot be."""
    host, colon, number = text.partition(":")
    if colon:
        port = int(number) if number.isdigit() else 0
    return host, port if port < 65536 else 0


def _local(host):
    """Whether a host is of the local network: private or loopback (RFC 1918), or a local name."""
    parts = host.split(".")
    if is_address(host):
        first, second = int(parts[0]), int(parts[1])
        return (
            first in (10, 127)
            or (first == 172 and 16 <= second < 32)
            or (first in (169, 192) and second == (254 if first == 169 else 168))
        )
    return (
        len(parts) == 1
        or parts[-1] in ("local", "lan", "internal")
        or ("." + host).endswith(".home.arpa")  # RFC 8375
    )
