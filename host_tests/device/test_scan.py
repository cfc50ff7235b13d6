"""The JSON pull scanner: what it delivers, what it refuses and where, in any division."""

import json
import random

from kit import heap_locked, plain, raises
from thimble.core.errors import ParseError
from thimble.core.scan import MORE, Scanner

OPEN, CLOSE, VALUE, PIECE, END = range(1, 6)
STRING, INTEGER, NUMBER, TRUE, FALSE, NULL = range(6)

HEAP = "512k"  # the scanner's source is compiled once more, as plain bytecode

_SIZE = 64


def _run(scanner, document, chunk=1000, size=_SIZE):
    """All events of a document that is fed in chunks; its end is checked."""
    out = bytearray(3 + size + 4)
    events = []
    scanner.start(out, 3, size)
    pos = 0
    while pos < len(document):
        end = min(pos + chunk, len(document))
        scanner.feed(document, pos, end)
        pos = end
        while True:
            event = scanner.next()
            if event == MORE:
                break
            if event == END:
                events.append(END)
            elif event == VALUE or event == PIECE:
                text = bytes(out[3 : 3 + scanner.length])
                events.append((event, scanner.path, scanner.kind, text))
            else:
                events.append((event, scanner.path))
    scanner.finish()
    assert out[:3] == b"\0\0\0" and out[-4:] == b"\0\0\0\0", "written outside the area"
    return events


def _value(document, path=b"a", chunk=1000, size=_SIZE):
    """Kind and text of the one value of a document."""
    events = _run(Scanner((path,)), document, chunk, size)
    assert len(events) == 2 and events[0][0] == VALUE and events[1] == END, events
    return events[0][2:]


def _error(document, paths=(b"a",), chunk=1000):
    return raises(ParseError, lambda: _run(Scanner(paths), document, chunk))


# What it delivers


def test_a_wanted_value_arrives_with_its_path_and_kind():
    scanner = Scanner((b"a", b"b", b"c", b"d", b"e", b"f"))
    document = b'{"a":"x","b":12,"c":-1.5e3,"d":true,"e":false,"f":null}'
    assert _run(scanner, document) == [
        (VALUE, 0, STRING, b"x"),
        (VALUE, 1, INTEGER, b"12"),
        (VALUE, 2, NUMBER, b"-1.5e3"),
        (VALUE, 3, TRUE, b""),
        (VALUE, 4, FALSE, b""),
        (VALUE, 5, NULL, b""),
        END,
    ]


def test_what_is_not_wanted_is_passed_over():
    document = b'{"x":{"a":1,"y":[{"a":2},[],"a"]},"a":3,"aa":4,"":5,"z":"a"}'
    assert _run(Scanner((b"a",)), document) == [(VALUE, 0, INTEGER, b"3"), END]


def test_paths_reach_into_objects_and_every_element_of_arrays():
    scanner = Scanner((b"ok", b"result[].id", b"result[].message.chat.id", b"m[][]"))
    document = (
        b'{"ok":true,"result":[{"id":1,"message":{"chat":{"id":-5},"id":9}},'
        b'{"message":{"chat":{"id":6}},"id":2}],"m":[[1,2],[3]]}'
    )
    assert _run(scanner, document) == [
        (VALUE, 0, TRUE, b""),
        (VALUE, 1, INTEGER, b"1"),
        (VALUE, 2, INTEGER, b"-5"),
        (VALUE, 2, INTEGER, b"6"),
        (VALUE, 1, INTEGER, b"2"),
        (VALUE, 3, INTEGER, b"1"),
        (VALUE, 3, INTEGER, b"2"),
        (VALUE, 3, INTEGER, b"3"),
        END,
    ]


def test_a_wanted_object_or_array_opens_and_closes():
    scanner = Scanner((b"r[]", b"r[].id", b"e", b"r"))
    document = b'{"r":[{"id":1},{},[],7],"e":{"x":[1]}}'
    assert _run(scanner, document) == [
        (OPEN, 3),
        (OPEN, 0),
        (VALUE, 1, INTEGER, b"1"),
        (CLOSE, 0),
        (OPEN, 0),
        (CLOSE, 0),
        (OPEN, 0),
        (CLOSE, 0),
        (VALUE, 0, INTEGER, b"7"),
        (CLOSE, 3),
        (OPEN, 2),
        (CLOSE, 2),
        END,
    ]


def test_at_the_end_behind_what_is_not_wanted_the_path_is_none():
    """Who compares paths takes the end for no value, in a word of any size."""
    scanner = Scanner((b"a", b"b[]"))
    document = b'{"a":1,"b":[]}'
    scanner.start(bytearray(8), 0, 8)
    scanner.feed(document, 0, len(document))
    assert scanner.next() == VALUE and scanner.path == 0
    assert scanner.next() == END and scanner.path == -1


