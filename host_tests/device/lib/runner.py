"""Runs the tests of one file inside MicroPython, one at a time, as the host asks for them.

    runner.py FILE         then a test's name a line on standard input

On an emulated board the host calls load() once and run() for each test instead.

After each test one line on standard output: MARK, "ok" or "fail". What stands before it is the
test's own output and, after a failure, the traceback and the heap as it was at that point.
"""

import gc
import micropython
import sys

_MARK = "\x1e"


def load(path):
    """The names that the test file defines."""
    with open(path) as file:
        code = compile(file.read(), path, "exec")
    names = {"__name__": "tests"}
    exec(code, names)
    return names


def run(names, name):
    """Runs one test and prints its verdict."""
    gc.collect()
    verdict = "ok"
    try:
        names[name]()
    except Exception as error:
        sys.print_exception(error)
        print("heap: %d bytes used, %d free" % (gc.mem_alloc(), gc.mem_free()))
        gc.collect()
        print("after a collection: %d used, %d free" % (gc.mem_alloc(), gc.mem_free()))
        micropython.mem_info()
        verdict = "fail"
    print(_MARK + verdict)


def main():
    names = None
    for line in sys.stdin:
        try:
            if names is None:
                names = load(sys.argv[1])
        except Exception as error:
            sys.print_exception(error)
            print(_MARK + "fail")
            continue
        run(names, line.strip())


if __name__ == "__main__":
    main()
