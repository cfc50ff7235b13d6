"""A session's turns, found in the chunks: from turn to turn, or by reading all files through.

A turn is a chunk with a key and the TEXT chunks behind it, up to LAST. One without LAST does not
exist, nor does one without text. The chunk with the key has the payload

    0      the minute, 4 bytes, low byte first
    4      2 bytes, low byte first: keep (SUMMARY), or the mark of the question's message (USER)
    6      how many files before this one the session's turn before lies, 127 if that is not known;
           128 is added if it or one before it is a SUMMARY
    7      its offset, 2 bytes
    9      its bytes of text, 2 bytes; 0: there is none, or only behind a CLEAR
    11     the session's key

A SUMMARY stands in place of all that its key has before it but the last ``keep`` turns; behind a
CLEAR nothing before it is loaded. The archive shows what they hide. Where a session's turns are
looked for, the texts of others are passed over unchecked.

An index in RAM knows the last turn of the sessions that spoke last; from there it goes from turn
to turn. Whose place is not known, or where a link leads astray, all files are read through. Four
16-bit numbers a session, the one used last at the end:

    0      CRC-16 of the key
    1      the turn's place: its file, 15 bits (0: not known; 32768 for a SUMMARY), 32768 added as
           128 is above
    2, 3   its offset, its bytes of text

What was found is three numbers a turn: (file - base) << 2 | role, offset, bytes of text.
"""

from thimble.core.octets import copy, crc16, same

_USER = const(0)  # as core.conversation.USER
_ASSISTANT = const(1)
_SUMMARY = const(2)
_CLEAR = const(3)
_LAST = const(5)
_CRC = const(0xFFFF)
_KEEP = const(4)  # offsets in a payload
_BACK = const(6)
_KEY = const(11)

_TURNS = const(40)  # that are found at most
_SLOTS = const(41)
_PLACE = const(123)  # 3 * _SLOTS: where the summary's slot stands,
_SCRAP = const(126)  # the place of the turn that is looked at,
_SPARE = const(129)  # and a slot for what is not kept

_NAME = const(220)  # of the index's last entry, the 56th
_FILE = const(221)
_AT = const(222)
_SIZE = const(223)
_BEHIND = const(224)
_NUMBER = const(0x7FFF)  # the bits of a file's number
_HEAD = const(0x8000)  # it is a summary, or one is before it
_UNKNOWN = const(127)


def place(index, name):
    """Moves the index's entry of the key with this CRC to its end; a new one if need be."""
    at = _NAME
    while at and index[at] != name:
        at -= 4
    if index[at] != name:
        index[at] = name
        index[at + 1] = 0
    # By way of the room behind the last one.
    copy(index, 2 * _BEHIND, index, 2 * at, 8)
    copy(index, 2 * at, index, 2 * at + 8, 2 * (_BEHIND - at))


def learn(sessions, at, summary):
    """The turn that began at ``at`` has ended; its session's entry is at the index's end."""
    index = sessions.index
    number = sessions.last & _NUMBER
    if summary or not index[_FILE] or index[_FILE] & _HEAD:
        number |= _HEAD
    index[_FILE] = number
    index[_AT] = at
    index[_SIZE] = sessions.length


def stamp(sessions, minute, keep):
    """Writes what stands before the key into the scratch's payload; the session whose key that
    is has the entry at the index's end."""
    buf = sessions.buf
    for i in range(2, 6):
        buf[i] = minute & 255
        minute >>= 8
    buf[6] = keep & 255
    buf[7] = keep >> 8
    keep = sessions.index[_FILE]
    copy(buf, 9, sessions.index, 2 * _AT, 4)
    minute = (sessions.last - keep) & _NUMBER if keep else _UNKNOWN
    if minute > _UNKNOWN:  # that file has gone
        buf[11] = buf[12] = minute = 0
    buf[8] = minute | keep >> 8 & 128


def mine(sessions, buf, off, n):
    """Whether the chunk that was read has this key."""
    pos = sessions.pos + _KEY
    return sessions.stop - pos == n and same(sessions.buf, pos, buf, off, n)


def find(sessions, buf, off, n, raw=False):
    """Finds the last turns of this key by reading all files through.

    ``raw``: all of them, but of a question that was tried again the last. Otherwise no summary
    and what summary and clear leave, and of turns of one role in a row the last, as /retry means
    it: the later answer replaces the earlier, and a question the one before it that got no
    answer. The index learns the last one.
    """
    turns = sessions.turns
    turns[_PLACE + 2] = turns[_SCRAP + 2] = 0
    turns[_SCRAP] = 1
    number = sessions.base = sessions.first
    low = high = size = keep = at = head = 0
    sessions.mark = -1
    gap = True  # what was said just before is not known
    while number <= sessions.last:
        sessions.seek(number, 0)
        role = -1
        kind = sessions.read(True)
        while kind >= 0:
            if kind <= _CLEAR:
                role = -1
                if mine(sessions, buf, off, n):
                    if kind < _CLEAR:
                        role = kind
                        at = sessions.at + sessions.pos - 2
                        size = 0
                        i = sessions.pos + _KEEP
                        keep = sessions.buf[i] | sessions.buf[i + 1] << 8
                    elif not raw:
                        low = high
                        turns[_PLACE + 2] = turns[_SCRAP + 2] = head = 0
            else:
                size += sessions.stop - sessions.pos
                if kind == _LAST and size:
                    i = _SPARE
                    again = not raw
                    if role == _USER:
                        again = again or 0 < keep == sessions.mark  # a further try to answer it
                        sessions.mark = keep
                    if role == _SUMMARY:
                        head = _HEAD
                        if not raw:
                            low = max(low, high - keep)
                            i = _PLACE
                    elif raw or role == _USER or not gap:
                        if again and high > low:
                            high -= turns[(high - 1) % _SLOTS * 3] & 3 == role
                        i = high % _SLOTS * 3
                        high += 1
                        low = max(low, high - _TURNS)
                        gap = False
                    turns[i] = number - sessions.base << 2 | role
                    turns[_SCRAP] = number & _NUMBER | head
                    turns[i + 1] = turns[_SCRAP + 1] = at
                    turns[i + 2] = turns[_SCRAP + 2] = size
                    role = -1
            kind = sessions.read(role < 0)
        gap = gap or not sessions.whole
        number += 1
    sessions.low = low
    sessions.high = high
    if not (raw or sessions.error):
        copy(sessions.index, 2 * _FILE, turns, 2 * _SCRAP, 6)


