"""What the process holds through a burst, in a short form of the benchmark."""

import itertools
import json
import sys

import pytest

from tools.bench import harness, membench

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


def test_a_burst_is_called_what_it_was_and_of_one_under_a_hundred_no_growth_is_told(relay):
    late = [{**relay["rows"][-1], "answered": 100}]
    for count, rows, grown in ((5, [], False), (100, late, False), (300, relay["rows"], True)):
        every = [*relay["stages"].values(), *rows]
        result = membench.summary(
            "Thimble", membench.setting("pico_w", "rom", 32, "tls"), every, 2, count
        )
        lines = membench.table([result]).splitlines()
        assert lines[0].endswith(f": {count} messages, measured in this run")
        assert any("behind message 100" in line for line in lines) == grown


def test_the_command_measures_the_naive_bot_in_the_same_run_and_makes_the_picture(
    relay, monkeypatch, tmp_path, capsys
):
    monkeypatch.setattr(membench, "measure", lambda one, count: relay)
    monkeypatch.setattr(harness, "OUT", tmp_path)
    monkeypatch.setattr(sys, "argv", ["membench", "--burst", "30"])
    membench.main()

    ours, naive = json.loads((tmp_path / "membench.json").read_text())["results"]
    assert ours["stages"] == relay["stages"]
    assert naive["name"] == "naive bot" and naive["rows"][-1]["answered"] == 30
    assert list(naive["stages"]) == ["baseline", "configured", "burst", "rest"]
    lines = capsys.readouterr().out.splitlines()
    titles = [line for line in lines if line.endswith("measured in this run")]
    assert [title.split(",")[0] for title in titles] == ["Thimble pico_w", "naive bot"]
    assert (tmp_path / "membench.png").read_bytes().startswith(b"\x89PNG")


def test_all_is_every_combination_but_frozen_code_in_64_bits_and_naive_bots_beside_them(
    relay, monkeypatch, tmp_path
):
    asked, naive = [], []
    monkeypatch.setattr(membench, "measure", lambda one, count: asked.append(one) or relay)
    monkeypatch.setattr(membench, "measure_naive", lambda one, count: naive.append(one) or relay)
    monkeypatch.setattr(membench, "illustrate", lambda *args: None)
    monkeypatch.setattr(harness, "OUT", tmp_path)
    monkeypatch.setattr(sys, "argv", ["membench", "--all"])
    membench.main()

    widths = [("i386", code) for code in ("rom", "mpy", "frozen")] + [
        ("amd64", code) for code in ("rom", "mpy")
    ]
    found = {(one.secure, one.profile, one.arch, one.code) for one in asked}
    profiles = ("pico_w", "esp32_s3", "unix")
    wanted = itertools.product((True, False), profiles, widths)
    assert found == {(secure, profile, *width) for secure, profile, width in wanted}
    assert len(asked) == len(found) == 30
    assert {(one.secure, one.arch) for one in naive} == set(
        itertools.product((True, False), ("i386", "amd64"))
    )
