"""Faults: what a test lets go wrong, and where.

A fault is armed for a service and a method and for the next calls of them; each kind is one
coroutine here, registered under its name by `kind`. It gets the request, `proceed` (a coroutine
function that lets the cloud handle the request and gives the Response, or None if the answer was
streamed) and its options, and returns the Response to send, or None once it has dealt with the
connection by itself. `proceed` before a cut means that the call took effect but its answer was
lost; without it, the cloud never heard of the call. A streamed answer passes unharmed where the
kind needs a whole one: what happens inside a stream is for scripts (script.py).
"""

import asyncio
import gzip as gzip_module
import inspect
import itertools
import json
import random

from .connection import Gone
from .wire import Response, head

KINDS = {}

_HTML = (
    b"<html>\r\n<head><title>%d %s</title></head>\r\n<body>\r\n<center><h1>%d %s</h1></center>\r\n"
    b"<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)


class _Streamed(Exception):
    """The answer that a fault waited for was streamed and is out."""


class Fault:
    """One armed fault. `times` None means for ever; `skip` calls pass unharmed first."""

    def __init__(self, service, method, name, times, skip, options):
        if name not in KINDS:
            raise ValueError(f"no such fault: {name} (there are {', '.join(sorted(KINDS))})")
        inspect.signature(KINDS[name]).bind(None, None, **options)
        self.service = service
        self.method = method.lower() if method else None
        self.name = name
        self.times = times
        self.skip = skip
        self.options = options
        self.applied = 0

    def takes(self, service, method) -> bool:
        """True if the fault strikes this call; counts it."""
        if self.service not in (None, service) or self.method not in (None, method.lower()):
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.times is not None:
            self.times -= 1
        self.applied += 1
        return True

    async def apply(self, request, proceed):
        async def whole():
            response = await proceed()
            if response is None:
                raise _Streamed()
            return response

        try:
            return await KINDS[self.name](request, whole, **self.options)
        except _Streamed:
            return None


class Faults:
    """The armed faults; the first that fits a call is applied to it."""

    def __init__(self):
        self._armed = []

    def arm(self, service, method, name, times=1, skip=0, **options) -> Fault:
        """`service` "telegram" or "models" (None: any), `method` as "sendMessage", "chat" or
        "messages" (None: any), `name` one of KINDS."""
        fault = Fault(service, method, name, times, skip, options)
        self._armed.append(fault)
        return fault

    def clear(self):
        self._armed.clear()

    def match(self, service, method):
        """The fault for this call, or None."""
        for fault in self._armed:
            if fault.takes(service, method):
                if fault.times == 0:
                    self._armed.remove(fault)
                return fault
        return None


def kind(name):
    """Registers the coroutine below it as the fault `name`."""

    def register(function):
        KINDS[name] = function
        return function

    return register


@kind("status")
async def status(request, proceed, status=500, body=None, content_type=None, headers=()):
    """An answer with this status. `body` str, bytes or a dict (sent as JSON); without one, the
    HTML page of a proxy."""
    if body is None:
        reason = {500: b"Internal Server Error", 502: b"Bad Gateway"}.get(status, b"Error")
        body, content_type = _HTML % (status, reason, status, reason), content_type or "text/html"
    elif isinstance(body, dict):
        body = _json(body)
    elif isinstance(body, str):
        body = body.encode()
    headers = headers.items() if isinstance(headers, dict) else headers
    return Response(status, body, content_type or "application/json", tuple(headers))


@kind("flood")
async def flood(request, proceed, retry_after=3):
    """429 in the service's own words."""
    seconds = int(retry_after)
    if request.connection.service == "telegram":
        text = f"Too Many Requests: retry after {seconds}"
        body = {"ok": False, "error_code": 429, "description": text}
        body["parameters"] = {"retry_after": seconds}
    elif request.path.endswith("/messages"):
        error = {
            "type": "rate_limit_error",
            "message": "Number of requests has exceeded your rate",
        }
        body = {"type": "error", "error": error}
    else:
        text = "Rate limit reached for requests"
        error = {"message": text, "type": "requests", "param": None, "code": "rate_limit_exceeded"}
        body = {"error": error}
    return Response(429, _json(body), headers=(("Retry-After", seconds),))


@kind("delay")
async def delay(request, proceed, seconds=1.0):
    """The call takes effect at once, its answer comes late."""
    response = await proceed()
    await asyncio.sleep(seconds)
    return response


@kind("late")
async def late(request, proceed, seconds=1.0):
    """The call is heard late: before that it takes no effect, and nothing of an answer comes."""
    await asyncio.sleep(seconds)
    return await proceed()


@kind("hang")
async def hang(request, proceed, seconds=3600.0):
    """No answer at all; the connection stays open, for `seconds` at most."""
    await asyncio.sleep(seconds)
    request.connection.cut()


@kind("close")
async def close(request, proceed, effect=False, reset=False):
    """The connection ends before the answer. With `effect` the call has taken effect."""
    if effect:
        await proceed()
    request.connection.cut(reset)


@kind("close_in_head")
async def close_in_head(request, proceed, effect=False):
    """The connection ends in the middle of the headers."""
    response = await proceed() if effect else Response(200, b"{}")
    data = response.bytes()
    await _write_part(request.connection, data[: data.index(b"\r\n\r\n") // 2 + 1])


@kind("close_in_body")
async def close_in_body(request, proceed, at=None, reset=False):
    """The connection ends after `at` bytes of the body (half of it by default)."""
    response = await proceed()
    data = response.bytes()
    start = len(data) - len(response.body)
    end = start + (len(response.body) // 2 if at is None else at)
    await _write_part(request.connection, data[:end], reset)


@kind("stall_in_body")
async def stall_in_body(request, proceed, seconds=3600.0):
    """Silence after half of the body, then after `seconds` the rest."""
    response = await proceed()
    data = response.bytes()
    end = len(data) - (len(response.body) + 1) // 2
    request.connection.write(data[:end])
    await asyncio.sleep(seconds)
    request.connection.write(data[end:])


@kind("garbage")
async def garbage(request, proceed, size=300):
    """Bytes that are no HTTP, the same each time, then the end of the connection."""
    await _write_part(request.connection, random.Random(1).randbytes(size))


@kind("raw")
async def raw(request, proceed, data=b"", pause=0.0, fast=0, then="close"):
    """Exactly these bytes; with `pause`, behind the first `fast` one every so many seconds.
    `then`: "close" as a failing network, "reset", "polite" (in good order), or "hold": the
    connection stays open, silent."""
    connection = request.connection
    fast = fast if pause else len(data)
    connection.write(data[:fast])
    for at in range(fast, len(data)):
        connection.write(data[at : at + 1])
        await asyncio.sleep(pause)
    if then == "hold":
        await asyncio.sleep(3600.0)
    elif then == "polite":
        connection.close()
    else:
        await _write_part(connection, b"", then == "reset")


@kind("garbage_body")
async def garbage_body(request, proceed):
    """A well-formed answer with a body that is not JSON."""
    return Response(200, b'{"ok":true,"result":[{]')


@kind("length")
async def length(request, proceed, add=10):
    """A Content-Length that is wrong by `add` bytes; then the connection ends."""
    response = await proceed()
    size = max(0, len(response.body) + add)
    lines = (("Content-Length", size), *response.headers)
    await _write_part(request.connection, head(response.status, lines) + response.body)


@kind("endless_headers")
async def endless_headers(request, proceed, lines=2000, line_bytes=200, forever=False):
    """Header lines without an end, as many as the client bears."""
    connection = request.connection
    connection.write(b"HTTP/1.1 200 OK\r\n")
    try:
        for number in itertools.count():
            if number >= lines and not forever:
                break
            connection.write(b"X-Line-%d: %s\r\n" % (number, b"x" * line_bytes))
            await connection.drain()
            await asyncio.sleep(0)
    except Gone:
        return
    connection.cut()


@kind("long_header")
async def long_header(request, proceed, size=20000):
    """The right answer, with one header line of `size` bytes."""
    response = await proceed()
    response.headers = (("X-Long", "x" * size), *response.headers)
    return response


@kind("redirect")
async def redirect(request, proceed, to="https://elsewhere.invalid/", status=302):
    return Response(status, b"", "text/html", (("Location", to),))


@kind("gzip")
async def gzip(request, proceed):
    """The answer compressed, although nobody asked for it."""
    response = await proceed()
    response.body = gzip_module.compress(response.body)
    response.headers = (("Content-Encoding", "gzip"), *response.headers)
    return response


@kind("chunked")
async def chunked(request, proceed, size=7):
    """The right answer in chunks of `size` bytes, with a chunk extension and a trailer."""
    response = await proceed()
    body = response.body
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    data = b"".join(b"%x;n=1\r\n%s\r\n" % (len(part), part) for part in parts)
    lines = (("Transfer-Encoding", "chunked"), *response.headers)
    end = b"0\r\nX-Trailer: yes\r\n\r\n"
    request.connection.write(head(response.status, lines) + data + end)


@kind("no_length")
async def no_length(request, proceed):
    """The right answer without a length; the end of the connection ends it."""
    response = await proceed()
    connection = request.connection
    connection.write(head(response.status, response.headers, keep_alive=False) + response.body)
    connection.close()


@kind("close_after")
async def close_after(request, proceed, announce=True):
    """The right answer, then the end of the connection, announced in its head or not."""
    response = await proceed()
    connection = request.connection
    connection.write(response.bytes(keep_alive=not announce))
    connection.close()


@kind("trickle")
async def trickle(request, proceed, size=1, pause=0.001):
    """The right answer, `size` bytes at a time."""
    response = await proceed()
    data = response.bytes()
    for at in range(0, len(data), size):
        request.connection.write(data[at : at + size])
        await asyncio.sleep(pause)


@kind("continue")
async def continue_first(request, proceed):
    """An interim answer (1xx) before the right one."""
    request.connection.write(b"HTTP/1.1 100 Interim\r\nX-Interim: yes\r\n\r\n")
    return await proceed()


async def _write_part(connection, data, reset=False):
    connection.write(data)
    await connection.drain()
    if reset:
        await asyncio.sleep(0.02)  # an RST would overtake what was written
    connection.cut(reset)


def _json(value) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
