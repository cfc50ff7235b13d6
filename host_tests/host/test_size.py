"""The frozen firmware stays within its limits of flash and heap."""

import subprocess

import pytest

from tools import qemu, size


@pytest.fixture(scope="module")
def sizes():
    return size.measure()


def test_all_frozen_modules_stay_under_the_ceiling_of_flash(sizes):
    version = subprocess.run([qemu.COMPILER, "-dumpversion"], capture_output=True, text=True)
    # That of Debian 12 is meant; others put every string at a whole word.
    padding = 0 if version.stdout.startswith("12.") else 3000
    assert 50_000 < sizes.flash_total <= size.FLASH_CEILING + padding


def test_core_leaves_little_heap_behind_after_importing(sizes):
    assert 1_000 < sizes.core_heap <= size.CORE_HEAP_LIMIT


def test_every_module_has_its_own_row_and_nothing_is_lost(sizes):
    assert sizes.flash.keys() == sizes.heap.keys() >= {"thimble.core.scan", "thimble.relay"}
    assert all(size > 0 for size in (*sizes.flash.values(), *sizes.heap.values()))
    assert 0 < sizes.shared < sizes.flash_total / 3
