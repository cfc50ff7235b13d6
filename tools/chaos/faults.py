"""The list of faults: how each begins, and what ``status`` must then say.

A fault that strikes a call or two passes by itself; one that lasts is lifted as soon as the relay
has named it. Bodies are right for both services where they are cut off before they matter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from .gate import BREAK, GARBAGE, RESET, SHUT, STALL
from .names import FAILS, NO_NAME, SILENT
from .rig import Side

BOTH = ("telegram", "model")
ALL = ("telegram", "model", "sending")


@dataclass(frozen=True)
class Fault:
    """One fault.

    strike(side) begins it. says: what the error that status names must match, for all sides or by
    side; "" where the relay gets over it at once and has nothing to name. lasts: it goes on until
    it is lifted. fresh: the relay is started in it. slow: seconds that the relay may take to
    notice, its time limits being what they are.
    """

    name: str
    strike: Callable[[Side], object]
    says: str | dict[str, str]
    sides: tuple[str, ...] = BOTH
    lasts: bool = False
    fresh: bool = False
    slow: dict[str, float] = field(default_factory=dict)

    def expected(self, side: str) -> str:
        """What the error must match; "" if there need be none."""
        return self.says if isinstance(self.says, str) else self.says.get(side, "")


def _http(name, kind, says, sides=ALL, times=1, slow=0.0, **options) -> Fault:
    """A fault of the cloud, which strikes inside HTTP."""
    return Fault(
        name,
        lambda side: side.fault(kind, times, **options),
        says,
        sides,
        slow=dict.fromkeys(sides, slow),
    )


def _raw(name, data, then, says, sides=ALL, times=1, slow=0.0, **options) -> Fault:
    return _http(name, "raw", says, sides, times, slow, data=data, then=then, **options)


def _status(code, says, description) -> Fault:
    """A refusal in the words of both services at once."""
    body = {
        "ok": False,
        "error_code": code,
        "description": description,
        "error": {"message": description},
    }
    return _http(str(code), "status", says, BOTH, status=code, body=body)


def _named(name, how, says, lasts=True, slow=0.0) -> Fault:
    def strike(side):
        side.rig.names.how[side.host] = how

    return Fault(name, strike, says, lasts=lasts, fresh=True, slow=dict.fromkeys(BOTH, slow))


def _gate(name, do, says, **more) -> Fault:
    return Fault(name, lambda side: do(side.gate), says, **more)


def _new(name, mode, says, slow=0.0) -> Fault:
    """What new connections meet; the open ones are cut so that there are new ones."""

    def strike(side):
        side.gate.mode = mode
        side.gate.cut(reset=True)

    return Fault(name, strike, says, lasts=True, slow=dict.fromkeys(BOTH, slow))


def _certificate(name, kind, says) -> Fault:
    return Fault(name, lambda side: side.listen(kind), says, lasts=True)


_HEAD = b"HTTP/1.1 200 OK\r\nServer: nginx\r\n"
_JSON = b"Content-Type: application/json\r\n"
_CHUNKED = _HEAD + _JSON + b"Transfer-Encoding: chunked\r\n\r\n"
_LENGTH = _HEAD + _JSON + b"Content-Length: %d\r\n\r\n"
_BODY = b'{"ok":true,"result":[]}'
_DRIP = _HEAD + b"Content-Type: text/event-stream\r\nContent-Length: 999\r\n\r\n" + b"\n" * 999
_CUT = "broke off"

FAULTS = [
    _named("name not found", NO_NAME, r"there is no host (telegram|model)\.test"),
    _named("DNS answers after 2.5 s", 2.5, "", lasts=False, slow=3),
    _named("DNS server fails", FAILS, "name servers cannot say"),
    _named("DNS server silent", SILENT, "no name server answered", slow=12),
    _gate("connection refused", lambda gate: gate.refuse(), r"\(connect\).*refused", lasts=True),
    _gate(
        "packets swallowed",
        lambda gate: gate.swallow(),
        "no answer within",
        lasts=True,
        slow={"telegram": 65, "model": 300},
    ),
    _gate(
        "half-open connection",
        lambda gate: gate.freeze(),
        "no answer within",
        slow={"telegram": 65, "model": 300},
    ),
    Fault(
        "connection attempts swallowed",
        lambda side: (side.gate.swallow(), side.gate.cut(reset=True)),
        r"\(connect\).*no answer within",
        lasts=True,
        slow=dict.fromkeys(BOTH, 12),
    ),
    _new("connection closed at once", SHUT, r"\(handshake\)"),
    _new("connection reset at once", RESET, r"\((handshake|connect)\)"),
    _new("stall in the TLS handshake", STALL, r"\(handshake\): not done", slow=20),
    _new("reset in the TLS handshake", BREAK, r"\(handshake\): the server ended"),
    _new("garbage in place of TLS", GARBAGE, r"\(handshake\)"),
    _certificate("certificate of another host", "wrong_host", r"\(certificate\).*does not match"),
    _certificate("certificate expired", "expired", r"\(certificate\).*expired.*clock"),
    # What a board's clock in 2000 makes of any certificate.
    _certificate("certificate not yet valid", "not_yet", r"\(certificate\).*future.*clock"),
    _certificate("certificate of nobody's CA", "untrusted", r"\(certificate\).*trusted CA"),
    _certificate("certificate self-signed", "self_signed", r"\(certificate\).*trusted CA"),
    # A request on a kept connection that ends before its answer begins is made again at once.
    _gate("reset while idle or polling", lambda gate: gate.cut(reset=True), ""),
    _gate("reset within the request", lambda gate: gate.cut_within(20), ""),
    _raw("reset before the status, twice", b"", "reset", r"\(closed\)", times=2),
    _raw("reset in the status line", _HEAD[:12], "reset", r"\(closed\)"),
    _raw("reset in the headers", _HEAD + _JSON, "reset", r"\(closed\)"),
    _raw("reset in the body", _LENGTH % 50 + _BODY[:9], "reset", r"\(closed\)"),
    _raw("reset in a chunk header", _CHUNKED + b"4\r\n    \r\n1", "reset", r"\(closed\)"),
    _raw("ended in the headers", _HEAD + _JSON, "close", r"\(closed\).*without an answer"),
    _raw("ended in the body", _LENGTH % 50 + _BODY[:9], "close", r"\(body\).*middle"),
    _raw("ended in a chunk header", _CHUNKED + b"4\r\n    \r\n1", "polite", r"\(body\).*middle"),
    _raw("silence in the headers", _HEAD, "hold", r"\(deadline\)", slow=20),
    _raw(
        "one byte a second",
        _LENGTH % len(_BODY) + _BODY,
        "polite",
        r"\(deadline\).*header took",
        slow=20,
        pause=1.0,
    ),
    Fault(
        "one byte a second in the body",
        lambda side: side.fault(
            "raw", 1, data=_DRIP, pause=1.0, fast=_DRIP.index(b"\r\n\r\n") + 4
        ),
        {"telegram": r"\(deadline\).*took over", "model": r"\(silence\): no word"},
        slow={"telegram": 120, "model": 300},
    ),
    _http("garbage", "garbage", r"does not speak HTTP"),
    _http("garbage in the body", "garbage_body", "JSON|breaks|ended|at byte"),
    _http("HTML 502", "status", "502", status=502),
    _status(
        401, {"telegram": "refused the token.*401", "model": "refused the key"}, "Unauthorized"
    ),
    _status(403, {"telegram": "403", "model": "refused the request"}, "Forbidden"),
    _status(404, {"telegram": "refused the token.*404", "model": "knows no model"}, "Not Found"),
    _status(409, {"telegram": "Another program polls", "model": "409"}, "Conflict: terminated"),
    _http("429, retry after 3 s", "flood", "429", retry_after=3),
    _status(500, {"telegram": "500", "model": r"has failed \(500\)"}, "Internal Server Error"),
    _status(503, {"telegram": "503", "model": r"overloaded \(503\)"}, "Service Unavailable"),
    _status(529, {"telegram": "529", "model": r"overloaded \(529\)"}, "Overloaded"),
    _http("redirect to plain HTTP", "redirect", "302", to="http://127.0.0.1:9/", status=302),
    _http("redirect elsewhere", "redirect", "308", to="https://model.test/other", status=308),
    _raw(
        "a chunk longer than its size",
        _CHUNKED + b"4\r\n" + _BODY + b"\r\n",
        "hold",
        "longer than it says",
    ),
    _raw("a chunk without a size", _CHUNKED + b"size\r\n" + _BODY, "hold", "no size"),
    _raw("a chunk of 64 GB", _CHUNKED + b"fffffffff\r\n" + _BODY, "hold", "no size"),
    _raw("a length too long", _LENGTH % 99 + _BODY, "close", r"\(body\).*middle"),
    _raw("a length too short", _LENGTH % 10 + _BODY, "close", "JSON|ended|at byte"),
    _raw(
        "two lengths",
        _LENGTH.replace(b"\r\n\r\n", b"\r\nContent-Length: 9\r\n\r\n") % 23 + _BODY,
        "hold",
        "two lengths",
    ),
    _raw(
        "compressed, not asked for",
        _LENGTH.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n") % 23 + bytes(23),
        "hold",
        "compressed",
    ),
    _http("64 KB of headers", "endless_headers", "longer than 8 KB", lines=330, line_bytes=186),
    _raw(
        "a header of 64 KB",
        _HEAD + b"X-Long: " + b"x" * 65536 + b"\r\n\r\n",
        "hold",
        "longer than 8 KB",
    ),
    # The person keeps the words that came, marked; what status is to say stands in _CUT.
    Fault(
        "reset after the first words",
        lambda side: side.rig.cloud.models.script(
            pieces=("Half of", " an answer"), cut_after=1, cut_how="reset"
        ),
        _CUT,
        ("model",),
    ),
    Fault(
        "an error after the first words",
        lambda side: side.rig.cloud.models.script(
            pieces=("Half of", " an answer"), error_after=1, error="overloaded_error"
        ),
        "overloaded",
        ("model",),
    ),
    Fault(
        "silence in the body",
        lambda side: side.fault("raw", 1, data=_LENGTH % 50 + _BODY[:9], then="hold"),
        r"\(silence\)",
        slow={"telegram": 30, "model": 300},
    ),
]
