"""Telegram's HTML: text with tags to plain text with entities.

The tags, the leniencies and the texts of the errors are those of the Bot API server (tdlib,
MessageEntity.cpp); offsets in errors are bytes of the UTF-8 source, offsets and lengths of
entities UTF-16 units of the plain text.
"""

import re

_SIMPLE = {
    b"b": "bold",
    b"strong": "bold",
    b"i": "italic",
    b"em": "italic",
    b"u": "underline",
    b"ins": "underline",
    b"s": "strikethrough",
    b"strike": "strikethrough",
    b"del": "strikethrough",
    b"span": "spoiler",
    b"tg-spoiler": "spoiler",
}
_TAGS = {*_SIMPLE, b"a", b"code", b"pre", b"blockquote", b"tg-emoji", b"tg-time"}
_NAMED = {b"lt": "<", b"gt": ">", b"amp": "&", b"quot": '"'}

_REFERENCE = re.compile(rb"&(?:#x([0-9A-Fa-f]*)|#([0-9]*)|([A-Za-z]*));?")
_SPECIAL = re.compile(rb"[<&]")
_TAG_NAME = re.compile(rb"[^\s>\0]*")
_ATTRIBUTE_NAME = re.compile(rb"[^\s=>/\"'\0]*")
_SPACE = re.compile(rb"\s*")
_TOKEN = re.compile(rb"[A-Za-z0-9.-]*")
_URL = re.compile(r"(?i)(?:(?:https?|tg|ton|tonsite)://|tg:)?[^\s/?#]+\.?[^\s]*")


class EntityError(ValueError):
    """The text cannot be parsed; the message is what stands after "can't parse entities: "."""


