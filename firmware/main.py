"""Starts Thimble on a board, after three seconds in which Ctrl-C gives the prompt.

A file /maintenance asks for a boot that starts neither the relay nor its watchdog, which no soft
reset would stop: whoever is about to copy files creates it and resets the board. It counts once.
"""

import os
import time

import thimble


def _maintenance():
    try:
        os.remove("/maintenance")
    except OSError:
        return False
    return True


if _maintenance():
    print("thimble %s: maintenance, nothing is started" % thimble.VERSION)
else:
    # A line each second: a USB port that comes back late misses the first.
    for _left in (3, 2, 1):
        print("thimble %s starts in %d s, Ctrl-C gives the prompt" % (thimble.VERSION, _left))
        time.sleep(1)
    thimble.run()
