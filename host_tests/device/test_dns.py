"""DNS messages: what is an answer, what is not, and that no bytes can hang or crash the parser."""

import random
from kit import raises

from thimble.core.errors import NetError
from thimble.net import dns
from thimble.net import query as wire

IGNORED, FOUND, NO_NAME, NO_ADDRESS, FAILED = range(5)  # as net.query
A, CNAME, AAAA = 1, 5, 28
NAME = b"\xc0\x0c"  # a pointer to the question's name


def query():
    return wire.question("api.Example.org")


def name(text):
    return b"".join(bytes([len(part)]) + part for part in text.split(b".")) + b"\0"


def record(owner, kind, data, ttl=300, class_=1):
    head = bytes([0, kind, 0, class_, ttl >> 24 & 255, ttl >> 16 & 255, ttl >> 8 & 255, ttl & 255])
    return owner + head + bytes([len(data) >> 8, len(data) & 255]) + data


def answer(asked, *records, flags=b"\x81\x80", count=None):
    counts = bytes([0, 1, 0, len(records) if count is None else count, 0, 0, 0, 0])
    return bytes(asked[:2]) + flags + counts + bytes(asked[12:]) + b"".join(records)


def parse(message, asked):
    return wire.parse(message, len(message), asked)


def test_a_question_is_a_standard_query():
    asked = query()
    assert asked[2:12] == b"\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
    assert asked[12:] == b"\x03api\x07example\x03org\0\0\x01\0\x01"
    assert len({bytes(query()[:2]) for _ in range(20)}) > 10


def test_what_cannot_be_a_name_is_refused():
    for host in ("", ".", "a..b", "x" * 64, ".".join(["abcdefgh"] * 32), "a b", "ü.de", "a\0b"):
        assert raises(NetError, lambda: wire.question(host)).stage == "resolve", host  # noqa: B023


def test_an_address_is_found():
    asked = query()
    message = answer(asked, record(NAME, A, b"\x01\x02\x03\xff"))
    assert parse(message, asked) == (FOUND, "1.2.3.255", 300)


def test_of_several_addresses_another_question_may_take_another():
    asked = query()
    found = set()
    for asked[1] in range(8):
        records = [record(NAME, A, bytes((10, 0, 0, i)), 30 + i) for i in range(1, 4)]
        whole = answer(asked, *records)
        found.add(parse(whole, asked))
        assert parse(whole[:-20], asked)[0] == FOUND, "cut off behind the first"
    assert found == {(FOUND, "10.0.0.1", 31), (FOUND, "10.0.0.2", 32)}


def test_aliases_are_followed_in_any_order():
    asked = query()
    edge, far = b"\xc0\x2d", name(b"FAR.example.net")
    chain = [
        record(NAME, CNAME, name(b"edge.example.net"), 60),  # its data stands at 0x2d
        record(edge, CNAME, name(b"far.example.net"), 50),
        record(far, A, b"\x0a\0\0\x01", 400),
    ]
    assert parse(answer(asked, *chain), asked) == (FOUND, "10.0.0.1", 50)
    chain[1] = record(name(b"edge.example.net"), CNAME, name(b"far.example.net"), 50)
    assert parse(answer(asked, *reversed(chain)), asked) == (FOUND, "10.0.0.1", 50)


def test_as_many_aliases_are_followed_as_a_resolver_gives():
    asked = query()
    names = [NAME] + [name(b"a%d.cdn.example" % i) for i in range(12)]
    for n in (7, 8, 11):
        chain = [record(names[i], CNAME, names[i + 1]) for i in range(n)]
        chain.append(record(names[n], A, b"\x0a\0\0\x01"))
        assert parse(answer(asked, *chain), asked) == (FOUND, "10.0.0.1", 300), n
        assert parse(answer(asked, *chain[:-1]), asked)[0] == NO_ADDRESS, n


def test_an_address_of_another_name_type_or_class_is_not_taken():
    asked = query()
    for bad in (
        record(name(b"evil.example.org"), A, b"\x06\x06\x06\x06"),
        record(NAME, AAAA, bytes(16)),
        record(NAME, AAAA, bytes(4)),
        record(NAME, A, b"\x06\x06\x06\x06", class_=3),
        record(NAME, A, b"\x06\x06\x06"),
    ):
        assert parse(answer(asked, bad), asked)[0] == NO_ADDRESS
        good = record(NAME, A, b"\x01\x01\x01\x01")
        assert parse(answer(asked, bad, good), asked)[1] == "1.1.1.1"


def test_how_long_an_address_is_kept_has_bounds():
    asked = query()
    for ttl, kept in ((0, 30), (31, 31), (3599, 3599), (65568, 3600), (1 << 24, 3600), (-1, 3600)):
        message = answer(asked, record(NAME, A, b"\x01\x01\x01\x01", ttl))
        assert parse(message, asked)[2] == kept


