"""What a board's boot does before Thimble: makes its code importable. Runs in MicroPython.

    micropython -m boot CODE TARGET [ARG …]

CODE is a ROMFS image, mapped into memory so that bytecode stays out of the heap as it does when
frozen, or a folder: of .mpy files, whose code is loaded into the heap as on stock MicroPython, or
of no code at all where that is frozen, as this file then is itself.
TARGET is a module to import and whose ``run()`` is called, or the path of a script to execute
(.py) or of a compiled one to import (.mpy). CODE comes before it on the path: there the firmware
looks for the root certificates (board/unix.py).
"""

import os
import sys
import vfs


def _map(path):
    """Mounts the ROMFS image ``path`` at /rom, without copying it into the heap."""
    import ffi
    import uctypes

    size = os.stat(path)[6]
    libc = ffi.open("libc.so.6")
    read_only, private = 1, 2  # O_RDONLY is 0; PROT_READ; MAP_PRIVATE
    file = libc.func("i", "open", "si")(path, 0)
    address = libc.func("P", "mmap", "PLiiil")(0, size, read_only, private, file, 0)
    libc.func("i", "close", "i")(file)
    vfs.mount(vfs.VfsRom(uctypes.bytearray_at(address, size)), "/rom")


def main():
    code, target = sys.argv[1:3]
    del sys.argv[1:3]
    if code.endswith(".img"):
        _map(code)
        code = "/rom"
    sys.path[:] = [code, ".frozen"]
    if target.endswith(".py"):
        sys.path.insert(1, target.rsplit("/", 1)[0])
        with open(target) as file:
            # The name in tracebacks is the script's own.
            code = compile(file.read(), target, "exec")
        exec(code, {"__name__": "__main__"})
    elif target.endswith(".mpy"):
        folder, name = target.rsplit("/", 1)
        sys.path.insert(1, folder)
        __import__(name[:-4])
    else:
        __import__(target)
        sys.modules[target].run()


main()
