"""The simulated cloud as one object: Telegram, two models' services, TLS, faults, the record.

    with Cloud(tls="rp2") as cloud:
        cloud.models.default(mode="echo")
        cloud.telegram.say(chat=42, text="hi")
        cloud.wait_for(lambda: cloud.telegram.texts(42) == ["hi"], timeout=5)

It listens on loopback only and serves everything on one plain and one TLS port; the path tells the
services apart. All methods may be called from any thread.
"""

import inspect
import itertools
import logging
import tempfile
import threading
import time
from pathlib import Path

from .certificates import Authority
from .clock import Clock
from .connection import Gone
from .control import Control
from .faults import Fault, Faults
from .listener import Listener
from .loop import LoopThread, in_loop
from .models import BASE, NAMES, Models
from .record import Recorder
from .telegram import Telegram
from .wire import Response

TOKEN = "123456789:FAKE-token-of-the-simulated-cloud"
KEY = "sk-fake-key-of-the-simulated-cloud"

_log = logging.getLogger(__name__)


class Cloud:
    """`tls`: "default" (1.2 and 1.3), "1.2", "1.3", "rp2" or None for no TLS port; `port` and
    `tls_port` 0 for free ones; `folder` keeps `ca.pem` and `ca.der` (a temporary one by default);
    `chats` are the chats that the bot knows from the start; `keep` bounds the record."""

    def __init__(
        self,
        tls="default",
        port=0,
        tls_port=0,
        folder=None,
        chats=(42,),
        keep=100_000,
        keep_raw=False,
    ):
        self._temporary = None
        if folder is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="thimble-cloud-")
            folder = self._temporary.name
        self._changed = threading.Event()
        self._extra = []
        self._numbers = itertools.count(1)
        self._ports = (port, tls_port)
        self._tls = tls
        self.authority = Authority(Path(folder))
        self.authority.save()
        self.clock = Clock()
        self.faults = Faults()
        self.folder = Path(folder)
        self.key = KEY
        self.plain = None
        self.recorder = Recorder(self.clock, keep, keep_raw=keep_raw)
        self.recorder.on_change = self._on_change
        self.secure = None
        self.thread = LoopThread()
        self.token = TOKEN
        self.clock.bind(self.thread.loop)
        self.telegram = Telegram(self.thread, self.clock, self.recorder, TOKEN, chats)
        self.models = Models(self.thread, self.clock, self.recorder, KEY)
        self._control = Control(self)

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.stop()

    def start(self):
        """Listens. Raises OSError if a port is taken."""
        self.thread.start()
        try:
            self.plain = self.listen(None, port=self._ports[0])
            if self._tls is not None:
                self.secure = self.listen(self._tls, port=self._ports[1])
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self):
        """Cuts all connections, frees the ports and ends the thread."""
        for listener in list(self._extra):
            self.thread.wait(listener.close())
        self._extra.clear()
        self.thread.stop()
        if self._temporary is not None:
            self._temporary.cleanup()

    # Where it is

    @property
    def urls(self) -> dict:
        """Base URLs: "telegram", "models" (TLS if there is any), and both with "_http" and
        "_https" behind the name."""
        urls = {}
        for scheme, listener in (("http", self.plain), ("https", self.secure)):
            if listener is not None:
                urls[f"telegram_{scheme}"] = urls["telegram"] = listener.url
                urls[f"models_{scheme}"] = urls["models"] = listener.url + BASE
        return urls

    @property
    def ca_pem(self) -> Path:
        return self.authority.pem_path

    @property
    def ca_der(self) -> Path:
        return self.authority.der_path

    def config(self, api="openai", secure=True, ca="ca.der", **model) -> dict:
        """A configuration (thimble.json) for this cloud. `ca` is the certificate's path relative
        to the configuration file; `model` changes keys of the section "model"."""
        scheme = "https" if secure and self.secure is not None else "http"
        urls = self.urls
        config = {
            "telegram": {
                "token": self.token,
                "allow": [42],
                "url": urls[f"telegram_{scheme}"],
            },
            "model": {
                "api": api,
                "url": urls[f"models_{scheme}"],
                "key": self.key,
                "name": NAMES[0],
                **model,
            },
        }
        if scheme == "https":
            config["tls"] = {"ca": ca}
        return config

    # What happens

    def wait_for(self, predicate, timeout=10.0):
        """Waits until predicate() is true and returns its value. Raises TimeoutError."""
        deadline = time.monotonic() + timeout
        while True:
            self._changed.clear()
            value = predicate()
            if value:
                return value
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"not within {timeout} s: {_source(predicate)}")
            self._changed.wait(min(left, 0.05))
            time.sleep(0.002)

    @in_loop
    def fault(self, service, method, name, times=1, skip=0, **options) -> Fault:
        """Arms a fault (see faults.py) for the next `times` calls of a method."""
        return self.faults.arm(service, method, name, times, skip, **options)

    @in_loop
    def clear_faults(self):
        self.faults.clear()

    @in_loop
    def calls(self, service=None, method=None, since=0) -> list:
        """The calls on record, of both services by default."""
        return self.recorder.select(service, method, since)

    @in_loop
    def clear_calls(self):
        """Empties the record and its counts of calls."""
        self.recorder.clear()

    @in_loop
    def counts(self) -> dict:
        """Connections and handshakes: by service (of the connections that brought a request), and
        "accepted", "handshakes" and "failed_handshakes" of all ports; "open" by service."""
        open_now = {}
        for listener in self._extra:
            for connection in listener.open_now:
                name = connection.service or "unused"
                open_now[name] = open_now.get(name, 0) + 1
        return {
            "connections": dict(self.recorder.connections),
            "service_handshakes": dict(self.recorder.handshakes),
            "accepted": sum(listener.connections for listener in self._extra),
            "handshakes": sum(listener.handshakes for listener in self._extra),
            "failed_handshakes": sum(listener.failed_handshakes for listener in self._extra),
            "open": open_now,
        }

    @in_loop
    def advance(self, seconds):
        """Pushes the cloud's clock forward."""
        self.clock.advance(seconds)

    @in_loop
    def drop(self, service=None, idle_only=False, reset=False) -> int:
        """Ends open connections, of one service or of all, as a failing network would; returns how
        many."""
        dropped = 0
        for listener in self._extra:
            for connection in list(listener.open_now):
                if service not in (None, connection.service) or (idle_only and connection.busy):
                    continue
                dropped += 1
                connection.cut(reset)
        return dropped

    def listen(self, tls="default", certificate="good", port=0) -> Listener:
        """One more port, with a certificate of certificates.KINDS; `tls` None for plain HTTP. Its
        `url` is Telegram's, the models' ends in /v1. `unlisten` and `relisten` take it."""
        context = None
        if tls is not None:
            context = self.authority.context(tls, certificate)
        listener = Listener(
            self._app, lambda name, it: self._on_change(), self._numbers, port, context
        )
        self._extra.append(listener)
        self.thread.wait(listener.open())
        return listener

    def unlisten(self, listener):
        """A server that is down: its port refuses connections, open ones are cut."""
        self.thread.wait(listener.close())

    def relisten(self, listener):
        """The server is up again, on the same port."""
        self.thread.wait(listener.open())

    def _on_change(self):
        self._changed.set()
        self._control.wake()

    def _app(self, request):
        path = request.path
        if path.startswith("/control"):
            return self._control.handle(request)
        if path.startswith("/bot"):
            name, service = "telegram", self.telegram.api
        elif path.startswith(BASE + "/"):
            name, service = "models", self.models
        else:
            return Response(404, b'{"ok":false,"error_code":404,"description":"Not Found"}')
        method, masked, params = service.identify(request)
        call = self.recorder.open(name, method, request, masked, params)
        if isinstance(params, Exception):
            call.params = {}
        fault = self.faults.match(name, method)
        if fault is not None:
            call.fault = fault.name
            return self._faulty(fault, service, request, params, call)
        try:
            answer = service.handle(request, params)
        except Exception:
            _log.exception("the simulated cloud failed at %s", call)
            answer = Response(500, b"")
        if isinstance(answer, Response):
            self.recorder.close(call, answer.status, answer)
            return answer
        return self._later(request, answer, call)

    async def _later(self, request, answer, call):
        status, response = -1, None
        try:
            response = await answer
            if response is not None:
                status = response.status
            elif not request.connection.was_cut:
                status = 200
        except Gone:
            raise
        except Exception:
            _log.exception("the simulated cloud failed at %s", call)
            response = Response(500, b"")
            status = 500
        finally:
            self.recorder.close(call, status, response)
        return response

    async def _faulty(self, fault, service, request, params, call):
        async def proceed():
            answer = service.handle(request, params)
            return answer if isinstance(answer, Response) else await answer

        return await self._later(request, fault.apply(request, proceed), call)


def _source(predicate):
    try:
        return inspect.getsource(predicate).strip()
    except (OSError, TypeError):
        return repr(predicate)
