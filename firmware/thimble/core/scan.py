"""A pull scanner for JSON (RFC 8259) that arrives in pieces of any size.

It copies out the few values that are wanted and checks and skips all else, however long, so no
document is ever held whole. Wanted values are named by paths: b"result[].message.chat.id", where
"[]" stands for every element of an array. So does b".\xff", and then that path, and those beside
it that no other goes on from, lead back to where they begin: of b"tree.\xff", b"tree.left" and
b"tree.right" each is wanted at any depth, down to the document's level 33.

The paths become a tree of names, in which the byte 0xFE, that no UTF-8 has, stands for "[]". One
bytearray, the table, holds (offsets in bytes)

    0    an empty node: the node of everything that is not wanted
    4    the kinds of the open containers, one bit a level, 1 for an object
    36   the root's node, then all others: the length of its name; path + 1 (0: no wanted path ends
         here), with 0x80 if it has children, of which the first follows at once; the offset of its
         next sibling (2 bytes, low first, 0: none); its name
    …    room for the key that is being read

One viper function does all the work, from one event to the next; its state is an array('i').
"""

from array import array

from thimble.core.errors import ParseError

# Events, and kinds of values. Who needs one has a copy of it, since a name that others can see
# takes room; MORE is for whoever feeds one.
MORE = const(0)  # all input is used: feed() again
_OPEN = const(1)  # a wanted path's object or array begins
_CLOSE = const(2)  # … and ends
_VALUE = const(3)  # a wanted path's string, number or literal, or the rest of a long string
_PIECE = const(4)  # the output area is full in the middle of a wanted string
_END = const(5)  # the document is complete

_STRING = const(0)
_INTEGER = const(1)
_NUMBER = const(2)  # with a fraction or an exponent
_TRUE = const(3)
_FALSE = const(4)
_NULL = const(5)

_MOST_LEVELS = const(16)  # of a path
_DEEPEST = const(32)  # containers around one in which paths are still looked for
_LONGEST_NUMBER = const(24)

_WHAT = const(
    (
        "JSON: this byte cannot stand here",
        "JSON: a control character in a string",
        "JSON: half of a surrogate pair",
        "JSON: not UTF-8",
        "JSON: a number is too long",
    )
)
_UNEXPECTED = const(-1)
_CONTROL = const(-2)
_SURROGATE = const(-3)
_ENCODING = const(-4)
_LONG = const(-5)

# Parts of the table.
_KINDS = const(4)
_KIND_LEVELS = const(256)
_ROOT = const(36)
_CHILDREN = const(0x80)
_PATHS = const(0x7F)
_NAME = const(4)
_ELEMENT = const(0xFE)

# Elements of the state. None that is read again is ever negative: where a word has 64 bits, viper
# reads them without a sign.
_POS = const(0)  # the next byte of the input
_STOP = const(1)
_STATE = const(2)
_SINK = const(3)  # what becomes of the scalar that is being read
_NODE = const(4)  # of the value that comes or is read; 0: it is not wanted
_SUB = const(5)  # the innermost container's node: of its elements, or of its first member
_INSIDE = const(6)  # the innermost container: 1 object, 0 array, _TOP none
_DEPTH = const(7)  # open containers
_TRACKED = const(8)  # how many of them, from the outermost, have wanted paths in them
_OUT = const(9)  # where the next decoded byte goes
_N = const(10)  # bytes or digits left; the part of a number; the place in a literal
_CODE = const(11)  # the code point that is being read
_LEAST = const(12)  # the least code point that needs as many UTF-8 bytes
_HIGH = const(13)  # the first half of a surrogate pair, or 0
_PATH = const(14)  # and 1; 0: what was read last is not wanted
_KIND = const(15)
_LENGTH = const(16)
_BEGIN = const(17)  # of the output area, then of the key's room
_LIMIT = const(19)  # of both
_STACK = const(21)  # of each tracked container, at most 34: its _SUB << 8 | path + 1
_USED = const(55)  # bytes of the document
_SIZE = const(56)

_TOP = const(8)  # no byte is 0x5D + (8 << 5)

