"""The prompt's messages, which both dialects write alike.

Whatever a conversation holds, they begin with the user and alternate, and none is empty: a service
or its chat template may refuse all else. Two turns of one role in a row become one message.
"""

from thimble.core.conversation import USER

_BEGIN = (b'{"role":"user","content":"', b'{"role":"assistant","content":"')


def write(w, conversation, buf, off, end):
    """Writes the turns of ``conversation`` (or None), then buf[off:end], the user's, if any."""
    last = -1
    if conversation is not None:
        conversation.rewind()
        role = conversation.next_turn()
        while role >= 0:
            if last >= 0 or role == USER:
                _begin(w, last, role)
                last = role
                while conversation.next_piece():
                    w.json(conversation.buf, conversation.pos, conversation.stop)
            role = conversation.next_turn()
    if off < end:
        _begin(w, last, USER)
        last = USER
        w.json(buf, off, end)
    if last >= 0:
        w.raw(b'"}')


def _begin(w, last, role):
    if role == last:
        w.raw(b"\\n\\n")
    else:
        if last >= 0:
            w.raw(b'"},')
        w.raw(_BEGIN[role])
