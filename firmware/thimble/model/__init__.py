"""Asking a language model, over HTTP, in one of two dialects.

A dialect is a tuple of what differs, in this order:

    HEAD    what stands behind the URL's path, KEY before the key
    SYSTEM  what stands before the system prompt, TURNS behind it
    ADAPTS  whether the limit of tokens has a newer name and usage must be asked for; a server may
            refuse both
    WANTED  what is wanted from an answer, in a stream or in one piece, and from an error

WANTED lists paths, behind a digit that says what their values mean. One that begins with a dot
lies in the elements of "choices".

    0  text of the answer; the first of all paths has it in one piece, and counts in no stream:
       Perplexity's have beside each delta all that there was so far
    1  text in which the model declines
    2  reasoning, which is not shown
    3  why the answer ended
    4  tokens of the prompt, 5  of the answer
    6  what kind of event this is
    7  an error's code or type
    8  what an error says, 9  the same, where it is no sign that there was an error

Both write the prompt's messages alike. Whatever a conversation holds, they begin with the user and
alternate, and none is empty: a service or its chat template may refuse all else. Two turns of one
role in a row become one message, and a summary of what was said before stands at the head of the
user's message that follows it.
"""

_USER = const(0)  # as core.conversation.USER
_ASSISTANT = const(1)  # as core.conversation.ASSISTANT
_SUMMARY = const(2)  # as core.conversation.SUMMARY

# OpenAI's chat completions (platform.openai.com/docs/api-reference/chat), which many others speak
# too: OpenRouter, Groq, DeepSeek, vLLM, llama.cpp, LM Studio, Ollama. Newer models want
# max_completion_tokens for max_tokens; some servers refuse stream_options.
OPENAI = (
    b"/chat/completions HTTP/1.1",
    b"\r\nAuthorization: Bearer ",
    b',"messages":[{"role":"system","content":"',
    b'"},',
    True,
    b"0 .message.content .delta.content .delta.content[].text 1 .delta.refusal .message.refusal "
    b"2 .delta.content[].thinking[].text .delta.reasoning .delta.reasoning_content "
    b".message.reasoning .message.reasoning_content "
    b"3 .finish_reason "
    b"4 usage.prompt_tokens 5 usage.completion_tokens "
    b"7 error.code error.type error.param detail[].loc[] message.detail[].loc[] "
    b"8 error error.message x_groq.error "
    b"9 message detail detail[].msg message.detail[].msg [].error.message "
    b"errors[].message error.metadata.raw base_resp.status_msg",
)
# Anthropic's messages (docs.anthropic.com/en/api/messages), version 2023-06-01.
ANTHROPIC = (
    b"/messages HTTP/1.1\r\nanthropic-version: 2023-06-01",
    b"\r\nx-api-key: ",
    b',"system":"',
    b'","messages":[',
    False,
    b"0 content[].text delta.text content_block.text "
    b"2 delta.thinking content_block.thinking content[].thinking content_block.data "
    b"3 delta.stop_reason stop_reason "
    b"4 message.usage.input_tokens usage.input_tokens 5 usage.output_tokens "
    b"6 type 7 error.type error.code 8 error error.message",
)
_BEGIN = const((b'{"role":"user","content":"', b'{"role":"assistant","content":"'))


def write_messages(w, model):
    """Writes the turns of ``model.conversation`` (or None), then its question, if there is one.

    Of the turns no more than the oldest ``model.turns``.
    """
    last = -1
    left = model.turns
    conversation = model.conversation
    if conversation is not None:
        conversation.rewind()
        role = conversation.next_turn()
        while role >= 0 and left:
            left -= 1
            if last >= 0 or role != _ASSISTANT:
                _begin(w, last, _USER if role == _SUMMARY else role)
                if role == _SUMMARY:
                    w.raw(b"Summary of our conversation so far:\\n")
                    role = _USER
                last = role
                while conversation.next_piece():
                    w.json(conversation.buf, conversation.pos, conversation.stop)
            role = conversation.next_turn()
    if model.question_off < model.question_end:
        _begin(w, last, _USER)
        last = _USER
        w.json(model.question, model.question_off, model.question_end)
    if last >= 0:
        w.raw(b'"}')


def _begin(w, last, role):
    if role == last:
        w.raw(b"\\n\\n")
    else:
        if last >= 0:
            w.raw(b'"},')
        w.raw(_BEGIN[role])
