"""The tests' own tools can fail."""

from kit import allocated, heap_locked, plain, raises


def test_heap_locked_refuses_an_allocation():
    raises(MemoryError, lambda: heap_locked(lambda: bytearray(100)))


def test_allocated_counts_what_is_collected_too():
    assert 1000 <= allocated(lambda: bytearray(1000)) < 1100


def test_raises_fails_where_nothing_is_raised():
    raises(AssertionError, lambda: raises(ValueError, lambda: 0))


def test_plain_loads_a_module_without_viper():
    names = plain("thimble/core/octets.py")
    target = bytearray(3)
    names["copy"](target, 0, b"abc", 0, 3)
    assert target == b"abc"
