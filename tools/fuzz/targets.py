"""The targets: for each, what makes a case and what judges its outcome.

A new one is a class here, entered in TARGETS, and ``device/fuzz_NAME.py`` with its ``run(case)``.
"""

from __future__ import annotations

import binascii
import functools
import json
import re
from random import Random

import h11

from . import oracle, record
from .mutate import damage


@functools.cache
def _recordings() -> dict[str, list]:
    return record.recordings()


class Target:
    """One reader."""

    def case(self, rng: Random) -> bytes:
        """The next case."""
        raise NotImplementedError

    def judge(self, case: bytes, outcome: str) -> str | None:
        """Why an outcome is wrong, or None."""
        return None


def value(rng: Random, depth: int = 0):
    """A JSON value, with keys that the scanner may want."""
    kind = rng.randrange(9 if depth < 5 else 6)
    if kind == 0:
        return rng.choice([0, -1, 42, 2**31, -(2**63), 10**30])
    if kind == 1:
        return rng.choice([0.5, -1e-9, 1e300, 3.0])
    if kind == 2:
        return rng.choice([True, False, None])
    if kind < 6:
        return _text(rng)
    size = rng.randrange(5)
    if kind < 8:
        names = ("ok", "a", "b", "ab", "result", "message", "text", "ключ", "", "a.b")
        return {rng.choice(names): value(rng, depth + 1) for _ in range(size)}
    return [value(rng, depth + 1) for _ in range(size)]


def _text(rng: Random) -> str:
    letters = 'ab"\\/\n\t\0\x7fäß€ſ😀\u2028\ufeff{}[]:,0'
    if rng.random() < 0.05:
        letters += "\ud83d\ude00"  # halves of a pair, which are no characters
    return "".join(rng.choice(letters) for _ in range(rng.randrange(30)))


def written(rng: Random, made) -> bytes:
    """A value as a document, in one of the ways in which it can be written."""
    return json.dumps(
        made,
        ensure_ascii=rng.random() < 0.5,
        indent=rng.choice([None, None, 0, 2]),
        separators=rng.choice([None, (",", ":")]),
    ).encode("utf-8", "surrogatepass")


class Scan(Target):
    """The scanner must read what CPython reads."""

    def case(self, rng):
        made = value(rng)
        if rng.random() < 0.5:
            made = {"ok": value(rng), "result": [{"message": value(rng)} for _ in range(3)]}
        data = written(rng, made)
        if rng.random() < 0.15:
            data = rng.choice(_recordings()["updates"])
        if rng.random() < 0.75:
            data = damage(rng, data)
        return rng.randbytes(2) + data

    def judge(self, case, outcome):
        try:
            events = oracle.events(case[2:])
        except oracle.Refused:
            events = None
        expected = "refused" if events is None else " ".join(map(_event, events))
        if outcome != expected:
            return f"read {outcome!r}, CPython {expected!r}"
        return None


def _event(event) -> str:
    kind, path, *more = event
    if not more:
        return f"{kind}.{path}"
    return f"{kind}.{path}.{more[0]}.{more[1].hex()}"


class Sse(Target):
    """The stream must have the events that the standard says."""

    def case(self, rng):
        if rng.random() < 0.3:
            data = rng.choice(_recordings()["streams"])[2]
        else:
            fields = (
                b"data",
                b"event",
                b"id",
                b"",
                b"dat",
                b"datax",
                b"retry",
                b"\xef\xbb\xbfdata",
            )
            values = (
                b"[DONE]",
                b"",
                b" ",
                b"x",
                b'{"a":1}',
                b"[DONE",
                b" [DONE]",
                b"ping",
                b"y" * 50,
            )
            ends = (b"\n", b"\r", b"\r\n", b"\n\n", b"\r\n\r\n", b"\r\r")
            data = rng.choice([b"", b"", b"\xef\xbb\xbf", b"\xef"])
            for _ in range(rng.randrange(12)):
                data += rng.choice(fields) + rng.choice([b":", b": ", b""]) + rng.choice(values)
                data += rng.choice(ends)
        if rng.random() < 0.5:
            data = damage(rng, data)
        return rng.randbytes(1) + data

    def judge(self, case, outcome):
        events = oracle.server_sent(case[1:])
        expected = " ".join(f"{data.hex()}." for data in events)
        if outcome != expected:
            return f"read {outcome!r}, the standard says {expected!r}"
        return None


