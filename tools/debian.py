"""Takes packages from Debian with apt, without root and without installing anything.

apt works in a private folder on the mirror that this machine's own sources name, and checks every
file against Debian's archive keyring. While a mirror is brought up to date, its index of packages
may not be the one that was signed; then those packages are taken that debian.sha256 names.
"""

from __future__ import annotations

import fcntl
import itertools
import shutil
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

HASHES = Path(__file__).with_suffix(".sha256")  # as sha256sum's, with paths in the mirror
HELPER = "/usr/lib/apt/apt-helper"  # downloads what has no index, and checks its hash
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
DOWNLOAD_S = 300


class FetchError(Exception):
    """Nothing was fetched; the text says why."""


@dataclass(frozen=True)
class Apt:
    """An apt with its own lists: ``options`` begin its command line, downloads go to ``files``,
    what shall be kept goes to ``root``; ``site``: the mirror."""

    site: str
    options: tuple[str, ...]
    files: Path
    root: Path

    def run(self, *argv: str) -> None:
        """Runs a command in ``files``; raises subprocess.SubprocessError."""
        subprocess.run(
            argv,
            cwd=self.files,
            capture_output=True,
            text=True,
            check=True,
            timeout=DOWNLOAD_S,
        )

    def get(self, *argv: str) -> None:
        """Runs an apt-get that knows the mirror's index."""
        self.run("apt-get", *self.options, "-o", "APT::Update::Error-Mode=any", "update")
        self.run("apt-get", *self.options, *argv)


def fetch(entry: str, ways: Iterable[Callable[[Apt], None]], folder: Path, arch: str = "") -> None:
    """Makes ``folder``, unless it is there, of what one of the ``ways`` leaves in its Apt's
    ``root``: the next is tried where no mirror can serve the one before.

    ``entry`` is the line of sources.list, with {site} and {signed} to be filled in. ``arch`` is
    the packages' architecture, this machine's by default. Raises FetchError.
    """
    if folder.is_dir():
        return
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = open(folder.parent / "lock", "w")
    except OSError as error:
        raise FetchError(f"{folder.parent} cannot be written: {error.strerror}") from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            _fetch(entry, ways, folder, arch)


def unpack(suite: str, arch: str, packages: tuple[str, ...], folder: Path) -> None:
    """Makes ``folder``, unless it is there, of the files of ``packages``. Raises FetchError."""

    def newest(apt: Apt) -> None:
        apt.get("download", *packages)
        _unpack(apt)

    def known(apt: Apt) -> None:
        for name in packages:
            digest, path = _known(name, arch)
            url = f"{apt.site.rstrip('/')}/{path}"
            file = path.rpartition("/")[2]
            apt.run(HELPER, *apt.options, "download-file", url, file, f"SHA256:{digest}")
        _unpack(apt)

    fetch(f"deb [arch={arch} {{signed}}] {{site}} {suite} main", (newest, known), folder, arch)


def _unpack(apt: Apt) -> None:
    for package in sorted(apt.files.glob("*.deb")):
        apt.run("dpkg", "-x", str(package), str(apt.root))
    # As on an installed system: linker scripts name files in /lib.
    (apt.root / "lib").symlink_to("usr/lib")


def _known(name: str, arch: str) -> list[str]:
    """The SHA-256 of a package and its path in the mirror. Raises OSError."""
    for line in HASHES.read_text().splitlines():
        file = line.rpartition("/")[2]
        if file.startswith(f"{name}_") and file.endswith((f"_{arch}.deb", "_all.deb")):
            return line.split()
    raise OSError(f"{HASHES.name} names no {name} for {arch}")


def _fetch(entry: str, ways: Iterable[Callable[[Apt], None]], folder: Path, arch: str) -> None:
    for tool in ("apt-get", "dpkg"):
        if not shutil.which(tool):
            raise FetchError(f"{tool} is not on this machine")
    if not KEYRING.exists():
        raise FetchError("Debian's keys are missing: apt-get install debian-archive-keyring")
    work = folder.with_name(folder.name + ".new")
    failures = []
    for way, site in itertools.product(ways, _mirrors()):
        shutil.rmtree(work, ignore_errors=True)
        try:
            line = entry.format(site=site, signed=f"signed-by={KEYRING}")
            way(_private(work, site, line, arch))
        except (OSError, subprocess.SubprocessError) as error:
            said = getattr(error, "stderr", None) or str(error)
            failures.append(said.strip().splitlines()[-1] if said.strip() else repr(error))
            continue
        (work / "root").rename(folder)
        shutil.rmtree(work, ignore_errors=True)
        return
    shutil.rmtree(work, ignore_errors=True)
    raise FetchError("; ".join(dict.fromkeys(failures)) or "apt knows no mirror")


def _mirrors() -> list[str]:
    """The addresses that apt on this machine takes packages from, main archives first."""
    out = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(SITE) $(RELEASE)", "Created-By: Packages"],
        capture_output=True,
        text=True,
    ).stdout
    rows = [line.split() for line in out.splitlines() if line.strip()]
    rows.sort(key=lambda row: "security" in row[0] or "-" in row[-1])
    return list(dict.fromkeys(row[0] for row in rows))


def _private(work: Path, site: str, line: str, arch: str) -> Apt:
    for sub in ("lists/partial", "cache/archives/partial", "files", "root"):
        (work / sub).mkdir(parents=True)
    source = work / "sources.list"
    source.write_text(line + "\n")
    (work / "status").touch()
    options = {
        "Dir::Etc::sourcelist": source,
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
        "Dir::State::Lists": work / "lists",
        "Dir::State::status": work / "status",
        "Dir::Cache": work / "cache",
        "APT::Sandbox::User": "root",
    }
    if arch:
        options |= {"APT::Architecture": arch, "APT::Architectures::": arch}
    given = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
    return Apt(site, ("-qq", *given), work / "files", work / "root")
