"""OpenAI's chat completions (platform.openai.com/docs/api-reference/chat), which many others
speak too: OpenRouter, Groq, DeepSeek, vLLM, llama.cpp, LM Studio, Ollama.

What is wanted are the values of a stream, of an answer in one piece, and of errors in the forms
that these servers send.
"""

from thimble.model import CODE, REASON, REFUSED, SAID, SHOWN, THOUGHT, TOKENS_IN, TOKENS_OUT, TOLD
from thimble.model import prompt

# Newer models want max_completion_tokens for max_tokens; some servers refuse stream_options.
ADAPTS = True


def wanted():
    """What a value means, and the paths of such values in an answer, separated by spaces."""
    return (
        (SHOWN, b"choices[].delta.content choices[].message.content"),
        (SHOWN, b"choices[].delta.content[].text"),
        (THOUGHT, b"choices[].delta.content[].thinking[].text"),
        (THOUGHT, b"choices[].delta.reasoning choices[].delta.reasoning_content"),
        (THOUGHT, b"choices[].message.reasoning choices[].message.reasoning_content"),
        (REFUSED, b"choices[].delta.refusal choices[].message.refusal"),
        (REASON, b"choices[].finish_reason"),
        (TOKENS_IN, b"usage.prompt_tokens"),
        (TOKENS_OUT, b"usage.completion_tokens"),
        (SAID, b"error error.message"),
        (CODE, b"error.code error.type error.param detail[].loc[]"),
        (TOLD, b"message detail detail[].msg [].error.message"),
    )


def write_head(w, model):
    w.raw(b"POST ")
    w.raw(model.path)
    w.raw(b"/chat/completions HTTP/1.1\r\n")
    if model.key:
        w.raw(b"Authorization: Bearer ")
        w.raw(model.key)
        w.raw(b"\r\n")


def write_body(w, model):
    w.raw(b'{"model":"')
    w.json(model.name, 0, len(model.name))
    w.raw(b'","stream":true,')
    if model.usage:
        w.raw(b'"stream_options":{"include_usage":true},')
    w.raw(b'"max_completion_tokens":' if model.newer else b'"max_tokens":')
    w.num(model.max_tokens)
    w.raw(b',"messages":[')
    if model.system:
        w.raw(b'{"role":"system","content":"')
        w.json(model.system, 0, len(model.system))
        w.raw(b'"},')
    prompt.write(w, model)
    w.raw(b"]}")
