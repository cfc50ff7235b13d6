"""The time of day, by SNTP (RFC 4330) over non-blocking UDP, with a deadline.

A board wakes in 2000 or 2021, and certificates are checked against its clock. A message is 48
bytes; those that matter here:

    0        leap indicator (3: not synchronized), version, mode (3: client, 4: server)
    1        stratum: 0 a refusal ("kiss of death"), 1 to 15 a clock, 16 none
    24 .. 31 originate timestamp: what the client sent as its transmit timestamp
    40 .. 47 transmit timestamp: seconds since 1900, and their fraction in 1/2^32

The client's transmit timestamp is random: only a server that saw the question can answer it, and
it learns nothing about our clock. In February 2036 the seconds begin anew at 0; the first half of
their range is taken for that era.
"""

import os
import socket
import time

from thimble.core.errors import NetError
from thimble.net import datagrams

_BUILD_YEAR = const(2026)  # no clock that is right says less

_PORT = const(123)
_SIZE = const(48)
_CLIENT = const(0x23)  # version 4, mode 3
_TRY_MS = const(1500)
_SYNC_MS = const(15_000)
_TYPED = const(0)
if _TYPED:
    from _mpy_shed.time_mp import _TicksMs  # noqa: F401
    from typing import Any  # noqa: F401


def sync(resolver, tick, set_clock, servers, ms=_SYNC_MS):
    # type: (Any, Any, Any, tuple[str, ...], int) -> None
    """Sets the clock within ``ms``, by the first server that answers. Raises NetError("clock").

    resolver: a dns.Resolver. tick: called at least every 250 ms of a wait. set_clock: a board's
    set_clock. servers: "host" or "host:port" each.
    """
    end = time.ticks_add(time.ticks_ms(), ms)
    failure = "no time server is set"
    left = list(servers)
    while left and time.ticks_diff(end, time.ticks_ms()) > 0:
        name = left.pop(0)
        try:
            seconds = _ask(resolver, tick, name, end)
        except (NetError, OSError, OverflowError, ValueError) as error:
            failure = str(error)
            continue
        if seconds > 0:
            set_clock(time.gmtime(seconds))
            return
        failure = "%s did not answer in time" % name
        if seconds < 0:
            failure = "%s does not know the time" % name
        else:
            left.append(name)  # its answer may have been lost
    raise NetError("clock", failure)


def _ask(resolver, tick, name, end):
    # type: (Any, Any, str, _TicksMs) -> int
    """The time in seconds of this port's epoch; 0: no answer, -1: one that is of no use."""
    host, _, port = name.partition(":")
    wait = time.ticks_diff(end, time.ticks_ms())
    server = resolver.resolve(host, int(port or _PORT), wait)
    query = bytearray(_SIZE)
    query[0] = _CLIENT
    query[40:] = os.urandom(8)
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.sendto(query, server)
        wait = min(_TRY_MS, time.ticks_diff(end, time.ticks_ms()))
        for reply, sender in datagrams(sock, _SIZE, wait, tick):
            if sender == server and reply[24:32] == query[40:] and len(reply) == _SIZE:
                return parse(reply)
    finally:
        sock.close()
    return 0


def parse(reply):
    # type: (bytes) -> int
    """The seconds of this port's epoch in a server's message of 48 bytes; -1 if it is of no use:
    no server's, not synchronized, a refusal, or before this was written."""
    if reply[0] & 7 != 4 or reply[0] >> 6 == 3 or not 1 <= reply[1] <= 15 or not any(reply[40:]):
        return -1
    seconds = int.from_bytes(reply[40:44], "big")
    if not reply[40] & 0x80:
        seconds += 1 << 32
    seconds -= 2_208_988_800  # 1900 to 1970
    if time.gmtime(0)[0] == 2000:
        seconds -= 946_684_800
    return seconds if seconds > 0 and time.gmtime(seconds)[0] >= _BUILD_YEAR else -1


def plausible():
    # type: () -> bool
    """Whether the clock can be right."""
    return time.gmtime()[0] >= _BUILD_YEAR
