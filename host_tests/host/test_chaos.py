"""The table of faults in its short form: every fault, on relays whose time limits are divided."""

import pytest

from tools.chaos import table

HURRY = 10
RELAYS = 10


def _name(job) -> str:
    fault, side = job
    return f"{fault.name}, {side}"


@pytest.fixture(scope="module")
def rows(request):
    """The rows of the faults that are selected, all measured at once, several relays at a time."""
    items = [item for item in request.session.items if item.path == request.path]
    jobs = [item.callspec.params["job"] for item in items if hasattr(item, "callspec")]
    measured = table.run(jobs, RELAYS, HURRY)
    return {(row.fault, row.side): row for row in measured}


@pytest.mark.parametrize("job", table.jobs(), ids=_name)
def test_the_relay_gets_over_a_fault_and_names_it_and_keeps_its_heap(rows, job):
    fault, side = job
    row = rows[fault.name, side]
    assert not row.failed, row
    assert bool(row.error) == bool(fault.expected(side))
    assert row.heap_change <= table.HEAP_SLACK


def test_the_list_has_every_fault_for_telegram_and_for_the_model():
    only_model = {"reset after the first words", "an error after the first words"}
    for fault in table.FAULTS:
        assert {"model"} <= set(fault.sides)
        assert "telegram" in fault.sides or fault.name in only_model
    assert len({fault.name for fault in table.FAULTS}) == len(table.FAULTS) > 50


def test_the_document_has_a_line_for_each_fault_and_a_cell_for_each_side():
    rows = [
        table.Row(
            "garbage",
            "telegram",
            "network failure (http): port 4711 speaks | no HTTP",
            0.1,
            2.0,
            48,
        ),
        table.Row("garbage", "model", "x", 0.2, 3.0, -16),
        table.Row("a pause", "model", recovery_s=1.5, failed="no answer"),
    ]

    said, _, head, rule, *lines = table.document(rows).splitlines()

    assert "3 rows, 1 not" in said and "48 bytes" in said
    assert head.count("|") == rule.count("|") == 6
    assert lines == [
        "| garbage | 0.1 s / 2.0 s |  | 0.2 s / 3.0 s | (http): port … speaks \\| no HTTP |",
        "| a pause |  |  | – / 1.5 s |  |",
    ]
