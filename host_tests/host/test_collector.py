"""The collector of tests inside MicroPython: failures, hangs, selection."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools.runtime import PROJECT

TESTS = """
TEST_S = 2


def test_passes():
    print("seen")


def test_fails():
    wanted = 1
    assert wanted == 2, "as it should"


def test_hangs():
    while True:
        pass


def test_ends_the_runtime():
    import sys

    sys.exit(3)


def test_after_all_that():
    pass
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project whose only tests are those above, collected by this one's conftest."""
    folder = tmp_path_factory.mktemp("project") / "host_tests"
    device = Path(__file__).parent.parent / "device"
    shutil.copytree(device / "lib", folder / "device" / "lib")
    shutil.copy(device.parent / "conftest.py", folder)
    (folder / "device" / "test_it.py").write_text(TESTS)
    return folder


def run(folder, *options):
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", str(folder), *options],
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout


def test_each_function_is_an_item_and_one_that_dies_does_not_take_the_next_along(project):
    code, said = run(project, "-rA")
    assert code == 1
    assert "3 failed, 2 passed" in said
    assert "PASSED" in said and "::test_after_all_that" in said


def test_a_failure_shows_the_traceback_and_the_heap_at_that_point(project):
    _, said = run(project, "-k", "fails")
    assert "AssertionError: as it should" in said
    assert "test_it.py" in said and "in test_fails" in said
    assert "bytes used" in said and "max free sz" in said


def test_a_hung_test_is_ended_after_its_bound(project):
    _, said = run(project, "-k", "hangs")
    assert "no end within 2 s" in said


def test_a_selection_runs_only_what_it_names_and_x_stops_at_the_first_failure(project):
    assert "1 passed, 4 deselected" in run(project, "-k", "passes")[1]
    assert "1 failed, 1 passed" in run(project, "-x")[1]
