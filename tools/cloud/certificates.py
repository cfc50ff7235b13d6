"""Certificates for the cloud: a CA of its own, made at start, and leaves good and bad.

Keys are ECDSA on P-256, which every board's TLS has. Nothing here outlives its folder.
"""

import datetime
import ipaddress
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

KINDS = ("good", "wrong_host", "expired", "not_yet", "untrusted", "self_signed")
# Names that a test's own name server may know; no public one has them (RFC 6761).
NAMES = ("localhost", "telegram.test", "model.test")

_DAY = datetime.timedelta(days=1)


class Authority:
    """A certificate authority for loopback; its files are `ca.pem` and `ca.der` in `folder`."""

    def __init__(self, folder: Path, name="Thimble test CA"):
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            _builder(self._name, self._name, self._key.public_key(), now - _DAY, now + 365 * _DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(sign_certificates=True), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False
            )
            .sign(self._key, hashes.SHA256())
        )
        self.pem = certificate.public_bytes(serialization.Encoding.PEM)
        self.der = certificate.public_bytes(serialization.Encoding.DER)
        self.pem_path = folder / "ca.pem"
        self.der_path = folder / "ca.der"

    def save(self):
        self.pem_path.write_bytes(self.pem)
        self.der_path.write_bytes(self.der)

    def context(self, tls="default", kind="good") -> ssl.SSLContext:
        """A server's context. `tls` is "default" (1.2 and 1.3), "1.2", "1.3" or "rp2" (TLS 1.2
        with what mbedTLS on that board offers); `kind` is one of KINDS."""
        if kind not in KINDS:
            raise ValueError(f"no such certificate: {kind}")
        signer = Authority(self._folder, "Nobody's CA") if kind == "untrusted" else self
        certificate, key = signer._leaf(kind)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        chain = self._folder / f"leaf-{kind}.pem"
        chain.write_bytes(certificate + key)
        context.load_cert_chain(chain)
        chain.unlink()
        if tls == "rp2":
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            context.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
            context.set_ecdh_curve("prime256v1")
        elif tls == "1.2":
            context.maximum_version = ssl.TLSVersion.TLSv1_2
        elif tls == "1.3":
            context.minimum_version = ssl.TLSVersion.TLSv1_3
        elif tls != "default":
            raise ValueError(f"no such TLS: {tls}")
        return context

    def _leaf(self, kind):
        """(certificate, key) in PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.now(datetime.UTC)
        since, until = now - _DAY, now + 30 * _DAY
        if kind == "expired":
            since, until = now - 30 * _DAY, now - _DAY
        elif kind == "not_yet":
            since, until = now + _DAY, now + 30 * _DAY
        host = "elsewhere.invalid" if kind == "wrong_host" else "localhost"
        names = [x509.DNSName(host)]
        if kind != "wrong_host":
            names = [x509.DNSName(name) for name in NAMES]
            names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        issuer, signer = self._name, self._key
        if kind == "self_signed":
            issuer, signer = subject, key
        certificate = (
            _builder(subject, issuer, key.public_key(), since, until)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(sign_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False
            )
            .sign(signer, hashes.SHA256())
        )
        return (
            certificate.public_bytes(serialization.Encoding.PEM),
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
        )


def _builder(subject, issuer, public_key, since, until):
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(until)
    )


def _usage(sign_certificates):
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
