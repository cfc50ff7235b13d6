"""The console's commands while the relay runs, and the REPL's face before and after it."""

import json
import re
import signal

import pytest
from relay_kit import OWNER, House

from tools.cloud.models import NAMES

SETTLE_S = 15
PAIR = ("telegram", "model")


@pytest.fixture
def house(tmp_path):
    with House(tmp_path / "house") as house:
        house.wait(lambda: house.cloud.telegram.polling())
        yield house
        shown = "\n".join(house.board.log)
        assert not [secret for secret in house.secrets if secret in shown]


def stored(house):
    return json.loads((house.folder / "thimble.json").read_text())


def relays_on(house):
    chat = house.say("still there?")
    house.wait(lambda: house.texts(chat) == ["still there?"])


def test_help_lists_every_command(house):
    said = " ".join(house.board.lines("help", "help"))
    for name in ("status", "log", "config", "test", "reboot", "safe", "setup"):
        assert f"{name} " in said


def test_config_shows_everything_and_of_a_secret_four_characters(house):
    lines = house.board.lines("config", "wifi.ssid")
    found = dict(line.split(" = ", 1) for line in lines)
    assert found["telegram.token"] == json.dumps("…" + house.secrets[0][-4:], ensure_ascii=False)
    assert found["model.key"] == json.dumps("…" + house.secrets[1][-4:], ensure_ascii=False)
    assert found["model.max_tokens"] == "1024" and found["power.mode"] == '"always"'
    assert not [one for one in house.secrets if one[:-4] in str(lines) or one[4:] in str(lines)]
    assert house.board.ask("config model.name") == f'"{NAMES[0]}"'


def test_config_shows_no_password_of_any_network(device, tmp_path):
    path = tmp_path / "thimble.json"
    networks = [{"ssid": "home", "password": "a long password"}, {"ssid": "open"}]
    path.write_text(json.dumps({"wifi": {"networks": networks}}))
    source = "import thimble\nfor name in ('', 'wifi', 'wifi.networks'):\n"
    source += "    print(thimble.config.get(name))"
    done = device.run(source, {"THIMBLE_CONFIG": str(path)})
    assert done.stdout.count("'ssid': 'open'") == 3, done.stderr
    assert done.stdout.count("\\u2026word'") == 3 and "a long" not in done.stdout


def test_config_sets_one_thing_saves_it_and_says_that_it_needs_a_restart(house):
    before = stored(house)
    for command, section, key, value in (
        ("config model.name a new name", "model", "name", "a new name"),
        ("config wifi.gateway 10.0.0.1", "wifi", "gateway", "10.0.0.1"),
        ("config wifi.address 10.0.0.7", "wifi", "address", "10.0.0.7"),
        ("config model.max_tokens 2048", "model", "max_tokens", 2048),
        ("config model.system 42", "model", "system", "42"),
        ("config telegram.allow [42, 7]", "telegram", "allow", [42, 7]),
        ('config model.name "as it is shown"', "model", "name", "as it is shown"),
        ('config model.system "What?" is the word', "model", "system", '"What?" is the word'),
        ('config model.system ""', "model", "system", ""),
    ):
        assert house.board.ask(command) == "saved; it counts from the next start (reboot)"
        before.setdefault(section, {})[key] = value
        assert stored(house) == before
    relays_on(house)


@pytest.mark.parametrize(
    "command, said",
    [
        ("config model.nmae x", "model.nmae is not a setting"),
        ("config modle.name x", "modle is not a section"),
        ("config modle", "modle is not a section"),
        ("config model.nmae", "model.nmae is not a setting"),
        ("config model x", "model. is not a setting"),
        ("config model.max_tokens many", "model.max_tokens must be a whole number"),
        ("config telegram.allow 42", "telegram.allow must be a list"),
        ("config model.url ftp://x", "model.url must be a URL"),
        ("config model.url http://example.com", "must begin with https://"),
        ("config model.key sk-typed-where-it-shows", "model.key is secret"),
        ("config wifi.networks []", "wifi.networks is secret"),
        ("config memory.elevated 95", "memory.elevated must be less than memory.critical"),
        ('config clock.servers ["::1"]', "clock.servers must be a list of hosts or host:port"),
        ("config wifi.address 10.0.0.7", "wifi.address needs wifi.gateway"),
    ],
)
def test_config_refuses_by_name_and_changes_nothing(house, command, said):
    before = stored(house)
    assert said in house.board.ask(command)
    assert stored(house) == before


def test_config_says_that_the_file_cannot_be_written_and_the_relay_goes_on(house):
    before = stored(house)
    (house.folder / "thimble.json.new").mkdir()
    assert house.board.ask("config model.name x") == "not done: [Errno 21] EISDIR"
    (house.folder / "thimble.json.new").rmdir()
    assert stored(house) == before
    relays_on(house)


