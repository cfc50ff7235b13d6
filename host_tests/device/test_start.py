"""The first steps of a relay."""

from thimble import start
from thimble.core.ring import Ring
from thimble.telegram import updates


class Relay:
    def __init__(self, *states):
        self.inbox = Ring(bytearray(1024), updates.TEXT)
        for state in states:
            self.inbox.buf[self.inbox.pend(updates.TEXT) + updates.STATE] = state
            self.inbox.finish(updates.TEXT)

    def states(self):
        found, record = [], self.inbox.first()
        while record >= 0:
            found.append(self.inbox.buf[record + updates.STATE])
            record = self.inbox.after(record)
        return found


def test_one_attempt_is_forgiven_and_none_where_there_was_none():
    told = updates.BEGUN | updates.TOLD
    relay = Relay(0, 1, 3, told, told | 1)
    start.forgive(relay)
    assert relay.states() == [0, 0, 2, told, told], relay.states()
