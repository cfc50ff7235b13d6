"""What CPython reads in a document, to be compared with what the firmware reads in it."""

from __future__ import annotations

import binascii
import contextlib
import json
import re

PATHS = (
    b"ok",
    b"a",
    b"a.b",
    b"a[]",
    b"a[].b",
    b"ab",
    b"result[].message.text",
    b"result[].message",
    b"[]",
    b"[][].a",
    b"[].a",
    "ключ.b".encode(),
)
MORE, OPEN, CLOSE, VALUE, PIECE, END = range(6)
STRING, INTEGER, NUMBER, TRUE, FALSE, NULL = range(6)


class Refused(Exception):
    """The document is to be refused."""


class Text(str):
    """A number as it was written."""


class Pairs(list):
    """An object as it was written."""


def refuse(name):
    raise Refused(name)


def document(data: bytes):
    """The value of a JSON document, its objects as Pairs and its numbers as Text."""
    try:
        return json.loads(
            data.decode("utf-8", "surrogateescape"),
            parse_int=Text,
            parse_float=Text,
            parse_constant=refuse,
            object_pairs_hook=Pairs,
        )
    except (ValueError, RecursionError) as error:
        raise Refused from error


def events(data: bytes) -> list[tuple]:
    """The scanner's events for a document; Refused if the scanner should refuse it.

    On purpose the scanner differs from CPython: it refuses half surrogate pairs and invalid UTF-8
    in wanted strings and in keys that it compares, lets invalid UTF-8 pass in what it skips,
    bounds wanted numbers to 24 bytes, and knows no NaN and no Infinity.
    """
    value = document(data)
    paths = [path.replace(b"[]", b".[]").lstrip(b".").split(b".") for path in PATHS]
    found = []
    _walk(value, [], paths, found)
    return found


def _walk(value, where, paths, found):
    wanted = paths.index(where) if where in paths else None
    deeper = [path[len(where)] for path in paths if path[: len(where)] == where != path]
    if isinstance(value, list):
        if wanted is not None:
            found.append((OPEN, wanted))
        if isinstance(value, Pairs):
            for key, inner in value:
                if deeper:
                    # A key "[]" would look like an element to this walk, not to the scanner.
                    name = b"\0" if key == "[]" else plain_utf8(key)
                    _walk(inner, [*where, name], paths, found)
        elif b"[]" in deeper:
            for inner in value:
                _walk(inner, [*where, b"[]"], paths, found)
        if wanted is not None:
            found.append((CLOSE, wanted))
    elif wanted is not None:
        if isinstance(value, Text):
            if len(value) > 24:
                raise Refused("long number")
            kind = NUMBER if set(value) & set(".eE") else INTEGER
            found.append((VALUE, wanted, kind, value.encode()))
        elif isinstance(value, str):
            found.append((VALUE, wanted, STRING, plain_utf8(value)))
        else:
            kind = {True: TRUE, False: FALSE, None: NULL}[value]
            found.append((VALUE, wanted, kind, b""))


