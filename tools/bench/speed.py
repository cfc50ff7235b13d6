"""Scanner and SSE against json.loads of the same bytes, in one run. Runs in MicroPython.

Prints one line of JSON with the ratios of the times (the least of several rounds each).
"""

import gc
import json
import time

from thimble.core.scan import MORE, Scanner
from thimble.core.sse import DATA, DONE, EVENT, Sse
from thimble.model import OPENAI
from thimble.telegram import updates
from thimble.telegram.bot import Bot

_MB = 1_000_000
_ROUNDS = 5
_PIECE = 1536


def getupdates():
    update = (
        '{"update_id":%d,"message":{"message_id":%d,"from":{"id":4503599627370495,"is_bot":false,'
        '"first_name":"Ada","username":"ada","language_code":"de"},"chat":{"id":4503599627370495,'
        '"first_name":"Ada","username":"ada","type":"private"},"date":1760000000,"text":"%s",'
        '"entities":[{"offset":0,"length":6,"type":"bot_command"}]}}'
    )
    text = "Gr\\u00fc\\u00dfe \\ud83d\\ude00 und ein Satz von etwa hundert Zeichen, wie er kommt. "
    parts = []
    size = 0
    while size < _MB:
        parts.append(update % (100000 + len(parts), len(parts), text * (1 + len(parts) % 4)))
        size += len(parts[-1])
    return ('{"ok":true,"result":[' + ",".join(parts) + "]}").encode()


def deltas():
    event = (
        '{"id":"chatcmpl-123","object":"chat.completion.chunk","created":1760000000,'
        '"model":"some-model","choices":[{"index":0,"delta":{"content":" word%d"},'
        '"finish_reason":null}]}'
    )
    return [(event % n).encode() for n in range(_MB // 170)]


def ratio(fn, other):
    """The time of ``fn`` to that of ``other``: processor time, in turns, since others may be busy
    on this machine, and busier now than a moment ago."""
    best = [1e9, 1e9]
    for _ in range(_ROUNDS):
        for at, one in enumerate((fn, other)):
            gc.collect()
            start = time.clock()
            one()
            best[at] = min(best[at], time.clock() - start)
    return best[0] / best[1]


def scan_all(scanner, out, data):
    scanner.start(out, 0, len(out))
    for at in range(0, len(data), _PIECE):
        scanner.feed(data, at, min(at + _PIECE, len(data)))
        while scanner.next() != MORE:
            pass


def sse_all(sse, scanner, out, data):
    sse.start()
    fresh = True
    for at in range(0, len(data), _PIECE):
        sse.feed(data, at, min(at + _PIECE, len(data)))
        while True:
            event = sse.next()
            if event == MORE:
                break
            if event == DATA:
                if fresh:
                    scanner.start(out, 0, len(out))
                    fresh = False
                scanner.feed(sse.buf, sse.pos, sse.end)
                while scanner.next() != MORE:
                    pass
            elif event == EVENT or event == DONE:
                fresh = True


def main():
    out = bytearray(2048)
    data = getupdates()
    scanner = Bot(None, "", "", updates.PATHS).scanner
    polled = ratio(lambda: scan_all(scanner, out, data), lambda: json.loads(data))
    events = deltas()
    data = b"".join([b"data: " + event + b"\n\n" for event in events])
    scanner = Scanner([path for path in OPENAI[-1].split() if len(path) > 1])
    sse = Sse()
    streamed = ratio(
        lambda: sse_all(sse, scanner, out, data),
        lambda: [json.loads(event) for event in events] and None,
    )
    print(json.dumps({"getUpdates / json.loads": polled, "SSE and JSON / json.loads": streamed}))


main()
