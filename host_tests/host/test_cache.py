"""Folders that are made once for each state of what they are made of."""

import subprocess
import sys

import pytest

from tools import cache
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
