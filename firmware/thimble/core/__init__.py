"""Thimble's core: bytes in, bytes out.

Nothing here does I/O, reads a clock or imports another package of Thimble; nothing allocates after
it was constructed but Segments.regrow(). Times, random bytes and sizes come in as arguments.
"""
