"""Runs the tests of one file inside MicroPython, one at a time, as the host asks for them.

    runner.py FILE         then a test's name a line on standard input

After each test one line on standard output: MARK, "ok" or "fail". What stands before it is the
test's own output and, after a failure, the traceback and the heap as it was at that point.
"""

import gc
import micropython
import sys

_MARK = "\x1e"


def _load(path):
    with open(path) as file:
        code = compile(file.read(), path, "exec")
    names = {"__name__": "tests"}
    exec(code, names)
    return names


def _run(test):
    try:
        test()
    except Exception as error:
        sys.print_exception(error)
        print("heap: %d bytes used, %d free" % (gc.mem_alloc(), gc.mem_free()))
        gc.collect()
        print("after a collection: %d used, %d free" % (gc.mem_alloc(), gc.mem_free()))
        micropython.mem_info()
        return "fail"
    return "ok"


def main():
    names = None
    for line in sys.stdin:
        name = line.strip()
        verdict = "fail"
        try:
            if names is None:
                names = _load(sys.argv[1])
            gc.collect()
            verdict = _run(names[name])
        except Exception as error:
            sys.print_exception(error)
        print(_MARK + verdict)


main()
