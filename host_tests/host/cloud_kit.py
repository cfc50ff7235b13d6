"""What the tests of the simulated cloud share: a plain HTTP client that hides nothing."""

import http.client
import json
import socket
import ssl
import urllib.parse

from tools.cloud import TOKEN

# Every description begins with the words for its code.
_WORDS = {
    400: "Bad Request: ",
    401: "Unauthorized",
    403: "Forbidden: ",
    404: "Not Found",
    409: "Conflict: ",
    429: "Too Many Requests: ",
    501: "Not Implemented: ",
}


class Api:
    """Calls methods of the Bot API over one kept-alive connection."""

    def __init__(self, cloud, token=TOKEN):
        url = urllib.parse.urlsplit(cloud.urls["telegram_http"])
        self._connection = http.client.HTTPConnection(url.hostname, url.port, timeout=20)
        self._token = token
        self.headers = {}
        self.status = 0

    def __call__(self, method, **params):
        """The decoded body of the answer; its status is in `status`, its headers in `headers`."""
        given = {name: value for name, value in params.items() if value is not None}
        kind = "application/json"
        return self.send("POST", f"/bot{self._token}/{method}", json.dumps(given).encode(), kind)

    def send(self, verb, path, body=None, kind=None):
        headers = {"Content-Type": kind} if kind else {}
        self._connection.request(verb, path, body, headers)
        response = self._connection.getresponse()
        self.status, self.headers = response.status, response.headers
        data = response.read()
        answer = json.loads(data) if data else None
        assert answer is None or answer["ok"] is (self.status == 200), answer
        return answer

    def error(self, method, **params):
        """The description of the refusal."""
        answer = self(method, **params)
        assert answer["ok"] is False and answer["error_code"] == self.status, answer
        assert answer["description"].startswith(_WORDS[self.status]), answer
        return answer["description"]

    def close(self):
        self._connection.close()


def raw(cloud, data, secure=False, timeout=10.0):
    """Everything that comes back for these bytes until the other side closes."""
    listener = cloud.secure if secure else cloud.plain
    with socket.create_connection(("127.0.0.1", listener.port), timeout) as sock:
        if secure:
            context = ssl.create_default_context(cafile=str(cloud.ca_pem))
            sock = context.wrap_socket(sock, server_hostname="localhost")
        sock.sendall(data)
        received = b""
        while piece := sock.recv(65536):
            received += piece
        sock.close()
    return received


def get_me(close=True):
    """The bytes of a getMe request."""
    option = b"Connection: close\r\n" if close else b""
    return b"GET /bot%s/getMe HTTP/1.1\r\nHost: x\r\n%s\r\n" % (TOKEN.encode(), option)
