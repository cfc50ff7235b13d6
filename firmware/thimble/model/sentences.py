"""What a model's service says when it refuses: read, understood, told to the owner. An overlay.

The services agree on HTTP's statuses and on little else; inside a stream there is only a code. The
Model keeps what was understood: ``named``, of the things that errors name; ``meant``, the status
that their codes stand for; ``said``, where their words end in its ``out``.
"""

import time

from thimble.core.errors import FINAL, TOO_LONG, ApiError, NetError, ParseError
from thimble.core.octets import get_int
from thimble.core.text import boundary

_ROOM = const(8)  # as model.think.ROOM
_VALUE = const(3)  # as core.scan._VALUE
_PIECE = const(4)  # as core.scan._PIECE
_STRING = const(0)  # as core.scan._STRING
_INTEGER = const(1)  # as core.scan._INTEGER
_CODE = const(7)  # see thimble.model
_SAID = const(8)
_SAID_MOST = const(200)
_READ_MS = const(10_000)
_READ_BYTES = const(65536)

# A code that holds one of these words stands for the status before it. The first that fits counts.
# 1113 is Zhipu's for an account without credit.
_CODES = const(
    b"529overloaded 402quota 402billing 402credit 402balance 4021113 429rate_limit "
    b"401authentication 401api_key 403permission 404not_found 413too_large 504timeout "
    b"400invalid_request 400content_ 400inspection"
)
# What an error may name, behind the bit that stands for it. Words without their first letter may
# begin with a capital. A request that is too large no waiting helps, even where a limit on tokens
# per minute (429) says so.
_LIMIT = const(1)
_USAGE = const(2)
_LONG = const(4)
_LARGE = const(8)
_NAMES = const(
    b"1max_tokens,1max_completion_tokens,2stream_options,8equest too large,"
    b"4ontext l,4ontext_l,4ontext size,4ontext w,4s too long,4token count,4oo many tokens,"
    b"4prompt length,4input length,4model length,4max length,4model token limit,4tokens + `max_new"
)

_TOO_LONG = const("The conversation is too long for the model (%d). /new begins a new one.")
_CREDIT = const(
    "The account of model.key has no credit left (%d). Add some with the model's service."
)
_NO_SERVICE = const("What answers is no language model's service (%d). Check model.url.")
_CHECK = const(" Check model.name and model.url.")
_KEY = const("The model refused the key (%d). Set model.key to one that is valid for model.url.")


def adapt(model, status, newer):
    """Reads a refusal. Whether the request was changed so that it does not apply any more.

    newer: which name the limit had in the first request; it stays where the other is refused too.
    """
    _read(model)
    named = model.named
    if status in (400, 422) and not _too_long(model):
        if named & _USAGE and model.usage:
            model.usage = False
            return True
        if named & _LIMIT and not model.newer:
            model.newer = True
            return True
    if named & _LIMIT:
        model.newer = newer
    return False


def _read(model):
    """Reads an error's body, of any kind and length, as far as it can be understood."""
    http, scanner = model.http, model.scanner
    http.silence_ms = _READ_MS
    left = _READ_BYTES
    start = time.ticks_ms()
    try:
        while left > 0 and time.ticks_diff(time.ticks_ms(), start) < _READ_MS:
            n = http.read(250)
            if n == 0:
                model.done = True
                return
            if n > 0:
                left -= n
                scanner.feed(http.inbuf, http.pos, http.pos + n)
                event = scanner.next()
                while event:
                    if event == _VALUE or event == _PIECE:
                        note(model, model.meanings[scanner.path])
                    event = scanner.next()
    except ParseError:
        # HTML, or a document that breaks off. What was understood of it counts.
        model.tidy()
    except NetError:
        pass
    model.stop()


def note(model, meaning):
    """Takes a value of an error: one of its codes, or a piece of what it says."""
    scanner, buf, pos = model.scanner, model.out, model.at
    end = pos + scanner.length
    if meaning < _CODE or scanner.kind > _INTEGER:
        return
    if meaning > _CODE and scanner.kind != _STRING:
        return
    for word in _NAMES.split(b","):
        if buf.find(word[1:], pos, end) >= 0:
            model.named |= word[0] & 15
    if meaning == _CODE:
        status = get_int(buf, pos, end)
        if not 400 <= status < 600:
            status = 0
            for word in _CODES.split():
                if not status and buf.find(word[3:], pos, end) >= 0:
                    status = get_int(word, 0, 3)
        # Of two codes the more particular one counts.
        if model.meant in (0, 400) or status == 402:
            model.meant = status or model.meant
        return
    model.failed = model.failed or meaning == _SAID
    if pos == _ROOM:
        # Further values go behind the beginning of the first.
        model.said = boundary(buf, pos, min(end, pos + _SAID_MOST))
        model.at = pos + _SAID_MOST
        scanner.out(buf, model.at, len(buf) - model.at)


def _too_long(model):
    return model.named & _LONG and model.meant not in (401, 402, 403, 429)


def error(model, status):
    """The ApiError for what was noted. status: HTTP's, or 0 inside a stream."""
    said = bytes(model.out[_ROOM : model.said])
    if model.key and model.key[:8] in said:
        said = b""
    said = " ".join(said.decode().split())
    model.tidy()
    meant, retry_after = model.meant, model.http.retry_after
    if not status:
        status = meant or 500
    elif meant != 402 or status >= 500:
        meant = status
    long = _too_long(model) and status not in (401, 403, 429)
    if long or meant == 413 or model.named & _LARGE:
        return ApiError(status, _TOO_LONG % status, retry_after, TOO_LONG)
    if meant == 402:
        return ApiError(status, _CREDIT % status, retry_after, FINAL)
    if meant == 401 or meant == 403 and not said:
        return ApiError(status, _KEY % status, retry_after, FINAL)
    said = " It says: " + said if said else ""
    if status < 300:
        return ApiError(status, _NO_SERVICE % status + said, retry_after)
    advice = " Try again later."
    if meant == 429:
        what = "limits our requests"
        said = ""
        if retry_after:
            advice = " Try again in %d s." % retry_after
    elif meant == 404:
        what = 'knows no model "%s" at this address' % model.name.decode()
        advice = _CHECK
    elif meant in (503, 529):
        what = "is overloaded"
    elif status >= 500 or status == 408:
        what = "has failed"
    else:
        what = "refused the request"
        advice = "" if said and status >= 400 else _CHECK
    text = "The model's service %s (%d).%s%s" % (what, status, advice, said)
    return ApiError(status, text, retry_after)
