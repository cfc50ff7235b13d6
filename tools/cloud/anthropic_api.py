"""The Anthropic messages dialect: POST /v1/messages.

Bodies, errors and events as in the API reference, versions 2023-06-01 and 2026-10-21. The newer
one takes no sampling parameters; its clients send the key as a bearer token, which counts in both.
Two turns of one role in a row are refused, as the service did at first and compatible ones still
do (today it joins them).
"""

from .errors import ModelError

NAME = "messages"
PATH = "/messages"

_NEWEST = "2026-10-21"
_VERSIONS = ("2023-01-01", "2023-06-01", _NEWEST)
_SAMPLING = ("temperature", "top_k", "top_p")
_KNOWN = frozenset(
    (
        *("max_tokens", "messages", "metadata", "model", "service_tier", "stop_sequences"),
        *("stream", "system", "temperature", "thinking", "tool_choice", "tools", "top_k"),
        "top_p",
    )
)
_FINISH = {
    "stop": "end_turn",
    "length": "max_tokens",
    "content_filter": "refusal",
    "tool_calls": "tool_use",
}
_INVALID = "invalid_request_error"
_MAX_OUTPUT = 1 << 20


def check_key(headers, key):
    """Raises ModelError 401, or 400 without a version."""
    bearer = headers.get("authorization", "").removeprefix("Bearer ")
    if not headers.get("x-api-key") and not bearer:
        raise ModelError(401, "authentication_error", "x-api-key header is required")
    if headers.get("x-api-key", key) != key:
        raise ModelError(401, "authentication_error", "invalid x-api-key")
    if bearer and bearer != key:
        raise ModelError(401, "authentication_error", "Invalid bearer token")
    version = headers.get("anthropic-version")
    if version is None:
        raise _bad("anthropic-version: header is required")
    if version not in _VERSIONS:
        raise _bad(f'anthropic-version: "{version}" is not a valid version')


def check(headers, body):
    """Raises ModelError for a body that the service would not take."""
    if not headers.get("content-type", "").lower().startswith("application/json"):
        raise _bad("The request's content type must be application/json")
    if not isinstance(body, dict):
        raise _bad("The request body is not valid JSON")
    for name in ("model", "messages", "max_tokens"):
        if name not in body:
            raise _bad(f"{name}: Field required")
    for name in body:
        if name not in _KNOWN:
            raise _bad(f"{name}: Extra inputs are not permitted")
        if name in _SAMPLING and headers["anthropic-version"] == _NEWEST:
            raise _bad(f"{name}: Extra inputs are not permitted")
    if not isinstance(body["model"], str):
        raise _bad("model: Input should be a valid string")
    most = body["max_tokens"]
    if isinstance(most, bool) or not isinstance(most, int):
        raise _bad("max_tokens: Input should be a valid integer")
    if most < 1:
        raise _bad("max_tokens: must be greater than or equal to 1")
    if most > _MAX_OUTPUT:
        raise _bad(
            f"max_tokens: {most} > {_MAX_OUTPUT}, which is the maximum allowed number of output "
            f"tokens for {body['model']}"
        )
    if not isinstance(body.get("stream", False), bool):
        raise _bad("stream: Input should be a valid boolean")
    temperature = body.get("temperature", 1.0)
    if isinstance(temperature, bool) or not isinstance(temperature, int | float):
        raise _bad("temperature: Input should be a valid number")
    if not 0 <= temperature <= 1:
        raise _bad("temperature: range: 0..1")
    _check_system(body.get("system", ""))
    _check_messages(body["messages"])


def check_script(body, script):
    """This dialect has nothing that some models refuse."""


def unknown_model(name):
    return ModelError(404, "not_found_error", f"model: {name}")


def too_long(tokens, most):
    return _bad(f"prompt is too long: {tokens} tokens > {most} maximum")


def failure(status, script):
    """The error of an HTTP status, in the service's words."""
    kind, message = {
        400: (_INVALID, "Invalid request"),
        401: ("authentication_error", "invalid x-api-key"),
        403: ("permission_error", "Your API key does not have permission to use this resource"),
        404: ("not_found_error", "Not found"),
        413: ("request_too_large", "Request exceeds the maximum allowed number of bytes"),
        429: ("rate_limit_error", "This request would exceed your rate limit"),
        529: ("overloaded_error", "Overloaded"),
    }.get(status, ("api_error", "Internal server error"))
    return ModelError(
        status,
        script.error or kind,
        script.message or message,
        retry_after=script.retry_after,
    )


def refusal(error, number):
    return {
        "type": "error",
        "error": {"type": error.kind, "message": error.message},
        "request_id": f"req_{number:024d}",
    }


def texts(body):
    """Every text of the prompt."""
    yield _text(body.get("system", ""))
    for message in body["messages"]:
        yield _text(message["content"])


def question(body) -> str:
    """The last user text."""
    for message in reversed(body["messages"]):
        if message["role"] == "user":
            return _text(message["content"])
    return ""


def limit(body):
    """The request's limit on tokens."""
    return body["max_tokens"]


