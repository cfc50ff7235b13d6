"""The tables of README name every setting, with the default that it has in the firmware."""

import ast
import json
import re

from tools import build

KEY = r"`([a-z]+\.[a-z_]+)`"
WITHOUT_EFFECT = {"power.mode", "mqtt.host"}  # README says so in a sentence


def defaults() -> dict:
    """Of every setting, by its key."""
    tree = ast.parse((build.FIRMWARE / "thimble" / "config.py").read_text())
    node = next(
        node
        for node in tree.body
        if isinstance(node, ast.Assign) and node.targets[0].id == "DEFAULTS"
    )
    return {
        f"{section}.{name}": value
        for section, values in ast.literal_eval(node.value).items()
        for name, value in values.items()
    }


def described() -> dict:
    """What README's tables say of every setting's default, as text."""
    found = {}
    text = (build.PROJECT / "README.md").read_text()
    hosts = text.partition("### Certificates")[2].partition("\n## ")[0]  # a table of names alike
    for line in text.replace(hosts, "").splitlines():
        cells = re.split(r"\s*\|\s*", line)[1:-1]
        if not cells or not re.fullmatch(rf"{KEY}(, {KEY})*", cells[0]):
            continue
        keys = re.findall(KEY, cells[0])
        values = cells[1].replace("`", "")
        for key in keys:
            found[key] = ""
        if ": " in values and values.split(": ")[0] in keys:  # of one of them alone
            key, values = values.split(": ")
            keys = [key]
        if len(keys) == 1:
            found[keys[0]] = values
        elif values:
            found.update(zip(keys, values.split(", "), strict=True))
    return found


def test_every_setting_stands_in_readme():
    assert described().keys() == defaults().keys() - WITHOUT_EFFECT


def test_defaults_are_what_readme_says():
    said = described()
    for key, value in defaults().items():
        # Those of a board's pins are in its profile.
        if key not in WITHOUT_EFFECT and not key.startswith("board."):
            text = value if isinstance(value, str) else json.dumps(value)
            assert said[key] == text, key
