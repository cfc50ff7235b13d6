"""Anthropic's messages (docs.anthropic.com/en/api/messages), version 2023-06-01.

What is wanted are the values of a stream, of an answer in one piece, and of errors.
"""

from thimble.model import CODE, EVENT, REASON, SAID, SHOWN, THOUGHT, TOKENS_IN, TOKENS_OUT, prompt

ADAPTS = False


def wanted():
    """Pairs of a path in the answer and what it means."""
    return (
        (b"type", EVENT),
        (b"delta.text", SHOWN),
        (b"delta.thinking", THOUGHT),
        (b"delta.stop_reason", REASON),
        (b"content_block.text", SHOWN),
        (b"content_block.thinking", THOUGHT),
        (b"content_block.data", THOUGHT),
        (b"message.usage.input_tokens", TOKENS_IN),
        (b"usage.input_tokens", TOKENS_IN),
        (b"usage.output_tokens", TOKENS_OUT),
        (b"error", SAID),
        (b"error.message", SAID),
        (b"error.type", CODE),
        (b"content[].text", SHOWN),
        (b"content[].thinking", THOUGHT),
        (b"stop_reason", REASON),
    )


def write_head(w, model):
    w.raw(b"POST ")
    w.raw(model.path)
    w.raw(b"/messages HTTP/1.1\r\nanthropic-version: 2023-06-01\r\n")
    if model.key:
        w.raw(b"x-api-key: ")
        w.raw(model.key)
        w.raw(b"\r\n")


def write_body(w, model, conversation, buf, off, end):
    w.raw(b'{"model":"')
    w.json(model.name, 0, len(model.name))
    w.raw(b'","stream":true,"max_tokens":')
    w.num(model.max_tokens)
    if model.system:
        w.raw(b',"system":"')
        w.json(model.system, 0, len(model.system))
        w.raw(b'"')
    w.raw(b',"messages":[')
    prompt.write(w, conversation, buf, off, end)
    w.raw(b"]}")
