"""Why a model's service refused, from its words and codes.

The services agree on HTTP's statuses and on little else; inside a stream there is only a code.
"""

from thimble.core.errors import FINAL, TOO_LONG
from thimble.core.octets import get_int

# A code that holds one of these words stands for this status. The first that fits counts.
_CODES = (
    (529, b"overloaded"),
    (402, b"quota,billing,credit"),
    (429, b"rate_limit"),
    (401, b"authentication,api_key"),
    (403, b"permission"),
    (404, b"not_found"),
    (413, b"too_large"),
    (504, b"timeout"),
    (400, b"invalid_request"),
)
# Without first letters, which may be capitals.
_LONG = (
    b"ontext length,ontext_length,ontext size,ontext_size,ontext limit,ontext window,"
    b"rompt is too long,input token count"
)


def _has(words, buf, pos, end):
    for word in words.split(b","):
        if buf.find(word, pos, end) >= 0:
            return True
    return False


class Fault:
    """Gathers what one error says. ``limit`` and ``usage``: it names those parameters.

    ``status``: the status that its codes stand for, 0 if none.
    """

    def __init__(self):
        self.start()

    def start(self):
        self.status = 0
        self.limit = self.usage = self._long = False

    def note(self, buf, pos, end):
        """A piece of what the service says."""
        self.limit = self.limit or _has(b"max_tokens,max_completion_tokens", buf, pos, end)
        self.usage = self.usage or _has(b"stream_options", buf, pos, end)
        self._long = self._long or _has(_LONG, buf, pos, end)

    def code(self, buf, pos, end):
        """One of its codes: a status, a name, or the parameter that it complains of."""
        self.note(buf, pos, end)
        status = get_int(buf, pos, end)
        if not 400 <= status < 600:
            status = 0
            for meant, words in _CODES:
                if not status and _has(words, buf, pos, end):
                    status = meant
        # Of two codes the more particular one counts.
        if self.status in (0, 400) or status == 402:
            self.status = status or self.status

    @property
    def kind(self):
        """TOO_LONG if that is what it says, else FINAL."""
        return TOO_LONG if self._long and self.status not in (401, 402, 403, 429) else FINAL