def test_what_a_server_says_instead_of_an_address():
    asked = query()
    assert parse(answer(asked, flags=b"\x81\x83"), asked)[0] == NO_NAME
    assert parse(answer(asked, flags=b"\x81\x82"), asked)[0] == FAILED
    assert parse(answer(asked, flags=b"\x81\x85"), asked)[0] == FAILED
    assert parse(answer(asked), asked)[0] == NO_ADDRESS
    assert parse(answer(asked, flags=b"\x83\x80"), asked)[0] == FAILED  # cut off
    half = answer(asked, record(NAME, A, b"\x01\x01\x01\x01"), flags=b"\x83\x80", count=5)
    assert parse(half, asked)[0] == FOUND


def test_what_is_no_answer_to_the_question_is_ignored():
    asked = query()
    good = answer(asked, record(NAME, A, b"\x01\x01\x01\x01"))
    other = bytearray(good)
    other[0] ^= 1
    assert parse(other, asked)[0] == IGNORED  # another id
    assert parse(bytes(asked), asked)[0] == IGNORED  # a query
    other = bytearray(good)
    other[14] ^= 1
    assert parse(other, asked)[0] == IGNORED  # another name
    other = bytearray(good)
    other[13] ^= 32
    assert parse(other, asked)[0] == FOUND  # only a capital letter
    other = bytearray(good)
    other[len(asked) - 3] = 28
    assert parse(other, asked)[0] == IGNORED  # another type
    other = bytearray(good)
    other[5] = 2
    assert parse(other, asked)[0] == IGNORED  # two questions


def test_names_that_point_in_circles_end():
    asked = query()
    at = len(asked)
    circle = bytes([0xC0, at])
    assert parse(answer(asked, record(circle, A, bytes(4))), asked)[0] == NO_ADDRESS
    pair = bytes([0xC0, at + 2, 0xC0, at])
    message = answer(asked, pair + record(b"", A, bytes(4)))
    parse(message, asked)
    growing = b"\x01a" + bytes([0xC0, at])  # a.a.a.a…
    assert parse(answer(asked, record(growing, A, bytes(4))), asked)[0] == NO_ADDRESS
    alias = record(NAME, CNAME, NAME)  # an alias of itself
    assert parse(answer(asked, alias), asked)[0] == FAILED


def test_a_message_may_break_off_anywhere():
    asked = query()
    message = answer(
        asked,
        record(NAME, CNAME, name(b"far.example.net")),
        record(name(b"far.example.net"), A, b"\x01\x01\x01\x01"),
    )
    for n in range(len(message)):
        code, address, _ = parse(message[:n], asked)
        assert code in (IGNORED, FAILED), n
        assert address is None
    assert parse(message, asked)[0] == FOUND


def test_any_bytes_are_survived():
    random.seed(7)
    asked = query()
    message = answer(
        asked,
        record(NAME, CNAME, name(b"far.example.net")),
        record(b"\xc0\x2d", A, b"\x01\x01\x01\x01"),
    )
    for _ in range(4000):
        damaged = bytearray(message)
        for _ in range(random.randint(1, 6)):
            damaged[random.randint(len(asked) - 4, len(damaged) - 1)] = random.getrandbits(8)
            damaged[6 + random.randint(0, 1)] = random.getrandbits(8)
        code = parse(damaged[: random.randint(0, len(damaged))], asked)[0]
        assert IGNORED <= code <= FAILED
    for last in (b"", b"\xc0", b"\x03api\x07exampl", b"\x03api\x07exam"):
        assert parse(answer(asked, record(NAME, CNAME, last)), asked)[0] == NO_ADDRESS
    head = answer(asked, count=255)
    for _ in range(400):
        noise = bytes([random.choice((0, 1, 3, 0xC0, random.getrandbits(8))) for _ in range(200)])
        assert IGNORED <= parse(head + noise, asked)[0] <= FAILED


def test_the_hosts_file_is_read_without_asking_anybody():
    path = "/tmp/thimble-hosts-%d" % random.getrandbits(30)
    with open(path, "w") as file:
        file.write("# 9.9.9.9 c\n::1 a\n10.1.2.3\tb  A # d\n10.9.9.9 a\n")
    resolver = dns.Resolver(lambda: None, [], path)
    try:
        assert resolver.resolve("a", 80, 100)[4:8] == b"\x0a\x01\x02\x03"
        assert resolver.resolve("B.", 80, 100)[2:8] == b"\x00\x50\x0a\x01\x02\x03"
        assert resolver.resolve("192.168.0.7", 443, 100)[4:8] == b"\xc0\xa8\x00\x07"
        assert resolver.resolve("localhost", 443, 100)[4:8] == b"\x7f\0\0\x01"
        assert "no name server is known" in str(
            raises(NetError, lambda: resolver.resolve("d", 1, 1))
        )
    finally:
        import os

        os.remove(path)


