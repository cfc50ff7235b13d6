"""Which root certificates the configured hosts need, and loading just those.

Each costs its DER and about 1 KB of heap for as long as the TLS context lives, so a board cannot
hold a browser's 140. The files are `roots/NAME.der`; `tools/roots.py` writes those named here.
"""

import binascii

from thimble.core.errors import ConfigError

# Suffix of a host name, and the roots that its certificates have come from; @ refers to a row.
# The row * is for any other host, unless tls.ca says what that needs. Cloudflare, before most of
# the model hosts, changes between Google, Let's Encrypt and SSL.com without notice. One string,
# because a dict of tuples would stay in the heap.
TABLE = """\
@google      gts-root-r1 gts-root-r4
@encrypt     isrg-root-x1 isrg-root-x2
@digicert    digicert-global-root-g2
@amazon      amazon-root-ca-1 starfield-services-root-certificate-authority-g2
@cloudflare  @google @encrypt ssl-com-tls-ecc-root-ca-2022
telegram.org go-daddy-root-certificate-authority-g2
openai.com      @cloudflare
anthropic.com   @cloudflare
openrouter.ai   @cloudflare
groq.com        @cloudflare
mistral.ai      @cloudflare
x.ai            @cloudflare
together.xyz    @cloudflare
cerebras.ai     @cloudflare
fireworks.ai    @cloudflare
perplexity.ai   @cloudflare
googleapis.com  @google
azure.com       @digicert microsoft-rsa-root-certificate-authority-2017
amazonaws.com   @amazon
huggingface.co  @amazon
hivemq.cloud    @encrypt
adafruit.com    @digicert
*               @google @encrypt @digicert amazon-root-ca-1
"""

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
    """Names of the roots for hosts, each once. own_ca: unknown hosts need none of the table."""
    rows = {}
    for line in TABLE.split("\n"):
        words = line.split()
        if words:
            rows[words[0]] = words[1:]
    found = []
    for host in hosts:
        host = host.lower().rstrip(".")
        while host and host not in rows:
            host = host.partition(".")[2]
        if host or not own_ca:
            _collect(rows, host or "*", found)
    return found


def _collect(rows, row, found):
    for word in rows[row]:
        if word[0] == "@":
            _collect(rows, word, found)
        elif word not in found:
            found.append(word)


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