def trace(sessions, conversation, share):
    """Finds what find() does and load() may give, going back from turn to turn.

    As long as there is ``room``, counting of each turn at most ``share``, but always what fit()
    may shorten. False if a place is not known or not what it should be, or question and answer do
    not take turns: then only find() can.
    """
    turns = sessions.turns
    number = crc16(conversation.key, 0, conversation.key_len, _CRC)
    place(sessions.index, number)
    copy(turns, 2 * _SCRAP, sessions.index, 2 * _FILE, 6)
    if not turns[_SCRAP]:
        return False
    turns[_PLACE + 2] = 0
    sessions.base = sessions.first
    sessions.mark = sessions.role = -1
    sessions.low = sessions.high = _TURNS
    sessions.left = _NUMBER
    while turns[_SCRAP + 2] and sessions.left:
        if not sessions.low or sessions.room < 0:
            if turns[_PLACE + 2] or not turns[_SCRAP] & _HEAD:
                break
        number = sessions.last - ((sessions.last - turns[_SCRAP]) & _NUMBER)
        if number < sessions.first:
            break
        sessions.seek(number, turns[_SCRAP + 1])
        if not _USER <= sessions.read() <= _SUMMARY:
            return False
        if not mine(sessions, conversation.key, 0, conversation.key_len):
            return False
        if not (_take(sessions, share) and _back(sessions)):
            return False
    return True


def _take(sessions, share):
    """Keeps the turn that is looked at, if it is wanted; False if its role is out of turn."""
    turns = sessions.turns
    i = sessions.pos + _KEEP
    keep = sessions.buf[i] | sessions.buf[i + 1] << 8
    role = sessions.buf[i - _KEEP - 2]
    i = _SPARE
    if role == _SUMMARY:
        sessions.left = min(sessions.left, keep)
        if not turns[_PLACE + 2]:
            i = _PLACE
    elif role == sessions.role:
        return False
    else:
        if role == _USER and sessions.mark < 0:
            sessions.mark = keep
        sessions.role = role
        sessions.left -= 1
        if sessions.low and sessions.room >= 0:
            sessions.low -= 1
            i = sessions.low * 3
            sessions.room -= min(turns[_SCRAP + 2], share)
            if sessions.low > _TURNS - 3:
                sessions.room = max(sessions.room, 0)
    turns[i] = sessions.number - sessions.base << 2 | role
    turns[i + 1] = turns[_SCRAP + 1]
    turns[i + 2] = turns[_SCRAP + 2]
    return True


def _back(sessions):
    """Looks at the turn before; False if its place is not known, or cannot be right."""
    turns = sessions.turns
    at = turns[_SCRAP + 1]
    pos = sessions.pos + _BACK
    copy(turns, 2 * _SCRAP + 2, sessions.buf, pos + 1, 4)
    pos = sessions.buf[pos]
    turns[_SCRAP] = (sessions.number - (pos & _UNKNOWN)) & _NUMBER | (pos & 128) << 8
    pos &= _UNKNOWN
    return pos < _UNKNOWN and (pos > 0 or turns[_SCRAP + 1] < at or not turns[_SCRAP + 2])


def fit(sessions, share, limit):
    """Leaves of the turns that were found those that load() gives, of each at most ``room``.

    That is ``share``, or as much less as the last exchange needs, and a question behind it, to
    come at all.
    """
    turns = sessions.turns
    if turns[_PLACE + 2] > limit:
        turns[_PLACE + 2] = 0
    limit -= turns[_PLACE + 2]
    sessions.left = sessions.high - 2
    sessions.left -= turns[(sessions.left + 1) % _SLOTS * 3] & 3 == _USER
    while True:
        first = sessions.high
        left = limit
        while first > sessions.low:
            left -= min(turns[(first - 1) % _SLOTS * 3 + 2], share)
            if left < 0:
                break
            first -= 1
        if first <= max(sessions.left, sessions.low):
            break
        share -= share // 8 + 1
    if first < sessions.high and turns[first % _SLOTS * 3] & 3 == _ASSISTANT:
        first += 1
    if turns[_PLACE + 2]:
        first -= 1
    sessions.low = first
    if turns[_PLACE + 2]:
        first = first % _SLOTS * 3
        turns[first] = turns[_PLACE]
        turns[first + 1] = turns[_PLACE + 1]
        turns[first + 2] = turns[_PLACE + 2]
    sessions.room = share
