"""The chat of `make run`, driven through a terminal of 80 columns."""

import os
import signal
import sys
from pathlib import Path

import pexpect
import pytest
from cloud_kit import Api

from tools.chat import HELP, Chat, footer, wrapped
from tools.cli import plain
from tools.cloud.cloud import Cloud

ROOT = Path(__file__).parents[2]
CHAT = [sys.executable, "-m", "tools.run"]
PAGE_UP, PAGE_DOWN, PAINT = "\x1b[5~", "\x1b[6~", "\x0c"
AWAY = "\x1b[?1049l"  # back to the screen that stood there before the chat
LONG = "[[length=3000 unit=. deltas=20]]"


@pytest.fixture
def start(tmp_path):
    """Starts a command on a terminal. Its temporary folder is tmp_path."""
    started = []

    def start(argv=CHAT, **environment):
        env = {**os.environ, "TERM": "xterm", "TMPDIR": str(tmp_path), **environment}
        size = {"dimensions": (24, 80), "encoding": "utf-8"}
        child = pexpect.spawn(argv[0], argv[1:], cwd=ROOT, env=env, timeout=90, **size)
        child.delaybeforesend = 0.01
        started.append(child)
        return child

    yield start
    for child in started:
        child.close(force=True)


@pytest.fixture
def chat(start):
    child = start()
    child.expect("pressure")
    return child


def ended(child):
    """What was still shown; the child has ended by itself."""
    child.expect(pexpect.EOF)
    child.wait()
    return child.before


def painted(child, text):
    """Waits until ``text`` is on the screen; only letters that change would be sent otherwise."""
    for _ in range(20):
        child.send(PAINT)
        if not child.expect_exact([text, pexpect.TIMEOUT], timeout=1):
            return
    raise AssertionError(text)


def firmware(child):
    return int(Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text())


def test_what_is_above_an_answer_that_is_longer_than_the_screen_can_be_read(chat):
    chat.send(LONG + "\r")
    chat.send("now[[mode=echo]]\r")
    chat.expect("bot › now")
    for _ in range(3):
        chat.send(PAGE_UP)
    chat.expect_exact("you › [[length=3000")
    for _ in range(3):
        chat.send(PAGE_DOWN)
    painted(chat, "bot › now")
    for _ in range(3):
        chat.send(PAGE_UP)
    painted(chat, "you › [[length=3000")
    chat.send("back[[mode=echo]]\r")
    painted(chat, "bot › back")
    chat.send("\x04")
    ended(chat)
    assert chat.exitstatus == 0


def test_rows_are_as_wide_as_the_terminal():
    assert wrapped("abcd\n\nef", 3) == ["abc", "d", "", "ef"]
    assert wrapped("a日本語", 3) == ["a日", "本", "語"]
    assert wrapped("abe\u0301c", 3) == ["abe\u0301", "c"]
    assert wrapped("日", 1) == ["日"]
    assert wrapped("a\tb", 20) == ["a       b"]


def test_raw_shows_the_calls_until_it_is_typed_again_and_ctrl_c_ends_too(chat):
    chat.send("  hi[[mode=echo]]  \r")
    chat.expect("bot › hi")
    chat.send(" /raw \r")
    painted(chat, "getUpdates {")
    chat.send("/raw\r")
    painted(chat, "you › hi[[mode=echo]]")
    chat.send("\x03")
    ended(chat)
    assert chat.exitstatus == 0


@pytest.fixture
def talk():
    """A chat with a simulated Telegram, and what the bot calls there."""
    with Cloud(tls=None) as cloud:
        api = Api(cloud)
        yield Chat(cloud, None, 42), api
        api.close()


def test_what_was_said_stands_in_its_order_and_an_edit_in_its_place(talk):
    chat, api = talk
    assert chat.transcript() == HELP
    chat.say("one")
    number = api("sendMessage", chat_id=42, text="first …")["result"]["message_id"]
    chat.say("two")
    chat.say("three")
    api("sendMessage", chat_id=42, text="second")
    api("editMessageText", chat_id=42, message_id=number, text="first")

    said = ["you › one", "bot › first", "you › two", "you › three", "bot › second"]
    assert chat.transcript() == "\n\n".join(said)


def test_raw_shows_each_call_with_its_parameters_and_its_status(talk):
    chat, api = talk
    api("sendMessage", chat_id=42, text="Grüße")
    api("sendMessage", chat_id=42)
    chat.raw = True

    sent, refused = chat.transcript().split("\n")
    assert sent == 'sendMessage {"chat_id": "42", "text": "Grüße"} → 200'
    assert refused.endswith(" → 400")


def test_the_footer_says_how_the_firmware_is():
    state = {"heap_used": 60 << 10, "heap_free": 116 << 10, "inbox": 3, "pressure": 1}
    state |= {"sessions": 2, "rss_kb": 0, "error": ""}
    short = "heap 60 of 176 KB · inbox 3 · pressure 1 · sessions 2"

    assert footer(state) == short
    assert footer({**state, "rss_kb": 4000, "error": "no network"}) == (
        f"{short} · RSS 4000 kB · no network"
    )


def test_an_error_is_shown_whole_in_the_footer(chat):
    chat.send("hi [[status=500 message=one_two_three_four]]\r")
    painted(chat, "one two three four")


def test_the_reason_why_the_firmware_ended_stays_on_the_terminal(chat):
    os.kill(firmware(chat), signal.SIGKILL)
    chat.expect("the firmware ended")
    chat.send("\x04")
    assert "the firmware ended (-9): " in ended(chat).rpartition(AWAY)[2]
    assert chat.exitstatus == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_gives_the_terminal_back_and_leaves_nothing(chat, tmp_path, number):
    chat.send("[[length=900 deltas=100 delay=0.1]]\r")
    chat.expect("bot › ")
    board = firmware(chat)
    os.kill(chat.pid, number)
    assert AWAY in ended(chat)
    assert chat.getecho() and chat.exitstatus == 128 + number
    assert not Path(f"/proc/{board}").exists() and not list(tmp_path.iterdir())


def test_an_interrupt_from_elsewhere_ends_the_chat(chat):
    os.kill(chat.pid, signal.SIGINT)
    assert AWAY in ended(chat) and chat.exitstatus == 0


def test_ctrl_z_gives_the_shell_and_fg_the_chat(start):
    shell = start(["bash", "--norc", "-i"])
    shell.sendline(" ".join(CHAT))
    shell.expect("pressure")
    shell.send("\x1a")
    shell.expect("Stopped")
    shell.sendline("fg")
    shell.expect("pressure")
    shell.send("hi[[mode=echo]]\r")
    shell.expect("bot › hi")
    shell.send("\x04")
    shell.expect_exact(AWAY)
    shell.sendline("exit")
    ended(shell)


def test_a_terminal_that_cannot_move_its_cursor_is_asked_line_by_line(start):
    chat = start(TERM="dumb")
    chat.sendline("hello[[mode=echo]]")
    chat.expect("hello\r\n")
    chat.sendeof()
    assert "\x1b" not in chat.before + ended(chat) and chat.exitstatus == 0


def test_nothing_that_a_terminal_obeys_is_printed(start):
    shown = plain("a\x1b[2J\x9b2J\x07\x7f\r日\u0301\t\n")
    assert shown == "a [2J 2J   日\u0301\t\n"
    chat = start([*CHAT, "--ask"], ASK="a\x9b2Jb[[mode=echo]]")
    assert ended(chat).splitlines()[-1] == "a 2Jb" and chat.exitstatus == 0
