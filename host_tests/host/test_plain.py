"""The firmware for a MicroPython without native code, such as that of a 64-bit ARM machine."""

import ast
import os
import subprocess
import sys

import pytest

from tools import build, plain, runtime
from tools.bench import harness

KINDS = ast.FunctionDef, ast.ClassDef
NATIVE = 2  # the byte of an .mpy file that names the machine, above two other bits


@pytest.fixture
def bare(tmp_path):
    """A 64-bit MicroPython that says it has neither native code nor ROMFS, as 1.24 on ARM."""
    real = " ".join(runtime.find("amd64").argv)
    path = tmp_path / "micropython"
    path.write_text(
        f'#!/bin/sh\nif [ "$1" = -c ]; then {real} "$@" | sed "s/ [0-9]* 1$/ 0 0/"\n'
        f'else exec {real} "$@"; fi\n'
    )
    path.chmod(0o755)
    return path


def test_no_file_has_machine_code_and_the_lines_keep_their_numbers():
    files = list(build.build(runtime.PLAIN).tree.rglob("*.mpy"))
    assert len(files) > 70
    assert not [file for file in files if file.read_bytes()[NATIVE] >> 2]
    for path in build.FIRMWARE.rglob("*.py"):
        text = path.read_text()
        made = plain.source(text)
        assert "@micropython" not in made
        named = [
            [(node.name, node.lineno) for node in ast.walk(ast.parse(one)) if type(node) in KINDS]
            for one in (text, made)
        ]
        assert named[0] == named[1], path


def test_a_relay_there_has_a_heap_for_its_code_and_its_larger_words_and_answers(bare, monkeypatch):
    monkeypatch.setenv("MICROPYTHON", str(bare))
    found = runtime.find()
    assert (found.march, found.mode("rom")) == (runtime.PLAIN, "mpy")
    assert "64-bit" in found.note and "cannot map a ROMFS" in found.note
    done = subprocess.run(
        [sys.executable, "-m", "tools.run", "--ask"],
        cwd=build.PROJECT,
        env={**os.environ, "ASK": "[[mode=echo]] Grüße 🧵"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, "Grüße 🧵\n"), done.stderr


def test_a_boards_memory_is_not_measured_where_words_are_larger(bare, monkeypatch):
    monkeypatch.setenv("MICROPYTHON", str(bare))
    with pytest.raises(runtime.RuntimeMissing, match="measured in a 32-bit MicroPython"):
        harness.Run(None, {}, harness.Setting())


def test_what_is_named_as_a_machine_is_what_mpy_files_call_it():
    for arch, march in (("i386", "x86"), ("amd64", "x64")):
        found = runtime.find(arch)
        assert found.march == march
        compiled = build.build(march).tree / "thimble" / "core" / "scan.mpy"
        assert compiled.read_bytes()[NATIVE] >> 2 == runtime.MACHINES.index(march)
