"""What the chat completions API takes, and in which words it refuses the rest."""

import json

from .errors import ModelError

_ROLES = ("system", "assistant", "user", "function", "tool", "developer")
_NUMBERS = {
    "frequency_penalty": (-2, 2),
    "presence_penalty": (-2, 2),
    "temperature": (0, 2),
    "top_p": (0, 1),
}
_COUNTS = ("max_completion_tokens", "max_tokens", "n")
_OTHERS = frozenset(
    (
        *("audio", "function_call", "functions", "logit_bias", "logprobs", "messages"),
        *("metadata", "modalities", "model", "parallel_tool_calls", "prediction"),
        *("prompt_cache_key", "reasoning_effort", "response_format", "safety_identifier"),
        *("seed", "service_tier", "stop", "store", "stream", "stream_options"),
        *("tool_choice", "tools", "top_logprobs", "user", "verbosity", "web_search_options"),
    )
)
INVALID = "invalid_request_error"
_MAX_OUTPUT = 1 << 20


def check(headers, body):
    """Raises ModelError for a body that the service would not take."""
    if not isinstance(body, dict) or not headers.get("content-type", "").lower().startswith(
        "application/json"
    ):
        raise bad("We could not parse the JSON body of your request.")
    if not isinstance(body.get("model"), str) or not body["model"]:
        raise bad("you must provide a model parameter")
    for name in body:
        if name not in _OTHERS and name not in _NUMBERS and name not in _COUNTS:
            raise bad(f"Unrecognized request argument supplied: {name}")
    if "messages" not in body:
        raise bad(
            "Missing required parameter: 'messages'.", "messages", "missing_required_parameter"
        )
    _check_messages(body["messages"])
    _check_numbers(body)
    stream = body.get("stream")
    if stream is not None and not isinstance(stream, bool):
        raise _wrong_type("stream", "a boolean", stream)
    options = body.get("stream_options")
    if options is not None:
        if not stream:
            raise bad(
                "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
                "stream_options",
            )
        if not isinstance(options, dict):
            raise _wrong_type("stream_options", "an object", options)


def _check_messages(messages):
    if not isinstance(messages, list):
        raise _wrong_type("messages", "an array of objects", messages)
    if not messages:
        raise bad(
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an "
            "empty array instead.",
            "messages",
            "empty_array",
        )
    for number, message in enumerate(messages):
        where = f"messages[{number}]"
        if not isinstance(message, dict):
            raise _wrong_type(where, "an object", message)
        if "role" not in message:
            raise bad(
                f"Missing required parameter: '{where}.role'.",
                f"{where}.role",
                "missing_required_parameter",
            )
        if message["role"] not in _ROLES:
            raise bad(
                f"Invalid value: '{message['role']}'. Supported values are: 'system', "
                "'assistant', 'user', 'function', 'tool', and 'developer'.",
                f"{where}.role",
                "invalid_value",
            )
        content = message.get("content")
        if isinstance(content, list):
            for part, item in enumerate(content):
                if not isinstance(item, dict) or not isinstance(item.get("type"), str):
                    raise _wrong_type(f"{where}.content[{part}]", "an object", item)
        elif content is None:
            if message["role"] != "assistant" or not message.get("tool_calls"):
                raise bad(
                    "Invalid value for 'content': expected a string, got null.",
                    f"messages.[{number}].content",
                )
        elif not isinstance(content, str):
            raise _wrong_type(f"{where}.content", "one of a string or array of objects", content)


def _check_numbers(body):
    for name, (least, most) in _NUMBERS.items():
        value = body.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _wrong_type(name, "a decimal", value)
        if not least <= value <= most:
            side, word = ("below min", ">=") if value < least else ("above max", "<=")
            raise bad(
                f"Invalid '{name}': decimal {side}imum value. Expected a value {word} "
                f"{least if value < least else most}, but got {value} instead.",
                name,
                f"decimal_{side.replace(' ', '_')}_value",
            )
    for name in _COUNTS:
        value = body.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int):
            raise _wrong_type(name, "an integer", value)
        if value < 1:
            raise bad(
                f"Invalid '{name}': integer below minimum value. Expected a value >= 1, but got "
                f"{value} instead.",
                name,
                "integer_below_min_value",
            )
    if body.get("max_tokens") is not None and body.get("max_completion_tokens") is not None:
        raise bad(
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
            "max_tokens",
            "invalid_parameter_combination",
        )
    most = body.get("max_completion_tokens") or body.get("max_tokens")
    if (most or 0) > _MAX_OUTPUT:
        raise bad(f"max_tokens is too large: {most}.", "max_tokens", "invalid_value")


def bad(message, param=None, name=None):
    return ModelError(400, INVALID, message, name, param)


def _wrong_type(param, expected, value):
    got = json.dumps(value) if value is None or isinstance(value, bool) else None
    kinds = {str: "a string", int: "an integer", float: "a decimal number", list: "an array"}
    got = got or kinds.get(type(value), "an object")
    return bad(
        f"Invalid type for '{param}': expected {expected}, but got {got} instead.",
        param,
        "invalid_type",
    )
