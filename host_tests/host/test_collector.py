"""The collector of tests inside MicroPython: failures, hangs, selection."""

import pytest
from collector_kit import TESTS, project, run

ENDS = """

def test_ends_the_runtime():
    import sys

    sys.exit(3)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    before, mark, last = TESTS.rpartition("\n\ndef test_after")
    return project(tmp_path_factory.mktemp("project"), before + ENDS + mark + last)


def test_each_function_is_an_item_and_one_that_dies_does_not_take_the_next_along(folder):
    code, said = run(folder, "-rA")
    assert code == 1
    assert "3 failed, 2 passed" in said
    assert "PASSED" in said and "::test_after_all_that" in said


def test_a_failure_shows_the_traceback_and_the_heap_at_that_point(folder):
    _, said = run(folder, "-k", "fails")
    assert "AssertionError: as it should" in said
    assert "test_it.py" in said and "in test_fails" in said
    assert "bytes used" in said and "max free sz" in said


def test_a_hung_test_is_ended_after_its_bound(folder):
    _, said = run(folder, "-k", "hangs")
    assert "no end within 2 s" in said


def test_a_selection_runs_only_what_it_names_and_x_stops_at_the_first_failure(folder):
    assert "1 passed, 4 deselected" in run(folder, "-k", "passes")[1]
    assert "1 failed, 1 passed" in run(folder, "-x")[1]


def test_what_needs_a_missing_program_is_skipped_with_what_installs_it_but_fails_in_ci(tmp_path):
    folder = project(tmp_path, "QEMU = True\n" + TESTS)
    words = "-rs", "-k", "qemu and passes"

    code, said = run(folder, *words, PATH=str(tmp_path), CI="")
    assert code == 0 and "1 skipped" in said
    assert "apt-get install gcc-arm-none-eabi" in said and "missing: arm-none-eabi-gcc" in said

    code, said = run(folder, *words, PATH=str(tmp_path), CI="true")
    assert code == 1 and "1 failed" in said
    assert "apt-get install gcc-arm-none-eabi" in said
