"""Asks name servers for an address, over UDP with a deadline (RFC 1035).

`getaddrinfo` blocks for seconds where the network is bad, longer than a watchdog waits; here it
sees only literal addresses, which it answers at once. IPv4 only.
"""

import os
import socket
import time

from thimble.core.errors import NetError
from thimble.net import datagrams, is_address

# What an answer says:
_IGNORED = const(0)  # not an answer to this question
_FOUND = const(1)
_NO_NAME = const(2)
_NO_ADDRESS = const(3)
_FAILED = const(4)  # this server cannot say

_A = const(1)
_CNAME = const(5)
_HEADER = const(12)
_SIZE = const(512)  # what a server may send without being asked for more
_ALIASES = const(12)  # one more than resolvers follow
_TRY_MS = const(1000)  # then 2000, then 4000
_TRY_SHIFT = const(2)
_TTL_MIN_S = const(30)
_TTL_MAX_S = const(3600)


def ask(host, ms, tick, servers=None, hosts=None, kept=False):
    """(the address of host as text, seconds for which that holds), within ms.

    tick, servers, hosts: see dns.Resolver. Raises NetError("resolve"); where no server can say
    and ``kept`` is set, because an old address is there, the answer is (None, 0) instead.
    """
    address = host if is_address(host) else _listed(host, hosts)
    if address:
        return address, _TTL_MIN_S
    if servers is None:
        servers = _servers()
    return _ask(host, ms, tick, [_server(name) for name in servers], kept)


def _listed(host, hosts):
    """The first IPv4 address that the hosts file has for host, or None."""
    host = host.lower().rstrip(".")
    if hosts:
        try:
            with open(hosts) as file:
                for line in file:
                    words = line.split("#")[0].lower().split()
                    if host in words[1:] and is_address(words[0]):
                        return words[0]
        except OSError:
            pass
    return "127.0.0.1" if host == "localhost" else None


