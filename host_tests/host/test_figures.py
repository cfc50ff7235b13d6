"""The figures that must not grow, in a short form of the benchmark."""

from tools.bench import figures


def test_a_message_costs_at_most_256_bytes_of_heap_and_leaves_nothing_behind():
    result = figures.heap(200)

    assert result["allocated_per_message"] <= 256
    assert result["live_after_all"] == result["live_after_100"]
    assert result["handshakes"] <= 4
    assert result["sends"] == 200 and result["edits"] >= 200
    assert result["refused_429"] == 0
    assert result["naive"]["allocated_per_message"] > 10 * result["allocated_per_message"]
