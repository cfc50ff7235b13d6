"""umqtt.simple, MicroPython's MQTT client, for boards whose image does not have it.

PyPI holds it in a format that pip downloads and then refuses to unpack. The archive is pinned by
its hash, downloaded once, and read without being unpacked.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from tools.cli import ToolError
from tools.runtime import cache_dir

VERSION = "1.3.4"
SHA256 = "b6a2520239e3992c63a7de9370ee9b3d9d27819a90359c521f1c0f7ccab8d12f"
DOWNLOAD_S = 120


class UmqttError(ToolError):
    """It could not be fetched; the text says why."""


def simple() -> bytes:
    """The source of umqtt/simple.py. Raises UmqttError."""
    archive = cache_dir() / f"micropython-umqtt.simple-{VERSION}.tar.gz"
    if not archive.exists():
        _download(archive)
    if hashlib.sha256(archive.read_bytes()).hexdigest() != SHA256:
        raise UmqttError(f"{archive} is not the file that was released: remove it and try again")
    with tarfile.open(archive) as tar:
        return tar.extractfile(f"micropython-umqtt.simple-{VERSION}/umqtt/simple.py").read()


def _download(archive: Path) -> None:
    command = [sys.executable, "-m", "unearth", f"micropython-umqtt.simple=={VERSION}"]
    # The index that pip takes its packages from, where that is not the default one.
    asked = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
    index = subprocess.run(asked, capture_output=True, text=True)
    if index.returncode == 0:
        command += ["--index-url", index.stdout.strip()]
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=archive.parent) as folder:
        try:
            done = subprocess.run(
                [*command, "--download", folder],
                capture_output=True,
                text=True,
                timeout=DOWNLOAD_S,
            )
        except subprocess.TimeoutExpired as error:
            raise UmqttError(f"umqtt.simple was not downloaded within {DOWNLOAD_S} s") from error
        fetched = Path(folder) / archive.name
        if done.returncode or not fetched.exists():
            said = done.stderr.strip().splitlines()
            raise UmqttError(f"umqtt.simple could not be downloaded: {said[-1:] or 'no file'}")
        fetched.rename(archive)
