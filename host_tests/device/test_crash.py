"""Reports on flash: the newest stay, in whole lines, and the file never grows beyond its bound."""

import os

from thimble import start
from thimble.core.errors import NetError
from thimble.store import crash

TEST_S = 20
_MOST = 2048


def _path():
    return "/tmp/thimble-test-report-%d.txt" % id(os)


def _read(path):
    with open(path) as file:
        return file.read()


def test_reports_written_again_and_again_stay_within_2_kb_and_the_newest_is_whole():
    path = _path()
    for number in range(60):
        report = "minute %d, critical\n%s\n" % (number, "x" * (number * 7 % 300))
        crash.keep(path, report)
        kept = _read(path)
        assert len(kept) <= _MOST
        assert kept.endswith(report)
        assert kept[0] in "mx"
    assert len(kept) > _MOST - 400 and kept.count("critical") > 4
    os.remove(path)


def test_a_report_that_cannot_be_written_raises_nothing():
    crash.keep("/nowhere/at/all.txt", "minute 1\n")


def test_what_was_there_and_is_no_text_is_replaced():
    path = _path()
    with open(path, "wb") as file:
        file.write(b"\xff\xfe")
    crash.keep(path, "minute 1\n")
    assert _read(path) == "minute 1\n"
    os.remove(path)


def test_that_the_owner_cannot_be_told_just_now_is_no_crash():
    class Part:
        said = tell = ""
        crashes = 1
        owner = b"42"

        def fail(self, error):
            self.said = str(error)

        def load(self, *args):
            pass

        def begin(self):
            pass

        def say(self, words):
            raise NetError("telegram", "out of reach")

    relay, part = Part(), Part()
    relay.tell = "what went wrong"
    relay.updates = relay.aside = relay.log = part
    part.peer = part
    start.tell(relay)
    assert "out of reach" in part.said and not relay.tell
