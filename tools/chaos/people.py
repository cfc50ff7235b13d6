"""What people do, drawn at random, and whether the relay keeps its promises (reference.py).

A run is a setting and a list of steps, both drawn from one seed. Steps follow each other at once,
up to a `settle`: then all is waited for, and what the chats see, what the model was asked and what
`status` says is compared with the reference. A run that fails is shortened by leaving out steps.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from tools import firmware

from .answers import Broken
from .draws import draw
from .town import Town

_SHOWN = 80  # characters of either end of a text; the seed has the whole


def run(how: dict, steps: list) -> str:
    """Does these steps; "" or what was not as promised."""
    with (
        tempfile.TemporaryDirectory(prefix="thimble-people-") as folder,
        Town(Path(folder), how) as town,
    ):
        for number, (verb, *arguments) in enumerate(steps):
            try:
                getattr(town, verb)(*arguments)
            except (Broken, firmware.FirmwareError) as error:
                return f"step {number}, {verb}: {error}"
    return ""


def shorten(how: dict, steps: list, seconds: float) -> tuple[list, str]:
    """The fewest of these steps that still fail, as far as that is found in time, and how."""
    deadline = time.monotonic() + seconds
    best, why, size = steps, "", len(steps) // 2
    while size:
        at = 0
        while at < len(best) and time.monotonic() < deadline:
            fewer = [*best[:at], *best[at + size :]]
            failed = run(how, fewer) if fewer else ""
            if failed:
                best, why = fewer, failed
            else:
                at += size
        size //= 2
    return best, why


def walk(seed: int, runs: int, steps: int, shorten_s: float = 0) -> int:
    """Runs of so many steps, with seeds that follow each other; how many failed. The steps of
    each that failed are made fewer for ``shorten_s`` seconds, and printed."""
    failures = 0
    for number in range(seed, seed + runs):
        how, drawn = draw(number, steps)
        started = time.monotonic()
        why = run(how, drawn)
        print(f"seed {number}: {time.monotonic() - started:.0f} s {why or 'ok'}", flush=True)
        if why and shorten_s:
            fewer, other = shorten(how, drawn, shorten_s)
            print(how, *map(_shown, fewer), other or why, sep="\n", flush=True)
        failures += bool(why)
    return failures


def _shown(step: tuple) -> tuple:
    """The step, its long texts without their middles."""
    return tuple(
        f"{one[:_SHOWN]}[...]{one[-_SHOWN:]}" if isinstance(one, str) and len(one) > 200 else one
        for one in step
    )