def plain_utf8(text: str) -> bytes:
    """The bytes of a string that the scanner compares or copies."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise Refused from error


def server_sent(data: bytes) -> list[bytes]:
    """The data of every event of a stream (WHATWG HTML, section 9.2)."""
    data = data.removeprefix(b"\xef\xbb\xbf")
    # What stands behind the last line end is cut off, and no line.
    lines = re.split(rb"\r\n|\n|\r", data)[:-1]
    found, parts = [], []
    for line in lines:
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if not line:
            if parts:
                found.append(b"\n".join(parts))
            parts = []
        elif field == b"data":
            parts.append(value)
    return found


def addresses(query: bytes, message: bytes) -> set[str]:
    """The addresses that a DNS message (RFC 1035) gives to the name that the query asks for."""
    end = len(query)
    if message[:2] != query[:2] or len(message) < end or not message[2] & 0x80 or message[3] & 15:
        return set()
    if message[4:6] != b"\0\1" or message[12:end].lower() != query[12:end].lower():
        return set()
    names = {_labels(query, 12)}
    found: set[str] = set()
    records = []
    at = end
    for _ in range(message[6] << 8 | message[7]):
        start, at = at, _behind(message, at)
        size = int.from_bytes(message[at + 8 : at + 10], "big")
        data = at + 10
        if at < 0 or data + size > len(message):
            break
        kind, class_ = message[at : at + 2], message[at + 2 : at + 4]
        at = data + size
        # A name that leads nowhere is nobody's; what stands behind it may still be right.
        with contextlib.suppress(IndexError, ValueError):
            if class_ == b"\0\1" and kind == b"\0\5":
                records.append((_labels(message, start), 5, _labels(message, data)))
            elif class_ == b"\0\1" and kind == b"\0\1" and size == 4:
                records.append((_labels(message, start), 1, message[data:at]))
    for _ in records:
        for owner, kind, target in records:
            if owner in names and kind == 5:
                names.add(target)
            elif owner in names:
                found.add(".".join(map(str, target)))
    return found


def _behind(message: bytes, at: int) -> int:
    """The offset behind the name at `at`, -1 if it is none."""
    while 0 <= at < len(message):
        length = message[at]
        if length == 0 or length >= 0xC0:
            return at + (2 if length else 1)
        at = at + length + 1 if length < 64 else -1
    return -1


def _labels(message: bytes, at: int) -> bytes:
    """The name at `at` in small letters. IndexError, ValueError if it is none."""
    parts = []
    for _ in range(300):
        length = message[at]
        if length >= 0xC0:
            at = (length & 0x3F) << 8 | message[at + 1]
        elif length > 63 or at + length >= len(message):
            raise ValueError("no label")
        elif length == 0:
            return b"\0".join(parts)
        else:
            parts.append(message[at + 1 : at + 1 + length].lower())
            at += 1 + length
    raise ValueError("a loop")


_COMMANDS = ("", "stop", "status", "help", "start", "model", "new", "retry", "more")
_COMMANDS += ("history", "forget", "reboot")
_ODDS = ("photo", "voice", "sticker", "document", "video", "audio", "video_note")
_ODDS += ("location", "contact", "poll")
_ALLOWED = ("42", "-1001234567890")
_LONGEST, _ASIDE = 12288, 96
_GROUP, _OWNER, _ODD, _LONG = 1, 2, 4, 8


def records(data: bytes) -> str | None:
    """What is to be taken of an answer to getUpdates: how it ended, how many were refused, the
    inbox's records and the asides. None where nothing is promised: for what is no JSON, says a
    thing twice, or has ids that Telegram could not give."""
    try:
        value = document(data)
        if not isinstance(value, Pairs):
            return None
        top = _once(value)
        inbox, asides, refused = [], [], 0
        last = 0
        for item in top.get("result", []):
            number = int(item.get("update_id", "x"))
            if number <= last or number >= 10**16:
                return None
            last = number
            taken = _record(item, str(number))
            refused += taken == "refused"
            if isinstance(taken, tuple):
                (asides if taken[0] else inbox).append(taken[1])
    except (Refused, ValueError, AttributeError, TypeError, KeyError):
        return None
    if len(asides) > 8 or sum(len(one) // 2 + 80 for one in inbox) > 40000:
        return None
    ended = "taken" if top.get("ok") is True else "ApiError"
    return f"{ended} {refused} | {' '.join(inbox)} | {' '.join(asides)}"


def _once(pairs):
    """Objects as dicts, all the way down; Refused for a key that is given twice, and for what is
    no UTF-8, which the scanner refuses only where it must look at it."""
    if isinstance(pairs, Pairs):
        if len({plain_utf8(key) for key, _ in pairs}) != len(pairs):
            raise Refused
        return {key: _once(inner) for key, inner in pairs}
    if isinstance(pairs, str):
        plain_utf8(pairs)
    return [_once(inner) for inner in pairs] if isinstance(pairs, list) else pairs


def _record(item, number):
    """None for what needs no answer, "refused", or (whether it is an aside, the record)."""
    message = item.get("message", {})
    chat, sender = str(int(message["chat"]["id"])), str(int(message["from"]["id"]))
    if not isinstance(message["chat"]["id"], Text) or not isinstance(message["from"]["id"], Text):
        raise Refused
    if "text" in message and "caption" in message:
        raise Refused
    text = message.get("text", message.get("caption", ""))
    if not isinstance(text, str) or isinstance(text, Text) or max(len(chat), len(sender)) > 19:
        raise Refused
    flags = _GROUP if message["chat"]["type"][:1] != "p" else 0
    flags |= _ODD if any(isinstance(message.get(odd), (dict, list)) for odd in _ODDS) else 0
    said = text.encode()
    if len(said) > _LONGEST:
        said, flags = b"", flags | _LONG
    if not (said or flags & (_ODD | _LONG)):
        return None
    if sender not in _ALLOWED and chat not in _ALLOWED:
        return "refused"
    flags |= _OWNER if sender == _ALLOWED[0] else 0
    key = chat
    if message.get("is_topic_message") is True and "message_thread_id" in message:
        key += ":" + str(int(message["message_thread_id"]))
    word = None if flags & _ODD else re.match(r"/([^\x00-\x20@]*)(@?)", said.decode())
    command = word[1] if word else ""
    code = _COMMANDS.index(command) if command in _COMMANDS else 0
    named = word and word[2]
    if named and not re.match(r"(?i:fuzz)(?![A-Za-z0-9_])", said.decode()[word.end() :]):
        return None
    if flags & _GROUP and not (code or named or _meant(message, said.decode())):
        return None
    said = b"" if flags & _ODD else said
    record = f"{number}:{key}:{flags}:{code}:{said.hex()}"
    return (1 <= code <= 5 or code == 11) and len(said) <= _ASIDE, record


def _meant(message, text) -> bool:
    """Whether a group's message names the bot, which is called fuzz, or replies to it, bot 1."""
    replied = message.get("reply_to_message", {})
    root = isinstance(replied.get("forum_topic_created"), (dict, list))
    if "from" in replied and str(replied["from"].get("id")) == "1" and not root:
        return True
    return bool(re.search(r"(?<![A-Za-z0-9_])@fuzz(?![A-Za-z0-9_])", text, re.IGNORECASE))