# Sinks. An odd one is decoded.
_SKIP = const(0)
_WANTED = const(1)
_SKIP_KEY = const(2)
_KEY = const(3)

# States, in an order that the comparisons in _run rely on. First those between tokens.
_AT_VALUE = const(0)
_AT_KEY = const(1)
_AT_COLON = const(2)
_AT_FIRST_VALUE = const(3)  # or the end of the array
_AT_FIRST_KEY = const(4)  # or the end of the object
_AFTER = const(5)
_DONE = const(6)
_IN_STRING = const(7)
_IN_UTF8 = const(8)
_IN_NUMBER = const(9)
_IN_LITERAL = const(10)
_IN_ESCAPE = const(11)
_IN_HEX = const(12)
_IN_PAIR = const(13)  # between the halves of a surrogate pair
_FAILED = const(14)
_EMIT = const(15)  # a code point is to be written; takes no input
_ENDED = const(16)  # a value has ended; takes no input
_START = const(17)

# Each row is ended by 0: the literals; the escapes, in pairs: the letter, what it means; and the
# parts of a number, in pairs: what may come, where 1 is 1 to 9, and the row that goes on from it,
# as the character whose code is the row's offset.
_FIXED = const(
    b"true\0false\0null\0"
    b'""\\\\//b\bf\fn\nr\rt\t\0'
    b"-(0@1G\0"  # its begin
    b"0@1G\0"  # ( its sign
    b"0R1R\0"  # - the point
    b"-;+;0[1[\0"  # 2 the exponent's letter
    b"0[1[\0"  # ; its sign
    b".-e2E2\0"  # @ a zero; in this row and the next ones it may end
    b"0G1G.-e2E2\0"  # G digits
    b"0R1Re2E2\0"  # R digits behind the point
    b"0[1[\0"  # [ digits of the exponent
)
_ROW_TRUE = const(0)
_ROW_FALSE = const(5)
_ROW_NULL = const(11)
_ESCAPES = const(16)
_ROW_NUMBER = const(33)
_ZERO = const(64)
_FRACTION = const(82)