def test_the_elements_of_a_document_that_is_an_array():
    document = b'[{"a":1},"x",[2],{"a":3}]'
    assert _run(Scanner((b"[].a",)), document) == [
        (VALUE, 0, INTEGER, b"1"),
        (VALUE, 0, INTEGER, b"3"),
        END,
    ]
    assert _run(Scanner((b"[]",)), b'[1,"x"]') == [
        (VALUE, 0, INTEGER, b"1"),
        (VALUE, 0, STRING, b"x"),
        END,
    ]
    assert _run(Scanner((b"[][]",)), b"[[1],2]") == [(VALUE, 0, INTEGER, b"1"), END]


def test_a_value_of_an_unexpected_kind_is_what_it_is():
    scanner = Scanner((b"a", b"b.c", b"d[]", b"f"))
    assert _run(scanner, b'{"a":[1,2],"b":"c","d":{"e":1},"b":["c"],"f":{}}') == [
        (OPEN, 0),
        (CLOSE, 0),
        (OPEN, 3),
        (CLOSE, 3),
        END,
    ]


def test_one_path_for_a_string_or_a_list_of_parts():
    scanner = Scanner((b"content", b"content[].text"))
    assert _run(scanner, b'{"content":"x"}') == [(VALUE, 0, STRING, b"x"), END]
    assert _run(scanner, b'{"content":[{"text":"y"}]}') == [
        (OPEN, 0),
        (VALUE, 1, STRING, b"y"),
        (CLOSE, 0),
        END,
    ]


def test_a_key_given_twice_is_delivered_twice():
    assert _run(Scanner((b"a", b"a.b")), b'{"a":1,"a":{"b":2,"b":3},"a":4}') == [
        (VALUE, 0, INTEGER, b"1"),
        (OPEN, 0),
        (VALUE, 1, INTEGER, b"2"),
        (VALUE, 1, INTEGER, b"3"),
        (CLOSE, 0),
        (VALUE, 0, INTEGER, b"4"),
        END,
    ]


def test_keys_are_compared_without_their_escapes():
    for key in (b"a.b", b"\\u0061", b"\\u00611", b"a\\u0000", b"aa", b"", b"\xc3\xa9", b"A"):
        assert _run(Scanner((b"a", b"a.b")), b'{"' + key + b'":1}')[0] == (
            (VALUE, 0, INTEGER, b"1") if key == b"\\u0061" else END
        ), key
    scanner = Scanner((b"a",))
    for key in (b"x" * 300, "é€😀".encode() * 30, b"aaaaaa\xc3\xa9", b"a\xf0\x9f\x98\x80" * 3):
        document = b'{"' + key + b'":{"a":2},"a":1}'
        for chunk in (1, 7, 1000):
            for size in (4, _SIZE):  # of the values' area, which is not the key's
                events = _run(scanner, document, chunk, size)
                assert events == [(VALUE, 0, INTEGER, b"1"), END], key
    assert _value(b'{"\\u043a\\ud83d\\ude00":1}', "к😀".encode()) == (INTEGER, b"1")
    assert _value(b'{"\\/\\"\\n":1}', b'/"\n') == (INTEGER, b"1")
    assert _value(b'{"x":{"":1}}', b"x.") == (INTEGER, b"1")


def test_keys_that_share_a_beginning_are_told_apart():
    paths = (b"in", b"inner", b"inner.x", b"int", b"i", b"out")
    document = b'{"inner":{"x":1},"inn":2,"i":3,"in":4,"inte":5,"int":6,"innerx":7,"o":8}'
    assert [event[1] for event in _run(Scanner(paths), document) if event != END] == [
        1,
        2,
        1,
        4,
        0,
        3,
    ]


def test_white_space_may_stand_between_all_tokens():
    document = b' \t\r\n{ "a" : [ 1 , 2 ] , "b" : { } , "c" : [ ] } \n'
    assert _run(Scanner((b"a[]",)), document) == [
        (VALUE, 0, INTEGER, b"1"),
        (VALUE, 0, INTEGER, b"2"),
        END,
    ]


# Strings


def test_all_escapes_are_decoded():
    assert _value(b'{"a":"\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\u20AC\\u0000"}') == (
        STRING,
        b'"\\/\b\f\n\r\tA\xc3\xa9\xe2\x82\xac\0',
    )
    ends = "\x7f\u0080\u07ff\u0800\uffff".encode()  # of what takes one, two and three bytes
    assert _value(b'{"a":"\\u007f\\u0080\\u07ff\\u0800\\uffff"}') == (STRING, ends)


def test_surrogate_pairs_are_joined():
    assert _value(b'{"a":"<\\ud83d\\ude00>"}') == (STRING, "<😀>".encode())
    assert _value(b'{"a":"\\uD800\\uDC00\\uDBFF\\uDFFF"}') == (
        STRING,
        b"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf",
    )


