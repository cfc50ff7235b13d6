"""Decimals and copies in byte buffers."""

from kit import allocated, heap_locked, plain
from thimble.core import octets

_NUMBERS = (0, 1, 7, 9, 10, 99, 100, 12345, 1073741823, -1, -9, -10, -99, -100, -1073741823)


def test_what_put_int_writes_get_int_reads_without_allocation():
    buf = bytearray(20)

    def trip():
        for number in _NUMBERS:
            begin = octets.put_int(buf, 17, number)
            assert octets.get_int(buf, begin, 17) == (number if number >= 0 else -1)

    heap_locked(trip)


def test_put_int_writes_what_str_writes():
    for number in _NUMBERS:
        buf = bytearray(b"." * 20)
        begin = octets.put_int(buf, 18, number)
        assert buf[begin:18] == str(number).encode()
        assert buf[18:] == b".." and not buf[:begin].strip(b".")


def test_the_least_small_int_is_written_without_allocation():
    buf = bytearray(20)
    least = -1073741823
    least -= 1
    assert heap_locked(lambda: octets.put_int(buf, 11, least)) == 0
    assert buf[:11] == b"-1073741824"


def test_get_int_refuses_what_is_no_small_decimal():
    for text in (
        b"",
        b"-1",
        b"+1",
        b"1 ",
        b" 1",
        b"1.0",
        b"1:",
        b"x",
        b"1073741824",
        b"9999999999999",
    ):
        assert octets.get_int(text, 0, len(text)) == -1, text
    assert octets.get_int(b"1073741823", 0, 10) == 1073741823
    assert octets.get_int(b"007", 0, 3) == 7
    assert octets.get_int(b"x42x", 1, 3) == 42


def test_increment_carries_through_nines_and_grows_by_a_digit():
    for before, after in (
        (b"0", b"1"),
        (b"8", b"9"),
        (b"9", b"10"),
        (b"199", b"200"),
        (b"9999", b"10000"),
        (b"1073741823", b"1073741824"),
        (b"9007199254740991", b"9007199254740992"),
        (b"18446744073709551615", b"18446744073709551616"),
    ):
        buf = bytearray(b"<" + before + b"....")
        length = octets.increment(buf, 1, len(before))
        assert buf[1 : 1 + length] == after
        assert buf[0] == 0x3C and buf[1 + length] == 0x2E


def test_increment_leaves_what_stands_before_the_decimal():
    buf = bytearray(b"999.")
    assert octets.increment(buf, 1, 2) == 3
    assert buf == b"9100"


def test_increment_does_not_allocate():
    buf = bytearray(b"9999999999.")
    assert heap_locked(lambda: octets.increment(buf, 0, 10)) == 11
    assert heap_locked(lambda: octets.increment(buf, 0, 11)) == 11
    assert buf == b"10000000001"


def test_behind_is_the_small_difference_of_two_decimals():
    for a, b, difference in (
        (b"0", b"1", 1),
        (b"99", b"100", 1),
        (b"100", b"100", -1),
        (b"100", b"99", -1),
        (b"1000", b"99", -1),
        (b"7", b"1000", 993),
        (b"123456789", b"123466788", 9999),
        (b"9007199254740991", b"9007199254741001", 10),
        (b"9007199254740991", b"9007199264740991", 10000000),
        (b"1", b"9007199254740991", -1),
        (b"9007199254740991", b"1", -1),
    ):
        assert octets.behind(a, 0, len(a), b, 0, len(b)) == difference, (a, b)
        assert octets.behind(b"." + a, 1, len(a), b".." + b, 2, len(b)) == difference


def test_behind_does_not_allocate():
    near = b"9007199254740991"
    far = b"9007199254741001"

    def run():
        assert octets.behind(near, 0, 16, far, 0, 16) == 10
        assert octets.behind(near, 0, 1, far, 0, 16) == -1
        assert octets.behind(far, 0, 16, near, 0, 1) == -1

    heap_locked(run)
    # The frame counts as well, which a locked heap does not betray.
    assert allocated(lambda: octets.behind(near, 0, 16, far, 0, 16)) == 0


def test_same_looks_at_n_bytes_only():
    assert octets.same(b"abcd", 1, b"xbc", 1, 2)
    assert not octets.same(b"abcd", 1, b"xbd", 1, 2)
    assert not octets.same(b"abcd", 1, b"xxc", 1, 2)
    assert octets.same(b"a", 1, b"b", 0, 0)


def test_find_tells_keys_apart_by_every_byte_and_by_their_length():
    keys = b"abc.abd.ab..xyz."
    lens = b"\x03\x03\x02\x03"
    for place, key in enumerate((b"abc", b"abd", b"ab", b"xyz")):
        assert octets.find(keys, lens, 4, b"?" + key + b"?", 1, len(key)) == place
    for other in (b"abe", b"a", b"abc.", b"Xyz"):
        assert octets.find(keys, lens, 4, other, 0, len(other)) == -1


def test_copy_moves_bytes_between_buffers_and_down_in_one():
    for copy in (octets.copy, plain("thimble/core/octets.py")["copy"]):
        target = bytearray(6)
        copy(target, 1, b"abcdef", 2, 4)
        assert target == b"\0cdef\0"
        buf = bytearray(b"0123456789")
        copy(buf, 0, buf, 3, 7)
        assert buf == b"3456789789"
        copy(buf, 0, b"", 0, 0)
        assert buf == b"3456789789"


def test_copy_does_not_allocate():
    target = bytearray(100)
    heap_locked(lambda: octets.copy(target, 0, target, 50, 50))


def test_crc16_gives_the_published_check_value_in_one_piece_and_in_two():
    data = b"..123456789.."
    for module in (octets.crc16, plain("thimble/core/octets.py")["crc16"]):
        assert module(data, 2, 9, 0xFFFF) == 0x29B1
        assert module(data, 6, 5, module(data, 2, 4, 0xFFFF)) == 0x29B1
    heap_locked(lambda: octets.crc16(data, 0, 13, 0xFFFF))
