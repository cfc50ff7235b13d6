"""What the cloud saw: every call, newest last, within a bound, and the counts of connections."""

import collections
import time


class Call:
    """One request and how it was answered.

    `time` is the cloud's clock (Unix seconds), `ms` how long the answer took; `params` are the
    parameters (Telegram, str values) or the JSON body (models); `path` has its token masked;
    `status` is 0 while unanswered and -1 if the connection ended first; `error` is the description
    in a refusal, `fault` the kind of fault that was applied, `raw` and `answer` the bytes where
    the recorder keeps them.
    """

    __slots__ = (
        "_started",
        "answer",
        "connection",
        "error",
        "fault",
        "method",
        "ms",
        "params",
        "path",
        "raw",
        "secure",
        "seq",
        "service",
        "size",
        "status",
        "time",
        "verb",
    )

    def __init__(self, seq, now, service, method, request, path, params):
        self._started = time.monotonic()
        self.seq = seq
        self.time = now
        self.service = service
        self.method = method
        self.verb = request.verb
        self.path = path
        self.params = params
        self.connection = request.connection.number
        self.secure = request.connection.secure
        self.size = len(request.body)
        self.status = 0
        self.ms = 0.0
        self.error = ""
        self.fault = ""
        self.raw = None
        self.answer = None

    def done(self, status: int):
        self.status = status
        self.ms = (time.monotonic() - self._started) * 1000

    def to_json(self) -> dict:
        fields = {name: getattr(self, name) for name in self.__slots__ if name != "_started"}
        for name in ("raw", "answer"):
            if fields[name] is not None:
                fields[name] = fields[name].decode("utf-8", "backslashreplace")
        return fields

    def __repr__(self):
        return f"<Call {self.seq} {self.service}.{self.method} {self.status} {self.params}>"


class Recorder:
    """The last calls, at most `keep` of them and `keep_bytes` of bodies.

    `count[(service, method)]` counts all, also those that are no longer kept. `on_change()` is
    called whenever something happened that a test may wait for. With `keep_raw` the bytes of each
    request and of each whole answer are kept too.
    """

    def __init__(self, clock, keep=100_000, keep_bytes=256 * 1024 * 1024, keep_raw=False):
        self._clock = clock
        self._bytes = 0
        self._seq = 0
        self.calls = collections.deque()
        self.connections = collections.Counter()
        self.handshakes = collections.Counter()
        self.count = collections.Counter()
        self.keep = keep
        self.keep_bytes = keep_bytes
        self.keep_raw = keep_raw
        self.on_change = lambda: None

    def open(self, service, method, request, path, params) -> Call:
        self._seq += 1
        call = Call(self._seq, self._clock.time(), service, method, request, path, params)
        if self.keep_raw:
            call.raw = request.raw_head + b"\r\n\r\n" + request.body
        connection = request.connection
        if not connection.service:
            connection.service = service
            self.connections[service] += 1
            if connection.secure:
                self.handshakes[service] += 1
        self.count[service, method] += 1
        self.calls.append(call)
        self._bytes += call.size
        while len(self.calls) > self.keep or self._bytes > self.keep_bytes:
            self._bytes -= self.calls.popleft().size
        return call

    def close(self, call, status: int, response=None):
        call.done(status)
        if response is not None:
            call.error = response.note
            if self.keep_raw:
                call.answer = response.body
        self.on_change()

    def select(self, service=None, method=None, since=0) -> list:
        """Kept calls after number `since`, of one service and of one method (any case)."""
        wanted = method.lower() if method else None
        return [
            call
            for call in self.calls
            if call.seq > since
            and (service is None or call.service == service)
            and (wanted is None or call.method.lower() == wanted)
        ]

    def clear(self):
        self.calls.clear()
        self.count.clear()
        self._bytes = 0
