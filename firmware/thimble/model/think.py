"""Hides the reasoning that some models put into their text: a leading <think>…</think>.

The text comes in pieces that may be cut between any two characters. White space before and behind
the reasoning is hidden with it. What merely begins like the tag is held until it is decided, and
shown then: its bytes are written in front of the piece, so a piece needs ROOM bytes before it in
its buffer.
"""

from thimble.core.text import skip_space

ROOM = const(8)

_OPEN = const(b"<think>")
_CLOSE = const(b"</think>")

_BEFORE = const(0)
_INSIDE = const(1)
_BEHIND = const(2)


class Think:
    """``seen``: there was reasoning. ``passing``: text was shown; all that follows is, unasked."""

    def __init__(self):
        self.start()

    def start(self):
        """A new answer begins."""
        self.passing = self.seen = False
        self._state = _BEFORE
        self._held = 0  # bytes of a tag that were matched

    def take(self, buf, pos, end):
        """The next piece is ``buf[pos:end]``: returns where what may be shown begins, or end."""
        while pos < end and not self.passing:
            if self._state == _INSIDE:
                pos = self._skip(buf, pos, end)
                continue
            if not self._held:
                pos = skip_space(buf, pos, end)
                if pos == end:
                    break
            if self._state == _BEFORE and buf[pos] == _OPEN[self._held]:
                self._held += 1
                if self._held == len(_OPEN):
                    self.seen = True
                    self._state = _INSIDE
                    self._held = 0
            else:
                self.passing = True
                return self._show(buf, pos)
            pos += 1
        return pos

    def end(self, buf, pos):
        """The answer ends: returns where what was held begins; it ends at ``pos``."""
        return pos if self._state else self._show(buf, pos)

    def _show(self, buf, pos):
        pos -= self._held
        for i in range(self._held):
            buf[pos + i] = _OPEN[i]
        self._held = 0
        return pos

    def _skip(self, buf, pos, end):
        """Behind the next byte that matters to the closing tag."""
        if not self._held:
            pos = buf.find(b"<", pos, end)
            if pos < 0:
                return end
        # "<" stands only at the tag's beginning, so a mismatch needs no second look back.
        if buf[pos] == _CLOSE[self._held]:
            self._held += 1
            if self._held == len(_CLOSE):
                self._state = _BEHIND
                self._held = 0
        else:
            self._held = 1 if buf[pos] == 0x3C else 0
        return pos + 1
