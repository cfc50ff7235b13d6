"""Splits the configured URLs, and says which of them may go without TLS."""

from thimble.core.errors import ConfigError


def parse(url, key):
    """(secure, host, port, path) of ``url``; ``key`` names the setting in errors.

    ``path`` has no slash at its end. Plain HTTP is taken only for an address of the local
    network: over it a token or a key would be readable by everybody on the way.
    """
    scheme, found, rest = url.partition("://")
    secure = scheme == "https"
    host, slash, path = rest.partition("/")
    host, colon, port = host.partition(":")
    if not found or not host or scheme not in ("http", "https"):
        raise ConfigError("%s must be a URL such as https://host/path" % key)
    try:
        port = int(port) if colon else 443 if secure else 80
    except ValueError:
        port = 0
    if not 0 < port < 65536:
        raise ConfigError("%s has a port that is not between 1 and 65535" % key)
    if not secure and not _local(host):
        raise ConfigError("%s must begin with https:// (%s is not a local address)" % (key, host))
    return secure, host, port, (slash + path).rstrip("/")


def _local(host):
    """Whether a host is of the local network: private or loopback (RFC 1918), or a local name."""
    parts = host.split(".")
    if len(parts) == 4 and all(part.isdigit() for part in parts):
        first, second = int(parts[0]), int(parts[1])
        return (
            first in (10, 127)
            or (first == 172 and 16 <= second < 32)
            or (first in (169, 192) and second == (254 if first == 169 else 168))
        )
    return len(parts) == 1 or parts[-1] in ("local", "lan", "internal") or host == "home.arpa"
