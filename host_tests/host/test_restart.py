"""`make run CONFIG=…` starts again what the dog has ended, and only that."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tools.cloud.cloud import Cloud
from tools.runtime import PROJECT


@pytest.fixture
def running(tmp_path):
    """The foreground command against a cloud of its own; it is stopped when the test ends."""
    with Cloud(folder=tmp_path) as cloud:
        config = tmp_path / "thimble.json"
        config.write_text(json.dumps(cloud.config()))
        argv = [sys.executable, "-m", "tools.run", "--config", str(config)]
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            [*argv, "--root", str(tmp_path / "root")],
            cwd=PROJECT,
            text=True,
            stdin=pipe,
            stdout=pipe,
            stderr=subprocess.DEVNULL,
        )
        yield process
        process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def reset_cause(process) -> str:
    process.stdin.write("status\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())["reset_cause"]


def child(process) -> int:
    return int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0])


def test_what_the_dog_has_ended_is_started_again_and_knows_it(running):
    assert reset_cause(running) == "power-on"
    first = child(running)
    for _ in range(2):
        os.kill(child(running), signal.SIGALRM)
        assert reset_cause(running) == "watchdog"
    assert child(running) != first
    running.send_signal(signal.SIGTERM)
    assert running.wait(10) == 0


def test_what_was_killed_otherwise_is_left_to_whoever_did_it(running):
    assert reset_cause(running) == "power-on"
    os.kill(child(running), signal.SIGKILL)
    assert running.wait(10) == 256 - signal.SIGKILL  # the code of the child, in eight bits
