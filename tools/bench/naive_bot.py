"""The naive bot: what most people write first. Runs in MicroPython, to measure against.

The loop of micropython-utelegram with the `requests` that MicroPython ships: every call is a new
connection (a new TLS handshake, unverified) and a JSON document held whole; an answer is one
completion, not streamed, and one sendMessage.

    NAIVE_TELEGRAM, NAIVE_MODEL, NAIVE_TOKEN, NAIVE_KEY, NAIVE_NAME; PROBE_COUNT messages to answer

Prints the lines of gauge.py.
"""

from gauge import Gauge

_gauge = Gauge()
_gauge.tell("baseline")
import os  # noqa: E402
import requests  # noqa: E402

_TELEGRAM = os.getenv("NAIVE_TELEGRAM") + "/bot" + os.getenv("NAIVE_TOKEN")
_MODEL = os.getenv("NAIVE_MODEL") + "/chat/completions"
_HEADERS = {"Authorization": "Bearer " + os.getenv("NAIVE_KEY")}


def main():
    offset = answered = 0
    while not _gauge.note(answered):
        got = requests.get(_TELEGRAM + "/getUpdates?limit=10&timeout=1&offset=%d" % offset)
        updates = got.json()["result"]
        got.close()
        for update in updates:
            offset = update["update_id"] + 1
            message = update["message"]
            body = {
                "model": os.getenv("NAIVE_NAME"),
                "messages": [{"role": "user", "content": message["text"]}],
            }
            # A new dict each time: requests writes into the one it is given.
            got = requests.post(_MODEL, json=body, headers=dict(_HEADERS))
            text = got.json()["choices"][0]["message"]["content"]
            got.close()
            body = {"chat_id": message["chat"]["id"], "text": text}
            requests.post(_TELEGRAM + "/sendMessage", json=body).close()
            answered += 1
            _gauge.note(answered)
    _gauge.tell("burst", answered)


_gauge.tell("configured")
main()
_gauge.tell("rest", _gauge.count)
