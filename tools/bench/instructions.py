"""``make figures ARGS="instructions"``: instructions per relayed message, beside the naive bot's.

Counted by callgrind in the 64-bit runtime, over plain HTTP, as the difference of a longer and a
shorter burst. The same traffic for both: one completion of 400 bytes, one message sent; the relay,
which always streams, gets it as a stream of a single delta. The workload's 1,000 bytes in 60
deltas, sent and edited, are counted beside it.
"""

from __future__ import annotations

from tools.bench import grind
from tools.bench.harness import ANSWER, Setting, burst, naive, relay, simulated

TARGET = 2
ONCE = {"length": 400, "deltas": 1}  # what a single message can show at once
FIRST = 40  # messages of the shorter burst
SETTING = Setting(heap="352k", arch="amd64", secure=False)
TITLES = (  # and the bound, naive bot = 1
    ("naive", "naive bot, 1 completion", 0),
    ("single", "Thimble, a stream of 1 delta", TARGET),
    ("streamed", f"Thimble, {ANSWER['deltas']} deltas", 0),
)
_SECONDS = 240
_QUIET = "1000000000"  # no lines between the messages


def _relay(count: int, answer: dict) -> tuple[int, dict]:
    """Instructions of a run of ``count`` messages, and how often it called what."""
    env = {"PROBE_FREE": "1", "PROBE_EVERY": _QUIET, "PROBE_COUNT": str(count)}
    with simulated(False, **answer) as (cloud, folder):
        burst(cloud, count)
        out = grind.output(folder)
        with relay(cloud, folder, SETTING, before=grind.command(out), **env) as run:
            run.reach("rest", _SECONDS)
        return grind.instructions(out), _calls(cloud)


def _naive(count: int) -> tuple[int, dict]:
    with simulated(False, **ONCE) as (cloud, folder):
        burst(cloud, count)
        out = grind.output(folder)
        with naive(cloud, count, SETTING, grind.command(out), PROBE_EVERY=_QUIET) as run:
            run.reach("rest", _SECONDS)
        return grind.instructions(out), _calls(cloud)


def _calls(cloud) -> dict:
    names = ("getUpdates", "sendMessage", "editMessageText")
    return {**{name: cloud.telegram.count(name) for name in names}, "chat": cloud.models.count()}


def per_message(run, messages: int) -> dict:
    """``run(count)`` is (instructions, calls): both for one message."""
    few, calls_few = run(FIRST)
    many, calls_many = run(FIRST + messages)
    calls = {name: (calls_many[name] - calls_few[name]) / messages for name in calls_few}
    return {"instructions": (many - few) / messages, "calls": calls}


def measure(messages: int = 100, streamed: bool = True) -> dict:
    """``ratio``: the relay's instructions to the naive bot's on the same traffic."""
    peer = per_message(_naive, messages)
    single = per_message(lambda count: _relay(count, ONCE), messages)
    result = {
        "naive": peer,
        "single": single,
        "ratio": single["instructions"] / peer["instructions"],
    }
    if streamed:
        result["streamed"] = per_message(lambda count: _relay(count, ANSWER), messages)
    return result


def rows(result: dict) -> list[tuple[str, float, float]]:
    """(name, instructions, how many at the most; 0: no bound) of what was measured."""
    least = result["naive"]["instructions"]
    return [
        (title, result[name]["instructions"], bound * least)
        for name, title, bound in TITLES
        if name in result
    ]


def table(result: dict) -> str:
    lines = []
    for name, title, _ in TITLES:
        row = result.get(name)
        if not row:
            continue
        calls = ", ".join(f"{call} {count:.2f}" for call, count in row["calls"].items() if count)
        ratio = row["instructions"] / result["naive"]["instructions"]
        lines.append(
            f"{title:30}{row['instructions'] / 1e6:6.2f} M instructions a message"
            f"{ratio:6.2f}   ({calls})"
        )
    lines.append(f"{'':30}to reach, with 1 delta: {TARGET}")
    return "\n".join(lines)
