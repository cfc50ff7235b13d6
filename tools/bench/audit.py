"""``make audit``: the bytes of heap that a relayed message allocates, by stage, file and function.

    python -m tools.bench.audit [--messages 200] [--link tls|http]

A wrapper is written around every function of the firmware, and the relay runs with them (see
ledger.py) in the 32-bit runtime, with its flash on littlefs, over the workload of the benchmarks.
The firmware itself is not changed. Whether the wrappers cost anything is measured: the same burst
runs without them as well. ``budget.json`` holds the ceiling of each stage.
"""

from __future__ import annotations

import ast
import json
from dataclasses import dataclass

from tools import build, cli, runtime
from tools.bench import pictures
from tools.bench.harness import (
    ANSWER,
    HERE,
    OUT,
    Setting,
    burst,
    code_in,
    illustrate,
    relay,
    simulated,
    write,
)

LEDGER = HERE / "ledger.py"
BUDGET = HERE / "budget.json"
TARGET = 256
WARM = 40  # every chat has spoken once

STAGES = (
    "relay",
    "poll",
    "scan",
    "allow-list",
    "journal",
    "ring",
    "conversation",
    "request",
    "stream",
    "send",
)
# The first that a function's "module:Class.name" begins with says its stage; a function without
# one works for whoever calls it.
_PLACES = (
    ("telegram.updates:Updates._allowed", "allow-list"),
    ("telegram.updates:", "poll"),
    ("telegram.reply:", "send"),
    ("telegram.limits:", "send"),
    ("core.scan:", "scan"),
    ("core.sse:", "scan"),
    ("core.ring:", "ring"),
    ("core.chats:", "conversation"),
    ("core.conversation:", "conversation"),
    ("core.segments:", "conversation"),
    ("store.", "journal"),
    ("model.request:Model.ask", "request"),
    ("model.request:Model.poll", "stream"),
    ("relay:Relay.run", "relay"),
)


@dataclass(frozen=True)
class Function:
    """One function of the firmware; ``owner`` is its class or "", ``argc`` what it takes."""

    module: str
    owner: str
    name: str
    arguments: str
    passed: str

    @property
    def stage(self) -> int:
        place = f"{self.module.partition('.')[2]}:{self.owner + '.' if self.owner else ''}"
        place += self.name
        for beginning, stage in _PLACES:
            if place.startswith(beginning):
                return STAGES.index(stage)
        return -1


def functions() -> list[Function]:
    """All functions that can be wrapped: no properties, no constructors, no generators."""
    found = []
    for path in sorted((build.FIRMWARE / "thimble").rglob("*.py")):
        module = ".".join(path.relative_to(build.FIRMWARE).with_suffix("").parts)
        if path.name == "__init__.py":
            continue
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef):
                found += _function(module, "", node)
            elif isinstance(node, ast.ClassDef):
                for inner in node.body:
                    if isinstance(inner, ast.FunctionDef):
                        found += _function(module, node.name, inner)
    return found


def _function(module: str, owner: str, node: ast.FunctionDef) -> list[Function]:
    marks = {ast.unparse(mark).rpartition(".")[2] for mark in node.decorator_list}
    lazy = any(isinstance(inner, ast.Yield | ast.YieldFrom) for inner in ast.walk(node))
    if node.name.startswith("__") or marks - {"native", "viper"} or lazy:
        return []
    arguments = node.args
    plain = not (arguments.vararg or arguments.kwarg or arguments.kwonlyargs)
    values = [value for value in arguments.defaults if not isinstance(value, ast.Constant)]
    if not plain or values:
        return []
    for argument in arguments.args:
        argument.annotation = None
    passed = ", ".join(argument.arg for argument in arguments.args)
    return [Function(module, owner, node.name, ast.unparse(arguments), passed)]


