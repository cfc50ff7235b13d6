"""Small damage: what noise, bugs and enemies do to a right document."""

from __future__ import annotations

from random import Random

# Bytes and words that mean something to one reader or another.
_BYTES = b'{}[]",:\\/0-+.eEutfn \r\n\t\0\x80\xbf\xc0\xc3\xe2\xed\xf0\xff;=GHT'
_WORDS = (
    b"\r\n",
    b"\r\n\r\n",
    b"\n\n",
    b"\\u",
    b"\\ud83d",
    b"\\ude00",
    b"\\u0000",
    b"\xed\xa0\xbd",
    b"\xef\xbb\xbf",
    b"null",
    b"true",
    b"1e999",
    b"-0",
    b"0.5",
    b"4294967296",
    b"99999999999999999999999999",
    b"ffffffff",
    b"[DONE]",
    b"data: ",
    b"event: ",
    b"<think>",
    b"Content-Length: 7\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: close\r\n",
    b"HTTP/1.1 ",
    b"\xc0\x0c",
    b"{" * 40,
    b"[" * 300,
    b"A" * 100,
)


def damage(rng: Random, data: bytes) -> bytes:
    """``data`` with one to four small changes."""
    for _ in range(rng.randint(1, 4)):
        data = _once(rng, data)
    return data


def _once(rng: Random, data: bytes) -> bytes:
    at = rng.randint(0, len(data))
    how = rng.randrange(9)
    before, after = data[:at], data[at:]
    if how == 0:
        return before + bytes([rng.choice(_BYTES)]) + after[1:]
    if how == 1:
        return before + bytes([rng.randrange(256)]) + after[1:]
    if how == 2:
        return before + bytes([rng.choice(_BYTES)]) + after
    if how == 3:
        return before + after[rng.randint(1, 8) :]
    if how == 4:
        return before + rng.choice(_WORDS) + after
    if how == 5:
        return before  # cut off
    if how == 6:
        size = rng.randint(1, 60)
        return before + after[:size] + after  # said twice
    if how == 7 and after:
        return before + bytes([after[0] ^ 1 << rng.randrange(8)]) + after[1:]
    other = rng.randint(0, len(data))
    return before + data[other : other + rng.randint(1, 80)] + after
