"""The log: the last lines, in one buffer of fixed size, and each line to the serial line.

A line is text for a person. Known secrets are blotted out, whoever wrote them.
"""

import sys
import time


class Log:
    """Keeps the newest lines that fit ``buf``. ``error`` is the last error's text."""

    def __init__(self, buf):
        self._buf = buf
        self._start = time.ticks_ms()
        self._len = 0
        self.secrets = ()
        self.error = ""

    def info(self, line):
        """Adds one line."""
        for secret in self.secrets:
            line = line.replace(secret, "***")
        line = "%8d %s\n" % (
            time.ticks_diff(time.ticks_ms(), self._start) // 1000,
            line.replace("\n", " "),
        )
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
        said = str(error)
        for secret in self.secrets:
            said = said.replace(secret, "***")
        if said != self.error:
            self.error = said
            self.info(said)

    def write(self, stream):
        """Writes all lines that are kept to ``stream``, without a copy: memory may be scarce."""
        stream.write(self._buf, 0, self._len)
