"""A listening port on loopback, with or without TLS, that counts what comes.

TCP connections are accepted first and TLS is started on them after, so that connections,
finished handshakes and failed ones are counted apart.
"""

import asyncio
import socket
import ssl

from .connection import Connection

_HOST = "127.0.0.1"
_HANDSHAKE_S = 30.0


class Listener:
    """`connections`, `handshakes` and `failed_handshakes` count since the start; `open_now` is the
    set of the connections that are open."""

    def __init__(self, app, on_event, numbers, port=0, context: ssl.SSLContext | None = None):
        self._app = app
        self._on_event = on_event
        self._numbers = numbers
        self._server = None
        self._tasks = set()
        self.context = context
        self.port = port
        self.connections = 0
        self.handshakes = 0
        self.failed_handshakes = 0
        self.open_now = set()

    @property
    def secure(self) -> bool:
        return self.context is not None

    @property
    def url(self) -> str:
        scheme, host = ("https", "localhost") if self.secure else ("http", _HOST)
        return f"{scheme}://{host}:{self.port}"

    async def open(self):
        """Listens; after `close` on the same port again."""
        self._server = await asyncio.get_running_loop().create_server(
            lambda: _Accepted(self), _HOST, self.port, backlog=512
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self):
        """Stops listening (a new connection is refused) and cuts the open connections."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in list(self.open_now):
            connection.cut()
        for task in list(self._tasks):
            task.cancel()
        for _ in range(3):  # until the transports have told their ends
            await asyncio.sleep(0)

    def accepted(self, transport):
        """A TCP connection was made."""
        if self._server is None:
            transport.abort()
            return
        self.connections += 1
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(self._app, self._event, self, next(self._numbers), self.secure)
        if self.context is None:
            transport.set_protocol(connection)
            connection.connection_made(transport)
            return
        transport.pause_reading()
        task = asyncio.get_running_loop().create_task(self._handshake(transport, connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _handshake(self, transport, connection):
        try:
            secured = await asyncio.get_running_loop().start_tls(
                transport,
                connection,
                self.context,
                server_side=True,
                ssl_handshake_timeout=_HANDSHAKE_S,
            )
        except (OSError, asyncio.CancelledError):
            self.failed_handshakes += 1
            transport.abort()
            return
        self.handshakes += 1
        connection.inner = transport
        connection.connection_made(secured)

    def _event(self, name, connection):
        if name == "open":
            self.open_now.add(connection)
        else:
            self.open_now.discard(connection)
        self._on_event(name, connection)


class _Accepted(asyncio.Protocol):
    """Holds a connection from its acceptance until it has its true protocol."""

    def __init__(self, listener):
        self._listener = listener

    def connection_made(self, transport):
        self._listener.accepted(transport)
