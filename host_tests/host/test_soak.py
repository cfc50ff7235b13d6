"""Random messages from many chats, in a short form of the soak."""

import json
import random
import sys

import pytest

from tools.bench import harness, soak

MESSAGES = 900


@pytest.fixture(scope="module")
def result():
    return soak.measure(MESSAGES)


def test_the_live_heap_is_at_the_end_what_it_was_after_the_first_third(result):
    assert result["samples"][-1]["answered"] == MESSAGES
    assert result["live_at_end"] == result["live_at_reference"]


def test_the_largest_block_stays(result):
    assert result["block_at_end"] >= soak.LEAST_BLOCK * result["block_at_reference"] > 0


def test_conversations_were_compacted_evicted_and_reloaded_and_nothing_was_lost(result):
    last = result["samples"][-1]

    # On a busy machine the next message gives most summaries up.
    assert last["compactions"] >= result["summaries"] > 0
    assert result["reloads"] > 50
    assert last["dropped"] == last["duplicates"] == last["refused"] == 0
    assert not last["error"]


def test_the_command_says_what_was_reached_and_makes_the_picture(
    result, monkeypatch, tmp_path, capsys
):
    asked = []
    monkeypatch.setattr(soak, "measure", lambda *args, **how: asked.append(args) or result)
    monkeypatch.setattr(harness, "OUT", tmp_path)
    monkeypatch.setattr(sys, "argv", ["soak", "--messages", "900"])
    soak.main()

    assert asked == [(900, 1, True)]
    said = capsys.readouterr().out
    assert f"{result['live_at_reference']}, {result['live_at_end']} B" in said
    assert "(difference 0; to reach 0)" in said and "to reach 95%" in said
    assert json.loads((tmp_path / "soak.json").read_text())["samples"] == result["samples"]
    assert (tmp_path / "soak.png").read_bytes().startswith(b"\x89PNG")


def test_the_messages_are_of_every_length_and_language_and_fit_telegram():
    chance = random.Random(7)
    texts = [soak.text(chance, soak.LONGEST_BYTES) for _ in range(2000)]
    sizes = [len(text.encode()) for text in texts]

    assert min(sizes) == 1 and max(sizes) > 10_000
    assert all(len(text.encode("utf-16-le")) <= 2 * soak.LONGEST_UNITS for text in texts)
    assert all(text.strip() for text in texts)
    for words in soak.WORDS:
        assert any(text.startswith(words[:4]) for text in texts)
    again = random.Random(7)
    assert texts == [soak.text(again, soak.LONGEST_BYTES) for _ in range(2000)]
