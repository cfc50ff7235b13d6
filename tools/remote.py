"""A board on a serial line, through mpremote: what it is, its files, its resets.

Nothing here resets softly: an RP2's watchdog runs on through that and would bite in the middle of
an upload. What writes asks for a maintenance boot first, which starts neither relay nor watchdog
(firmware/main.py).
"""

from __future__ import annotations

import ast
import base64
import contextlib
import errno
import os
import re
import struct
import time
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import serial
import serial.tools.list_ports
from mpremote.transport import TransportError, TransportExecError
from mpremote.transport_serial import SerialTransport

from tools import runtime
from tools.cli import ToolError, plain

MARKER = "/maintenance"
ANSWER_S = 15
RESET_S = 20
SILENCE_S = 30
WRITE_S = 5
INTERRUPT_S = 3
QUIET_S = 0.05
RAW = b"raw REPL; CTRL-B to exit\r\n"
CHUNK = 768
PROMPT = ("MicroPython v", 'Type "help()"', ">>>")

_FACTS = """
import os, sys
_i = sys.implementation
_v = os.statvfs("/")
_path = sys.path[:]
sys.path[:] = [".frozen"]
sys.modules.pop("thimble", None)
try:
    import thimble
    _frozen = thimble.VERSION
except ImportError:
    _frozen = ""
sys.path[:] = _path
sys.modules.pop("thimble", None)
_machine, _mpy = getattr(_i, "_machine", ""), getattr(_i, "_mpy", 0)
print((_i.version[:3], _machine, _mpy, _v[0], _v[2], _v[3], _frozen))
"""

# Prints (path, size) of every file that is named or stands below a folder that is named.
_WALK = """
import os
def _walk(folder):
    for entry in os.ilistdir(folder):
        path = folder.rstrip("/") + "/" + entry[0]
        if entry[1] & 0x4000:
            _walk(path)
        else:
            print((path, os.stat(path)[6]), end=",")
for path in {paths}:
    try:
        if os.stat(path)[0] & 0x4000:
            _walk(path)
        else:
            print((path, os.stat(path)[6]), end=",")
    except OSError:
        pass
"""

_HASH = """
import binascii, hashlib
def _hash(path, buf=memoryview(bytearray(1024))):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while True:
            n = file.readinto(buf)
            if not n:
                return binascii.hexlify(digest.digest()).decode()
            digest.update(buf[:n])
for path in {paths}:
    print((path, _hash(path)), end=",")
"""


class BoardError(ToolError):
    """What was asked of the board was not done; the text is a sentence that says why."""


@dataclass(frozen=True)
class Facts:
    """What a board is: MicroPython's version, ``sys.implementation``'s machine ("" before 1.19)
    and mpy, the file system's block size in bytes and its blocks, and the version of a frozen
    Thimble or ""."""

    version: tuple[int, ...]
    machine: str
    mpy: int
    block: int
    blocks: int
    free: int
    frozen: str

    @property
    def arch(self) -> str:
        """The architecture whose native code it runs, one of runtime.MACHINES."""
        return runtime.machine(self.mpy)


def choose(port: str) -> str:
    """``port``, or the only serial port of a USB device. Raises BoardError."""
    if port:
        return port
    found = [p.device for p in serial.tools.list_ports.comports() if p.vid is not None]
    if len(found) == 1:
        return found[0]
    if found:
        raise BoardError(f"say which: PORT={' or PORT='.join(found)}")
    raise BoardError("no board found on a USB port: connect it, or say where it is: PORT=")