def test_half_a_surrogate_pair_is_refused_in_wanted_strings_and_compared_keys():
    for text, offset in (
        (b"\\ud83d", 12),
        (b"\\ud83dx", 12),
        (b"\\ud83d\\n", 13),
        (b"\\ud83d\\ud83d", 17),
        (b"\\ud83d\\u0041", 17),
        (b"\\ude00", 11),
        (b"\\udfff", 11),
    ):
        error = _error(b'{"a":"' + text + b'"}')
        assert error.what == "JSON: half of a surrogate pair", error
        assert error.offset == offset, (text, error)
        assert _error(b'{"' + text + b'":1}').what == "JSON: half of a surrogate pair"
        assert _run(Scanner((b"a",)), b'{"b":"' + text + b'"}') == [END]
        assert _run(Scanner((b"a",)), b'{"b":{"' + text + b'":1}}') == [END]


def test_invalid_utf8_is_refused_in_wanted_strings_and_compared_keys():
    for text in (
        b"\x80",
        b"\xbf",
        b"\xc3",
        b"\xc3\xc3",
        b"\xc0\x80",
        b"\xc1\xbf",
        b"\xe0\x9f\xbf",
        b"\xe2\x82",
        b"\xed\xa0\x80",
        b"\xed\xbf\xbf",
        b"\xf0\x8f\xbf\xbf",
        b"\xf0\x9f\x98",
        b"\xf4\x90\x80\x80",
        b"\xf5\x80\x80\x80",
        b"\xfe",
        b"\xff",
        b"\x80\x80",
        b"\xbf\xbf",
        b"\xf8\x90\x80\x80",
        b"\xfc\x90\x80\x80",
    ):
        for document in (b'{"a":"x' + text + b'"}', b'{"' + text + b'":1}'):
            for chunk in (1, 100):
                error = _error(document, chunk=chunk)
                assert error.what == "JSON: not UTF-8", document
                at = document.find(text)
                assert at <= error.offset <= at + len(text), (document, error)
        assert _run(Scanner((b"a",)), b'{"b":"' + text + b'"}') == [END]


def test_all_lengths_of_utf8_pass():
    for text in (
        "\x7f\u0080\u07ff\u0800\ud7ff\ue000\uffff".encode(),
        b"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf",
    ):
        for chunk in (1, 2, 3, 100):
            assert _value(b'{"a":"' + text + b'"}', chunk=chunk) == (STRING, text)


def test_a_string_longer_than_the_area_comes_in_pieces_of_whole_characters():
    scanner = Scanner((b"a",))
    assert _run(scanner, b'{"a":"012\x7f\x7f56789"}', size=4) == [
        (PIECE, 0, STRING, b"012\x7f"),
        (PIECE, 0, STRING, b"\x7f567"),
        (VALUE, 0, STRING, b"89"),
        END,
    ]
    assert _run(scanner, '{"a":"xé€😀y"}'.encode(), size=4) == [
        (PIECE, 0, STRING, "xé".encode()),
        (PIECE, 0, STRING, "€".encode()),
        (PIECE, 0, STRING, "😀".encode()),
        (VALUE, 0, STRING, b"y"),
        END,
    ]
    for tail in ("é", "€", "😀"):
        assert _run(scanner, ('{"a":"xyz%s"}' % tail).encode(), size=4) == [
            (PIECE, 0, STRING, b"xyz"),
            (VALUE, 0, STRING, tail.encode()),
            END,
        ]
    assert _run(scanner, b'{"a":"xyz\\ud83d\\ude00\\n"}', size=5) == [
        (PIECE, 0, STRING, b"xyz"),
        (VALUE, 0, STRING, "😀\n".encode()),
        END,
    ]


def test_a_string_that_fills_the_area_exactly_is_one_value():
    for text in (b"0123", "xyé".encode(), "😀".encode()):
        assert _value(b'{"a":"' + text + b'"}', size=4) == (STRING, text)
    assert _value(b'{"a":"\\u20acx"}', size=4) == (STRING, "€x".encode())


def test_the_output_may_go_elsewhere_after_every_value_and_piece():
    scanner = Scanner((b"a", b"b"))
    first = bytearray(4)
    second = bytearray(8)
    document = b'{"a":"0123456","b":"xy"}'
    scanner.start(first, 0, 4)
    scanner.feed(document, 0, len(document))
    assert scanner.next() == PIECE and first == b"0123"
    scanner.out(second, 3, 5)
    assert scanner.next() == VALUE and scanner.length == 3
    assert second == b"\0\0\x00456\0\0" and first == b"0123"
    scanner.out(second, 0, 8)
    assert scanner.next() == VALUE and second[:2] == b"xy"


def test_an_area_may_be_redirected_while_a_key_is_being_read():
    scanner = Scanner((b"abc",))
    out = bytearray(8)
    scanner.start(bytearray(8), 0, 8)
    scanner.feed(b'{"ab', 0, 4)
    assert scanner.next() == MORE
    scanner.out(out, 2, 6)
    scanner.feed(b'c":"xyz"}', 0, 9)
    assert scanner.next() == VALUE and scanner.length == 3 and out[2:5] == b"xyz"


