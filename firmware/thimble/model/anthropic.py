"""Anthropic's messages (docs.anthropic.com/en/api/messages), version 2023-06-01.

What is wanted are the values of a stream, of an answer in one piece, and of errors. For the names
see thimble.model.
"""

HEAD = b"/messages HTTP/1.1\r\nanthropic-version: 2023-06-01"
KEY = b"\r\nx-api-key: "
ADAPTS = False
SYSTEM = b',"system":"'
TURNS = b'","messages":['
WANTED = (
    b"0 content[].text delta.text content_block.text "
    b"2 delta.thinking content_block.thinking content[].thinking content_block.data "
    b"3 delta.stop_reason stop_reason "
    b"4 message.usage.input_tokens usage.input_tokens 5 usage.output_tokens "
    b"6 type 7 error.type error.code 8 error error.message"
)