def test_the_cache_has_a_bound_and_keeps_the_latest():
    resolver = dns.Resolver(lambda: None, [], None)
    for i in range(7):
        resolver.resolve("10.0.0.%d" % i, 80, 100)
    assert [entry[0] for entry in resolver._cache] == ["10.0.0.%d" % i for i in range(3, 7)]
    kept = resolver.resolve("10.0.0.6", 80, 100)
    assert resolver.resolve("10.0.0.6", 80, 100) is kept
    resolver.clear()
    assert resolver._cache == []


class Asking:
    """In the place of net.query: what it answers, and how often it was asked. The clock as well.

    found: (address, seconds); address None stands for servers that do not answer.
    """

    def __init__(self, found):
        self.found = found
        self.asked = 0
        self.now = 0

    def call(self, module, name, host, ms, tick, servers, hosts, stale):
        assert (module, name) == ("net.query", "ask")
        self.asked += 1
        if not self.found[0] and not stale:
            raise NetError("resolve", "nobody answered")
        return self.found

    def ticks_ms(self):
        return self.now & 0x3FFFFFFF


def asking(test, *found):
    """Calls test(resolver, net) where net is an Asking instead of name servers."""
    net = Asking(found)
    real = dns.overlay, dns.ticks_ms
    dns.overlay, dns.ticks_ms = net, net.ticks_ms
    try:
        test(dns.Resolver(lambda: None), net)
    finally:
        dns.overlay, dns.ticks_ms = real


def octets(resolver, port=443):
    """The address of the host and the port that are connected to."""
    address = resolver.resolve("api.example.org", port, 100)
    return tuple(address[4:8]) + (address[2] << 8 | address[3],)


def test_an_address_is_kept_for_as_long_as_its_record_says():
    def test(resolver, net):
        for i in range(1, 9):  # more often than there is room for
            net.found = ("10.0.0.%d" % i, 3600)
            for ms in (0, 1, 3_599_998):
                net.now += ms
                assert octets(resolver) == (10, 0, 0, i, 443)
                assert net.asked == i
            net.now += 1

    asking(test, None, 0)


def test_an_address_of_days_ago_is_not_taken_for_one_of_the_future():
    def test(resolver, net):
        octets(resolver)
        net.now = (1 << 29) + 100_000
        octets(resolver)
        assert net.asked == 2

    asking(test, "10.0.0.1", 30)


def test_each_port_of_a_host_has_its_own_address():
    def test(resolver, net):
        for port in (443, 8080, 443, 8080):
            assert octets(resolver, port) == (10, 0, 0, 1, port)
        assert net.asked == 2

    asking(test, "10.0.0.1", 30)


def test_an_old_address_serves_for_half_a_minute_where_no_server_answers():
    def test(resolver, net):
        octets(resolver)
        net.found = (None, 0)
        net.now = 60_000
        for ms, asked in ((0, 2), (29_999, 2), (1, 3), (29_999, 3)):
            net.now += ms
            assert octets(resolver) == (10, 0, 0, 1, 443)
            assert net.asked == asked
        net.found = ("10.0.0.2", 30)
        net.now += 1
        assert octets(resolver) == (10, 0, 0, 2, 443)
        assert resolver.resolve("api.example.org", 443, 100) and net.asked == 4
        net.found = (None, 0)
        raises(NetError, lambda: resolver.resolve("other.example.org", 443, 100))

    asking(test, "10.0.0.1", 60)


def test_a_doubted_address_is_asked_for_anew_and_no_other():
    def test(resolver, net):
        octets(resolver, 80)
        resolver.doubt(resolver.resolve("api.example.org", 443, 100))
        resolver.doubt("an address that was cleared meanwhile")
        net.found = ("10.0.0.2", 30)
        assert octets(resolver) == (10, 0, 0, 2, 443)
        assert octets(resolver, 80) == (10, 0, 0, 1, 80)

    asking(test, "10.0.0.1", 30)


def test_a_name_may_be_asked_for_while_it_is_asked_for():
    """The console's ``test`` is carried out between the slices of a wait."""

    def test(resolver, net):
        answer = net.call

        def while_asked(*args):
            net.call = answer
            assert octets(resolver) == (10, 0, 0, 2, 443)
            return net.found

        octets(resolver)  # an old address is kept,
        net.found = ("10.0.0.2", 30)
        for _ in range(2):
            net.now += 60_000
            net.call = while_asked
            assert octets(resolver) == (10, 0, 0, 2, 443)
            assert len(resolver._cache) <= 2
            resolver.clear()  # or none is

    asking(test, "10.0.0.1", 30)
