"""Packages from Debian, where the mirror's index is of no use."""

import hashlib
import shutil
import subprocess

import pytest

from tools import cli, debian, frozen, runtime


@pytest.fixture
def mirror(monkeypatch, tmp_path):
    """A mirror without an index that has one package, named in a list of hashes."""
    if not shutil.which("dpkg-deb") or not debian.KEYRING.exists():
        raise cli.ToolMissing("apt-get install apt dpkg debian-archive-keyring")
    made = tmp_path / "made"
    (made / "DEBIAN").mkdir(parents=True)
    control = (
        "Package: thing\nVersion: 1-1\nArchitecture: all\nMaintainer: nobody\nDescription: x\n"
    )
    (made / "DEBIAN/control").write_text(control)
    (made / "usr").mkdir()
    (made / "usr/thing").write_text("whole")
    package = tmp_path / "mirror/pool/thing_1-1_all.deb"
    package.parent.mkdir(parents=True)
    subprocess.run(["dpkg-deb", "--build", made, package], check=True, capture_output=True)
    digest = hashlib.sha256(package.read_bytes()).hexdigest()
    monkeypatch.setattr(debian, "HASHES", tmp_path / "hashes")
    debian.HASHES.write_text(f"{digest}  pool/thing_1-1_all.deb\n")
    monkeypatch.setattr(debian, "_mirrors", lambda: [f"file://{tmp_path}/mirror"])
    return tmp_path / "mirror"


def test_packages_whose_hashes_are_known_are_taken_where_the_index_cannot_be_had(mirror, tmp_path):
    debian.unpack("none", "i386", ("thing",), tmp_path / "out")
    assert (tmp_path / "out/usr/thing").read_text() == "whole"


def test_a_package_that_is_another_is_refused_and_nothing_is_left(mirror, tmp_path):
    with open(mirror / "pool/thing_1-1_all.deb", "ab") as package:
        package.write(b"more")
    with pytest.raises(debian.FetchError):
        debian.unpack("none", "i386", ("thing",), tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hashes", "lock", "made", "mirror"]


def test_a_package_whose_hash_is_not_known_is_named(mirror, tmp_path):
    with pytest.raises(debian.FetchError, match="names no other for i386"):
        debian.unpack("none", "i386", ("thing", "other"), tmp_path / "out")


def test_the_hashes_of_all_32_bit_packages_are_known():
    for name in runtime.PACKAGES + frozen.DEVELOPMENT:
        digest, path = debian._known(name, "i386")
        assert len(digest) == 64 and path.startswith("pool/main/")
