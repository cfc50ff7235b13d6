from kit import heap_locked
from thimble.model.think import ROOM, Think

QEMU = True


CASES = (
    (b"plain text", b"plain text", False),
    (b"<think>hm</think>yes", b"yes", True),
    (b" \t\r\n\x0b<think>\nhm, a < b </thin </think>\r\n\t  yes <b> ", b"yes <b> ", True),
    (b"<think></think>", b"", True),
    (b"<think>never closed", b"", True),
    (b"<think>a<</think>b", b"b", True),
    (b"<think>a</</think>b", b"b", True),
    (b"<thin", b"<thin", False),
    (b"<thinking>aloud</thinking>", b"<thinking>aloud</thinking>", False),
    (b"<<think>x</think>", b"<<think>x</think>", False),
    (b"<", b"<", False),
    (b"", b"", False),
    (b"say <think>x</think>", b"say <think>x</think>", False),
    (b"<think>a</think><think>b</think>c", b"<think>b</think>c", True),
    ("<think>ü€</think>ü".encode(), "ü".encode(), True),
)


def feed(think, pieces, buf=None):
    """What is shown of an answer in these pieces."""
    buf = buf or bytearray(64 + ROOM)
    shown = b""
    think.start()
    for piece in pieces:
        end = ROOM + len(piece)
        buf[:ROOM] = bytes(ROOM)
        buf[ROOM:end] = piece
        pos = ROOM if think.passing else think.take(buf, ROOM, end)
        assert 0 <= pos <= end
        shown += bytes(buf[pos:end])
    return shown + bytes(buf[think.end(buf, ROOM) : ROOM])


def test_a_leading_think_is_hidden_whole():
    think = Think()
    for text, visible, seen in CASES:
        assert feed(think, [text]) == visible, text
        assert think.seen == seen, text


def test_in_every_division_into_two_or_three_pieces():
    think = Think()
    for text, visible, seen in CASES:
        for i in range(len(text) + 1):
            for j in range(i, len(text) + 1):
                got = feed(think, [text[:i], text[i:j], text[j:]])
                assert got == visible and think.seen == seen, (text, i, j, got)


def test_white_space_beyond_ascii_is_hidden_too():
    think = Think()
    text = "\u3000\u00a0<think>a</think>\u200b\ufeff"
    assert feed(think, [char.encode() for char in text]) == b"" and think.seen
    assert feed(think, ["\u3000\u201c".encode()]) == "\u201c".encode()


def test_byte_by_byte():
    think = Think()
    for text, visible, seen in CASES:
        assert feed(think, [text[i : i + 1] for i in range(len(text))]) == visible
        assert think.seen == seen


def test_nothing_allocates():
    think = Think()
    buf = bytearray(b"--------<thi<think>long reasoning</think> and then")

    def work():
        think.start()
        think.take(buf, 12, 22)
        think.take(buf, 22, 50)
        think.end(buf, 8)
        think.start()
        think.take(buf, 8, 12)
        think.end(buf, 12)

    heap_locked(work)
