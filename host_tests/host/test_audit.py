"""What a relayed message allocates, stage by stage, against the ceilings of the budget."""

import json
import sys

import pytest

from tools.bench import audit, harness

MESSAGES = 60


@pytest.fixture(scope="module")
def books():
    return audit.measure(MESSAGES)


@pytest.mark.parametrize("stage", audit.STAGES)
def test_a_stage_allocates_no_more_than_its_ceiling(books, stage):
    rows = [row for row in books["rows"] if row["stage"] == stage and row["bytes"]]
    assert books["stages"][stage] <= audit.budget()[stage], rows


def test_a_message_allocates_no_more_than_the_budget(books):
    assert books["messages"] == MESSAGES
    assert books["per_message"] <= audit.budget()["in all"]


def test_the_books_hold_all_that_is_allocated_without_the_wrappers(books):
    # Polls fall differently in each run, hence the room.
    assert abs(books["per_message"] - books["without_wrappers"]) <= 48


def test_the_command_names_file_and_function_and_makes_the_picture(
    books, monkeypatch, tmp_path, capsys
):
    monkeypatch.setattr(audit, "measure", lambda count, secure: books)
    monkeypatch.setattr(harness, "OUT", tmp_path)
    monkeypatch.setattr(sys, "argv", ["audit"])
    audit.main()

    said = capsys.readouterr().out
    assert "thimble/store/chunks.py Chunks.open\n" in said
    for stage, ceiling in audit.budget().items():
        line = next(line for line in said.splitlines() if line.startswith(stage))
        assert str(ceiling) in line.removeprefix(stage).split()
    assert json.loads((tmp_path / "audit.json").read_text())["stages"] == books["stages"]
    assert (tmp_path / "audit.png").read_bytes().startswith(b"\x89PNG")


def test_every_stage_of_the_way_was_on_the_books(books):
    called = {row["stage"] for row in books["rows"] if row["calls"]}
    assert called >= set(audit.STAGES)


def test_the_budget_allows_the_stages_of_core_nothing():
    ceilings = audit.budget()

    assert set(ceilings) == {*audit.STAGES, "in all"}
    core = ("scan", "allow-list", "ring", "conversation", "request")
    assert [ceilings[stage] for stage in core] == [0] * len(core)
    assert ceilings["in all"] <= audit.TARGET


def test_every_function_of_the_firmware_is_wrapped_but_those_that_cannot_be():
    names = {f"{one.module}:{one.owner}.{one.name}" for one in audit.functions()}

    assert "thimble.net.link:Link.recv" in names
    assert "thimble.core.octets:.copy" in names
    assert "thimble.core.errors:NetError.__str__" not in names
    assert len(names) > 300
