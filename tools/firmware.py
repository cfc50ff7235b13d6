"""The firmware as a process here: the 32-bit runtime, a heap, a profile, a flash image."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import queue
import re
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from tools import build, runtime
from tools.cli import ToolError

PROFILE = "pico_w"
HEAPS = {PROFILE: 176, "esp32_s3": 2048, "unix": 2048}  # KB that fit a profile,
_CODE = 80  # and what code takes as .mpy files
SEGMENT = 1040  # bytes of heap that a segment of PROFILE takes
STOP_S = 5
RESTART = 75  # as board.unix.RESTART
UP = "relay up"  # as the relay's log


class FirmwareError(ToolError):
    """The firmware did not do what was asked within its time, or ended."""


def fits(kb: int, code: str, bits: int) -> str:
    """The heap that takes the place of one of ``kb`` on a board: more where the code is in it,
    twice as much where words are twice as large."""
    return f"{(kb + _CODE * (code == 'mpy')) * bits // 32}k"


def usual(found: runtime.Runtime, profile: str = PROFILE, code: str = "rom") -> str:
    """The heap that fits a profile in this runtime, with the code in this place."""
    return fits(HEAPS[profile], found.mode(code), found.bits)


def command(
    config: Path,
    root: Path,
    heap: str = "",
    profile: str = PROFILE,
    code: str = "rom",
    cause: str = "",
) -> tuple[list[str], dict[str, str]]:
    """The command line and the environment that run the firmware.

    ``heap`` is, if it is not said, what fits. ``code`` is one of build.MODES;
    ``cause``: what ended the run before, if that was no clean stop; "" is a crash. Raises
    RuntimeMissing, FirmwareError.
    """
    found = runtime.find()
    heap = heap or usual(found, profile, code)
    argv, env = build.command(found, "thimble", heap=heap, mode=code)
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FirmwareError(f"the folder {root} cannot be made: {error.strerror}") from error
    try:
        with tempfile.TemporaryFile(dir=root):
            pass
    except OSError as error:
        raise FirmwareError(f"nothing can be written in {root}: {error.strerror}") from error
    return argv, {
        **os.environ,
        **env,
        "THIMBLE_CONFIG": str(config.absolute()),
        "THIMBLE_ROOT": str(root.absolute()),
        "THIMBLE_PROFILE": profile,
        "THIMBLE_CAUSE": cause,
    }


def hold(root: Path) -> int:
    """A handle that keeps any other process from this ``root`` while it is open, here or in a
    child: of two on one flash each would destroy what the other writes. Waits for one that is
    just ending. Raises FirmwareError.
    """
    handle = os.open(root, os.O_RDONLY)
    deadline = time.monotonic() + STOP_S
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return handle
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                raise FirmwareError(
                    f"a relay runs on {root} already: stop it, or say another folder: ROOT="
                ) from error
        except OSError:
            return handle  # a file system without locks
        time.sleep(0.1)


def die_with_parent() -> None:
    """For ``preexec_fn``: the child is interrupted when this process ends, however it ends."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGINT)


def end(process: subprocess.Popen) -> None:
    """Ends a child cleanly (or at last by force)."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def starved(code: int | None, said: str) -> bool:
    """Whether a run that ended so, and ``said`` this on standard error, had too little memory to
    bring the relay up. With much too little it cannot even say why it ends."""
    silent = "Traceback" not in said
    return code in (1, RESTART) and UP not in said and (silent or "MemoryError" in said)


def too_little(heap: str, profile: str, code: str) -> FirmwareError:
    """The error that says so."""
    larger = usual(runtime.find(), profile, code)
    more = "a larger one" if heap == larger else larger
    return FirmwareError(f"--heap: {heap} is too little memory for the relay; try {more}")


class Firmware:
    """A running firmware whose console is driven by this object.

    ``log`` holds what it wrote to standard error. Use as a context manager. ``witness``, where
    there is one, is called with the environment and all that any firmware writes, its flash last.
    """

    witness = None

    def __init__(self, config: Path, root: Path, **options: str):
        self._command = command(config, root, **options)
        self.log: list[str] = []
        self._lines: queue.Queue[str] = queue.Queue()
        self.process: subprocess.Popen | None = None
        self._readers: list[threading.Thread] = []

    def __enter__(self) -> Firmware:
        argv, env = self._command
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            argv, env=env, stdin=pipe, stdout=pipe, stderr=pipe, preexec_fn=die_with_parent
        )
        for stream, sink in (
            (self.process.stdout, self._lines.put),
            (self.process.stderr, self.log.append),
        ):
            reader = threading.Thread(target=self._read, args=(stream, sink), daemon=True)
            reader.start()
            self._readers.append(reader)
        return self

    def __exit__(self, *exc) -> None:
        self.stop()

    def _read(self, stream, sink) -> None:
        for line in stream:
            if self.witness:
                self.witness(self._command[1], line)
            sink(line.decode(errors="replace").rstrip("\n"))

    @property
    def pid(self) -> int:
        return self.process.pid

    def segments(self) -> int:
        """How many the relay has made for conversations."""
        return int(re.findall(rf"{UP}: \w+, (\d+)", "\n".join(self.log))[-1])

    def tell(self, line: str) -> None:
        """Writes one line to the console."""
        try:
            self.process.stdin.write(line.encode() + b"\n")
            self.process.stdin.flush()
        except OSError as error:
            raise FirmwareError(self.why()) from error

    def ask(self, line: str, timeout: float = 10) -> str:
        """The console's answer (one line) to a command."""
        self.tell(line)
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            try:
                return self._lines.get(timeout=0.2)
            except queue.Empty:
                if self.process.poll() is not None:
                    break
        raise FirmwareError(f"no answer to {line!r}: {self.why()}")

    def status(self, timeout: float = 10) -> dict:
        """The console's ``status``."""
        said = self.ask("status", timeout)
        try:
            return json.loads(said)
        except ValueError as error:
            raise FirmwareError(f"no status: the firmware says {said!r}") from error

    def again(self) -> bool:
        """Starts it anew if it ended because it asked for that, or by its dog; whether it did."""
        code = self.process.poll()
        if code not in (RESTART, -signal.SIGALRM):
            return False
        self._command[1]["THIMBLE_CAUSE"] = "watchdog" if code < 0 else ""
        self.__enter__()
        return True

    def why(self) -> str:
        """What is known about a firmware that does not answer."""
        state, said = self.process.poll(), self.log[-8:]
        if state is not None:
            for reader in self._readers:
                reader.join(1)  # its last words may still be on their way
            # A start that is refused says why where a board would: on the console.
            said = self.log[-8:] + list(self._lines.queue)[-8:]
        state = "runs" if state is None else f"ended ({state})"
        return f"the firmware {state}: {' | '.join(said)}"

    def kill(self) -> None:
        """SIGKILL: as if the power went."""
        self.process.kill()
        self.process.wait()
        self.stop()

    def stop(self) -> int:
        """Stops it cleanly (or at last by force); its exit code."""
        end(self.process)
        for reader in self._readers:
            reader.join(1)  # nothing is closed under its hands
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.close()
        if self.witness:
            flash = Path(self._command[1]["THIMBLE_ROOT"]) / "flash.img"
            self.witness(self._command[1], flash.read_bytes() if flash.exists() else b"")
        return self.process.returncode
