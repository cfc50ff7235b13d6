"""The relay's state: one line of JSON for programs, a few lines for people."""

import gc
import json
import sys
import time

from thimble import VERSION
from thimble.core.pressure import LEVELS


def gather(relay):
    """A dict whose keys do not change meaning; it collects, so that the heap figures are live."""
    gc.collect()
    free, used = gc.mem_free(), gc.mem_alloc()
    updates, board = relay.updates, relay.board
    links = relay.telegram_link, relay.model_link
    return {
        "version": VERSION,
        "board": board.name,
        "uptime_s": time.ticks_diff(time.ticks_ms(), relay.started) // 1000,
        "reset_cause": board.reset_cause,
        "heap_free": free,
        "heap_used": used,
        "heap_low": relay.memory.heap_low,
        "largest_block": largest_block(free),
        "pressure": LEVELS[relay.memory.pressure.level],
        "inbox": relay.inbox.count,
        "journal": relay.inbox.count,
        "sessions": relay.memory.chats.active,
        "received": updates.received,
        "answered": relay.answered,
        "refused": updates.refused,
        "dropped": updates.dropped,
        "duplicates": updates.duplicates,
        "compactions": relay.memory.compactions,
        "handshakes": sum(link.handshakes for link in links),
        "reconnects": sum(max(link.connects - 1, 0) for link in links),
        "last_poll_s": time.ticks_diff(time.ticks_ms(), updates.polled_at) // 1000,
        "rssi": board.rssi(),
        "battery_mv": board.battery_mv(),
        "rss_kb": board.rss_kb(),
        "error": relay.log.error,
    }


def line(relay):
    """The status as one line of JSON."""
    return json.dumps(gather(relay))


def words(relay):
    """The status for a chat, as bytes of a few lines."""
    state = gather(relay)
    rows = (
        ("up", "%d min" % (state["uptime_s"] // 60)),
        ("memory", "%d KB free, pressure %s" % (state["heap_free"] >> 10, state["pressure"])),
        ("answered", "%d of %d" % (state["answered"], state["received"])),
        ("waiting", "%d" % state["inbox"]),
        ("last error", state["error"] or "none"),
    )
    return "\n".join("%s: %s" % row for row in rows).encode()


def show():
    """Prints how this machine stands while the relay does not run."""
    from thimble import config

    gc.collect()
    free = gc.mem_free()
    rows = [
        ("thimble", VERSION + ", the relay does not run"),
        ("machine", sys.implementation[2] if len(sys.implementation) > 2 else sys.platform),
        ("memory", "%d of %d KB free" % (free >> 10, (free + gc.mem_alloc()) >> 10)),
        ("network", _network()),
        ("clock", "%04d-%02d-%02d %02d:%02d UTC" % time.gmtime()[:5]),
    ]
    try:
        path = config.place()
        rows.append(("settings", path))
        telegram, model = config.get("telegram"), config.get("model")
        people = ", ".join([str(one) for one in telegram["allow"]])
        rows.append(("telegram", "token %s, answers %s" % (telegram["token"], people or "nobody")))
        rows.append(("model", "%s (%s), key %s" % (model["name"], model["api"], model["key"])))
        config.ready(path)
    except config.ConfigError as error:
        rows.append(("missing", error))
    for row in rows:
        print("%-9s %s" % row)


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


def largest_block(most):
    """Bytes of the largest block that the heap could give; nothing but trying tells."""
    low, high = 0, most
    while high - low > 64:
        middle = (low + high) // 2
        try:
            bytearray(middle)
            low = middle
        except MemoryError:
            high = middle
        gc.collect()
    return low
