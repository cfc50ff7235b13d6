"""A case: the length of a query, the query, what came as its answer."""

from thimble.net import query as wire

_NAMES = ("ignored", "found", "no name", "no address", "failed")


def run(case):
    at = case[0] + 1
    query = bytearray(case[1:at])
    message = bytearray(case[at:])
    code, address, ttl = wire.parse(message, len(message), query)
    assert (_NAMES[code] == "found") == (address is not None)
    if address:
        assert 30 <= ttl <= 3600
    return "%s %s" % (_NAMES[code], address)
