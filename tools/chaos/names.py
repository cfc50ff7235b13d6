"""A name server on loopback (RFC 1035) whose answers a test chooses."""

from __future__ import annotations

import socket
import threading
import time

GOOD, NO_NAME, FAILS, SILENT = "good", "no name", "fails", "silent"
_FLAGS = {GOOD: b"\x81\x80", NO_NAME: b"\x81\x83", FAILS: b"\x81\x82"}
_TTL_S = 30


class Names:
    """Every name has the address 127.0.0.1, unless ``how[name]`` says otherwise: GOOD, NO_NAME,
    FAILS, SILENT, or the seconds after which it is answered. ``asked`` counts queries by name.
    A context manager; ``server`` is its "address:port"."""

    def __init__(self):
        self.how: dict[str, str | float] = {}
        self.asked: dict[str, int] = {}
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.bind(("127.0.0.1", 0))
        self._sock.settimeout(0.1)
        self.server = f"127.0.0.1:{self._sock.getsockname()[1]}"
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Names:
        self._thread.start()
        return self

    def __exit__(self, *exc) -> None:
        self._ended.set()
        self._thread.join(5)
        self._sock.close()

    def _serve(self) -> None:
        late: list[tuple[float, bytes, tuple]] = []
        while not self._ended.is_set():
            for due in [one for one in late if one[0] <= time.monotonic()]:
                late.remove(due)
                self._sock.sendto(due[1], due[2])
            try:
                query, peer = self._sock.recvfrom(512)
            except TimeoutError:
                continue
            name = _name(query)
            self.asked[name] = self.asked.get(name, 0) + 1
            how = self.how.get(name, GOOD)
            if isinstance(how, float):
                late.append((time.monotonic() + how, answer(query, GOOD), peer))
            elif how != SILENT:
                self._sock.sendto(answer(query, how), peer)


def answer(query: bytes, how: str) -> bytes:
    """What a server says to a query: GOOD, NO_NAME or FAILS."""
    record = b""
    if how == GOOD:
        record = b"\xc0\x0c\0\1\0\1" + _TTL_S.to_bytes(4, "big") + b"\0\4\x7f\0\0\1"
    count = b"\0\1" if record else b"\0\0"
    return query[:2] + _FLAGS[how] + b"\0\1" + count + bytes(4) + query[12:] + record


def _name(query: bytes) -> str:
    labels, at = [], 12
    while at < len(query) and query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode())
        at += 1 + query[at]
    return ".".join(labels)
