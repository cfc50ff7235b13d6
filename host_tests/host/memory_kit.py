"""A house whose firmware can be put under memory pressure from its console.

The firmware is the relay as it is, started by a script that adds commands to the console:

    take N     allocates until N bytes are free, or none in one piece; ``give`` lets go of all
    starve K   as soon as the next message is there the collector is stopped, the heap filled with
               tuples of one block each, and K of these are freed; the turn behind it empties it
    poll K     the same, but at once, so that it holds for the poll too
    file NAME  a file of the flash, in hexadecimal
    load N     writes a file of N KB to the flash, as firmware would lie there
    files      the names of all files there
    cold       the same connections are closed before, and addresses forgotten
    turns N    it is emptied only behind N turns
    poor N     the next N polls find no memory, nor do last words of an answer before them
    mute N     the next N last words of an answer find no memory
    short N    the next N questions find no memory
    fast       no flood limits of our own
    hasty      an answer that cannot be sent is left for later after 2 s
    look       looks at the gauges now, as is done every 30 s
    later N    the clock goes N minutes on
    battery N  the board has a battery of N mV, which is looked at now
    outside N  memory outside this heap is strained to N percent
    state      a line of JSON: what memory, conversations, connections and LED are like
"""

from __future__ import annotations

import json

from relay_kit import Board, House, started_by

from tools.firmware import FirmwareError

HEAD = """
import gc
import json
import os

import thimble

_booted = thimble.boot(thimble.port())
from thimble.relay import Relay


def free(relay):
    relay.reply.limits.wait_ms = lambda peer, now, spare: 0


"""
HANDLED = """
class Handled(Relay):
    def __init__(self, *args):
        self.held = None
        self.filler = None
        self.starve = -1
        self.cold = False
        self.turns_left = self.left = 0
        self.shift = 0
        self.ran_out = self.poor = 0
        super().__init__(*args)
        self.read_line = self.board.read_line
        self.board.read_line = self.line
        self.muted = 0
        self.real_finish = self.reply.finish
        self.reply.finish = self.finish
        self.short = 0
        self.real_run = self.exchange.run
        self.exchange.run = self.ask_model
        self.real_poll = self.poller.poll
        self.poller.poll = self.poll

    def line(self):
        line = self.read_line()
        try:
            return self.do(line) if line else line
        except MemoryError:
            print("{}")

    def do(self, line):
        word, _, number = line.partition(b" ")
        if word == b"take":
            self.held = None
            gc.collect()
            while gc.mem_free() > int(number):
                self.held = (None, self.held)  # one block: no hole is too small for it
            print(json.dumps({"heap": self.memory.heap()}))
        elif word == b"give":
            self.held = None
            print("{}")
        elif word in (b"starve", b"poll"):
            self.starve = int(number)
            if word == b"poll":
                self.fill()
            print("{}")
        elif word == b"poor":
            self.poor = int(number)
            print("{}")
        elif word == b"mute":
            self.muted = int(number)
            print("{}")
        elif word == b"short":
            self.short = int(number)
            print("{}")
        elif word == b"turns":
            self.turns_left = int(number)
            print("{}")
        elif word == b"load":
            piece = bytearray(1024)
            with open("/flash/firmware", "wb") as file:
                for _ in range(int(number)):
                    file.write(piece)
            print("{}")
        elif word == b"files":
            names = []
            for entry in os.ilistdir("/flash"):
                names += [entry[0]] if entry[1] == 0x8000 else []
            for folder in ("turns/", "journal.tail/"):
                names += [folder + entry[0] for entry in os.ilistdir("/flash/" + folder)]
            print(json.dumps({"files": names}))
        elif word == b"file":
            piece = bytearray(64)
            print('{"file": "', end="")
            with open("/flash/" + number.decode(), "rb") as file:
                n = file.readinto(piece)
                while n:
                    print("".join("%02x" % piece[i] for i in range(n)), end="")
                    n = file.readinto(piece)
            print('"}')
        elif word == b"cold":
            self.cold = True
            print("{}")
        elif word == b"fast":
            free(self)
            print("{}")
        elif word == b"hasty":
            self.reply.deliver_ms = 2000
            print("{}")
        elif word == b"battery":
            self.board.battery_low = lambda: int(number) < 3400
            self._looked -= 60_000
            print("{}")
        elif word == b"outside":
            self.memory._outside = lambda: int(number)
            print("{}")
        elif word == b"look":
            if self.memory.chats.busy is None:
                self.look(True)
            print("{}")
        elif word == b"later":
            self.shift += int(number)
            self.tell_time()
            print("{}")
        elif word == b"state":
            self.state()
        else:
            return line
        return None

    def state(self):
        memory = self.memory
        chats = {}
        for chat in memory.chats.all:
            if chat.key_len:
                chat.rewind()
                roles = [chat.next_turn() for _ in range(chat.turns)]
                chats[bytes(chat.key[: chat.key_len]).decode()] = roles
        print(
            json.dumps(
                {
                    "segments": memory.segments.count,
                    "free": memory.segments.free,
                    "level": memory.pressure.level,
                    "fill": memory.fill(),
                    "heap": memory.heap(),
                    "handshakes": self.model_link.handshakes,
                    "model_open": self.model_link.is_open,
                    "cached": len(self.resolver._cache),
                    "busy": memory.chats.busy is not None,
                    "led": self.board.led._pattern,
                    "chats": chats,
                    "calls": self.exchange.calls,
                    "inbox": self.inbox.count,
                    "answered": self.answered,
                    "files": self.sessions.files,
                    "ran_out": self.ran_out,
                    "left": self.left,
                    "compactions": memory.compactions,
                }
            )
        )

    def tell_time(self):
        super().tell_time()
        self.minute += self.shift
        self.sessions.now = self.updates.minute = self.minute

    def _turn(self):
        if self.filler is not None and self.turns_left <= 0:
            self.empty()
        self.turns_left -= 1
        super()._turn()

    def empty(self):
        self.filler = None
        gc.collect()
        gc.enable()

    def poll(self, timeout_s):
        if self.poor:
            self.poor -= 1
            raise MemoryError
        self.real_poll(timeout_s)
        if self.starve >= 0 and (self.inbox.count or self.asides.count):
            self.fill()

    def finish(self, note):
        if self.muted or self.poor:
            self.muted -= self.muted > 0
            raise MemoryError
        self.real_finish(note)

    def ask_model(self):
        if self.short:
            self.short -= 1
            raise MemoryError
        return self.real_run()

    def fill(self):
        if self.cold:
            self.cold = False
            self.telegram_link.close()
            self.model.close()
            self.resolver.clear()
        count = self.starve
        self.starve = -1
        gc.collect()
        gc.disable()
        try:
            while True:
                self.filler = (None, self.filler)
        except MemoryError:
            pass
        while count and self.filler:
            self.filler = self.filler[1]
            count -= 1
        gc.collect()
        self.left = gc.mem_free()

    def starved(self):
        self.ran_out += 1
        return super().starved()


"""
# Where many chats are allowed there is room for no more than what they need.
FEW = """
class Handled(Relay):
    def __init__(self, *args):
        super().__init__(*args)
        self.read_line = self.board.read_line
        self.board.read_line = self.line

    def line(self):
        line = self.read_line()
        if not line or line == b"status":
            return line
        if line == b"fast":
            free(self)
        else:
            with open("/flash/firmware", "wb") as file:
                for _ in range(int(line.split()[1])):
                    file.write(bytes(1024))
        print("{}")


"""
MAIN = """
def main():
    board = _booted[1]
    try:
        gc.threshold(-1)
        relay = Handled(*_booted)
        relay.run()
    except KeyboardInterrupt:
        pass
    finally:
        board.close()


main()
"""


