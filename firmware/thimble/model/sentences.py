"""What the owner reads when a model's service refuses: sentences to act on. An overlay."""

from thimble.core.errors import FINAL, TOO_LONG, ApiError

_TOO_LONG = "The conversation is too long for the model (%d)."
_CREDIT = "The account of model.key has no credit left (%d). Add some with the model's service."
_KEY = "The model refused the key (%d). Set model.key to one that is valid for model.url."


def error(fault, status, said, name, retry_after):
    """The ApiError of a Fault. status: HTTP's, or 0 inside a stream; said: its words or ""."""
    meant = fault.status
    if not status:
        status = meant or 500
    elif meant != 402 or status >= 500:
        meant = status
    if meant == 413 or (fault.kind == TOO_LONG and status not in (401, 403, 429)):
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
