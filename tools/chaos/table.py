"""Runs the faults against relays and measures how each is got over.

A row of the table: the fault, the side it struck, the error that ``status`` named, the seconds
until it did, the seconds from the end of the fault to the next whole answer, and how many bytes of
live heap there were more after it than before.
"""

from __future__ import annotations

import concurrent.futures
import re
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from tools import firmware

from .faults import FAULTS, Fault
from .rig import Rig, Side

# The longest backoff at that point, an answer, and a busy machine.
_RECOVERY_S = 12.0
# An error's own text lives in the heap, and so do an address and a status.
HEAP_SLACK = 512


@dataclass
class Row:
    """What became of one fault. ``failed``: why it is not as it should be, or ""."""

    fault: str
    side: str
    error: str = ""
    noticed_s: float = 0.0
    recovery_s: float = 0.0
    heap_change: int = 0
    failed: str = ""

    def to_json(self) -> dict:
        return asdict(self)


def jobs() -> list[tuple[Fault, str]]:
    """All faults on all their sides: (fault, side)."""
    return [(fault, side) for fault in FAULTS for side in fault.sides]


def run(pairs, relays: int, hurry: int) -> list[Row]:
    """The rows of ``pairs``, measured with so many relays at a time, in the order of ``pairs``."""
    # Slow ones first and dealt out in turn, so that all relays end at about the same time.
    order = sorted(range(len(pairs)), key=lambda at: -pairs[at][0].slow.get(pairs[at][1], 0))
    hands = [order[first::relays] for first in range(relays)]
    rows: dict[int, Row] = {}

    def play(hand):
        # Those that begin with a fresh relay last: the others need one that runs.
        hand.sort(key=lambda at: (pairs[at][0].fresh, at))
        with tempfile.TemporaryDirectory(prefix="thimble-") as name, Rig(Path(name), hurry) as rig:
            rig.warm()
            for at in hand:
                rows[at] = measure(rig, *pairs[at], hurry)

    with concurrent.futures.ThreadPoolExecutor(relays) as pool:
        list(pool.map(play, [hand for hand in hands if hand]))
    return [rows[at] for at in range(len(pairs))]


def measure(rig: Rig, fault: Fault, name: str, hurry: int) -> Row:
    """One fault, struck and got over; what goes wrong stands in the row."""
    row = Row(fault.name, name)
    try:
        _measure(rig, fault, rig.sides[name], hurry, row)
        if not re.search(fault.expected(name), row.error):
            row.failed = f"status named another error: {row.error}"
    except (AssertionError, firmware.FirmwareError) as error:
        row.failed = str(error)
        rig.heal()
        rig.start()
        rig.warm()
    return row


def _measure(rig: Rig, fault: Fault, side: Side, hurry: int, row: Row) -> None:
    says = fault.expected(side.name)
    rig.ask()
    rig.quiet()
    before = rig.heap()
    if says:
        rig.wipe(says)
    struck = side.gate.struck
    rig.quiet()

    if fault.fresh:
        rig.relay.stop()
        asked = rig.names.asked.get(side.host, 0)
    start = time.monotonic()
    log = len(rig.relay.log)
    armed = fault.strike(side)
    if fault.fresh:
        rig.start()
        log = 0
    chat, text = rig.say()
    patience = 20 + fault.slow.get(side.name, 0) * (4 if hurry == 1 else 1)

    def noticed():
        if fault.fresh:
            return rig.names.asked.get(side.host, 0) > asked
        if hasattr(armed, "applied"):
            return armed.applied >= 1
        return side.gate.struck > struck or not fault.lasts

    rig.until(noticed, patience, f"sign of {fault.name}")
    if says:
        named = f"error like {says!r}"
        rig.until(
            lambda: any(re.search(says, line) for line in rig.relay.log[log:]), patience, named
        )
        row.noticed_s = round(time.monotonic() - start, 1)
        row.error = rig.error()
    if fault.lasts:
        rig.heal()
        start = time.monotonic()
    bound = _RECOVERY_S + (0 if fault.lasts else fault.slow.get(side.name, 0))
    rig.ask(timeout=bound + 30)
    row.recovery_s = round(time.monotonic() - start, 1)
    rig.heal()
    assert row.recovery_s <= bound, f"answered again only after {row.recovery_s} s"
    texts = rig.cloud.telegram.texts(chat)
    assert texts and texts[-1], f"{text!r} had no answer"
    if fault.fresh:
        rig.warm()
    rig.ask()
    rig.quiet()
    row.heap_change = rig.heap() - before
    assert row.heap_change <= HEAP_SLACK, f"{row.heap_change} bytes of heap more than before"


_SIDES = "telegram", "sending", "model"
_STATUS_MOST = 64  # characters of what `status` names


def document(rows: list[Row]) -> str:
    """The rows in Markdown: a sentence on all of them, and a table with a line for each fault."""
    failed = sum(bool(row.failed) for row in rows)
    most = max(row.heap_change for row in rows)
    lines = [
        f"Measured with the relay's own limits ({len(rows)} rows, {failed} not as they should be; "
        f"the live heap after each is at most {most} bytes more than before):",
        "",
        "| fault | polls: named / answers again | sends | model | `status` names |",
        "|---|---|---|---|---|",
    ]
    for fault in dict.fromkeys(row.fault for row in rows):
        ours = {row.side: row for row in rows if row.fault == fault}
        cells = [_cell(ours.get(side)) for side in _SIDES]
        error = next((ours[side].error for side in _SIDES if side in ours), "")
        error = re.sub("^(network failure|the server answered) ", "", error)
        error = re.sub(r"port \d+", "port …", error)
        if len(error) > _STATUS_MOST:
            error = error[: _STATUS_MOST - 1] + "…"
        lines.append("| " + " | ".join([fault, *cells, error.replace("|", "\\|")]) + " |")
    return "\n".join(lines) + "\n"


def _cell(row: Row | None) -> str:
    if row is None:
        return ""
    named = f"{row.noticed_s} s" if row.error else "–"
    return f"{named} / {row.recovery_s} s"