def test_config_says_what_is_wrong_with_strange_bytes(house):
    before = stored(house)
    house.board.process.stdin.write(b"config model.name \xff\xfe\n")
    assert house.board.ask("") == "not done: that is not UTF-8 text"
    house.board.process.stdin.write(b"config model.name \xc0\x80\n")
    assert house.board.ask("").endswith("it is not UTF-8; save it as UTF-8")
    house.board.process.stdin.write(b'config telegram.allow "\xc0\x80"\n')
    assert "telegram.allow must be a list" in house.board.ask("")
    assert stored(house) == before


def test_test_says_that_both_services_work_and_the_relay_goes_on(house):
    telegram, model = house.board.lines("test", "model")
    assert re.match(r"telegram  works: @\w+$", telegram)
    assert model.startswith("model     works: ")
    relays_on(house)


def test_test_names_what_does_not_work_and_shows_no_secret(house):
    house.cloud.models.script(status=401, message=f"no such key: {house.cloud.key}")
    house.cloud.fault("telegram", "getMe", "status", status=404)
    telegram, model = house.board.lines("test", "model")
    assert telegram == "telegram  FAILS: Telegram refused the token (404)"
    assert model.startswith("model     FAILS: ") and "401" in model
    assert house.cloud.key not in model
    relays_on(house)


def test_test_does_not_disturb_an_answer_that_is_being_written(house):
    chat = house.say("[[length=400 deltas=40 delay=0.1]]")
    house.wait(lambda: house.texts(chat))
    said = house.board.ask("test")
    assert said == "an answer is being written; try again when it is done"
    relays_on(house)
    house.quiet()
    telegram, _ = house.board.lines("test", "model")
    assert "works" in telegram


def test_two_tests_in_a_row_do_not_run_into_each_other(house):
    house.cloud.models.script(first=1)
    house.board.tell("test")
    lines = house.board.lines("test", "model")
    assert [line.split()[1] for line in lines if line.split()[0] in PAIR] == ["works:"] * 2
    assert len(house.board.lines("test", "model")) >= 2
    relays_on(house)


def test_test_waits_for_a_slow_model_whatever_became_of_the_answer_before(house):
    chat = house.say("[[length=4000 deltas=400 delay=0.1]]")
    house.wait(lambda: house.texts(chat))
    house.say("/stop", chat)
    house.wait(lambda: house.texts(chat)[0].endswith("(Stopped.)"))
    house.quiet()
    for _ in range(2):  # in the middle of a long poll, which is not to be disturbed
        house.cloud.fault("models", "chat", "late", seconds=1.0)
        _, model = house.board.lines("test", "model")
        assert "works" in model
    relays_on(house)


def test_reboot_restarts_with_nothing_lost(house, tmp_path):
    chat = house.say("before [[delay=0.01]]")
    house.wait(lambda: house.board.status()["answered"] == 1)
    assert house.board.ask("reboot") == "restarting"
    assert house.board.process.wait(5) == 75
    house.board.__enter__()
    assert house.board.status()["reset_cause"] == "restart"
    relays_on(house)
    assert len(house.texts(chat)) == 1


def test_safe_marks_the_next_start_and_there_marks_it_off(house, device):
    marks = []
    for _ in range(2):
        house.board.lines("safe", "restarting")
        assert house.board.process.wait(5) == 75
        source = (
            "from thimble.board.unix import Board; b = Board(); print(b.mark); b.restart(b.mark)"
        )
        done = device.run(source, env=house.board._command[1])
        marks.append(int(done.stdout))
        house.board.__enter__()
    house.wait(lambda: house.cloud.telegram.polling())
    assert marks == [3, 1]


def test_setup_says_how_to_get_there(house):
    said = house.board.ask("setup")
    assert "thimble.setup()" in said and "make setup" in said  # here there is no REPL


# The REPL.


def test_the_relay_ends_with_ctrl_c_and_runs_again_in_the_same_process(house, device):
    env = house.board._command[1]
    house.board.stop()
    process = device.start(
        "import gc, thimble\n"
        "for _ in range(3):\n"
        "    thimble.run()\n"
        "    thimble.config.set('model.max_tokens', thimble.config.get('model.max_tokens') + 1)\n"
        "    gc.collect(); print('again', gc.mem_alloc())\n"
        "thimble.status()",
        env,
        "184k",  # newer MicroPythons take some KB more
    )
    used = []
    for number in range(3):
        house.wait(lambda: house.cloud.telegram.polling(), timeout=SETTLE_S)
        chat = house.say(f"run {number}")
        house.wait(lambda chat=chat, n=number: house.texts(chat) == [f"run {n}"])
        process.send_signal(signal.SIGINT)
        used.append(int(process.stdout.readline().split()[1]))
    out, log = process.stdout.read(), process.stderr.read()
    assert process.wait(10) == 0, log
    segments = [int(n) for n in re.findall(r"relay up: pico_w, (\d+) segments", log)]
    # Each run comes up with more than the least that it takes by force; how many more is a matter
    # of the holes that the one before it left.
    assert len(segments) == 3 and min(segments) > 4, segments
    assert used[2] <= used[1] + 256, used
    assert stored(house)["model"]["max_tokens"] == 1027
    assert f"answers {OWNER}" in out and "Traceback" not in log


