"""What happens to the text of a message before it is kept: cleaned, trimmed, measured.

Rules and error texts of the Bot API server and tdlib (Client.cpp, get_formatted_text;
MessageEntity.cpp, fix_formatted_text; misc.cpp, clean_input_string and is_empty_string). Its
Markdown is not simulated: who asks for it is told so.
"""

import json
import re

from . import html
from .errors import ApiError

MAX_UNITS = 4096
_MAX_BYTES = 1 << 15
_MAX_OFFSET = 1_000_000

_UNCLEAN = re.compile("[\x00-\x09\x0b-\x1f\u2028-\u202e\u0333\u033f\u030a]")
_DROPPED = frozenset("\r\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u0333\u033f\u030a")
# Of a run of marks of a direction only the last stays one.
_MARK = re.compile("[\u200e\u200f](?=[\u200e\u200f])")
_EMPTY = re.compile(
    "[ \n\xa0\u1680\u180e\u2000-\u200f\u202e\u202f\u205f\u2800\u3000\ufeff\ufffc"
    "\U000e0000-\U000e007f]*"
)
_COMMAND = re.compile(r"(?<![^\s(])/[A-Za-z0-9_]{1,64}(?:@[A-Za-z0-9_]{3,32})?(?![A-Za-z0-9_/@])")


def utf8(value: str) -> bytes:
    """`value` as UTF-8. Raises ApiError if it came as invalid UTF-8 or with lone surrogates."""
    try:
        return value.encode()
    except UnicodeEncodeError:
        raise ApiError(400, "Bad Request: strings must be encoded in UTF-8") from None


def formatted(source: str, parse_mode: str, entities_json: str):
    """(text, entities) of the parameters of sendMessage. Raises ApiError."""
    if not source:
        raise ApiError(400, "Bad Request: message text is empty")
    try:
        data = source.encode()
    except UnicodeEncodeError:
        data = None
    if len(data if data is not None else source) > _MAX_BYTES:
        raise ApiError(400, "Bad Request: text is too long")
    data = utf8(source) if data is None else data
    mode = parse_mode.lower()
    entities = []
    if mode and mode != "none":
        if mode == "html":
            try:
                source, entities = html.parse(data)
            except html.EntityError as error:
                raise ApiError(400, f"Bad Request: can't parse entities: {error}") from None
        elif mode in ("markdown", "markdownv2"):
            raise ApiError(501, "Not Implemented: the simulated Telegram knows no Markdown")
        else:
            raise ApiError(400, "Bad Request: unsupported parse_mode")
    elif entities_json:
        entities = _given_entities(entities_json)
        _check_ends(entities, source)
    text, entities = _trim(*_clean(source, entities))
    text = _MARK.sub("\u200c", text)
    if _EMPTY.fullmatch(text):
        raise ApiError(400, "Bad Request: text must be non-empty")
    if len(text) > MAX_UNITS // 2 and html.units(text) > MAX_UNITS:
        raise ApiError(400, "Bad Request: message is too long")
    return text, entities


def commands(text: str) -> list:
    """The bot_command entities of an incoming text."""
    if "/" not in text:
        return []
    return [
        {
            "offset": html.units(text[: match.start()]),
            "length": len(match[0]),
            "type": "bot_command",
        }
        for match in _COMMAND.finditer(text)
    ]


def _given_entities(entities_json):
    """The parameter `entities`; what is not a JSON array counts as none, as in the server."""
    try:
        given = json.loads(entities_json)
    except ValueError:
        return []
    if not isinstance(given, list):
        return []
    for entity in given:
        if not isinstance(entity, dict):
            raise ApiError(400, "Bad Request: can't parse MessageEntity: expected an Object")
        for name in ("offset", "length"):
            if type(entity.get(name)) is not int:
                text = f"can't parse MessageEntity: Can't find field \"{name}\""
                raise ApiError(400, f"Bad Request: {text}")
    for entity in given:
        for name in ("offset", "length"):
            if not 0 <= entity[name] <= _MAX_OFFSET:
                text = f"receive an entity with incorrect {name} {entity[name]}"
                raise ApiError(400, f"Bad Request: {text}")
    given = [entity for entity in given if entity["length"]]
    return sorted(given, key=lambda entity: (entity["offset"], -entity["length"]))


def _check_ends(entities, text):
    """Raises ApiError if an entity begins or ends beyond the text."""
    size = html.units(text)
    for entity in entities:
        if entity["offset"] > size:
            raise ApiError(
                400,
                "Bad Request: entity begins after the end of the text at UTF-16 offset "
                f"{entity['offset']}",
            )
    for entity in reversed(entities):
        end = entity["offset"] + entity["length"]
        if end > size:
            raise ApiError(
                400,
                f"Bad Request: entity beginning at UTF-16 offset {entity['offset']} ends after "
                f"the end of the text at UTF-16 offset {end}",
            )


def _clean(text, entities):
    """Control characters become spaces, some vanish; entities keep to their characters."""
    if not _UNCLEAN.search(text):
        return text, entities
    kept, shift, removed = [], [], 0
    for character in text:
        width = 2 if character > "\uffff" else 1
        shift.extend([removed] * width)
        if character in _DROPPED:
            removed += width
        else:
            kept.append(" " if character < " " and character != "\n" else character)
    shift.append(removed)
    for entity in entities:
        start, end = entity["offset"], entity["offset"] + entity["length"]
        entity["offset"] = start - shift[start]
        entity["length"] = end - shift[end] - entity["offset"]
    return "".join(kept), [entity for entity in entities if entity["length"] > 0]


def _trim(text, entities):
    """Spaces and newlines go at the end, and at the start as far as no entity covers them."""
    trimmed = text.rstrip(" \n")
    if len(trimmed) != len(text) and entities:
        end = html.units(trimmed)
        for entity in entities:
            entity["length"] = min(entity["length"], end - entity["offset"])
        entities = [entity for entity in entities if entity["length"] > 0]
    start = len(trimmed) - len(trimmed.lstrip(" \n"))
    if start and entities:
        start = min(start, entities[0]["offset"])
    for entity in entities:
        entity["offset"] -= start
    return trimmed[start:], entities
