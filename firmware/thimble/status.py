"""The relay's state: one line of JSON for programs, a few lines for people."""

import gc
import json
import time

from thimble import VERSION
from thimble.core.pressure import LEVELS


def gather(relay):
    """A dict whose keys do not change meaning; it collects, so that the heap figures are live."""
    gc.collect()
    free, used = gc.mem_free(), gc.mem_alloc()
    updates, board, model = relay.updates, relay.board, relay.model
    links = relay.telegram_link, relay.model_link
    return {
        "version": VERSION,
        "board": board.name,
        "uptime_s": relay.log.seconds(),
        "reset_cause": board.reset_cause,
        "heap_free": free,
        "heap_used": used,
        "heap_low": relay.memory.heap_low,
        "largest_block": relay.memory.largest_block(),
        "pressure": LEVELS[relay.memory.pressure.level],
        "inbox": relay.inbox.count + relay.asides.count,
        "journal": relay.inbox.count,
        "sessions": relay.memory.chats.active,
        "received": updates.received,
        "answered": relay.answered,
        "tokens_in": model.spent_in + model.tokens_in,
        "tokens_out": model.spent_out + model.tokens_out,
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
        ("tokens", "%d in, %d out" % (state["tokens_in"], state["tokens_out"])),
        ("waiting", state["journal"]),  # beside the command itself
        ("last error", state["error"] or "none"),
    )
    return "\n".join("%s: %s" % row for row in rows).encode()
