"""The serial line's commands where memory runs out."""

import gc
import sys

from thimble.console import serial

HEAP = "176k"
TEST_S = 20


def filled(blocks):
    """What fills the heap up to so many free blocks of 16 bytes."""
    filler = None
    gc.collect()
    try:
        while True:
            filler = (None, filler)
    except MemoryError:
        pass
    while blocks:
        filler = filler[1]
        blocks -= 1
    return filler


def test_a_config_for_which_memory_runs_out_leaves_none_of_its_code_behind():
    failed = 0
    for blocks in range(50, 2000, 50):
        filler = filled(blocks)
        try:
            serial.carry_out(None, b"config model.name")
        except MemoryError:
            failed += 1
        assert filler is not None
        filler = None
        assert "thimble.config" not in sys.modules, blocks
    assert 5 < failed < 39
