"""The errors that Thimble raises, and how one is caught without heap.

`str()` of each is a sentence for a person. It never holds a secret: whoever raises one passes no
URL with a token in it, no header and no key.
"""

# Kinds of ApiError.
FINAL = const(0)  # the same request fails again
RETRY = const(1)  # it may pass: overload, a limit on requests, a failure of the server
TOO_LONG = const(2)  # it passes when it is shorter


class ThimbleError(Exception):
    """What all of the family have in common. Exception itself keeps what it is made of."""


class ConfigError(ThimbleError):
    """The configuration cannot be used; the text names the key."""


class NetError(ThimbleError):
    """A connection failed.

    stage: "wifi", "clock", "resolve", "connect", "handshake", "certificate", "send", "first byte",
    "silence", "deadline", "closed", "http" or "body"; "telegram": an answer could not be brought;
    "journal": the flash failed, no network. detail: what happened there.
    """

    def __init__(self, stage, detail):
        self.stage = stage
        self.detail = detail

    def __str__(self):
        return "network failure (%s): %s" % (self.stage, self.detail)


class ApiError(ThimbleError):
    """A server answered with an error.

    retry_after: the seconds it asks us to wait, or 0. kind: FINAL, RETRY or TOO_LONG; what is not
    given follows from the status.
    """

    def __init__(self, status, text, retry_after=0, kind=-1):
        self.status = status
        self.text = text
        self.retry_after = retry_after
        if kind < 0:
            kind = RETRY if status in (408, 429) or status >= 500 else FINAL
        self.kind = kind

    def __str__(self):
        return "the server answered %d: %s" % (self.status, self.text)


class ParseError(ThimbleError):
    """Bytes that break their format. offset: bytes of the document before the offending one.
    stage: as of a NetError that means the same."""

    stage = "http"

    def __init__(self, what, offset):
        self.what = what
        self.offset = offset

    def __str__(self):
        return "%s at byte %d" % (self.what, self.offset)


@micropython.native
def failure(function, argument, expected):
    """What of ``expected`` function(argument) raised; None if nothing.

    Native, as few things are: bytecode that keeps an error has a frame too large for the stack,
    which would be put in the heap at each message.
    """
    try:
        function(argument)
    except expected as error:
        return error
