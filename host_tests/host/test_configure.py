"""`make configure`: what it writes on the emulated board, what it proves in the runtime."""

import hashlib
import json
import re

import pytest

from tools import configure, flash, qemu
from tools.cloud.cloud import Cloud
from tools.configure import ConfigurationError
from tools.remote import BoardError, Remote

TOKEN = "123456789:from-the-environment-of-a-test"
KEY = "sk-a-key-from-the-environment"


@pytest.fixture
def file(tmp_path):
    """A configuration that takes its secrets from the environment."""
    path = tmp_path / "board.json"
    path.write_text(
        json.dumps(
            {
                "wifi": {"networks": [{"ssid": "home", "password": "env:T_WIFI"}]},
                "telegram": {"token": "env:T_TOKEN", "allow": [42]},
                "model": {"key": "env:T_KEY", "name": "a model 😀"},
            }
        )
    )
    return path


@pytest.fixture
def environment(monkeypatch):
    for name, value in (("T_WIFI", "a long password"), ("T_TOKEN", TOKEN), ("T_KEY", KEY)):
        monkeypatch.setenv(name, value)


def test_secrets_come_from_the_environment_wherever_they_stand(file):
    found = configure.load(file, {"T_WIFI": "w w", "T_TOKEN": "t\n", "T_KEY": "k"})
    assert found["wifi"]["networks"] == [{"ssid": "home", "password": "w w"}]
    assert (found["telegram"]["token"], found["model"]["key"]) == ("t", "k")
    assert found["telegram"]["allow"] == [42]


@pytest.mark.parametrize("token", [{}, {"T_TOKEN": ""}])
def test_a_variable_that_is_not_set_is_named(file, token):
    with pytest.raises(ConfigurationError, match="no T_TOKEN, which env:T_TOKEN stands for"):
        configure.load(file, {"T_WIFI": "w", "T_KEY": "k", **token})


@pytest.mark.parametrize(
    "values, said",
    [
        ({"model": {"nmae": "x"}}, "model.nmae is not a setting"),
        ({"telegram": {"token": "1:x", "allow": "42"}}, "telegram.allow must be a list"),
        ({"telegram": {"token": "1:x"}}, "model.name is not set"),
        ({}, "telegram.token is not set"),
        ([], "must be a JSON object"),
        ({"model": {"name": "\ud83d"}}, "surrogate"),
        ({"model": {"url": "http://example.com"}}, "model.url must begin with https://"),
        ({"model": {"system": "x" * 60_000}}, "MemoryError: memory allocation failed"),
    ],
)
def test_what_the_firmware_would_refuse_is_refused_before_a_board_is_asked(tmp_path, values, said):
    file = tmp_path / "board.json"
    file.write_text(json.dumps(values))
    with pytest.raises(ConfigurationError, match=said):
        configure.configure(file, "no board is asked", force=True)


def test_a_certificate_that_is_not_there_is_named_before_a_board_is_asked(file, environment):
    with_certificate(file, b"")
    (file.parent / "ca.pem").unlink()
    with pytest.raises(ConfigurationError, match=r"tls\.ca cannot be read: ca\.pem: No such file"):
        configure.configure(file, "no board is asked", force=True)


def test_what_the_firmware_takes_is_taken(file, environment):
    configure.check(configure.load(file))


# Onto a board. The emulated one has no network, so that nothing can be proved there.


@pytest.fixture(scope="module")
def board():
    with qemu.Board(qemu.build(stock=True)) as board:
        flash.flash("qemu", board.port, say=lambda line: None)
        yield board


def with_certificate(file, data):
    """Lets the configuration name a certificate, which the board has under the name returned."""
    values = json.loads(file.read_text()) | {"tls": {"ca": "ca.pem"}}
    file.write_text(json.dumps(values))
    (file.parent / "ca.pem").write_bytes(data)
    return f"/ca-{hashlib.sha256(data).hexdigest()[:8]}.pem"


