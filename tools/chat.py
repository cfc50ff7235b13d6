"""The chat of ``make run``: what is typed is a message from the allowed user, answers appear as
the bot edits them, and a footer shows the firmware's heap, inbox and pressure.

Where standard input is no terminal, each line is asked and its answer printed.
"""

from __future__ import annotations

import json
import sys
import threading
import time

from prompt_toolkit.application import Application
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.layout import HSplit, Layout, Window
from prompt_toolkit.layout.controls import BufferControl, FormattedTextControl
from prompt_toolkit.layout.processors import BeforeInput

from tools import cli
from tools.firmware import Firmware, FirmwareError

FOOTER_S = 1.0
REFRESH_S = 0.1
ANSWER_S = 120
HELP = "type a message; /raw shows the firmware's calls, /help its commands; Ctrl-D ends"


class Chat:
    """A chat with the firmware ``board`` through the simulated ``cloud``."""

    def __init__(self, cloud, board: Firmware, chat: int):
        self.cloud = cloud
        self.board = board
        self.chat = chat
        self.footer = "starting …"
        self.said: list[tuple[int, str]] = []  # (messages of the bot before it, text)
        self.raw = False
        self.ended = False
        self.starts = 1

    def run(self) -> int:
        """Until Ctrl-D. 0, or 1 if the firmware ended by itself."""
        if not sys.stdin.isatty():
            return self._lines()
        threading.Thread(target=self._watch, daemon=True).start()
        self._application().run()
        self.ended = True
        return 0 if self.board.process.poll() is None else 1

    def say(self, text: str) -> None:
        """One line from the person."""
        if text == "/raw":
            self.raw = not self.raw
            return
        text = cli.text(text)
        self.said.append((len(self._messages()), text))
        self.cloud.telegram.say(chat=self.chat, text=text)

    def transcript(self) -> str:
        """Everything that was said, the bot's messages as they are now."""
        if self.raw:
            return self._calls()
        messages = self._messages()
        lines, said = [], list(self.said)
        for index in range(len(messages) + 1):
            while said and said[0][0] <= index:
                lines.append(f"\nyou › {said.pop(0)[1]}")
            if index < len(messages):
                lines.append(f"\nbot › {messages[index].text}")
        return "\n".join(lines).lstrip("\n") or HELP

    def _calls(self) -> str:
        return "\n".join(_call(call) for call in self.cloud.calls("telegram")[-200:])

    def _application(self) -> Application:
        history, line = Buffer(read_only=True), Buffer(multiline=False)
        keys = KeyBindings()

        @keys.add("enter")
        def _(event):
            text = line.text.strip()
            line.reset()
            if text:
                self.say(text)

        @keys.add("c-d")
        @keys.add("c-c")
        def _(event):
            event.app.exit()

        def render(_=None):
            text = self.transcript()
            if text != history.text:
                history.set_document(Document(text, len(text)), bypass_readonly=True)

        layout = HSplit(
            [
                Window(BufferControl(history, focusable=False), wrap_lines=True),
                Window(height=1, char="─"),
                Window(BufferControl(line, input_processors=[BeforeInput("› ")]), height=1),
                Window(FormattedTextControl(lambda: self.footer), height=1, style="reverse"),
            ]
        )
        application = Application(
            Layout(layout, focused_element=layout.children[2]),
            key_bindings=keys,
            full_screen=True,
            refresh_interval=REFRESH_S,
            before_render=render,
        )
        return application

    def _watch(self) -> None:
        """Keeps the footer true."""
        while not self.ended:
            try:
                state = self._status()
            except FirmwareError as error:
                self.footer = str(error)
            else:
                self.footer = footer(state)
            time.sleep(FOOTER_S)

    def _status(self) -> dict:
        """The firmware's state; where it wishes to be started again, as by /reboot, it is."""
        while True:
            try:
                return self.board.status()
            except FirmwareError:
                if not self.board.again():
                    raise
                self.starts += 1

    def _lines(self) -> int:
        """0, or 1 if something got no answer."""
        code = 0
        for line in sys.stdin:
            text = line.strip()
            if text == "/raw":
                print(self._calls(), flush=True)
            elif text and not self._asked(text):
                print(f"no answer within {ANSWER_S} s to: {text}", file=sys.stderr)
                code = 1
        return code

    def _asked(self, text: str) -> bool:
        """Says a text and prints what the bot says to it; False if it says nothing."""
        before = self._status()["answered"], self.starts
        shown = len(self._messages())
        self.say(text)
        try:
            self.cloud.wait_for(lambda: self._answered(shown, *before), ANSWER_S)
        except TimeoutError:
            return False
        for message in self._messages()[shown:]:
            print(message.text, flush=True)
        return True

    def _answered(self, shown: int, answered: int, starts: int) -> bool:
        time.sleep(REFRESH_S)
        state = self._status()
        if self.starts == starts:
            return state["answered"] > answered
        return not state["inbox"] and len(self._messages()) > shown  # counted from the start

    def _messages(self) -> list:
        return self.cloud.telegram.messages(self.chat)


def footer(state: dict) -> str:
    """One line about the firmware, from its status."""
    parts = [
        f"heap {state['heap_used'] >> 10} of {state['heap_used'] + state['heap_free'] >> 10} KB",
        f"inbox {state['inbox']}",
        f"pressure {state['pressure']}",
        f"sessions {state['sessions']}",
        f"RSS {state['rss_kb']} kB",
    ]
    if state["error"]:
        parts.append(state["error"])
    return "  ·  ".join(parts)


def _call(call) -> str:
    return f"{call.method} {json.dumps(call.params, ensure_ascii=False)} → {call.status}"
