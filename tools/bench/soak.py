"""``make soak``: random messages from 50 chats, and what is left of the heap behind them.

    python -m tools.bench.soak [--messages 10000] [--link tls|http] [--seed 1]

Messages of 1 byte to 12 KB and answers of 1 to 8,000 characters, of even spread over the orders of
magnitude, in ASCII, umlauts, Cyrillic, kanji and emoji, all from one seed. Who has spoken often
goes on; a pico_w has six places in RAM, so conversations are evicted and reloaded all the time. In
the pauses, which come now and then, those of more than MOST turns are compacted.

A hundred times on the way the relay comes to rest, and its own gauge tells the live heap and, from
the heap's map, the largest free block. The live heap behind message 500 and behind the last one
must be the same, and the largest block at the end at least 95 % of what it was, each the best of
as many samples as there are up to the reference.
"""

from __future__ import annotations

import random
import time

from tools import cli
from tools.bench import pictures
from tools.bench.harness import Setting, code_in, illustrate, relay, simulated, write

CHATS = [2000 + number for number in range(50)]
REFERENCE = 500
HEAP = "176k"  # a Pico W's; the gauges live in it too
LEAST_BLOCK = 0.95
LONGEST_BYTES = 12288
LONGEST_UNITS = 4096  # of a message that Telegram delivers
LONGEST_ANSWER = 8000
AHEAD = 20  # messages that wait at Telegram
STAYS = 0.75  # chance that the next message is of the same chat
PAUSE = 0.25  # and that everybody waits until all is answered, between bursts of up to AHEAD
MOST = 12  # memory.max_messages
SLOTS = 8  # more conversations than a pico_w has in RAM
REST_S = 120
SUMMARIZE = "Summarize our conversation"
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
    """Up to 100 samples at rest, and which of them is the reference: behind message REFERENCE, or
    behind a third of all."""
    every = max(20, count // 100)
    count -= count % every
    started = time.monotonic()
    with simulated(False, CHATS, length=500) as (cloud, folder):
        cloud.models.directives = False
        env = {"PROBE_FREE": "1", "PROBE_EVERY": str(every)}
        setting = Setting(heap=heap, secure=secure)
        memory = {"max_messages": MOST}
        with relay(cloud, folder, setting, CHATS, console=True, memory=memory, **env) as run:
            run.reach("configured", 60)
            crowd = Crowd(cloud, seed)
            samples = []
            for stop in range(every, count + 1, every):
                crowd.speak(every)
                samples.append(rest(cloud, run, stop))
                crowd.look_back()
    middle = max(1, min(REFERENCE, count // 3) // every)
    reference, last = samples[middle - 1], samples[-1]
    return {
        "messages": count,
        "seed": seed,
        "where": code_in(),
        "seconds": time.monotonic() - started,
        "reference": reference["answered"],
        "live_at_reference": reference["live"],
        "live_at_end": last["live"],
        "block_at_reference": block(samples[:middle]),
        "block_at_end": block(samples[-middle:]),
        "reloads": crowd.reloads,
        "summaries": crowd.summaries,
        "samples": samples,
    }


def block(samples: list[dict]) -> int:
    """The largest free block of a time, its best: each time a file of the store turns over, its
    640 bytes are given back and taken anew, now in front of that block, now in it."""
    return max(row["largest"] for row in samples)


class Crowd:
    """Those who speak. ``reloads``: prompts that held earlier turns of a chat that could not be
    in RAM any more; ``summaries``: of how many conversations the model was asked for one."""

    def __init__(self, cloud, seed: int):
        self.reloads = self.summaries = 0
        self._cloud = cloud
        self._chance = random.Random(seed)
        self._chat = CHATS[0]
        self._said: list[int] = []  # the chats of all messages since look_back()
        self._lately: list[int] = []  # chats, the last to speak at the end

    def speak(self, count: int) -> None:
        """So many messages, in bursts."""
        chance, cloud = self._chance, self._cloud
        while count:
            burst = min(count, chance.randint(1, AHEAD))
            count -= burst
            for _ in range(burst):
                if chance.random() >= STAYS:
                    self._chat = chance.choice(CHATS)
                self._said.append(self._chat)
                cloud.models.script(**script(chance))
                words = text(chance, LONGEST_BYTES)
                cloud.telegram.say(chat=self._chat, user=self._chat, text=words)
            pause = chance.random() < PAUSE
            most = 1 if pause else AHEAD
            cloud.wait_for(lambda most=most: cloud.telegram.pending() < most, REST_S)
            if pause:
                cloud.wait_for(cloud.telegram.polling, REST_S)

    def look_back(self) -> None:
        """Counts what the model was asked since the last time; all has been answered."""
        prompts = [call.params["messages"] for call in self._cloud.models.calls()]
        asked = [turns for turns in prompts if not turns[-1]["content"].startswith(SUMMARIZE)]
        self.summaries += len(prompts) - len(asked)
        for chat, turns in zip(self._said, asked, strict=True):
            self.reloads += chat not in self._lately[-SLOTS:] and len(turns) > 1
            self._lately = [*(other for other in self._lately if other != chat), chat]
        self._said.clear()
        self._cloud.clear_calls()


def rest(cloud, run, answered: int) -> dict:
    """The relay's status once it has answered so many and waits for more, and its gauge's row."""
    deadline = time.monotonic() + REST_S
    while time.monotonic() < deadline:
        cloud.wait_for(lambda: cloud.telegram.polling() and not cloud.telegram.pending(), REST_S)
        status = run.status()
        gauged = [
            row for row in run.rows if row.get("stage") == "" and row["answered"] >= answered
        ]
        if status["answered"] >= answered and gauged:
            return {**status, **gauged[0]}
        time.sleep(0.2)
    raise SystemExit(f"{status['answered']} of {answered} answered: {''.join(run.said[-5:])}")


def verdict(result: dict) -> str:
    """What the soak shows, in a few lines."""
    grown = result["live_at_end"] - result["live_at_reference"]
    share = result["block_at_end"] / result["block_at_reference"]
    last = result["samples"][-1]
    counters = ", ".join(f"{name} {last[name]}" for name in COUNTERS)
    return (
        f"{result['messages']} messages in {result['seconds']:.0f} s, seed {result['seed']}, "
        f"{result['where']}\n"
        f"live heap behind message {result['reference']}, at the end   "
        f"{result['live_at_reference']}, {result['live_at_end']} B   "
        f"(difference {grown}; to reach 0)\n"
        f"largest block behind message {result['reference']}, at the end   "
        f"{result['block_at_reference']}, {result['block_at_end']} B   "
        f"({share:.0%}; to reach {LEAST_BLOCK:.0%})\n"
        f"lowest free {last['heap_low']} B; {counters}, reloads {result['reloads']}, "
        f"summaries asked for {result['summaries']}"
    )


def main() -> None:
    parser = cli.parser("make soak", __doc__)
    parser.add_argument("--messages", type=cli.least(20), default=10_000, help="in all")
    parser.add_argument("--link", default="tls", choices=("tls", "http"))
    parser.add_argument("--heap", default=HEAP, help="the relay's")
    parser.add_argument("--seed", type=int, default=1, help="of what is said")
    parser.add_argument("--images", action="store_true", help="put the picture into docs/ too")
    options = parser.parse_args()
    result = measure(options.messages, options.seed, options.link == "tls", heap=options.heap)
    path = write("soak", result)
    print(verdict(result))
    illustrate(lambda picture: pictures.soak(result, picture), path, options.images)


if __name__ == "__main__":
    cli.run(main)
