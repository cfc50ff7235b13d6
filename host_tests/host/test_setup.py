"""The wizard, driven through a terminal, against the simulated cloud."""

import io
import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pexpect
import pytest
from net_kit import UdpServer
from relay_kit import OWNER
from test_dns import message

from tools.cloud.cloud import Cloud
from tools.cloud.models import NAMES
from tools.witness import WITNESS

ROOT = Path(__file__).parents[2]
ENTER = "\r"
WRONG = "987654321:AAF-not-the-token-of-anybody-00000"


@pytest.fixture
def cloud():
    with Cloud(chats=(OWNER, 77, 78)) as cloud:
        cloud.telegram.flood_limits(enabled=False)
        cloud.models.default(mode="friendly")
        yield cloud


@pytest.fixture
def config(cloud, tmp_path):
    """A configuration that only says where the simulated services are."""
    path = tmp_path / "thimble.json"
    urls = cloud.urls
    bare = {
        "telegram": {"url": urls["telegram"]},
        "model": {"url": urls["models"]},
        "tls": {"ca": str(cloud.ca_der)},
    }
    path.write_text(json.dumps(bare))
    return path


@pytest.fixture
def whole(cloud, config):
    """A configuration with which a relay would run."""
    config.write_text(json.dumps(cloud.config(ca=str(cloud.ca_der))))
    return config


@pytest.fixture
def folder(tmp_path):
    """Where what is temporary stands."""
    path = tmp_path / "temporary"
    path.mkdir()
    return path


@pytest.fixture
def wizard(cloud, config, folder, monkeypatch):
    """Starts the wizard on a terminal. All that it showed is looked through for secrets."""
    started = []
    monkeypatch.setenv("TMPDIR", str(folder))

    def start(section=""):
        argv = ["-m", "tools.run", "--config", str(config), "--setup"] + [section] * bool(section)
        child = pexpect.spawn(sys.executable, argv, cwd=ROOT, timeout=20, encoding="utf-8")
        child.logfile_read = io.StringIO()
        child.delaybeforesend = 0.01
        child.ptyproc.delayafterterminate = 0.5  # on a busy machine 0.1 s is not enough
        started.append(child)
        return child

    yield start
    for child in started:
        child.close(force=True)
        shown = child.logfile_read.getvalue()
        WITNESS.heard({"THIMBLE_CONFIG": str(config)}, shown.encode())
        for secret in (cloud.token, cloud.key, WRONG):
            assert secret not in shown and secret[:-4] not in shown and secret[4:] not in shown


def answer(child, question, text):
    child.expect(rf"\n{re.escape(question)}[^\n]*\]: ")
    child.send(text + ENTER)


def code(child):
    child.expect(r"/start (\d{8})\s")
    number = child.match[1]
    child.expect_exact("Enter goes on without.")
    return number


def ended(child):
    child.expect(pexpect.EOF)
    child.wait()
    return child.exitstatus


def test_the_first_setup_asks_proves_pairs_and_saves(cloud, config, wizard):
    child = wizard()
    child.expect_exact("Wi-Fi: the system keeps the network.")
    answer(child, "Bot token from @BotFather [not set", cloud.token)
    child.expect_exact("Hello, I am @")
    child.expect_exact("Answered are: nobody.")
    number = code(child)
    cloud.telegram.say(chat=77, text="is anybody there?")
    cloud.telegram.say(chat=OWNER, text=f"/start {number}")
    child.expect_exact(f"{OWNER} is on the list now.")
    answer(child, "API", "")
    answer(child, "URL", "")
    answer(child, "Key", cloud.key)
    answer(child, "Model", NAMES[0])
    child.expect(r"The model says: \w+")
    child.expect_exact("Saved in ")
    assert ended(child) == 0
    [question] = cloud.models.calls()[-1].params["messages"]
    assert question["content"] == "Answer with one word: hello"
    values = json.loads(config.read_text())
    assert values["telegram"]["token"] == cloud.token
    assert values["telegram"]["allow"] == [OWNER]
    assert (values["model"]["key"], values["model"]["name"]) == (cloud.key, NAMES[0])
    assert values["tls"]["ca"] == str(cloud.ca_der)
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    assert cloud.telegram.pending() == 0


