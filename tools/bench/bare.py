"""A bare verified handshake and one request, with the relay's modules loaded. Runs in MicroPython.

What the instructions from the relay's start to its first getUpdates are compared with.
"""

import os

import thimble.relay  # noqa: F401
from thimble import config
from thimble.net import roots
from thimble.net.dns import Resolver
from thimble.net.http import Http
from thimble.net.link import Link


class Request:
    """getUpdates, with nothing in it."""

    repeatable = True

    def __init__(self, path):
        self._path = path

    def write_head(self, w):
        w.raw(b"GET ")
        w.raw(self._path)
        w.raw(b" HTTP/1.1\r\n")

    def write_body(self, w):
        pass


def tick():
    pass


def main():
    settings = config.load(os.getenv("THIMBLE_CONFIG"))
    secure, host, port, path = settings.telegram.endpoint
    tls = roots.context((host,), "/rom/roots", settings.tls.ca)
    http = Http(Link(Resolver(tick), tick, tls), bytearray(1536), bytearray(512))
    http.origin(host, port, secure)
    path = "%s/bot%s/getUpdates" % (path, settings.telegram.token)
    http.request(Request(path.encode()), 10000)
    while http.read(1000):
        pass


main()
