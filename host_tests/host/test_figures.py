"""The figures that must not grow, in a short form of the benchmark."""

import sys

import pytest

from tools import cli
from tools.bench import figures


def test_a_message_costs_at_most_256_bytes_of_heap_and_leaves_nothing_behind():
    result = figures.heap(200)

    assert result["allocated_per_message"] <= 256
    assert result["live_after_all"] == result["live_after_100"]
    assert result["handshakes"] <= 4
    assert result["sends"] == 200 and result["edits"] >= 200
    assert result["refused_429"] == 0
    assert result["naive"]["allocated_per_message"] > 10 * result["allocated_per_message"]


@pytest.mark.parametrize("heap, held", [("104k", False), ("152k", True)])
def test_frozen_code_relays_a_burst_in_a_heap_with_room_to_spare_on_a_pico_w(heap, held):
    """Some 8 KB above what ``make figures ARGS=frozen`` finds, since that varies by 2 or 3."""
    assert figures.survives(heap, "frozen", 200, held, {})


def test_a_part_that_lacks_a_tool_says_so_and_the_others_are_measured(monkeypatch, capsys):
    def lacking(options):
        raise cli.ToolMissing("apt-get install gcc")

    monkeypatch.setitem(figures.PARTS, "frozen", lacking)
    monkeypatch.setitem(figures.PARTS, "scan", lambda options: {"quick": 0.25})
    monkeypatch.setattr(figures, "write", lambda name, result: None)
    monkeypatch.setattr(sys, "argv", ["figures", "frozen", "scan"])

    assert figures.main() == 1
    said = capsys.readouterr()
    assert said.err == "frozen: apt-get install gcc\n" and "0.25" in said.out
