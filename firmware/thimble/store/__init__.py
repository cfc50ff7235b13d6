"""What survives a reset, in files on the board's flash."""

import micropython


@micropython.native
def put(file, buf, off, n):
    """Writes buf[off:off + n], or flushes if ``buf`` is None; the errno of what failed, or 0.

    An ``except … as`` makes any frame too large for the stack, unless it is native code: so the
    one function that has it is here, and what calls it stays small.
    """
    try:
        if buf is None:
            file.flush()
        else:
            file.write(buf, off, n)
        return 0
    except OSError as error:
        return error.errno or -1