class Http(Target):
    """What both we and h11 accept must be the same answer; what h11 accepts we must, mostly."""

    def case(self, rng):
        data = rng.choice(_recordings()["answers"])
        if rng.random() < 0.5:
            data = self._made(rng)
        if rng.random() < 0.8:
            data = damage(rng, data)
        return rng.randbytes(2) + data

    @staticmethod
    def _made(rng):
        body = rng.randbytes(rng.randrange(80))
        head = b"HTTP/1.%d %d Because\r\n" % (
            rng.randrange(2),
            rng.choice([200, 200, 204, 404, 502]),
        )
        lines = [b"X-Some: thing", b"Retry-After: 3", b"Content-Type: application/json"]
        rng.shuffle(lines)
        head += b"".join(line + b"\r\n" for line in lines[: rng.randrange(4)])
        if rng.random() < 0.2:
            head = b"HTTP/1.1 100 Continue\r\n\r\n" + head
        how = rng.randrange(3)
        if how == 0:
            return head + b"Content-Length: %d\r\n\r\n" % len(body) + body
        if how == 1:
            return head + b"\r\n" + body
        data = head + b"Transfer-Encoding: chunked\r\n\r\n"
        while body:
            size = rng.randint(1, len(body))
            extension = rng.choice([b"", b"", b";n=1", b" "])
            data += b"%x%s\r\n%s\r\n" % (size, extension, body[:size])
            body = body[size:]
        return data + b"0\r\n" + rng.choice([b"", b"X-Trailer: yes\r\n"]) + b"\r\n"

    def judge(self, case, outcome):
        theirs = _h11(case[2:], closes=bool(case[1] & 1))
        if theirs is None:
            return None
        if outcome.startswith("refused") and _OURS_ALONE.search(case[2:]):
            return None
        if outcome != theirs:
            return f"read {outcome!r}, h11 {theirs!r}"
        return None


# What only we refuse: other versions, compression, two lengths, a length past a small int, folded
# lines.
_OURS_ALONE = re.compile(
    rb"HTTP/(?!1\.)|HTTP/1\.. 101|\n[ \t]|content-encoding|"
    rb"content-length.*content-length|content-length:[^\n]*(?:,|\d{10})",
    re.IGNORECASE | re.DOTALL,
)


def _h11(data: bytes, closes: bool) -> str | None:
    """Status and body as h11 reads them; None if it refuses the answer or wants more."""
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="GET", target="/", headers=[("Host", "host.example")]))
    connection.send(h11.EndOfMessage())
    status, body = 0, b""
    try:
        connection.receive_data(data)
        if closes:
            connection.receive_data(b"")
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                return f"{status} {body.hex()}"
            elif not isinstance(event, h11.InformationalResponse):
                return None
    except h11.RemoteProtocolError:
        return None


class Dns(Target):
    """An address that is found must be one that the message gives to the name asked for."""

    def case(self, rng):
        query = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0" + _name(b"api.example.org") + b"\0\x01\0\x01"
        records = [self._record(rng) for _ in range(rng.randrange(4))]
        flags = rng.choice([b"\x81\x80", b"\x81\x80", b"\x81\x80", b"\x83\x80", b"\x81\x83"])
        message = query[:2] + flags + b"\0\x01\0" + bytes([len(records)]) + bytes(4)
        message += query[12:] + b"".join(records)
        if rng.random() < 0.7:
            message = damage(rng, message)
        return bytes([len(query)]) + query + message

    @staticmethod
    def _record(rng):
        owners = (b"\xc0\x0c", b"\xc0\x0c", _name(b"far.example.net"), _name(b"API.example.ORG"))
        owner = rng.choice(owners)
        kind = rng.choice([1, 1, 5, 28, 16])
        data = rng.randbytes(4)
        if kind == 5:
            data = rng.choice([_name(b"far.example.net"), b"\xc0\x0c", b"\x03api\xc0\x10"])
        elif kind == 28:
            data = rng.randbytes(16)
        elif kind == 16:
            data = rng.randbytes(rng.randrange(60))
        ttl = rng.choice([0, 60, 4000, 2**31]).to_bytes(4, "big")
        return owner + bytes([0, kind, 0, 1]) + ttl + len(data).to_bytes(2, "big") + data

    def judge(self, case, outcome):
        query, message = case[1 : case[0] + 1], case[case[0] + 1 :]
        code, _, address = outcome.rpartition(" ")
        if code != "found":
            return None
        if address not in oracle.addresses(query, message):
            return f"found {address}, which the message does not say"
        return None


