"""A TCP proxy on loopback that passes bytes on, or does what bad networks do.

It sits below TLS and sees only sealed bytes, so it can do to them what a router can.
"""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import threading

_HOST = "127.0.0.1"
_PIECE = 16384

# What becomes of a new connection.
PASS, SHUT, RESET, STALL, BREAK, GARBAGE = "pass", "shut", "reset", "stall", "break", "garbage"
_HELLO = 20  # bytes of a server's first flight that pass before STALL and BREAK


class Gate:
    """Passes connections to ``target``, a port here. A context manager.

    mode: PASS; SHUT and RESET end a new connection at once, with FIN or RST; STALL lets the first
    bytes of the server's handshake through and then no more, BREAK resets it there; GARBAGE
    answers with noise. ``struck`` counts the connections that a fault has met.
    """

    def __init__(self, target: int):
        self.target = target
        self.mode = PASS
        self.struck = 0
        self._listener = None
        self._fillers: list[socket.socket] = []
        self._open: set[_Pair] = set()
        self._lock = threading.Lock()
        self.port = 0

    def __enter__(self) -> Gate:
        self.listen()
        return self

    def __exit__(self, *exc) -> None:
        self._shut()
        self.cut()

    def listen(self) -> None:
        """Takes connections (again), on the port that it had."""
        self._shut()
        self._bind(128)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def refuse(self) -> None:
        """The port is closed: a new connection is refused. Open ones are reset."""
        self._shut()
        self.struck += self.cut(reset=True)

    def swallow(self) -> None:
        """Nothing gets through: open connections go silent, a new one's SYN has no answer."""
        self._shut()
        self._bind(0)
        # A backlog that is full makes the kernel drop what comes.
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex((_HOST, self.port))
            self._fillers.append(filler)
        self.struck += self.freeze()

    def freeze(self) -> int:
        """Open connections pass nothing any more, and nobody is told. Returns how many."""
        with self._lock:
            for pair in self._open:
                pair.frozen = True
            self.struck += len(self._open)
            return len(self._open)

    def cut(self, reset=False) -> int:
        """Ends the open connections, without TLS's closing alert. Returns how many."""
        with self._lock:
            pairs = list(self._open)
        for pair in pairs:
            pair.end(reset)
        return len(pairs)

    def cut_within(self, count: int) -> None:
        """Resets each open connection once ``count`` more bytes came from its client."""
        with self._lock:
            for pair in self._open:
                pair.left = count

    def heal(self) -> None:
        """Passes everything again."""
        self.mode = PASS
        if self._listener is None or self._fillers:
            self.listen()

    def _bind(self, backlog) -> None:
        self._listener = socket.create_server((_HOST, self.port), backlog=backlog)
        self.port = self._listener.getsockname()[1]

    def _shut(self) -> None:
        if self._listener is not None:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        for filler in self._fillers:
            filler.close()
        self._fillers.clear()

    def _accept(self, listener) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            mode = self.mode
            if mode != PASS:
                self.struck += 1
            if mode in (SHUT, RESET):
                _close(client, mode == RESET)
                continue
            try:
                server = socket.create_connection((_HOST, self.target), 5)
            except OSError:
                _close(client, True)
                continue
            pair = _Pair(self, client, server, mode)
            with self._lock:
                self._open.add(pair)
            pair.start()

    def gone(self, pair) -> None:
        with self._lock:
            self._open.discard(pair)


class _Pair:
    """One connection through the gate."""

    def __init__(self, gate, client, server, mode):
        self.frozen = False
        self.left = -1
        self._gate = gate
        self._client = client
        self._server = server
        self._mode = mode
        self._reset = False
        for sock in (client, server):
            sock.settimeout(None)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def start(self) -> None:
        for run in (self._up, self._down):
            threading.Thread(target=run, daemon=True).start()

    def end(self, reset=False) -> None:
        self._reset = self._reset or reset
        self._gate.gone(self)
        for sock in (self._client, self._server):
            _close(sock, self._reset)

    def _up(self) -> None:
        try:
            while piece := self._client.recv(_PIECE):
                if self.frozen:
                    continue
                if 0 <= self.left < len(piece):
                    self._server.sendall(piece[: self.left])
                    self._gate.struck += 1
                    self.end(reset=True)
                    return
                if self.left >= 0:
                    self.left -= len(piece)
                if self._mode == GARBAGE:
                    self._client.sendall(random.Random(7).randbytes(400))
                    break
                self._server.sendall(piece)
            self.end()
        except OSError:
            self.end(reset=True)

    def _down(self) -> None:
        try:
            while piece := self._server.recv(_PIECE):
                if self.frozen:
                    continue
                if self._mode in (STALL, BREAK):
                    self._client.sendall(piece[:_HELLO])
                    if self._mode == BREAK:
                        self.end(reset=True)
                        return
                    self.frozen = True
                    continue
                self._client.sendall(piece)
            if not self.frozen:
                self.end()
        except OSError:
            if not self.frozen:
                self.end(reset=True)


def _close(sock, reset) -> None:
    with contextlib.suppress(OSError):
        if reset:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            sock.shutdown(socket.SHUT_WR)
        # A thread that still reads would keep the kernel from closing.
        sock.shutdown(socket.SHUT_RD)
    sock.close()
