"""Measuring and cutting UTF-8 text.

Telegram counts UTF-16 units: 1 for a character of one to three bytes, 2 for one of four. A place
in a text is an offset in its buffer (bytes or bytearray); the text between `start` and `end` is
whole, valid UTF-8 unless a function says otherwise.
"""

_ANY = const(0x3FFFFFFF)


@micropython.viper
def _walk(buf: ptr8, start: int, end: int, limit: int) -> int:
    # Goes over the characters until `limit` UTF-16 units are exceeded. Returns the offset of the
    # character that exceeds them, or, if none does, ~units.
    units = 0
    while start < end:
        c = buf[start]
        if c & 0xC0 != 0x80:
            units += 1 if c < 0xF0 else 2
            if units > limit:
                return start
        start += 1
    return ~units


def units(buf, start, end):
    """UTF-16 units of buf[start:end]."""
    return ~_walk(buf, start, end, _ANY)


def fit(buf, start, end, most):
    """The largest offset up to `end` that splits no character and has at most `most` before it."""
    pos = _walk(buf, start, end, most)
    return end if pos < 0 else pos


def boundary(buf, start, pos):
    """The largest offset from start to pos that splits no character; buf[pos] need not exist."""
    p = pos
    while p > start:
        p -= 1
        c = buf[p]
        if c & 0xC0 != 0x80:
            n = 1 if c < 0xC0 else 2 if c < 0xE0 else 3 if c < 0xF0 else 4
            return p if p + n > pos else pos
    return start


def cut(buf, start, end, most):
    """Where to cut buf[start:end] so that the first part has at most `most` units (2 or more).

    That is `end` if all fits; else before the last paragraph break, or the last line break, or
    after the last sentence end that a space follows, or before the last space, whichever comes
    first in this order and leaves at least half of `most` in the first part; else between two
    characters. The white space at the cut belongs to neither part: go on at skip_space().
    """
    limit = fit(buf, start, end, most)
    if limit == end:
        return end
    pos = buf.rfind(b"\n\n", start, min(limit + 2, end))
    if _enough(buf, start, pos, most):
        return pos
    pos = buf.rfind(b"\n", start, limit + 1)
    if _enough(buf, start, pos, most):
        return pos
    stop = limit + 1
    pos = max(
        buf.rfind(b". ", start, stop), buf.rfind(b"! ", start, stop), buf.rfind(b"? ", start, stop)
    )
    if _enough(buf, start, pos + 1, most):
        return pos + 1
    pos = buf.rfind(b" ", start, stop)
    if _enough(buf, start, pos, most):
        return pos
    return limit


def _enough(buf, start, pos, most):
    return 2 * units(buf, start, pos) >= most


def skip_space(buf, pos, end):
    """The first offset from pos on where no white space stands, at most end.

    That is ASCII's, and of Unicode's what models begin with and Telegram takes for nothing:
    U+00A0, U+2000 to U+200F, U+3000, U+FEFF.
    """
    while pos < end:
        c = buf[pos]
        if c == 0x20 or 9 <= c <= 13:
            pos += 1
        elif c == 0xC2 and buf[pos + 1] == 0xA0:
            pos += 2
        elif c < 0xE2:
            break
        else:
            c = (c << 8 | buf[pos + 1]) << 8 | buf[pos + 2]
            if not (0xE28080 <= c <= 0xE2808F or c == 0xE38080 or c == 0xEFBBBF):
                break
            pos += 3
    return pos
