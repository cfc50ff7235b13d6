"""Lines from the serial line, or from standard input, without waiting for them."""

import select
import sys

_LINE = const(256)


class Line:
    """echo: what is typed is shown, as terminals on a serial line expect."""

    def __init__(self, echo=False):
        # type: (bool) -> None
        self._echo = echo
        self._buf = bytearray(_LINE)
        self._len = 0
        self._byte = bytearray(1)
        self._poll = select.poll()
        self._poll.register(sys.stdin, select.POLLIN)

    def read(self):
        # type: () -> bytes
        """The next line, stripped; b"" if none is complete. One that is too long is dropped."""
        while True:
            event = 0
            for ready in self._poll.ipoll(0):
                event = ready[1]
            if not event:
                return b""
            if not event & select.POLLIN or not sys.stdin.buffer.readinto(self._byte):
                self._poll.unregister(sys.stdin)
            elif self._take(self._byte[0]):
                size = self._len
                self._len = 0
                if size <= _LINE:
                    return bytes(self._buf[:size]).strip()
                print("that line is too long")

    def _take(self, char):
        # type: (int) -> bool
        """Adds one byte; whether it ended a line."""
        end = char == 10 or char == 13
        if (char == 8 or char == 127) and self._len <= _LINE:
            if self._len:
                self._len -= 1
                if self._echo:
                    sys.stdout.write("\b \b")
            return False
        if not end:
            if self._len < _LINE:
                self._buf[self._len] = char
            self._len = min(self._len + 1, _LINE + 1)
        if self._echo and (end or 32 <= char < 127):
            sys.stdout.write("\n" if end else chr(char))
        return end
