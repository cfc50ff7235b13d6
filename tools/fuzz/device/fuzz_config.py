"""A case: the configuration's file."""

import io
from binascii import hexlify

from thimble import config
from thimble.core.errors import ConfigError

_file = b""


def _open(path, mode="r"):
    return io.BytesIO(_file)


config.open = _open


def _shown(value):
    return hexlify(value.encode()).decode() if isinstance(value, str) else str(value)


def run(case):
    global _file
    _file = case
    try:
        made = config.load("thimble.json")
    except ConfigError as error:
        assert str(error)
        return "refused"
    said = []
    for name in sorted(config.DEFAULTS):
        section = getattr(made, name)
        for key in sorted(config.DEFAULTS[name]):
            said.append("%s.%s=%s" % (name, key, _shown(getattr(section, key))))
    try:
        config.complete(config.load("thimble.json"))
    except ConfigError:
        pass
    assert all(isinstance(secret, str) for secret in made.secrets)
    return ";".join(said)
