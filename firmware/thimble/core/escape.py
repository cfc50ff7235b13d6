"""Text as the inside of a JSON string (RFC 8259, section 7).

The quote, the backslash and the control characters below 0x20 are escaped, five of them in the
short form, the others as six bytes \\u00XX. All else passes as it is, so UTF-8 stays UTF-8.
"""

import micropython


@micropython.viper
def escape(dst, src, state):
    """Write the escaped form of src into dst, as much as fits, never a part of an escape.

    state: array('i', [src_pos, src_end, dst_pos, dst_end]); both positions are moved on. All is
    written when src_pos == src_end; a window of 6 bytes always makes progress. UTF-8 sequences may
    be divided between two windows.
    """
    d = ptr8(dst)
    s = ptr8(src)
    st = ptr32(state)
    letters = ptr8(b"0123456789abcdefbtnufr")
    i = st[0]
    end = st[1]
    o = st[2]
    limit = st[3]
    while i < end and o < limit:
        c = s[i]
        if c >= 0x20 and c != 0x22 and c != 0x5C:
            d[o] = c
            o += 1
        else:
            n = 2
            short = c
            if c < 0x20:
                short = letters[c + 8] if 8 <= c and c <= 13 else 0x75
                if short == 0x75:
                    n = 6
            if o + n > limit:
                break
            d[o] = 0x5C
            d[o + 1] = short
            if n == 6:
                d[o + 2] = 0x30
                d[o + 3] = 0x30
                d[o + 4] = 0x30 + (c >> 4)
                d[o + 5] = letters[c & 15]
            o += n
        i += 1
    st[0] = i
    st[2] = o
