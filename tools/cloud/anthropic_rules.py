"""What the messages API takes, and in which words it refuses the rest.

The version 2026-10-21 takes no sampling parameters; its clients send the key as a bearer token,
which counts in both versions. Two turns of one role in a row are refused, as the service did at
first and compatible ones still do (today it joins them).
"""

from .errors import ModelError

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
INVALID = "invalid_request_error"
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
        raise bad("anthropic-version: header is required")
    if version not in _VERSIONS:
        raise bad(f'anthropic-version: "{version}" is not a valid version')


def check(headers, body):
    """Raises ModelError for a body that the service would not take."""
    if not headers.get("content-type", "").lower().startswith("application/json"):
        raise bad("The request's content type must be application/json")
    if not isinstance(body, dict):
        raise bad("The request body is not valid JSON")
    for name in ("model", "messages", "max_tokens"):
        if name not in body:
            raise bad(f"{name}: Field required")
    for name in body:
        if name not in _KNOWN:
            raise bad(f"{name}: Extra inputs are not permitted")
        if name in _SAMPLING and headers["anthropic-version"] == _NEWEST:
            raise bad(f"{name}: Extra inputs are not permitted")
    if not isinstance(body["model"], str):
        raise bad("model: Input should be a valid string")
    most = body["max_tokens"]
    if isinstance(most, bool) or not isinstance(most, int):
        raise bad("max_tokens: Input should be a valid integer")
    if most < 1:
        raise bad("max_tokens: must be greater than or equal to 1")
    if most > _MAX_OUTPUT:
        raise bad(
            f"max_tokens: {most} > {_MAX_OUTPUT}, which is the maximum allowed number of output "
            f"tokens for {body['model']}"
        )
    if not isinstance(body.get("stream", False), bool):
        raise bad("stream: Input should be a valid boolean")
    temperature = body.get("temperature", 1.0)
    if isinstance(temperature, bool) or not isinstance(temperature, int | float):
        raise bad("temperature: Input should be a valid number")
    if not 0 <= temperature <= 1:
        raise bad("temperature: range: 0..1")
    _check_system(body.get("system", ""))
    _check_messages(body["messages"])


def _check_system(system):
    if isinstance(system, list):
        for number, block in enumerate(system):
            if not isinstance(block, dict) or block.get("type") != "text":
                raise bad(f"system.{number}.type: Input should be 'text'")
            if not isinstance(block.get("text"), str):
                raise bad(f"system.{number}.text: Field required")
            _check_text("system", block["text"])
    elif not isinstance(system, str):
        raise bad("system: Input should be a valid list")
    elif system:
        _check_text("system", system)


def _check_messages(messages):
    if not isinstance(messages, list):
        raise bad("messages: Input should be a valid list")
    if not messages:
        raise bad("messages: at least one message is required")
    previous = None
    for number, message in enumerate(messages):
        if not isinstance(message, dict):
            raise bad(f"messages.{number}: Input should be a valid dictionary")
        for name in ("role", "content"):
            if name not in message:
                raise bad(f"messages.{number}.{name}: Field required")
        for name in message:
            if name not in ("role", "content"):
                raise bad(f"messages.{number}.{name}: Extra inputs are not permitted")
        role = message["role"]
        if role == "system":
            raise bad(
                'messages: Unexpected role "system". The Messages API accepts a top-level '
                '`system` parameter, not "system" as an input message role.'
            )
        if role not in ("user", "assistant"):
            raise bad(f"messages.{number}.role: Input should be 'user' or 'assistant'")
        if number == 0 and role != "user":
            raise bad('messages: first message must use the "user" role')
        if role == previous:
            raise bad(
                'messages: roles must alternate between "user" and "assistant", but found '
                f'multiple "{role}" roles in a row'
            )
        previous = role
        last = number == len(messages) - 1
        _check_content(number, message["content"], last and role == "assistant")
    if previous == "assistant" and _last_text(messages).endswith((" ", "\n", "\t")):
        raise bad("messages: final assistant content cannot end with trailing whitespace")


def _check_content(number, content, may_be_empty):
    if isinstance(content, str):
        if not content and not may_be_empty:
            raise bad(
                f"messages.{number}: all messages must have non-empty content except for the "
                "optional final assistant message"
            )
        if content:
            _check_text("messages", content)
        return
    if not isinstance(content, list):
        raise bad(f"messages.{number}.content: Input should be a valid list")
    if not content and not may_be_empty:
        raise bad(
            f"messages.{number}: all messages must have non-empty content except for the optional "
            "final assistant message"
        )
    for place, block in enumerate(content):
        if not isinstance(block, dict) or "type" not in block:
            raise bad(f"messages.{number}.content.{place}.type: Field required")
        if block["type"] == "text":
            if not isinstance(block.get("text"), str):
                raise bad(f"messages.{number}.content.{place}.text.text: Field required")
            _check_text("messages", block["text"])


def _check_text(where, text):
    if not text:
        raise bad(f"{where}: text content blocks must be non-empty")
    if not text.strip():
        raise bad(f"{where}: text content blocks must contain non-whitespace text")


def bad(message):
    return ModelError(400, INVALID, message)


def _last_text(messages):
    content = messages[-1]["content"]
    if isinstance(content, str):
        return content
    return content[-1].get("text", "") if content else ""
