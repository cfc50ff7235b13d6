"""A text/event-stream that arrives in pieces of any size.

WHATWG HTML, section 9.2, "Server-sent events": lines end with CR, LF or CRLF; a field is
"name: value"; a blank line ends an event. Of the fields only `data` and `event` matter here. Data
is passed on as views into what was fed; nothing but the event's name is copied.
"""

from array import array

import micropython
from micropython import const

MORE = const(0)  # all input is used: feed() again
DATA = const(1)  # a part of the current event's data is at buf[pos:end]
EVENT = const(2)  # the event is complete
DONE = const(3)  # … and its data was "[DONE]"

_NAME_SIZE = const(32)

# What is passed on as data without being in the input, and the fields' names, each ended by 0.
_MARKS = b"[DONE]\ndata\0event\0\xef\xbb\xbf"
_JOINT = const(6)
_DATA_NAME = const(7)
_EVENT_NAME = const(12)
_BOM = const(18)
_BOM_END = const(21)

# Elements of the state.
_POS = const(0)  # the next byte of the input
_END = const(1)
_STATE = const(2)
_N = const(3)  # the place in a field's name or in the byte order mark
_AFTER_CR = const(4)  # 1: a line feed that comes now belongs to the line's end
_LINES = const(5)  # 1: the event has data
_HELD = const(6)  # bytes of "[DONE]" that are all of the data so far and were not passed on yet
_NAME_LEN = const(7)
_FROM = const(8)  # the view
_TO = const(9)
_OWN = const(10)  # 1: it is into _MARKS
_SIZE = const(11)

_AT_BOM = const(0)
_AT_LINE = const(1)
_IN_FIELD = const(2)
_AT_VALUE = const(3)
_IN_NAME = const(4)
_AT_DATA = const(5)
_IN_MARK = const(6)  # in data that may become "[DONE]"
_IN_DATA = const(7)
_IN_SKIPPED = const(8)


class Sse:
    """After DATA: buf, pos, end, a view of the event's data. After EVENT and DONE: name and
    name_len, the event's type, name[:name_len] (at most 32 bytes of it, 0 if it has none).
    """

    def __init__(self):
        self._state = array("i", bytes(4 * _SIZE))
        self.name = bytearray(_NAME_SIZE)
        self.start()

    def start(self):
        """Begin a new stream."""
        st = self._state
        for i in range(_SIZE):
            st[i] = 0
        st[_N] = _BOM
        self._in = self.buf = b""
        self.pos = self.end = self.name_len = 0

    def feed(self, buf, off, end):
        """The next bytes of the stream, allowed after start() and after MORE."""
        st = self._state
        self._in = buf
        st[_POS] = off
        st[_END] = end

    @micropython.viper
    def next(self) -> int:
        """Go on to what comes next and return it: MORE, DATA, EVENT or DONE.

        The lines of an event's data are joined by a line feed, which is a DATA of its own. DONE
        stands for both the data "[DONE]" and the EVENT. An event that the stream's end cuts off
        is none.
        """
        c = 0  # the first variables are those that viper keeps in registers
        i = 0
        st = ptr32(self._state)
        b = ptr8(self._in)
        own = ptr8(_MARKS)
        i = st[_POS]
        end = st[_END]
        s = st[_STATE]
        n = st[_N]
        held = st[_HELD]
        event = MORE
        while i < end and event == MORE:
            c = b[i]
            if st[_AFTER_CR]:
                st[_AFTER_CR] = 0
                if c == 10:
                    i += 1
                    continue
            if s == _IN_DATA:
                start = i
                while c > 13 or c != 10 and c != 13:
                    i += 1
                    if i == end:
                        break
                    c = b[i]
                if i > start:
                    st[_FROM] = start
                    st[_TO] = i
                    st[_OWN] = 0
                    event = DATA
                    continue
            line_end = c == 10 or c == 13
            if s == _IN_MARK and held < _JOINT and c == own[held]:
                held += 1
                i += 1
            elif s == _AT_DATA and not st[_LINES]:
                st[_LINES] = 1
                s = _IN_MARK
            elif s == _AT_DATA or s == _IN_MARK and (not line_end or held < _JOINT):
                # It was not "[DONE]": pass on what was held, and a line feed between two lines.
                st[_FROM] = 0
                st[_TO] = held
                if s == _IN_MARK:
                    s = _IN_DATA
                elif held == 0:
                    st[_FROM] = _JOINT
                    st[_TO] = _JOINT + 1
                    s = _IN_DATA
                if st[_TO]:
                    st[_OWN] = 1
                    event = DATA
                held = 0
            elif line_end:
                if s == _AT_VALUE or s == _IN_FIELD and own[n] == 0:
                    # An empty value. No byte is used up here.
                    s = _AT_DATA
                    if n > _EVENT_NAME:
                        s = _IN_NAME
                        st[_NAME_LEN] = 0
                    continue
                if s == _AT_LINE:
                    if st[_LINES]:
                        event = DONE if held else EVENT
                        st[_LINES] = 0
                        held = 0
                    else:
                        st[_NAME_LEN] = 0
                s = _AT_LINE
                st[_AFTER_CR] = 1 if c == 13 else 0
                i += 1
            elif s == _AT_BOM:
                if c == own[n]:
                    n += 1
                    i += 1
                    if n == _BOM_END:
                        s = _AT_LINE
                else:
                    s = _AT_LINE if n == _BOM else _IN_SKIPPED
            else:
                i += 1
                if s == _AT_LINE:
                    s = _IN_FIELD
                    n = _DATA_NAME + 1
                    if c == 0x65:
                        n = _EVENT_NAME + 1
                    elif c != 0x64:
                        s = _IN_SKIPPED
                elif s == _IN_FIELD:
                    if own[n] == 0 and c == 0x3A:
                        s = _AT_VALUE
                    elif own[n] == c and c:
                        n += 1
                    else:
                        s = _IN_SKIPPED
                elif s == _AT_VALUE:
                    if c != 0x20:
                        i -= 1
                    if n < _EVENT_NAME:
                        s = _AT_DATA
                    else:
                        s = _IN_NAME
                        st[_NAME_LEN] = 0
                elif s == _IN_NAME and st[_NAME_LEN] < _NAME_SIZE:
                    title = ptr8(self.name)
                    title[st[_NAME_LEN]] = c
                    st[_NAME_LEN] += 1
        st[_POS] = i
        st[_STATE] = s
        st[_N] = n
        st[_HELD] = held
        if event == DATA:
            self.buf = _MARKS if st[_OWN] else self._in
            self.pos = st[_FROM]
            self.end = st[_TO]
        elif event:
            self.name_len = st[_NAME_LEN]
            st[_NAME_LEN] = 0
        return event
