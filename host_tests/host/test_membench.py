"""What the process holds through a burst, in a short form of the benchmark."""

import pytest

from tools.bench import membench

COUNT = 300


@pytest.fixture(scope="module")
def relay():
    return membench.measure(membench.setting("pico_w", "rom", 32, "tls"), COUNT)


def test_a_burst_over_tls_stays_within_the_ceilings_of_the_process(relay):
    assert relay["rows"][-1]["answered"] == COUNT
    assert 0 < relay["most_anon"] <= membench.REACH_ANON_KB
    assert relay["most_anon"] < relay["most_rss"] <= membench.REACH_RSS_KB
    assert relay["growth_kb"] <= membench.REACH_GROWTH_KB


def test_what_a_burst_took_of_the_heap_is_given_back_at_rest(relay):
    stages = relay["stages"]

    assert list(stages) == list(membench.STAGES)
    assert stages["baseline"]["live"] < stages["buffers"]["live"] < stages["configured"]["live"]
    # The files that stay open lie among what was free before; an overlay fits beside them, and the
    # room of both connections is there.
    assert stages["rest"]["live"] - stages["configured"]["live"] <= 4096
    assert stages["rest"]["largest"] >= 4096
    assert stages["rest"]["missing"] == 0


def test_the_table_says_of_every_figure_where_it_is_from(relay):
    lines = membench.table([relay]).splitlines()

    assert "measured in this run" in lines[0]
    peers = lines[next(i for i, line in enumerate(lines) if line.startswith("Others")) + 1 : -1]
    assert len(peers) == len(membench.PEERS)
    assert all(line.endswith(("published", "measured elsewhere")) for line in peers)
