"""What survives a reset, in files on the board's flash."""


@micropython.native
def put(file, buf, off, n):
    """Writes buf[off:off + n], or flushes if ``buf`` is None; the errno of what failed, or 0.

    An ``except … as`` makes any frame too large for the stack, unless it is native code: so the
    functions that have it are here, and what calls them stays small.
    """
    try:
        if buf is None:
            file.flush()
        else:
            file.write(buf, off, n)
    except OSError as error:
        return error.errno or -1
    return 0


@micropython.native
def get(file, off, buf, n):
    """Reads up to n bytes of a file to the beginning of ``buf``; how many, or the negated errno of
    what failed.

    They are those from the offset ``off`` on; -1: those that come next.
    """
    try:
        if off >= 0:
            file.seek(off)
        n = file.readinto(buf, n)
    except OSError as error:
        n = -(error.errno or 1)
    return n
