"""The tools' command lines: their help, and what they say to what cannot be done."""

import os
import shutil
import subprocess
import sys

import pytest

from tools import build, cli, port, runtime

PROJECT = build.PROJECT
COMMANDS = (
    *("backup", "build", "chaos", "cloud", "configure", "flash", "frozen", "fuzz", "lint", "qemu"),
    *("roots", "run", "runtime", "size"),
    *("bench.audit", "bench.figures", "bench.membench", "bench.soak"),
)


def called(*argv: str, **env: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", *argv],
        cwd=PROJECT,
        env={**os.environ, "COLUMNS": "200", **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_every_module_that_can_be_run_is_among_those_whose_help_is_tested():
    found = set()
    for path in (PROJECT / "tools").rglob("*.py"):
        if 'if __name__ == "__main__":' in path.read_text():
            parts = path.relative_to(PROJECT / "tools").with_suffix("").parts
            found.add(".".join(part for part in parts if part != "__main__"))

    assert found == set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_says_what_a_command_does(command):
    done = called(f"tools.{command}", "--help")

    assert done.returncode == 0 and not done.stderr
    usage, description, _ = done.stdout.split("\n\n", 2)
    assert usage.startswith(("usage: make ", f"usage: python -m tools.{command} "))
    assert description.endswith(".")


@pytest.mark.parametrize(
    "argv, said",
    [
        (["tools.backup", "save"], "say which file: FILE="),
        (["tools.backup", "save", "--file", "README.md"], "README.md cannot be written: File exi"),
        (
            ["tools.backup", "save", "--file", "/dev/null/x"],
            "/dev/null/x cannot be written: No su",
        ),
        (["tools.backup", "restore", "--file", "nothing"], "nothing cannot be read: No such file"),
        (["tools.backup", "restore", "--file", "README.md"], "README.md is not a backup: "),
        (["tools.bench.audit", "--messages", "0"], "argument --messages: 0 is less than 1"),
        (["tools.bench.figures", "scan", "speed"], "no such part: speed (there are heap, "),
        (["tools.bench.figures", "--messages", "100"], "--messages: 100 is less than 101"),
        (["tools.bench.membench", "--burst", "x"], "--burst: invalid int value: 'x'"),
        (["tools.bench.soak", "--messages", "19"], "argument --messages: 19 is less than 20"),
        (["tools.chaos", "storms"], "no such part: storms (there are faults, storm"),
        (["tools.chaos", "storm", "--relays", "0"], "argument --relays: 0 is less than 1"),
        (["tools.cloud", "--port", "65536"], "argument --port: invalid port value: '65536'"),
        (["tools.cloud", "--dir", "/dev/null/x"], "the simulated cloud cannot begin: "),
        (["tools.configure"], "say which file: CONFIG="),
        (["tools.configure", "nothing"], "nothing cannot be read: No such file or directory"),
        (
            ["tools.flash", "--port", "x"],
            "say which: BOARD=esp32_s3 or BOARD=pico_w or BOARD=qemu",
        ),
        (["tools.fuzz", "--minutes", "nan"], "argument --minutes: nan is less than 0.01"),
        (["tools.fuzz", "--again", "nothing"], "nothing is no case that was kept; "),
        (["tools.fuzz", "--again", "/x/scan-1-1.bin"], "/x/scan-1-1.bin cannot be read: "),
        (["tools.run", "--profile", "x"], "--profile: invalid choice: 'x' (choose from "),
        (["tools.run", "--heap", "big"], "--heap: big is no size; 176k is one, 999m the largest"),
        (["tools.run", "--heap", "1000m"], "--heap: 1000m is no size; 176k is one"),
        (["tools.run", "--setup", "", "--config", "/dev/null/x"], "/dev/null/x cannot be written"),
        (
            ["tools.run", "--config", "nothing"],
            "nothing cannot be read: No such file or directory",
        ),
        (["tools.run", "--config", "README.md"], "README.md is not valid JSON: Expecting value: "),
        (["tools.run", "--config", "x", "--root", "/proc"], "nothing can be written in /proc: "),
        (["tools.run", "--config", "x", "--root", "/dev/null/x"], "/dev/null/x cannot be made: "),
        (["tools.runtime", "arm"], "argument arch: invalid choice: 'arm'"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(argv, said):
    done = called(*argv)

    assert done.returncode in (1, 2)
    assert said in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr and not done.stdout


@pytest.mark.parametrize(
    "raised, code, said",
    [("cli.ToolError('a\\x1b[2Jb')", 1, "a [2Jb\n"), ("KeyboardInterrupt", 130, "")],
)
def test_what_ends_a_command_is_said_as_text_and_has_a_code(raised, code, said):
    source = f"from tools import cli\ndef main(): raise {raised}\ncli.run(main)"
    done = subprocess.run(
        [sys.executable, "-c", source], cwd=PROJECT, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (code, said)


@pytest.mark.parametrize("command", ["build", "chaos", "fuzz", "bench.audit", "bench.soak"])
def test_a_missing_runtime_is_named_by_every_command_that_needs_it(command):
    done = called(f"tools.{command}", MICROPYTHON="/nothing")

    assert done.returncode == 1
    assert "/nothing does not run as MicroPython" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_path_with_a_space_is_named_before_a_port_is_built_there(monkeypatch, tmp_path):
    monkeypatch.setattr(port, "source", lambda: tmp_path / "my projects")
    recipe = port.Recipe("unix", "gcc", tmp_path / "manifest.py", (), (), (), ())

    with pytest.raises(runtime.RuntimeMissing, match="a path with a space in it"):
        port.build(recipe)


def test_a_path_that_is_too_long_for_micropython_is_named(tmp_path):
    folder = tmp_path.joinpath(*["a_long_name_of_a_folder"] * 10)

    with pytest.raises(cli.ToolError, match="is too long a path for MicroPython"):
        build.compile_file(build.BOOT, folder / "boot.mpy", "x86", "boot.py")


@pytest.mark.parametrize(
    "lacks, said",
    [("version_info", "Python 3.11 or newer is needed"), ("ensurepip", "install python3-venv")],
)
def test_make_says_what_python_lacks(lacks, said, tmp_path):
    for name in ("Makefile", "requirements.txt"):
        shutil.copy(PROJECT / name, tmp_path)
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\ncase "$2" in *{lacks}*) exit 1;; esac\n')
    python.chmod(0o755)
    done = subprocess.run(
        ["make", "run", f"PYTHON={python}"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode and said in done.stderr
