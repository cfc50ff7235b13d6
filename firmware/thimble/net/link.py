"""One TCP or TLS connection whose every wait has an end.

The socket never blocks; what waits is `poll.ipoll`, in slices of at most 250 ms with `tick()`
between.

TLS does not sit on the socket but on the Link itself, a stream that notes what the socket said. So
a socket's error never reaches the TLS library, which would lose the bytes it read just before; and
"no bytes yet" can be told from "a record without bytes for us" (a TLS 1.3 session ticket). The
library's own poll wakes every millisecond and is not used.

The frames of `recv`, `send` and what they call are kept under 44 bytes: MicroPython puts larger
ones into the heap for the time of the call.
"""

import errno
import gc
import io
import select
import socket
from time import ticks_diff, ticks_ms

from thimble.core.errors import NetError

_SLICE_MS = const(250)
_CLOSE = const(4)  # MP_STREAM_CLOSE
_ALL = const(0x3FFFFFFF)
_EOF = const(1)
_BROKEN = const(2)
_ENETUNREACH = const(101)  # Linux's, where no route leads there; MicroPython has no name for it


class Link(io.IOBase):
    """One connection, opened and closed any number of times.

    resolver: dns.Resolver; tick: called at least every 250 ms of any wait; tls: a
    verifying context (roots.context), or None if no connection will be secure; room: room.Room or
    None.

    resolve_ms, connect_ms, handshake_ms: how long each of these may take. send_ms: the longest
    time without progress while sending. connects, handshakes: counts of those that succeeded.
    cut: the TLS connection ended without its closing alert, so what came may not be all.
    """

    resolve_ms = 12000
    connect_ms = 12000
    handshake_ms = 20000
    send_ms = 20000

    def __init__(self, resolver, tick, tls, room=None):
        self.connects = 0
        self.handshakes = 0
        self.is_open = False
        self.cut = False
        self._resolver = resolver
        self._tick = tick
        self._tls = tls
        self._room = room
        self._poll = select.poll()
        self._sock = None
        self._stream = None  # the TLS connection, or this
        self._starved = False  # the socket had no bytes when it was last asked
        self._ended = 0  # or _EOF, _BROKEN: what the socket has said
        self._off = self._n = 0  # of what write() is given, the part that it writes
        self._fresh = False  # or the address, until it is known who answers there
        self._bye = False  # the peer has sent TLS's closing alert
        self._since = 0
        self._one = bytearray(1)

    # The stream that TLS sits on: it returns None instead of failing or waiting.

    def readinto(self, buf):
        if self._ended:
            return None
        n = self._get(buf)
        if n is None:
            self._starved = True
        elif n <= 0:
            self._ended = _BROKEN if n else _EOF
            return None
        return n

    def _get(self, buf):
        try:
            return self._sock.readinto(buf)
        except OSError:
            return -1

    def write(self, buf):
        """Called by the TLS library, with a buffer that lives for the call only."""
        try:
            return self._sock.write(buf, self._off, self._n)
        except OSError:
            self._ended = _BROKEN
            return None

    def ioctl(self, request, arg):
        # The TLS library closes what it sits on; close() closes the socket.
        return 0 if request == _CLOSE else -errno.EINVAL

    def open(self, host, port, secure):
        """Connect; a secure link makes its handshake with the first send().

        Raises NetError: "resolve", "connect", "handshake".
        """
        self.close()
        done = False
        try:
            self._fresh = self._resolver.resolve(host, port, self.resolve_ms)
            gc.collect()  # the socket stays: it is not to split what is free
            self._connect(host, port)
            if secure:
                self._wrap(host)
            else:
                self._fresh = False
            self.connects += 1
            self.is_open = done = True
        except OSError as error:  # none is left, or no memory for one
            raise NetError("connect", "no socket: %s" % _said(error))
        finally:
            if not done:
                self.close()

    def close(self):
        """Close, if open. Nothing is waited for.

        Where nobody answered, or somebody else, a captive portal, say, the address is doubted.
        """
        if self._fresh:
            self._resolver.doubt(self._fresh)
        if self._stream is not None and self._stream is not self:
            _close(self._stream)
        if self._sock is not None:
            self._poll.unregister(self._sock)
            _close(self._sock)
            self._sock = None
            if self._room:
                self._room.closed()
        self._stream = None
        self.is_open = self._fresh = False

    def recv(self, buf, ms):
        """n > 0 bytes at the start of buf; 0: the peer closed; -1: nothing within ms.

        Raises NetError("closed") if the connection broke.
        """
        self._since = ticks_ms()
        n = self._read(buf)
        while n < 0:
            n = ms - ticks_diff(ticks_ms(), self._since)
            if n <= 0:
                return -1
            self._rest(n)
            n = self._read(buf)
        return n

    def send(self, buf, off, end):
        """Send buf[off:end], all of it.

        Raises NetError: "certificate" or "handshake" (the first send of a secure link), "send".
        """
        if self._fresh:
            off = self._shake(buf, off, end)
        self._since = ticks_ms()
        while off < end:
            n = self._write(buf, off, end - off)
            if n:
                off += n
                self._since = ticks_ms()
            else:
                self._clear()

    def dead(self):
        """Whether the peer has closed an idle connection, or sent bytes nobody asked for."""
        try:
            return self._read(self._one) >= 0
        except NetError:
            return True

    def _rest(self, ms):
        """Wait for bytes, one slice at most."""
        self._poll.ipoll(ms if ms < _SLICE_MS else _SLICE_MS)
        self._tick()

    def _clear(self):
        """Wait, one slice at most, until the socket takes bytes."""
        if self._ended == _BROKEN:
            raise NetError("send", "the connection broke while it was written to")
        if ticks_diff(ticks_ms(), self._since) >= self.send_ms:
            raise NetError("send", "the server took no bytes for %d ms" % self.send_ms)
        self._poll.modify(self._sock, select.POLLOUT)
        self._rest(_SLICE_MS)
        self._poll.modify(self._sock, select.POLLIN)

    def _read(self, buf):
        """What recv() returns, without waiting."""
        if self._bye and self._stream is not self:
            return self._end()
        self._starved = False
        n = self._take(buf)
        if n is not None:
            # Fewer than asked for, and not for want of bytes: TLS read the closing alert
            # behind them, which it does not tell a second time.
            self._bye = n < len(buf) and not (self._starved or self._ended)
            return n
        return self._end() if self._ended else -1

    def _take(self, buf):
        try:
            return self._stream.readinto(buf)
        except OSError:
            return self._spoilt()

    def _write(self, buf, off, n):
        if self._stream is self:
            self._off = off
            self._n = n
            return self.write(buf)
        # No except clause: what TLS would raise here has been raised by a read, and is _BROKEN.
        return self._stream.write(buf, off, n)

    def _end(self):
        if self._ended == _BROKEN:
            raise NetError("closed", "the connection was reset or lost")
        self.cut = self._stream is not self and not self._bye
        return 0

    def _spoilt(self):
        """The TLS library repeats its error when it is asked again."""
        self._ended = _BROKEN
        try:
            self._stream.readinto(self._one)
        except OSError as error:
            raise NetError("closed", "TLS broke off (%s)" % _said(error))
        raise NetError("closed", "TLS broke off")

    def _connect(self, host, port):
        self._ended = self._off = 0
        self._n = _ALL
        self.cut = self._bye = False
        self._sock = sock = socket.socket()
        sock.setblocking(False)
        # A request goes out in several writes; none of them shall wait for the peer's ACK.
        # Only ports that need not have the usual numbers have names for these.
        tcp, no_delay = getattr(socket, "IPPROTO_TCP", 6), getattr(socket, "TCP_NODELAY", 1)
        sock.setsockopt(tcp, no_delay, 1)
        # An ESP32 tells of a refusal only who asks for POLLHUP.
        self._poll.register(sock, select.POLLOUT | select.POLLHUP)
        start = ticks_ms()
        failure = None
        try:
            sock.connect(self._fresh)
        except OSError as error:
            if error.errno != errno.EINPROGRESS:
                failure = _said(error)
        while not failure:
            for _, events in self._poll.ipoll(_SLICE_MS):
                if not events & (select.POLLERR | select.POLLHUP):
                    self._poll.modify(sock, select.POLLIN)
                    self._stream = self
                    return
                failure = "refused"
                try:
                    sock.readinto(self._one)  # how a socket without getsockopt tells its error
                except OSError as error:
                    failure = _said(error)
            self._tick()
            if ticks_diff(ticks_ms(), start) >= self.connect_ms:
                failure = "no answer within %d ms" % self.connect_ms
        raise NetError("connect", "%s port %d: %s" % (host, port, failure))

    def _wrap(self, host):
        if self._room:
            self._room.opened()
        try:
            self._stream = self._tls.wrap_socket(
                self, server_hostname=host, do_handshake_on_connect=False
            )
        except OSError as error:
            raise _refusal(error)

    def _shake(self, buf, off, end):
        """The first write makes the handshake. Returns the offset of what is still to be sent."""
        start = ticks_ms()
        while True:
            self._starved = False
            try:
                n = self._stream.write(buf, off, end - off)
            except ValueError as error:
                raise NetError("certificate", _reasons(str(error)))
            except OSError as error:
                raise _refusal(error)
            if n is not None:
                self._fresh = False
                self.handshakes += 1
                return off + n
            if self._ended:
                raise NetError("handshake", "the server ended the connection during it")
            if ticks_diff(ticks_ms(), start) >= self.handshake_ms:
                raise NetError("handshake", "not done within %d ms" % self.handshake_ms)
            self._since = ticks_ms()
            if self._starved:
                self._rest(_SLICE_MS)
            else:
                self._clear()


def _close(stream):
    try:
        stream.close()
    except OSError:
        pass


def _said(error):
    """What an OSError means, in a few words."""
    if error.errno == errno.ECONNREFUSED:
        return "refused"
    if error.errno in (errno.EHOSTUNREACH, _ENETUNREACH):
        return "unreachable"
    name = errno.errorcode.get(error.errno)
    return name or str(error.args[-1])


def _refusal(error):
    """NetError for an OSError of the TLS library; several of its errors mean "no memory"."""
    said = _said(error)
    if error.errno == errno.ENOMEM or "alloc" in said.lower():
        said = "not enough memory for the TLS connection"
    return NetError("handshake", said)


def _reasons(text):
    """The library's lines on a certificate, as one."""
    said = "; ".join(line.strip() for line in text.split("\n") if line.strip())
    if "expired" in text or "future" in text:
        said += " (or the clock is wrong)"
    return said
