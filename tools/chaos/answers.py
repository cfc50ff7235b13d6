"""What of a scripted answer is to be seen, and whether two texts are the same to a person."""

from __future__ import annotations

import contextlib

from tools.cloud.errors import ApiError
from tools.cloud.script import directed
from tools.cloud.text import formatted

CUT = "\n\n(The answer was cut off here; /retry asks again.)"
LENGTH = "\n\n(That was model.max_tokens; /more goes on.)"
WITHHELD = "\n\n(The model's provider withheld the rest.)"
EMPTY = "The model gave an empty answer. /retry asks again."
THOUGHT = "The model used up model.max_tokens on its reasoning"

# Beside white space, what the relay lets no answer begin with.
_UNSEEN = dict.fromkeys([*range(0x2000, 0x2010), 0xFEFF])


class Broken(AssertionError):
    """The relay did not do as was promised."""


class Begun(str):
    """An answer of which a beginning is kept."""


def answered(status, script) -> bool:
    """Whether a call with such an outcome brought words."""
    return status < 400 and 0 not in (script.cut_after, script.error_after)


def again_later(status, script) -> bool:
    """Whether after such a call the model is asked again, for as long as it may be."""
    return not answered(status, script) and status not in (400, 401)


def outcome(script, question):
    """(text, note) of the answer that the model gives by this script."""
    script, question = directed(script, question)
    pieces = script.split(script.answer(question))
    text = "".join(pieces)
    note = {"length": LENGTH, "content_filter": WITHHELD, "refusal": WITHHELD}.get(
        script.finish, ""
    )
    for end in (script.cut_after, script.error_after):
        if end is not None and end <= len(pieces):
            text, note = "".join(pieces[:end]), CUT
    if not clean(text):
        return "", {"": EMPTY, LENGTH: THOUGHT}.get(note, note.lstrip())
    return text, note


def same(expected: str, got: str) -> bool:
    """Whether it is that turn: a long one may have lost its middle, a cut one white space."""
    begun = isinstance(expected, Begun)
    if begun and squeeze(expected).startswith(squeeze(got)):
        return True
    if expected == got or squeeze(expected) == squeeze(got):
        return True
    at, whole, parts = 0, squeeze(expected), [squeeze(part) for part in got.split(" [...]")]
    for part in parts:
        at = whole.find(part, at) + len(part)
        if at < len(part):
            return False
    ends = begun or whole.endswith(parts[-1])
    return len(parts) > 1 and whole.startswith(parts[0]) and ends


def squeeze(text: str) -> str:
    return "".join(text.translate(_UNSEEN).split())


def clean(text: str) -> str:
    """As Telegram keeps it, from what is first to be seen on."""
    with contextlib.suppress(ApiError):
        text = formatted(text, "", "")[0]
    return text.lstrip(" \n\xa0\u3000" + "".join(map(chr, _UNSEEN)))


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def short(things) -> str:
    return str([str(one)[:80] for one in things][:6])