def test_nothing_is_written_outside_the_area():
    out = bytearray(b"#" * 12)
    scanner = Scanner((b"a",))
    document = '{"a":"0123456789😀€😀 and more"}'.encode()
    scanner.start(out, 4, 4)
    scanner.feed(document, 0, len(document))
    while scanner.next() != END:
        assert out[:4] == b"####" and out[8:] == b"####"


# Numbers


def test_numbers_arrive_as_they_were_written():
    for text in (
        b"0",
        b"-0",
        b"7",
        b"4503599627370496",
        b"-9223372036854775808",
        b"18446744073709551615",
        b"123456789012345678901234",
    ):
        assert _value(b'{"a":' + text + b"}") == (INTEGER, text)
    for text in (
        b"0.5",
        b"-0.0",
        b"1e5",
        b"1E+5",
        b"12.25e-03",
        b"0e0",
        b"1.0000000000000000000001",
    ):
        assert _value(b'{"a":' + text + b"}") == (NUMBER, text)


def test_a_number_of_more_than_24_bytes_is_refused_if_wanted():
    text = b"1234567890123456789012345"
    error = _error(b'{"a":' + text + b"}")
    assert error.what == "JSON: a number is too long" and error.offset == 29
    assert _run(Scanner((b"a",)), b'{"b":' + text * 40 + b"}") == [END]


def test_a_number_longer_than_the_area_is_refused():
    error = raises(ParseError, lambda: _value(b'{"a":12345}', size=4))
    assert error.what == "JSON: a number is too long"
    assert _value(b'{"a":1234}', size=4) == (INTEGER, b"1234")


# The end of a document


def test_a_document_may_be_one_scalar():
    for document in (b"0", b"1", b"-0.5e7", b'"x"', b"true", b"null", b" 12 "):
        _run(Scanner((b"a",)), document)
        _run(Scanner((b"a",)), document, chunk=1)


def test_finish_refuses_a_document_that_ends_too_early():
    whole = b'{"a":[1,{"b":"x\\u0041"}],"c":tru'
    for n in range(len(whole)):
        error = _error(whole[:n])
        assert str(error) == "JSON: the document ends too early at byte %d" % n
    for document in (b"-", b"1.", b"1e", b"1e+", b"tru", b'"'):
        assert _error(document).what == "JSON: the document ends too early"
    raises(ParseError, Scanner((b"a",)).finish)


def test_after_the_end_only_white_space_may_follow():
    scanner = Scanner((b"a",))
    out = bytearray(8)
    scanner.start(out, 0, 8)
    scanner.feed(b"{} \n", 0, 4)
    assert scanner.next() == END
    assert scanner.next() == MORE
    scanner.feed(b"\t", 0, 1)
    assert scanner.next() == MORE
    scanner.finish()
    scanner.feed(b" {", 0, 2)
    error = raises(ParseError, scanner.next)
    assert error.offset == 6


def test_a_scanner_that_failed_goes_on_failing_until_it_is_started():
    scanner = Scanner((b"a",))
    out = bytearray(8)
    scanner.start(out, 0, 8)
    scanner.feed(b"{]", 0, 2)
    assert raises(ParseError, scanner.next).offset == 1
    assert raises(ParseError, scanner.next).offset == 1
    raises(ParseError, scanner.finish)
    scanner.feed(b"{}", 0, 2)
    raises(ParseError, scanner.next)
    assert _run(scanner, b'{"a":1}') == [(VALUE, 0, INTEGER, b"1"), END]


def test_a_document_abandoned_in_the_middle_leaves_no_trace():
    scanner = Scanner((b"a", b"b[].a", b"zz", b"b"))
    for cut in (
        b'{"a":"xy',
        b'{"b":[{',
        b'{"zz',
        b'{"x":[[[',
        b'{"a":"\\ud83d',
        b'{"a":-',
        b'{"a":"\xf0',
    ):
        for document, events in (
            (
                b'{"zz":1,"a":"\\u0041"}',
                [(VALUE, 2, INTEGER, b"1"), (VALUE, 0, STRING, b"A"), END],
            ),
            (b"[[1]]", [END]),
            (b"1]", None),
            (b"1}", None),
        ):
            scanner.start(bytearray(8), 0, 8)
            scanner.feed(cut, 0, len(cut))
            while scanner.next():
                pass
            if events:
                assert _run(scanner, document) == events, (cut, document)
            else:
                fault = raises(ParseError, lambda document=document: _run(scanner, document))
                assert fault.offset == 1, (cut, document)


def test_offset_tells_how_much_of_the_document_was_used():
    scanner = Scanner((b"a", b"b"))
    scanner.start(bytearray(8), 0, 8)
    scanner.feed(b'##{"a":1,', 2, 9)
    assert scanner.next() == VALUE and scanner.offset == 6
    assert scanner.next() == MORE
    scanner.feed(b' "b":"x"}', 1, 9)
    assert scanner.next() == VALUE and scanner.offset == 14
    assert scanner.next() == END and scanner.offset == 15


# Grammar

