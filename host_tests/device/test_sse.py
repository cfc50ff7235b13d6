"""The text/event-stream reader, in any division of the input."""

import random

from kit import heap_locked, plain
from thimble.core.sse import DATA, DONE, EVENT, MORE, Sse


def _run(stream, chunk=1000, sse=None):
    """The data of a stream's events, or DONE."""
    sse = sse or Sse()
    sse.start()
    events = []
    data = b""
    pos = 0
    while pos < len(stream):
        end = min(pos + chunk, len(stream))
        sse.feed(stream, pos, end)
        pos = end
        while True:
            what = sse.next()
            if what == MORE:
                break
            if what == DATA:
                assert sse.end > sse.pos
                data += bytes(sse.buf[sse.pos : sse.end])
            elif what == EVENT:
                events.append(data)
                data = b""
            else:
                assert data == b""
                events.append(DONE)
    return events


def _in_any_division(stream):
    """The events, which must be the same for every chunk size."""
    whole = _run(stream)
    for chunk in range(1, len(stream)):
        assert _run(stream, chunk) == whole, chunk
    return whole


def test_an_event_is_its_data_up_to_a_blank_line():
    assert _in_any_division(b"data: hello\n\ndata: world\n\n") == [
        b"hello",
        b"world",
    ]


def test_a_field_error_is_read_as_data():
    stream = b'error: {"code":500}\n\nerrors: a\nerr: b\nerror\ndata: c\n\n'
    assert _in_any_division(stream) == [b'{"code":500}', b"\nc"]


def test_lines_end_with_lf_cr_or_crlf():
    for end in (b"\n", b"\r", b"\r\n"):
        stream = end.join((b"data: a", b"data: b", b"", b": c", b"data: d", b"", b""))
        assert _in_any_division(stream) == [b"a\nb", b"d"], end


def test_the_line_ends_of_one_stream_may_differ():
    stream = b"data: a\rdata: b\r\ndata: c\n\r\ndata: d\n\rdata: e\r\r"
    assert _in_any_division(stream) == [b"a\nb\nc", b"d", b"e"]


def test_cr_and_lf_in_two_pieces_are_one_line_end():
    sse = Sse()
    sse.feed(b"data: a\r", 0, 8)
    assert sse.next() == DATA and sse.next() == MORE
    sse.feed(b"\ndata: b\r", 0, 9)
    assert sse.next() == DATA and (sse.pos, sse.end) == (6, 7)
    assert sse.buf[6:7] == b"\n", "the line feed between two lines"
    assert sse.next() == DATA and sse.buf[sse.pos : sse.end] == b"b"
    assert sse.next() == MORE
    sse.feed(b"\n", 0, 1)
    assert sse.next() == MORE
    sse.feed(b"\r", 0, 1)
    assert sse.next() == EVENT
    sse.feed(b"\n", 0, 1)
    assert sse.next() == MORE


def test_an_event_ends_with_the_cr_of_its_blank_line():
    sse = Sse()
    sse.feed(b"data: a\r\r", 0, 9)
    assert sse.next() == DATA and sse.next() == EVENT


