"""The serial line's commands where memory runs out."""

import gc
import sys

from kit import raises

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
    for blocks in range(20, 1000, 20):
        filler = filled(blocks)
        try:
            serial.carry_out(None, "config model.name")
        except MemoryError:
            failed += 1
        assert filler is not None
        filler = None
        assert "thimble.config" not in sys.modules, blocks
    assert 5 < failed < 40, failed


class House:
    """A relay, its model, its conversations and its settings at once."""

    busy, all = None, ("a chat",)

    def __init__(self):
        self.config = self.telegram = self.model = self.http = self.memory = self.chats = self
        self.endpoint = True, "model.example", 443, "/v1"

    def origin(self, host, port, secure):
        self.at = host, port, secure

    def close(self):
        pass


def test_a_test_for_which_memory_runs_out_leaves_the_models_connection_the_models():
    from thimble.console import prove  # which imports what the test before looks for

    house, real = House(), prove.telegram

    def short(http, section):
        http.origin("telegram.example", 443, True)
        prove.test(house)  # typed meanwhile: only says that one is under way
        assert house.at[0] == "telegram.example"
        raise MemoryError

    prove.telegram = short
    try:
        raises(MemoryError, lambda: prove.test(house))
    finally:
        prove.telegram = real
    assert house.at == ("model.example", 443, True) and house.busy is None


class Ending:
    """A relay, its journal and its board at once: ``done`` in that order."""

    def __init__(self, kept):
        self.journal = self.board = self
        self.kept, self.done = kept, []

    def commit(self):
        self.done.append("commit")
        return self.kept

    def restart(self, mark):
        self.done.append(mark)


def test_what_was_received_is_written_before_a_restart_that_comes_in_any_case():
    for line, mark in (("reboot", 1), ("safe", 3)):
        for kept in (True, False):
            relay = Ending(kept)
            serial.carry_out(relay, line)
            assert relay.done == ["commit", mark]
