"""The kill storm and the soak in their short forms."""

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from tools.chaos import soak, storm


@pytest.fixture(scope="module")
def tallies():
    """Of the storm and of the soak, which take place at the same time: both mostly wait."""
    with ThreadPoolExecutor() as pool:
        stormed = pool.submit(storm.run, storm.share(4, 50, 20, model=(0.3, 1.0)))
        soaked = pool.submit(soak.run, 4, 100, 2)
        return stormed.result(), soaked.result()


def test_a_storm_of_kills_loses_nothing_and_doubles_only_what_a_kill_explains(tallies):
    tally = tallies[0]
    told = tally.table("storm")
    assert tally.answered == tally.messages >= 50, told
    assert tally.kills == 20 and len(tally.phases) > 1, told
    assert not tally.failed, told


def test_a_soak_with_faults_and_kills_loses_nothing(tallies):
    tally = tallies[1]
    told = tally.table("soak")
    assert tally.messages >= 100 and tally.kills == 2, told
    assert tally.answered > 80 and not tally.failed, told


def test_an_answer_that_stands_twice_is_seen_and_one_that_no_kill_explains_too(tmp_path):
    street = storm.Street(tmp_path, storm.Plan(1, 0), 1)
    question = storm.Question(7, 101, "m7,m7,m7,", 0.0)
    street.shown[7] = {(101, 1): "m7,m7,", (101, 2): "m7,m7,m7,"}
    assert street._extra(question) == 1
    street.shown[7] = {(101, 1): "m7,m7,", (101, 2): "m7,"}
    assert street._extra(question) == 0
    del street.shown[7][101, 2]
    assert street._extra(question) is None


def test_a_part_of_an_answer_is_no_refusal_but_a_sentence_is_one(tmp_path):
    street = storm.Street(tmp_path, storm.Plan(1, 0), 1)
    question = storm.Question(17, 101, "m17,m17,m17,", 0.0)
    for text, state in (
        ("m17,m", ""),
        ("7,m17,m", ""),
        ("17", ""),
        ("The model's service refused the request (302).", "refused"),
        ("7,m17\n\n(The answer was cut off here; /retry asks again.)", "cut"),
        (
            "m17\n\n(Memory ran out here. /retry asks again; send a command again.)",
            "starved",
        ),
        ("m17,m17,m17,", "answered"),
    ):
        street.shown[17] = {(101, 1): text}
        assert street._state(question) == state, text


class Calls:
    """A cloud's record: (seq, time, method, connection), each answered in a millisecond."""

    def __init__(self, *rows):
        self.telegram = self
        self._calls = [
            SimpleNamespace(
                seq=seq,
                service="telegram",
                status=200,
                time=at,
                method=method,
                connection=connection,
                ms=1.0,
                fault="",
                params={"chat_id": "101"},
            )
            for seq, at, method, connection in rows
        ]

    def calls(self, method=None, since=0):
        return [one for one in self._calls if one.seq > since and method in (None, one.method)]

    def changes(self):
        return [{"kind": "sent", "chat": 101, "message_id": 1, "time": 10.0}]


SEND = (2, 10.0, "sendMessage", 5)
NEXT = (3, 10.3, "getMe", 6)


@pytest.mark.parametrize(
    ("rows", "kill", "unread"),
    [
        ((SEND, NEXT), 10.1, True),  # killed behind the send
        ((SEND, NEXT), 9.99, True),  # the send was on its way when the relay was killed
        ((SEND, NEXT), 10.9, False),  # killed long after it
        ((SEND, NEXT), 9.0, False),  # and long before
        ((SEND, (3, 10.05, "getUpdates", 5), NEXT), 10.1, False),  # its answer was read
        ((SEND, (3, 10.3, "getMe", 4)), 9.99, False),  # it is the next relay's own
    ],
)
def test_a_kill_explains_a_send_that_was_the_last_of_its_connection(tmp_path, rows, kill, unread):
    street = storm.Street(tmp_path, storm.Plan(1, 0), 1)
    street.cloud = Calls(*rows)
    street.moments = [kill]
    assert street._unread((101, 1)) == unread


def test_of_a_lost_message_it_is_told_what_the_relay_did_meanwhile(tmp_path):
    street = storm.Street(tmp_path, storm.Plan(1, 0), 1)
    street.cloud = Calls((1, 8.0, "getUpdates", 5), SEND, NEXT, (4, 60.0, "getUpdates", 6))
    street.moments = [10.1]
    street.questions[7] = storm.Question(7, 101, "m7,", 9.5)
    street._count()
    [note] = street.tally.notes
    _, instead, story = note.split(": ")
    assert street.tally.lost == 1 and street.tally.failed and instead.endswith("in its place []")
    assert [line.split()[1] for line in story.split("; ")] == ["sendMessage", "KILL", "getMe"]