class Pressed(House):
    """A House with the commands above, or with ``few``: with ``fast`` and ``load`` alone."""

    def __init__(self, folder, few=False, **options):
        super().__init__(folder, **options)
        self._source = HEAD + (FEW if few else HANDLED) + MAIN

    def __enter__(self) -> Pressed:
        self._options.setdefault("heap", "200k")  # the script lives there too
        return self.start()

    def start(self) -> Pressed:
        """Starts the firmware (again)."""
        path = self.folder / "thimble.json"
        path.write_text(json.dumps(self.config))
        board = Board(path, self.folder / "root", **self._options)
        self.board = started_by(board, self.folder / "pressed.py", self._source)
        self.board.__enter__()
        return self

    def restart(self) -> None:
        """Stops the firmware, cleanly, and starts it again."""
        self.board.stop()
        self.start()

    def do(self, command, timeout=20) -> dict:
        """What the console answers to one of the commands above, once it has memory to do so."""
        said = self.board.ask(command, timeout)
        while not said.startswith("{"):
            said = self.board.ask(command, timeout)
        return json.loads(said)

    def file(self, name) -> str:
        """A file of the flash, a character for each byte."""
        return bytes.fromhex(self.do(f"file {name}")["file"]).decode("latin-1")

    def state(self) -> dict:
        """Asked for twice where no answer comes: without any memory the line itself is lost."""
        try:
            return self.do("state", 5)
        except FirmwareError:
            return self.do("state")
