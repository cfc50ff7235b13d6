"""One client's connection, down to the bytes.

The cloud has its own small server because its tests need what a framework hides: a chunk header
split between two packets, a connection cut in the middle of a body, a false Content-Length.
"""

import asyncio
import socket
import struct

from .wire import BadRequest, Request, Response, dechunk

_MAX_HEAD = 256 * 1024
_PAUSE_AT = 1024 * 1024


class Gone(Exception):
    """The client closed the connection before the answer was complete."""


class Connection(asyncio.Protocol):
    """One client's connection; requests on it are answered one after the other.

    `app(request)` returns a Response, or an awaitable that gives a Response or, having written the
    answer by itself, None. `on_event(name, connection)` hears "open" and "closed". `inner` is the
    TCP transport under `transport` (the same where there is no TLS).
    """

    __slots__ = (
        "_app",
        "_buffer",
        "_drained",
        "_on_event",
        "_request",
        "_task",
        "closed",
        "inner",
        "listener",
        "number",
        "requests",
        "secure",
        "service",
        "transport",
        "was_cut",
    )

    def __init__(self, app, on_event, listener, number: int, secure: bool):
        self._app = app
        self._on_event = on_event
        self._buffer = bytearray()
        self._drained = None
        self._request = None
        self._task = None
        self.closed = False
        self.inner = None
        self.listener = listener
        self.number = number
        self.requests = 0
        self.secure = secure
        self.service = ""
        self.transport = None
        self.was_cut = False

    @property
    def busy(self) -> bool:
        """True while a request is being answered."""
        return self._task is not None

    def connection_made(self, transport):
        self.transport = transport
        self.inner = self.inner or transport
        if self.closed:
            transport.abort()
            return
        self._on_event("open", self)
        self._advance()

    def connection_lost(self, exc):
        self.closed = True
        if self.transport is None:
            return
        if self._drained is not None and not self._drained.done():
            self._drained.set_exception(Gone())
        if self._task is not None:
            self._task.cancel()
        self._on_event("closed", self)

    def pause_writing(self):
        self._drained = asyncio.get_running_loop().create_future()

    def resume_writing(self):
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._drained = None

    def data_received(self, data):
        self._buffer += data
        if self.transport is None:
            return  # the client's first request came with the end of the handshake
        if self._task is None:
            self._advance()
        elif len(self._buffer) > _PAUSE_AT:
            self.transport.pause_reading()

    def eof_received(self):
        return False

    async def drain(self):
        """Waits until what was written is mostly on its way. Raises Gone."""
        if self.closed:
            raise Gone()
        if self._drained is not None:
            await self._drained

    def write(self, data: bytes):
        """Writes bytes as they are. Raises Gone."""
        if self.closed or self.transport.is_closing() or self.inner.is_closing():
            raise Gone()
        self.transport.write(data)

    def cut(self, reset=False):
        """Ends the connection as a failing network would: no TLS close_notify, and with `reset`
        an RST instead of a FIN. What was written before goes out first, unless `reset`."""
        self.closed = self.was_cut = True
        if reset:
            sock = self.inner.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.inner.abort()
        else:
            self.inner.close()

    def close(self):
        """Ends the connection in good order."""
        self.closed = True
        self.transport.close()

    def _advance(self):
        """Takes complete requests out of the buffer until one of them keeps us busy."""
        while not self.closed and self._task is None:
            try:
                request = self._take()
            except BadRequest as error:
                self.write(Response(error.status).bytes(keep_alive=False))
                self.close()
                return
            if request is None:
                return
            self.requests += 1
            answer = self._app(request)
            if isinstance(answer, Response):
                self._finish(request, answer)
            else:
                self._task = asyncio.get_running_loop().create_task(self._await(request, answer))

    def _take(self):
        """The next complete request, or None."""
        buffer = self._buffer
        request = self._request
        if request is None:
            end = buffer.find(b"\r\n\r\n")
            if end < 0:
                if len(buffer) > _MAX_HEAD:
                    raise BadRequest(431, "total headers size exceeded")
                return None
            request = Request(bytes(buffer[:end]))
            request.connection = self
            del buffer[: end + 4]
            if request.headers.get("expect", "").lower() == "100-continue":
                self.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        length = request.body_length()
        if length < 0:
            found = dechunk(buffer, 0)
            if found is None:
                self._request = request
                return None
            request.body, end = found
            del buffer[:end]
        elif length:
            if len(buffer) < length:
                self._request = request
                return None
            request.body = bytes(buffer[:length])
            del buffer[:length]
        self._request = None
        return request

    async def _await(self, request, answer):
        try:
            response = await answer
        except (Gone, asyncio.CancelledError):
            self._task = None
            return
        self._task = None
        if response is not None:
            self._finish(request, response)
        elif not self.closed and not request.keep_alive:
            self.close()
        if not self.closed:
            self.transport.resume_reading()
            self._advance()

    def _finish(self, request, response):
        if not self.closed:
            self.transport.write(response.bytes(request.keep_alive))
            if not request.keep_alive:
                self.close()
