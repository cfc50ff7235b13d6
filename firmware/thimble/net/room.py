"""Keeps room in the heap for a TLS connection.

On an RP2 the TLS library takes its buffers from the collector's heap: one block of 16.7 KB among
them, and nothing ever moves. So placeholders of the same sizes hold that room while the connection
is closed, and are dropped just before a handshake.

Where TLS lives outside of the heap (Unix) a board's figures are had with `kept`: the placeholders
stay while the connection is open, in the place of the blocks that TLS would take.
"""

import gc


class Room:
    """The placeholder blocks of one connection.

    sizes: theirs in bytes, the largest first; () needs no room. missing: blocks that should be
    held now and could not be had; each is tried again when the connection is closed.
    """

    def __init__(self, sizes, kept=False):
        self._sizes = sizes
        self._held = [None] * len(sizes)
        self._kept = kept
        self.closed()

    def opened(self):
        """To be called just before a handshake."""
        if not self._kept:
            self.missing = 0
            for i in range(len(self._held)):
                self._held[i] = None
        if self._sizes:
            gc.collect()

    def closed(self):
        """To be called when the connection's memory has been given back."""
        self.missing = 0
        for i in range(len(self._sizes)):
            if self._held[i] is None:
                try:
                    self._held[i] = bytearray(self._sizes[i])
                except MemoryError:
                    self.missing += 1
