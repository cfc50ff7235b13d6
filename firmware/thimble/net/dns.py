"""Addresses of names, kept for as long as their records say.

The asking itself is net.query, an overlay: a kept-alive connection needs it seldom.
"""

import gc
import socket
from time import ticks_add, ticks_diff, ticks_ms

from thimble import overlay

_TTL_MAX_S = const(3600)
_STALE_S = const(30)
_CACHE = const(4)


class Resolver:
    """Resolves names and keeps the last few addresses.

    tick: called at least every 250 ms of a wait. servers: "address" or "address:port" each; None
    reads /etc/resolv.conf at every question. hosts: path of a hosts file, or None. Four (host,
    port) are kept, for as long as their records say, at most an hour; an older one still serves
    when no server answers.
    """

    def __init__(self, tick, servers=None, hosts="/etc/hosts"):
        self.servers = servers
        self._tick = tick
        self._hosts = hosts
        self._cache = []  # [host, port, address, ticks of expiry], the latest made last

    def resolve(self, host, port, ms):
        """What connect() takes for host and port, within ms. Raises NetError("resolve")."""
        for kept in self._cache:
            if kept[0] == host and kept[1] == port:
                break
        else:
            kept = None
        if kept and 0 < ticks_diff(kept[3], ticks_ms()) <= _TTL_MAX_S * 1000:
            return kept[2]
        return self._renew(kept, host, port, ms)

    def doubt(self, address):
        """This one, which resolve() gave, led nowhere: ask anew next time."""
        for entry in self._cache:
            if entry[2] is address:
                entry[3] = ticks_ms()

    def clear(self):
        """Drop the cache."""
        self._cache.clear()

    def _renew(self, kept, host, port, ms):
        address, ttl = overlay.call(
            "net.query", "ask", host, ms, self._tick, self.servers, self._hosts, kept
        )
        if not address:
            # The old address is worth a try, and worth it again for a while.
            kept[3] = ticks_add(ticks_ms(), _STALE_S * 1000)
            return kept[2]
        # What stays is made low in the heap, not behind what asking has left there.
        gc.collect()
        address = socket.getaddrinfo(address, port)[0][-1]
        cache = self._cache
        if kept in cache:  # else the console's test has asked meanwhile, too
            cache.remove(kept)
        elif len(cache) >= _CACHE:
            cache.pop(0)
        cache.append([host, port, address, ticks_add(ticks_ms(), ttl * 1000)])
        return address
