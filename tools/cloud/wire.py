"""HTTP/1.1 messages on the server's side: what a request is, how an answer is written.

Requests are taken strictly: what is not well-formed HTTP/1.1 is a BadRequest, so that a careless
client is found out.
"""

import email.utils
import functools
import re
import time
import urllib.parse

_MAX_BODY = 64 * 1024 * 1024

_REQUEST_LINE = re.compile(rb"([A-Z]{1,16}) (/[!-~]*) HTTP/1\.([01])")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\x00]*?)[ \t]*")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})(?:;[^\r\n]*)?")

REASONS = {
    200: "OK",
    301: "Moved Permanently",
    302: "Found",
    307: "Temporary Redirect",
    308: "Permanent Redirect",
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    409: "Conflict",
    413: "Request Entity Too Large",
    415: "Unsupported Media Type",
    422: "Unprocessable Entity",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
    529: "Overloaded",
}


class BadRequest(Exception):
    """What arrived is not a request that HTTP/1.1 allows; `status` says how it is refused."""

    def __init__(self, status: int, why: str):
        super().__init__(why)
        self.status = status


class Request:
    """One request as it arrived.

    `path` is still percent-encoded, `query` the part behind "?" (bytes), `headers` a dict with
    lower-case names (values str; of repeated ones the first), `raw_head` the head's bytes.
    """

    __slots__ = (
        "body",
        "connection",
        "headers",
        "keep_alive",
        "path",
        "query",
        "raw_head",
        "verb",
    )

    def __init__(self, raw_head: bytes):
        lines = raw_head.split(b"\r\n")
        match = _REQUEST_LINE.fullmatch(lines[0])
        if match is None:
            raise BadRequest(400, "wrong request line")
        self.raw_head = raw_head
        self.verb = match[1].decode()
        path, _, query = match[2].partition(b"?")
        self.path = path.decode()
        self.query = query
        self.headers = headers = {}
        for line in lines[1:]:
            match_header = _HEADER.fullmatch(line)
            if match_header is None:
                raise BadRequest(400, "wrong header line")
            name = match_header[1].decode().lower()
            if name in headers and name in ("content-length", "host", "transfer-encoding"):
                raise BadRequest(400, f"{name} given twice")
            headers.setdefault(name, match_header[2].decode("latin-1"))
        self.body = b""
        self.connection = None
        option = headers.get("connection", "").lower()
        self.keep_alive = option != "close" if match[3] == b"1" else option == "keep-alive"
        if match[3] == b"1" and "host" not in headers:
            raise BadRequest(400, "no Host")

    def body_length(self) -> int:
        """Bytes of the body, or -1 when it is chunked. Raises BadRequest."""
        length = self.headers.get("content-length")
        coding = self.headers.get("transfer-encoding")
        if coding is not None:
            if coding.lower() != "chunked":
                raise BadRequest(501, "unsupported transfer-encoding")
            if length is not None:
                raise BadRequest(400, "Content-Length beside Transfer-Encoding")
            return -1
        if length is None:
            return 0
        if not length.isascii() or not length.isdigit():
            raise BadRequest(400, "wrong Content-Length")
        if int(length) > _MAX_BODY:
            raise BadRequest(413, "too large")
        return int(length)


class Response:
    """A whole answer. `headers` are (name, value) pairs beside Content-Length and Connection."""

    __slots__ = ("body", "headers", "note", "status")

    def __init__(self, status=200, body=b"", content_type="application/json", headers=()):
        self.status = status
        self.body = body
        self.headers = (("Content-Type", content_type), *headers)
        self.note = ""

    def bytes(self, keep_alive=True) -> bytes:
        """The answer as it goes onto the wire."""
        lines = (("Content-Length", len(self.body)), *self.headers)
        return head(self.status, lines, keep_alive) + self.body


def head(status: int, headers, keep_alive=True) -> bytes:
    """The head of an answer, with its empty line."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    reason = REASONS.get(status, "Unknown")
    option = "keep-alive" if keep_alive else "close"
    first = f"HTTP/1.1 {status} {reason}\r\nServer: nginx\r\nDate: {_date(int(time.time()))}\r\n"
    return f"{first}{lines}Connection: {option}\r\n\r\n".encode("latin-1")


@functools.lru_cache(maxsize=2)
def _date(second):
    return email.utils.formatdate(second, usegmt=True)


def dechunk(data, start: int):
    """A chunked body that begins at `start`: (body, where it ends), or None if more must come.

    Raises BadRequest for anything that RFC 9112, section 7.1, does not allow.
    """
    body = bytearray()
    while True:
        end = data.find(b"\r\n", start)
        if end < 0:
            if len(data) - start > 1024:
                raise BadRequest(400, "wrong chunk size")
            return None
        match = _CHUNK_SIZE.fullmatch(data[start:end])
        if match is None:
            raise BadRequest(400, "wrong chunk size")
        size = int(match[1], 16)
        start = end + 2
        if size == 0:
            break
        if len(body) + size > _MAX_BODY:
            raise BadRequest(413, "too large")
        if len(data) < start + size + 2:
            return None
        body += data[start : start + size]
        if data[start + size : start + size + 2] != b"\r\n":
            raise BadRequest(400, "a chunk is longer than its size says")
        start += size + 2
    while True:
        end = data.find(b"\r\n", start)
        if end < 0:
            return None
        if end == start:
            return bytes(body), end + 2
        start = end + 2


def parse_form(data: bytes):
    """(name, value) pairs of an urlencoded form, as bytes, in their order."""
    pairs = []
    for part in data.split(b"&"):
        if part:
            name, _, value = part.partition(b"=")
            pairs.append((_unquote(name), _unquote(value)))
    return pairs


def _unquote(data: bytes) -> bytes:
    return urllib.parse.unquote_to_bytes(data.replace(b"+", b" "))


def parse_multipart(body: bytes, content_type: str):
    """(name, value) pairs of a multipart/form-data body, files left out. Raises BadRequest."""
    match = re.search(r'boundary=(?:"([^"]{1,70})"|([^\s;]{1,70}))', content_type)
    if match is None:
        raise BadRequest(400, "boundary not found")
    delimiter = b"\r\n--" + (match[1] or match[2]).encode("latin-1")
    parts = (b"\r\n" + body).split(delimiter)
    if len(parts) < 2 or not parts[-1].startswith(b"--"):
        raise BadRequest(400, "unexpected end of request content")
    pairs = []
    for part in parts[1:-1]:
        part_head, found, value = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        name = re.search(rb'(?i)content-disposition:[^\r\n]*?\bname="([^"]*)"', part_head)
        if not found or name is None:
            raise BadRequest(400, "field name in multipart/form-data not found")
        if b"filename=" not in part_head:
            pairs.append((name[1], value))
    return pairs