def test_a_second_setup_changes_one_thing_and_keeps_all_else(cloud, whole, wizard):
    before = json.loads(whole.read_text())
    child = wizard()
    answer(child, f"Bot token from @BotFather […{cloud.token[-4:]}", "")
    child.expect_exact("Hello, I am @")
    answer(child, "API", "")
    answer(child, "URL", "")
    answer(child, f"Key, - for none […{cloud.key[-4:]}", "")
    answer(child, f"Model [{NAMES[0]}", NAMES[1])
    child.expect_exact("Saved in ")
    assert ended(child) == 0
    before["model"]["name"] = NAMES[1]
    assert json.loads(whole.read_text()) == before


def test_one_section_alone_asks_for_nothing_else(cloud, whole, wizard):
    child = wizard("model")
    answer(child, "API", "")
    answer(child, "URL", "")
    answer(child, "Key", "")
    answer(child, "Model", NAMES[1])
    child.expect_exact("Saved in ")
    assert "Bot token" not in child.logfile_read.getvalue()
    assert json.loads(whole.read_text())["model"]["name"] == NAMES[1]
    assert not cloud.telegram.calls()


@pytest.mark.parametrize(
    "key, said, code",
    [("\x03", "Nothing was changed.", 0), ("\x04", "changed (the line has ended).", 1)],
    ids=["ctrl-c", "ctrl-d"],
)
def test_ctrl_c_leaves_everything_as_it_was(cloud, whole, wizard, key, said, code):
    before = whole.read_bytes()
    child = wizard()
    answer(child, "Bot token", "")
    answer(child, "API", "anthropic")
    child.expect_exact("URL [https://")
    child.send(key)
    child.expect_exact(said)
    assert ended(child) == code
    assert whole.read_bytes() == before
    assert [path.name for path in whole.parent.glob("thimble*")] == ["thimble.json"]


def test_ctrl_c_ends_a_proof_that_takes_long(cloud, whole, wizard):
    before = whole.read_bytes()
    cloud.models.script(first=30)
    child = wizard("model")
    for question in ("API", "URL", "Key", "Model"):
        answer(child, question, "")
    cloud.wait_for(cloud.models.calls)
    child.sendintr()
    child.expect_exact("Nothing was changed.")
    assert ended(child) == 0
    assert whole.read_bytes() == before


def test_a_wrong_token_is_refused_and_asked_for_again(cloud, config, wizard):
    child = wizard("telegram")
    answer(child, "Bot token", "no token at all")
    child.expect_exact("telegram.token must have only characters of ASCII")
    answer(child, "Bot token", "12345")
    child.expect_exact("must look like 123456:ABC")
    answer(child, "Bot token", WRONG)
    child.expect_exact("Telegram refused the token (401)")
    answer(child, f"Bot token from @BotFather […{WRONG[-4:]}", cloud.token)
    child.expect_exact("Hello, I am @")
    child.expect_exact("Saved in ")
    assert json.loads(config.read_text())["telegram"]["token"] == cloud.token


def test_without_addresses_of_its_own_it_verifies_the_real_services(config, wizard, monkeypatch):
    """Their roots are loaded before a name is asked for; here no name server knows it."""
    config.unlink()
    with UdpServer(lambda query, _: [message(query, flags=b"\x81\x83")]) as server:
        monkeypatch.setenv("THIMBLE_DNS", server.name)
        child = wizard("telegram")
        answer(child, "Bot token from @BotFather [not set", WRONG)
        child.expect_exact("there is no host api.telegram.org")
        child.expect_exact("]: ")
        child.sendintr()
        child.expect_exact("Nothing was changed.")


def test_a_model_that_refuses_is_said_with_its_reason_and_without_the_key(cloud, whole, wizard):
    cloud.models.script(status=401, message=f"no such key: {cloud.key}")
    child = wizard("model")
    for name, said in (("", "401"), ("gpt-nought", "404"), (NAMES[0], "The model says:")):
        for question in ("API", "URL", "Key"):
            answer(child, question, "")
        answer(child, "Model", name)
        child.expect_exact(said)
    child.expect_exact("Saved in ")