def _name(text: bytes) -> bytes:
    return b"".join(bytes([len(part)]) + part for part in text.split(b".")) + b"\0"


class Updates(Target):
    """Of a right document the right records must be taken."""

    def case(self, rng):
        data = rng.choice(_recordings()["updates"])
        if rng.random() < 0.6:
            count = rng.randrange(5)
            first = rng.choice([1, 5000, 2**31 - 2, 10**15])
            items = [self._update(rng, first + number) for number in range(count)]
            made = {"ok": rng.random() < 0.97, "result": items}
            data = written(rng, made)
        if rng.random() < 0.6:
            data = damage(rng, data)
        return rng.randbytes(1) + data

    @staticmethod
    def _update(rng, number):
        sender = rng.choice([42, 42, 42, 66, 2**40])
        chat = rng.choice([sender, sender, -1001234567890, -7])
        words = ("hi", "", "/new", "/stop", "/stop@other x", "/model " + "m" * 90, "/retry", "/")
        words += ("@fuzz hi", "hi (@FUZZ)", "me@fuzz", "@fuzzy", "/odd@fuzz x", "/new@fuzz")
        long = "x" * rng.choice([12288, 12289, 13000])
        text = rng.choice([*words, "é" * rng.randrange(200), _text(rng), long])
        body = {
            "message_id": rng.randrange(1, 9000),
            "from": {"id": sender, "is_bot": False, "first_name": _text(rng)},
            "chat": {"id": chat, "type": "private" if chat > 0 else "supergroup"},
            "date": 1760000000,
        }
        if rng.random() < 0.1:
            body.update(is_topic_message=True, message_thread_id=rng.randrange(1, 99))
        if rng.random() < 0.8:
            body["text"] = text
        else:
            body["photo"] = [{"file_id": "x", "width": 1}]
            if rng.random() < 0.5:
                body["caption"] = text
        if rng.random() < 0.3:
            body["reply_to_message"] = {"text": "not this", "from": {"id": 1}, "chat": {"id": 2}}
        pairs = list(body.items())
        rng.shuffle(pairs)
        update = [("update_id", number), ("message", dict(pairs))]
        rng.shuffle(update)
        return dict(update)

    def judge(self, case, outcome):
        expected = oracle.records(case[1:])
        if expected is not None and outcome != expected:
            return f"took {outcome!r}, not {expected!r}"
        return None


class Config(Target):
    """What is no JSON is refused; what is accepted has the values that CPython reads."""

    def case(self, rng):
        made = {
            "telegram": {"token": "1:fuzz", "allow": [42, -100], "url": "https://t.example"},
            "model": {"name": _text(rng), "system": _text(rng), "url": "http://10.0.0.2:80/v1"},
            "memory": {"elevated": rng.randrange(55, 95), "critical": rng.randrange(65, 105)},
            "wifi": {"ssid": _text(rng)[:8], "password": "8 or more" + _text(rng)[:12]},
        }
        for _ in range(rng.randrange(3)):
            section = rng.choice(list(made))
            if isinstance(made[section], dict):
                key = rng.choice([*made[section], "else", "budget_kb", "max_tokens"])
                made[section][key] = value(rng, 3)
        if rng.random() < 0.2:
            made[rng.choice(["tls", "mqtt", "power", "other", ""])] = value(rng, 2)
        data = written(rng, made)
        if rng.random() < 0.6:
            data = damage(rng, data)
        return data

    def judge(self, case, outcome):
        if outcome == "refused":
            return None
        try:
            text = case.decode("utf-8", "surrogatepass")
            values = json.loads(text, parse_constant=oracle.refuse)
        except (ValueError, RecursionError, oracle.Refused) as error:
            return f"accepted, but CPython says {error}"
        said = dict(pair.split("=", 1) for pair in outcome.split(";"))
        for name, section in values.items():
            for key, expected in section.items():
                shown = str(expected)
                if isinstance(expected, str):
                    pairs = expected.encode("utf-16", "surrogatepass")
                    try:
                        shown = pairs.decode("utf-16").encode().hex()
                    except UnicodeError:
                        return "accepted half of a surrogate pair"
                if said.get(f"{name}.{key}") != shown:
                    return f"{name}.{key} is {said.get(f'{name}.{key}')}, not {expected!r}"
        return None


