"""A simulated cloud behind two gates, a name server, and a relay that is given no rest."""

from __future__ import annotations

import itertools
import json
import re
import time
from dataclasses import dataclass
from pathlib import Path

from tools import build, firmware, runtime
from tools.cloud.cloud import Cloud

from .gate import Gate
from .names import Names

_HURRIED = Path(__file__).parent / "hurried.py"
_CHATS = tuple(range(101, 109))
# More heap than the relay may use: whether the connections' blocks still find room in a heap that
# is all but full is another question than whether a fault leaves something behind.
_HEAP = "224k"
_BUDGET_KB = 176
_CLEAN = 418  # a status that no fault of the list has: its sentence wipes out the one before


class Relay(firmware.Firmware):
    """The firmware, its names asked for at ``names``, its time limits divided by ``hurry``."""

    def __init__(self, config: Path, root: Path, names: str, hurry: int, **options: str):
        super().__init__(config, root, **options)
        argv, env = self._command
        env = {**env, "THIMBLE_DNS": names}
        if hurry > 1:
            board = runtime.find()
            # Compiled beforehand, so that its own share of the heap is small.
            compiled = config.parent / "hurried.mpy"
            build.compile_file(_HURRIED, compiled, board.march, _HURRIED.name)
            heap = options.get("heap") or firmware.usual(board)
            argv, more = build.command(board, str(compiled), heap=heap)
            env = {**env, **more, "CHAOS_HURRY": str(hurry)}
        self._command = argv, env


@dataclass
class Side:
    """One of the two services, as the relay meets it."""

    rig: Rig
    name: str  # "telegram" or "model"
    service: str
    method: str
    host: str
    gate: Gate

    def fault(self, name, times=None, **options):
        """Arms a fault of the cloud for the calls of this side."""
        return self.rig.cloud.fault(self.service, self.method, name, times, **options)

    def listen(self, certificate):
        """From now on the gate leads to a server with such a certificate."""
        listener = self.rig.listener(certificate)
        self.gate.target = listener.port
        self.gate.struck += 1
        self.gate.cut(reset=True)


class Rig:
    """Everything that a run of faults needs. A context manager."""

    def __init__(self, folder: Path, hurry: int = 1, **options: str):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.cloud = Cloud(chats=(42, *_CHATS))
        self.names = Names()
        self.relay = None
        self.short = 0  # how often memory was too short for a status
        self._hurry = hurry
        self._options = {"heap": _HEAP, **options}
        self._chats = itertools.cycle(_CHATS)
        self._numbers = itertools.count(1)
        self._listeners = {}
        self.sides = {}

    def __enter__(self) -> Rig:
        self.cloud.start()
        self.cloud.telegram.flood_limits(enabled=False)
        self.cloud.models.default(mode="echo")
        self.names.__enter__()
        for name, service, method in (
            ("telegram", "telegram", "getUpdates"),
            ("sending", "telegram", "sendMessage"),
            ("model", "models", "chat"),
        ):
            host = "model.test" if name == "model" else "telegram.test"
            shared = self.sides.get("telegram") if name == "sending" else None
            gate = shared.gate if shared else Gate(self.cloud.secure.port).__enter__()
            self.sides[name] = Side(self, name, service, method, host, gate)
        config = self.cloud.config(ca=str(self.cloud.ca_der))
        config["telegram"]["allow"] = [42, *_CHATS]
        config["memory"] = {"budget_kb": _BUDGET_KB}
        for section, side in (("telegram", "telegram"), ("model", "model")):
            path = config[section]["url"].partition("//")[2].partition("/")[2]
            at = self.sides[side]
            config[section]["url"] = f"https://{at.host}:{at.gate.port}/{path}".rstrip("/")
        self._config = self.folder / "thimble.json"
        self._config.write_text(json.dumps(config))
        self.start()
        return self

    def __exit__(self, *exc) -> None:
        self.relay.stop()
        self.heal()
        for name in ("telegram", "model"):
            self.sides[name].gate.__exit__()
        self.names.__exit__()
        self.cloud.stop()

    def start(self) -> None:
        """Starts the relay; what the relay before had said and kept is gone."""
        if self.relay is not None:
            self.relay.stop()
        root = self.folder / "root"
        self.relay = Relay(self._config, root, self.names.server, self._hurry, **self._options)
        self.relay.__enter__()

    def warm(self) -> None:
        """Everybody has spoken, both connections are open, the bot has greeted."""
        for chat in _CHATS:
            self.ask(chat, timeout=40)

    def heal(self) -> None:
        """Nothing is wrong any more."""
        self.cloud.clear_faults()
        self.cloud.models.clear()
        self.cloud.models.default(mode="echo")
        self.names.how.clear()
        for side in self.sides.values():
            if side.gate.target != self.cloud.secure.port:
                side.gate.target = self.cloud.secure.port
            side.gate.heal()

    def listener(self, certificate):
        if certificate not in self._listeners:
            self._listeners[certificate] = self.cloud.listen(certificate=certificate)
        return self._listeners[certificate]

    def say(self, chat=None) -> tuple[int, str]:
        """Somebody says something that was never said before: (chat, text)."""
        chat = chat or next(self._chats)
        text = f"message {next(self._numbers)}"
        self.cloud.telegram.say(chat=chat, text=text)
        return chat, text

    def ask(self, chat=None, timeout=10.0) -> None:
        """Says something and waits for its answer."""
        chat, text = self.say(chat)
        self.until(lambda: text in self.cloud.telegram.texts(chat)[-2:], timeout, f"{text!r}")

    def quiet(self) -> None:
        """Everything is taken and answered, and the next poll waits."""
        cloud = self.cloud.telegram
        self.until(lambda: cloud.polling() and not cloud.pending(), 70, "quiet")

    def until(self, predicate, seconds, what) -> None:
        """Waits until predicate(); AssertionError with what the relay said if it never is."""
        deadline = time.monotonic() + seconds
        while not predicate():
            if time.monotonic() > deadline or self.relay.process.poll() is not None:
                raise AssertionError(f"no {what} within {seconds:g} s; {self.relay.why()}")
            time.sleep(0.01)

    def status(self) -> dict:
        """The console's status; while memory is short it says so instead, and is asked again."""
        for _ in range(40):
            line = self.relay.ask("status")
            if line.startswith("{"):
                return json.loads(line)
            self.short += 1
            time.sleep(0.05)
        raise AssertionError(f"no status: {line}")

    def error(self) -> str:
        """The error that ``status`` names."""
        return self.status()["error"]

    def heap(self) -> int:
        """Bytes of live heap, with both connections open, but for the segments: a new start may
        find room for one more."""
        return self.status()["heap_used"] - self.relay.segments() * firmware.SEGMENT

    def wipe(self, says: str) -> None:
        """Makes sure that ``status`` does not name an error of this kind already."""
        if re.search(says, self.error()):
            self.cloud.fault("models", None, "status", 1, status=_CLEAN, body={"error": {}})
            chat, _ = self.say()
            before = len(self.cloud.telegram.texts(chat))
            self.until(lambda: len(self.cloud.telegram.texts(chat)) > before, 10, "wiping error")
            self.until(lambda: not re.search(says, self.error()), 5, "other error")