def test_the_address_follows_the_api_unless_it_is_somebodys_own(cloud, config, wizard):
    child = wizard("model")
    answer(child, "API", "anthropic")
    child.expect_exact(f"URL [{cloud.urls['models']}]: ")
    child.send("https://api.openai.com/v1" + ENTER)
    answer(child, "Key", "")
    answer(child, "Model", "")
    answer(child, "API, openai or anthropic [anthropic", "")
    child.expect_exact("URL [https://api.anthropic.com/v1]: ")
    child.send(ENTER)
    answer(child, "Key", "")
    answer(child, "Model", "")
    answer(child, "API", "openai")
    child.expect_exact("URL [https://api.openai.com/v1]: ")
    child.sendintr()
    child.expect_exact("Nothing was changed.")


def test_of_a_model_that_says_much_the_beginning_is_shown(cloud, whole, wizard):
    cloud.models.script(length=400_000, deltas=100)
    child = wizard("model")
    for question in ("API", "URL", "Key", "Model"):
        answer(child, question, "")
    child.expect(r"The model says: [^\n]{40,61}\n")
    child.expect_exact("Saved in ")


def test_a_terminal_that_is_unplugged_leaves_everything_as_it_was(cloud, config, wizard, folder):
    before = config.read_bytes()
    child = wizard()
    answer(child, "Bot token", cloud.token)
    child.expect_exact("Hello, I am @")
    child.expect_exact("Enter goes on without.")
    assert len(list(folder.iterdir())) == 1
    child.ptyproc.fileobj.close()  # and no signal but the terminal's own
    deadline = time.monotonic() + 20
    while child.isalive() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not child.isalive() and child.exitstatus == 128 + signal.SIGHUP
    assert not list(folder.iterdir())
    assert config.read_bytes() == before
    assert [path.name for path in config.parent.glob("thimble*")] == ["thimble.json"]


