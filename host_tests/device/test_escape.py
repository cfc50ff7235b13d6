"""Text written as the inside of a JSON string."""

import json
import random
from array import array

from kit import heap_locked, plain
from thimble.core.octets import escape


def _escaped(data, window, write=escape):
    """Escapes all of data through windows of that size."""
    target = bytearray(window + 4)
    state = array("i", [0, len(data), 0, 0])
    result = b""
    while state[0] < state[1]:
        before = state[0]
        state[2] = 2
        state[3] = 2 + window
        write(target, data, state)
        assert state[0] > before and state[2] <= 2 + window
        assert target[:2] == b"\0\0" and target[2 + window :] == b"\0\0"
        result += target[2 : state[2]]
    return result


def test_quote_backslash_and_all_control_characters_are_escaped():
    assert _escaped(b'say "hi" \\ bye', 64) == b'say \\"hi\\" \\\\ bye'
    assert _escaped(b"\b\t\n\f\r", 64) == b"\\b\\t\\n\\f\\r"
    assert _escaped(b"\0\x01\x0b\x0e\x1f\x7f", 64) == b"\\u0000\\u0001\\u000b\\u000e\\u001f\x7f"


def test_utf8_passes_as_it_is():
    data = "aé€😀\u2028".encode()
    assert _escaped(data, 64) == data


def test_json_reads_back_every_character_below_256():
    string = "".join(chr(c) for c in range(256))
    for window in (6, 7, 8, 11, 64, 1000):
        assert json.loads(b'"' + _escaped(string.encode(), window) + b'"') == string


def test_an_escape_is_never_divided_between_two_windows():
    for window in (6, 7, 8, 9, 10, 11):
        state = array("i", [0, 20, 0, window])
        target = bytearray(12)
        escape(target, b"\x01" * 20, state)
        assert state[2] == 6
    state = array("i", [0, 4, 0, 1])
    escape(target, b'"""""', state)
    assert state[0] == 0 and state[2] == 0


def test_a_part_of_the_source_is_written_to_a_part_of_the_target():
    target = bytearray(b"..........")
    state = array("i", [2, 5, 3, 9])
    escape(target, b'xxa"bxx', state)
    assert target == b'...a\\"b...'
    assert list(state) == [5, 5, 7, 9]


def test_nothing_is_written_for_nothing():
    state = array("i", [3, 3, 0, 4])
    escape(bytearray(4), b"abcd", state)
    assert list(state) == [3, 3, 0, 4]


def test_it_allocates_nothing():
    target = bytearray(64)
    state = array("i", [0, 10, 0, 64])
    source = b'a"b\\c\nd\x01e.'

    def run():
        state[0] = state[2] = 0
        escape(target, source, state)
        assert state[0] == 10

    heap_locked(run)


def test_plain_bytecode_writes_the_same():
    write = plain("thimble/core/octets.py")["escape"]
    random.seed(3)
    for _ in range(60):
        data = bytes(random.choice(b'ab"\\\n\r\x00\x1f\xc3\xa9') for _ in range(30))
        window = random.randrange(6, 20)
        assert _escaped(data, window) == _escaped(data, window, write)
