"""Which root certificates the configured hosts need, and loading just those.

Each costs its DER and about 1 KB of heap for as long as the TLS context lives, so a board cannot
hold a browser's 140. The files are `roots/NAME.der`; `tools/roots.py` writes those named here.
"""

import binascii

from thimble.core.errors import ConfigError

_GOOGLE = ("gts-root-r1", "gts-root-r4")
_LETS_ENCRYPT = ("isrg-root-x1", "isrg-root-x2")
_AMAZON = ("amazon-root-ca-1", "starfield-services-root-certificate-authority-g2")
_DIGICERT = ("digicert-global-root-g2",)
_GODADDY = ("go-daddy-root-certificate-authority-g2",)
# Cloudflare, before most of the model hosts, takes certificates from Google, from Let's Encrypt
# and from SSL.com, and changes between them without notice.
_CLOUDFLARE = _GOOGLE + _LETS_ENCRYPT + ("ssl-com-tls-ecc-root-ca-2022",)
_MICROSOFT = _DIGICERT + ("microsoft-rsa-root-certificate-authority-2017",)

# Suffix of a host name: the roots that its certificates have come from.
HOSTS = {
    "telegram.org": _GODADDY,
    "openai.com": _CLOUDFLARE,
    "anthropic.com": _CLOUDFLARE,
    "openrouter.ai": _CLOUDFLARE,
    "groq.com": _CLOUDFLARE,
    "mistral.ai": _CLOUDFLARE,
    "x.ai": _CLOUDFLARE,
    "together.xyz": _CLOUDFLARE,
    "cerebras.ai": _CLOUDFLARE,
    "fireworks.ai": _CLOUDFLARE,
    "perplexity.ai": _CLOUDFLARE,
    "googleapis.com": _GOOGLE,
    "azure.com": _MICROSOFT,
    "amazonaws.com": _AMAZON,
    "huggingface.co": _AMAZON,
    "hivemq.cloud": _LETS_ENCRYPT,
    "adafruit.com": _DIGICERT,
}

# For any other host, unless tls.ca names what it needs: what most of the web is signed with.
OTHERS = _GOOGLE + _LETS_ENCRYPT + _DIGICERT + ("amazon-root-ca-1",)

_BEGIN = b"-----BEGIN CERTIFICATE-----"
_END = b"-----END CERTIFICATE-----"


class Roots:
    """The roots for a configuration.

    hosts: names that are spoken to over TLS. folder: of the .der files. ca: path of the
    configuration's tls.ca (DER, or PEM with any number of certificates), or ""; where it is given
    it is all that hosts not in the table are verified against.
    """

    def __init__(self, hosts, folder, ca=""):
        self.names = names(hosts, bool(ca))
        self._folder = folder
        self._ca = ca

    def load(self, context):
        """Give the certificates to a TLS context. Raises ConfigError."""
        for name in self.names:
            path = "%s/%s.der" % (self._folder, name)
            _load(context, _read(path, "the root certificate"), path)
        if self._ca:
            data = _read(self._ca, "tls.ca")
            if _BEGIN in data:
                start = data.find(_BEGIN)
                while start >= 0:
                    _load(context, _decoded(data, start, self._ca), self._ca)
                    start = data.find(_BEGIN, start + 1)
            else:
                _load(context, data, self._ca)


def names(hosts, own_ca=False):
    """Names of the roots for hosts, each once, in the table's order."""
    found = []
    for host in hosts:
        for name in _of(host.lower().rstrip("."), own_ca):
            if name not in found:
                found.append(name)
    return found


def _of(host, own_ca):
    while host:
        if host in HOSTS:
            return HOSTS[host]
        host = host.partition(".")[2]
    return () if own_ca else OTHERS


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
    """Adds one certificate."""
    try:
        if der[:1] != b"\x30":
            raise ValueError
        context.load_verify_locations(der)
    except ValueError:
        raise ConfigError("%s is not a certificate in DER or PEM" % path)
    except (OSError, MemoryError):
        raise ConfigError("not enough memory to load %s" % path)
