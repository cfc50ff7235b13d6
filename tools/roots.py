"""Writes the root certificates that the firmware's table names, from certifi's bundle.

    python -m tools.roots FOLDER

A root's file is named for its common name: "GTS Root R4" is gts-root-r4.der.
"""

from __future__ import annotations

import ast
import re
import sys
import warnings
from pathlib import Path

import certifi
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

MODULE = Path(__file__).resolve().parent.parent / "firmware" / "thimble" / "net" / "roots.py"


def names(module: Path = MODULE) -> list[str]:
    """Every root that TABLE in the firmware's ``module`` names, sorted.

    The module runs in MicroPython only, so it is read, not imported.
    """
    for node in ast.parse(module.read_text()).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "TABLE":
            rows = [line.split()[1:] for line in ast.literal_eval(node.value).splitlines()]
            return sorted({word for row in rows for word in row if not word.startswith("@")})
    raise KeyError(f"{module} has no TABLE")


def bundle() -> dict[str, bytes]:
    """certifi's certificates as DER, by file name without suffix."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some old roots have serial numbers that are no longer
        certificates = x509.load_pem_x509_certificates(Path(certifi.where()).read_bytes())
        found = {}
        for certificate in certificates:
            for name in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME):
                key = re.sub(r"[^a-z0-9]+", "-", str(name.value).lower()).strip("-")
                found[key] = certificate.public_bytes(Encoding.DER)
    return found


def write_roots(folder: Path) -> list[Path]:
    """Writes one .der file for each name in the table; returns their paths.

    Raises KeyError if certifi no longer has a root: the table needs the host's new one.
    """
    have = bundle()
    missing = [name for name in names() if name not in have]
    if missing:
        raise KeyError(f"certifi {certifi.__version__} has no {', '.join(missing)}: see {MODULE}")
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name in names():
        paths.append(folder / f"{name}.der")
        paths[-1].write_bytes(have[name])
    return paths


if __name__ == "__main__":
    for path in write_roots(Path(sys.argv[1])):
        print(path)
