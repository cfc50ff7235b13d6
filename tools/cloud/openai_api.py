"""The OpenAI chat completions dialect: POST /v1/chat/completions.

Bodies, errors and events as in the API reference; reasoning fields and errors inside a stream as
DeepSeek, vLLM and OpenRouter send them; frills as Azure, Groq, LocalAI and Ollama do.
"""

from . import openai_rules as rules
from .errors import ModelError
from .turns import words

NAME = "chat"
PATH = "/chat/completions"
REQUEST_ID = "X-Request-Id"

check = rules.check

_FINISH = {"refusal": "stop"}


def check_key(headers, key):
    """Raises ModelError 401."""
    given = headers.get("authorization", "")
    if not given.startswith("Bearer ") or not given[7:].strip():
        raise ModelError(
            401,
            rules.INVALID,
            "You didn't provide an API key. You need to provide your API key in an Authorization "
            "header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
        )
    if given[7:].strip() != key:
        raise ModelError(401, rules.INVALID, "Incorrect API key provided: ***.", "invalid_api_key")


def check_script(body, script):
    """Raises ModelError for what this script's model does not take."""
    if script.refuse_max_tokens and "max_tokens" in body:
        raise rules.bad(
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
            "'max_completion_tokens' instead.",
            "max_tokens",
            "unsupported_parameter",
        )
    if script.refuse_stream_options and "stream_options" in body:
        raise rules.bad("Unrecognized request argument supplied: stream_options")


def unknown_model(name):
    return ModelError(
        404,
        rules.INVALID,
        f"The model `{name}` does not exist or you do not have access to it.",
        "model_not_found",
    )


def too_long(tokens, most):
    return rules.bad(
        f"This model's maximum context length is {most} tokens. However, your messages resulted "
        f"in {tokens} tokens. Please reduce the length of the messages.",
        "messages",
        "context_length_exceeded",
    )


def failure(status, script):
    """The error of an HTTP status, in the service's words."""
    kind, name, message = {
        400: (rules.INVALID, None, "Invalid request."),
        401: (rules.INVALID, "invalid_api_key", "Incorrect API key provided: ***."),
        403: ("request_forbidden", "unsupported_country_region_territory", "Not supported here."),
        404: (rules.INVALID, "model_not_found", "The model does not exist."),
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
        yield words(message.get("content"))


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
        # Deltas up to the one that the reason comes with; none if that has a chunk of its own.
        self._left = len(answer.pieces) if script.early else -1
        self._frills = script.frills
        options = body.get("stream_options") or {}
        self._asked_usage = bool(options.get("include_usage"))
        self._usage = self._asked_usage or script.usage_always
        self.keepalive = ": OPENROUTER PROCESSING"

    def start(self):
        first = self._chunk({"role": "assistant", "content": "", "refusal": None})
        if self._frills:
            filtered = [{"prompt_index": 0, "content_filter_results": {}}]
            none = {"choices": [], "prompt_filter_results": filtered}
            return [(None, {**self._frame(), **none}), first]
        return [first]

    def thought(self, text):
        return [self._chunk({"content": None, self._answer.think_field: text})]

    def delta(self, text):
        field = "refusal" if self._answer.finish == "refusal" else "content"
        delta = {field: text}
        if self._frills:
            delta = {"role": "assistant", **delta, "tool_calls": None, "audio": {"content": "no"}}
        self._left -= 1
        if not self._left:
            name, chunk = self._chunk(delta, _finish(self._answer))
            return [(name, {**chunk, "usage": _usage(self._answer)})]
        return [self._chunk(delta)]

    def finish(self):
        if not self._left:
            return []
        events = [self._chunk({}, _finish(self._answer))]
        if self._usage:
            events.append((None, {**self._frame(), "choices": [], "usage": _usage(self._answer)}))
        return events

    def end(self):
        return [(None, "[DONE]")]

    def error(self, script):
        message = script.message or "Provider returned an error"
        error = {"error": {"code": script.error or 502, "message": message}}
        choice = {"index": 0, "delta": {"content": ""}, "finish_reason": "error"}
        return [(None, {**self._frame(), **error, "choices": [choice]})]

    def _chunk(self, delta, finish=None):
        if self._frills and finish is None:
            finish = ""
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        chunk = {**self._frame(), "choices": [choice]}
        if self._frills:
            chunk.update(service_tier="default", obfuscation="aB3dE6", x_groq={"error": None})
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
