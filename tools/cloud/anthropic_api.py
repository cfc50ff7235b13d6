"""The Anthropic messages dialect: POST /v1/messages.

Bodies, errors and events as in the API reference, versions 2023-06-01 and 2026-10-21.
"""

from . import anthropic_rules as rules
from .errors import ModelError
from .turns import words

NAME = "messages"
PATH = "/messages"
REQUEST_ID = "Request-Id"

check = rules.check
check_key = rules.check_key

_FINISH = {
    "stop": "end_turn",
    "length": "max_tokens",
    "content_filter": "refusal",
    "tool_calls": "tool_use",
}


def check_script(body, script):
    """This dialect has nothing that some models refuse."""


def unknown_model(name):
    return ModelError(404, "not_found_error", f"model: {name}")


def too_long(tokens, most):
    return rules.bad(f"prompt is too long: {tokens} tokens > {most} maximum")


def failure(status, script):
    """The error of an HTTP status, in the service's words."""
    kind, message = {
        400: (rules.INVALID, "Invalid request"),
        401: ("authentication_error", "invalid x-api-key"),
        402: ("billing_error", "Your credit balance is too low"),
        403: ("permission_error", "Your API key does not have permission to use this resource"),
        404: ("not_found_error", "Not found"),
        413: ("request_too_large", "Request exceeds the maximum allowed number of bytes"),
        429: ("rate_limit_error", "This request would exceed your rate limit"),
        504: ("timeout_error", "Request timed out"),
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
    yield words(body.get("system", ""))
    for message in body["messages"]:
        yield words(message["content"])


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
        self._frills = script.frills
        self._block = -1
        self._open = ""
        self.keepalive = None

    def start(self):
        message = {**_frame(self._answer), "usage": _usage(self._answer, 1)}
        events = [_event("message_start", message=message), _event("ping")]
        if self._frills:
            events.append(_event("message_note", note={"type": "text", "text": "no", "delta": {}}))
            self._block += 1
            block = {"type": "redacted_thinking", "data": "EmwKAhgBEgy3va3pzix"}
            events.append(_event("content_block_start", index=self._block, content_block=block))
            events.append(_event("content_block_stop", index=self._block))
        return events

    def thought(self, text):
        events = self._switch("thinking")
        return [*events, self._delta(type="thinking_delta", thinking=text)]

    def delta(self, text):
        events = [*self._switch("text"), self._delta(type="text_delta", text=text)]
        if self._frills:
            citation = {"type": "char_location", "cited_text": "no", "document_index": 0}
            events.append(self._delta(type="citations_delta", citation=citation))
        return events

    def finish(self):
        events = self._close()
        reason = _FINISH.get(self._answer.finish, self._answer.finish)
        delta = {"stop_reason": reason, "stop_sequence": None}
        usage = {"output_tokens": self._answer.tokens_out}
        if self._frills:
            delta["stop_details"] = None
            usage = _usage(self._answer, self._answer.tokens_out)
        return [*events, _event("message_delta", delta=delta, usage=usage)]

    def end(self):
        return [_event("message_stop")]

    def error(self, script):
        kind = script.error or "overloaded_error"
        error = {"details": None, "type": kind, "message": script.message or "Overloaded"}
        return [_event("error", error=error, request_id=f"req_{self._answer.number:024d}")]

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