_REFUSED = (
    # document, offset of the offending byte
    (b"}", 0),
    (b"]", 0),
    (b",", 0),
    (b":", 0),
    (b"x", 0),
    (b"'a'", 0),
    (b"z", 0),
    (b"Z", 0),
    (b"\xef\xbb\xbf{}", 0),
    (b"\x00", 0),
    (b"\x0b1", 0),
    (b"\xa01", 0),
    (b"{,}", 1),
    (b"{]", 1),
    (b"[}", 1),
    (b"[,1]", 1),
    (b"[1,]", 3),
    (b"[1 2]", 3),
    (b"[1:2]", 2),
    (b"[1}", 2),
    (b"[\x9d", 1),
    (b"{1:2}", 1),
    (b'{"a"}', 4),
    (b'{"a",1}', 4),
    (b'{"a":}', 5),
    (b'{"a":1,}', 7),
    (b'{"a":1 "b":2}', 7),
    (b'{"a":1]', 6),
    (b'{"a"::1}', 5),
    (b'{"b":{]}', 6),
    (b'{"b":[}]', 6),
    (b'{"b":[1}}', 7),
    (b"{'a':1}", 1),
    (b"{a:1}", 1),
    (b"{}}", 2),
    (b"{}{}", 2),
    (b"[]]", 2),
    (b"[] x", 3),
    (b'"a" "b"', 4),
    (b"1 2", 2),
    (b"tru e", 3),
    (b"trUe", 2),
    (b"truee", 4),
    (b"nul]", 3),
    (b"fals\x00", 4),
    (b"None", 0),
    (b"NaN", 0),
    (b"Infinity", 0),
    (b"-Infinity", 1),
    (b"+1", 0),
    (b".5", 0),
    (b"[01]", 2),
    (b"[-01]", 3),
    (b"[00]", 2),
    (b"[-]", 2),
    (b"[--1]", 2),
    (b"[1.]", 3),
    (b"[1.e5]", 3),
    (b"[1..5]", 3),
    (b"[1.5.5]", 4),
    (b"[1e]", 3),
    (b"[1d5]", 2),
    (b"[1D5]", 2),
    (b"[1e+]", 4),
    (b"[1e+-5]", 4),
    (b"[1e5.5]", 4),
    (b"[1e5e5]", 4),
    (b"[1-2]", 2),
    (b"[/1]", 1),
    (b"[1/2]", 2),
    (b"[0x10]", 2),
    (b"[1_000]", 2),
    (b'["\\x"]', 3),
    (b'["\\\'"]', 3),
    (b'["\\\x00"]', 3),
    (b'["\\\n"]', 3),
    (b'["\\U0041"]', 3),
    (b'["\\u004"]', 7),
    (b'["\\u00g1"]', 6),
    (b'["\\u-041"]', 4),
    (b'["\\u:000"]', 4),
    (b'["\\u@000"]', 4),
    (b'["\\u`000"]', 4),
    (b'["\\u 000"]', 4),
    (b'["\x00"]', 2),
    (b'["\x1f"]', 2),
    (b'["a\nb"]', 3),
    (b'{"\t":1}', 2),
)


def test_a_document_that_failed_cannot_be_continued():
    scanner = Scanner((b"a",))
    scanner.start(bytearray(8), 0, 8)
    for document, offset in ((b'{"b":1,,', 7), (b'"a":2}', 7), (b"{}", 7)):
        scanner.feed(document, 0, len(document))
        error = raises(ParseError, scanner.next)
        assert error.what == "JSON: this byte cannot stand here" and error.offset == offset


def test_every_fault_is_found_at_its_byte_wanted_or_not_in_any_division():
    for document, offset in _REFUSED:
        for paths in ((b"x",), (b"a", b"b", b"[]", b"b[]", b"b.c")):
            for chunk in (1, 2, 3, 100):
                error = _error(document, paths, chunk)
                assert error.offset == offset, (document, paths, chunk, str(error))
                control = document[offset] < 0x20 and b'"' in document[:offset]
                if control and document[offset - 1] != 0x5C:
                    assert error.what == "JSON: a control character in a string", document
                else:
                    assert error.what == "JSON: this byte cannot stand here", document


def test_a_fault_in_a_wanted_value_is_found_as_in_a_skipped_one():
    for document, offset in _REFUSED:
        if document[0] == 0x5B and document[1] in b'"-0123456789' and document[-1] == 0x5D:
            member = b'{"a":' + document[1:]
            for path in (b"a", b"b"):
                error = _error(member, (path,))
                assert error.offset == offset + 4, (document, path)


# Depth and length


def _feed_all(scanner, piece, times):
    events = []
    for _ in range(times):
        scanner.feed(piece, 0, len(piece))
        while True:
            event = scanner.next()
            if event == MORE:
                break
            events.append(event)
    return events