def _ask(host, ms, tick, servers, kept):
    """(address, ttl in s) from the servers; (None, 0) if none can say but `kept` is set."""
    query = question(host)
    failure = "no name server answered for %s" if servers else "no name server is known for %s"
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    start = time.ticks_ms()
    tried = 0
    try:
        sock.setblocking(False)
        left = ms
        while servers and left > 0:
            server = servers[tried % len(servers)]
            wait = min(_TRY_MS << min(tried // len(servers), _TRY_SHIFT), left)
            try:
                sock.sendto(query, server)
            except OSError:
                failure = "the network does not reach a name server to ask for %s"
                servers.remove(server)
                continue
            for answer, server in datagrams(sock, _SIZE, wait, tick):
                if server not in servers:
                    continue
                code, address, ttl = parse(answer, len(answer), query)
                if code == _FOUND:
                    return address, ttl
                if code == _FAILED:
                    failure = "the name servers cannot say where %s is"
                    servers.remove(server)
                    break
                if code != _IGNORED:
                    said = "there is no host %s" if code == _NO_NAME else "%s has no IPv4 address"
                    raise NetError("resolve", said % host)
            else:
                tried += 1  # of those that are left the next stands here otherwise
            left = ms - time.ticks_diff(time.ticks_ms(), start)
    finally:
        sock.close()
    if kept:
        return None, 0
    raise NetError("resolve", failure % host)


def _servers():
    """The addresses in /etc/resolv.conf."""
    found = []
    try:
        with open("/etc/resolv.conf") as file:
            for line in file:
                words = line.split()
                if len(words) > 1 and words[0] == "nameserver" and is_address(words[1]):
                    found.append(words[1])
    except OSError:
        pass
    return found or ["127.0.0.1"]


def question(host):
    """The query for host's A records, with a random id. NetError if it cannot be a name."""
    query = bytearray(os.urandom(2))
    query.extend(b"\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00")  # recursion desired, one question
    for label in host.rstrip(".").lower().encode().split(b"."):
        if not 0 < len(label) < 64 or max(label) > 126 or min(label) < 33:
            raise NetError("resolve", "%s is not a host name" % host)
        query.append(len(label))
        query.extend(label)
    query.extend(b"\x00\x00\x01\x00\x01")
    if len(query) > _HEADER + 255 + 4:
        raise NetError("resolve", "%s is not a host name" % host)
    return query


def parse(buf, n, query):
    """What the message buf[:n] answers to query: (code, address, ttl in s).

    Only code _FOUND has an address ("1.2.3.4"). Any bytes are taken; every loop is bounded.
    """
    end = len(query)
    address, ttl = None, 0
    if n < end or buf[0] != query[0] or buf[1] != query[1] or not buf[2] & 0x80:
        return _IGNORED, address, ttl
    if buf[4] or buf[5] != 1 or not _equal(buf, _HEADER, query, _HEADER, end - _HEADER):
        return _IGNORED, address, ttl
    status = buf[3] & 15
    if status:
        return _NO_NAME if status == 3 else _FAILED, address, ttl
    owner = _HEADER
    ttl = _TTL_MAX_S
    for _ in range(_ALIASES):
        at, kind, seconds = _find(buf, n, end, owner)
        if seconds < ttl:
            ttl = seconds
        if kind == _A:
            address = "%d.%d.%d.%d" % (buf[at], buf[at + 1], buf[at + 2], buf[at + 3])
            return _FOUND, address, max(ttl, _TTL_MIN_S)
        if kind != _CNAME:
            break
        owner = at
    # Without an address: cut off, if it says so, else there is none.
    return _FAILED if buf[2] & 2 or kind == _CNAME or at < 0 else _NO_ADDRESS, None, 0


def _find(buf, n, pos, owner):
    """(offset of the data, type, ttl) of owner's A record, or its CNAME record.

    Searched are the answers from pos on. Of several it is the first or the second, as the
    question's random id has it: where nobody answers at the one, another question may find the
    other. Type 0: there is none; the offset is then -1 if the message breaks off.
    """
    at = found = seconds = 0
    skip = buf[1] & 1
    for _ in range(buf[6] << 8 | buf[7]):
        name = pos
        pos = _skip(buf, n, pos)
        if pos < 0 or pos + 10 > n:
            at = at or -1
            break
        kind = buf[pos] << 8 | buf[pos + 1]
        internet = buf[pos + 2] == 0 and buf[pos + 3] == 1
        ttl = _TTL_MAX_S
        if not buf[pos + 4] and not buf[pos + 5]:
            ttl = min(buf[pos + 6] << 8 | buf[pos + 7], ttl)
        length = buf[pos + 8] << 8 | buf[pos + 9]
        data = pos + 10
        pos = data + length
        if pos > n:
            at = at or -1
            break
        known = kind == _A and length == 4 or kind == _CNAME
        if known and internet and _same_name(buf, n, name, owner):
            at, found, seconds = data, kind, ttl
            skip -= 1
            if skip < 0:
                break
    return at, found, seconds


def _skip(buf, n, pos):
    """The offset behind the name at pos; -1 if it does not end within n."""
    while pos < n:
        length = buf[pos]
        if length == 0:
            return pos + 1
        if length >= 0xC0:
            return pos + 2
        if length > 63:
            return -1
        pos += length + 1
    return -1


def _label(buf, n, pos):
    """The offset of the label that the name at pos begins with, pointers followed; or -1."""
    for _ in range(_ALIASES):
        if pos >= n:
            return -1
        if buf[pos] < 64:
            return pos if pos + buf[pos] < n else -1
        if buf[pos] < 0xC0 or pos + 1 >= n:
            return -1
        pos = (buf[pos] & 0x3F) << 8 | buf[pos + 1]
    return -1


def _same_name(buf, n, a, b):
    """Whether the names at a and b are one."""
    for _ in range(128):
        a = _label(buf, n, a)
        b = _label(buf, n, b)
        if a < 0 or b < 0:
            return False
        length = buf[a] + 1
        if not _equal(buf, a, buf, b, length):
            return False
        if length == 1:
            return True
        a += length
        b += length
    return False


def _equal(a, a_off, b, b_off, n):
    """Whether n bytes of two names are equal, capitals and small letters being one."""
    for i in range(n):
        c = a[a_off + i]
        d = b[b_off + i]
        if c != d and ((c ^ d) != 32 or not 97 <= c | 32 <= 122):
            return False
    return True


def _server(name):
    """What sendto() takes for "address" or "address:port"."""
    address, _, port = name.partition(":")
    return socket.getaddrinfo(address, int(port or 53))[0][-1]