class Model(Target):
    """Of a right answer the text must be the right one."""

    def case(self, rng):
        dialect, status, body = rng.choice(_recordings()["streams"])
        json_kind = not body.startswith((b"data", b"event", b":"))
        code = {200: 0, 400: 4, 429: 5}.get(status, 6)
        if rng.random() < 0.7:
            body = damage(rng, body)
        if rng.random() < 0.1:
            code, json_kind, dialect = rng.randrange(8), rng.random() < 0.5, rng.randrange(2)
        return bytes([dialect, json_kind, code, rng.randrange(256)]) + body

    def judge(self, case, outcome):
        for dialect, status, body in _recordings()["streams"]:
            plain = case[0] == dialect and case[4:] == body and status == 200 and case[2] < 4
            if plain and bool(case[1]) != body.startswith((b"data", b"event", b":")):
                words = bytes.fromhex(outcome.rpartition(" ")[2]).decode()
                if words.strip() not in oracle.shown(dialect, body):
                    return f"showed {words!r} of {body!r}"
        return None


class Journal(Target):
    """What whole records say is found again, whatever stands behind them."""

    BOT = b"123456789"

    def case(self, rng):
        generation = rng.randrange(8)
        records, offset = [(1, generation, self.BOT)], rng.choice([5, 999, 10**9])
        count = rng.randrange(8)
        for number in range(1, count + 1):
            name = b"%d" % offset
            offset += 1
            record = bytearray(rng.randbytes(68 + rng.choice([0, 9, 80, 300])))
            record[4:6] = len(name), rng.randrange(4)
            record[46:48] = 0, 0
            record[48 : 48 + len(name)] = name
            records.append((2, number, bytes(record)))
        more = []
        for _ in range(rng.randrange(8) if count else 0):
            kind = rng.choice([3, 3, 4, 5])
            payload = {3: bytes([rng.randrange(256)]), 4: b"\0" + b"77", 5: b""}[kind]
            more.append((kind, rng.randint(1, count), payload))
        split = rng.randint(0, len(more))
        if rng.random() < 0.3:  # never beside
            more.insert(split, (6, 0, b"%d" % offset))
            split += 1
        data = b"".join(self._record(*one) for one in records + more[:split])
        beside = b"".join(self._record(*one) for one in more[split:])[:116]
        if rng.random() < 0.5:
            data = damage(rng, data)
        tail = bytes([generation if rng.random() < 0.8 else rng.randrange(8), len(beside)])
        length = len(data) if rng.random() < 0.8 else rng.randrange(65536)
        tail += (length & 0xFFFF).to_bytes(2, "little") + beside
        if rng.random() < 0.3:
            tail = damage(rng, tail)[:120]
        return bytes([len(tail)]) + tail + data

    @staticmethod
    def _record(kind, number, payload):
        head = bytes([kind]) + number.to_bytes(2, "little") + len(payload).to_bytes(2, "little")
        return head + binascii.crc_hqx(head + payload, 0xFFFF).to_bytes(2, "little") + payload

    def judge(self, case, outcome):
        expected = oracle.journal(case[1 : 1 + case[0]], case[1 + case[0] :], self.BOT)
        return None if outcome == expected else f"found {outcome!r}, not {expected!r}"


TARGETS: dict[str, Target] = {
    "scan": Scan(),
    "sse": Sse(),
    "http": Http(),
    "dns": Dns(),
    "updates": Updates(),
    "config": Config(),
    "model": Model(),
    "journal": Journal(),
}
