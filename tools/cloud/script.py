"""How a model behaves: one `Script` for one answer.

A test sets scripts for the next calls or as the default; whoever chats can change a single answer
by a directive in the message, `[[name=value name=value]]`, for example
`[[length=5000 deltas=50 delay=0.02]]`.
"""

import dataclasses
import itertools
import re

_DIRECTIVE = re.compile(r"\[\[([^\[\]]*)\]\]")

_FILLER = (
    "Thimble relays each answer while it is being written. A sentence like this one takes a "
    "moment, and then another follows; **bold words**, `code` and a list may come between:\n\n"
    "- the first point\n- the second point\n\n"
)

CUTS = ("", "escape", "utf8", "header", "bytes", "all")


@dataclasses.dataclass
class Script:
    """What is answered
    `mode`: "friendly", "echo" (the last user text), "text" (`text`), "length" (`length` characters
    of prose, or of `unit` repeated); giving `text` or `length` alone sets the mode.
    `think`: reasoning text; `think_as`: where it goes: "field" (`reasoning_content` deltas, or
    thinking blocks in the Anthropic dialect), "reasoning" (the field `reasoning`), "tags"
    (`<think>…</think>` in the content). `finish`: "stop", "length", "content_filter", "refusal",
    "tool_calls", in either dialect's words. `usage`: (input, output) tokens, not an estimate.
    `obey_limit`: cut the answer at the request's max_tokens (four characters a token).

    How it is written
    `deltas`: into how many pieces (0: a word or so each), or `pieces`: exactly these. `first` and
    `delay`: seconds before the first delta and between deltas. `keepalives`: comments or pings
    before the first delta, spread over `first`. `ascii`: non-ASCII as \\u escapes. `newline`: the
    line end of events. `framing`: "chunked", "close" (the end of the connection ends the body) or
    "length". `cuts`: where packets are cut: "escape" (inside JSON escapes), "utf8" (inside
    characters), "header" (inside chunk headers), "bytes" (after each byte), "all" (the first three
    together), or a number of bytes per packet and chunk; `cut_pause`: seconds between packets.
    `usage_always`: a usage chunk although not asked for. `no_end`: no [DONE] or message_stop.
    `frills`: what servers put around and between the words that nobody needs: dozens of headers,
    in small letters; fields, chunks, blocks and events that no client knows; a comment or a ping
    before each delta; "" for a reason that is not known yet. `early`: the reason and the usage
    come with the last words (OpenAI only). `no_stream`: the answer in one piece although a stream
    was asked for.

    How it fails
    `status`: an HTTP status in the service's own words, with `message`, `error` (type or code) and
    `retry_after`. `error_after`: an error inside the stream after that many deltas, of type
    `error`. `cut_after`: the connection ends after that many deltas, `cut_how` "close" or "reset".
    `stall_after`: silence after that many deltas, for `stall` seconds. `refuse_max_tokens`,
    `refuse_stream_options`: 400 for that parameter. `context`: most tokens of a prompt.
    """

    mode: str = "friendly"
    text: str = ""
    length: int = 0
    unit: str = ""
    think: str = ""
    think_as: str = "field"
    finish: str = "stop"
    usage: tuple | None = None
    obey_limit: bool = False
    deltas: int = 0
    pieces: tuple | list | None = None
    first: float = 0.0
    delay: float = 0.0
    keepalives: int = 0
    ascii: bool = False
    newline: str = "\n"
    framing: str = "chunked"
    cuts: str | int = ""
    cut_pause: float = 0.001
    usage_always: bool = False
    no_end: bool = False
    frills: bool = False
    early: bool = False
    no_stream: bool = False
    status: int = 0
    message: str = ""
    error: str = ""
    retry_after: int | None = None
    error_after: int | None = None
    cut_after: int | None = None
    cut_how: str = "close"
    stall_after: int | None = None
    stall: float = 3600.0
    refuse_max_tokens: bool = False
    refuse_stream_options: bool = False
    context: int = 128_000

    def answer(self, question: str) -> str:
        """The visible text of the answer to `question`."""
        if self.pieces is not None:
            return "".join(self.pieces)
        if self.mode == "echo":
            return question
        if self.mode == "text":
            return self.text
        if self.mode == "length":
            unit = self.unit or _FILLER
            return (unit * (self.length // len(unit) + 1))[: self.length]
        return (
            f"You wrote: {question}\n\nI am a **simulated model**: nobody thought about this, but "
            "it came to you as a real answer would, word by word."
        )

    def split(self, text: str) -> list:
        """`text` in the pieces that become deltas."""
        if self.pieces is not None:
            return list(self.pieces)
        if self.deltas:
            return _parts(text, self.deltas)
        return re.findall(r"\s*\S{1,12}|\s+$", text)


def make(**fields) -> Script:
    """A Script of these fields; the mode follows from `text` or `length`. Raises TypeError or
    ValueError."""
    if "mode" not in fields:
        if "text" in fields:
            fields["mode"] = "text"
        elif "length" in fields:
            fields["mode"] = "length"
    script = Script(**fields)
    if script.mode not in ("friendly", "echo", "text", "length"):
        raise ValueError(f"no such mode: {script.mode}")
    if isinstance(script.cuts, str) and script.cuts not in CUTS:
        raise ValueError(f"no such cuts: {script.cuts}")
    return script


def directed(script: Script, question: str):
    """(script changed by the directives in `question`, question without them)."""
    changes = {}
    for words in _DIRECTIVE.findall(question):
        for word in words.split():
            name, _, value = word.partition("=")
            field = Script.__dataclass_fields__.get(name)
            if field is None:
                return script, question
            changes[name] = _value(field, value)
    if not changes:
        return script, question
    if "mode" not in changes and ("length" in changes or "text" in changes):
        changes["mode"] = "length" if "length" in changes else "text"
    return dataclasses.replace(script, **changes), _DIRECTIVE.sub("", question).strip()


def _value(field, value):
    """A directive's text as what the field holds. Raises ValueError."""
    kind = type(field.default)
    if kind is bool:
        return value.lower() in ("", "1", "true", "yes")
    if kind is float:
        return float(value)
    if field.name in ("usage", "pieces"):
        raise ValueError(f"no directive: {field.name}")
    if kind is not str:  # a number, or None for none
        return int(value)
    if field.name == "cuts" and value.isdecimal():
        return int(value)
    return value.replace("_", " ") if field.name in ("text", "think", "message") else value


def _parts(text, count):
    """`text` in `count` parts of nearly equal length, the later ones empty if it is too short."""
    edges = [len(text) * number // count for number in range(count + 1)]
    return [text[a:b] for a, b in itertools.pairwise(edges)]
