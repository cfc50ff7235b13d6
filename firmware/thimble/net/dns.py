"""Addresses of names, asked for over UDP with a deadline (RFC 1035).

`getaddrinfo` blocks for seconds where the network is bad, longer than a watchdog waits; here it sees
only literal addresses, which it answers at once. IPv4 only.
"""

import os
import select
import socket
from micropython import const
from time import ticks_add, ticks_diff, ticks_ms

from thimble.core.errors import NetError

IGNORED = const(0)  # not an answer to this question
FOUND = const(1)
NO_NAME = const(2)
NO_ADDRESS = const(3)
FAILED = const(4)  # this server cannot say

_A = const(1)
_CNAME = const(5)
_HEADER = const(12)
_SIZE = const(512)
_RECORDS = const(40)
_ALIASES = const(8)
_SLICE_MS = const(250)
_TRY_MS = const(1000)
_TRY_MAX_MS = const(4000)
_TTL_MIN_S = const(30)
_TTL_MAX_S = const(3600)
_STALE_S = const(30)


class Resolver:
    """Resolves names and keeps the last few addresses.

    tick: called at least every 250 ms of a wait. servers: "address" or "address:port" each; None
    reads /etc/resolv.conf at every question. hosts: path of a hosts file, or None. cache: how
    many (host, port) are kept, for as long as their records say, at most an hour; an older one
    still serves when no server answers.
    """

    def __init__(self, tick, servers=None, hosts="/etc/hosts", cache=4):
        self.queries = 0
        self.servers = servers
        self._tick = tick
        self._hosts = hosts
        self._size = cache
        self._cache = []  # [host, port, address, ticks of expiry], the latest made last

    def resolve(self, host, port, ms):
        """What connect() takes for host and port, within ms. Raises NetError("resolve")."""
        kept = self._kept(host, port)
        if kept and 0 < ticks_diff(kept[3], ticks_ms()) <= _TTL_MAX_S * 1000:
            return kept[2]
        address, ttl = _literal(host) or self._listed(host), _TTL_MIN_S
        if not address:
            address, ttl = self._ask(host, ms, kept)
        if not address:
            # Nobody answered: the old address is worth a try, and worth it again for a while.
            kept[3] = ticks_add(ticks_ms(), _STALE_S * 1000)
            return kept[2]
        if kept:
            self._cache.remove(kept)
        elif len(self._cache) >= self._size:
            self._cache.pop(0)
        answer = _sockaddr(address, port)
        self._cache.append([host, port, answer, ticks_add(ticks_ms(), ttl * 1000)])
        return answer

    def doubt(self, host, port):
        """Nobody answered at the address of host: ask anew next time."""
        kept = self._kept(host, port)
        if kept:
            kept[3] = ticks_ms()

    def clear(self):
        """Drop the cache."""
        self._cache.clear()

    def _kept(self, host, port):
        for entry in self._cache:
            if entry[0] == host and entry[1] == port:
                return entry
        return None

    def _listed(self, host):
        """The first IPv4 address that the hosts file has for host, or None."""
        host = host.lower().rstrip(".")
        if self._hosts:
            try:
                with open(self._hosts) as file:
                    for line in file:
                        words = line.split("#")[0].lower().split()
                        if host in words[1:] and _literal(words[0]):
                            return words[0]
            except OSError:
                pass
        return "127.0.0.1" if host == "localhost" else None

    def _ask(self, host, ms, stale):
        """(address, ttl in s) from the servers; (None, 0) if none answers but `stale` is there."""
        query = question(host)
        start = ticks_ms()
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        code = sent = 0
        try:
            sock.setblocking(False)
            servers = [_server(name) for name in self._servers()]
            while servers:
                if ticks_diff(ticks_ms(), start) >= ms:
                    break
                wait = min(_TRY_MS << min(sent // len(servers), 2), _TRY_MAX_MS)
                self.queries += 1
                try:
                    sock.sendto(query, servers[sent % len(servers)])
                except OSError:
                    code = FAILED
                    if sent >= len(servers):
                        break
                    wait = 0
                sent += 1
                try_from = ticks_ms()
                while True:
                    wait_ms = min(
                        wait - ticks_diff(ticks_ms(), try_from), ms - ticks_diff(ticks_ms(), start)
                    )
                    if wait_ms <= 0:
                        break
                    poll.ipoll(min(wait_ms, _SLICE_MS))
                    self._tick()
                    buf = _receive(sock, servers)
                    if not buf:
                        continue
                    code, address, ttl = parse(buf, len(buf), query)
                    if code == FOUND:
                        return address, ttl
                    if code == NO_NAME:
                        raise NetError("resolve", "there is no host %s" % host)
                    if code == NO_ADDRESS:
                        raise NetError("resolve", "%s has no IPv4 address" % host)
                    if code == FAILED:
                        if len(servers) == 1 and sent > 1:
                            wait = 0
                        servers.pop((sent - 1) % len(servers))
                        sent = 0
                        break
        finally:
            poll.unregister(sock)
            sock.close()
        if stale:
            return None, 0
        if code == FAILED:
            raise NetError("resolve", "the name servers cannot say where %s is" % host)
        raise NetError("resolve", "no name server answered for %s" % host)

    def _servers(self):
        if self.servers is not None:
            return self.servers
        found = []
        try:
            with open("/etc/resolv.conf") as file:
                for line in file:
                    words = line.split()
                    if len(words) > 1 and words[0] == "nameserver" and _literal(words[1]):
                        found.append(words[1])
        except OSError:
            pass
        return found or ["127.0.0.1"]
