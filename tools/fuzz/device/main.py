"""Gives cases to one target and says what came of each. Runs in MicroPython.

    main.py TARGET

On standard input each case is four bytes of length, low first, and the case. A length of
2**32 - 1 asks for the live heap instead, once the first case has run again, so that what a target
still holds is always the same. On standard output each has one line: MARK, "ok", "crash" or
"heap", and what belongs to it. Other lines are what the firmware printed.
"""

import gc
import io
import sys

_MARK = "\x1e"
_HEAP = b"\xff\xff\xff\xff"


def _crash(error):
    text = io.StringIO()
    sys.print_exception(error, text)
    return "crash " + text.getvalue().replace("\n", "\\n")


def _run(target, case):
    try:
        return "ok " + target.run(case)
    except Exception as error:
        return _crash(error)


def main():
    target = __import__("fuzz_" + sys.argv[1])
    stream = sys.stdin.buffer
    size = bytearray(4)
    first = None
    while stream.readinto(size) == 4:
        if size == _HEAP:
            case = said = None
            _run(target, first)
            gc.collect()
            print(_MARK + "heap %d" % gc.mem_alloc())
            continue
        n = size[0] | size[1] << 8 | size[2] << 16
        case = stream.read(n) if n else b""
        first = first or case
        said = _run(target, case)
        print(_MARK + said)


main()
