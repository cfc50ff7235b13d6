"""The OpenAI chat completions dialect: POST /v1/chat/completions.

Bodies, errors and events as in the API reference; reasoning fields and errors inside a stream as
DeepSeek, vLLM and OpenRouter send them.
"""

import json

from .errors import ModelError

NAME = "chat"
PATH = "/chat/completions"

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
_FINISH = {"refusal": "stop"}
_INVALID = "invalid_request_error"
_MAX_OUTPUT = 1 << 20


def check_key(headers, key):
    """Raises ModelError 401."""
    given = headers.get("authorization", "")
    if not given.startswith("Bearer ") or not given[7:].strip():
        raise ModelError(
            401,
            _INVALID,
            "You didn't provide an API key. You need to provide your API key in an Authorization "
            "header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
        )
    if given[7:].strip() != key:
        raise ModelError(401, _INVALID, "Incorrect API key provided: ***.", "invalid_api_key")


def check(headers, body):
    """Raises ModelError for a body that the service would not take."""
    if not isinstance(body, dict) or not headers.get("content-type", "").lower().startswith(
        "application/json"
    ):
        raise _bad("We could not parse the JSON body of your request.")
    if not isinstance(body.get("model"), str) or not body["model"]:
        raise _bad("you must provide a model parameter")
    for name in body:
        if name not in _OTHERS and name not in _NUMBERS and name not in _COUNTS:
            raise _bad(f"Unrecognized request argument supplied: {name}")
    if "messages" not in body:
        raise _bad(
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
            raise _bad(
                "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
                "stream_options",
            )
        if not isinstance(options, dict):
            raise _wrong_type("stream_options", "an object", options)


def check_script(body, script):
    """Raises ModelError for what this script's model does not take."""
    if script.refuse_max_tokens and "max_tokens" in body:
        raise _bad(
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
            "'max_completion_tokens' instead.",
            "max_tokens",
            "unsupported_parameter",
        )
    if script.refuse_stream_options and "stream_options" in body:
        raise _bad("Unrecognized request argument supplied: stream_options")


def unknown_model(name):
    return ModelError(
        404,
        _INVALID,
        f"The model `{name}` does not exist or you do not have access to it.",
        "model_not_found",
    )


def too_long(tokens, most):
    return _bad(
        f"This model's maximum context length is {most} tokens. However, your messages resulted "
        f"in {tokens} tokens. Please reduce the length of the messages.",
        "messages",
        "context_length_exceeded",
    )


def failure(status, script):
    """The error of an HTTP status, in the service's words."""
    kind, name, message = {
        400: (_INVALID, None, "Invalid request."),
        401: (_INVALID, "invalid_api_key", "Incorrect API key provided: ***."),
        403: ("request_forbidden", "unsupported_country_region_territory", "Not supported here."),
        404: (_INVALID, "model_not_found", "The model does not exist."),
        429: ("requests", "rate_limit_exceeded", "Rate limit reached for requests"),
        500: ("server_error", None, "The server had an error while processing your request."),
        503: ("service_unavailable_error", None, "The engine is currently overloaded."),
    }.get(status, ("server_error", None, "Overloaded"))
    return ModelError(
        status, kind, script.message or message, script.error or name, None, script.retry_after
    )


def refusal(error, number):
    return {
        "error": {
            "message": error.message,
            "type": error.kind,
            "param": error.param,
            "code": error.name,
        }
    }


def texts(body):
    """Every text of the prompt."""
    for message in body["messages"]:
        yield _text(message.get("content"))


def question(body) -> str:
    """The last user text."""
    for message in reversed(body["messages"]):
        if message["role"] == "user":
            return _text(message["content"])
    return ""


def limit(body):
    """The request's limit on tokens, or None."""
    return body.get("max_completion_tokens") or body.get("max_tokens")


def whole(answer) -> dict:
    """The body of an answer that is not streamed."""
    message = {"role": "assistant", "content": answer.text, "refusal": None}
    if answer.think and answer.think_field:
        message[answer.think_field] = answer.think
    if answer.finish == "refusal":
        message.update(content=None, refusal=answer.text)
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish(answer)}
    return {
        "id": f"chatcmpl-{answer.number:024d}",
        "object": "chat.completion",
        "created": int(answer.time),
        "model": answer.model,
        "choices": [choice],
        "usage": _usage(answer),
    }


