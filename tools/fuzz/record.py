"""Right documents: what the simulated cloud sends, recorded."""

from __future__ import annotations

import http.client
import json
import socket
import urllib.parse

from tools.cloud.cloud import Cloud

_TEXTS = (
    "hi",
    "grüß dich 😀",
    'a "b" \\ c\n{"d":[1]}',
    "/new",
    "/stop now",
    "/model x",
    "x" * 300,
)
_SCRIPTS = (
    {"mode": "friendly"},
    {"text": "Grüße 😀 aus dem Strom", "ascii": True, "deltas": 5},
    {"text": "thought through", "think": "first this, then that", "keepalives": 1, "first": 0.02},
    {"text": "tags", "think": "inside", "think_as": "tags", "newline": "\r\n"},
    {"text": "half of it is missing", "error_after": 2, "error": "overloaded_error"},
    {"text": "cut short", "finish": "length", "no_end": True},
    {"text": "in one go", "framing": "length"},
    {"text": "with frills", "frills": True, "think": "hidden"},
    {"text": "the end comes early", "early": True},
    {"status": 429, "retry_after": 7},
    {"status": 400, "message": "prompt is too long"},
    {"status": 500, "message": "Grüße € 😀 " * 30},
)


def recordings() -> dict[str, list]:
    """``updates``: answers to getUpdates; ``answers``: whole HTTP answers; ``streams``: (dialect,
    status, body) of models' answers, dialect 0 for OpenAI's and 1 for Anthropic's."""
    with Cloud(tls=None) as cloud:
        cloud.telegram.flood_limits(enabled=False)
        cloud.telegram.restart_ids(5_000_001)
        updates, answers = _updates(cloud)
        streams = []
        for dialect, path in ((0, "/v1/chat/completions"), (1, "/v1/messages")):
            for stream in (True, False):
                for script in _SCRIPTS:
                    cloud.models.script(**script)
                    raw = _ask(cloud, path, dialect, stream)
                    answers.append(raw)
                    status, body = _body(raw)
                    streams.append((dialect, status, body))
    return {"updates": updates, "answers": answers, "streams": streams}


def _updates(cloud):
    found, answers = [], []
    offset = 0
    for number in range(6):
        for text in _TEXTS[number : number + 2]:
            cloud.telegram.say(chat=42, text=text)
        if number == 2:
            cloud.telegram.say(chat=66, text="a stranger")
            cloud.telegram.photo(chat=42, caption="see")
        if number == 3:
            cloud.telegram.sticker(chat=42)
            cloud.telegram.say(chat=-1001234567890, user=42, text="/new in the group", thread=None)
        path = f"/bot{cloud.token}/getUpdates?offset={offset}&limit=10"
        raw = _exchange(cloud, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answers.append(raw)
        body = _body(raw)[1]
        found.append(body)
        result = json.loads(body)["result"]
        offset = result[-1]["update_id"] + 1 if result else offset
    raw = _exchange(
        cloud, f"GET /bot{cloud.token}/nothing HTTP/1.1\r\nHost: x\r\n\r\n", ends=False
    )
    return found, [*answers, raw]


def _ask(cloud, path, dialect, stream):
    body = {"model": cloud.config()["model"]["name"], "stream": stream, "max_tokens": 500}
    body["messages"] = [{"role": "user", "content": "hello"}]
    data = json.dumps(body)
    key = f"x-api-key: {cloud.key}\r\nanthropic-version: 2023-06-01"
    if dialect == 0:
        key = f"Authorization: Bearer {cloud.key}"
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\n{key}\r\nContent-Type: application/json\r\n"
    return _exchange(
        cloud, f"{head}Connection: close\r\nContent-Length: {len(data)}\r\n\r\n{data}"
    )


def _exchange(cloud, request, ends=True) -> bytes:
    port = urllib.parse.urlsplit(cloud.urls["telegram_http"]).port
    with socket.create_connection(("127.0.0.1", port), 10) as sock:
        sock.sendall(request.encode())
        if not ends:
            return sock.recv(65536)
        received = b""
        while piece := sock.recv(65536):
            received += piece
        return received


def _body(raw: bytes) -> tuple[int, bytes]:
    class Given:
        def makefile(self, mode):
            import io

            return io.BytesIO(raw)

    response = http.client.HTTPResponse(Given())
    response.begin()
    return response.status, response.read()
