"""A case: the size of the pieces, a text/event-stream."""

from binascii import hexlify

from thimble.core.sse import DATA, DONE, EVENT, MORE, Sse

_stream = Sse()


def run(case):
    piece = case[0] % 40 + 1
    stream = _stream
    stream.start()
    said, data = [], b""
    for start in range(1, len(case), piece):
        stream.feed(case, start, min(start + piece, len(case)))
        kind = stream.next()
        while kind != MORE:
            if kind == DATA:
                assert stream.pos < stream.end
                data += bytes(stream.buf[stream.pos : stream.end])
            else:
                assert kind == EVENT or kind == DONE
                if kind == DONE:
                    assert not data
                    data = b"[DONE]"
                said.append(hexlify(data).decode() + ".")
                data = b""
            kind = stream.next()
    return " ".join(said)
