"""The FIFO of records in one buffer."""

import random

from kit import heap_locked, raises
from thimble.core.ring import Ring

_HEADER = 3


def _put(ring, data):
    """Appends a record; its offset, or -1 when the ring refuses it."""
    off = ring.pend(len(data))
    if off >= 0:
        ring.buf[off : off + len(data)] = data
        ring.finish(len(data))
    return off


def _all(ring):
    records = []
    off = ring.first()
    while off >= 0:
        records.append(bytes(ring.buf[off : off + ring.size(off)]))
        off = ring.after(off)
    return records


def test_an_empty_ring_has_no_record_and_room_for_all_but_a_header():
    ring = Ring(bytearray(64), 20)
    assert ring.first() == -1 and ring.count == 0 and ring.used == 0
    assert ring.room() == 61 and not ring.full


def test_records_come_out_in_the_order_they_went_in():
    ring = Ring(bytearray(64), 20)
    for data in (b"one", b"", b"three"):
        assert _put(ring, data) >= 0
    assert _all(ring) == [b"one", b"", b"three"]
    assert ring.count == 3 and ring.used == 8 + 3 * _HEADER
    ring.drop(ring.first())
    assert _all(ring) == [b"", b"three"]


def test_a_record_may_turn_out_shorter_than_it_was_pended():
    ring = Ring(bytearray(64), 50)
    off = ring.pend(50)
    ring.buf[off : off + 2] = b"hi"
    ring.finish(2)
    assert _all(ring) == [b"hi"] and ring.used == 2 + _HEADER


def test_a_pend_that_is_not_finished_leaves_nothing():
    ring = Ring(bytearray(64), 20)
    _put(ring, b"a")
    ring.pend(20)
    assert _all(ring) == [b"a"] and ring.count == 1
    assert _put(ring, b"b") >= 0
    assert _all(ring) == [b"a", b"b"]


def test_finish_refuses_what_was_not_pended():
    ring = Ring(bytearray(64), 20)
    raises(ValueError, lambda: ring.finish(0))
    ring.pend(4)
    raises(ValueError, lambda: ring.finish(5))
    ring.finish(4)
    raises(ValueError, lambda: ring.finish(4))
    ring.pend(4)
    assert ring.pend(100) == -1
    raises(ValueError, lambda: ring.finish(0))
    ring.pend(4)
    raises(ValueError, lambda: ring.finish(-1))


def test_a_record_that_does_not_fit_before_the_end_begins_at_the_start():
    ring = Ring(bytearray(32), 10)
    first = _put(ring, b"0123456789")
    second = _put(ring, b"abcdefghij")
    ring.drop(first)
    third = _put(ring, b"ABCDEFGH")
    assert third == _HEADER, "6 bytes are left at the end, 13 at the start"
    assert _all(ring) == [b"abcdefghij", b"ABCDEFGH"]
    assert ring.used == 32 - 13 + 11, "the pad counts"
    ring.drop(second)
    assert _all(ring) == [b"ABCDEFGH"] and ring.used == 11


def test_a_pad_shorter_than_a_header_is_skipped_too():
    for pad in (0, 1, 2, 3, 4):
        ring = Ring(bytearray(26 + pad), 10)
        first = _put(ring, b"0123456789")
        _put(ring, b"abcdefghij")
        ring.drop(first)
        assert _put(ring, b"ABC") == (_HEADER if pad < 6 else 26 + _HEADER)
        assert _all(ring) == [b"abcdefghij", b"ABC"]
        ring.drop(ring.first())
        assert _all(ring) == [b"ABC"] and ring.used == 6
        ring.drop(ring.first())
        assert ring.used == 0 and ring.room() == 23 + pad


def test_a_record_dropped_from_the_middle_gives_its_room_when_the_older_ones_go():
    ring = Ring(bytearray(39), 10)
    offs = [_put(ring, bytes([65 + i]) * 10) for i in range(3)]
    ring.drop(offs[1])
    assert _all(ring) == [b"A" * 10, b"C" * 10]
    assert ring.count == 2 and ring.used == 39 and ring.room() < 0
    ring.drop(offs[0])
    assert ring.used == 13 and ring.room() == 23
    assert _all(ring) == [b"C" * 10]


