"""Viper's pointers for plain bytecode, see plain.py. Runs in MicroPython."""

from array import array

from uctypes import addressof, bytearray_at

_MOST = 1 << 24  # a pointer knows no end


def ptr8(obj):
    """The bytes of ``obj``, an array's too."""
    return bytearray_at(addressof(obj), _MOST) if isinstance(obj, array) else obj


def ptr16(obj):
    """An array of 16-bit numbers as it is."""
    return obj


ptr32 = ptr16
