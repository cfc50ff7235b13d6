"""A house for the tests of the whole relay: a simulated cloud and the firmware that relays for it.

Chats are fresh for each test, since a chat's own flood limit (kept by the firmware) and its
conversation would otherwise reach from one test into the next.
"""

from __future__ import annotations

import json
import threading
import time

from tools import build, runtime
from tools.cloud.cloud import Cloud
from tools.firmware import Firmware

OWNER = 42
STRANGER = 66
GROUPS = (-501, -502, -1001000000503, -1001000000504)
FRESH = range(100, 180)
# What a chat is told while its message has to wait for the model.
WAITING = "The model cannot be reached just now. I will answer when it is back."
# What a prompt has before a summary.
SUMMARY = "Summary of our conversation so far:\n"
# What is said of one that failed three times.
POISON = "I have tried three times to answer this message and failed. Please ask differently."


class Board(Firmware):
    """A firmware whose console may answer with several lines."""

    def lines(self, line, last, timeout=5.0) -> list[str]:
        """The console's lines after a command, up to one that begins with `last`."""
        self.tell(line)
        lines = [self._lines.get(timeout=timeout)]
        while not lines[-1].startswith(last):
            lines.append(self._lines.get(timeout=timeout))
        return lines


def started_by(board, path, source, **env):
    """The board, whose firmware a script of this source starts; ``path``: where it is to lie."""
    path.write_text(source)
    target = path.with_suffix(".mpy")
    build.compile_file(path, target, runtime.find().march, path.name)
    argv, own = board._command
    board._command = [*argv[:-1], str(target)], {**own, **env}
    return board


class Kept(Board):
    """A firmware that is started again when the dog ended it or it asks for that, as tools/run
    does; ``starts`` counts. It runs ``script`` and has ``env`` beside its own."""

    def __init__(self, config, root, script=None, env=None, **options):
        super().__init__(config, root, **options)
        argv, own = self._command
        if script:
            argv = [*argv[:-1], str(script)]
        self._command = argv, {**own, **(env or {})}
        self.starts = 0
        self._stopping = False
        self._keeper = threading.Thread(target=self._keep, daemon=True)

    def __enter__(self):
        super().__enter__()
        self.starts += 1
        if self.starts == 1:
            self._keeper.start()
        return self

    def _keep(self):
        while not self._stopping:
            self.process.wait()
            if self._stopping or not self.again():
                return

    def stop(self):
        self._stopping = True
        code = super().stop()
        self._keeper.join(10)
        return code


class House:
    """`secrets` is all that no output may show. `settings` are changes to the configuration, by
    section; `tls` as Cloud takes it; `limits` whether Telegram's flood limits hold."""

    def __init__(
        self,
        folder,
        tls="default",
        api="openai",
        limits=False,
        settings=None,
        board=Board,
        **options,
    ):
        self.cloud = Cloud(tls=tls, chats=(OWNER, STRANGER, *GROUPS, *FRESH)).start()
        self.cloud.telegram.flood_limits(enabled=limits)
        self.cloud.models.default(mode="echo")
        self.config = self.cloud.config(ca=str(self.cloud.ca_der), api=api)
        self.config["telegram"]["allow"] = [OWNER, *GROUPS, *FRESH]
        for section, values in (settings or {}).items():
            self.config.setdefault(section, {}).update(values)
        self.secrets = (self.cloud.token, self.cloud.key)
        self.board = None
        self._chats = iter(FRESH)
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self._make = board
        self._options = options

    def __enter__(self) -> House:
        self.start()
        return self

    def start(self, cause="") -> None:
        """Starts the firmware, on the flash of the one before; ``cause`` as for tools.firmware."""
        path = self.folder / "thimble.json"
        path.write_text(json.dumps(self.config))
        self.board = self._make(path, self.flash.parent, cause=cause, **self._options)
        self.board.__enter__()

    @property
    def flash(self):
        """The image of the firmware's flash."""
        return self.folder / "root" / "flash.img"

    def kill(self) -> None:
        """The power goes, at this moment."""
        self.board.kill()

    def __exit__(self, *exc) -> None:
        self.board.stop()
        self.cloud.stop()

    def chat(self) -> int:
        """A private chat that no test has used; FRESH is to have as many as a file needs."""
        return next(self._chats)

    def say(self, text, chat=None, **how) -> int:
        """Somebody writes, in a fresh chat if none is given; returns the chat."""
        chat = chat or self.chat()
        self.cloud.telegram.say(chat=chat, text=text, **how)
        return chat

    def texts(self, chat) -> list[str]:
        return self.cloud.telegram.texts(chat)

    def newest(self, chat) -> str:
        """The newest message in a chat; "" before there is one, so that a wait may ask."""
        return "".join(self.texts(chat)[-1:])

    def wait(self, predicate, timeout=10.0):
        """What predicate() gives as soon as it is true; what the firmware said if it never is."""
        try:
            return self.cloud.wait_for(predicate, timeout)
        except TimeoutError as error:
            raise AssertionError(f"{error}; {self.board.why()}") from None

    def last(self, chat, text, timeout=10.0):
        """Waits until the newest message in a chat reads so."""
        try:
            self.cloud.wait_for(lambda: self.texts(chat)[-1:] == [text], timeout)
        except TimeoutError:
            raise AssertionError(f"{self.texts(chat)!r}; {self.board.why()}") from None

    def ask(self, text, chat=None, timeout=10.0, **how) -> int:
        """Says a text to an echoing model and waits for the echo; returns the chat."""
        chat = self.say(text, chat, **how)
        self.last(chat, text, timeout)
        return chat

    def quiet(self, seconds=0.3) -> None:
        """Waits until everything was taken, answered and confirmed."""
        self.wait(lambda: self.cloud.telegram.polling() and not self.cloud.telegram.pending())
        time.sleep(seconds)
        self.wait(lambda: self.cloud.telegram.polling())

    def prompts(self) -> list[list[tuple[str, str]]]:
        """(role, text) of every message of every request to a model, the system prompt among
        them."""
        return [
            [
                *([("system", call.params["system"])] if call.params.get("system") else []),
                *((turn["role"], turn["content"]) for turn in call.params["messages"]),
            ]
            for call in self.cloud.models.calls()
        ]

    def changes(self, chat, since=0) -> list[dict]:
        """What the bot sent and edited in a chat."""
        return [one for one in self.cloud.telegram.changes(since) if one["chat"] == chat]

    def said(self) -> str:
        """All that the firmware lets out: the log on standard error, the console's, the status."""
        unknown = "unknown command"
        lines = self.board.lines("status\nlog\nnothing of this name", unknown)
        return "\n".join(self.board.log + lines)
