"""Writes the root certificates that the firmware verifies servers against, from certifi's bundle.

    python -m tools.roots FOLDER

A root's file is named for its common name: "GTS Root R4" is gts-root-r4.der. hosts.txt beside them
is TABLE with its @ rows put in.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import certifi
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tools import cli

# Suffix of a host name, and the roots that its certificates have come from; @ refers to a row.
# The row * is for any other host, unless the configuration's tls.ca says what that needs.
# Cloudflare, before most of the model hosts, changes between Google, Let's Encrypt and SSL.com
# without notice. More specific suffixes stand below others.
TABLE = """
@google         gts-root-r1 gts-root-r4
@encrypt        isrg-root-x1 isrg-root-x2
@digicert       digicert-global-root-g2
@amazon         amazon-root-ca-1 starfield-services-root-certificate-authority-g2
@cloudflare     @google @encrypt ssl-com-tls-ecc-root-ca-2022

*               @google @encrypt @digicert amazon-root-ca-1

telegram.org    go-daddy-root-certificate-authority-g2

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
"""


def table(text: str = TABLE) -> dict[str, list[str]]:
    """Root names by host suffix, without @."""
    rows = {row[0]: row[1:] for line in text.splitlines() if (row := line.split())}

    def flat(words: list[str]) -> list[str]:
        found = []
        for word in words:
            found += flat(rows[word]) if word.startswith("@") else [word]
        return list(dict.fromkeys(found))

    return {suffix: flat(words) for suffix, words in rows.items() if not suffix.startswith("@")}


def bundle() -> dict[str, bytes]:
    """certifi's certificates as DER, by file name without suffix."""
    found = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some old roots have serial numbers of today's bad form
        for certificate in x509.load_pem_x509_certificates(Path(certifi.where()).read_bytes()):
            for name in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME):
                key = re.sub(r"[^a-z0-9]+", "-", str(name.value).lower()).strip("-")
                found[key] = certificate.public_bytes(Encoding.DER)
    return found


def write_roots(folder: Path) -> list[Path]:
    """Writes hosts.txt and a .der file for each root in TABLE; returns their paths.

    Raises KeyError if certifi no longer has a root: its hosts need another one in TABLE.
    """
    rows, have = table(), bundle()
    names = sorted({name for names in rows.values() for name in names})
    if missing := [name for name in names if name not in have]:
        raise KeyError(f"certifi {certifi.__version__} has no {', '.join(missing)}")
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / "hosts.txt"]
    paths[0].write_text("".join(f"{key} {' '.join(words)}\n" for key, words in rows.items()))
    for name in names:
        paths.append(folder / f"{name}.der")
        paths[-1].write_bytes(have[name])
    return paths


def main() -> None:
    parser = cli.parser("python -m tools.roots", __doc__)
    parser.add_argument("folder", type=Path, help="where the files go")
    for path in write_roots(parser.parse_args().folder):
        print(path)


if __name__ == "__main__":
    cli.run(main)
