"""Measuring and cutting UTF-8 text in UTF-16 units."""

import random

from kit import heap_locked, plain
from thimble.core import text

_MIXED = "aé€😀b".encode()  # 1, 2, 3, 4 and 1 bytes


def _units(string):
    return sum(2 if ord(c) > 0xFFFF else 1 for c in string)


def test_units_counts_two_for_four_bytes_and_one_for_all_others():
    assert text.units(_MIXED, 0, len(_MIXED)) == 6
    assert text.units(_MIXED, 1, 3) == 1
    assert text.units(_MIXED, 6, 10) == 2
    assert text.units(b"", 0, 0) == 0


def test_fit_never_splits_an_emoji():
    emoji = "😀".encode() * 3
    assert text.fit(emoji, 0, 12, 6) == 12
    assert text.fit(emoji, 0, 12, 5) == 8
    assert text.fit(emoji, 0, 12, 4) == 8
    assert text.fit(emoji, 0, 12, 1) == 0
    assert text.fit(emoji, 4, 12, 2) == 8


def test_fit_agrees_with_a_count_character_by_character():
    random.seed(5)
    alphabet = "ab é€ж中😀🇩\x7f\x80\u07ff\u0800\uffff\U00010000"
    for _ in range(300):
        string = "".join(random.choice(alphabet) for _ in range(random.randrange(12)))
        data = string.encode()
        most = random.randrange(14)
        taken = ""
        for c in string:
            if _units(taken + c) > most:
                break
            taken += c
        assert text.fit(data, 0, len(data), most) == len(taken.encode())
        assert text.units(data, 0, len(data)) == _units(string)


def test_boundary_steps_back_out_of_a_character():
    for pos, want in ((0, 0), (1, 1), (2, 1), (3, 3), (4, 3), (5, 3), (6, 6), (7, 6), (9, 6)):
        assert text.boundary(_MIXED, 0, pos) == want, pos
    assert text.boundary(_MIXED, 0, 10) == 10
    assert text.boundary(_MIXED, 0, 11) == 11


def test_boundary_needs_no_byte_behind_the_place():
    assert text.boundary(b"a\xe2\x82", 0, 3) == 1
    assert text.boundary(b"a\xe2\x82\xac", 0, 4) == 4
    assert text.boundary(b"", 0, 0) == 0


def test_cut_takes_all_that_fits():
    assert text.cut(b"one two", 0, 7, 7) == 7
    assert text.cut("😀😀".encode(), 0, 8, 4) == 8


def _parts(string, most):
    data = string.encode()
    parts = []
    pos = 0
    while pos < len(data):
        end = text.cut(data, pos, len(data), most)
        assert end > pos
        parts.append(data[pos:end].decode())
        pos = text.skip_space(data, end, len(data))
    return parts


def test_cut_prefers_a_paragraph_to_a_line_to_a_sentence_to_a_word():
    assert _parts("aaaaaa bb\n\ncc\ndd. ee ff", 18)[0] == "aaaaaa bb"
    assert _parts("aaaaa bb\ncc\ndd. ee ff", 18)[0] == "aaaaa bb\ncc"
    assert _parts("aaaaa bb cc dd. ee ff g", 18)[0] == "aaaaa bb cc dd."
    assert _parts("aaaaa bb cc dd! ee ff g", 18)[0] == "aaaaa bb cc dd!"
    assert _parts("aaaaa bb cc dd? ee ff g", 18)[0] == "aaaaa bb cc dd?"
    assert _parts("aaaaa bb cc dd, ee ff g", 18)[0] == "aaaaa bb cc dd, ee"
    assert _parts("aaaaabbbbbcccccddddd", 18)[0] == "aaaaabbbbbcccccddd"


