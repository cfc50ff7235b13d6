"""Parameters of a Bot API call, from the query string and from the body in any of its forms.

Values are str. What is not valid UTF-8 is kept with surrogate escapes, so that `utf8` in text.py
finds it; a JSON value that is no string is its JSON text, as the server has it (HttpReader.cpp).
Of a name given twice the first counts.
"""

import json
import re

from .errors import ApiError
from .wire import BadRequest, Request, parse_form, parse_multipart

_INTEGER = re.compile(r"-?[0-9]+")
_COMMAND = re.compile(r"[a-z0-9_]{1,32}")


class _Object(list):
    """A JSON object as its (name, value) pairs: of a name given twice both are there."""


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


def reply_parameters(params):
    """(id of the message that is answered or 0, whether it may be missing). Raises ApiError."""
    if "reply_parameters" not in params:
        number = integer(params, "reply_to_message_id", 0, 0, 2**31 - 1)
        return number, truth(params.get("allow_sending_without_reply", ""))
    if not params["reply_parameters"]:
        return 0, False
    try:
        given = json.loads(params["reply_parameters"])
    except ValueError:
        raise ApiError(400, "Bad Request: can't parse reply parameters JSON object") from None
    if not isinstance(given, dict):
        raise ApiError(400, "Bad Request: object expected as reply parameters")
    if not given:
        return 0, False
    number = given.get("message_id")
    if isinstance(number, str) and number.isdigit():
        number = int(number)
    if type(number) is not int:
        raise ApiError(400, 'Bad Request: can\'t find field "message_id"')
    return max(number, 0), given.get("allow_sending_without_reply") is True


def reply_markup(params):
    """The JSON text of an inline keyboard, "" for none or another kind. Raises ApiError."""
    given = params.get("reply_markup", "")
    if not given:
        return ""
    try:
        markup = json.loads(given)
    except ValueError:
        raise ApiError(400, "Bad Request: can't parse reply keyboard markup JSON object") from None
    if not isinstance(markup, dict):
        raise ApiError(400, "Bad Request: object expected as reply markup")
    return json.dumps(markup, separators=(",", ":")) if markup.get("inline_keyboard") else ""


def bot_commands(params) -> list:
    """The parameter `commands` of setMyCommands. Raises ApiError."""
    given = params.get("commands", "")
    try:
        given = json.loads(given) if given else []
    except ValueError:
        raise ApiError(400, "Bad Request: can't parse commands JSON object") from None
    if not isinstance(given, list):
        raise ApiError(400, "Bad Request: expected an Array of BotCommand")
    commands = [_command(item) for item in given]
    if len(commands) > 100:
        raise ApiError(400, "Bad Request: BOT_COMMANDS_TOO_MUCH")
    return commands


def _command(item):
    if not isinstance(item, dict):
        raise ApiError(400, "Bad Request: can't parse BotCommand: expected an Object")
    for name in ("command", "description"):
        if not isinstance(item.get(name), str):
            raise ApiError(
                400, f"Bad Request: can't parse BotCommand: Can't find field \"{name}\""
            )
    command = item["command"].strip().removeprefix("/")
    description = item["description"].strip()
    if not command:
        raise ApiError(400, "Bad Request: command must be non-empty")
    if len(command) > 32:
        raise ApiError(400, "Bad Request: command length must not exceed 32")
    if not description:
        raise ApiError(400, "Bad Request: command description must be non-empty")
    if len(description) > 256:
        raise ApiError(400, "Bad Request: command description length must not exceed 256")
    if not _COMMAND.fullmatch(command):
        raise ApiError(400, "Bad Request: BOT_COMMAND_INVALID")
    return {"command": command, "description": description}


def _add(params, pairs):
    for name, value in pairs:
        key = name.decode("utf-8", "surrogateescape")
        params.setdefault(key, value.decode("utf-8", "surrogateescape"))


def _add_json(params, body):
    try:
        given = json.loads(body.decode("utf-8", "surrogateescape"), object_pairs_hook=_Object)
    except ValueError as error:
        raise BadRequest(400, f"can't parse the JSON body: {error}") from None
    if not isinstance(given, _Object):
        raise BadRequest(400, "JSON object expected")
    for name, value in given:
        params.setdefault(name, value if isinstance(value, str) else _text(value))


def _text(value):
    return json.dumps(_plain(value), separators=(",", ":"), ensure_ascii=False)


def _plain(value):
    """`value` with dicts for its objects, as json.dumps takes it."""
    if isinstance(value, _Object):
        return {name: _plain(item) for name, item in value}
    return [_plain(item) for item in value] if isinstance(value, list) else value