class Events:
    """The events of a streamed answer, each as (event's name or None, data)."""

    def __init__(self, answer, body, script):
        self._answer = answer
        self._role = {"role": "assistant"}
        options = body.get("stream_options") or {}
        self._asked_usage = bool(options.get("include_usage"))
        self._usage = self._asked_usage or script.usage_always
        self.keepalive = ": OPENROUTER PROCESSING"

    def start(self):
        return [self._chunk({"role": "assistant", "content": "", "refusal": None})]

    def thought(self, text):
        return [self._chunk({"content": None, self._answer.think_field: text})]

    def delta(self, text):
        field = "refusal" if self._answer.finish == "refusal" else "content"
        return [self._chunk({field: text})]

    def finish(self):
        events = [self._chunk({}, _finish(self._answer))]
        if self._usage:
            events.append((None, {**self._frame(), "choices": [], "usage": _usage(self._answer)}))
        return events

    def end(self):
        return [(None, "[DONE]")]

    def error(self, script):
        message = script.message or "Provider returned an error"
        return [(None, {"error": {"message": message, "code": script.error or 502}})]

    def _chunk(self, delta, finish=None):
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        chunk = {**self._frame(), "choices": [choice]}
        if self._asked_usage:
            chunk["usage"] = None
        return None, chunk

    def _frame(self):
        return {
            "id": f"chatcmpl-{self._answer.number:024d}",
            "object": "chat.completion.chunk",
            "created": int(self._answer.time),
            "model": self._answer.model,
            "system_fingerprint": "fp_simulated",
        }


def _finish(answer):
    return _FINISH.get(answer.finish, answer.finish)


def _usage(answer):
    thought = answer.think_tokens
    return {
        "prompt_tokens": answer.tokens_in,
        "completion_tokens": answer.tokens_out,
        "total_tokens": answer.tokens_in + answer.tokens_out,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": thought, "audio_tokens": 0},
    }


def _check_messages(messages):
    if not isinstance(messages, list):
        raise _wrong_type("messages", "an array of objects", messages)
    if not messages:
        raise _bad(
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
            raise _bad(
                f"Missing required parameter: '{where}.role'.",
                f"{where}.role",
                "missing_required_parameter",
            )
        if message["role"] not in _ROLES:
            raise _bad(
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
                raise _bad(
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
            side, word = ("below minimum", ">=") if value < least else ("above maximum", "<=")
            raise _bad(
                f"Invalid '{name}': decimal {side} value. Expected a value {word} "
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
            raise _bad(
                f"Invalid '{name}': integer below minimum value. Expected a value >= 1, but got "
                f"{value} instead.",
                name,
                "integer_below_min_value",
            )
    if body.get("max_tokens") is not None and body.get("max_completion_tokens") is not None:
        raise _bad(
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
            "max_tokens",
        )
    if (limit(body) or 0) > _MAX_OUTPUT:
        raise _bad(f"max_tokens is too large: {limit(body)}.", "max_tokens", "invalid_value")


def _text(content):
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content if part.get("type") == "text")
    return content or ""


def _bad(message, param=None, name=None):
    return ModelError(400, _INVALID, message, name, param)


def _wrong_type(param, expected, value):
    got = json.dumps(value)[:20] if value is None or isinstance(value, bool) else None
    kinds = {str: "a string", int: "an integer", float: "a decimal number", list: "an array"}
    got = got or kinds.get(type(value), "an object")
    return _bad(
        f"Invalid type for '{param}': expected {expected}, but got {got} instead.",
        param,
        "invalid_type",
    )
