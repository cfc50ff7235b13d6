"""A case: the size of the pieces, the size of the output area, a JSON document."""

from binascii import hexlify

from thimble.core.errors import ParseError
from thimble.core.scan import MORE, Scanner

OPEN, CLOSE, VALUE, PIECE = range(1, 5)

_PATHS = (b"ok", b"a", b"a.b", b"a[]", b"a[].b", b"ab", b"result[].message.text")
_PATHS += (b"result[].message", b"[]", b"[][].a", b"[].a", b"\xd0\xba\xd0\xbb\xd1\x8e\xd1\x87.b")
_scanner = Scanner(_PATHS)
_out = bytearray(80)


def run(case):
    piece, size = case[0] % 40 + 1, case[1] % 40 + 24
    out = _out
    out[:5] = b"<<<<<"
    out[5 + size : 8 + size] = b">>>"
    scanner = _scanner
    scanner.start(out, 5, size)
    said, text = [], b""
    try:
        for start in range(2, len(case), piece):
            scanner.feed(case, start, min(start + piece, len(case)))
            event = scanner.next()
            while event != MORE:
                if event == OPEN or event == CLOSE:
                    said.append("%d.%d" % (event, scanner.path))
                elif event == VALUE or event == PIECE:
                    got = bytes(out[5 : 5 + scanner.length])
                    got.decode()
                    assert event == VALUE or size - 4 < len(got) <= size
                    text += got
                    if event == VALUE:
                        words = hexlify(text).decode()
                        said.append("3.%d.%d.%s" % (scanner.path, scanner.kind, words))
                        text = b""
                event = scanner.next()
        scanner.finish()
    except ParseError as error:
        assert 0 <= error.offset <= len(case) - 2
        said = ["refused"]
    assert out[:5] == b"<<<<<" and out[5 + size : 8 + size] == b">>>", "wrote outside its area"
    return " ".join(said)
