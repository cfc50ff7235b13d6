"""Code that is needed seldom: loaded for one use, then taken out of memory again.

Loaded code stays in the heap until its module is gone and nothing else refers to it. An overlay's
functions keep no state, nothing of it is kept by its callers, and it has no native code, for which
ports without a collector for it make a new mapping at every load. What is frozen costs no loading.
"""

import gc
import sys

# Those that the relay calls behind its start, but for the console, where one can try again.
_LARGEST = const("console.commands")
_OTHERS = const(
    (
        "start",
        "outage",
        "model.sentences",
        "compaction",
        "status",
        "net.query",
        "console.serial",
        "store.crash",
        "store.archive",
    )
)


def call(module, function, *args):
    """What ``function`` of ``thimble.module`` returns. MemoryError if there is no room for it."""
    name = "thimble." + module
    place, _, last = name.rpartition(".")  # now: at the end there may be no memory for it
    forget(name, place, last)  # half of it may be there since memory ran out
    try:
        __import__(name)
        return getattr(sys.modules[name], function)(*args)
    finally:
        forget(name, place, last)


def warm_up():
    """Loads each of these once: names are never collected, and the table that holds them grows
    by 9 KB at a time, which must not come out of the reserve while the relay runs.

    Returns what the largest took while it was loaded: little from ROM, more from a file.
    """
    for module in _OTHERS:
        __import__("thimble." + module)
        unload(module)
        gc.collect()
    free = gc.mem_free()
    __import__("thimble." + _LARGEST)
    took = free - gc.mem_free()
    unload(_LARGEST)
    gc.collect()
    return took


def unload(*modules):
    """Takes modules of Thimble out of memory, as far as nothing else holds them. Allocates."""
    for module in modules:
        name = "thimble." + module
        place, _, last = name.rpartition(".")
        forget(name, place, last)


def forget(name, place, last):
    """Takes the module ``name`` out of memory, which the package ``place`` knows as ``last``.

    Allocates nothing, for where memory has run out. It may be gone already: while an overlay
    waits, the console may call the same one.
    """
    if sys.modules.pop(name, None):
        try:
            delattr(sys.modules[place], last)
        except (AttributeError, KeyError):
            pass  # memory ran out while it was loaded
