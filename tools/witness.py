"""Hears all that the firmware lets out in the whole suite, and finds secrets in it.

What is heard: every line on standard output and standard error (console, log, status, errors,
tracebacks), the flash image when a firmware ends (crash files, the journal), and every text that
it had Telegram show to somebody. A secret is what the firmware's own configuration holds as one.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from tools.cloud.cloud import KEY, TOKEN

_KEYS = (("telegram", "token"), ("model", "key"), ("wifi", "password"))
_WINDOW = 12  # so many characters of a secret in a row are a leak


def parts(secrets) -> set[bytes]:
    """Every run of characters that would give a secret away. Of a token the number before the
    colon is the bot's id, which everybody may know."""
    found = set()
    for secret in secrets:
        data = secret.rpartition(":")[2].encode()
        size = min(_WINDOW, len(data))
        found |= {data[at : at + size] for at in range(len(data) - size + 1)}
    return {part for part in found if len(part) >= 6}


def configured(path: Path) -> list[str]:
    """The secrets in a configuration's file, as far as it can be read."""
    try:
        values = json.loads(path.read_bytes())
        found = [values.get(section, {}).get(key) for section, key in _KEYS]
        found += [one.get("password") for one in values.get("wifi", {}).get("networks", [])]
    except (OSError, ValueError, AttributeError, TypeError):
        return []
    return [one for one in found if isinstance(one, str)]


class Witness:
    """``heard`` is what Firmware calls with all that it wrote; ``bytes`` counts it, ``leaks`` are
    the lines in which a secret was found."""

    def __init__(self):
        self.bytes = 0
        self.leaks: list[str] = []
        self._parts: dict[str, set[bytes]] = {}

    def heard(self, env: dict, data: bytes) -> None:
        """``env``: the environment of the process that wrote ``data``."""
        path = env.get("THIMBLE_CONFIG", "")
        if path not in self._parts:
            self._parts[path] = parts([TOKEN, KEY, *configured(Path(path))])
        self._look(self._parts[path], data)

    def shown(self, texts) -> None:
        """What Telegram was told to show."""
        for text in texts:
            self._look(parts([TOKEN, KEY]), text.encode("utf-8", "replace"))

    def _look(self, wanted: set[bytes], data: bytes) -> None:
        self.bytes += len(data)
        for part in wanted:
            at = data.find(part)
            if at >= 0:
                test = os.environ.get("PYTEST_CURRENT_TEST", "")
                around = data[max(0, at - 80) : at + 80].decode(errors="replace")
                self.leaks.append(f"{test}: {around!r}")
                return


WITNESS = Witness()
