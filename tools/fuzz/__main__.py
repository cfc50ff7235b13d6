"""``make fuzz``: runs all targets for some minutes, or those that are named.

python -m tools.fuzz [--minutes 1] [--seed N] [TARGET …]
python -m tools.fuzz --again build/fuzz/TARGET-SEED-NUMBER.bin
"""

from __future__ import annotations

import random
from pathlib import Path

from tools import cli

from . import run


def main() -> int:
    parser = cli.parser("make fuzz", __doc__)
    parser.add_argument("targets", nargs="*", default=list(run.NAMES), help=", ".join(run.NAMES))
    parser.add_argument("--minutes", type=cli.least(0.01, float), default=1, help="in all")
    chance = random.SystemRandom().randrange(1_000_000)
    parser.add_argument("--seed", type=int, default=chance, help="of the cases; else by chance")
    parser.add_argument("--again", type=Path, help="a case that was kept")
    options = parser.parse_args()
    if options.again:
        wrong = run.again(options.again)
        print(wrong or "as it should be")
        return 1 if wrong else 0
    for name in options.targets:
        if name not in run.NAMES:
            parser.error(f"no such target: {name} (there are {', '.join(run.NAMES)})")
    print(f"seed {options.seed}")
    failed = 0
    for name in options.targets:
        seconds = options.minutes * 60 / len(options.targets)
        ran, failures = run.fuzz(name, options.seed, seconds=seconds)
        print(f"{name:8} {ran:8} cases, {len(failures)} failed", flush=True)
        for failure in failures:
            print(failure)
        failed += len(failures)
    return 1 if failed else 0


if __name__ == "__main__":
    cli.run(main)
