"""Books every allocation to the function that makes it. Runs in MicroPython, inside the probe.

`bench/audit.py` writes TABLE (a number, a stage's number or -1, a module, a class or "", a name
for each function of the firmware), MODULES, STAGES and the wrappers behind this text. A wrapper
stands in for its function; it is native and small, so it allocates nothing itself. What is
allocated between two wrappers' calls belongs to the function that runs then, in the stage that
it or the nearest of its callers stands for.

    PROBE_WARM   messages before the books are opened
"""

import json
import micropython
import os
import sys
from array import array

_DEEP = 64
_total = micropython.mem_total
_warm = int(os.getenv("PROBE_WARM"))
_at = array("i", [0, 0, -1])  # depth; the total when it was last looked at; messages at opening
_function = array("h", [0] * _DEEP)
_stage = array("h", [0] * _DEEP)


@micropython.native
def _enter(number):
    now = _total()
    depth = _at[0]
    place = _stage[depth] * _COUNT + _function[depth]
    _bytes[place] += now - _at[1]
    stage = _stages[number]
    if stage < 0:
        stage = _stage[depth]
    depth += 1
    _at[0] = depth
    _function[depth] = number
    _stage[depth] = stage
    _calls[stage * _COUNT + number] += 1
    _at[1] = _total()
    return depth


@micropython.native
def _leave(depth):
    now = _total()
    _bytes[_stage[depth] * _COUNT + _function[depth]] += now - _at[1]
    _at[0] = depth - 1
    _at[1] = _total()


def note(answered, last):
    """To be called between messages: opens the books, and prints them behind message ``last``."""
    if _at[2] < 0 and answered >= _warm:
        for place in range(len(_bytes)):
            _bytes[place] = _calls[place] = 0
        _at[2] = answered
        _at[1] = _total()
    elif answered == last:
        _print(answered - _at[2])


def _print(messages):
    rows = []
    for number, _, module, owner, name in TABLE:
        for stage in range(len(STAGES)):
            place = stage * _COUNT + number
            if _calls[place] or _bytes[place]:
                where = [STAGES[stage], module, owner, name, _calls[place], _bytes[place]]
                rows.append(where)
    print(json.dumps({"messages": messages, "ledger": rows}))


def install():
    """Puts the wrappers in the functions' places."""
    loaded = []
    for module in MODULES:
        try:
            loaded.append(__import__(module, None, None, ("*",)))
        except ImportError:
            pass  # of another board
    for number, stage, module, owner, name in TABLE:
        _stages[number] = stage
        module = sys.modules.get(module)
        if module is None:
            continue
        if owner:
            place = getattr(module, owner)
            _originals[number] = getattr(place, name)
            setattr(place, name, globals()["_w%d" % number])
            continue
        original = _originals[number] = getattr(module, name)
        for user in loaded:
            for alias in dir(user):
                if getattr(user, alias) is original:
                    setattr(user, alias, globals()["_w%d" % number])
