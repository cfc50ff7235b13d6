"""Writes a body piece by piece: in chunks, cut into packets where a client may stumble."""

import itertools
import re

from .wire import Response, head

_ESCAPE = re.compile(rb'\\(?:u[0-9A-Fa-f]{4}|["\\/bfnrt])')
_CONTENT_TYPE = "text/event-stream; charset=utf-8"
_WIDE = re.compile(rb"[\xc2-\xf4][\x80-\xbf]+")

# What a service and the proxies before it say besides. Some begin like fields that matter.
_FRILLS = (
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
    ("connection-id", "close"),
    ("retry-after-ms", "60000"),
    ("transfer-id", "gzip"),
    ("x-ratelimit-limit-requests", "10000"),
    ("x-ratelimit-remaining-tokens", "1999994"),
    ("x-ratelimit-reset-requests", "6ms"),
    ("set-cookie", f"__cf_bm={'x' * 180}; path=/; HttpOnly; Secure; SameSite=None"),
    ("set-cookie", f"_cfuvid={'y' * 80}; path=/; HttpOnly; Secure; SameSite=None"),
    ("strict-transport-security", "max-age=31536000; includeSubDomains; preload"),
    ("cf-cache-status", "DYNAMIC"),
    ("alt-svc", 'h3=":443"; ma=86400'),
    ("vary", "Accept-Encoding"),
)


class BodyWriter:
    """One streamed answer on a connection, framed and cut as its script says.

    `send` puts out one event; with `framing` "length" everything is held back until `end`.
    """

    def __init__(self, connection, script, clock, keep_alive):
        self._clock = clock
        self._connection = connection
        self._held = []
        self._keep_alive = keep_alive and script.framing != "close"
        self._script = script

    def start(self):
        if self._script.framing == "length":
            return
        lines = [("Content-Type", _CONTENT_TYPE), ("Cache-Control", "no-cache")]
        if self._script.framing == "chunked":
            lines.append(("Transfer-Encoding", "chunked"))
        if self._script.frills:
            lines = [*_FRILLS, *((name.lower(), value) for name, value in lines)]
        self._connection.write(head(200, lines, self._keep_alive))

    async def send(self, data: bytes):
        script = self._script
        if script.framing == "length":
            self._held.append(data)
            return
        pieces = pieces_of(data, script.cuts)
        for piece in pieces:
            if script.framing == "chunked":
                await self._packets(chunk_packets(piece, script.cuts))
            elif script.cuts == "bytes":
                await self._packets([piece[at : at + 1] for at in range(len(piece))])
            else:
                await self._packets([piece])
            if len(pieces) > 1:
                await self._pause()
        await self._connection.drain()

    async def end(self):
        script = self._script
        if script.framing == "length":
            answer = Response(200, b"".join(self._held), _CONTENT_TYPE)
            self._connection.write(answer.bytes(self._keep_alive))
        elif script.framing == "chunked":
            await self._packets(chunk_packets(b"", script.cuts))
        else:
            self._connection.close()

    async def _packets(self, packets):
        for number, packet in enumerate(packets):
            if number:
                await self._pause()
            self._connection.write(packet)

    async def _pause(self):
        await self._connection.drain()
        await self._clock.sleep(self._script.cut_pause)


def pieces_of(data: bytes, cuts) -> list:
    """An event in the pieces that become chunks of their own."""
    if isinstance(cuts, int):
        return [data[at : at + cuts] for at in range(0, len(data), cuts)] if cuts > 0 else [data]
    places = set()
    if cuts in ("escape", "all"):
        for match in _ESCAPE.finditer(data):
            places.add(match.start() + 1)
            if len(match[0]) > 2:
                places.add(match.start() + 4)
    if cuts in ("utf8", "all"):
        for match in _WIDE.finditer(data):
            places.update(range(match.start() + 1, match.end()))
    edges = [0, *sorted(places), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges) if b > a]


def chunk_packets(piece: bytes, cuts) -> list:
    """A chunk (the last one, if `piece` is empty) in the packets it is sent in."""
    size = b"%x" % len(piece)
    if cuts == "bytes":
        data = size + b"\r\n" + piece + b"\r\n"
        return [data[at : at + 1] for at in range(len(data))]
    if cuts in ("header", "all"):
        return [size[:1], size[1:] + b"\r", b"\n" + piece + b"\r", b"\n"]
    return [size + b"\r\n" + piece + b"\r\n"]