def test_ctrl_c_within_an_answer_leaves_no_file_open_and_the_next_run_finishes_it(house, device):
    env = house.board._command[1]
    house.board.stop()
    source = "import gc, thimble\nthimble.run()\ngc.collect()\nprint('again')\nthimble.run()"
    process = device.start(source, env)
    chat = house.ask("first")
    house.say("[[length=600 deltas=40 delay=0.1]]", chat)
    house.wait(lambda: len(house.texts(chat)) == 2)
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "again\n"
    house.wait(lambda: len(house.newest(chat)) > 590, timeout=SETTLE_S)
    process.send_signal(signal.SIGINT)
    out, log = process.communicate(timeout=10)
    assert process.returncode == 0 and "Error" not in out + log, out + log
    assert len(house.texts(chat)) == 2


@pytest.mark.parametrize("mode", ["rom", "mpy"])
def test_the_relay_runs_behind_the_wizard_in_the_memory_that_it_leaves(house, device, mode):
    """Answers come through a pipe: where there is no terminal, none is changed."""
    env = house.board._command[1]
    house.board.stop()
    heap, most = {"rom": ("216k", 9_000), "mpy": ("288k", 18_000)}[mode]
    source = """
import gc, thimble, thimble.relay
gc.collect()
used = gc.mem_alloc()
thimble.setup('model')
thimble.status()
gc.collect()
print('left', gc.mem_alloc() - used)
thimble.run()
"""
    process = device.start(source, env, heap, mode)
    process.stdin.write("\n\n\n" + NAMES[1] + "\n")
    process.stdin.flush()
    house.wait(lambda: house.cloud.telegram.polling(), timeout=SETTLE_S)
    process.send_signal(signal.SIGINT)
    out, log = process.communicate(timeout=10)
    assert process.returncode == 0 and "Saved in" in out, log
    assert stored(house)["model"]["name"] == NAMES[1]
    # The wizard's code is gone, its names stay until the next reset (frozen ones are in no heap),
    # and one more table of them may, 8 KB.
    left = int(re.search(r"left (\d+)", out)[1])
    assert left < most
    assert int(re.search(r"relay up: pico_w, (\d+) segments", log)[1]) > 4, log


def test_the_repls_face_works_without_a_configuration(device, tmp_path):
    env = {"THIMBLE_CONFIG": str(tmp_path / "none.json"), "THIMBLE_ROOT": str(tmp_path)}
    done = device.run(
        "import thimble\n"
        "print(thimble.config.get('model.api'))\n"
        "thimble.status()\n"
        "try:\n    thimble.run()\nexcept SystemExit as e:\n    print('exit', e)\n"
        "thimble.config.set('model.key', 'a-key-of-some-length')\n"
        "print(thimble.config.get('model'))\n"
        "thimble.status()\n"
        "thimble.setup('nothing')\n"
        "print(thimble.VERSION)",
        env,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "openai"
    assert "exit 2" in done.stdout and "none.json cannot be read" in done.stdout
    assert "missing   telegram.token is not set" in done.stdout
    assert "telegram  token not set, answers nobody\n" in done.stdout
    assert "model     not set (openai), key not set\n" in done.stdout
    assert "a-key-of-some" not in done.stdout and "…ngth" in done.stdout
    assert lines[-2].startswith("nothing is not a section") and lines[-1] == "0.1.0"
    assert json.loads((tmp_path / "none.json").read_text())["model"]["key"]


def test_who_looks_at_the_face_loads_no_other_part_of_the_firmware(device):
    """dir(), and TAB at a board's prompt, ask for every name there is."""
    done = device.run(
        "import sys, thimble\n"
        "names = dir(thimble)\n"
        "print([name in names for name in ('setup', 'status', 'config', 'run', 'relay')])\n"
        "print([hasattr(thimble, name) for name in ('relay', 'store.crash', 'nothing')])\n"
        "print([name for name in ('relay', 'telegram.reply', 'store.archive', 'console.commands',"
        " 'console.setup', 'console.status') if 'thimble.' + name in sys.modules])\n"
        "thimble.staus()"
    )
    assert done.stdout.splitlines() == [
        "[True, True, True, True, False]",
        "[False, False, False]",
        "[]",
    ], done.stderr
    assert done.stderr.endswith("AttributeError: staus\n")


def test_a_start_that_fails_leaves_the_flash_as_it_was(device, tmp_path):
    env = {"THIMBLE_CONFIG": str(tmp_path / "none.json"), "THIMBLE_ROOT": str(tmp_path)}
    done = device.run(
        "import thimble\nfrom thimble.board.unix import Board\n"
        "b = Board(); open('/flash/kept', 'w').close(); b.close()\n"
        "for _ in range(2):\n"
        "    try:\n        thimble.run()\n    except SystemExit:\n        pass\n"
        "b = Board(); open('/flash/kept').close(); print('kept')",
        env,
    )
    assert done.stdout.splitlines()[-1] == "kept", done.stderr
