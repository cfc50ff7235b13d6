"""The errors that Thimble raises.

`str()` of each is a sentence for a person. It never holds a secret: whoever raises one passes no URL
with a token in it, no header and no key.
"""


class ThimbleError(Exception):
    """What all of the family have in common."""


class ConfigError(ThimbleError):
    """The configuration cannot be used; the text names the key."""


class NetError(ThimbleError):
    """A connection failed.

    stage: "resolve", "connect", "handshake", "certificate", "send", "first byte", "silence",
    "deadline", "closed", "http" or "body". detail: what happened there.
    """

    def __init__(self, stage, detail):
        super().__init__(stage, detail)
        self.stage = stage
        self.detail = detail

    def __str__(self):
        return "network failure (%s): %s" % (self.stage, self.detail)


class ApiError(ThimbleError):
    """A server answered with an error. retry_after: the seconds it asks us to wait, or 0."""

    def __init__(self, status, text, retry_after=0):
        super().__init__(status, text)
        self.status = status
        self.text = text
        self.retry_after = retry_after

    def __str__(self):
        return "the server answered %d: %s" % (self.status, self.text)


class ParseError(ThimbleError):
    """Bytes that break their format. offset: bytes of the document before the offending one."""

    def __init__(self, what, offset):
        super().__init__(what, offset)
        self.what = what
        self.offset = offset

    def __str__(self):
        return "%s at byte %d" % (self.what, self.offset)
