"""How long to wait before the next attempt: doubling, with jitter, capped, without end."""

_MOST_MS = const(60_000)


class Backoff:
    """base_ms: the longest first wait (at most 16,000); no wait is longer than a minute.

    `failures` counts the waits handed out since the last reset().
    """

    def __init__(self, base_ms=1000):
        self._base = base_ms
        self.failures = 0

    def next(self, random_byte):
        """Milliseconds to wait: between half and all of min(60,000, base_ms * 2**failures).

        random_byte: 0 (half) to 255 (all); it keeps a thousand boards behind one router apart.
        """
        # More doublings than a minute allows, and yet it stays a small int.
        wait = min(self._base << min(self.failures, 16), _MOST_MS)
        self.failures += 1
        half = wait >> 1
        return half + (wait - half) * random_byte // 255

    def reset(self):
        """An attempt succeeded."""
        self.failures = 0
