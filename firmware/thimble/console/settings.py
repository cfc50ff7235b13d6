"""Settings by name: what thimble.config.get and set do. An overlay."""

import os

from thimble import config
from thimble.core.errors import ParseError

_ENOENT = const(2)


def place():
    """The path of this machine's configuration."""
    getenv = getattr(os, "getenv", None)
    return getenv("THIMBLE_CONFIG") or config.FILE if getenv else "/" + config.FILE


def stored(path):
    """The values in the file ``path``, {} where there is none. Raises ConfigError."""
    try:
        os.stat(path)
    except OSError as error:
        if error.errno == _ENOENT:
            return {}  # else a file that is there would be written anew
    values = config.read(path)
    config.check(values)
    return values


def get(name=""):
    """What is set: all of it, a section, or of ``section.key`` the value. Raises ConfigError.

    Of a secret only the last four characters.
    """
    name, _, key = name.partition(".")
    values = stored(place())
    if not name:
        return {name: _section(values, name) for name in config.DEFAULTS}
    config.check({name: {}})
    found = _section(values, name)
    if key and key not in found:
        config.check({name: {key: ""}})
    return found[key] if key else found


def _section(values, name):
    found = config.DEFAULTS[name].copy()
    found.update(values.get(name, {}))
    for key in found:
        if "%s.%s" % (name, key) in config.SECRETS:
            found[key] = masked(found[key])
    if name == "wifi":
        for entry in found["networks"]:
            entry["password"] = masked(entry.get("password", ""))
    return found


def masked(secret):
    """What may be shown of a secret; of a short one nothing but that it is there."""
    return secret and "…" + (secret[-4:] if len(secret) >= 8 else "")


def put(name, value):
    """Sets ``section.key`` and saves; it counts from the next start. Raises ConfigError.

    A text may stand for what it is in JSON: a number, a list, a text in quotes.
    """
    name, _, key = name.partition(".")
    kind = type(config.DEFAULTS.get(name, {}).get(key, ""))
    if isinstance(value, str) and (kind is not str or value[:1] == '"'):
        try:
            value = config.parse(value.encode())
        except (ParseError, ValueError):
            pass  # a text, then, or the check says what it must be
    path = place()
    values = stored(path)
    values.setdefault(name, {})[key] = value
    config.save(values, path)