class Scanner:
    """paths: the wanted ones, as bytes; ValueError if one is empty, given twice, deeper than 16
    levels or one of more than 127.

    After an event: path (index in paths) and, after VALUE and PIECE, kind (STRING …) and length
    (the bytes that are in the output area).
    """

    def __init__(self, paths):
        self._state = array("i", bytes(4 * _SIZE))
        self._table = _compile(paths, self._state)
        self._in = self._out = b""
        self.path = self.kind = self.length = 0

    def start(self, out, off, size):
        """Begin a new document. Values go to out[off:off+size]; size at least 4."""
        st = self._state
        st[_STATE] = _START
        self.offset = st[_USED] = st[_POS] = st[_STOP] = 0
        self._out = out
        st[_BEGIN] = off
        st[_LIMIT] = off + size

    def out(self, out, off, size):
        """Redirect the output. Not in the middle of a wanted value, except after PIECE."""
        st = self._state
        self._out = out
        st[_BEGIN] = off
        st[_LIMIT] = off + size
        if st[_SINK] == _WANTED:
            st[_OUT] = off

    def feed(self, buf, off, end):
        """The next bytes of the document; allowed after start() and after MORE or END."""
        st = self._state
        self._in = buf
        st[_POS] = off
        st[_STOP] = end

    @micropython.viper
    def next(self) -> int:
        """Go on to the next event and return it: MORE, OPEN, CLOSE, VALUE, PIECE or END.

        Strings arrive as UTF-8 without escapes, numbers as they were written. A string longer than
        the output area comes as PIECEs of whole characters and a VALUE with the rest; each begins
        at the start of the area. After END only white space may follow.

        Raises ParseError; the document cannot be continued then. Objects and arrays in each other
        are checked up to 256 levels; deeper ones need only closing brackets in the right number.
        """
        c = 0
        i = 0
        st = ptr32(self._state)
        b = ptr8(self._in)
        area = ptr8(self._out)
        tab = ptr8(self._table)
        fixed = ptr8(_FIXED)
        i = st[_POS]
        end = st[_STOP]
        s = st[_STATE]
        sink = st[_SINK]
        node = st[_NODE]
        sub = st[_SUB]
        inside = st[_INSIDE]
        depth = st[_DEPTH]
        o = st[_OUT]
        n = st[_N]
        code = st[_CODE]
        event = MORE
        if s == _START:
            s = _AT_VALUE
            node = _ROOT
            inside = _TOP
            depth = 0
            st[_TRACKED] = 0
            st[_HIGH] = 0
        dst = tab if sink == _KEY else area
        while i < end:
            c = b[i]
            i += 1
            if s == _IN_STRING:
                if sink & 1:
                    limit = st[_LIMIT + (sink >> 1)]
                    # Most bytes are letters: > 0x5C decides at once.
                    while c > 0x5C or c >= 0x20 and c != 0x22 and c != 0x5C:
                        if c >= 0x80 or o == limit:
                            break
                        dst[o] = c
                        o += 1
                        if i == end:
                            c = 0x100
                            break
                        c = b[i]
                        i += 1
                else:
                    while c > 0x5C or c >= 0x20 and c != 0x22 and c != 0x5C:
                        if i == end:
                            c = 0x100
                            break
                        c = b[i]
                        i += 1
                if c == 0x22:
                    s = _ENDED
                    if sink & 2:
                        s = _AT_COLON
                        if sink == _KEY:
                            n = o - st[_BEGIN + 1]
                            while node:
                                if tab[node] == n:
                                    p = 0
                                    while p < n and tab[node + _NAME + p] == tab[o - n + p]:
                                        p += 1
                                    if p == n:
                                        break
                                node = tab[node + 2] | tab[node + 3] << 8
                elif c == 0x5C:
                    s = _IN_ESCAPE
                elif c < 0x20:
                    event = _CONTROL
                elif c < 0x80:
                    i -= 1
                    if sink == _KEY:
                        o = st[_BEGIN + 1]
                        node = 0
                    else:
                        event = _PIECE
                elif c < 0x100:
                    s = _IN_UTF8
                    n = 1
                    st[_LEAST] = 0x80
                    if c >= 0xF0:
                        n = 3
                        st[_LEAST] = 0x10000
                    elif c >= 0xE0:
                        n = 2
                        st[_LEAST] = 0x800
                    if c < 0xC2 or c > 0xF4:
                        event = _ENCODING
                    code = c & 0x3F >> n
            elif s <= _DONE:
                if c <= 0x20:
                    if c != 0x20 and 0x2600 >> c & 1 == 0:  # the bits of tab, LF and CR
                        event = _UNEXPECTED
                elif depth > _KIND_LEVELS:
                    # Too deep for a wanted path and for the kinds: only count the brackets.
                    if c == 0x22:
                        s = _IN_STRING
                        sink = _SKIP
                    elif c | 0x20 == 0x7B:
                        depth += 1
                    elif c | 0x20 == 0x7D:
                        depth -= 1
                        if depth == _KIND_LEVELS:
                            inside = tab[_KINDS + (_KIND_LEVELS >> 3) - 1] >> 7
                            s = _AFTER
                elif s >= _AT_FIRST_VALUE and c == 0x5D + (inside << 5):
                    depth -= 1
                    if depth < st[_TRACKED]:
                        st[_TRACKED] = depth
                        p = st[_STACK + depth] & _PATHS
                        if p:
                            st[_PATH] = p
                            event = _CLOSE
                    inside = _TOP
                    if depth:
                        p = depth - 1
                        inside = tab[_KINDS + (p >> 3)] >> (p & 7) & 1
                        if depth == st[_TRACKED]:
                            sub = st[_STACK + p] >> 8
                    sink = _SKIP
                    s = _ENDED
                elif s == _AFTER:
                    if c != 0x2C:
                        event = _UNEXPECTED
                    s = _AT_KEY if inside else _AT_VALUE
                    node = sub
                elif s == _AT_COLON:
                    if c != 0x3A:
                        event = _UNEXPECTED
                    s = _AT_VALUE
                elif s == _AT_KEY or s == _AT_FIRST_KEY:
                    if c != 0x22:
                        event = _UNEXPECTED
                    s = _IN_STRING
                    sink = _SKIP_KEY
                    if sub:
                        sink = _KEY
                        o = st[_BEGIN + 1]
                        dst = tab
                elif s == _DONE:
                    event = _UNEXPECTED
                else:
                    p = tab[node + 1] & _PATHS
                    st[_PATH] = p
                    if c | 0x20 == 0x7B:
                        inside = c >> 5 & 1
                        if tab[node + 1] & _CHILDREN:
                            sub = node + _NAME + tab[node]
                        elif p == 0 or tab[sub + _NAME] <= _ELEMENT:
                            sub = 0
                        # The elements' node is the first child, before all members.
                        if depth > _DEEPEST or inside == 0 and tab[sub + _NAME] < _ELEMENT:
                            sub = 0
                        if sub or p:
                            st[_STACK + depth] = sub << 8 | p
                            st[_TRACKED] = depth + 1
                            if p:
                                event = _OPEN
                        if depth < _KIND_LEVELS:
                            p = _KINDS + (depth >> 3)
                            n = depth & 7
                            tab[p] = tab[p] & ~(1 << n) | inside << n
                        depth += 1
                        node = sub
                        s = _AT_FIRST_KEY if inside else _AT_FIRST_VALUE
                    else:
                        sink = _WANTED if p else _SKIP
                        o = st[_BEGIN]
                        dst = area
                        p = _STRING
                        s = _IN_STRING
                        if c != 0x22:
                            s = _IN_LITERAL
                            if c == 0x74:
                                p = _TRUE
                                n = _ROW_TRUE + 1
                            elif c == 0x66:
                                p = _FALSE
                                n = _ROW_FALSE + 1
                            elif c == 0x6E:
                                p = _NULL
                                n = _ROW_NULL + 1
                            else:
                                i -= 1
                                s = _IN_NUMBER
                                n = _ROW_NUMBER
                        st[_KIND] = p
            elif s == _IN_UTF8:
                code = code << 6 | c & 0x3F
                n -= 1
                if c & 0xC0 != 0x80:
                    event = _ENCODING
                elif n == 0:
                    if code < st[_LEAST] or code > 0x10FFFF or code >> 11 == 0x1B:
                        event = _ENCODING
                    s = _EMIT
            elif s == _IN_NUMBER:
                p = c
                if c > 0x30 and c <= 0x39:
                    p = 0x31
                while fixed[n] != p and fixed[n]:
                    n += 2
                if fixed[n] == 0:
                    if n < _ZERO:
                        event = _UNEXPECTED
                    else:
                        i -= 1
                        st[_KIND] = _INTEGER if n < _FRACTION else _NUMBER
                        s = _ENDED
                else:
                    n = fixed[n + 1]
                    if sink:
                        if o == st[_LIMIT] or o - st[_BEGIN] == _LONGEST_NUMBER:
                            event = _LONG
                        else:
                            dst[o] = c
                            o += 1
            elif s == _IN_LITERAL:
                if c != fixed[n]:
                    event = _UNEXPECTED
                n += 1
                if fixed[n] == 0:
                    s = _ENDED
            elif s == _IN_ESCAPE:
                s = _IN_STRING
                if c == 0x75:
                    s = _IN_HEX
                    n = 4
                    code = 0
                elif st[_HIGH]:
                    event = _SURROGATE
                else:
                    p = _ESCAPES
                    while fixed[p] != c and fixed[p]:
                        p += 2
                    if fixed[p] == 0:
                        event = _UNEXPECTED
                    code = fixed[p + 1]
                    if sink & 1:
                        s = _EMIT
            elif s == _IN_HEX:
                p = c - 0x30
                if p < 0 or p > 9:
                    p = (c | 0x20) - 0x57
                    if p < 10 or p > 15:
                        event = _UNEXPECTED
                code = code << 4 | p
                n -= 1
                if n == 0:
                    s = _IN_STRING
                    if sink & 1:
                        s = _EMIT
                        p = code >> 10
                        if st[_HIGH]:
                            if p != 0x37:
                                event = _SURROGATE
                            code = 0x10000 + ((st[_HIGH] & 0x3FF) << 10) + (code & 0x3FF)
                            st[_HIGH] = 0
                        elif p == 0x36:
                            st[_HIGH] = code
                            s = _IN_PAIR
                        elif p == 0x37:
                            event = _SURROGATE
            elif s == _IN_PAIR:
                s = _IN_ESCAPE
                if c != 0x5C:
                    event = _SURROGATE
            elif s == _FAILED:
                event = _UNEXPECTED
            else:
                i -= 1
            if s >= _EMIT and event >= 0:
                if s == _EMIT:
                    p = 0
                    if code >= 0x80:
                        p = 1 if code < 0x800 else 2 if code < 0x10000 else 3
                    if o + p >= st[_LIMIT + (sink >> 1)]:
                        if sink == _KEY:
                            node = 0
                            s = _IN_STRING
                        else:
                            event = _PIECE
                    else:
                        s = _IN_STRING
                        if p:
                            dst[o] = 0x780 >> p & 0xFF | code >> 6 * p
                        else:
                            dst[o] = code
                        while p:
                            p -= 1
                            o += 1
                            dst[o] = 0x80 | code >> 6 * p & 0x3F
                        o += 1
                else:
                    s = _AFTER
                    if sink:
                        event = _VALUE
                    if depth == 0:
                        s = _DONE
                        event = _END
            if event:
                break
        if event < 0:
            s = _FAILED
            i -= 1
        elif event >= _VALUE:
            st[_LENGTH] = o - st[_BEGIN]
            o = st[_BEGIN]
        st[_USED] += i - st[_POS]
        st[_POS] = i
        st[_STATE] = s
        st[_SINK] = sink
        st[_NODE] = node
        st[_SUB] = sub
        st[_INSIDE] = inside
        st[_DEPTH] = depth
        st[_OUT] = o
        st[_N] = n
        st[_CODE] = code
        if event > 0:
            self.path = st[_PATH] - 1
            self.kind = st[_KIND]
            self.length = st[_LENGTH]
            self.offset = st[_USED]
        elif event < 0:
            self._fail(event)
        return event

    def _fail(self, event):
        self.offset = self._state[_USED]
        raise ParseError(_WHAT[~event], self.offset)

    def finish(self):
        """The input ends here: ParseError unless the document was complete."""
        st = self._state
        s = st[_STATE]
        if s == _DONE or (s == _IN_NUMBER and st[_DEPTH] == 0 and st[_N] >= _ZERO):
            return
        raise ParseError("JSON: the document ends too early", st[_USED])