def test_a_hundred_thousand_nested_brackets_are_skipped_when_closed():
    for opening, closing in ((b"[" * 1000, b"]" * 1000), (b'{"a":' * 1000, b"}" * 1000)):
        scanner = Scanner((b"x", b"y"))
        scanner.start(bytearray(8), 0, 8)
        _feed_all(scanner, b'{"x":1,"z":', 1)
        assert _feed_all(scanner, opening, 100) == []
        _feed_all(scanner, b"1" if opening[0] == 0x7B else b"", 1)
        assert _feed_all(scanner, closing, 100) == []
        assert _feed_all(scanner, b',"y":2}', 1) == [VALUE, END]
        scanner.finish()


def test_a_hundred_thousand_nested_brackets_are_refused_when_truncated():
    scanner = Scanner((b"x",))
    scanner.start(bytearray(8), 0, 8)
    _feed_all(scanner, b"[" * 1000, 100)
    assert raises(ParseError, scanner.finish).offset == 100000
    _feed_all(scanner, b"]" * 999, 100)
    assert raises(ParseError, scanner.finish).offset == 199900
    assert _feed_all(scanner, b"]" * 100, 1) == [END]
    scanner.finish()


def test_brackets_are_paired_down_to_256_levels_and_counted_below():
    scanner = Scanner((b"x",))
    for depth in (1, 2, 8, 9, 31, 32, 33, 255, 256):
        good = b"[" * (depth - 1) + b"{" + b"}" + b"]" * (depth - 1)
        assert _run(scanner, good) == [END]
        bad = b"[" * (depth - 1) + b"{" + b"]" * depth
        assert _error(bad).offset == depth
        bad = b'{"a":' * (depth - 1) + b"[" + b"}" * depth
        assert _error(bad).offset == 5 * (depth - 1) + 1
    loose = b"[" * 256 + b'{"]":nonsense "\\"[" Zz|^~!: ]' + b"]" * 256
    assert _run(scanner, loose) == [END]
    assert _run(scanner, loose, chunk=1) == [END]
    assert _error(b"[" * 256 + b'{"\x01"}' + b"]" * 256).offset == 258
    assert _error(b"[" * 257 + b"]" * 256 + b"}").offset == 513


def test_after_a_deep_place_the_kinds_of_the_outer_levels_are_known_again():
    inner = b"[" * 300 + b"]" * 300
    document = b'{"p":[{"q":' + inner + b',"a":1}],"b":2}'
    assert _run(Scanner((b"p[].a", b"b")), document) == [
        (VALUE, 0, INTEGER, b"1"),
        (VALUE, 1, INTEGER, b"2"),
        END,
    ]


def test_the_kind_of_level_256_is_known_again_after_level_257():
    for outer, opening, closing in ((b"[", b'{"a":', b"}"), (b"[", b"[", b"]")):
        for inner in (b"[1]", b"[]"):
            for more in (b"", b',"b":1' if closing == b"}" else b",1"):
                document = outer * 255 + opening + inner + more + closing + b"]" * 255
                assert _run(Scanner((b"x",)), document) == [END], document
    assert _error(b'{"a":' * 255 + b"[[1]}" + b"}" * 255).offset == 5 * 255 + 4
    assert _error(b"[" * 255 + b'{"a":[1]]' + b"]" * 255).offset == 255 + 8


def test_keys_in_what_is_skipped_stay_unread_after_an_inner_container():
    document = b'{"b":{"x":{},"\\ud83d":1,"y":[[]],"\xff":[{"\xff":2}]},"a":1}'
    assert _run(Scanner((b"a",)), document) == [(VALUE, 0, INTEGER, b"1"), END]


def test_two_megabytes_of_an_unknown_field_pass_in_pieces_without_allocation():
    scanner = Scanner((b"a",))
    out = bytearray(8)
    piece = bytearray(b"lorem ipsum dolor sit amet \\n\\u00e9 " * 28)
    scanner.start(out, 0, 8)

    def run():
        head = b'{"unknown":{"text":"'
        scanner.feed(head, 0, 20)
        assert scanner.next() == MORE
        for _ in range(2100):
            scanner.feed(piece, 0, 1008)
            assert scanner.next() == MORE
        tail = b'"},"a":1}'
        scanner.feed(tail, 0, 9)
        assert scanner.next() == VALUE and out[0] == 0x31
        assert scanner.next() == END
        assert scanner.offset == 20 + 2100 * 1008 + 9
        scanner.finish()

    heap_locked(run)


def test_a_whole_run_with_every_kind_of_event_allocates_nothing():
    scanner = Scanner((b"ok", b"r[]", b"r[].text", b"r[].id", b"r[].n", b"r[].x"))
    document = (
        b'{"ok":true,"r":[{"text":"a\\n\\ud83d\\ude00 long enough for pieces \xc3\xa9",'
        b'"id":9007199254740993,"n":-1.5e-7,"x":null,"y":[{},[],"\\u0041",1e9]},'
        b'{"x":false,"x":"","y":"z"}]} '
    )
    first = bytearray(32)
    second = bytearray(32)
    seen = bytearray(6)

    def run():
        for chunk in range(1, 40):
            scanner.start(first, 0, 24)
            pos = 0
            while pos < len(document):
                end = min(pos + chunk, len(document))
                scanner.feed(document, pos, end)
                pos = end
                while True:
                    event = scanner.next()
                    seen[event] = 1
                    if event == MORE:
                        break
                    if event == PIECE:
                        scanner.out(second, 2, 24)
            scanner.finish()

    heap_locked(run)
    assert seen == b"\x01\x01\x01\x01\x01\x01"


