"""OpenAI's chat completions (platform.openai.com/docs/api-reference/chat), which many others
speak too: OpenRouter, Groq, DeepSeek, vLLM, llama.cpp, LM Studio, Ollama.

What is wanted are the values of a stream, of an answer in one piece, and of errors in the forms
that these servers send.
"""

from thimble.model import write_messages

# Newer models want max_completion_tokens for max_tokens; some servers refuse stream_options.
ADAPTS = True


# See thimble.model.
WANTED = (
    b"0 .message.content .delta.content .delta.content[].text 1 .delta.refusal .message.refusal "
    b"2 .delta.content[].thinking[].text .delta.reasoning .delta.reasoning_content "
    b".message.reasoning .message.reasoning_content "
    b"3 .finish_reason "
    b"4 usage.prompt_tokens 5 usage.completion_tokens "
    b"7 error.code error.type error.param detail[].loc[] message.detail[].loc[] "
    b"8 error error.message x_groq.error "
    b"9 message detail detail[].msg message.detail[].msg [].error.message "
    b"errors[].message error.metadata.raw base_resp.status_msg"
)


def write_head(w, model):
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
    write_messages(w, model)
    w.raw(b"]}")
