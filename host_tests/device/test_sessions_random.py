"""Any sequence of operations against a simple model of what is remembered."""

import random

from turns_desk import NOW, exchange, fresh, history, loaded, rebooted, text_of, turn
from thimble.core.conversation import ASSISTANT, SUMMARY, USER
from thimble.store import archive

HEAP = "3m"
TEST_S = 60
QEMU = "the store is for a board whose flash is not in its heap"


class Model:
    """What the archive has of each key, told simply."""

    def __init__(self):
        self.log = {}

    def add(self, key, kind, text=b"", keep=0):
        self.log.setdefault(key, []).append((kind, text, keep))

    def history(self, key):
        return [
            (kind, text) for kind, text, _ in self.log.get(key, []) if kind in (USER, ASSISTANT)
        ]

    def loaded(self, key, limit):
        turns, head = [], []
        for kind, text, keep in self.log.get(key, []):
            if kind == "clear":
                turns, head = [], []
            elif kind == SUMMARY:
                turns = turns[len(turns) - keep :] if keep < len(turns) else turns
                head = [(SUMMARY, text)]
            else:
                if turns and turns[-1][0] == kind:
                    turns = turns[:-1]
                turns = (turns + [(kind, text)])[-40:]
        if head and len(head[0][1]) > limit:
            head = []
        limit -= sum(len(text) for _, text in head)
        while turns and sum(len(text) for _, text in turns) > limit:
            turns = turns[1:]
        if turns and turns[0][0] == ASSISTANT:
            turns = turns[1:]
        return head + turns


def test_any_sequence_of_operations_is_remembered_as_a_list_would():
    for seed in range(6):
        random.seed(seed)
        settings = {"files": 40, "file_bytes": 4096}
        sessions = fresh(**settings)
        model = Model()
        keys = [b"1", b"11", b"-100:1", b"-100:11", b"2"]
        for step in range(150):
            key = random.choice(keys)
            what = random.randint(0, 19)
            text = b"%d:" % step + text_of(random.choice((1, 20, 250, 700)))
            if what < 10:
                exchange(sessions, key, text, b"to " + text)
                model.add(key, USER, text)
                model.add(key, ASSISTANT, b"to " + text)
            elif what < 13:
                turn(sessions, key, USER if what < 12 else ASSISTANT, text)
                sessions.commit()
                if model.log.get(key) or what < 12:
                    model.add(key, USER if what < 12 else ASSISTANT, text)
                else:
                    model.log[key] = [(ASSISTANT, text, 0)]
            elif what == 13:
                archive.clear(sessions, key, 0, len(key))
                model.add(key, "clear")
            elif what == 14:
                keep = random.randint(0, 6)
                turn(sessions, key, SUMMARY, text, keep)
                sessions.commit()
                model.add(key, SUMMARY, text, keep)
            elif what == 15:
                sessions.begin(key, 0, len(key), random.choice((USER, ASSISTANT)))
                sessions.write(text, 0, len(text))
                sessions.abort()
                sessions.commit()
            elif what == 16:
                assert archive.forget(sessions, key, 0, len(key))
                model.log.pop(key, None)
            elif what == 17:
                archive.clean(sessions, NOW)
            elif what == 18:
                sessions = rebooted(**settings)
            else:
                sessions.begin(key, 0, len(key), USER)
                sessions.write(text, 0, len(text))
                sessions = rebooted(**settings)
            if step % 5 == 0:
                for key in keys:
                    limit = random.choice((60_000, 5000, 3000))  # an exchange always fits
                    expected = model.loaded(key, limit)
                    assert loaded(sessions, key, limit) == expected, (seed, step, key, limit)
                    assert history(sessions, key) == model.history(key)[-40:], (seed, step, key)
        assert sessions.error == 0 and sessions.files < 40
