"""What survives a reset, in files on the board's flash."""

import micropython


@micropython.native
def put(file, buf, off, n):
    """Writes buf[off:off + n], or flushes if ``buf`` is None; the errno of what failed, or 0.

    ``off`` -1: buf[:n] at the file's beginning, and flushes.

    An ``except … as`` makes any frame too large for the stack, unless it is native code: so the
    one function that has it is here, and what calls it stays small.
    """
    try:
        if off < 0:
            file.seek(0)
            file.write(buf, n)
        elif buf is not None:
            file.write(buf, off, n)
        if off < 0 or buf is None:
            file.flush()
        return 0
    except OSError as error:
        return error.errno or -1
