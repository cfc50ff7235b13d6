"""Asking a language model, over HTTP, in one of two dialects.

A dialect says in what the requests differ: HEAD stands behind the URL's path, KEY before the key,
SYSTEM before the system prompt and TURNS behind it. Where it ADAPTS, the limit of tokens has a
newer name, and usage must be asked for; a server may refuse both.

WANTED lists the values that it wants from an answer: paths, behind a digit that says what they
mean. One that begins with a dot lies in the elements of "choices".

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

from micropython import const

from thimble.core.conversation import ASSISTANT, SUMMARY, USER

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
            if last >= 0 or role != ASSISTANT:
                _begin(w, last, USER if role == SUMMARY else role)
                if role == SUMMARY:
                    w.raw(b"Summary of our conversation so far:\\n")
                    role = USER
                last = role
                while conversation.next_piece():
                    w.json(conversation.buf, conversation.pos, conversation.stop)
            role = conversation.next_turn()
    if model.question_off < model.question_end:
        _begin(w, last, USER)
        last = USER
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