def test_a_byte_order_mark_at_the_start_is_skipped():
    assert _in_any_division(b"\xef\xbb\xbfdata: a\n\n") == [b"a"]
    assert _in_any_division(b"\xef\xbb\xbf\ndata: a\n\n") == [b"a"]
    assert _in_any_division(b"\xef\xbbdata: a\n\ndata: b\n\n") == [b"b"]
    assert _in_any_division(b"\xef\ndata: b\n\n") == [b"b"]
    assert _in_any_division(b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\n") == []
    assert _in_any_division(b"data: \xef\xbb\xbfa\n\n") == [b"\xef\xbb\xbfa"]


def test_comments_and_other_fields_are_skipped():
    stream = (
        b": keep-alive\n\n:\n\nid: 7\nretry: 100\ndata: a\ndat: x\ndatax: x\ndata x: x\n"
        b"fata: x\ndata\0event: x\n"
        b"DATA: x\n data: x\nd\nev\nid\nx\n: data: x\n\nevent: e\n\n"
    )
    assert _in_any_division(stream) == [b"a"]


def test_one_space_after_the_colon_belongs_to_the_field():
    stream = b"data:a\n\ndata: b\n\ndata:  c\n\ndata:\td\n\ndata: e: f \n\n"
    assert _in_any_division(stream) == [b"a", b"b", b" c", b"\td", b"e: f "]


def test_lines_of_data_are_joined_by_a_line_feed():
    assert _in_any_division(b"data: a\ndata:\ndata: b\ndata\ndata\n\n") == [b"a\n\nb\n\n"]


def test_data_may_be_empty_but_without_data_there_is_no_event():
    assert _in_any_division(b"data\n\n") == [b""]
    assert _in_any_division(b"data:\n\n") == [b""]
    assert _in_any_division(b"data: \n\n") == [b""]
    assert _in_any_division(b"data\ndata\n\n") == [b"\n"]
    assert _in_any_division(b"event: x\n\n\n\ndata: a\n\n") == [b"a"]


def test_an_events_name_changes_nothing():
    for name in (b"event: x\n", b"event\n", b"event:\n", b"e\n"):
        assert _in_any_division(name + b"data: a\n" + name + b"\n" + name + b"\n") == [b"a"]


def test_done_is_told_apart_from_data():
    assert _in_any_division(b"data: [DONE]\n\n") == [DONE]
    assert _in_any_division(b"data:[DONE]\r\n\r\n") == [DONE]
    assert _in_any_division(b"data: a\n\ndata: [DONE]\n\ndata: b\n\n") == [
        b"a",
        DONE,
        b"b",
    ]


def test_what_only_begins_like_done_is_data():
    for data in (
        b"[",
        b"[D",
        b"[DONE",
        b"[DONE]x",
        b"[DONE] ",
        b" [DONE]",
        b"[DONX]",
        b"[[DONE]",
        b"[[",
        b"[]",
        b"[done]",
        b'[{"a":1}]',
    ):
        assert _in_any_division(b"data: " + data + b"\n\n") == [data], data
    for data in (b"[DONE]\n", b"\n[DONE]", b"[DONE]\n[DONE]", b"[D\nONE]", b"a\n[DONE]", b"[\n["):
        stream = b"".join(b"data: " + line + b"\n" for line in data.split(b"\n")) + b"\n"
        assert _in_any_division(stream) == [data], data


def test_an_event_that_the_end_of_the_stream_cuts_off_is_none():
    for stream in (b"data: a", b"data: a\n", b"data: [DONE]\n", b"data: a\r\n"):
        assert _in_any_division(stream) == []


def test_start_forgets_the_stream_before():
    sse = Sse()
    for cut in (
        b"dat",
        b"data: [DO",
        b"data: a\r",
        b"event: x\n",
        b": c",
        b"\xef\xbb",
        b"data: a\n",
    ):
        sse.start()
        sse.feed(cut, 0, len(cut))
        while sse.next():
            pass
        assert _run(b"\xef\xbb\xbfdata: b\n\n", 1000, sse) == [b"b"], cut


def test_data_is_a_view_into_what_was_fed():
    sse = Sse()
    stream = bytearray(b"....data: hello\n\n....")
    sse.feed(stream, 4, 17)
    assert sse.next() == DATA
    assert sse.buf is stream and (sse.pos, sse.end) == (10, 15)
    assert sse.next() == EVENT and sse.next() == MORE


def test_a_line_of_a_megabyte_passes_without_allocation():
    sse = Sse()
    piece = bytearray(b"x" * 1024)
    sse.feed(b"data: ", 0, 6)
    sse.next()

    def run():
        for _ in range(1024):
            sse.feed(piece, 0, 1024)
            assert sse.next() == DATA and sse.end - sse.pos == 1024
            assert sse.next() == MORE
        sse.feed(b"\n\n", 0, 2)
        assert sse.next() == EVENT

    heap_locked(run)


def test_a_whole_stream_allocates_nothing():
    sse = Sse()
    stream = (
        b"\xef\xbb\xbf: hi\r\nevent: delta\r\nid: 1\r\ndata: a\r\ndata: b\r\n\r\n"
        b"data: [DO\n\ndata: [DONE]\n\n"
    )
    seen = bytearray(4)

    def run():
        for chunk in range(1, 80):
            sse.start()
            pos = 0
            while pos < len(stream):
                end = min(pos + chunk, len(stream))
                sse.feed(stream, pos, end)
                pos = end
                while True:
                    what = sse.next()
                    seen[what] = 1
                    if what == MORE:
                        break

    heap_locked(run)
    assert seen == b"\x01\x01\x01\x01"


def _reference(stream):
    """The same by the plainest means: the specification's own steps, on a whole stream, but that a
    field `error` is one `data`."""
    if stream[:3] == b"\xef\xbb\xbf":
        stream = stream[3:]
    lines = stream.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    events = []
    data = b""
    for line in lines[:-1]:
        if not line:
            if data:
                data = data[:-1]
                events.append(DONE if data == b"[DONE]" else data)
            data = b""
            continue
        field, _, value = line.partition(b":")
        if value[:1] == b" ":
            value = value[1:]
        if field in (b"data", b"error"):
            data += value + b"\n"
    return events


_PIECES = (
    b"data: ",
    b"data:",
    b"data",
    b"error: ",
    b"error",
    b"err",
    b"event: ",
    b"event",
    b"id: 1",
    b":",
    b" ",
    b"\n",
    b"\n",
    b"\n\n",
    b"\r",
    b"\r\n",
    b"[DONE]",
    b"[DO",
    b"x",
    b"\xef\xbb\xbf",
    b"d",
    b"\0",
)


def _random_stream():
    return b"".join(random.choice(_PIECES) for _ in range(random.randrange(30)))


def test_random_streams_give_what_the_specification_says():
    random.seed(21)
    sse = Sse()
    for _ in range(3000):
        stream = _random_stream()
        assert _run(stream, random.randrange(1, 20), sse) == _reference(stream), stream


def test_plain_bytecode_gives_the_same():
    random.seed(22)
    native = Sse()
    same = plain("thimble/core/sse.py")["Sse"]()
    for _ in range(500):
        stream = _random_stream()
        chunk = random.randrange(1, 20)
        assert _run(stream, chunk, native) == _run(stream, chunk, same), stream