def units(text: str) -> int:
    """UTF-16 units of `text`."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def parse(source: bytes):
    """(text, entities) of HTML in valid UTF-8. Raises EntityError."""
    return _Parser(source).run()


class _Open:
    """A tag that waits for its end."""

    def __init__(self, name, argument, offset, at):
        self.name = name
        self.argument = argument
        self.offset = offset
        self.at = at


class _Parser:
    def __init__(self, source):
        self._source = source
        self._out = []
        self._units = 0
        self._stack = []
        self._entities = []

    def run(self):
        source, pos = self._source, 0
        while True:
            match = _SPECIAL.search(source, pos)
            if match is None:
                break
            self._add(source[pos : match.start()].decode())
            pos = match.start()
            if source[pos] == 0x26:
                text, pos = _reference(source, pos)
                self._add(text)
            elif source[pos + 1 : pos + 2] == b"/":
                pos = self._end_tag(pos)
            else:
                pos = self._start_tag(pos)
        self._add(source[pos:].decode())
        if self._stack:
            name = self._stack[-1].name.decode()
            raise EntityError(f'Can\'t find end tag corresponding to start tag "{name}"')
        text = "".join(self._out)
        try:
            text = text.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            raise EntityError(
                "Text contains invalid Unicode characters after decoding HTML entities, check for "
                "unmatched surrogate code units"
            ) from None
        self._entities.sort(key=lambda entity: (entity["offset"], -entity["length"]))
        for entity in self._entities:
            entity.pop("class", None)
        return text, self._entities

    def _add(self, text):
        if text:
            self._out.append(text)
            self._units += len(text) if text.isascii() else units(text)

    def _start_tag(self, begin):
        source = self._source
        match = _TAG_NAME.match(source, begin + 1)
        pos = match.end()
        if pos >= len(source) or source[pos] == 0:
            raise EntityError(f"Unclosed start tag at byte offset {begin}")
        name = match[0].lower()
        if name not in _TAGS:
            shown = name.decode("utf-8", "replace")
            raise EntityError(f'Unsupported start tag "{shown}" at byte offset {begin}')
        argument = ""
        while True:
            pos = _SPACE.match(source, pos).end()
            if source[pos : pos + 1] == b">":
                break
            attribute, value, pos = self._attribute(name, begin, pos)
            argument = _argument(name, attribute, value, argument)
        if name == b"span" and argument != "spoiler":
            raise EntityError(f'Tag "span" must have class "tg-spoiler" at byte offset {begin}')
        self._stack.append(_Open(name, argument, self._units, len(self._out)))
        return pos + 1

    def _attribute(self, name, begin, pos):
        """(name, value or None, position after it)."""
        source, tag = self._source, name.decode()
        match = _ATTRIBUTE_NAME.match(source, pos)
        attribute = match[0]
        if not attribute:
            raise EntityError(f'Empty attribute name in the tag "{tag}" at byte offset {begin}')
        pos = _SPACE.match(source, match.end()).end()
        if pos >= len(source):
            raise EntityError(f'Unclosed start tag "{tag}" at byte offset {begin}')
        if source[pos] != 0x3D:
            return attribute, None, pos
        pos = _SPACE.match(source, pos + 1).end()
        if pos >= len(source):
            raise EntityError(f'Unclosed start tag "{tag}" at byte offset {begin}')
        quote = source[pos : pos + 1]
        if quote not in (b'"', b"'"):
            match = _TOKEN.match(source, pos)
            after = source[match.end() : match.end() + 1]
            if after and not after.isspace() and after != b">":
                raise EntityError(f"Unexpected end of name token at byte offset {pos}")
            value, pos = match[0].decode().lower(), match.end()
        else:
            end = source.find(quote, pos + 1)
            if end < 0:
                raise EntityError(f"Unclosed start tag at byte offset {begin}")
            value, pos = _unescape(source[pos + 1 : end]), end + 1
        if pos >= len(source):
            raise EntityError(f"Unclosed start tag at byte offset {begin}")
        return attribute, value, pos

    def _end_tag(self, begin):
        source = self._source
        if not self._stack:
            raise EntityError(f"Unexpected end tag at byte offset {begin}")
        match = _TAG_NAME.match(source, begin + 2)
        found = match[0].lower()
        pos = _SPACE.match(source, match.end()).end()
        if source[pos : pos + 1] != b">":
            raise EntityError(f"Unclosed end tag at byte offset {begin}")
        top = self._stack[-1]
        if found and found != top.name:
            raise EntityError(
                f'Unmatched end tag at byte offset {begin}, expected "</{top.name.decode()}>", '
                f'found "</{found.decode("utf-8", "replace")}>"'
            )
        self._stack.pop()
        if self._units > top.offset:
            self._close(top)
        return pos + 1

    def _close(self, top):
        """Makes the entity of a tag that has ended and is not empty."""
        entity = {"offset": top.offset, "length": self._units - top.offset}
        last = self._entities[-1] if self._entities else {}
        same = all(last.get(key) == value for key, value in entity.items())
        if top.name in _SIMPLE:
            entity["type"] = _SIMPLE[top.name]
        elif top.name == b"tg-emoji":
            if not re.fullmatch(r"-?[0-9]{1,19}", top.argument) or int(top.argument) == 0:
                raise EntityError("Invalid custom emoji identifier specified")
            entity.update(type="custom_emoji", custom_emoji_id=top.argument)
        elif top.name == b"tg-time":
            return
        elif top.name == b"a":
            url = top.argument or "".join(self._out[top.at :])
            if not _URL.fullmatch(url):
                return
            entity.update(type="text_link", url=_normal_url(url))
        elif top.name == b"pre":
            entity["type"] = "pre"
            if same and last["type"] == "code" and last.get("class"):
                last.update(type="pre", language=last["class"])
                return
        elif top.name == b"code":
            if same and last["type"] == "pre" and top.argument:
                last["language"] = top.argument
                return
            entity.update(type="code")
            if top.argument:
                entity["class"] = top.argument
        else:
            entity["type"] = "expandable_blockquote" if top.argument else "blockquote"
        self._entities.append(entity)


def _argument(name, attribute, value, argument):
    """What a tag keeps of an attribute."""
    if name == b"blockquote" and attribute == b"expandable":
        return "1"
    if value is None:
        return argument
    if name == b"a" and attribute == b"href":
        return value
    if name == b"tg-emoji" and attribute == b"emoji-id":
        return value
    if attribute == b"class":
        if name == b"code" and value.startswith("language-"):
            return value.removeprefix("language-")
        if name == b"span" and value.startswith("tg-"):
            return value.removeprefix("tg-")
    return argument


def _reference(source, pos):
    """(text, position after it) of the reference at `pos`; a "&" that is none stays as it is."""
    match = _REFERENCE.match(source, pos)
    hexadecimal, decimal, name = match.groups()
    if name is not None:
        if name in _NAMED:
            return _NAMED[name], match.end()
        return "&", pos + 1
    digits = hexadecimal if hexadecimal is not None else decimal
    code = int(digits or b"0", 16 if hexadecimal is not None else 10)
    length = len(match[0].removesuffix(b";"))
    if code == 0 or code >= 0x10FFFF or length >= 10:
        return "&", pos + 1
    return chr(code), match.end()


def _unescape(source):
    out, pos = [], 0
    while True:
        amp = source.find(b"&", pos)
        if amp < 0:
            break
        out.append(source[pos:amp].decode())
        text, pos = _reference(source, amp)
        out.append(text)
    out.append(source[pos:].decode())
    return "".join(out)


def _normal_url(url):
    """As the server shows it: with a scheme, and a path if there is nothing after the host."""
    if not re.match(r"(?i)(https?|tg|ton|tonsite):", url):
        url = "http://" + url
    if re.fullmatch(r"(?i)https?://[^/?#]+", url):
        url += "/"
    return url
