"""How a connection begins on each microcontroller's own sockets, which differ from Linux's."""

from kit import raises

import fake_board
from fake_board import chip

fake_board.install("rp2")

from fake_board.sockets import Sockets  # noqa: E402
from thimble.core.errors import NetError  # noqa: E402
from thimble.net import link  # noqa: E402
from thimble.net.link import Link  # noqa: E402

TEST_S = 20
PORTS = "rp2", "esp32"


class Resolver:
    """Knows every host, and counts the doubts."""

    doubts = 0

    def resolve(self, host, port, ms):
        return ("10.0.0.9", port)

    def doubt(self, address):
        self.doubts += 1


def made(port):
    """A Link on the sockets of ``port``."""
    chip.port = port
    link.socket = sockets = Sockets()
    one = Link(Resolver(), lambda: chip.run(100), None)
    one.connect_ms = 200
    link.ticks_ms = lambda: chip.now & 0x3FFFFFFF
    return one, sockets


def opened(one):
    one.open("example.org", 80, False)


def test_a_connection_is_open_once_the_port_says_so():
    for port in PORTS:
        one, _ = made(port)
        opened(one)
        assert one.is_open and one.connects == 1
        assert not one.dead()
        assert one._resolver.doubts == 0


def test_a_refusal_is_told_from_a_connection():
    for port in PORTS:
        one, sockets = made(port)
        sockets.takes = False
        error = raises(NetError, lambda: opened(one))  # noqa: B023
        assert (error.stage, one.connects) == ("connect", 0), port
        assert "ECONNRESET" in str(error)
        assert not one.is_open and one._resolver.doubts == 1


def test_silence_ends_at_its_deadline():
    for port in PORTS:
        one, sockets = made(port)
        sockets.takes = None
        error = raises(NetError, lambda: opened(one))  # noqa: B023
        assert "no answer within 200 ms" in str(error)


def test_where_no_socket_is_left_the_connection_fails_and_nothing_else():
    for port in PORTS:
        one, sockets = made(port)
        sockets.most = 0
        error = raises(NetError, lambda: opened(one))  # noqa: B023
        assert error.stage == "connect" and "no socket" in str(error)
        assert not one.is_open
        sockets.most = 1
        opened(one)
        assert one.is_open
