"""The log: the last lines, in one buffer of fixed size, and each line to the serial line.

A line is text for a person. Known secrets are blotted out, whoever wrote them.
"""

import sys
from time import ticks_add, ticks_diff, ticks_ms


def blotted(text, secrets):
    """``text`` without the secrets, wherever it comes from."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return text


class Log:
    """Keeps the newest lines that fit ``buf``. ``error`` is the last error's text."""

    def __init__(self, buf):
        self._buf = buf
        self._at = ticks_ms()
        self._seconds = 0  # from the start to _at
        self._len = 0
        self.secrets = ()
        self.error = ""

    def seconds(self):
        """Since the start. To be asked every few days at least: ticks_ms wraps after twelve."""
        gone = ticks_diff(ticks_ms(), self._at) // 1000
        self._at = ticks_add(self._at, gone * 1000)
        self._seconds += gone
        return self._seconds

    def info(self, line):
        """Adds one line."""
        line = blotted(line, self.secrets).replace("\n", " ")
        line = "%8d %s\n" % (self.seconds(), line)
        sys.stderr.write(line)
        data = line.encode()
        if len(data) > len(self._buf):
            data = data[: len(self._buf)]
        while self._len + len(data) > len(self._buf):
            cut = self._buf.find(b"\n", 0, self._len) + 1 or self._len
            self._buf[: self._len - cut] = self._buf[cut : self._len]
            self._len -= cut
        self._buf[self._len : self._len + len(data)] = data
        self._len += len(data)

    def fail(self, error):
        """Adds an error's sentence, once while it is the last one."""
        said = blotted(str(error), self.secrets)
        if said != self.error:
            self.error = said
            self.info(said)

    def write(self, stream):
        """Writes all lines that are kept to ``stream``, without a copy: memory may be scarce."""
        stream.write(self._buf, 0, self._len)