# Divisions

_TRICKY = (
    b'{"ok":true,"a":"\\ud83d\\ude00\\\\\\"\\u00e9","r":[{"id":-12.5e+3,"t":"\xf0\x9f\x98\x80\xc3\xa9x"}]}',
    b' { "r" : [ { } , { "id" : 0 } , null , false ] , "\\u0061" : "" } ',
    b'{"skip":{"a":["\\"","\\\\",{"b":"}]"}],"t":-0.1e-1},"a":"0123456789abcdef","r":[]}',
    b'{"r":[[{"id":1}],"x",{"t":{"id":2},"id":3}],"oka":1,"o":2,"ok":4503599627370496}',
)


def _join(events):
    """The same events with the pieces of a string put together."""
    joined = []
    text = b""
    for event in events:
        if event != END and event[0] == PIECE:
            text += event[3]
        elif event != END and event[0] == VALUE:
            joined.append(event[:3] + (text + event[3],))
            text = b""
        else:
            joined.append(event)
    return joined


def test_every_chunk_size_gives_the_same_events():
    scanner = Scanner((b"ok", b"a", b"r[].id", b"r[].t", b"r[]"))
    for document in _TRICKY:
        whole = _run(scanner, document)
        for chunk in range(1, len(document) + 1):
            assert _run(scanner, document, chunk) == whole
            assert _join(_run(scanner, document, chunk, 24)) == _join(whole)


# Construction


def test_paths_that_make_no_sense_are_refused():
    raises(ValueError, lambda: Scanner((b"",)))
    raises(ValueError, lambda: Scanner((b"a", b"a")))
    raises(ValueError, lambda: Scanner((b"a." * 16 + b"a",)))
    raises(ValueError, lambda: Scanner((b"a[]" + b"[]" * 16,)))
    raises(ValueError, lambda: Scanner([b"x%d" % n for n in range(128)]))


def test_a_path_may_be_sixteen_levels_deep_and_there_may_be_127():
    path = b"a." * 15 + b"a"
    document = b'{"a":' * 16 + b"{}" + b"}" * 16
    assert _run(Scanner((path,)), document) == [(OPEN, 0), (CLOSE, 0), END]
    scanner = Scanner([b"x%d" % n for n in range(127)])
    for n in (0, 9, 10, 99, 126):
        assert _run(scanner, b'{"x%d":1}' % n)[0] == (VALUE, n, INTEGER, b"1")


def test_paths_beside_one_of_elements_lead_back_to_where_they_begin():
    scanner = Scanner(b"a.text.text a.text.\xff a.text a.\xff a.left a.right b".split())
    tree = (
        b'{"a":{"left":[{"text":"1","url":"","left":[[{"right":{"text":"2"}}]]}],"x":{"text":"no"},'
        b'"text":["3",{"text":{"left":"no","text":["4","5"]}},"6"],"":"no","right":"7"},"b":"8"}'
    )
    for chunk in (1, 2, 7, 1000):
        events = _run(scanner, tree, chunk)
        assert [one[3] for one in events if one != END and one[0] == VALUE] == [
            b"%d" % number for number in range(1, 9)
        ], chunk


def test_what_leads_back_ends_after_33_levels():
    scanner = Scanner((b"a.a", b"a.\xff", b"b"))
    for depth in range(1, 300):
        events = _run(scanner, b'{"a":' * depth + b'"x"' + b"}" * depth)
        found = [one for one in events if one != END and one[0] == VALUE]
        assert len(found) == (1 < depth <= 33), depth
        document = b'{"a":' * depth + b"1" + b"}" * (depth - 1) + b',"b":2}'
        events = _run(scanner, document)
        assert events[-2][3] == b"2" and scanner.offset == len(document)
        inner = min(max(depth - 2, 0), 32)  # all but a.a's last are objects
        assert events[:inner] == [(OPEN, 0)] * inner, depth
        assert events[-2 - inner : -2] == [(CLOSE, 0)] * inner, depth


def test_what_leads_back_closes_as_it_opened_however_deep_it_lies():
    scanner = Scanner((b"a.text.text.b", b"a.text.text", b"a.text", b"a.text.\xff", b"a.\xff"))
    for depth in range(60):
        tree = b"[" * depth + b'{"text":[{"text":[{"b":[0]}]}]}' + b"]" * depth
        document = b'{"a":' + tree + b"}"
        stack = []
        for event, path, *_ in _run(scanner, document)[:-1]:
            if event == OPEN:
                stack.append(path)
            elif event == CLOSE:
                assert stack.pop() == path, depth
        assert not stack and scanner.offset == len(document), depth