def test_what_does_not_work_leaves_the_board_as_it_was(board, file, environment):
    with_certificate(file, b"a certificate")
    with Remote(board.port) as link:
        link.write(configure.CONFIG, b'{"old": 1}')
        before = link.sizes("/")
    said = []
    assert configure.configure(file, board.port, say=said.append) is False
    assert "keeps the configuration that it had" in " ".join(said)
    assert [line for line in said if line.startswith("proving failed: ")]
    with Remote(board.port) as link:
        assert link.read(configure.CONFIG) == b'{"old": 1}'
        assert link.sizes("/") == before


def test_forced_it_is_written_whole_with_its_certificate_and_shows_no_secret(
    board, file, environment, capfd
):
    ca = with_certificate(file, b"a certificate")
    assert configure.configure(file, board.port, force=True)
    out, err = capfd.readouterr()
    assert "written to /thimble.json" in out
    assert not [secret for secret in (TOKEN, KEY, "a long password") if secret in out + err]
    with Remote(board.port) as link:
        there = json.loads(link.read(configure.CONFIG))
        assert link.read(ca) == b"a certificate"
        assert configure.TRIAL not in link.sizes("/")
    assert there["telegram"]["token"] == TOKEN and there["model"]["name"] == "a model 😀"
    assert there["wifi"]["networks"][0]["password"] == "a long password"
    assert there["tls"] == {"ca": ca}


# What it proves.


@pytest.fixture
def stand_in(device, tmp_path, monkeypatch):
    """In the place of a board: the firmware in the 32-bit runtime, files in a folder."""
    root = tmp_path / "board"
    root.mkdir()

    class StandIn:
        def __init__(self, port):
            assert port == "a port"

        def __enter__(self):
            return self

        def __exit__(self, *exc):
            pass

        maintain = reset = __exit__

        def write(self, path, data):
            (root / path.rpartition("/")[2]).write_bytes(data)

        def read(self, path):
            return (root / path.rpartition("/")[2]).read_bytes()

        def sizes(self, *paths):
            return {p: len(self.read(p)) for p in paths if (root / p.rpartition("/")[2]).exists()}

        def remove(self, path):
            (root / path.rpartition("/")[2]).unlink(missing_ok=True)

        def run(self, code, silence=0):
            assert "prove" not in code or silence == configure.PROOF_S
            code = re.sub(r"'(/[\w.]+)'", lambda found: repr(str(root) + found[1]), code)
            done = device.run(code, {"THIMBLE_ROOT": str(root)}, timeout=60)
            assert done.returncode == 0, done.stderr
            return done.stdout

        def first_line(self, start):
            return start

    monkeypatch.setattr(configure, "Remote", StandIn)
    return root


@pytest.mark.parametrize("api", ["openai", "anthropic"])
def test_a_configuration_that_works_is_proved_and_written(stand_in, tmp_path, api):
    with Cloud() as cloud:
        file = tmp_path / "board.json"
        values = cloud.config(api=api, secure=False)
        file.write_text(json.dumps(values))
        said = []
        assert configure.configure(file, "a port", say=said.append)
        assert cloud.telegram.count("getMe") == 1
    assert re.search(r"telegram  works: @\w+", "\n".join(said))
    assert re.search(r"model     works: \w", "\n".join(said))
    assert json.loads((stand_in / "thimble.json").read_text()) == values
    assert not (stand_in / "thimble.trial.json").exists()


def test_a_wrong_token_and_a_model_that_refuses_are_both_reported(stand_in, tmp_path):
    with Cloud() as cloud:
        file = tmp_path / "board.json"
        values = cloud.config(secure=False)
        values["telegram"]["token"] = TOKEN
        file.write_text(json.dumps(values))
        cloud.models.script(status=403, message=f"not with the key {cloud.key}")
        said = []
        assert not configure.configure(file, "a port", say=said.append)
    text = "\n".join(said)
    assert "telegram  FAILS: Telegram refused the token (401)" in text
    assert "model     FAILS: " in text and "403" in text
    assert cloud.key not in text and TOKEN not in text
    assert not (stand_in / "thimble.json").exists()