class Remote:
    """A connected board. A context manager; raises BoardError wherever the board does not do what
    it is asked. Where the context ends with an error, the board is reset and starts as usual."""

    def __init__(self, port: str):
        self.port = port
        self.link: SerialTransport | None = None
        self.marked = False

    def __enter__(self) -> Remote:
        self.connect()
        return self

    def __exit__(self, kind, *exc) -> None:
        # Ctrl-C has ended what ran there; no refusal and no failure leaves it so.
        if kind and self.link:
            with contextlib.suppress(BoardError):
                self.close()
                self.connect(within=1)
                if self.marked:
                    self.remove(MARKER)
                self.restart()
        self.close()

    def connect(self, within: float = ANSWER_S) -> None:
        """Interrupts what runs and takes the prompt, without a reset."""
        deadline = time.monotonic() + within
        while True:
            try:
                self.link = SerialTransport(self.port, timeout=2)
                self.link.serial.write_timeout = WRITE_S
                self._interrupt()
                return
            except (TransportError, OSError) as error:
                self.close()
                if time.monotonic() > deadline:
                    # Only now: behind a reset a port is root's alone for a moment.
                    if os.path.exists(self.port) and not os.access(self.port, os.R_OK | os.W_OK):
                        group = Path(self.port).group()
                        raise BoardError(
                            f"you may not use {self.port}, the group {group} may: "
                            f"sudo usermod -aG {group} $USER, then log in anew"
                        ) from error
                    raise BoardError(
                        f"no answer from {self.port} ({error}): is it the right port, is another "
                        "program connected, does MicroPython run there?"
                    ) from error
            time.sleep(0.5)

    def _interrupt(self) -> None:
        """Ctrl-C and the raw prompt. mpremote's own reads for as long as something comes, which on
        a line that never falls silent has no end."""
        line, said, deadline = self.link.serial, b"", time.monotonic() + INTERRUPT_S
        line.write(b"\r\x03")
        time.sleep(QUIET_S)
        line.reset_input_buffer()
        line.write(b"\r\x01")
        while said != RAW:
            if time.monotonic() > deadline:
                raise TransportError("could not enter raw repl")
            said = (said + line.read(1))[-len(RAW) :]
        self.link.in_raw_repl = True

    def close(self) -> None:
        if self.link is not None:
            with contextlib.suppress(TransportError, OSError):
                if self.link.in_raw_repl:
                    self.link.exit_raw_repl()
            with contextlib.suppress(TransportError, OSError):
                self.link.close()
            self.link = None

    @contextlib.contextmanager
    def _asking(self):
        try:
            yield
        except TransportExecError as error:
            last = error.error_output.strip().splitlines()[-1:]
            if last and re.search(rf"ENOSPC|OSError: {errno.ENOSPC}$", last[0]):
                raise BoardError("the board's file system is full") from error
            raise BoardError(f"the board said: {last[0] if last else 'nothing'}") from error
        except (OSError, TransportError, struct.error) as error:
            raise BoardError(f"the connection to {self.port} was lost: {error}") from error

    def run(self, code: str, silence: float = SILENCE_S) -> str:
        """What ``code`` prints; it may be silent for ``silence`` seconds."""
        with self._asking():
            said, error = self.link.exec_raw(code, timeout=silence)
            if error:
                raise TransportExecError(said, error.decode(errors="replace"))
            return said.decode()

    def facts(self) -> Facts:
        """What the board is."""
        return Facts(*ast.literal_eval(self.run(_FACTS)))

    def sizes(self, *paths: str) -> dict[str, int]:
        """Sizes of these files, and of those below these folders; what is missing is left out."""
        return dict(ast.literal_eval(f"[{self.run(_WALK.format(paths=paths))}]"))

    def hashes(self, paths: list[str]) -> dict[str, str]:
        """SHA-256 of files, computed on the board."""
        return dict(ast.literal_eval(f"[{self.run(_HASH.format(paths=paths))}]"))

    def read(self, path: str) -> bytes:
        with self._asking():
            return bytes(self.link.fs_readfile(path))

    def write(self, path: str, data: bytes) -> None:
        """Replaces a file at once, or not at all; makes its folders."""
        fresh = path + ".new"
        for parent in list(PurePosixPath(path).parents)[-2::-1]:
            self.run(f"import os\ntry:\n os.mkdir({str(parent)!r})\nexcept OSError:\n pass")
        # Base64: what mpremote's own command sends is twice as long, and many a board's line is
        # a UART of 115,200 baud.
        try:
            self.run(f"import binascii, os\nf = open({fresh!r}, 'wb')")
            for at in range(0, len(data), CHUNK):
                piece = base64.b64encode(data[at : at + CHUNK])
                self.run(f"f.write(binascii.a2b_base64({piece!r}))")
            self.run("f.close()")
        except BoardError:
            with contextlib.suppress(BoardError):
                self.run("f.close()")
                self.remove(fresh)
            raise
        self.run(f"os.rename({fresh!r}, {path!r})")

    def remove(self, path: str) -> None:
        """Removes a file if it is there."""
        self.run(f"import os\ntry:\n os.remove({path!r})\nexcept OSError:\n pass")

    def reset(self) -> None:
        """Resets the board and leaves the line. A reset by hand is no crash: see
        firmware/thimble/safe.py."""
        self.remove("/boots")
        self.restart()

    def restart(self) -> None:
        """Resets the board, whatever it is, and leaves the line."""
        with self._asking():
            self.link.exec_raw_no_follow("import machine\nmachine.reset()")
        self.link.in_raw_repl = False
        self.close()

    def maintain(self) -> None:
        """Resets the board into a boot that starts neither relay nor watchdog."""
        self.marked = True
        self.write(MARKER, b"")
        self.run("_before = 1")  # gone after the reset
        self.reset()
        deadline = time.monotonic() + RESET_S
        while True:
            time.sleep(0.5)
            self.connect(max(1, deadline - time.monotonic()))
            if self.run("print('_before' in globals())").strip() == "False":
                break
            if time.monotonic() > deadline:
                raise BoardError(f"the board was not reset within {RESET_S} s")
        self.remove(MARKER)  # a board without our main.py has not taken it

    def first_line(self, start: str, within: float = RESET_S) -> str:
        """The first line that begins with ``start`` and is printed from now on."""
        deadline, said, last = time.monotonic() + within, b"", "nothing"
        while time.monotonic() < deadline:
            try:
                with serial.Serial(self.port, 115200, timeout=0.5) as line:
                    while time.monotonic() < deadline:
                        said += line.read(1)
                        if said.endswith(b"\n"):
                            text = plain(said.decode(errors="replace")).strip()
                            if text.startswith(start):
                                return text
                            if text and not text.startswith(PROMPT):
                                last = text
                            said = b""
            except OSError:
                time.sleep(0.2)  # the port goes with the reset and comes back
        raise BoardError(f"after the reset the board did not start Thimble; it said: {last}")
