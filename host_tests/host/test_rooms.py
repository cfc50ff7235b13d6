"""Imports of the firmware run one way: core knows nobody, and nobody but its face the relay; and
what is copied instead of imported agrees with its original."""

import ast
import re

import pytest

from tools import build

# What a room may know beside itself. Overlays and the log are everybody's, and know nobody.
EVERYBODYS = {"overlay", "log"}
MAY_KNOW = {
    "core": set(),
    "net": {"core"} | EVERYBODYS,
    "store": {"core"} | EVERYBODYS,
    "telegram": {"core", "net"} | EVERYBODYS,
    "model": {"core", "net"} | EVERYBODYS,
    "keepers": {"core"} | EVERYBODYS,
    "board": {"core", "profile"} | EVERYBODYS,
    "overlay": set(),
    "log": {"core"},
    "profile": set(),
}


def known(path):
    """The modules of ours that a file imports or calls as overlays, without "thimble."."""
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [one.name for one in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [f"{node.module}.{one.name}" for one in node.names]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "overlay.call":
            names.append("thimble." + ast.literal_eval(node.args[0]))
    return {name.removeprefix("thimble.") for name in names if name.startswith("thimble.")}


def files(room):
    place = build.FIRMWARE / "thimble" / room
    return sorted(place.rglob("*.py")) if place.is_dir() else [place.with_suffix(".py")]


@pytest.mark.parametrize("room", MAY_KNOW)
def test_a_room_knows_only_those_below_it(room):
    for path in files(room):
        rooms = {name.split(".")[0] for name in known(path)}
        assert rooms <= MAY_KNOW[room] | {room}, path


def test_nobody_but_the_face_knows_the_relay():
    knows = [
        path for path in files("") if any(name.split(".")[0] == "relay" for name in known(path))
    ]
    assert knows == [build.FIRMWARE / "thimble" / "__init__.py"]


# A name that other modules see takes flash, and a look-up for each use. So many copy a constant,
# and say whose it is.
COPY = re.compile(r"^_\w+ = const\((\S+)\)  # as ([a-z_.]+)\.(_?[A-Z_]+)$", re.MULTILINE)
NAMED = re.compile(r"const\(.*# as [a-z_.]+\._?[A-Z]")


@pytest.mark.parametrize("path", files(""), ids=str)
def test_a_copied_constant_is_what_it_is_elsewhere(path):
    text = path.read_text()
    copies = COPY.findall(text)
    assert len(copies) == len(NAMED.findall(text)), "one that is not written as the others"
    for value, module, name in copies:
        other = build.FIRMWARE / "thimble" / (module.replace(".", "/") + ".py")
        original = rf"^{name} = const\({re.escape(value)}\)"
        assert re.search(original, other.read_text(), re.MULTILINE), (module, name)
