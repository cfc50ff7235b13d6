"""A text/event-stream that arrives in pieces of any size.

WHATWG HTML, section 9.2, "Server-sent events": lines end with CR, LF or CRLF; a field is
"name: value"; a blank line ends an event. Only the field `data` matters here: in both dialects it
says what kind of event it is, too; and `error`, which the standard does not know, but in which
llama.cpp said its errors until 2025. They are passed on as views into what was fed; nothing is
copied.
"""

from array import array

MORE = const(0)  # all input is used: feed() again
DATA = const(1)  # a part of the current event's data is at buf[pos:end]
EVENT = const(2)  # the event is complete
DONE = const(3)  # … and its data was "[DONE]"

# What is passed on as data without being in the input; the fields' names, each ended by 0.
_MARKS = const(b"[DONE]\ndata\0\xef\xbb\xbferror\0")
_JOINT = const(6)
_NAME = const(7)
_BOM = const(12)
_BOM_END = const(15)
_ERROR = const(15)

# Elements of the state.
_POS = const(0)  # the next byte of the input
_END = const(1)
_STATE = const(2)
_N = const(3)  # the place in the field's name or in the byte order mark
_AFTER_CR = const(4)  # 1: a line feed that comes now belongs to the line's end
_LINES = const(5)  # 1: the event has data
_HELD = const(6)  # bytes of "[DONE]" that are all of the data so far and were not passed on yet
_SIZE = const(7)

_AT_BOM = const(0)
_AT_LINE = const(1)
_IN_FIELD = const(2)
_AT_VALUE = const(3)
_AT_DATA = const(4)
_IN_MARK = const(5)  # in data that may become "[DONE]"
_IN_DATA = const(6)
_IN_SKIPPED = const(7)


class Sse:
    """After DATA: buf, pos, end, a view of the event's data."""

    def __init__(self):
        self._state = array("i", bytes(4 * _SIZE))
        self.start()

    def start(self):
        """Begin a new stream."""
        st = self._state
        for i in range(_SIZE):
            st[i] = 0
        st[_N] = _BOM
        self._in = self.buf = b""
        self.pos = self.end = 0

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
        stop = 0  # of the view, in _MARKS; or, if that is 0, it ends at i
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
                start = 0
                stop = held
                if s == _IN_MARK:
                    s = _IN_DATA
                elif held == 0:
                    start = _JOINT
                    stop = _JOINT + 1
                    s = _IN_DATA
                if stop:
                    event = DATA
                held = 0
            elif line_end:
                if s == _AT_VALUE or s == _IN_FIELD and own[n] == 0:
                    s = _AT_DATA  # an empty value; no byte is used up here
                    continue
                if s == _AT_LINE and st[_LINES]:
                    event = DONE if held else EVENT
                    st[_LINES] = 0
                    held = 0
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
                    s = _IN_FIELD if c == 0x64 or c == 0x65 else _IN_SKIPPED
                    n = _NAME + 1 if c == 0x64 else _ERROR + 1
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
                    s = _AT_DATA
        st[_POS] = i
        st[_STATE] = s
        st[_N] = n
        st[_HELD] = held
        if event == DATA:
            self.buf = _MARKS if stop else self._in
            self.pos = start
            self.end = stop if stop else i
        return event
