"""The network: names, connections, TLS, HTTP."""

import select
import time

_SLICE_MS = const(250)
_PAUSE_MS = const(5)
_TYPED = const(0)
if _TYPED:
    from collections.abc import Iterator  # noqa: F401
    from typing import Any  # noqa: F401


def is_address(text):
    # type: (str) -> bool
    """Whether ``text`` is an IPv4 address."""
    parts = text.split(".")
    return len(parts) == 4 and all(part.isdigit() and int(part) < 256 for part in parts)


def datagrams(sock, size, ms, tick):
    # type: (Any, int, int, Any) -> Iterator[tuple[bytes, Any]]
    """What comes to a UDP socket within ms: (its first ``size`` bytes, who sent it).

    tick: called at least every 250 ms.
    """
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    start = time.ticks_ms()
    left = ms
    while left > 0:
        poll.ipoll(min(left, _SLICE_MS))
        tick()
        try:
            yield sock.recvfrom(size)
        except OSError:
            time.sleep_ms(_PAUSE_MS)  # some ports report a UDP socket as ready at all times
        left = ms - time.ticks_diff(time.ticks_ms(), start)
