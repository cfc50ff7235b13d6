"""The chat of ``make run``: what is typed is a message from the allowed user, answers appear as
the bot edits them, and a footer shows the firmware's heap, inbox and pressure.

Where there is no terminal, or one that cannot move its cursor, each line is asked and its answer
printed.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import threading
import time

from prompt_toolkit.application import Application
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.layout import HSplit, Layout, Window
from prompt_toolkit.layout.controls import BufferControl, FormattedTextControl
from prompt_toolkit.layout.dimension import Dimension
from prompt_toolkit.layout.processors import BeforeInput
from prompt_toolkit.utils import get_cwidth, is_dumb_terminal

from tools import cli
from tools.firmware import Firmware, FirmwareError

FOOTER_S = 1.0
REFRESH_S = 0.1
ANSWER_S = 120
FOOTER_LINES = 4  # at most, where the terminal is narrow or an error long
HELP = (
    "type a message; PageUp and PageDown scroll; /raw shows the firmware's calls, "
    "/help its commands; Ctrl-D ends"
)


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

    def run(self, ends: tuple[int, ...] = ()) -> int:
        """Until Ctrl-D: 0; or one of the signals ``ends``: 128 and its number. Raises
        FirmwareError if the firmware ended by itself."""
        if not (sys.stdin.isatty() and sys.stdout.isatty()) or is_dumb_terminal():
            return self._lines()
        threading.Thread(target=self._watch, daemon=True).start()
        application = self._application()
        handlers = {number: signal.getsignal(number) for number in ends}

        def leave(number: int) -> None:
            if application.is_running and not application.is_done:
                application.exit(result=128 + number)

        def listen() -> None:
            # What a handler raises is lost where it interrupts a finalizer, say. The loop's own
            # handlers raise nothing; it takes them with it.
            for number, handler in handlers.items():
                if handler is not signal.SIG_IGN:
                    asyncio.get_running_loop().add_signal_handler(number, leave, number)

        try:
            code = application.run(pre_run=listen)
        finally:
            self.ended = True
            for number, handler in handlers.items():
                signal.signal(number, handler)
        if self.board.process.poll() is not None:
            raise FirmwareError(self.board.why())  # the footer has gone with the chat
        return code or 0

    def say(self, text: str) -> None:
        """One line from the person."""
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
        above = Window(BufferControl(history, focusable=False))
        keys = KeyBindings()
        shown = ()

        @keys.add("enter")
        def _(event):
            text = line.text.strip()
            line.reset()
            history.cursor_position = len(history.text)
            if text == "/raw":
                self.raw = not self.raw
            elif text:
                self.say(text)

        @keys.add("c-d")
        @keys.add("c-c")
        @keys.add("<sigint>")
        def _(event):
            event.app.exit()

        @keys.add("c-z")
        def _(event):
            event.app.suspend_to_background()

        def scroll(key: str, down: bool, page: bool) -> None:
            @keys.add(key)
            def _(event):
                seen, row = above.render_info, history.document.cursor_position_row
                rows = max(1, seen.window_height - 1) if page else 1
                # From the edge of what is seen, or from where the keys before this one have gone.
                if down:
                    row = max(row, seen.last_visible_line()) + rows
                else:
                    row = max(0, min(row, seen.first_visible_line()) - rows)
                history.cursor_position = history.document.translate_row_col_to_index(row, 0)

        scroll("pageup", down=False, page=True)
        scroll("pagedown", down=True, page=True)
        scroll("up", down=False, page=False)  # also what a wheel is to most terminals
        scroll("down", down=True, page=False)

        def render(application):
            nonlocal shown
            text, width = self.transcript(), application.output.get_size().columns
            if (text, width) != shown:
                shown = text, width
                follows = history.document.on_last_line
                rows = "\n".join(wrapped(text, width))
                at = len(rows) if follows else min(history.cursor_position, len(rows))
                history.set_document(Document(rows, at), bypass_readonly=True)

        footer_ = Window(
            FormattedTextControl(lambda: self.footer),
            height=Dimension(min=1, max=FOOTER_LINES),
            wrap_lines=True,
            dont_extend_height=True,
            style="reverse",
        )
        layout = HSplit(
            [
                above,
                Window(height=1, char="─"),
                Window(BufferControl(line, input_processors=[BeforeInput("› ")]), height=1),
                footer_,
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
                print(cli.plain(self._calls()), flush=True)
            elif text:
                said = self.ask(text)
                for message in said:
                    print(cli.plain(message), flush=True)
                if not said:
                    print(f"no answer within {ANSWER_S} s to: {text}", file=sys.stderr)
                    code = 1
        return code

    def ask(self, text: str) -> list[str]:
        """Says a text; what the bot has said when it is answered, nothing if it is not."""
        before = self._status()["answered"], self.starts
        shown = len(self._messages())
        self.say(text)
        try:
            self.cloud.wait_for(lambda: self._answered(shown, *before), ANSWER_S)
        except TimeoutError:
            return []
        return [message.text for message in self._messages()[shown:]]

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
    ]
    if state["rss_kb"]:
        parts.append(f"RSS {state['rss_kb']} kB")
    if state["error"]:
        parts.append(state["error"])
    return " · ".join(parts)


def wrapped(text: str, width: int) -> list[str]:
    """The rows of ``text`` on a terminal of ``width`` columns."""
    rows = []
    for line in cli.plain(text).expandtabs().split("\n"):
        start = used = 0
        for at, letter in enumerate(line):
            columns = get_cwidth(letter)
            if used + columns > width and at > start:
                rows.append(line[start:at])
                start, used = at, 0
            used += columns
        rows.append(line[start:])
    return rows


def _call(call) -> str:
    return f"{call.method} {json.dumps(call.params, ensure_ascii=False)} → {call.status}"
