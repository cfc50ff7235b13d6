"""Compaction by trimming, and json.loads of as many bytes. Runs in MicroPython.

    TRIM_ROUNDS   how often a conversation is filled, and then …
    TRIM_WHAT     trim: trimmed to nothing, exchange by exchange, while the heap is locked;
                  loads: parsed from JSON instead; fill: left as it is
    TRIM_BYTES    of each turn, at most; 0: as they are

Prints one line of JSON: turns, bytes of their text, bytes of them as JSON, bytes allocated.
"""

import json
import micropython
import os

from thimble.core.conversation import ASSISTANT, USER, Conversation
from thimble.core.segments import Segments

_SIZE = 2048
_SEGMENTS = 24
_BYTES = int(os.getenv("TRIM_BYTES")) or None
_QUESTION = b"What is the capital of the country whose name begins like this line? " + b"x" * 31
_ANSWER = b"Thimble relays each answer while it is being written, word by word. " * 14
_WORDS = _QUESTION[:_BYTES], _ANSWER[:_BYTES]


def fill(conversation):
    turns = 0
    while True:
        for role, words in ((USER, _WORDS[0]), (ASSISTANT, _WORDS[1])):
            conversation.begin(role)
            if not conversation.append(words, 0, len(words)):
                conversation.abort()
                conversation.pop(USER)
                return turns
            conversation.end()
        turns += 2


def document(turns):
    names = ("user", "assistant")
    rows = [{"role": names[n & 1], "content": _WORDS[n & 1].decode()} for n in range(turns)]
    return json.dumps(rows).encode()


def trim(conversation):
    while conversation.turns:
        conversation.drop_oldest()


def main():
    what = os.getenv("TRIM_WHAT")
    conversation = Conversation(Segments(_SIZE, _SEGMENTS))
    turns = fill(conversation)
    data = document(turns)
    text = turns // 2 * (len(_WORDS[0]) + len(_WORDS[1]))
    row = {"turns": turns, "text": text, "json": len(data)}
    row["allocated"] = 0
    for _ in range(int(os.getenv("TRIM_ROUNDS"))):
        conversation.clear()
        fill(conversation)
        before = micropython.mem_total()
        if what == "trim":
            micropython.heap_lock()
            trim(conversation)
            micropython.heap_unlock()
        elif what == "loads":
            json.loads(data)
        row["allocated"] += micropython.mem_total() - before
    print(json.dumps(row))


main()
