"""Work on parts of byte buffers, without allocation.

A part is (buffer, offset, length) or (buffer, offset, end). Decimals are ASCII. Update and chat
ids do not fit a small int on a board (31 bits with the sign), so they stay decimals: `increment`
and `behind` do for them what + 1 and - would do.
"""

_TENTH = const(107374182)  # (2**30 - 1) // 10
_TENTH_DIGIT = const(3)  # (2**30 - 1) % 10


@micropython.viper
def copy(dst: ptr8, dst_off: int, src: ptr8, src_off: int, n: int):
    """Copy n bytes. Within one buffer the parts may overlap if the bytes move to lower offsets."""
    n += src_off
    while src_off < n:
        dst[dst_off] = src[src_off]
        dst_off += 1
        src_off += 1


def same(a, a_off, b, b_off, n):
    """Whether n bytes of a and b are equal."""
    n += a_off
    while a_off < n:
        if a[a_off] != b[b_off]:
            return False
        a_off += 1
        b_off += 1
    return True


@micropython.viper
def find(keys: ptr8, lens, width: int, buf: ptr8, off: int, n: int) -> int:
    """Which of the keys is buf[off:off + n], or -1.

    keys holds one at every multiple of width, lens the length of each.
    """
    m = ptr8(lens)
    count = int(len(lens))
    at = 0
    while at < count:
        if m[at] == n:
            i = 0
            while i < n and keys[at * width + i] == buf[off + i]:
                i += 1
            if i == n:
                return at
        at += 1
    return -1


def behind(a, a_off, a_len, b, b_off, b_len):
    """b - a of two decimals without sign, or -1 if a is not less or the difference is large."""
    a_off += a_len
    b_off += b_len
    n = 0
    i = -max(a_len, b_len)
    while i < 0:
        n *= 10
        # n comes last, which keeps the frame out of the heap.
        if i >= -b_len:
            n = b[b_off + i] - 0x30 + n
        if i >= -a_len:
            n = -(a[a_off + i] - 0x30 - n)
        if not -_TENTH < n < _TENTH:
            return -1
        i += 1
    return n if n > 0 else -1


def increment(buf, off, length):
    """Add 1 to the decimal without sign at buf[off:off+length], in place.

    Returns its new length, which is one more after 9, 99, 999 …: that byte must be free.
    """
    i = off + length - 1
    while i >= off and buf[i] == 0x39:
        buf[i] = 0x30
        i -= 1
    if i >= off:
        buf[i] += 1
        return length
    buf[off] = 0x31
    if length:
        buf[off + length] = 0x30
    return length + 1


def put_int(buf, end, n):
    """Write the small int n as a decimal that ends before buf[end]; returns where it begins."""
    sign = n < 0
    if not sign:
        n = -n  # the negative half is the larger one: -n of the least small int would allocate
    while True:
        end -= 1
        buf[end] = 0x30 - n % -10
        n = -(n // -10)
        if not n:
            break
    if sign:
        end -= 1
        buf[end] = 0x2D
    return end


def get_int(buf, off, end):
    """The decimal at buf[off:end] as a small int; -1 unless all are digits and it is < 2**30."""
    if off >= end:
        return -1
    n = 0
    for i in range(off, end):
        d = buf[i] - 0x30
        if d < 0 or d > 9 or n > _TENTH or (n == _TENTH and d > _TENTH_DIGIT):
            return -1
        n = n * 10 + d
    return n


@micropython.viper
def crc16(buf: ptr8, off: int, n: int, crc: int) -> int:
    """CRC-16/IBM-3740 (polynomial 0x1021) of n bytes, continued from ``crc``; 0xFFFF begins."""
    n += off
    while off < n:
        x = (crc >> 8) ^ buf[off]
        x ^= x >> 4
        crc = ((crc << 8) ^ (x << 12) ^ (x << 5) ^ x) & 0xFFFF
        off += 1
    return crc


@micropython.viper
def escape(dst: ptr8, src: ptr8, state: ptr32):
    """Write src as the inside of a JSON string into dst (RFC 8259, section 7), as much as fits.

    The quote, the backslash and the control characters below 0x20 are escaped, five of them in
    the short form, the others as six bytes \\u00XX, and no escape is divided. All else passes as
    it is.

    state: array('i', [src_pos, src_end, dst_pos, dst_end]); both positions are moved on. All is
    written when src_pos == src_end; a window of 6 bytes always makes progress. UTF-8 sequences may
    be divided between two windows.
    """
    letters = ptr8(b"0123456789abcdefbtnufr")
    i = state[0]
    end = state[1]
    o = state[2]
    limit = state[3]
    while i < end and o < limit:
        c = src[i]
        # Most bytes are letters: > 0x5C decides at once.
        if c > 0x5C or c >= 0x20 and c != 0x22 and c != 0x5C:
            dst[o] = c
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
            dst[o] = 0x5C
            dst[o + 1] = short
            if n == 6:
                dst[o + 2] = 0x30
                dst[o + 3] = 0x30
                dst[o + 4] = 0x30 + (c >> 4)
                dst[o + 5] = letters[c & 15]
            o += n
        i += 1
    state[0] = i
    state[2] = o
