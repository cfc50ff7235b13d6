"""Root certificates: which are shipped, which are loaded for whom, and what tls.ca may hold."""

from __future__ import annotations

from pathlib import Path

import certifi
import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tools import build, roots

LOAD = """
import os
from thimble.core.errors import ConfigError
from thimble.net import roots

class Context:
    count = size = 0

    def load_verify_locations(self, der):
        self.count += 1
        self.size += len(der)

def load(hosts, folder, ca="", context=None):
    context = context or Context()
    try:
        roots.load(context, hosts, folder, ca)
        print(context.count, context.size)
    except ConfigError as error:
        print("refused |", error)

def tls():
    import tls
    return tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("roots")
    roots.write_roots(path)
    return path


def device_lines(device, source: str) -> list[str]:
    done = device.run(LOAD + source)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
def test_every_root_of_the_table_is_written_and_is_a_self_signed_authority(folder):
    wanted = {name for names in roots.table().values() for name in names}
    assert {path.stem for path in folder.glob("*.der")} == wanted
    for path in folder.glob("*.der"):
        certificate = x509.load_der_x509_certificate(path.read_bytes())
        assert certificate.subject == certificate.issuer
        basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
        assert basic.value.ca


def test_the_readme_names_every_host_of_the_table():
    text = (build.PROJECT / "README.md").read_text()
    section = text.partition("### Certificates")[2].partition("\n## ")[0]
    for suffix in roots.table().keys() - {"*"}:
        assert f"`{suffix}`" in section, suffix


def test_a_root_that_certifi_does_not_have_stops_the_build(tmp_path, monkeypatch):
    monkeypatch.setattr(roots, "table", lambda: {"x.org": ["gts-root-r4", "root-of-nowhere"]})
    with pytest.raises(KeyError, match="root-of-nowhere"):
        roots.write_roots(tmp_path / "roots")
    assert not (tmp_path / "roots").exists()


def test_a_host_needs_the_roots_of_its_known_suffix(device, folder):
    hosts = ["api.telegram.org", "API.Telegram.org.", "nottelegram.org", "me.openai.azure.com"]
    hosts += ["telegram.org", "org"]
    lines = device_lines(
        device,
        f"for host in {hosts!r}: print(*roots.names((host,), {str(folder)!r}))\n"
        f"print(*roots.names(('api.telegram.org', 'api.openai.com', 'x.ai'), {str(folder)!r}))",
    )
    rows = roots.table()
    wanted = [rows[key] for key in ("telegram.org", "telegram.org", "*", "azure.com")]
    wanted += [rows["telegram.org"], rows["*"], rows["telegram.org"] + rows["openai.com"]]
    assert [line.split() for line in lines] == wanted


def test_a_host_of_one_s_own_is_left_to_tls_ca(device, folder):
    source = f"print(*roots.names(('box.lan',), {str(folder)!r}, 'ca.pem'))\n"
    source += f"print(*roots.names(('box.lan', 'telegram.org'), {str(folder)!r}, 'ca.pem'))"
    assert device_lines(device, source) == ["", roots.table()["telegram.org"][0]]


def test_the_shipped_roots_load_into_a_real_context(device, folder):
    hosts = ("api.telegram.org", "api.openai.com", "api.groq.com", "somewhere.example")
    lines = device_lines(
        device,
        f"load({hosts!r}, {str(folder)!r})\n"
        "context = tls()\n"
        f"roots.load(context, {hosts!r}, {str(folder)!r})\nprint('loaded')",
    )
    assert lines[0].startswith("8 ") and lines[1] == "loaded"


def test_the_image_holds_the_roots(device):
    assert device_lines(device, "load(('api.telegram.org',), '/rom/roots')")[0].startswith("1 ")


def test_tls_ca_is_der_or_pem_with_any_number_of_certificates(device, tmp_path):
    pems = [trustme.CA().cert_pem.bytes() for _ in range(3)]
    ders = [x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER) for pem in pems]
    (tmp_path / "one.der").write_bytes(ders[0])
    (tmp_path / "one.pem").write_bytes(pems[0])
    windows = b"Bag attributes\r\n" + b"\r\n".join(b"".join(pems).splitlines())
    (tmp_path / "three.pem").write_bytes(windows)
    lines = device_lines(
        device,
        f"base = {str(tmp_path)!r}\nfor name in ('one.der', 'one.pem', 'three.pem'):\n"
        "    load(('box.lan',), '', base + '/' + name)\n"
        "    roots.load(tls(), ('box.lan',), '', base + '/' + name)",
    )
    assert lines == [f"1 {len(ders[0])}"] * 2 + [f"3 {sum(map(len, ders))}"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"\x30\x82\x01\x00hello",
        b"\x30",
        b"-----BEGIN CERTIFICATE-----\nMIIB",
        b"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\nMIIBAAAA\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
    ],
)
def test_what_is_no_certificate_is_refused_by_its_path(device, tmp_path, content):
    path = tmp_path / "ca.pem"
    path.write_bytes(content)
    lines = device_lines(device, f"load(('box.lan',), '', {str(path)!r}, tls())")
    assert lines[0].startswith("refused | ") and str(path) in lines[0]


def test_a_bundle_that_memory_cannot_hold_is_refused_by_its_path(device, tmp_path):
    path = tmp_path / "ca.pem"
    path.write_bytes(Path(certifi.where()).read_bytes() * 5)
    lines = device_lines(device, f"load(('box.lan',), '', {str(path)!r}, tls())")
    assert lines == [f"refused | not enough memory to load {path}"]


def test_a_missing_file_is_refused_by_its_path(device, tmp_path):
    source = f"load(('box.lan',), '', '{tmp_path}/none.pem')\n"
    source += f"load(('telegram.org',), '{tmp_path}')\n"
    source += f"open('{tmp_path}/hosts.txt', 'w').write('telegram.org one')\n"
    lines = device_lines(device, source + f"load(('telegram.org',), '{tmp_path}')")
    assert lines == [
        f"refused | tls.ca cannot be read: {tmp_path}/none.pem",
        f"refused | the table of root certificates cannot be read: {tmp_path}/hosts.txt",
        f"refused | the root certificate cannot be read: {tmp_path}/one.der",
    ]
