"""Root certificates: which are shipped, which are loaded for whom, and what tls.ca may hold."""

from __future__ import annotations

import importlib.util
import sys
import types

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tools import roots

LOAD = """
import os
from thimble.core.errors import ConfigError
from thimble.net.roots import Roots

class Context:
    count = size = 0

    def load_verify_locations(self, der):
        self.count += 1
        self.size += len(der)

def load(hosts, folder, ca="", context=None):
    context = context or Context()
    try:
        Roots(hosts, folder, ca).load(context)
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


@pytest.fixture(scope="module")
def table():
    """The firmware's module, its two imports made to work here."""
    saved = {name: sys.modules.get(name) for name in ("thimble", "thimble.core.errors")}
    errors = types.ModuleType("thimble.core.errors")
    errors.ConfigError = ValueError
    sys.modules.update({"thimble": types.ModuleType("thimble"), "thimble.core.errors": errors})
    try:
        spec = importlib.util.spec_from_file_location("device_roots", roots.MODULE)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        for name, value in saved.items():
            if value is None:
                del sys.modules[name]
            else:
                sys.modules[name] = value
    return module


def device_lines(device, source: str) -> list[str]:
    done = device.run(LOAD + source)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
def test_every_root_of_the_table_is_written_and_is_a_self_signed_authority(folder, table):
    hosts = [line.split()[0] for line in table.TABLE.splitlines()]
    assert {path.stem for path in folder.iterdir()} == set(table.names(hosts))
    for path in folder.iterdir():
        certificate = x509.load_der_x509_certificate(path.read_bytes())
        assert certificate.subject == certificate.issuer
        basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
        assert basic.value.ca


def test_a_root_that_certifi_does_not_have_stops_the_build(tmp_path, monkeypatch):
    monkeypatch.setattr(roots, "names", lambda: ["gts-root-r4", "root-of-nowhere"])
    with pytest.raises(KeyError, match="root-of-nowhere"):
        roots.write_roots(tmp_path / "roots")
    assert not (tmp_path / "roots").exists()


def test_a_host_needs_the_roots_of_its_longest_known_suffix(table):
    assert table.names(["api.telegram.org"]) == ["go-daddy-root-certificate-authority-g2"]
    assert table.names(["API.Telegram.org."]) == table.names(["api.telegram.org"])
    assert table.names(["nottelegram.org"]) == table.names(["*"])
    assert table.names(["me.openai.azure.com"]) == table.names(["azure.com"])
    both = table.names(["api.telegram.org", "api.openai.com", "openrouter.ai"])
    assert len(both) == len(set(both)) == 6


def test_a_host_of_one_s_own_is_left_to_tls_ca(table):
    assert table.names(["box.lan"], True) == []
    assert table.names(["box.lan", "api.telegram.org"], True) == table.names(["api.telegram.org"])


def test_the_shipped_roots_load_into_a_real_context(device, folder):
    hosts = ("api.telegram.org", "api.openai.com", "api.groq.com", "somewhere.example")
    lines = device_lines(
        device,
        f"load({hosts!r}, {str(folder)!r})\n"
        "context = tls()\n"
        f"Roots({hosts!r}, {str(folder)!r}).load(context)\nprint('loaded')",
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
        "    Roots(('box.lan',), '', base + '/' + name).load(tls())",
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


def test_a_missing_file_is_refused_by_its_path(device, tmp_path):
    lines = device_lines(
        device,
        f"load(('box.lan',), '', '{tmp_path}/none.pem')\nload(('telegram.org',), '{tmp_path}')",
    )
    assert lines[0] == f"refused | tls.ca cannot be read: {tmp_path}/none.pem"
    assert lines[1].startswith("refused | the root certificate cannot be read: ")
