"""Which root certificates the configured hosts need, and loading just those.

Each costs its DER and about 1 KB of heap for as long as the TLS context lives, so a board cannot
hold a browser's 140. `tools/roots.py` writes the folder that is read here:

    hosts.txt   a line for each suffix of a host name: the suffix, then names of roots;
                the suffix * is for any host that no other line is for
    NAME.der    one certificate
"""

import binascii

from thimble.core.errors import ConfigError

_BEGIN = b"-----BEGIN CERTIFICATE-----"
_END = b"-----END CERTIFICATE-----"


def context(hosts, folder, ca=""):
    """A TLS context that verifies certificates against the roots of ``hosts``, see Roots."""
    import tls

    # A client context of the module tls begins with CERT_REQUIRED; it must stay so.
    made = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    Roots(hosts, folder, ca).load(made)
    return made


class Roots:
    """The roots for a configuration.

    hosts: names that are spoken to over TLS. folder: see above. ca: path of the configuration's
    tls.ca (DER, or PEM with any number of certificates), or "". Where it is given, it is all that
    hosts without a line of their own are verified against, and it serves for the others as well.
    """

    def __init__(self, hosts, folder, ca=""):
        self._hosts = hosts
        self._folder = folder
        self._ca = ca

    def load(self, context):
        """Give the certificates to a TLS context. Raises ConfigError."""
        for name in self.names():
            path = "%s/%s.der" % (self._folder, name)
            _load(context, _read(path, "the root certificate"), path)
        if self._ca:
            data = _read(self._ca, "tls.ca")
            start = data.find(_BEGIN)
            if start < 0:
                _load(context, data, self._ca)
            while start >= 0:
                _load(context, _decoded(data, start, self._ca), self._ca)
                start = data.find(_BEGIN, start + 1)

    def names(self):
        """Names of the roots, each once. Raises ConfigError."""
        found = []
        for host in self._hosts:
            best = None
            host = "." + host.lower().rstrip(".")
            for words in self._table():
                known = host.endswith("." + words[0])
                if (known or words[0] == "*") and (not best or known):
                    best = words
            if best and not (self._ca and best[0] == "*"):
                found.extend([word for word in best[1:] if word not in found])
        return found

    def _table(self):
        path = self._folder + "/hosts.txt"
        try:
            with open(path) as file:
                return [line.split() for line in file if line.strip()]
        except OSError:
            if self._ca:
                return ()
            raise ConfigError("the table of root certificates cannot be read: %s" % path)


def _read(path, what):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        raise ConfigError("%s cannot be read: %s" % (what, path))


def _decoded(data, start, path):
    """The DER in the PEM block that begins at start (RFC 7468)."""
    end = data.find(_END, start)
    try:
        if end > 0:
            return binascii.a2b_base64(data[start + len(_BEGIN) : end])
    except ValueError:
        pass
    raise ConfigError("a certificate in %s breaks off or is not base64" % path)


def _load(context, der, path):
    try:
        if der[:1] != b"\x30":
            raise ValueError
        context.load_verify_locations(der)
    except ValueError:
        raise ConfigError("%s is not a certificate in DER or PEM" % path)
    except (OSError, MemoryError):
        raise ConfigError("not enough memory to load %s" % path)
