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
    """Pairs of a path in the answer and what it means."""
    return (
        (b"choices[].delta.content", SHOWN),
        (b"choices[].delta.content[].text", SHOWN),
        (b"choices[].delta.content[].thinking[].text", THOUGHT),
        (b"choices[].delta.refusal", REFUSED),
        (b"choices[].delta.reasoning", THOUGHT),
        (b"choices[].delta.reasoning_content", THOUGHT),
        (b"choices[].finish_reason", REASON),
        (b"usage.prompt_tokens", TOKENS_IN),
        (b"usage.completion_tokens", TOKENS_OUT),
        (b"error", SAID),
        (b"error.message", SAID),
        (b"error.code", CODE),
        (b"error.type", CODE),
        (b"error.param", CODE),
        (b"choices[].message.content", SHOWN),
        (b"choices[].message.refusal", REFUSED),
        (b"choices[].message.reasoning", THOUGHT),
        (b"choices[].message.reasoning_content", THOUGHT),
        (b"message", TOLD),
        (b"detail", TOLD),
        (b"detail[].msg", TOLD),
        (b"detail[].loc[]", CODE),
        (b"[].error.message", TOLD),
    )


def write_head(w, model):
    w.raw(b"POST ")
    w.raw(model.path)
    w.raw(b"/chat/completions HTTP/1.1\r\n")
    if model.key:
        w.raw(b"Authorization: Bearer ")
        w.raw(model.key)
        w.raw(b"\r\n")


def write_body(w, model, conversation, buf, off, end):
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
    prompt.write(w, conversation, buf, off, end)
    w.raw(b"]}")