def test_a_model_that_says_its_key_is_not_shown_with_it(stand_in, tmp_path):
    with Cloud() as cloud:
        file = tmp_path / "board.json"
        file.write_text(json.dumps(cloud.config(secure=False)))
        cloud.models.script(text=f"it is {cloud.key}")
        said = []
        assert configure.configure(file, "a port", say=said.append)
    assert "model     works: it is ***" in said


@pytest.mark.parametrize("service, method", [("telegram", "getMe"), ("models", "chat")])
def test_one_of_both_that_does_not_work_is_enough_to_be_refused(
    stand_in, tmp_path, service, method
):
    with Cloud() as cloud:
        file = tmp_path / "board.json"
        file.write_text(json.dumps(cloud.config(secure=False)))
        cloud.fault(service, method, "status", status=403)
        said = []
        assert not configure.configure(file, "a port", say=said.append)
    assert "works: " in "\n".join(said) and "FAILS: " in "\n".join(said)
    assert not (stand_in / "thimble.json").exists()


def test_a_main_py_of_the_users_own_that_starts_in_its_way_is_noted(
    stand_in, refused, monkeypatch
):
    def first_line(link, start):
        raise BoardError("it said: mine")

    monkeypatch.setattr(configure.Remote, "first_line", first_line)
    said = []
    assert configure.configure(refused, "a port", force=True, say=said.append)
    assert said[-1] == "note: it said: mine"


def test_the_command_says_whether_the_board_has_it_now(stand_in, refused, monkeypatch):
    for force, code in (([], 1), (["--force"], 0)):
        monkeypatch.setattr("sys.argv", ["configure", str(refused), "--port", "a port", *force])
        assert configure.main() == code
        assert (stand_in / "thimble.json").exists() == bool(force)


# The certificates.


def certificates(stand_in):
    return {path.name: path.read_bytes() for path in stand_in.glob("*.pem")}


@pytest.fixture
def refused(file, environment):
    """A configuration that no proof accepts."""
    values = json.loads(file.read_text())
    values["telegram"]["url"] = values["model"]["url"] = "http://127.0.0.1:9"
    file.write_text(json.dumps(values))
    return file


def test_a_failed_proof_leaves_the_certificate_of_the_configuration_that_stays(stand_in, refused):
    old = with_certificate(refused, b"the old one")
    assert configure.configure(refused, "a port", force=True)
    with_certificate(refused, b"a new one")
    assert not configure.configure(refused, "a port")
    assert certificates(stand_in) == {old[1:]: b"the old one"}
    assert json.loads((stand_in / "thimble.json").read_text())["tls"]["ca"] == old


def test_a_failed_proof_of_the_same_certificate_leaves_it(stand_in, refused):
    old = with_certificate(refused, b"the old one")
    assert configure.configure(refused, "a port", force=True)
    assert not configure.configure(refused, "a port")
    assert certificates(stand_in) == {old[1:]: b"the old one"}


def test_a_certificate_goes_with_the_configuration_that_named_it(stand_in, refused):
    with_certificate(refused, b"the old one")
    assert configure.configure(refused, "a port", force=True)
    for _ in range(2):
        new = with_certificate(refused, b"a new one")
        assert configure.configure(refused, "a port", force=True)
        assert certificates(stand_in) == {new[1:]: b"a new one"}


@pytest.mark.parametrize("old", [b'{"tls": {"ca": "/mine.pem"}}', b'{"tls": []}', b"[]", b"{"])
def test_a_certificate_of_the_users_own_stays(stand_in, refused, old):
    (stand_in / "mine.pem").write_bytes(b"mine")
    (stand_in / "thimble.json").write_bytes(old)
    new = with_certificate(refused, b"a new one")
    assert configure.configure(refused, "a port", force=True)
    assert certificates(stand_in) == {"mine.pem": b"mine", new[1:]: b"a new one"}