def test_an_element_and_a_member_of_one_name_beside_a_hundred_other_paths():
    paths = [b"a[].some%d" % n for n in range(100)] + [b"a.b"]
    scanner = Scanner(paths)
    assert _run(scanner, b'{"a":[{"some77":1}]}') == [(VALUE, 77, INTEGER, b"1"), END]
    assert _run(scanner, b'{"a":{"b":2}}') == [(VALUE, 100, INTEGER, b"2"), END]
    scanner = Scanner([b"a.b.some%d" % n for n in range(100)] + [b"a.c", b"a[]"])
    assert _run(scanner, b'{"a":[3],"a":{"c":4}}') == [
        (VALUE, 101, INTEGER, b"3"),
        (VALUE, 100, INTEGER, b"4"),
        END,
    ]


def test_scanners_do_not_disturb_each_other():
    one = Scanner((b"a",))
    two = Scanner((b"b[]",))
    one_out = bytearray(8)
    two_out = bytearray(8)
    one.start(one_out, 0, 8)
    two.start(two_out, 0, 8)
    for i in range(10):
        one.feed(b'{"a":"xy"}', i, i + 1)
        two.feed(b'{"b":[12]}', i, i + 1)
        while one.next() or two.next():
            pass
    assert one_out[:2] == b"xy" and two_out[:2] == b"12"
    one.finish()
    two.finish()


# Random documents

_WORDS = ("a", "ab", "b", "r", "id", "t", "ok", "é", "😀", "")
_TEXTS = ("", "x", "0123456789 0123456789", '"\\/\n\t\x01', "é€", "😀", "null", "[]{}")
_PATHS = (b"a", b"ab", b"ok", b"r[]", b"r[].id", b"r[].t", b"a.b", b"b[][]", "é".encode())


def _make(depth):
    kind = random.randrange(9 if depth else 6)
    if kind < 2:
        return random.choice(_TEXTS)
    if kind < 4:
        return random.choice((0, -1, 12345, 1073741824, 9007199254740993))
    if kind < 6:
        return random.choice((True, False, None))
    if kind < 8:
        return {random.choice(_WORDS): _make(depth - 1) for _ in range(random.randrange(5))}
    return [_make(depth - 1) for _ in range(random.randrange(4))]


def _expect(value, where, events):
    """The events that a value at a path gives, by the plainest means."""
    path = _PATHS.index(where) if where in _PATHS else -1
    if isinstance(value, (dict, list)):
        if path >= 0:
            events.append((OPEN, path))
        if isinstance(value, dict):
            for key in value:
                name = key.encode()
                _expect(value[key], name if where is None else where + b"." + name, events)
        else:
            for element in value:
                _expect(element, where + b"[]", events)
        if path >= 0:
            events.append((CLOSE, path))
    elif path >= 0:
        if isinstance(value, str):
            events.append((VALUE, path, STRING, value.encode()))
        elif isinstance(value, bool) or value is None:
            events.append((VALUE, path, NULL if value is None else TRUE if value else FALSE, b""))
        else:
            events.append((VALUE, path, INTEGER, str(value).encode()))


def test_the_values_of_random_documents_are_those_that_json_wrote():
    random.seed(11)
    scanner = Scanner(_PATHS)
    for _ in range(1500):
        value = {random.choice(_WORDS): _make(4) for _ in range(4)}
        events = []
        _expect(value, None, events)
        events.append(END)
        document = json.dumps(value).encode()
        chunk = random.randrange(1, 40)
        assert _join(_run(scanner, document, chunk, 24)) == events, document


def _verdict(scanner, document, chunk):
    try:
        return _run(scanner, document, chunk, 24)
    except Exception as error:  # the plain scanner has an error class of its own import
        return str(error)


def test_plain_bytecode_gives_the_same_events_and_errors_on_random_broken_documents():
    random.seed(12)
    native = Scanner(_PATHS)
    same = plain("thimble/core/scan.py")["Scanner"](_PATHS)
    refused = 0
    bytes_of_interest = b'{}[]",:\\/0-+.eEutfn \x00\x80\xc3\xed\xf0\xff'
    for _ in range(4000):
        document = bytearray(json.dumps(_make(4)).encode())
        if random.randrange(4) == 0:
            document = bytearray(random.choice(_TRICKY))
        for _ in range(random.randrange(3)):
            at = random.randrange(len(document))
            byte = random.choice(bytes_of_interest)
            kind = random.randrange(3)
            if kind == 0:
                document[at] = byte
            elif kind == 1:
                document = document[:at] + bytes([byte]) + document[at:]
            else:
                document = document[:at] + document[at + 1 :] + b" "
        chunk = random.randrange(1, 30)
        verdict = _verdict(native, document, chunk)
        assert verdict == _verdict(same, document, chunk), document
        refused += isinstance(verdict, str)
    assert 800 < refused < 3500, refused
