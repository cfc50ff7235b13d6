"""The status, beside a relay each of whose counters has a number of its own."""

import gc
import json
import time

from thimble import VERSION
from thimble.core.pressure import CRITICAL
from thimble.status import gather, line, words

TEST_S = 20


class Part:
    def __init__(self, **values):
        for name in values:
            setattr(self, name, values[name])


def relay():
    memory = Part(
        heap_low=1001,
        largest_block=lambda: 1002,
        pressure=Part(level=CRITICAL),
        chats=Part(active=3),
        compactions=4,
    )
    return Part(
        memory=memory,
        inbox=Part(count=5),
        asides=Part(count=60),
        log=Part(seconds=lambda: 7199, error=""),
        model=Part(spent_in=700, tokens_in=8, spent_out=900, tokens_out=10),
        telegram_link=Part(handshakes=11, connects=21),
        model_link=Part(handshakes=400, connects=0),
        answered=12,
        updates=Part(
            received=13,
            refused=14,
            dropped=15,
            duplicates=16,
            polled_at=time.ticks_add(time.ticks_ms(), -17_500),
        ),
        board=Part(
            name="esp32_s3",
            reset_cause="watchdog",
            rssi=lambda: -71,
            battery_mv=lambda: 3700,
            rss_kb=lambda: None,
        ),
    )


def test_each_counter_is_told_by_its_name():
    state = json.loads(line(relay()))
    for name in ("heap_free", "heap_used"):
        assert state.pop(name) > 0
    assert state.pop("last_poll_s") in (17, 18)
    assert state == {
        "version": VERSION,
        "board": "esp32_s3",
        "uptime_s": 7199,
        "reset_cause": "watchdog",
        "heap_low": 1001,
        "largest_block": 1002,
        "pressure": "critical",
        "inbox": 65,
        "journal": 5,
        "sessions": 3,
        "received": 13,
        "answered": 12,
        "tokens_in": 708,
        "tokens_out": 910,
        "refused": 14,
        "dropped": 15,
        "duplicates": 16,
        "compactions": 4,
        "handshakes": 411,
        "reconnects": 20,  # a link that was never made was not made again
        "rssi": -71,
        "battery_mv": 3700,
        "rss_kb": None,
        "error": "",
    }


def test_garbage_counts_as_free():
    gc.collect()
    gc.disable()
    try:
        before = gc.mem_free()
        for _ in range(20):
            bytearray(1000)
        assert gc.mem_free() < before - 15_000
        state = gather(relay())
        assert state["heap_free"] > before - 5000
        assert state["heap_free"] + state["heap_used"] == gc.mem_free() + gc.mem_alloc()
    finally:
        gc.enable()


def test_a_chat_is_told_it_in_lines():
    it = relay()
    lines = words(it).split(b"\n")
    memory = lines.pop(1)
    assert lines == [
        b"up: 119 min",
        b"answered: 12 of 13",
        b"tokens: 708 in, 910 out",
        b"waiting: 5",
        b"last error: none",
    ]
    free = gather(it)["heap_free"] >> 10
    before, after = memory.split(b" KB free, ")
    assert after == b"pressure critical" and abs(int(before[8:]) - free) < 4, memory
    it.log.error = "no network yet"
    assert words(it).endswith(b"\nlast error: no network yet")
