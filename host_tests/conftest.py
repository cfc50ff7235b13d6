"""Collects the tests that run inside MicroPython, and gives host tests a runtime to drive."""

from __future__ import annotations

import ast
import os
import select
import subprocess
import time
from pathlib import Path

import pytest

from tools import build, firmware, runtime
from tools.cloud.cloud import Cloud
from tools.witness import WITNESS

DEVICE = Path(__file__).parent / "device"
RUNNER = DEVICE / "lib" / "runner.py"
MARK = b"\x1e"
HEAP = "176k"
TEST_S = 60


LAST = "test_secrets.py"


def pytest_configure(config):
    """From here on all that a firmware writes is looked through for secrets."""
    firmware.Firmware.witness = staticmethod(WITNESS.heard)
    stop = Cloud.stop

    def looked_through(cloud):
        calls = cloud.telegram.calls() if cloud.plain else []
        WITNESS.shown(str(call.params.get("text", "")) for call in calls)
        stop(cloud)

    Cloud.stop = looked_through


def pytest_collection_modifyitems(items):
    """What looks back on the whole suite comes last."""
    items.sort(key=lambda item: item.path.name == LAST)


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector):
    if module_path.parent == DEVICE:
        return DeviceFile.from_parent(parent, path=module_path)
    return None


class DeviceFile(pytest.File):
    """One test file; its tests share one fresh 32-bit runtime with a bounded heap.

    ``HEAP = "64k"`` in the file sets the heap, ``TEST_S = 120`` a test's bound in seconds.
    """

    def collect(self):
        tree = ast.parse(self.path.read_text())
        self.process = None
        self.settings = {}
        for node in tree.body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                if node.targets[0].id in ("HEAP", "TEST_S"):
                    self.settings[node.targets[0].id] = ast.literal_eval(node.value)
            elif isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                item = DeviceItem.from_parent(self, name=node.name)
                item.line = node.lineno
                yield item

    def ask(self, test: str) -> tuple[str, str]:
        """Runs ``test`` in the file's runtime: (verdict, output); a dead runtime is replaced."""
        if self.process is None:
            self.process = _start(self.path, self.settings.get("HEAP", HEAP))
        bound = self.settings.get("TEST_S", TEST_S)
        self.process.stdin.write(test.encode() + b"\n")
        self.process.stdin.flush()
        output, deadline = b"", time.monotonic() + bound
        while not (MARK in output and output.endswith(b"\n")):
            left = max(0, deadline - time.monotonic())
            if not select.select([self.process.stdout], [], [], left)[0]:
                self.stop()
                return "fail", f"{output.decode(errors='replace')}\nno end within {bound} s"
            piece = os.read(self.process.stdout.fileno(), 65536)
            if not piece:
                code = self.process.wait()
                self.process = None
                return "fail", f"{output.decode(errors='replace')}\nthe runtime ended ({code})"
            output += piece
        WITNESS.heard({}, output)
        text, _, verdict = output.rpartition(MARK)
        return verdict.decode().strip(), text.decode(errors="replace")

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def teardown(self) -> None:
        self.stop()


class DeviceItem(pytest.Item):
    """One test function inside MicroPython."""

    line = 0

    def runtest(self) -> None:
        verdict, output = self.parent.ask(self.name)
        if verdict != "ok":
            raise DeviceFailure(output)
        if output:
            self.add_report_section("call", "stdout", output)

    def repr_failure(self, excinfo, style=None):
        if isinstance(excinfo.value, DeviceFailure):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self):
        return self.path, self.line - 1, self.name


class DeviceFailure(Exception):
    """A test failed inside MicroPython; the text is its output, traceback and heap."""


def _environment(env: dict[str, str] | None = None) -> dict[str, str]:
    return {**os.environ, "THIMBLE_SOURCES": str(build.FIRMWARE), **(env or {})}


def _start(test_file: Path, heap: str) -> subprocess.Popen:
    argv, env = build.command(runtime.find(), str(RUNNER), str(test_file), heap=heap)
    pipe = subprocess.PIPE
    return subprocess.Popen(
        argv, env=_environment(env), stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT
    )


class Device:
    """Runs MicroPython sources with the firmware importable, in the 32-bit runtime."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.count = 0
        self.started: list[subprocess.Popen] = []

    def _command(self, source: str, env, heap: str, mode: str) -> tuple[list[str], dict]:
        self.count += 1
        script = self.folder / f"script{self.count}.py"
        lib = f"import sys; sys.path.append({str(DEVICE / 'lib')!r})\n"
        script.write_text(lib + source)
        argv, extra = build.command(runtime.find(), str(script), heap=heap, mode=mode)
        return argv, _environment({**extra, **(env or {})})

    def run(
        self, source: str, env: dict | None = None, heap: str = HEAP, timeout=20, mode="rom"
    ) -> subprocess.CompletedProcess:
        """Runs ``source`` to its end, or raises subprocess.TimeoutExpired."""
        argv, env = self._command(source, env, heap, mode)
        done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=timeout)
        WITNESS.heard(env, (done.stdout + done.stderr).encode())
        return done

    def start(
        self, source: str, env: dict | None = None, heap: str = HEAP, mode="rom"
    ) -> subprocess.Popen:
        """Starts ``source`` with piped standard streams; it is killed when the test ends."""
        argv, env = self._command(source, env, heap, mode)
        pipe = subprocess.PIPE
        process = subprocess.Popen(argv, env=env, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        self.started.append(process)
        return process

    def stop(self) -> None:
        for process in self.started:
            process.kill()
            process.communicate()


@pytest.fixture
def device(tmp_path):
    """A Device whose processes end with the test."""
    device = Device(tmp_path)
    yield device
    device.stop()
