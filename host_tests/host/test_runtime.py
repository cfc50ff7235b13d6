"""Which MicroPython is taken, and what is said where there is none."""

import stat
import subprocess
from pathlib import Path

import pytest

from tools import runtime


@pytest.fixture
def bare(monkeypatch, tmp_path):
    """A machine without apt, whose PATH is an empty folder."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("MICROPYTHON", raising=False)
    monkeypatch.setattr(runtime, "cache_dir", lambda: tmp_path / "cache")
    return tmp_path


def wrapper(path, arch):
    """An executable at ``path`` that starts the runtime for ``arch``."""
    path.write_text("#!/bin/sh\nexec " + " ".join(runtime.find(arch).argv) + ' "$@"\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_the_downloaded_runtime_has_32_bits_and_the_heap_it_is_given():
    found = runtime.find()
    assert found.bits == 32 and found.march == "x86" and not found.note


def test_a_path_in_the_environment_overrides_it(monkeypatch, tmp_path):
    mine = wrapper(tmp_path / "mine", "i386")
    monkeypatch.setenv("MICROPYTHON", str(mine))
    assert runtime.find().argv == (str(mine),)


@pytest.mark.parametrize(
    "program, why",
    [
        ("/bin/true", ""),
        ("/bin/false", "it exits with 1$"),
        ("/nothing", ".*No such file or directory: '/nothing'$"),
        ("/bin/ls", "[^\n]+$"),
    ],
)
def test_an_override_that_is_no_micropython_is_an_error_of_one_line(program, why, monkeypatch):
    monkeypatch.setenv("MICROPYTHON", program)
    with pytest.raises(runtime.RuntimeMissing, match=f"^{program} does not run as [^\n]*: {why}"):
        runtime.find()


def test_one_older_than_1_24_is_refused_with_its_version(tmp_path):
    program = tmp_path / "micropython"
    for version, fits in ((23, False), (24, True)):
        program.write_text(f"#!/bin/sh\necho 1 {version} 32 0 0\n")
        program.chmod(0o755)
        if fits:
            assert runtime.probe((str(program),), "it").bits == 32
        else:
            with pytest.raises(
                runtime.RuntimeMissing, match=r"^it is MicroPython 1\.23; 1\.24 or"
            ):
                runtime.probe((str(program),), "it")


def test_without_apt_one_on_the_path_serves_and_one_line_says_what_it_cannot_show(
    monkeypatch, tmp_path, capsys
):
    wrapper(tmp_path / "micropython", "amd64")
    monkeypatch.setenv("PATH", f"{tmp_path}")
    monkeypatch.delenv("MICROPYTHON", raising=False)
    monkeypatch.setattr(runtime, "cache_dir", lambda: tmp_path / "cache")
    found = runtime.find()
    assert found.bits == 64 and found.march == "x64"
    said = capsys.readouterr().err
    assert "64-bit" in said and "32 bytes" in said and said.count("\n") == 1


def test_with_nothing_at_all_the_error_says_what_to_install_everywhere(bare):
    with pytest.raises(runtime.RuntimeMissing) as caught:
        runtime.find()
    for system in ("Debian, Ubuntu", "Fedora", "Arch", "macOS", "MICROPYTHON="):
        assert system in str(caught.value)


def test_where_it_cannot_be_kept_is_said(monkeypatch):
    monkeypatch.setattr(runtime, "cache_dir", lambda: Path("/proc/kept"))
    monkeypatch.setattr(runtime.shutil, "which", lambda name: None)
    with pytest.raises(runtime.RuntimeMissing, match="/proc/kept cannot be written: "):
        runtime.find()


def test_worktrees_of_a_checkout_share_one_download(monkeypatch, tmp_path):
    def git(*words, at):
        options = ("-c", "user.name=x", "-c", "user.email=x@example.org")
        subprocess.run(["git", *options, *words], cwd=at, check=True, capture_output=True)

    main, other = tmp_path / "main", tmp_path / "other"
    main.mkdir()
    git("init", at=main)
    git("commit", "--allow-empty", "-m", "x", at=main)
    git("worktree", "add", str(other), at=main)
    folders = []
    for tree in (main, other):
        monkeypatch.setattr(runtime, "PROJECT", tree)
        folders.append(runtime.cache_dir())

    assert folders == [main / ".cache", main / ".cache"]


def test_outside_of_a_checkout_the_download_stays_in_the_project(monkeypatch, tmp_path):
    monkeypatch.setattr(runtime, "PROJECT", tmp_path)
    assert runtime.cache_dir() == tmp_path / ".cache"
