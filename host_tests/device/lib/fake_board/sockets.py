"""`socket` as the two ports have it, as far as a connection that begins is concerned.

Both say nothing of a socket that is still connecting, and both tell of a refusal by ECONNRESET.
But an RP2 reports it as POLLERR and POLLHUP whatever was asked for, while an ESP32 asks lwIP's
select: it is writable, and POLLHUP is told only to who asked for that.
"""

import errno
import io

from fake_board.chip import chip

_POLL, _CLOSE = 3, 4
_IN, _OUT, _ERR, _HUP = 1, 4, 8, 16
_NEW, _CONNECTING, _OPEN, _REFUSED, _CLOSED = range(5)
ENFILE = 23


class Socket(io.IOBase):
    def __init__(self, module):
        self._module = module
        self._state = _NEW

    def setblocking(self, flag):
        assert not flag

    def setsockopt(self, level, option, value):
        assert (level, option) == (self._module.IPPROTO_TCP, self._module.TCP_NODELAY)

    def connect(self, address):
        assert isinstance(address, tuple) and self._state == _NEW
        self._state = _CONNECTING
        raise OSError(errno.EINPROGRESS)

    def readinto(self, buf):
        if self._state == _REFUSED:
            raise OSError(errno.ECONNRESET)
        return None

    def ioctl(self, request, arg):
        if request == _CLOSE:
            self._state = _CLOSED
            return 0
        if request != _POLL:
            return -errno.EINVAL
        esp32 = chip.port == "esp32"
        if self._state == _NEW:
            return (arg & _OUT if esp32 else 0) | _HUP
        if self._state == _CONNECTING:
            self._state = {None: _CONNECTING, True: _OPEN, False: _REFUSED}[self._module.takes]
            return 0  # this look came too early
        if self._state == _OPEN:
            return arg & _OUT
        return arg & (_IN | _OUT | _HUP) if esp32 else arg & _OUT | _ERR | _HUP

    def close(self):
        self.ioctl(_CLOSE, 0)


class Sockets:
    """The module. takes: whether the other side takes connections; None: it is silent."""

    IPPROTO_TCP = 6

    def __init__(self):
        self.TCP_NODELAY = 1 if chip.port == "esp32" else 0x40
        self.takes = True
        self.most = 10  # sockets that there are
        self.made = []

    def socket(self):
        if len(self.made) >= self.most:
            raise OSError(ENFILE if chip.port == "esp32" else errno.ENOMEM)
        self.made.append(Socket(self))
        return self.made[-1]
