"""What became of the messages of a storm: the counts, and their table."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

_ROWS = (
    ("messages", "messages"),
    ("answered", "answered in full"),
    ("cut", "answered in part, and marked so"),
    ("starved", "given up because memory ran out, and marked so"),
    ("refused", "answered with a sentence"),
    ("apologies", "closed with an apology"),
    ("lost", "lost"),
    ("disorder", "out of order within a chat"),
    ("kills", "kills"),
    ("faults", "faults"),
    ("doubled", "messages of the bot that stand twice"),
    ("unexplained", "of these without a kill or a fault in its send"),
)


@dataclass
class Tally:
    """What became of the messages. ``doubled``: messages of the bot that stand twice; those that
    no kill and no fault explains are ``unexplained``. ``late_ms``: the longest time from the
    answer to such a send to its kill."""

    messages: int = 0
    answered: int = 0
    cut: int = 0
    starved: int = 0
    refused: int = 0
    apologies: int = 0
    lost: int = 0
    disorder: int = 0
    kills: int = 0
    doubled: int = 0
    unexplained: int = 0
    late_ms: int = 0
    faults: int = 0
    seconds: float = 0.0
    slowest_s: float = 0.0
    phases: Counter = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        """Whether something is not as it must be."""
        return bool(self.lost or self.disorder or self.unexplained or self.notes)

    def add(self, other: Tally) -> None:
        """Adds what another relay has done beside this one."""
        for name, value in vars(other).items():
            if name in ("late_ms", "seconds", "slowest_s"):
                setattr(self, name, max(getattr(self, name), value))
            else:
                setattr(self, name, getattr(self, name) + value)

    def to_json(self) -> dict:
        return {**vars(self), "phases": dict(self.phases.most_common())}

    def table(self, name: str) -> str:
        """The counts, to be read."""
        lines = [f"{name}: {self.seconds:.0f} s, the slowest answer {self.slowest_s:.0f} s"]
        lines += [f"{getattr(self, key):7}  {words}" for key, words in _ROWS]
        lines += [f"         killed at {key}: {n}" for key, n in self.phases.most_common()]
        if self.doubled:
            lines.append(
                f"         from such a send's answer to the kill: {self.late_ms} ms at most"
            )
        return "\n".join(lines + [f"FAILED: {note}" for note in self.notes])
