"""Anthropic's messages (docs.anthropic.com/en/api/messages), version 2023-06-01.

What is wanted are the values of a stream, of an answer in one piece, and of errors.
"""

from thimble.model import write_messages

ADAPTS = False


# See thimble.model.
WANTED = (
    b"0 content[].text delta.text content_block.text "
    b"2 delta.thinking content_block.thinking content[].thinking content_block.data "
    b"3 delta.stop_reason stop_reason "
    b"4 message.usage.input_tokens usage.input_tokens 5 usage.output_tokens "
    b"6 type 7 error.type error.code 8 error error.message"
)


def write_head(w, model):
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
    write_messages(w, model)
    w.raw(b"]}")
