"""Which root certificates the configured hosts need, and loading just those.

Each costs its DER and about 1 KB of heap for as long as the TLS context lives, so a board cannot
hold a browser's 140. `tools/roots.py` writes the folder that is read here:

    hosts.txt   a line for each suffix of a host name: the suffix, then names of roots;
                the suffix * is for any host that no other line is for
    NAME.der    one certificate
"""

import binascii

from thimble.core.errors import ConfigError

_BEGIN = const(b"-----BEGIN CERTIFICATE-----")
_END = const(b"-----END CERTIFICATE-----")
_NO_MEMORY = const("not enough memory to load %s")


def context(hosts, folder, ca=""):
    """A TLS context that verifies certificates against the roots of ``hosts``, see load."""
    import tls

    # A client context of the module tls begins with CERT_REQUIRED; it must stay so.
    made = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    load(made, hosts, folder, ca)
    return made


def load(context, hosts, folder, ca=""):
    """Gives the roots for a configuration to a TLS context. Raises ConfigError.

    hosts: names that are spoken to over TLS. folder: see above. ca: path of the configuration's
    tls.ca (DER, or PEM with any number of certificates), or "". Where it is given, it is all that
    hosts without a line of their own are verified against, and it serves for the others as well.
    """
    for name in names(hosts, folder, ca):
        path = "%s/%s.der" % (folder, name)
        _load(context, _read(path, "the root certificate"), path)
    if ca:
        data = _read(ca, "tls.ca")
        start = data.find(_BEGIN)
        if start < 0:
            _load(context, data, ca)
        while start >= 0:
            _load(context, _decoded(data, start, ca), ca)
            start = data.find(_BEGIN, start + 1)


def names(hosts, folder, ca=""):
    """Names of the roots that load() loads, each once. Raises ConfigError."""
    path = folder + "/hosts.txt"
    table = ()
    try:
        with open(path) as file:
            table = [line.split() for line in file if line.strip()]
    except OSError:
        if not ca:
            raise ConfigError("the table of root certificates cannot be read: %s" % path)
    found = []
    for host in hosts:
        best = None
        host = "." + host.lower().rstrip(".")
        for words in table:
            known = host.endswith("." + words[0])
            if (known or words[0] == "*") and (not best or known):
                best = words
        if best and not (ca and best[0] == "*"):
            found.extend([word for word in best[1:] if word not in found])
    return found


def _read(path, what):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        raise ConfigError("%s cannot be read: %s" % (what, path))
    except MemoryError:  # a whole system's bundle
        raise ConfigError(_NO_MEMORY % path)


def _decoded(data, start, path):
    """The DER in the PEM block that begins at start (RFC 7468)."""
    end = data.find(_END, start)
    try:
        if end > 0:
            return binascii.a2b_base64(data[start + len(_BEGIN) : end])
    except ValueError:
        pass
    raise ConfigError("a certificate in %s breaks off or is not base64" % path)


def _load(context, data, path):
    try:
        if data[:1] != b"\x30":
            raise ValueError
        context.load_verify_locations(data)
    except ValueError:
        raise ConfigError("%s is not a certificate in DER or PEM" % path)
    except (OSError, MemoryError):
        raise ConfigError(_NO_MEMORY % path)
