"""Anthropic's messages (docs.anthropic.com/en/api/messages), version 2023-06-01.

What is wanted are the values of a stream, of an answer in one piece, and of errors.
"""

from thimble.model import CODE, EVENT, REASON, SAID, SHOWN, THOUGHT, TOKENS_IN, TOKENS_OUT, prompt

ADAPTS = False


def wanted():
    """What a value means, and the paths of such values in an answer, separated by spaces."""
    return (
        (EVENT, b"type"),
        (SHOWN, b"delta.text content_block.text content[].text"),
        (THOUGHT, b"delta.thinking content_block.thinking content[].thinking"),
        (THOUGHT, b"content_block.data"),
        (REASON, b"delta.stop_reason stop_reason"),
        (TOKENS_IN, b"message.usage.input_tokens usage.input_tokens"),
        (TOKENS_OUT, b"usage.output_tokens"),
        (SAID, b"error error.message"),
        (CODE, b"error.type"),
    )


def write_head(w, model):
    w.raw(b"POST ")
    w.raw(model.path)
    w.raw(b"/messages HTTP/1.1\r\nanthropic-version: 2023-06-01\r\n")
    if model.key:
        w.raw(b"x-api-key: ")
        w.raw(model.key)
        w.raw(b"\r\n")


def write_body(w, model):
    w.raw(b'{"model":"')
    w.json(model.name, 0, len(model.name))
    w.raw(b'","stream":true,"max_tokens":')
    w.num(model.max_tokens)
    if model.system:
        w.raw(b',"system":"')
        w.json(model.system, 0, len(model.system))
        w.raw(b'"')
    w.raw(b',"messages":[')
    prompt.write(w, model)
    w.raw(b"]}")
