"""Parameters of a Bot API call, from the query string and from the body in any of its forms.

Values are str. What is not valid UTF-8 is kept with surrogate escapes, so that `utf8` in text.py
finds it; a JSON value that is no string is its JSON text, as the server has it (HttpReader.cpp).
Of a name given twice the first counts.
"""

import json
import re

from .wire import BadRequest, Request, parse_form, parse_multipart

_INTEGER = re.compile(r"-?[0-9]+")


def parse(request: Request) -> dict:
    """All parameters. Raises BadRequest."""
    params = {}
    if request.query:
        _add(params, parse_form(request.query))
    if request.body:
        kind = request.headers.get("content-type", "")
        lowered = kind.lower()
        if lowered.startswith("application/json"):
            _add_json(params, request.body)
        elif lowered.startswith("multipart/form-data"):
            _add(params, parse_multipart(request.body, kind))
        elif lowered.startswith("application/x-www-form-urlencoded"):
            _add(params, parse_form(request.body))
    return params


def integer(params: dict, name: str, default: int, least: int, most: int) -> int:
    """A number as the server reads it: leading digits count, the rest does not; clamped."""
    value = params.get(name, "")
    if not value:
        return default
    match = _INTEGER.match(value)
    return max(least, min(most, int(match[0]) if match else 0))


def truth(value: str) -> bool:
    return value.strip().lower() in ("true", "yes", "1")


def _add(params, pairs):
    for name, value in pairs:
        key = name.decode("utf-8", "surrogateescape")
        params.setdefault(key, value.decode("utf-8", "surrogateescape"))


def _add_json(params, body):
    try:
        given = json.loads(body.decode("utf-8", "surrogateescape"), object_pairs_hook=list)
    except ValueError as error:
        raise BadRequest(400, f"can't parse the JSON body: {error}") from None
    if not isinstance(given, list) or not all(isinstance(item, tuple) for item in given):
        raise BadRequest(400, "JSON object expected")
    for name, value in given:
        params.setdefault(name, value if isinstance(value, str) else _text(value))


def _text(value):
    return json.dumps(_plain(value), separators=(",", ":"), ensure_ascii=False)


def _plain(value):
    """Undoes `object_pairs_hook`, which was there to tell an object from an array of pairs."""
    if isinstance(value, list):
        if value and all(isinstance(item, tuple) for item in value):
            return {name: _plain(item) for name, item in value}
        return [_plain(item) for item in value]
    return value
