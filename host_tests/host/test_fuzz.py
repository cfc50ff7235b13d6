"""The fuzzers in their short form: the same cases at every run, thousands of them."""

import pytest

from tools.fuzz import run
from tools.fuzz.targets import TARGETS

SEED = 7
CASES = {
    "scan": 6000,
    "sse": 6000,
    "http": 6000,
    "dns": 8000,
    "updates": 2000,
    "config": 4000,
    "model": 3000,
    "journal": 2000,
    "console": 100,
}
# What a scanner may well read otherwise than CPython does.
ODD_JSON = (
    b"",
    b"-",
    b" 12 ",
    b'{"a":"\\ud83d\\ude00"}',
    b'{"a":"\\ud83d"}',
    b'{"b":"\\ud83d"}',
    b'{"\\ud83d":1}',
    b'{"a":"\xed\xa0\x80"}',
    b'{"b":"\xed\xa0\x80"}',
    b'{"a":"x\x80"}',
    b'{"a":"x\x81"}',
    b'{"a":{"\\u0062":1}}',
    b'{"a.b":1,"a":{"b":2}}',
    b'\xef\xbb\xbf{"a":1}',
    b"[NaN]",
)


@pytest.mark.parametrize("name", run.NAMES)
def test_nothing_that_is_read_does_harm(name):
    ran, failures = run.fuzz(name, SEED, cases=CASES[name])
    assert not failures, failures[0]
    assert ran >= CASES[name]


def test_the_scanner_reads_odd_documents_as_cpython_does():
    cases = [bytes((piece - 1, 0)) + data for data in ODD_JSON for piece in (1, 3, 5)]
    with run.Device("scan") as device:
        said = device.run(cases)
    for case, outcome in zip(cases, said, strict=True):
        assert not run._wrong(TARGETS["scan"], case, outcome), case


def test_the_same_seed_makes_the_same_cases():
    for target in TARGETS.values():
        first, second = (
            [target.case(rng) for rng in [run.Random(3)] for _ in range(20)] for _ in range(2)
        )
        assert first == second and len(set(first)) > 10


@pytest.mark.parametrize(
    "name, case, outcome",
    [
        ("scan", b'\0\0{"ok":true}', "3.0.4."),
        ("sse", b"\0data: x\n\n", ""),
        ("http", b"\0\1HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", "200 79"),
        ("dns", bytes([1]) + b"q" + b"message", "found 6.6.6.6"),
        ("updates", b'\0{"ok":true,"result":[]}', "taken 0 | 1:42:2:0:78 | "),
        ("config", b"{", "model.name="),
        ("journal", b"\0", "8 | "),
    ],
)
def test_a_wrong_outcome_is_found(name, case, outcome):
    assert TARGETS[name].judge(case, outcome)


def test_a_text_that_looks_like_an_array_is_read_as_a_text():
    case = b'\0\0{"a":"[]","[]":1}'
    assert TARGETS["scan"].judge(case, "3.1.0.5b5d") is None
    assert TARGETS["scan"].judge(case, "3.1.0.00")


def test_what_hangs_or_dies_or_crashes_is_found_and_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "FOUND", tmp_path)
    target = TARGETS["scan"]
    for said in ("", "crash Traceback\\n  ValueError: x\\n"):
        assert run._wrong(target, b"\0\0", said)
    failure = run.keep(run.Failure("scan", 1, 2, "why"), b"\0\0case")
    assert failure.file.read_bytes() == b"\0\0case"
    assert run.again(failure.file) == ""
    assert "--again" in str(failure)