@pytest.mark.parametrize("closed", [False, True])
def test_a_standard_input_that_is_at_its_end_changes_nothing_and_fails(whole, closed):
    before = whole.read_bytes()
    done = subprocess.run(
        [sys.executable, "-m", "tools.run", "--config", str(whole), "--setup"],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        preexec_fn=(lambda: os.close(0)) if closed else None,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert done.returncode == 1 and not done.stderr
    assert done.stdout.endswith("\nNothing was changed (the line has ended).\n")
    assert whole.read_bytes() == before


@pytest.mark.parametrize(
    "typed",
    [
        "\x1b[200~{}\x1b[201~",  # a bracketed paste
        "  {}\t ",
        "\x00\x01{}\x1b[A",
        "\x1b[O\x1b1{}",  # the terminal is no longer looked at; a key with Alt
        "x\x7f{}",
        "ü\x08{}",
        "{}\r\n"[:-2],
    ],
)
def test_what_a_paste_brings_with_it_is_dropped(cloud, config, wizard, typed):
    child = wizard("telegram")
    answer(child, "Bot token", typed.format(cloud.token))
    child.expect_exact("Hello, I am @")
    child.expect_exact("Saved in ")
    assert json.loads(config.read_text())["telegram"]["token"] == cloud.token


def test_strange_bytes_are_refused_with_a_sentence_and_change_nothing(cloud, whole, wizard):
    before = whole.read_bytes()
    child = wizard("telegram")
    child.expect_exact("]: ")
    for data, said in (
        (b"\xff\xfe\x80", "not UTF-8 text"),
        ("﻿".encode() + cloud.token.encode(), "telegram.token must have only characters of ASCII"),
        ("123456:\u200bABC".encode(), "telegram.token must have only characters of ASCII"),
        (b"1:" + b"A" * 5000, "too long"),
        (b"1:" + b"A" * 600 + b"\x7f" * 200, "too long"),
    ):
        child.ptyproc.write(data + b"\r")
        child.expect_exact(said)
    child.expect_exact("]: ")
    child.sendintr()
    child.expect_exact("Nothing was changed.")
    assert whole.read_bytes() == before


def test_pairing_takes_only_who_sends_the_code_and_keeps_what_waits(cloud, whole, wizard):
    cloud.telegram.say(chat=OWNER, text="for the relay")
    child = wizard("pair")
    child.expect_exact(f"Answered are: {OWNER}.")
    number = code(child)
    for text in ("hello", number[:-1], number + "0", "x" * 80 + f" {number}", f"a b {number}"):
        cloud.telegram.say(chat=78, text=text)
    cloud.telegram.chat(-300)
    cloud.telegram.say(chat=-300, user=88, text=f"/start {number}")
    cloud.telegram.sticker(chat=78)
    time.sleep(1.5)
    cloud.telegram.say(chat=77, text=number)
    child.expect_exact("77 is on the list now.")
    child.expect_exact("Saved in ")
    assert json.loads(whole.read_text())["telegram"]["allow"] == [OWNER, 77]
    assert cloud.telegram.pending() == 9


def test_who_is_on_the_list_already_is_not_put_on_it_twice(cloud, whole, wizard):
    child = wizard("pair")
    cloud.telegram.say(chat=OWNER, text=code(child))
    child.expect_exact(f"{OWNER} is on the list already.")
    child.expect_exact("Saved in ")
    assert json.loads(whole.read_text())["telegram"]["allow"] == [OWNER]
    assert cloud.telegram.pending() == 0  # nothing else waits: the relay is not to answer the code


def test_pairing_says_when_more_waits_than_can_be_looked_through(cloud, whole, wizard):
    for number in range(100):
        cloud.telegram.say(chat=OWNER, text=f"for the relay {number}")
    child = wizard("pair")
    code(child)
    child.expect_exact("100 messages wait. Let the relay answer them, then pair.")
    child.expect_exact("Nobody was paired.")
    assert ended(child) == 0
    assert cloud.telegram.pending() == 100


def test_the_code_is_seen_though_it_is_the_last_that_can_be_looked_through(cloud, whole, wizard):
    for number in range(99):
        cloud.telegram.say(chat=OWNER, text=f"for the relay {number}")
    child = wizard("pair")
    cloud.telegram.say(chat=77, text=code(child))
    child.expect_exact("77 is on the list now.")


def test_another_relay_with_the_same_bot_is_said_and_no_webhook_removed(cloud, whole, wizard):
    cloud.fault("telegram", "getUpdates", "status", status=409, times=3)
    child = wizard("pair")
    number = code(child)
    child.expect_exact("the server answered 409")
    said = time.monotonic()
    cloud.telegram.say(chat=77, text=number)
    child.expect_exact("77 is on the list now.")
    assert time.monotonic() - said > 2  # a second behind each
    assert not cloud.telegram.count("deleteWebhook")


def test_enter_goes_on_without_pairing(cloud, whole, wizard):
    child = wizard("pair")
    code(child)
    child.send(ENTER)
    child.expect_exact("Nobody was paired.", timeout=15)
    child.expect_exact("Saved in ")
    assert json.loads(whole.read_text())["telegram"]["allow"] == [OWNER]


def test_a_code_that_nobody_sends_is_waited_for_five_minutes(device, config):
    source = """
import time
from fake_board import Settings
from thimble.console import pair, setup
now = [0]
clock = Settings(ticks_ms=lambda: now[0], ticks_add=time.ticks_add, ticks_diff=time.ticks_diff)
class Pairing:
    def __init__(self, *args):
        pass
    def poll(self):
        print("poll")
        now[0] += 50_000
        return 0
setup.time, pair.Pairing = clock, Pairing
http = Settings(close=lambda: print("closed"))
setup._Wizard._bot = lambda *args: Settings(username=b"bot", username_len=3, http=http)
setup.run("pair")
"""
    env = {"THIMBLE_CONFIG": str(config), "THIMBLE_ROOT": str(config.parent)}
    process = device.start(source, env)  # whose standard input stays open, with nothing in it
    out = process.stdout.read()
    assert process.wait(10) == 0, process.stderr.read()
    *_, closed, nobody, _saved = out.splitlines()
    assert out.count("poll\n") == 6 and closed == "closed"
    assert nobody == "Nobody was paired. Nobody is answered until then."


def test_a_webhook_is_removed_for_pairing(cloud, whole, wizard):
    from cloud_kit import Api

    Api(cloud)("setWebhook", url="https://hooks.test/")
    child = wizard("pair")
    number = code(child)
    cloud.telegram.say(chat=77, text=number)
    child.expect_exact("77 is on the list now.")


def test_a_webhook_that_is_not_removed_at_first_is_said_and_ends_nothing(cloud, whole, wizard):
    from cloud_kit import Api

    Api(cloud)("setWebhook", url="https://hooks.test/")
    cloud.fault("telegram", "deleteWebhook", "status", status=500)
    child = wizard("pair")
    number = code(child)
    child.expect_exact("the server answered 500")
    cloud.telegram.say(chat=77, text=number)
    child.expect_exact("77 is on the list now.")
    child.expect_exact("Saved in ")


def test_who_sent_the_code_is_paired_though_telegram_could_not_be_told(cloud, whole, wizard):
    child = wizard("pair")
    number = code(child)
    cloud.wait_for(cloud.telegram.polling)
    cloud.fault("telegram", "getUpdates", "status", status=500)
    cloud.telegram.say(chat=77, text=number)
    child.expect_exact("77 is on the list now.")
    child.expect_exact("Saved in ")


def asked(device, calls, typed):
    """What a Terminal shows that is no terminal of Linux, and what ``calls`` of it give."""
    source = """
import builtins
real = builtins.__import__
def missing(name, *more):
    if name == "termios":
        raise ImportError
    return real(name, *more)
builtins.__import__ = missing
from thimble.console.terminal import Terminal
terminal = Terminal()
"""
    process = device.start(f"{source}print({calls})\nterminal.close()")
    out, err = process.communicate(typed, timeout=10)
    assert process.returncode == 0, err
    return out


def test_enter_is_not_waited_for_behind_a_line_that_ended_with_two_bytes(device):
    calls = "terminal.ask('? '), terminal.ask('! '), terminal.pressed()"
    assert asked(device, calls, "one\rtwo\r\n") == "? one\n! two\none two False\n"


def test_what_is_taken_back_is_taken_from_the_screen_unless_it_is_hidden(device):
    calls = "terminal.ask('? '), terminal.ask('! ', True)"
    out = asked(device, calls, "a\x7f\x7fbü\x08c\nd\x7fe\n")
    assert out == "? a\b \bbü\b \bc\n! \nbc e\n"


def test_a_line_of_the_largest_length_is_taken(device):
    out = asked(device, "terminal.ask('', True)", "x" * 513 + "\n" + "y" * 512 + "\n")
    assert out == "\nThat is too long.\n\n" + "y" * 512 + "\n"


def test_a_proof_for_which_memory_is_too_short_is_said_and_asked_for_again(device, whole):
    source = """
import thimble
from thimble.console import prove
def model(board, settings):
    raise MemoryError
prove.model = model
thimble.setup("model")
"""
    env = {"THIMBLE_CONFIG": str(whole), "THIMBLE_ROOT": str(whole.parent)}
    out, err = device.start(source, env).communicate("\n" * 5, timeout=10)
    _, short, again = out.partition("Not enough memory.")
    assert short and "API, openai" in again and "Nothing was changed" in again, out + err


def test_a_section_that_there_is_not_is_said(wizard):
    child = wizard("weather")
    child.expect_exact("weather is not a section; there are wifi, telegram, pair, model")
    assert ended(child) == 1


def test_a_file_that_cannot_be_written_is_said_and_left_as_it_was(cloud, whole, wizard):
    before = whole.read_bytes()
    whole.with_name("thimble.json.new").mkdir()
    child = wizard("telegram")
    answer(child, "Bot token", "")
    child.expect_exact("Nothing was changed ([Errno 21] EISDIR).")
    assert ended(child) == 1 and whole.read_bytes() == before


def test_a_file_that_is_no_configuration_is_left_alone_unless_told_otherwise(config, wizard):
    config.write_text('{"model": {"nmae": "x"}}')
    child = wizard()
    child.expect_exact("model.nmae is not a setting")
    child.expect_exact("Ctrl-C leaves it.")
    child.sendintr()
    child.expect_exact("Nothing was changed.")
    assert "Enter keeps" not in child.logfile_read.getvalue()
    assert config.read_text() == '{"model": {"nmae": "x"}}'


def test_the_terminal_is_given_back_as_it_was(whole, wizard):
    child = wizard("telegram")
    child.expect_exact("]: ")
    assert not child.getecho()
    child.sendintr()
    assert ended(child) == 0
    assert re.search(r"Nothing was changed", child.logfile_read.getvalue())


def test_the_terminal_is_given_back_though_the_wizard_was_killed(whole, wizard):
    child = wizard("telegram")
    child.expect_exact("]: ")
    assert not child.getecho()
    firmware = Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text()
    os.kill(int(firmware), signal.SIGKILL)
    child.expect(pexpect.EOF)
    assert child.getecho()
    child.wait()
    assert child.exitstatus
