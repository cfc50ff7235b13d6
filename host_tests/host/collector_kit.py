"""A project whose only tests inside MicroPython are these, collected as this project's are."""

import os
import shutil
import subprocess
import sys

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


def test_after_all_that():
    pass
"""


def project(folder, tests=TESTS):
    """Makes it in a folder; returns what to collect."""
    ours, folder = PROJECT / "host_tests", folder / "host_tests"
    shutil.copytree(ours / "device" / "lib", folder / "device" / "lib")
    shutil.copy(ours / "conftest.py", folder)
    (folder / "device" / "test_it.py").write_text(tests)
    return folder


def run(folder, *options, bound=60, **env):
    """pytest's exit code and what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", str(folder), *options],
        env={**os.environ, "PYTHONPATH": str(PROJECT), **env},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=bound,
    )
    return done.returncode, done.stdout