def shown(dialect: int, body: bytes) -> list[str]:
    """The texts that may be shown of a model's answer: all of it, or what came before an error."""
    documents = [body]
    if body.startswith((b"data", b"event", b":")):
        documents = [data for data in server_sent(body) if data != b"[DONE]"]
    text = ""
    for one in map(json.loads, documents):
        if dialect == 0:
            for choice in one.get("choices", []):
                part = choice.get("delta") or choice.get("message") or {}
                text += part.get("content") or ""
        else:
            text += (one.get("delta") or {}).get("text") or ""
            text += "".join(part.get("text") or "" for part in one.get("content") or [])
    plain = re.sub(r"<think>.*?</think>", "", text, flags=re.DOTALL)
    return [plain.strip()]


def journal_records(data: bytes, first: bool, last: int):
    """The journal's records at the beginning of ``data`` that are whole, up to the first that is
    not, or is about a message that never came: (kind, number, payload). ``first``: they begin the
    file; ``last``: the number of the last message until then."""
    at = 0
    while at + 7 <= len(data):
        kind, size = data[at], int.from_bytes(data[at + 3 : at + 5], "little")
        number, payload = int.from_bytes(data[at + 1 : at + 3], "little"), data[at + 7 :][:size]
        crc = binascii.crc_hqx(data[at : at + 5] + payload, 0xFFFF)
        if len(payload) < size or crc != int.from_bytes(data[at + 5 : at + 7], "little"):
            return
        if not 1 <= kind <= 6 or (size < 68 if kind == 2 else size > 21) or number >= 720:
            return
        if (kind == 1) != (first and not at) or (kind > 2 and number > last):
            return
        last = number if kind == 2 else last
        yield kind, number, payload
        at += 7 + size


def journal(tail: bytes, data: bytes, bot: bytes) -> str:
    """What a journal's tail and file say: the offset, and of each message that waits its update's
    id, its state and its text."""
    records = list(journal_records(data, True, 0))
    if not records or records[0][2] != bot:
        return " | "
    stamp = (len(data) & 0xFFFF).to_bytes(2, "little")
    if len(tail) > 3 and tail[0] == records[0][1] and tail[2:4] == stamp:
        last = max((number for kind, number, _ in records if kind == 2), default=0)
        records += journal_records(tail[4:][: tail[1]], False, last)
    waiting, offset = {}, b""
    for kind, number, payload in records:
        if kind == 2:
            name = payload[48 : 48 + payload[4]]
            waiting[number] = [name.decode(), payload[5], payload[68:].hex()]
            offset = b"%d" % (int(name) + 1)
        elif kind == 3 and number in waiting:
            waiting[number][1] = payload[0]
        elif kind == 5:
            waiting.pop(number, None)
        elif kind == 6:
            offset = payload
    said = " ".join(":".join(map(str, one)) for one in waiting.values())
    return f"{offset.decode()} | {said}"
