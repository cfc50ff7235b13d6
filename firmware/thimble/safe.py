"""Whether the last boots were good, and the safe mode that follows crash upon crash: an overlay.

/boots, two bytes on flash: resets by a crash or by the dog in a row, and how many starts ended
without a word besides. The file is written after such a reset only, and removed by the relay once
it has worked for 30 s. Being without a network is no crash, nor is a loss of power.

In safe mode there is neither relay nor dog, but the console. It ends by a command, or by itself.
"""

import json
import sys
import time

from thimble import VERSION, overlay
from thimble.core.errors import ConfigError

_SAFE = const(0x0F)  # as board.led.SAFE
_SLICE_MS = const(50)
_BAD_MOST = const(4)
_ASKED = const(1)  # as board.base._ASKED
_SAFE_MODE = const(3)  # as board.base._SAFE_MODE
_CRASHED = const(5)  # the loop crashed too often
_TOLD = const(6)  # crashed, and the owner knows why
_HELP = const("""safe mode: the relay crashed again and again, or somebody asked for this
status  one line of JSON
log     what was kept of the crashes
setup   asks for what is configured (setup wifi: for the network alone)
relay   starts the relay again, which is tried every 10 minutes anyway""")


def check(board, retry_ms=600_000):
    """(resets by a crash in a row, what the owner is to know of it); safe mode never returns."""
    mark, cause = board.mark, board.reset_cause
    crashed = mark == _CRASHED or mark == _TOLD
    bad = crashed or cause in ("watchdog", "reset")
    counts = _counts(board, bad, cause == "crash")
    row = counts[0] + counts[1]
    reason = ""
    if crashed or (cause == "restart" and counts[0] >= _BAD_MOST):  # out of safe mode
        reason = overlay.call("store.crash", "last", board)
    elif cause == "watchdog":
        reason = "something hung, and the watchdog ended it"
    elif cause == "crash":
        reason = "it ended without a word"
    if crashed:
        board.reset_cause = "crash"
    if mark == _SAFE_MODE or (bad and counts[0] >= _BAD_MOST):
        _stay(board, retry_ms)
    if mark == _TOLD and row == 1:
        reason = ""
    return row, reason


def _counts(board, bad, other):
    """How many resets of each kind there were since the last good boot, with this one."""
    path = board.flash + "/boots"
    counts = bytearray(2)
    try:
        with open(path, "rb") as file:
            file.readinto(counts)
    except OSError:
        pass  # the last boot was good
    counts[0] = min(counts[0] + bad, 127)
    counts[1] = min(counts[1] + other, 127)
    try:
        if bad or other:
            with open(path, "wb") as file:
                file.write(counts)
    except OSError:
        pass  # safe mode is not for a flash that cannot be written
    return counts


def _stay(board, retry_ms):
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
    board.led.show(_SAFE)
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