def test_cut_takes_the_last_of_several_breaks():
    assert _parts("aaaaaa\n\nbb\n\nccc", 10)[0] == "aaaaaa\n\nbb"
    assert _parts("aaaaaa\nbb\nccc cc", 10)[0] == "aaaaaa\nbb"
    assert _parts("aaaaa. bb? cc dddd", 12)[0] == "aaaaa. bb?"


def test_cut_leaves_at_least_half_in_the_first_part():
    assert _parts("a.\n\nbbbb cccc dddd eeee", 16)[0] == "a.\n\nbbbb cccc"
    assert _parts("aa bbbbbbbbbbbbbbbbb", 10)[0] == "aa bbbbbbb"
    assert _parts("aaaa bbbbbbbbbbbbbbb", 10)[0] == "aaaa bbbbb"
    assert _parts("aaaaa bbbbbbbbbbbbbb", 10)[0] == "aaaaa"
    assert _parts("aaaa. bbbb bbbbbbbbb", 10)[0] == "aaaa."
    assert _parts("aaa. bbbbb bbbbbbbbb", 10)[0] == "aaa. bbbbb"


def test_cut_finds_a_break_just_behind_the_limit():
    assert _parts("aaaaaaaa\n\nbbb", 8) == ["aaaaaaaa", "bbb"]
    assert _parts("aaaa aaa\nbbb", 8) == ["aaaa aaa", "bbb"]
    assert _parts("aaa aaa. bbb", 8) == ["aaa aaa.", "bbb"]
    assert _parts("aaaaa aa bbb", 8) == ["aaaaa aa", "bbb"]


def test_cut_counts_units_and_not_bytes_or_characters():
    assert _parts("😀😀😀😀😀😀", 5) == ["😀😀", "😀😀", "😀😀"]
    assert _parts("жжжж жжжж", 6) == ["жжжж", "жжжж"]


def test_the_parts_of_any_text_fit_and_together_are_the_text():
    random.seed(6)
    pieces = ("word", " ", "\n", "\n\n", ". ", "! ", "😀", "ж", "x" * 9, "中中中")
    for _ in range(300):
        string = "".join(random.choice(pieces) for _ in range(random.randrange(40)))
        most = random.randrange(2, 30)
        parts = _parts(string, most)
        for part in parts:
            assert _units(part) <= most
        bare = "".join(parts).replace(" ", "").replace("\n", "")
        assert bare == string.replace(" ", "").replace("\n", "")


def test_cut_works_on_a_part_of_a_buffer_and_does_not_allocate():
    data = bytearray(b"????one two. three four????")
    assert heap_locked(lambda: text.cut(data, 4, 23, 12)) == 12
    assert heap_locked(lambda: text.cut(data, 4, 23, 30)) == 23
    assert heap_locked(lambda: text.units(data, 0, 27)) == 27
    assert heap_locked(lambda: text.boundary(data, 0, 9)) == 9


def test_skip_space_stops_at_the_end():
    assert text.skip_space(b" \n x", 0, 4) == 3
    assert text.skip_space(b"    x", 0, 3) == 3
    assert text.skip_space(b"x", 0, 1) == 0


def test_white_space_is_that_of_ascii_and_what_telegram_takes_for_nothing():
    for space in " \t\n\x0b\x0c\r\u00a0\u2000\u200b\u200f\u3000\ufeff":
        data = (space * 2).encode()
        assert text.skip_space(data + b"x", 0, len(data) + 1) == len(data), repr(space)
    for character in "\x08\x1f!\u00a1\u00e0\u1fff\u2010\u2014\u2fff\u3001\ufefe\U0002003e":
        assert text.skip_space(character.encode(), 0, 1) == 0, repr(character)


def test_plain_bytecode_gives_the_same_answers():
    walk = text._walk
    same = plain("thimble/core/text.py")["_walk"]
    for data in (b"", b"abc", _MIXED, _MIXED * 3):
        for most in (0, 1, 2, 3, 5, 100):
            assert walk(data, 0, len(data), most) == same(data, 0, len(data), most)
