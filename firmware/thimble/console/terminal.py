"""Asking a person on the serial line: lines that are shown or hidden as they are typed or pasted.

What is pasted may hold anything: control characters and a terminal's escape sequences are dropped.
"""

import select
import sys

_LINE = const(512)
_ECHO_ICANON = const(0o12)  # of Linux's c_lflag, which is the list's fourth
_LFLAG = const(3)


class Terminal:
    """The serial line, or standard input; on Linux its own echo is off until close()."""

    def __init__(self):
        self._after_return = False
        self._old = None
        try:
            import termios

            self._old = termios.tcgetattr(0)
            still = list(self._old)
            still[_LFLAG] &= ~_ECHO_ICANON
            termios.tcsetattr(0, termios.TCSANOW, still)
        except (ImportError, OSError):
            pass  # a board, or no terminal

    def close(self):
        """Gives the terminal back as it was."""
        if self._old is not None:
            import termios

            try:
                termios.tcsetattr(0, termios.TCSANOW, self._old)
            except OSError:
                pass  # it is gone

    def pressed(self):
        """Whether Enter was pressed since."""
        poll = select.poll()
        poll.register(sys.stdin, select.POLLIN)
        for _ in poll.ipoll(0):
            return self._read() in (10, 13)
        return False

    def ask(self, question, secret=False):
        """What is typed, without white space around it. EOFError where the line has ended."""
        while True:
            sys.stdout.write(question)
            size, line = self._line(secret)
            try:
                if size <= _LINE:
                    return bytes(line[:size]).decode().strip()
                print("That is too long.")
            except UnicodeError:
                print("That is not UTF-8 text.")

    def _read(self):
        """The next byte; 0 in the place of the second of a line's end."""
        data = sys.stdin.buffer.read(1)
        char = data[0] if data else 4
        if char == 4:  # Ctrl-D
            raise EOFError
        if char == 3:  # Ctrl-C
            raise KeyboardInterrupt
        second = self._after_return and char == 10
        self._after_return = char == 13
        return 0 if second else char

    def _line(self, secret):
        line, size = bytearray(_LINE), 0
        escape = 0  # 1: behind ESC, 2: in the sequence
        while True:
            char = self._read()
            if char == 10 or char == 13:
                print()
                return size, line
            if escape:
                if escape == 1 and char in b"[O":
                    escape = 2
                elif escape == 1 or char >= 0x40:
                    escape = 0
            elif char == 27:
                escape = 1
            elif (char == 8 or char == 127) and size <= _LINE:
                while size and line[size - 1] & 0xC0 == 0x80:
                    size -= 1
                if size:
                    size -= 1
                    if not secret:
                        sys.stdout.write("\b \b")
            elif char >= 32:
                if size < _LINE:
                    line[size] = char
                    if not secret:
                        sys.stdout.buffer.write(bytes((char,)))
                size = min(size + 1, _LINE + 1)
