"""A server that does exactly what a test's script says, and the client in MicroPython to face it.

A script is one list of steps for each connection, in the order of their coming:

    bytes      are sent as they are
    float      seconds of silence
    READ       a whole request is read and kept in `requests`
    HOLD       nothing more is said; the connection stays open
    RESET      the connection is reset
    CLOSE      it is closed without TLS's closing alert
    BYE        it is closed, with that alert

At the end of a list the connection is closed as by CLOSE. Connections beyond the script are closed
at once. All threads end with the server.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading

import trustme

READ, HOLD, RESET, CLOSE, BYE = "read", "hold", "reset", "close", "bye"

# In MicroPython: a tick that knows how long it was left alone.
TICKS = """
import time

class Ticks:
    last = time.ticks_ms()
    gap = count = 0

def tick():
    now = time.ticks_ms()
    Ticks.gap = max(Ticks.gap, time.ticks_diff(now, Ticks.last))
    Ticks.last = now
    Ticks.count += 1
"""

CLIENT = """
import gc, micropython, os, time
from thimble.core.errors import ConfigError, NetError
from thimble.net.dns import Resolver
from thimble.net.http import Http
from thimble.net.link import Link
from thimble.net import roots
"""
CLIENT += TICKS
CLIENT += """
class Request:
    repeatable = True
    text = b'{"a":1}'

    def write_head(self, w):
        w.raw(b"POST /x HTTP/1.1\\r\\n")

    def write_body(self, w):
        w.raw(self.text)

PORT = int(os.getenv("PORT"))
resolver = Resolver(tick, [], None)
ca = os.getenv("CA")
link = Link(resolver, tick, roots.context((), "", ca) if ca else None)
link.connect_ms = link.handshake_ms = link.send_ms = 500
http = Http(link, bytearray(1024), bytearray(512))
http.silence_ms = http.header_ms = 400
request = Request()

def fetch(first_ms=2000, host="localhost", secure=bool(os.getenv("CA"))):
    '''Prints the status and the body of an answer, or the error.'''
    started = Ticks.last = time.ticks_ms()
    try:
        http.origin(host, PORT, secure)
        status = http.request(request, first_ms)
        text = b""
        while True:
            n = http.read(1000)
            if n == 0:
                break
            if n > 0:
                text += http.inbuf[http.pos : http.pos + n]
        print(status, text.decode())
    except (NetError, ConfigError) as error:
        assert not link.is_open
        print(getattr(error, "stage", "config"), "|", error)
    tick()
    return time.ticks_diff(time.ticks_ms(), started)
"""


def authority(tmp_path_factory) -> trustme.CA:
    """A fresh CA; `path` is its certificate's."""
    made = trustme.CA()
    made.path = str(tmp_path_factory.mktemp("ca") / "ca.pem")
    made.cert_pem.write_to_path(made.path)
    return made


def context(ca: trustme.CA, *names: str, tls=None, **dates) -> ssl.SSLContext:
    """A server's context for `names` (localhost by default); `tls`: the only version it speaks."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(*(names or ("localhost", "127.0.0.1")), **dates).configure_cert(made)
    if tls:
        made.minimum_version = made.maximum_version = tls
    return made


def client(device, server: Server, source: str, ca=None, heap="176k") -> list[str]:
    """The lines that `source`, run after CLIENT, prints."""
    env = {"PORT": str(server.port), "CA": ca.path if ca else ""}
    done = device.run(CLIENT + source, env=env, heap=heap)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def answer(body: bytes = b"ok", head: bytes = b"") -> bytes:
    """An answer with a length."""
    return b"HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s" % (head, len(body), body)


class Server:
    """The server; a context manager. context: an ssl.SSLContext, or None for plain TCP.

    tls: the versions and ciphers of the connections that shook hands; errors: of those that did
    not.
    """

    def __init__(self, *script: list, context: ssl.SSLContext | None = None):
        self.script = list(script)
        self.context = context
        self.requests: list[bytes] = []
        self.tls: list[tuple] = []
        self.errors: list[str] = []
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Server:
        self._spawn(self._accept)
        return self

    def __exit__(self, *_) -> None:
        self._ended.set()
        for sock in [self._listener, *self._open]:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        for thread in self._threads:
            thread.join(5)
            assert not thread.is_alive()

    def _spawn(self, target, *args) -> None:
        self._threads.append(threading.Thread(target=target, args=args, daemon=True))
        self._threads[-1].start()

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(sock)
            self.connections += 1
            self._spawn(self._serve, sock, self.script.pop(0) if self.script else [])

    def _serve(self, sock: socket.socket, steps: list) -> None:
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(10)
            if self.context and HOLD not in steps[:1]:
                sock = self.context.wrap_socket(
                    sock, server_side=True, do_handshake_on_connect=False
                )
                self._open.append(sock)
                sock.do_handshake()
                self.tls.append((sock.version(), sock.cipher()[0]))
            for step in steps:
                self._step(sock, step)
        except (OSError, ssl.SSLError) as error:
            self.errors.append(str(error))
        finally:
            sock.close()

    def _step(self, sock, step) -> None:
        if isinstance(step, bytes):
            sock.sendall(step)
        elif isinstance(step, float):
            self._ended.wait(step)
        elif step == READ:
            self.requests.append(_request(sock))
        elif step == HOLD:
            self._ended.wait(30)
        elif step == RESET:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif step == BYE:
            # Python has no other way to send the closing alert than to wait for the peer's.
            sock.settimeout(0.05)
            with contextlib.suppress(OSError, AttributeError):  # plain TCP has none
                sock.unwrap()


def _request(sock) -> bytes:
    data = bytearray()
    while b"\r\n\r\n" not in data:
        data += _piece(sock)
    head = bytes(data.partition(b"\r\n\r\n")[0]).lower()
    for line in head.split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = len(head) + 4 + int(line.split(b":")[1])
            while len(data) < length:
                data += _piece(sock)
    return bytes(data)


def _piece(sock) -> bytes:
    piece = sock.recv(4096)
    if not piece:
        raise OSError("the client closed")
    return piece


class UdpServer:
    """A UDP server that gives each query to `reply(query, count)` and sends the messages it
    returns; `count` is 1 for the first query."""

    def __init__(self, reply):
        self.reply = reply
        self.queries: list[bytes] = []
        self.peer = None
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.bind(("127.0.0.1", 0))
        self._sock.settimeout(0.05)
        self.name = f"127.0.0.1:{self._sock.getsockname()[1]}"
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> UdpServer:
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._ended.set()
        self._thread.join(5)
        self._sock.close()

    def _serve(self) -> None:
        while not self._ended.is_set():
            with contextlib.suppress(TimeoutError):
                query, self.peer = self._sock.recvfrom(512)
                self.queries.append(query)
                for message in self.reply(query, len(self.queries)):
                    self._sock.sendto(message, self.peer)
