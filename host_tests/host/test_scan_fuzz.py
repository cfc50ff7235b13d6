"""The JSON scanner, run as plain Python, against CPython's json on generated and broken documents.

Both must accept the same documents and read the same values out of them, but for what the scanner
does on purpose: it refuses half surrogate pairs and invalid UTF-8 in wanted strings and in keys
that it compares, lets invalid UTF-8 pass in what it skips, bounds wanted numbers to 24 bytes, and
knows no NaN and no Infinity.
"""

import json
import sys
import types
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tools.fuzz.oracle import CLOSE, OPEN, PATHS, PIECE, VALUE, Refused, events

CORE = Path(__file__).parents[2] / "firmware" / "thimble" / "core"


def load():
    """scan.py's names, loaded without viper."""
    modules = {}
    micropython = types.ModuleType("micropython")
    micropython.const = lambda value: value
    modules["micropython"] = micropython
    for name in ("thimble", "thimble.core", "thimble.core.errors"):
        modules[name] = types.ModuleType(name)
    lines = (CORE / "scan.py").read_text().splitlines()
    source = "\n".join("" if line.strip() == "@micropython.viper" else line for line in lines)
    names = {"ptr8": lambda value: value, "ptr32": lambda value: value, "__name__": "scan"}
    with mock.patch.dict(sys.modules, modules):
        exec((CORE / "errors.py").read_text(), vars(modules["thimble.core.errors"]))
        exec(source, names)
    return names


SCAN = load()
SCANNER = SCAN["Scanner"](PATHS)


def scanned(document: bytes, chunk: int, size: int) -> list[tuple]:
    """The events that the scanner reports, with the pieces of a string put together."""
    out = bytearray(size + 8)
    found, text = [], b""
    SCANNER.start(out, 5, size)
    try:
        for start in range(0, len(document), chunk):
            SCANNER.feed(document, start, min(start + chunk, len(document)))
            while event := SCANNER.next():
                if event in (OPEN, CLOSE):
                    found.append((event, SCANNER.path))
                elif event in (VALUE, PIECE):
                    got = bytes(out[5 : 5 + SCANNER.length])
                    got.decode()  # whole characters
                    assert event == VALUE or size - 4 < len(got) <= size
                    text += got
                    if event == VALUE:
                        found.append((VALUE, SCANNER.path, SCANNER.kind, text))
                        text = b""
        SCANNER.finish()
    except SCAN["ParseError"] as error:
        assert 0 <= error.offset <= len(document)
        raise Refused(str(error)) from error
    assert out[:5] == bytes(5) and out[5 + size :] == bytes(3), "wrote outside its area"
    return found


def verdict(read, *arguments):
    try:
        return read(*arguments)
    except Refused:
        return "refused"


names = st.sampled_from(
    ["ok", "a", "b", "ab", "result", "message", "text", "ключ", "", "a.b", "[]"]
)
numbers = st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False))
texts = st.text(st.characters(exclude_categories=()), max_size=12)
scalars = st.one_of(texts, numbers, st.booleans(), st.none())
keys = st.one_of(names, texts)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=15,
)
updates = st.fixed_dictionaries(
    {"ok": scalars, "result": st.lists(st.fixed_dictionaries({"message": values}), max_size=3)}
)
edits = st.lists(
    st.tuples(
        st.integers(0, 2**20),
        st.sampled_from(["change", "insert", "remove", "repeat"]),
        st.one_of(
            st.sampled_from(list(b'{}[]",:\\/0-+.eEutfn \x80\xc3\xed\xf0')), st.integers(0, 255)
        ),
    ),
    max_size=3,
)


@st.composite
def documents(draw):
    document = json.dumps(
        draw(st.one_of(values, updates)),
        ensure_ascii=draw(st.booleans()),
        indent=draw(st.sampled_from([None, 0, 2])),
        separators=draw(st.sampled_from([None, (",", ":")])),
    ).encode("utf-8", "surrogatepass")
    for place, edit, byte in draw(edits):
        at = place % (len(document) + 1)
        before, after = document[:at], document[at:]
        if edit == "change":
            document = before + bytes([byte]) + after[1:]
        elif edit == "insert":
            document = before + bytes([byte]) + after
        elif edit == "remove":
            document = before + after[1 + byte % 4 :]
        else:
            document = before + after[: byte % 16] + after
    return document


@settings(max_examples=600, deadline=None, derandomize=True, database=None)
@given(documents(), st.integers(1, 40), st.integers(24, 40))
@example(b"", 1, 24)
@example(b"-", 1, 24)
@example(b" 12 ", 1, 24)
@example(b'{"a":"\\ud83d\\ude00"}', 3, 24)
@example(b'{"a":"\\ud83d"}', 1, 24)
@example(b'{"b":"\\ud83d"}', 1, 24)
@example(b'{"\\ud83d":1}', 1, 24)
@example(b'{"a":"\xed\xa0\x80"}', 1, 24)
@example(b'{"b":"\xed\xa0\x80"}', 1, 24)
@example(b'{"a":"x\x80"}', 5, 24)
@example(b'{"a":"x\x81"}', 5, 24)
@example(b'{"a":{"\\u0062":1}}', 1, 24)
@example(b'{"a.b":1,"a":{"b":2}}', 1, 24)
@example(b'\xef\xbb\xbf{"a":1}', 1, 24)
@example(b"[NaN]", 1, 24)
def test_the_scanner_reads_what_cpython_reads(document, chunk, size):
    assert verdict(scanned, document, chunk, size) == verdict(events, document)


@pytest.mark.parametrize("size", [4, 5, 7, 64])
def test_every_division_of_a_document_reads_the_same(size):
    document = '{"a":"aé€😀\\u00e9\\n\\ud83d\\ude00z","b":[1.5e3,{}],"ok":false}'.encode()
    expected = events(document)
    for chunk in range(1, len(document) + 1):
        assert scanned(document, chunk, size) == expected
