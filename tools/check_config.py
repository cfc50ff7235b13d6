"""Checks the configuration on standard input with the firmware's own code. Runs in MicroPython.

Prints what is wrong with it, or nothing.
"""

import sys

from thimble import config
from thimble.core.errors import ThimbleError

try:
    config.complete(config.settings(config.parse(sys.stdin.buffer.read())))
except (ThimbleError, ValueError) as _error:
    print(_error)
