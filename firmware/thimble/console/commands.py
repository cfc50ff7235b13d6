"""The chat's commands that act at once, and the console's, one a line."""

import sys

from thimble import status
from thimble.telegram import updates

# The body of setMyCommands: what Telegram's menu shows.
MENU = (
    b'"commands":['
    b'{"command":"new","description":"Begin a new conversation"},'
    b'{"command":"stop","description":"Stop the answer"},'
    b'{"command":"retry","description":"Ask the last question again"},'
    b'{"command":"more","description":"Go on with the answer"},'
    b'{"command":"model","description":"Show or set the model"},'
    b'{"command":"status","description":"How the relay is"},'
    b'{"command":"help","description":"What the commands do"}]'
)
HELLO = b"Hello! Write something, and a language model answers. /help shows the commands."
HELP = (
    b"Write a message, and the model answers. Besides:\n"
    b"/new begins a new conversation\n"
    b"/stop stops the answer that is being written\n"
    b"/retry asks the last question again\n"
    b"/more goes on with an answer that was cut\n"
    b"/model shows which model answers; the owner sets it with /model NAME\n"
    b"/status shows how the relay is"
)
NOTHING_TO_STOP = b"Nothing is being written here."
ONLY_TEXT = b"I can read only text."
TOO_LONG = b"That message is too long for me."
NEW = b"A new conversation begins."
NOTHING_TO_RETRY = b"There is nothing to ask again. Write a message first."
NOTHING_MORE = b"There is no answer to go on with. Write a message first."
NOT_OWNER = b"Only the owner can set the model."
GO_ON = b"Go on exactly where you stopped."


def answer(relay, buf, off, size):
    """The words (bytes) that answer an aside, a record of ``size`` bytes at ``off``."""
    code = buf[off + 3]
    if code == updates.START:
        return HELLO
    if code == updates.HELP:
        return HELP
    if code == updates.STATUS:
        return status.words(relay)
    return _model(relay, buf, off, size)


def _model(relay, buf, off, size):
    settings = relay.config.model
    start, end = updates.argument(buf, off, size)
    if start == end:
        return ("%s (%s)" % (settings.name, settings.api)).encode()
    if not buf[off] & updates.OWNER:
        return NOT_OWNER
    settings.name = bytes(buf[start:end]).decode().strip()
    relay.model.name = settings.name.encode()
    return ("From now on %s answers, until the next restart." % settings.name).encode()


class Console:
    """Takes one command a line, while the relay runs. ``board.read_line()`` brings them."""

    def __init__(self, relay):
        self._relay = relay

    def serve(self):
        """Carries out the line that has come, if any. What memory forbids is said, not raised."""
        line = self._relay.board.read_line()
        if line:
            try:
                self._carry_out(line)
            except MemoryError:
                print("not enough memory for that now; try again")

    def _carry_out(self, line):
        relay = self._relay
        if line == b"status":
            print(status.line(relay))
        elif line == b"log":
            relay.log.write(sys.stdout)
        elif line == b"help":
            print("status  one line of JSON\nlog     the last lines of the log\nhelp    this")
        else:
            print("unknown command; help lists them")
