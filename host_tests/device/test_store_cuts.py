"""Everything that the relay keeps, on one flash that loses its power at any moment.

Messages of three chats go through the journal; what is said goes to the sessions, now and then a
summary takes the place of the older half of a conversation, and the configuration is changed.
"""

import os

from journal_desk import Desk
from ramdisk import Cuts, Stand
from thimble import config
from thimble.core.chats import Chats
from thimble.core.conversation import ASSISTANT, SUMMARY, USER
from thimble.core.segments import Segments
from thimble.store import archive
from thimble.store.sessions import Sessions

HEAP = "3m"
TEST_S = 120

KEYS = (b"42", b"-1001234567890:7", b"421")
COUNT = 20
CONFIG = "/thimble.json"
NOW = 29_000_000


class Said:
    """The sessions, and what each key's conversation may be if the power went now."""

    def __init__(self, folder):
        self.folder = folder
        # By key: turns, and the mark of the last question. ``states``: what may be found.
        self.now = {key: ([], -1) for key in KEYS}
        self.states = {key: [self.now[key]] for key in KEYS}
        self.sessions = None

    def open(self):
        self.sessions = Sessions(self.folder, bytearray(512), files=6, file_bytes=4096)
        self.sessions.now = NOW

    def close(self):
        for number in range(self.sessions.limit):
            self.sessions.close(number)

    def turn(self, key, role, text, keep=0):
        turns, mark = self.now[key]
        if role == SUMMARY:
            self.now[key] = [(role, text)] + turns[-keep:], mark
        else:
            self.now[key] = turns + [(role, text)], keep if role == USER else mark
        self.states[key].append(self.now[key])
        self.sessions.begin(key, 0, len(key), role, keep)
        for at in range(0, len(text), 100):
            self.sessions.write(text, at, min(100, len(text) - at))
        self.sessions.end()

    def commit(self, key):
        self.sessions.commit()
        assert not self.sessions.error
        self.states[key] = [self.now[key]]

    def check(self, chats):
        """Opens what is in the folder afresh, and reads every key's conversation."""
        self.open()
        for key in KEYS:
            chat = chats.get(key, 0, len(key))
            self.sessions.load(chats, chat, 100_000)
            found = []
            chat.rewind()
            role = chat.next_turn()
            while role >= 0:
                text = b""
                while chat.next_piece():
                    text += bytes(chat.buf[chat.pos : chat.stop])
                found.append((role, text))
                role = chat.next_turn()
            yield key, (found, self.sessions.mark)
            chats.forget(chat)
        self.close()


def words(key, number, role):
    """What is said: its beginning tells whose it is; some of it is long."""
    return b"%s %d %d " % (key, number, role) + b"x" * (number * 53 % 400)


def saved(version):
    return {"model": {"name": "model-%d" % version}, "telegram": {"allow": [version]}}


def test_a_power_cut_at_any_moment_leaves_ledger_sessions_and_configuration_whole():
    desk, said = Desk(1200, 4000), Said("/flash/turns")
    other, heard = Desk(1200, 4000, "/copy/journal"), Said("/copy/turns")
    chats = Chats(Segments(1024, 64), 4)
    versions = [0]  # of the configuration: which may be found

    with Stand(32) as disk:

        def check(half):
            found = other.boot()
            desk.promises.check(found)
            assert not other.journal.damaged and not other.journal.error
            other.journal.close()
            settings = config.load("/copy" + CONFIG)
            version = settings.telegram.allow[0]
            assert version in versions and settings.model.name == "model-%d" % version
            for key, state in heard.check(chats):
                assert state in said.states[key], (key, state, said.states[key])

        config.save(saved(0), "/flash" + CONFIG)
        said.open()
        desk.boot()
        cuts = Cuts(disk, "/copy", check)
        summaries = changed = 0
        for number in range(COUNT):
            key = KEYS[number * 7 % 3]
            desk.take((number,))
            desk.attempt()
            desk.send(number)
            said.turn(key, USER, words(key, number, USER), 1000 + number)
            said.turn(key, ASSISTANT, words(key, number, ASSISTANT))
            if number % 4 == 1:
                desk.send(number)  # a further part
            said.commit(key)
            desk.close(number)
            desk.commit()
            if number % 5 == 4:
                said.turn(key, SUMMARY, words(key, number, SUMMARY), 2)
                said.commit(key)
                summaries += 1
            if number % 4 == 3:
                versions.append(number)
                config.save(saved(number), "/flash" + CONFIG)
                versions.pop(0)
                changed += 1
        disk.watch = None
        print("%d cuts, %d programs, %d erases" % (cuts.count, disk.programs, disk.erases))
        assert cuts.count > 1000 and summaries == 4 and changed == 5
        assert len(desk.promises.closed) == COUNT and said.sessions.files > 1
        said.close()
        desk.journal.close()


def test_a_power_cut_while_a_session_is_forgotten_costs_no_other_and_forgetting_goes_on():
    said, heard = Said("/flash/turns"), Said("/copy/turns")
    chats = Chats(Segments(1024, 64), 4)
    mine = KEYS[0]
    left = []  # how many of its turns were there still

    with Stand(32) as disk:

        def check(half):
            for key, (found, _) in heard.check(chats):
                turns = said.now[key][0]
                if key == mine:
                    left.append(len(found))
                    assert all(turn in turns for turn in found)
                else:
                    assert found == turns, (key, found)
            heard.open()
            assert archive.forget(heard.sessions, mine, 0, len(mine))
            heard.close()
            for name, _, _, *_ in os.ilistdir("/copy/turns"):
                with open("/copy/turns/" + name, "rb") as file:
                    assert mine + b" " not in file.read(), name
            for key, (found, _) in heard.check(chats):
                assert found == ([] if key == mine else said.now[key][0]), key

        said.open()
        for number in range(COUNT):
            key = KEYS[number % 3]
            said.turn(key, USER, words(key, number, USER))
            said.turn(key, ASSISTANT, words(key, number, ASSISTANT))
            if number == COUNT // 2:
                said.turn(mine, SUMMARY, words(mine, number, SUMMARY), 2)
            said.commit(key)
        assert said.sessions.files > 2
        cuts = Cuts(disk, "/copy", check)
        assert archive.forget(said.sessions, mine, 0, len(mine))
        disk.watch = None
        print("%d cuts, %s" % (cuts.count, sorted(set(left))))
        said.close()
        assert cuts.count > 150 and len(set(left)) > 2
