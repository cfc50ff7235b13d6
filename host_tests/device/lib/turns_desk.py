"""Sessions on a flash of a board's size, for the tests of the store: written, read, rebooted."""

import os
import random

from blocks import Blocks
from kit import turns_of
from thimble.core.chats import Chats
from thimble.core.conversation import ASSISTANT, USER
from thimble.core.segments import Segments
from thimble.store import archive
from thimble.store.sessions import Sessions

FOLDER = "/flash/turns"
NOW = 29_000_000  # some minute of 2025
LETTERS = 'aé€😀b \n"ü漢'

disk = Blocks(212)
scratch = bytearray(512)
pool = Segments(2048, 32)
running = []


def opened(**settings):
    sessions = Sessions(FOLDER, scratch, **settings)
    sessions.now = NOW
    running.append(sessions)
    return sessions


def close(sessions):
    for number in range(sessions.limit):
        sessions.close(number)


def reset():
    """All that runs ends as at a reset: what it has not committed is lost."""
    disk.failing = 0
    while running:
        try:
            close(running.pop())
        except OSError:
            pass
    disk.failing = -1


def fresh(**settings):
    reset()
    disk.format()
    return opened(**settings)


def rebooted(**settings):
    reset()
    disk.mount()
    return opened(**settings)


def turn(sessions, key, role, text, keep=0):
    sessions.begin(key, 0, len(key), role, keep)
    at = 0
    while at < len(text):
        step = random.randint(1, 700)
        sessions.write(text, at, min(step, len(text) - at))
        at += step
    sessions.end()


def exchange(sessions, key, question, answer):
    turn(sessions, key, USER, question)
    turn(sessions, key, ASSISTANT, answer)
    sessions.commit()


def loaded(sessions, key, limit=60_000):
    chats = Chats(pool, 2)
    conversation = chats.get(key, 0, len(key))
    n = sessions.load(chats, conversation, limit)
    turns = turns_of(conversation)
    conversation.clear()
    assert n == len(turns) and pool.free == pool.count
    return turns


ROOM = 1 << 20


def history(sessions, key, count=40, room=ROOM):
    n = archive.history(sessions, key, 0, len(key), count, room)
    turns = turns_of(sessions)
    assert n == len(turns) <= count
    return turns


def files():
    return sorted((int(name), size) for name, _, _, size in os.ilistdir(FOLDER))


def content(number):
    with open("%s/%d" % (FOLDER, number), "rb") as file:
        return file.read()


def put(number, data):
    with open("%s/%d" % (FOLDER, number), "wb") as file:
        file.write(data)


def everything():
    return b"".join(content(number) for number, _ in files())


def pairs(n, name=b""):
    """n exchanges' turns, each text telling which."""
    turns = []
    for i in range(n):
        turns.append((USER, name + b" asks %d" % i))
        turns.append((ASSISTANT, name + b" is told %d" % i))
    return turns


def say(sessions, key, turns):
    for i in range(0, len(turns), 2):
        exchange(sessions, key, turns[i][1], turns[i + 1][1])


def text_of(n):
    """n bytes of text in characters of every length."""
    parts = []
    while n > 0:
        letter = random.choice(LETTERS).encode()
        if len(letter) <= n:
            parts.append(letter)
            n -= len(letter)
    return b"".join(parts)


def fill(blocks):
    """Fills the disk but for so many blocks."""
    piece = bytes(4096)
    with open("/flash/spare", "wb") as file:
        for _ in range(blocks):
            file.write(piece)
    with open("/flash/ballast", "wb") as file:
        try:
            while True:
                file.write(piece)
                file.flush()
        except OSError:
            pass
    os.remove("/flash/spare")
