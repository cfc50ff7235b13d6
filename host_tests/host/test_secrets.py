"""No output holds a secret: every test's is looked through behind it, see conftest.py."""

import json

import pytest
from collector_kit import project, run
from relay_kit import House

from tools.cloud import KEY, TOKEN
from tools.witness import WITNESS, Witness, parts


@pytest.mark.parametrize("secret", [TOKEN, KEY, "a-wifi-password", "another-one-of-them"])
def test_a_secret_is_found_whole_and_in_part(tmp_path, secret):
    config = tmp_path / "thimble.json"
    more = [{"ssid": "office", "password": "another-one-of-them"}]
    wifi = {"ssid": "home", "password": "a-wifi-password", "networks": more}
    config.write_text(json.dumps({"wifi": wifi}))
    env = {"THIMBLE_CONFIG": str(config)}
    kept = secret.rpartition(":")[2]
    for leak in (secret, kept[1:], kept[:-2], kept[2:14]):
        witness = Witness()
        witness.heard(env, b"an error with " + leak.encode() + b" in it\n")
        assert len(witness.leaks) == 1, leak


def test_what_is_no_secret_is_not_found():
    witness = Witness()
    witness.heard({}, b"bot 123456789 asks simulated-1 on telegram.test\n")
    witness.shown(["a token, a key, the simulated model"])
    assert not witness.leaks and witness.bytes
    assert not parts(["", "short"])


def test_a_test_whose_output_holds_a_secret_fails(tmp_path):
    tells = f"def test_tells():\n    print('a key: {KEY}')\n\n\ndef test_tells_not():\n    pass\n"
    _, said = run(project(tmp_path, tells))
    assert "2 passed, 1 error" in said and f"a key: {KEY}" in said


def test_errors_of_both_services_are_told_without_secrets(tmp_path):
    password = "the-password-of-the-wifi"
    settings = {"wifi": {"ssid": "home", "password": password}}
    before = WITNESS.bytes
    with House(tmp_path, settings=settings) as house:
        house.cloud.models.script(status=401, message=f"no such key: {KEY}")
        house.say("what is wrong?")
        house.cloud.fault("telegram", "getUpdates", "status", status=404)
        for words in ("refused the token", "refused the key"):
            house.wait(lambda words=words: any(words in line for line in house.board.log))
        assert "401" in house.said()
    assert WITNESS.bytes > before + 1000 and not WITNESS.leaks