def whole(answer) -> dict:
    """The body of an answer that is not streamed."""
    content = []
    if answer.think and answer.think_field:
        block = {"type": "thinking", "thinking": answer.think, "signature": "c2lnbmF0dXJl"}
        content.append(block)
    if answer.text:
        content.append({"type": "text", "text": answer.text})
    return {
        **_frame(answer),
        "content": content,
        "stop_reason": _FINISH.get(answer.finish, answer.finish),
        "usage": _usage(answer, answer.tokens_out),
    }


class Events:
    """The events of a streamed answer, each as (event's name, data)."""

    def __init__(self, answer, body, script):
        self._answer = answer
        self._block = -1
        self._open = ""
        self.keepalive = None

    def start(self):
        message = {**_frame(self._answer), "usage": _usage(self._answer, 1)}
        return [_event("message_start", message=message), _event("ping")]

    def thought(self, text):
        events = self._switch("thinking")
        return [*events, self._delta(type="thinking_delta", thinking=text)]

    def delta(self, text):
        return [*self._switch("text"), self._delta(type="text_delta", text=text)]

    def finish(self):
        events = self._close()
        reason = _FINISH.get(self._answer.finish, self._answer.finish)
        delta = {"stop_reason": reason, "stop_sequence": None}
        usage = {"output_tokens": self._answer.tokens_out}
        return [*events, _event("message_delta", delta=delta, usage=usage)]

    def end(self):
        return [_event("message_stop")]

    def error(self, script):
        kind = script.error or "overloaded_error"
        return [_event("error", error={"type": kind, "message": script.message or "Overloaded"})]

    def _switch(self, kind):
        if self._open == kind:
            return []
        events = self._close()
        self._block += 1
        self._open = kind
        block = {"type": kind, kind: ""}
        if kind == "thinking":
            block["signature"] = ""
        return [*events, _event("content_block_start", index=self._block, content_block=block)]

    def _close(self):
        if not self._open:
            return []
        events = []
        if self._open == "thinking":
            events.append(self._delta(type="signature_delta", signature="c2lnbmF0dXJl"))
        self._open = ""
        return [*events, _event("content_block_stop", index=self._block)]

    def _delta(self, **delta):
        return _event("content_block_delta", index=self._block, delta=delta)


PING = ("ping", {"type": "ping"})


def _event(name, **fields):
    return name, {"type": name, **fields}


def _frame(answer):
    return {
        "id": f"msg_{answer.number:024d}",
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def _usage(answer, tokens_out):
    return {
        "input_tokens": answer.tokens_in,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": tokens_out,
    }


def _check_system(system):
    if isinstance(system, list):
        for number, block in enumerate(system):
            if not isinstance(block, dict) or block.get("type") != "text":
                raise _bad(f"system.{number}.type: Input should be 'text'")
            if not block.get("text"):
                raise _bad("system: text content blocks must be non-empty")
    elif not isinstance(system, str):
        raise _bad("system: Input should be a valid list")


def _check_messages(messages):
    if not isinstance(messages, list):
        raise _bad("messages: Input should be a valid list")
    if not messages:
        raise _bad("messages: at least one message is required")
    previous = None
    for number, message in enumerate(messages):
        if not isinstance(message, dict):
            raise _bad(f"messages.{number}: Input should be a valid dictionary")
        for name in ("role", "content"):
            if name not in message:
                raise _bad(f"messages.{number}.{name}: Field required")
        for name in message:
            if name not in ("role", "content"):
                raise _bad(f"messages.{number}.{name}: Extra inputs are not permitted")
        role = message["role"]
        if role == "system":
            raise _bad(
                'messages: Unexpected role "system". The Messages API accepts a top-level '
                '`system` parameter, not "system" as an input message role.'
            )
        if role not in ("user", "assistant"):
            raise _bad(f"messages.{number}.role: Input should be 'user' or 'assistant'")
        if number == 0 and role != "user":
            raise _bad('messages: first message must use the "user" role')
        if role == previous:
            raise _bad(
                'messages: roles must alternate between "user" and "assistant", but found '
                f'multiple "{role}" roles in a row'
            )
        previous = role
        last = number == len(messages) - 1
        _check_content(number, message["content"], last and role == "assistant")
    if previous == "assistant" and _text(messages[-1]["content"])[-1:].isspace():
        raise _bad("messages: final assistant content cannot end with trailing whitespace")


def _check_content(number, content, may_be_empty):
    if isinstance(content, str):
        if not content and not may_be_empty:
            raise _bad(
                f"messages.{number}: all messages must have non-empty content except for the "
                "optional final assistant message"
            )
        if content and not content.strip():
            raise _bad("messages: text content blocks must contain non-whitespace text")
        return
    if not isinstance(content, list):
        raise _bad(f"messages.{number}.content: Input should be a valid list")
    if not content and not may_be_empty:
        raise _bad(
            f"messages.{number}: all messages must have non-empty content except for the optional "
            "final assistant message"
        )
    for place, block in enumerate(content):
        if not isinstance(block, dict) or "type" not in block:
            raise _bad(f"messages.{number}.content.{place}.type: Field required")
        if block["type"] == "text":
            if not isinstance(block.get("text"), str):
                raise _bad(f"messages.{number}.content.{place}.text.text: Field required")
            if not block["text"]:
                raise _bad("messages: text content blocks must be non-empty")


def _text(content):
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content if part.get("type") == "text")
    return content or ""


def _bad(message):
    return ModelError(400, _INVALID, message)
