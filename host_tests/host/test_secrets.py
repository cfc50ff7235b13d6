"""No output of the whole suite holds a secret. These tests run last: see conftest.py."""

import pytest
from relay_kit import House

from tools.cloud import KEY, TOKEN
from tools.witness import WITNESS, Witness, parts


@pytest.mark.parametrize("secret", [TOKEN, KEY, "a-wifi-password"])
def test_a_secret_is_found_whole_and_in_part(tmp_path, secret):
    config = tmp_path / "thimble.json"
    config.write_text('{"wifi": {"ssid": "home", "password": "a-wifi-password"}}')
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


def test_no_output_of_the_suite_held_a_secret(tmp_path):
    # Enough for this test alone, too: what is likeliest to tell is an error.
    password = "the-password-of-the-wifi"
    settings = {"wifi": {"ssid": "home", "password": password}}
    with House(tmp_path, settings=settings) as house:
        house.cloud.models.script(status=401, message=f"no such key: {KEY}")
        house.say("what is wrong?")
        house.cloud.fault("telegram", "getUpdates", "status", status=404)
        for words in ("refused the token", "refused the key"):
            house.wait(lambda words=words: any(words in line for line in house.board.log))
        assert "401" in house.said()
    assert WITNESS.firmwares and WITNESS.bytes > 1000
    assert not WITNESS.leaks, "\n".join(WITNESS.leaks[:10])
