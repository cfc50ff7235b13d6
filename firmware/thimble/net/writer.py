"""Where a request writes itself: twice, once to be counted and once to be sent."""

from array import array

from thimble.core.errors import NetError
from thimble.core.octets import copy, escape, put_int

_NUMBER = const(11)  # bytes that the longest small int takes


class Writer:
    """Where a request writes itself: counts the bytes, or sends them through one buffer."""

    def __init__(self, link, buf):
        self.count = 0
        self._link = link
        self._buf = buf
        self._used = 0
        self._left = 0
        self._sending = False
        self._number = bytearray(_NUMBER)
        self._escape = array("i", bytes(16))

    def raw(self, data):
        """All of data, bytes that are sent as they are."""
        self.view(data, 0, len(data))

    def view(self, buf, off, end):
        """The bytes buf[off:end]."""
        if not self._sending:
            self.count += end - off
            return
        while off < end:
            n = min(len(self._buf) - self._used, end - off)
            copy(self._buf, self._used, buf, off, n)
            self._used += n
            off += n
            if off < end:
                self.flush()

    def num(self, n):
        """The small int n as a decimal."""
        begin = put_int(self._number, _NUMBER, n)
        self.view(self._number, begin, _NUMBER)

    def json(self, buf, off, end):
        """The bytes buf[off:end] as the inside of a JSON string."""
        state = self._escape
        state[0] = off
        state[1] = end
        while state[0] < end:
            state[2] = self._used
            state[3] = len(self._buf)
            escape(self._buf, buf, state)
            if not self._sending:
                self.count += state[2]
            else:
                self._used = state[2]
                if state[0] < end:
                    self.flush()

    def count_all(self):
        """From now on count only."""
        self.count = self._used = 0
        self._sending = False

    def send_up_to(self, n):
        """From now on send; at most n bytes may follow."""
        self._left = self._used + n
        self._sending = True

    def finish(self):
        """Send the rest. NetError if more or less was written than was counted."""
        if self._used < self._left:
            self._left = -1
        self.flush()

    def flush(self):
        """Send what is in the buffer. NetError if more was written than was counted."""
        n = self._used
        self._left -= n
        if self._left < 0:
            raise NetError("body", "the request changed while it was sent")
        self._used = 0
        self._link.send(self._buf, 0, n)
