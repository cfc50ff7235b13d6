"""What `core` allocates with its frames, which a locked heap does not betray: nothing.

One function still does: text.cut, which is called once for each further part of a long answer.
"""

import micropython

from thimble.core import octets, pressure, text
from thimble.core.backoff import Backoff
from thimble.core.chats import Chats
from thimble.core.conversation import ASSISTANT, USER, Conversation
from thimble.core.ring import Ring
from thimble.core.scan import MORE, Scanner
from thimble.core.segments import Segments
from thimble.core.sse import MORE as SSE_MORE
from thimble.core.sse import Sse

WORDS = "Grüße, 猫 und 😀. ".encode() * 8


def total(fn):
    """Bytes that the second of two calls allocates; ``fn`` takes nothing and has a small frame."""
    fn()
    before = micropython.mem_total()
    fn()
    return micropython.mem_total() - before


def test_the_ring_allocates_nothing():
    ring = Ring(bytearray(256), 60)

    def fill():
        while ring.pend(60) >= 0:
            ring.finish(50)

    def walk():
        at = ring.first()
        while at >= 0:
            ring.size(at)
            at = ring.after(at)

    def empty():
        while ring.count:
            ring.drop(ring.first())

    assert [total(fn) for fn in (fill, walk, empty, ring.room, ring.clear)] == [0] * 5


def test_scanning_allocates_nothing():
    data = (
        b'{"result":[{"id":12,"text":"Gr\\u00fc\\u00dfe \\ud83d\\ude00"},{"id":null}],"ok":true}'
    )
    scanner = Scanner((b"ok", b"result[].id", b"result[].text"))
    out = bytearray(64)

    def scan():
        scanner.start(out, 0, 64)
        scanner.feed(data, 0, len(data))
        while scanner.next() != MORE:
            pass
        scanner.finish()

    assert total(scan) == 0


def test_a_stream_of_events_allocates_nothing():
    data = b"event: delta\ndata: one\ndata: two\n\n: ping\n\ndata: [DONE]\n\n"
    stream = Sse()

    def read():
        stream.start()
        stream.feed(data, 0, len(data))
        while stream.next() != SSE_MORE:
            pass

    assert total(read) == 0


def test_texts_numbers_and_waits_allocate_nothing():
    buf = bytearray(WORDS)
    backoff = Backoff()
    assert total(lambda: text.units(buf, 0, len(buf))) == 0
    assert total(lambda: text.skip_space(buf, 0, len(buf))) == 0
    assert total(lambda: text.boundary(buf, 0, 20)) == 0
    assert total(lambda: octets.put_int(buf, 6, -12345)) == 0
    assert total(lambda: octets.get_int(b"123456", 0, 6)) == 0
    assert total(lambda: backoff.next(100)) == 0
    assert total(backoff.reset) == 0


def test_a_conversation_is_written_read_and_trimmed_without_allocation():
    conversation = Conversation(Segments(128, 12))

    def write():
        conversation.clear()
        for _ in range(3):
            conversation.begin(USER)
            conversation.append(WORDS, 0, 60)
            conversation.end()
            conversation.begin(ASSISTANT)
            conversation.append(WORDS, 0, 150)
            conversation.end()

    def read():
        conversation.rewind()
        while conversation.next_turn() >= 0:
            while conversation.next_piece():
                pass

    def trim():
        conversation.drop_oldest()
        conversation.pop(ASSISTANT)

    assert total(write) == 0
    assert conversation.turns == 6
    assert total(read) == 0
    assert total(trim) == 0
    assert conversation.turns < 4


def test_chats_are_found_and_taken_without_allocation():
    chats = Chats(Segments(128, 8), 3)

    for key in (b"1001", b"1002", b"1003", b"1004"):
        assert total(lambda key=key: chats.get(key, 0, 4)) == 0
        assert total(lambda key=key: chats.find(key, 0, 4)) == 0


def test_room_is_made_among_full_segments_without_allocation():
    chats = Chats(Segments(128, 8), 3)
    for key in (b"1001", b"1002"):
        chat = chats.get(key, 0, 4)
        for _ in range(4):
            chat.begin(USER)
            assert chats.append(chat, WORDS, 0, 100)
            chat.end()
    taken = []
    for _ in range(2):
        while chats.pool.take() >= 0:
            pass
        before = micropython.mem_total()
        chats.room(chat)
        taken.append(micropython.mem_total() - before)
        assert chats.pool.free
    assert taken == [0, 0]


def test_the_level_of_pressure_is_had_without_allocation():
    assert total(lambda: pressure.percent(30, 60)) == 0
