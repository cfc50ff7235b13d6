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
    host, port = end(host, 443 if secure else 80)
    if not found or not host or scheme not in ("http", "https"):
        raise ConfigError("%s must be a URL such as https://host/path" % key)
    if not port:
        raise ConfigError("%s has a port that is not between 1 and 65535" % key)
    if not secure and not _local(host):
        raise ConfigError("%s must begin with https:// (%s is not a local address)" % (key, host))
    return secure, host, port, (slash + path).rstrip("/")


def end(text, port):
    """(host, port) of "host" or "host:port"; ``port`` if there is none, 0 if there cannot be."""
    host, colon, number = text.partition(":")
    if colon:
        port = int(number) if number.isdigit() else 0
    return host, port if port < 65536 else 0


def address(text):
    """Whether ``text`` is an IPv4 address."""
    parts = text.split(".")
    return len(parts) == 4 and all(part.isdigit() and int(part) < 256 for part in parts)


def _local(host):
    """Whether a host is of the local network: private or loopback (RFC 1918), or a local name."""
    parts = host.split(".")
    if address(host):
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
