"""The archive: showing it, beginning a session anew, and removing what it has said, or what is too
old. An overlay.

``sessions`` is a Sessions; but for showing it is to be between two turns. No function raises
OSError.
"""

import os

from thimble.core.octets import crc16
from thimble.store import turns

_CLEAR = const(3)
_TEXT = const(4)
_CRC = const(0xFFFF)
_FILE = const(221)  # as store.turns._FILE
_AT = const(222)
_SIZE = const(223)
_SLOTS = const(41)  # as there

_MINE = const(1)  # what a file holds
_OTHERS = const(2)


def history(sessions, buf, off, n, count, room):
    """Finds the last turns of the key ``buf[off:off + n]``: at most ``count`` (40 at most), and
    but for the last one at most ``room`` bytes of text. How many there are.

    They are read from ``sessions`` as from a Conversation: rewind, next_turn, next_piece. What is
    written in between may end the turn that is being read.
    """
    turns.find(sessions, buf, off, n, True)
    last = sessions.high
    first = max(sessions.low, last - count)
    while first < last:
        last -= 1
        room -= sessions.turns[last % _SLOTS * 3 + 2]
        if room < 0:
            first = min(last + 1, sessions.high - 1)
    sessions.low = first
    sessions.rewind()
    return sessions.high - sessions.low


def clear(sessions, buf, off, n):
    """Begins the session with the key ``buf[off:off + n]`` anew, and commits."""
    sessions.begin(buf, off, n, _CLEAR)
    if sessions.busy:
        _note(sessions, 1)
    sessions.abort()
    sessions.commit()


def forget(sessions, buf, off, n):
    """Removes all that the session with the key ``buf[off:off + n]`` has said.

    Whether nothing of it is left. Each file that holds some is written anew, aside, and renamed
    over: with blanks in its place, so that all else stays where it was. What no longer can be read
    goes too, and where there is no room to write, the whole file. The flash itself may keep old
    bytes in blocks that littlefs has freed, until it reuses them; no file shows them.
    """
    sessions.abort()
    sessions.commit()
    done = True
    for number in range(sessions.first, sessions.last + 1):
        try:
            found = _without(sessions, number, buf, off, n, None)
            if found == _MINE | _OTHERS:
                with open(sessions.path("new"), "wb") as out:
                    _without(sessions, number, buf, off, n, out)
                sessions.close(number)
                os.rename(sessions.path("new"), sessions.path(number))
            elif found == _MINE:
                done = sessions.remove(number) and done
        except OSError as error:
            done = sessions.remove(number) and done
            sessions.remove("new")
            sessions.error = error.errno
    sessions.seek(0, 0)
    turns.place(sessions.index, crc16(buf, off, n, _CRC))
    _note(sessions, 0)
    return done


def _without(sessions, number, buf, off, n, out):
    """Copies a file to ``out``, if not None, with blanks in place of this key's chunks.

    What it holds: _MINE, of this key or broken, and _OTHERS.
    """
    found = mine = 0
    scratch = sessions.buf
    sessions.seek(number, 0)
    while sessions.source is not None:
        kind = sessions.read()
        if kind < 0:
            return found | (0 if sessions.whole else _MINE)
        if kind <= _CLEAR:
            mine = _MINE if turns.mine(sessions, buf, off, n) else _OTHERS
        found |= mine
        if out is not None:
            at, end = sessions.pos - 2, sessions.stop
            if mine == _MINE:
                scratch[at] = _TEXT
                for i in range(at + 2, end):
                    scratch[i] = 0
                crc = crc16(scratch, at, end - at, _CRC)
                scratch[end] = crc & 255
                scratch[end + 1] = crc >> 8
            out.write(scratch, at, end - at + 2)
    return 0


def clean(sessions, now):
    """Removes each file whose newest turn is older than ``age``, at minute ``now``, the oldest
    first: what is cut short leaves no turn without the CLEAR that hid it.

    A file from before the clock was set goes with the one that follows it. While the clock is not
    set, nothing does: ``now`` is less than any minute that counts.
    """
    sessions.now = now
    sessions.abort()
    sessions.commit()
    number = sessions.last
    while number >= sessions.first > 0:
        sessions.scan(number)
        if sessions.newest and now - sessions.newest > sessions.age:
            break
        number -= 1
    while 0 < sessions.first <= number and sessions.remove(sessions.first):
        pass
    sessions.scan(sessions.last)  # how old what is written now is
    sessions.seek(0, 0)


def _note(sessions, number):
    """The session whose entry is at the index's end has no turn; 0: none whose place is known."""
    index = sessions.index
    index[_FILE] = number
    index[_AT] = index[_SIZE] = 0
