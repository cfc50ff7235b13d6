"""Noise on the serial line of a whole relay: it must go on, and its heap must stay as it was."""

from __future__ import annotations

import json
import queue
import tempfile
import time
from pathlib import Path
from random import Random

from tools.cloud.cloud import Cloud
from tools.firmware import Firmware, FirmwareError

from .mutate import damage

NAME = "console"
_LINES = 20
_ANSWER_S = 20
_SETTLED = 2  # batches
_GROWTH = 512
_COMMANDS = (b"status", b"log", b"help", b"", b"unknown", b"statuslog", b" status ", b"status\r")


def batch(rng: Random) -> bytes:
    """Some lines, and at their end a line end."""
    data = b""
    for _ in range(_LINES):
        line = rng.choice(_COMMANDS) if rng.random() < 0.7 else rng.randbytes(rng.randrange(300))
        if rng.random() < 0.5:
            line = damage(rng, line)
        data += line + rng.choice([b"\n", b"\n", b"\r\n", b"\n\n", b""])
    return data + b"\n"


class Board:
    """A relay that is only spoken to over its console. A context manager."""

    def __enter__(self) -> Board:
        self._folder = tempfile.TemporaryDirectory(prefix="thimble-")
        folder = Path(self._folder.name)
        self._cloud = Cloud(tls=None).start()
        config = folder / "thimble.json"
        config.write_text(json.dumps(self._cloud.config(secure=False)))
        self.relay = Firmware(config, folder / "root").__enter__()
        return self

    def __exit__(self, *exc) -> None:
        self.relay.stop()
        self._cloud.stop()
        self._folder.cleanup()

    def run(self, data: bytes) -> int:
        """Writes to the console; the live heap after it. FirmwareError if it takes no more."""
        try:
            self.relay.process.stdin.write(data + b"nothing more\nstatus\n")
            self.relay.process.stdin.flush()
        except OSError as error:
            raise FirmwareError(self.relay.why()) from error
        end = time.monotonic() + _ANSWER_S
        heap = 0
        # The last status is the answer to our own question; the lines before it say when it comes.
        while time.monotonic() < end:
            try:
                line = self.relay._lines.get(timeout=0.5)
            except queue.Empty:
                if heap:
                    return heap
                continue
            if line.startswith('{"') and '"heap_used"' in line:
                heap = json.loads(line)["heap_used"]
        raise FirmwareError(f"no status within {_ANSWER_S} s: {self.relay.why()}")


def fuzz(seed: int, cases: int = 0, seconds: float = 0):
    """As run.fuzz, a case being a line: (how many ran, what failed, the last lines)."""
    rng = Random(f"{NAME} {seed}")
    end = time.monotonic() + seconds
    ran = settled = 0
    with Board() as board:
        while ran < cases if cases else time.monotonic() < end:
            data = batch(rng)
            try:
                heap = board.run(data)
            except (FirmwareError, ValueError) as error:
                return ran, str(error), data
            ran += _LINES
            if ran >= _SETTLED * _LINES:
                settled = settled or heap
                if heap > settled + _GROWTH:
                    return ran, f"the heap grew by {heap - settled} bytes", data
    return ran, "", b""


def again(data: bytes) -> str:
    """What is wrong when these lines are written to a fresh relay; "" if nothing is."""
    with Board() as board:
        try:
            board.run(data)
        except (FirmwareError, ValueError) as error:
            return str(error)
    return ""