def _compile(paths, state):
    table = bytearray(_ROOT + _NAME)
    words = []
    for path in paths:
        path = path.replace(b"[]", b".\xfe").lstrip(b".")
        words.append((path.split(b"."), len(words) + 1))
    longest = 0
    # In this order, 0xFF and 0xFE first, a node's first child comes right behind it.
    for names, number in sorted(words, reverse=True):
        node = _ROOT
        for name in names:
            last = 0
            child = node + _NAME + table[node] if table[node + 1] & _CHILDREN else 0
            while child and table[child + _NAME :][: table[child]] != name:
                last = child
                child = table[child + 2] | table[child + 3] << 8
            if not child:
                child = len(table)
                table.extend(bytes((len(name), 0, 0, 0)) + name)
                if last:
                    table[last + 2] = child & 255
                    table[last + 3] = child >> 8
                else:
                    table[node + 1] |= _CHILDREN
            node = child
            longest = max(longest, len(name))
        twice = table[node + 1] & _PATHS
        if twice or not names[0] or len(names) > _MOST_LEVELS or number > _PATHS:
            raise ValueError("bad path")
        table[node + 1] |= number
    state[_BEGIN + 1] = len(table)
    state[_LIMIT + 1] = len(table) + longest
    table.extend(bytes(longest))
    return table
