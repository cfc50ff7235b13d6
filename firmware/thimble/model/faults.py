"""Why a model's service refused: from its words and codes to a sentence that the owner can act on.

The services agree on HTTP's statuses and on little else; inside a stream there is only a code.
"""

from thimble.core.errors import FINAL, TOO_LONG, ApiError
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
    """Gathers what one error says. ``limit`` and ``usage``: it names those parameters."""

    def __init__(self):
        self.start()

    def start(self):
        self._status = 0
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
        if self._status in (0, 400) or status == 402:
            self._status = status or self._status

    @property
    def kind(self):
        """TOO_LONG if that is what it says, else FINAL."""
        return TOO_LONG if self._long and self._status not in (401, 402, 403, 429) else FINAL

    def error(self, status, said, name, retry_after):
        """The ApiError. status: HTTP's, or 0 inside a stream; said: the service's words or ""."""
        meant = self._status
        if not status:
            status = meant or 500
        elif meant != 402 or status >= 500:
            meant = status
        if meant == 413 or (self.kind == TOO_LONG and status not in (401, 403, 429)):
            return ApiError(status, _TOO_LONG % status, retry_after, TOO_LONG)
        if meant == 402:
            return ApiError(status, _CREDIT % status, retry_after, FINAL)
        if meant in (401, 403):
            return ApiError(status, _KEY % status, retry_after, FINAL)
        if meant == 429:
            text = "The model's service limits our requests (429). "
            text += "Try again in %d s." % retry_after if retry_after else "Try again later."
            return ApiError(status, text, retry_after)
        if meant == 404:
            text = 'The service knows no model "%s" at this address (404). ' % name
            text += "Check model.name and model.url."
        elif meant in (503, 529):
            text = "The model's service is overloaded (%d). Try again later." % status
        elif status >= 500 or status == 408:
            text = "The model's service has failed (%d). Try again later." % status
        else:
            text = "The model's service refused the request (%d)." % status
            if not said or status < 400:
                text += " Check model.url and model.name."
        if said:
            text += " It says: " + said
        return ApiError(status, text, retry_after)


_TOO_LONG = "The conversation is too long for the model (%d)."
_CREDIT = "The account of model.key has no credit left (%d). Add some with the model's service."
_KEY = "The model refused the key (%d). Set model.key to one that is valid for model.url."