def ledger() -> str:
    """The text of ledger.py with its table and a wrapper for every function."""
    every = functions()
    lines = [LEDGER.read_text(), f"STAGES = {STAGES!r}"]
    modules = sorted({one.module for one in every})
    lines.append(f"MODULES = {tuple(modules)!r}")
    lines.append("TABLE = (")
    # Number 0 is what runs outside of all wrappers.
    for number, one in enumerate(every, 1):
        row = (number, one.stage, one.module, one.owner, one.name)
        lines.append(f"    {row!r},")
    lines.append(")")
    lines.append(f"_COUNT = {len(every) + 1}")
    lines.append("_stages = array('h', [0] * _COUNT)")
    lines.append("_originals = [None] * _COUNT")
    lines.append("_bytes = array('i', [0] * (_COUNT * len(STAGES)))")
    lines.append("_calls = array('i', [0] * (_COUNT * len(STAGES)))")
    for number, one in enumerate(every, 1):
        lines += [
            "@micropython.native",
            f"def _w{number}({one.arguments}):",
            f"    depth_ = _enter({number})",
            "    try:",
            f"        return _originals[{number}]({one.passed})",
            "    finally:",
            "        _leave(depth_)",
        ]
    return "\n".join(lines) + "\ninstall()\n"


def measure(count: int, secure: bool = True) -> dict:
    """The books over ``count`` messages behind the first WARM, and a run without wrappers."""
    bare = _burst(count, Setting(secure=secure))
    first, last = bare.row(WARM), bare.row(count + WARM)
    march = runtime.find().march
    source = OUT / "code" / "ledger.py"
    source.parent.mkdir(parents=True, exist_ok=True)
    source.write_text(ledger())
    build.compile_file(source, source.parent / march / "ledger.mpy", march, source.name)
    # The wrappers need room; the conversations must not get it, or the prompts would be longer.
    env = {"PROBE_SEGMENTS": str(first["segments"]), "PROBE_LEDGER": "1"}
    run = _burst(count, Setting(heap="600k", secure=secure), PROBE_WARM=str(WARM), **env)
    books = next(row for row in run.rows if "ledger" in row)
    return account(books, (last["total"] - first["total"]) / count)


def _burst(count: int, setting: Setting, **env: str):
    with simulated(True, delay=0.0005, **ANSWER) as (cloud, folder):
        burst(cloud, count + WARM)
        env = {"PROBE_COUNT": str(count + WARM), **env}
        # No lines between the messages: they would be allocations.
        every = env["PROBE_COUNT"] if "PROBE_LEDGER" in env else str(WARM)
        with relay(cloud, folder, setting, PROBE_EVERY=every, **env) as run:
            run.reach("rest", count * 0.3 + 90)
    return run


def account(books: dict, bare: float) -> dict:
    """Bytes a message by stage and by function, the largest first."""
    messages = books["messages"]
    rows = [
        {
            "stage": stage,
            "file": module.replace(".", "/") + ".py",
            "function": f"{owner}.{name}" if owner else name,
            "calls": calls / messages,
            "bytes": size / messages,
        }
        for stage, module, owner, name, calls, size in books["ledger"]
    ]
    rows.sort(key=lambda row: -row["bytes"])
    stages = {
        stage: sum(row["bytes"] for row in rows if row["stage"] == stage) for stage in STAGES
    }
    return {
        "messages": messages,
        "where": code_in(),
        "per_message": sum(stages.values()),
        "without_wrappers": bare,
        "stages": stages,
        "rows": rows,
    }


def budget() -> dict[str, float]:
    """The ceilings of the stages, bytes a message."""
    return json.loads(BUDGET.read_text())


def table(result: dict) -> str:
    ceilings = budget()
    lines = [f"heap allocated per message, bytes      ceiling   ({result['where']})"]
    for stage, size in result["stages"].items():
        lines.append(f"{stage:28}{size:8.1f}{ceilings[stage]:11}")
        for row in result["rows"]:
            if row["stage"] == stage and row["bytes"] >= 0.05:
                where = f"{row['file']} {row['function']}"
                lines.append(f"    {row['bytes']:7.1f}  {row['calls']:7.1f} calls  {where}")
    lines.append(
        f"{'in all':28}{result['per_message']:8.1f}{ceilings['in all']:11}   (to reach {TARGET}; "
        f"{result['without_wrappers']:.1f} measured without the wrappers)"
    )
    return "\n".join(lines)


def main() -> None:
    parser = cli.parser("make audit", __doc__)
    parser.add_argument("--messages", type=cli.least(1), default=200, help="that are counted")
    parser.add_argument("--link", default="tls", choices=("tls", "http"))
    parser.add_argument("--images", action="store_true", help="put the picture into docs/ too")
    options = parser.parse_args()
    result = measure(options.messages, options.link == "tls")
    path = write("audit", result)
    print(table(result))
    illustrate(lambda picture: pictures.audit(result, picture), path, options.images)


if __name__ == "__main__":
    cli.run(main)
