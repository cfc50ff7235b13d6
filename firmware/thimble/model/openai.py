"""OpenAI's chat completions (platform.openai.com/docs/api-reference/chat), which many others
speak too: OpenRouter, Groq, DeepSeek, vLLM, llama.cpp, LM Studio, Ollama.

What is wanted are the values of a stream, of an answer in one piece, and of errors in the forms
that these servers send. For the names see thimble.model.
"""

HEAD = b"/chat/completions HTTP/1.1"
KEY = b"\r\nAuthorization: Bearer "
# Newer models want max_completion_tokens for max_tokens; some servers refuse stream_options.
ADAPTS = True
SYSTEM = b',"messages":[{"role":"system","content":"'
TURNS = b'"},'
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
