"""thimble.status(): how the machine stands while the relay does not run. An overlay."""

import gc
import sys
import time

from thimble import VERSION, config, overlay
from thimble.console import settings


def run():
    """Prints how this machine stands while the relay does not run."""
    gc.collect()
    free = gc.mem_free()
    rows = [
        ("thimble", VERSION + ", the relay does not run"),
        ("machine", sys.implementation[2]),
        ("memory", "%d of %d KB free" % (free >> 10, (free + gc.mem_alloc()) >> 10)),
        ("network", _network()),
        ("clock", "%04d-%02d-%02d %02d:%02d UTC" % time.gmtime()[:5]),
    ]
    try:
        path = settings.place()
        rows.append(("settings", path))
        telegram, model = settings.get("telegram"), settings.get("model")
        people, none = str(telegram["allow"])[1:-1] or "nobody", "not set"
        rows.append(("telegram", "token %s, answers %s" % (telegram["token"] or none, people)))
        name, key = model["name"] or none, model["key"] or none
        rows.append(("model", "%s (%s), key %s" % (name, model["api"], key)))
        config.complete(config.load(path))
    except config.ConfigError as error:
        rows.append(("missing", error))
    for row in rows:
        print("%-9s %s" % row)
    overlay.unload("console.settings", "config")


def _network():
    try:
        import network

        wlan = network.WLAN(network.WLAN.IF_STA)
        if not wlan.isconnected():
            return "not joined"
        return "joined, %s, %d dBm" % (wlan.ifconfig()[0], wlan.status("rssi"))
    except (ImportError, AttributeError):
        return "the system's"
    except OSError as error:
        return "the radio does not obey (%s)" % error
