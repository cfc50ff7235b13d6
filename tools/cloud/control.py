"""The cloud's control by HTTP, for one that runs alone: POST /control/OBJECT/METHOD.

The body is a JSON object of the method's arguments (or the query string gives them, read as JSON
where that is possible), the answer {"ok":true,"result":…} or {"ok":false,"error":"…"}. OBJECT is
`cloud`, `telegram` or `models`, METHOD what they offer in Python. Besides:

GET /control                       what there is
GET /control/telegram/changes      with `timeout` waits for a change after number `since`
"""

import asyncio
import json
import urllib.parse

from .wire import Response


class Control:
    """Answers requests below /control in the loop's thread."""

    def __init__(self, cloud):
        self._cloud = cloud
        self._waiting = set()

    def wake(self):
        """Something happened: whoever waits looks again."""
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
        self._waiting.clear()

    def handle(self, request):
        """A Response, or an awaitable of one."""
        objects = {
            "cloud": self._cloud,
            "telegram": self._cloud.telegram,
            "models": self._cloud.models,
        }
        parts = request.path.strip("/").split("/")
        if len(parts) == 1:
            offered = {name: _methods(thing) for name, thing in objects.items()}
            return _ok({"urls": self._cloud.urls, **offered})
        thing = objects.get(parts[1])
        if thing is None or len(parts) != 3 or parts[2] not in _methods(thing):
            return _failed(404, f"no such control: {request.path}")
        try:
            arguments = _arguments(request)
        except ValueError as error:
            return _failed(400, str(error))
        if parts[1:] == ["telegram", "changes"] and arguments.get("timeout"):
            return self._changes(**arguments)
        try:
            return _ok(getattr(thing, parts[2])(**arguments))
        except (TypeError, ValueError, KeyError) as error:
            return _failed(400, f"{type(error).__name__}: {error}")

    async def _changes(self, since=0, timeout=10):
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while True:
            changes = self._cloud.telegram.changes(since)
            left = deadline - loop.time()
            if changes or left <= 0:
                return _ok(changes)
            future = loop.create_future()
            self._waiting.add(future)
            await asyncio.wait([future], timeout=left)


def _methods(thing):
    return sorted(
        name for name in dir(type(thing)) if getattr(getattr(type(thing), name), "in_loop", False)
    )


def _arguments(request):
    if request.body:
        given = json.loads(request.body)
        if not isinstance(given, dict):
            raise ValueError("a JSON object is expected")
        return given
    return {name: _value(value) for name, value in urllib.parse.parse_qsl(request.query.decode())}


def _value(text):
    try:
        return json.loads(text)
    except ValueError:
        return text


def _plain(value):
    if hasattr(value, "to_json"):
        return value.to_json()
    return vars(value) if hasattr(value, "__dict__") else str(value)


def _ok(result):
    text = json.dumps({"ok": True, "result": result}, default=_plain)
    return Response(200, text.encode())


def _failed(status, why):
    return Response(status, json.dumps({"ok": False, "error": why}).encode())