def test_the_newest_can_be_dropped_first():
    ring = Ring(bytearray(39), 10)
    offs = [_put(ring, b"x" * 10) for _ in range(3)]
    ring.drop(offs[2])
    ring.drop(offs[1])
    assert ring.count == 1 and ring.after(offs[0]) == -1
    ring.drop(offs[0])
    assert ring.used == 0 and ring.room() == 36


def test_full_means_that_a_largest_record_would_be_refused():
    ring = Ring(bytearray(60), 20)
    assert not ring.full
    _put(ring, b"x" * 20)
    assert not ring.full and ring.room() == 34
    _put(ring, b"x" * 14)
    assert ring.room() == 17 and ring.full
    assert ring.pend(18) == -1 and ring.pend(20) == -1
    assert _put(ring, b"x" * 17) >= 0
    assert ring.room() == -1 and ring.pend(0) == -1


def test_a_drop_between_pend_and_finish_does_no_harm():
    for size in (10, 14):  # the second begins behind the first, or at the start of the buffer
        ring = Ring(bytearray(29), 10)
        first = _put(ring, b"0123456789")
        old = _put(ring, b"ab")
        ring.drop(first)
        off = ring.pend(size - 4)
        ring.buf[off : off + 4] = b"WXYZ"
        ring.drop(old)
        ring.finish(4)
        assert _all(ring) == [b"WXYZ"]
        assert ring.count == 1 and ring.used == 7
        ring.drop(ring.first())
        assert ring.used == 0 and ring.room() == 26


def test_a_ring_run_empty_has_all_its_room_in_one_piece_again():
    ring = Ring(bytearray(32), 10)
    ring.drop(_put(ring, b"0123456789"))
    assert _put(ring, b"ab") >= 0
    assert ring.room() == 32 - 2 * _HEADER - 2


def test_clear_forgets_all():
    ring = Ring(bytearray(64), 20)
    _put(ring, b"x" * 20)
    _put(ring, b"x" * 20)
    ring.clear()
    assert ring.first() == -1 and ring.used == 0 and ring.room() == 61
    raises(ValueError, lambda: ring.finish(0))


def test_a_ring_too_small_for_its_largest_record_is_refused():
    raises(ValueError, lambda: Ring(bytearray(20), 18))
    raises(ValueError, lambda: Ring(bytearray(70000), 65536))
    assert Ring(bytearray(20), 17).room() == 17


def test_records_of_more_than_255_bytes():
    ring = Ring(bytearray(70000), 65535)
    assert ring.room() == 65535
    off = ring.pend(65535)
    ring.finish(65535)
    assert ring.size(off) == 65535 and ring.first() == off
    assert ring.room() == 70000 - 65538 - _HEADER
    assert ring.size(_put(ring, bytes(300))) == 300


def test_it_behaves_like_a_list_through_ten_thousand_random_steps():
    random.seed(7)
    for size, most in ((40, 10), (97, 20), (256, 60)):
        ring = Ring(bytearray(size), most)
        model = []  # pairs of offset and payload
        for step in range(3500):
            kind = random.randrange(10)
            if kind < 6:
                pended = random.randrange(most + 1)
                n = random.randrange(pended + 1)
                room = ring.room()
                off = ring.pend(pended)
                assert (off >= 0) == (pended <= room)
                if not model:
                    assert room == size - _HEADER
                if off >= 0 and kind < 5:
                    data = bytes([step & 255]) * n
                    ring.buf[off : off + n] = data
                    ring.finish(n)
                    model.append((off, data))
            elif model:
                at = 0 if kind < 8 else random.randrange(len(model))
                ring.drop(model.pop(at)[0])
            assert ring.count == len(model)
            assert ring.full == (ring.room() < most)
            assert _all(ring) == [data for _, data in model]
            assert sum(len(data) + _HEADER for _, data in model) <= ring.used <= size


def test_it_never_writes_outside_free_room():
    ring = Ring(bytearray(64), 20)
    _put(ring, b"keep")
    for _ in range(50):
        off = ring.pend(20)
        assert off >= 0
        ring.buf[off : off + 20] = b"#" * 20
    assert _all(ring) == [b"keep"]


def test_nothing_is_allocated():
    ring = Ring(bytearray(64), 20)

    def run():
        for _ in range(20):
            while not ring.full:
                ring.pend(20)
                ring.finish(17)
            off = ring.first()
            off = ring.after(off)
            ring.size(off)
            ring.drop(off)
            ring.drop(ring.first())

    heap_locked(run)
