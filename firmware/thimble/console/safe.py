"""Safe mode: neither relay nor dog, but the console. An overlay; see thimble.safe for when."""

import json
import sys
import time

from micropython import const

from thimble import VERSION, overlay
from thimble.board import led
from thimble.core.errors import ConfigError

_SLICE_MS = const(50)
_ASKED = const(1)  # as board.base
_HELP = const("""safe mode: the relay crashed again and again, or somebody asked for this
status  one line of JSON
log     what was kept of the crashes
setup   asks for what is configured (setup wifi: for the network alone)
relay   starts the relay again, which is tried every 10 minutes anyway""")


def stay(board, retry_ms):
    """Stays in safe mode for so long. It ends with a restart, or with Ctrl-C."""
    from thimble import config

    try:
        settings = config.load(board.config_path)
    except ConfigError:
        settings = config.settings({})
    try:
        board.configure(settings.board)
    except ValueError:
        pass  # no such pin: no light
    overlay.unload("config")
    print(_HELP)
    board.led.show(led.SAFE)
    end = time.ticks_add(time.ticks_ms(), retry_ms)
    while time.ticks_diff(end, time.ticks_ms()) > 0:
        board.led.serve(time.ticks_ms())
        line = board.read_line()
        if line:
            _carry_out(board, line)
        time.sleep_ms(_SLICE_MS)
    board.restart(_ASKED)


def _carry_out(board, line):
    try:
        line = line.decode()
    except UnicodeError:
        line = ""  # an unknown command like any other
    name, _, rest = line.partition(" ")
    if line in ("relay", "start", "reboot", "safe"):
        print("restarting")
        board.restart(_ASKED)
    elif line == "status":
        state = {"version": VERSION, "board": board.name, "reset_cause": board.reset_cause}
        state["error"] = "safe mode"
        print(json.dumps(state))
    elif line == "log":
        overlay.call("store.crash", "show", board, sys.stdout)
    elif name == "setup":
        overlay.call("console.setup", "run", rest.strip(), board)
    else:
        print(_HELP)
