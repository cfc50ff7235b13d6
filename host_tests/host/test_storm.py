"""The kill storm and the soak in their short forms."""

from tools.chaos import soak, storm


def test_a_storm_of_kills_loses_nothing_and_doubles_only_what_a_kill_explains():
    tally = storm.run(storm.share(3, 50, 20, model=(0.3, 1.0)))
    told = storm.table("storm", tally)
    assert tally.answered == tally.messages >= 50, told
    assert tally.kills == 20 and len(tally.phases) > 1, told
    assert not tally.failed, told


def test_a_soak_with_faults_and_kills_loses_nothing():
    tally = soak.run(2, 100, 2)
    told = storm.table("soak", tally)
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
