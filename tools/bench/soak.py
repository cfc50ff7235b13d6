"""``make soak``: random messages from 50 chats, and what is left of the heap behind them.

    python -m tools.bench.soak [--messages 10000] [--link tls|http] [--seed 1]

Messages of 1 byte to 12 KB and answers of 1 to 8,000 characters, of even spread over the orders of
magnitude, in ASCII, umlauts, Cyrillic, kanji and emoji, both from one seed. Again and again
on the way the relay comes to rest, is asked for its `status`, and the largest free block is looked
up. The live heap behind message 500 and behind the last one must be the same, and the largest
block at the end at least 95 % of what it was.
"""

from __future__ import annotations

import argparse
import random
import shutil
import time

from tools.bench import pictures
from tools.bench.harness import IMAGES, Setting, relay, simulated, write

CHATS = [2000 + number for number in range(50)]
REFERENCE = 500
HEAP = "192k"  # what a Pico W has; the gauges live in it too
LEAST_BLOCK = 0.95
LONGEST_BYTES = 12288
LONGEST_UNITS = 4096  # of a message that Telegram delivers
LONGEST_ANSWER = 8000
AHEAD = 20  # messages that wait at Telegram
REST_S = 120
COUNTERS = ("compactions", "sessions", "dropped", "duplicates", "reconnects", "pressure")
WORDS = (
    "A sentence of plain words, and then another one. ",
    "Grüße aus Köln: größere Übungen für müde Füße. ",
    "Съешь ещё этих мягких французских булок, да выпей чаю. ",
    "吾輩は猫である。名前はまだ無い。どこで生れたか頓と見当がつかぬ。",
    "😀🎉🚀🌍👍🏽❤️🐈",
)


def text(chance: random.Random, longest: int) -> str:
    """A text of at most ``longest`` bytes and Telegram's limit, that is not blank."""
    size = int(longest ** chance.random())
    words = chance.choice(WORDS)
    whole = (words * (size // len(words.encode()) + 1)).encode()[:size]
    units = whole.decode(errors="ignore").encode("utf-16-le")[: 2 * LONGEST_UNITS]
    return units.decode("utf-16-le", errors="ignore").strip() or "a"


def script(chance: random.Random) -> dict:
    """How the model answers one message."""
    length = int(LONGEST_ANSWER ** chance.random())
    return {"length": length, "unit": chance.choice(WORDS), "deltas": chance.randint(1, 40)}


def measure(count: int, seed: int = 1, secure: bool = True, heap: str = HEAP) -> dict:
    """Up to 100 samples at rest, and one behind message REFERENCE (or a third of the way)."""
    steps = max(5, min(100, count // 50))
    chance = random.Random(seed)
    reference = min(REFERENCE, count // 3)
    stops = sorted({reference, count, *(count * n // steps for n in range(1, steps + 1))} - {0})
    samples = []
    started = time.monotonic()
    with simulated(False, CHATS, length=500) as (cloud, folder):
        cloud.models.directives = False
        env = {"PROBE_FREE": "1", "PROBE_EVERY": "1000000000"}
        setting = Setting(heap=heap, secure=secure)
        with relay(cloud, folder, setting, CHATS, console=True, **env) as run:
            run.reach("configured", 60)
            said = 0
            for stop in stops:
                while said < stop:
                    chat = chance.choice(CHATS)
                    cloud.models.script(**script(chance))
                    cloud.telegram.say(chat=chat, user=chat, text=text(chance, LONGEST_BYTES))
                    said += 1
                    if not said % AHEAD:
                        cloud.wait_for(lambda: cloud.telegram.pending() < AHEAD, 120)
                samples.append(rest(cloud, run, stop))
                cloud.clear_calls()
    reference = next(row for row in samples if row["answered"] == reference)
    last = samples[-1]
    return {
        "messages": count,
        "seed": seed,
        "seconds": time.monotonic() - started,
        "reference": reference["answered"],
        "live_at_reference": reference["heap_used"],
        "live_at_end": last["heap_used"],
        "block_at_reference": reference["largest_block"],
        "block_at_end": last["largest_block"],
        "samples": samples,
    }


def rest(cloud, run, answered: int) -> dict:
    """The relay's status once it has answered so many and waits for more."""
    deadline = time.monotonic() + REST_S
    while time.monotonic() < deadline:
        cloud.wait_for(lambda: cloud.telegram.polling() and not cloud.telegram.pending(), REST_S)
        status = run.status()
        if status["answered"] >= answered:
            return status
        time.sleep(0.2)
    raise SystemExit(f"{status['answered']} of {answered} answered: {''.join(run.said[-5:])}")


def verdict(result: dict) -> str:
    """What the soak shows, in a few lines."""
    grown = result["live_at_end"] - result["live_at_reference"]
    share = result["block_at_end"] / result["block_at_reference"]
    last = result["samples"][-1]
    counters = ", ".join(f"{name} {last[name]}" for name in COUNTERS)
    return (
        f"{result['messages']} messages in {result['seconds']:.0f} s, seed {result['seed']}\n"
        f"live heap behind message {result['reference']}, at the end   "
        f"{result['live_at_reference']}, {result['live_at_end']} B   "
        f"(difference {grown}; to reach 0)\n"
        f"largest block behind message {result['reference']}, at the end   "
        f"{result['block_at_reference']}, {result['block_at_end']} B   "
        f"({share:.0%}; to reach {LEAST_BLOCK:.0%})\n"
        f"lowest free {last['heap_low']} B; {counters}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="make soak")
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--link", default="tls", choices=("tls", "http"))
    parser.add_argument("--heap", default=HEAP)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--images", action="store_true", help="put the picture into docs/ too")
    options = parser.parse_args()
    result = measure(options.messages, options.seed, options.link == "tls", heap=options.heap)
    path = write("soak", result)
    print(verdict(result))
    picture = path.with_suffix(".png")
    pictures.soak(result, picture)
    if options.images:
        IMAGES.mkdir(exist_ok=True)
        shutil.copy(picture, IMAGES / picture.name)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
