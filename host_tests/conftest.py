"""Collects the tests that run inside MicroPython, and gives host tests a runtime to drive."""

from __future__ import annotations

import ast
import os
import re
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from mpremote.transport import TransportError

from tools import build, cli, firmware, qemu, runtime
from tools.cloud.cloud import Cloud
from tools.witness import WITNESS

DEVICE = Path(__file__).parent / "device"
RUNNER = DEVICE / "lib" / "runner.py"
MARK = b"\x1e"
HEAP = "176k"
TEST_S = 60


def pytest_configure(config):
    """From here on all that a firmware writes is looked through for secrets."""
    firmware.Firmware.witness = staticmethod(WITNESS.heard)
    stop = Cloud.stop

    def looked_through(cloud):
        calls = cloud.telegram.calls() if cloud.plain else []
        WITNESS.shown(str(call.params.get("text", "")) for call in calls)
        stop(cloud)

    Cloud.stop = looked_through


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown():
    """No output of the whole suite holds a secret: a test fails behind which one was heard."""
    outcome = yield
    leaks, WITNESS.leaks = WITNESS.leaks, []
    assert not leaks, "\n".join(leaks[:10])
    return outcome


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector):
    if module_path.parent == DEVICE:
        return DeviceFile.from_parent(parent, path=module_path)
    return None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup():
    return (yield from _unless_missing())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call():
    return (yield from _unless_missing())


def _unless_missing():
    """What needs a program that is not installed is skipped, and says so; in CI it fails."""
    try:
        return (yield)
    except cli.ToolMissing as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


class DeviceFile(pytest.File):
    """One test file; its tests share one fresh 32-bit runtime with a bounded heap.

    ``HEAP = "64k"`` in the file sets the heap, ``TEST_S = 120`` a test's bound in seconds. A file
    that tests ``thimble.core`` alone, or that says ``QEMU = True``, runs in the 64-bit runtime and
    on the emulated board as well; ``QEMU = "why not"`` keeps it away from there.
    """

    def collect(self):
        tree = ast.parse(self.path.read_text())
        settings = {"HEAP": HEAP, "TEST_S": TEST_S, "QEMU": _core_alone(tree)}
        for node in tree.body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in settings:
                settings[ast.unparse(node.targets[0])] = ast.literal_eval(node.value)
        self.bound = settings["TEST_S"]
        self.runtimes = {"": Unix(self.path, settings["HEAP"])}
        if settings["QEMU"] is True:
            self.runtimes["[64bit]"] = Unix(self.path, settings["HEAP"], "amd64")
            self.runtimes["[qemu]"] = Emulated(self.path, settings["HEAP"])
        for suffix, runtime_ in self.runtimes.items():
            for node in tree.body:
                if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                    item = DeviceItem.from_parent(self, name=node.name + suffix)
                    item.test, item.line, item.runtime = node.name, node.lineno, runtime_
                    yield item

    def teardown(self) -> None:
        for runtime_ in self.runtimes.values():
            runtime_.stop()


def _core_alone(tree: ast.Module) -> bool:
    names = [node.module for node in tree.body if isinstance(node, ast.ImportFrom)]
    ours = [name for name in names if name and name.split(".")[0] == "thimble"]
    return bool(ours) and all(name.startswith("thimble.core") for name in ours)


class Unix:
    """A test file in a Unix runtime, the 32-bit one if nothing is said. ``heap`` is what it has
    there; where words are twice as large, it is as well."""

    def __init__(self, path: Path, heap: str, arch: str = "i386"):
        self.path = path
        self.arch = arch
        self.heap = heap if arch == "i386" else str(2 * _bytes(heap))
        self.process = None

    def ask(self, test: str, bound: float) -> tuple[str, str]:
        """Runs ``test``: (verdict, output); a dead runtime is replaced at the next test."""
        if self.process is None:
            self.process = _start(self.path, self.heap, self.arch)
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


class Emulated:
    """A test file on the emulated Cortex-M3, with the firmware frozen, through mpremote."""

    def __init__(self, path: Path, heap: str):
        self.path = path
        self.extra = max(0, _bytes(heap) - _bytes(HEAP))
        self.board = self.link = None

    def ask(self, test: str, bound: float) -> tuple[str, str]:
        """Runs ``test``: (verdict, output); a board that hangs is replaced at the next test."""
        try:
            if self.link is None:
                self._start()
            output, error = self.link.exec_raw(f"runner.run(names, {test!r})", timeout=bound)
        except TransportError as error:
            self.stop()
            return "fail", f"{error}\nno end within {bound} s"
        text, _, verdict = (output + error).rpartition(MARK)
        return verdict.decode().strip(), text.decode(errors="replace")

    def _start(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            rom = Path(folder)
            shutil.copytree(DEVICE / "lib", rom, dirs_exist_ok=True)
            shutil.copy(self.path, rom)
            for name in set(re.findall(r'plain\("(\S+?)"\)', self.path.read_text())):
                (rom / "sources" / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(build.FIRMWARE / name, rom / "sources" / name)
            self.board = qemu.Board(rom=build.romfs(rom)).__enter__()
        self.link = self.board.connect()
        self.link.exec(f"import emulator; emulator.add_heap({self.extra})" if self.extra else "")
        self.link.exec(
            f"import sys; sys.path.append('/rom'); import runner\n"
            f"names = runner.load('/rom/{self.path.name}')"
        )

    def stop(self) -> None:
        if self.link is not None:
            self.link.close()
        if self.board is not None:
            self.board.stop()
        self.board = self.link = None


def _bytes(heap: str) -> int:
    return int(heap[:-1]) * {"k": 1024, "m": 1024 * 1024}[heap[-1]]


class DeviceItem(pytest.Item):
    """One test function inside MicroPython."""

    test = ""
    line = 0
    runtime = None

    def runtest(self) -> None:
        verdict, output = self.runtime.ask(self.test, self.parent.bound)
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


def _start(test_file: Path, heap: str, arch: str) -> subprocess.Popen:
    argv, env = build.command(runtime.find(arch), str(RUNNER), str(test_file), heap=heap)
    pipe = subprocess.PIPE
    return subprocess.Popen(
        argv,
        env=_environment(env),
        stdin=pipe,
        stdout=pipe,
        stderr=subprocess.STDOUT,
        preexec_fn=firmware.die_with_parent,
    )


class Device:
    """Runs MicroPython sources with the firmware importable, in the 32-bit runtime."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.count = 0
        self.started: list[subprocess.Popen] = []

    def command(
        self, source: str, env: dict | None = None, heap: str = HEAP, mode="rom"
    ) -> tuple[list[str], dict]:
        """The command line and the environment that run ``source``."""
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
        argv, env = self.command(source, env, heap, mode)
        done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=timeout)
        WITNESS.heard(env, (done.stdout + done.stderr).encode())
        return done

    def start(
        self, source: str, env: dict | None = None, heap: str = HEAP, mode="rom"
    ) -> subprocess.Popen:
        """Starts ``source`` with piped standard streams; it is killed when the test ends."""
        argv, env = self.command(source, env, heap, mode)
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            argv,
            env=env,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            text=True,
            preexec_fn=firmware.die_with_parent,
        )
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
