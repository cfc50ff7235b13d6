"""`tools/run.py`: one question, and the firmware in the foreground."""

import io
import json
import os
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pexpect
import pytest

from tools import chat as chat_
from tools import cli, firmware, run, runtime
from tools.cloud.cloud import Cloud

ROOT = Path(__file__).parents[2]


def command(*options):
    return [sys.executable, "-m", "tools.run", *map(str, options)]


def ended(*options, question="hello"):
    """A run that is to end by itself."""
    return subprocess.run(
        command(*options),
        cwd=ROOT,
        env={**os.environ, "ASK": question},
        capture_output=True,
        text=True,
        timeout=60,
    )


def ask(question, *options):
    return ended("--ask", *options, question=question)


@pytest.fixture(scope="module")
def cloud():
    with Cloud() as cloud:
        cloud.models.default(mode="echo")
        yield cloud


@pytest.fixture
def config(cloud, tmp_path):
    """A configuration in a folder of its own, with the CA's certificate beside it."""
    (tmp_path / "certificates").mkdir()
    shutil.copy(cloud.ca_pem, tmp_path / "certificates" / "ca.pem")
    path = tmp_path / "house.json"
    path.write_text(json.dumps(cloud.config(ca="certificates/ca.pem")))
    return path


@pytest.fixture
def start(config):
    """Starts `--config` in the foreground; it is killed when the test ends."""
    started = []

    def start(**streams):
        argv = command("--config", config, "--root", config.parent / "root")
        pipe = subprocess.PIPE
        streams = {"stdin": pipe, "stdout": pipe, "stderr": pipe, **streams}
        started.append(subprocess.Popen(argv, cwd=ROOT, text=True, **streams))
        return started[-1]

    yield start
    for process in started:
        process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def answered(cloud, text):
    """Waits until a message is answered; the firmware may not even be built yet."""
    cloud.telegram.say(text=text)
    cloud.wait_for(lambda: cloud.telegram.texts()[-1:] == [text], 60)


def test_ask_prints_the_answer_alone():
    done = ask("[[mode=echo]] Grüße 🧵")

    assert done.returncode == 0, done.stderr
    assert done.stdout == "Grüße 🧵\n"


def test_with_its_code_in_the_heap_it_has_a_heap_for_that():
    done = ask("[[mode=echo]] one", "--code", "mpy")
    assert (done.returncode, done.stdout) == (0, "one\n"), done.stderr


def test_ask_without_a_question_says_what_is_missing():
    done = ask(" ")

    assert done.returncode == 1 and not done.stdout
    assert "nothing to ask" in done.stderr


def test_make_run_with_an_empty_question_says_what_is_missing():
    done = subprocess.run(
        ["make", "-s", "run", "ASK="], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode and "nothing to ask" in done.stderr


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ("[[status=401]] hi", "The model refused the key (401)"),
        ("[[error_after=0 error=invalid_api_key]] hi", "The model refused the key (401)"),
        ("[[mode=text]] hi", "The model gave an empty answer"),
        ("x" * 20_000, "That message is too long for me."),
    ],
)
def test_ask_fails_with_the_reason_where_the_model_gives_no_answer(question, reason):
    done = ask(question)
    assert done.returncode == 1 and not done.stdout and reason in done.stderr


@pytest.mark.parametrize(
    "error, said", [("no network", "no network"), ("", "no answer within 120 s")]
)
def test_a_question_without_an_answer_fails_with_the_firmwares_error(error, said):
    class Silent:
        board = SimpleNamespace(status=lambda: {"error": error})
        cloud = SimpleNamespace(models=None)

        def ask(self, question):
            return []

    with pytest.raises(cli.ToolError, match=f"^{said}$"):
        run.once(Silent(), "hello")


def test_an_answer_of_several_messages_is_printed_a_message_a_line(capsys):
    class Chat:
        cloud = SimpleNamespace(models=SimpleNamespace(calls=lambda: [1], words=2))

        def ask(self, question):
            return ["one", "two"]

    assert run.once(Chat(), "hello") == 0 and capsys.readouterr().out == "one\ntwo\n"


def test_ask_takes_commands_and_starts_again_what_wishes_to_be():
    done = ask("/reboot")
    assert (done.returncode, done.stdout) == (0, "Restarting.\n"), done.stderr


def test_a_question_and_a_configuration_are_refused_together(config):
    done = ask("hello", "--config", config)
    assert done.returncode == 1 and not done.stdout
    assert done.stderr == "ASK= asks the simulated cloud, CONFIG= runs a relay: not both\n"


def test_what_nobody_reads_ends_quietly():
    source = "from tools import cli; cli.run(lambda: print('x' * 5000, flush={flush}))"
    for flush in (False, True):
        argv = [sys.executable, "-c", source.format(flush=flush)]
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run(argv, cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, timeout=60)
        os.close(writer)
        assert done.returncode == 128 + signal.SIGPIPE and not done.stderr


def test_what_is_not_utf_8_is_asked_all_the_same():
    done = ask(b"[[mode=echo]] a\xffb")
    assert (done.returncode, done.stdout) == (0, "a\ufffdb\n"), done.stderr


def chat(*lines):
    return subprocess.run(
        command(), cwd=ROOT, input=b"\n".join(lines), capture_output=True, timeout=90
    )


def test_lines_from_a_pipe_are_answered_one_by_one_also_behind_a_reboot():
    done = chat(
        b"[[mode=echo]] one", b"", b"/reboot", b"[[mode=echo]] two", b"[[mode=echo]] a\xffb"
    )
    assert done.stdout.decode() == "one\nRestarting.\ntwo\na\ufffdb\n", done.stderr
    assert done.returncode == 0


def test_what_gets_no_answer_from_a_pipe_is_said(monkeypatch, capsys):
    class Silent:
        def status(self):
            return {"answered": 0, "inbox": 1}

    monkeypatch.setattr(chat_, "ANSWER_S", 0.3)
    monkeypatch.setattr(sys, "stdin", io.StringIO("hello\n"))
    with Cloud() as cloud:  # of its own: the message stays there
        assert chat_.Chat(cloud, Silent(), 42).run() == 1
    assert "no answer within 0.3 s to: hello" in capsys.readouterr().err


def test_raw_shows_the_firmwares_calls_in_a_pipe_too():
    done = chat(b"[[mode=echo]] one", b"/raw")
    said, *calls = done.stdout.decode().splitlines()
    assert said == "one" and done.returncode == 0
    assert calls[0].startswith("getMe {}") and any('"text": "one"' in call for call in calls)


@pytest.mark.parametrize("profile", ["esp32_s3", "unix"])
def test_a_larger_profile_has_a_heap_that_fits_it(profile):
    done = ask("[[mode=echo]] hello", "--profile", profile)

    assert (done.returncode, done.stdout) == (0, "hello\n"), done.stderr


def test_a_flash_of_another_profile_is_left_as_it_is(config):
    argv = command("--config", config, "--root", config.parent / "root")
    image = config.parent / "root" / "flash.img"
    image.parent.mkdir()
    size = 1024 * 4096
    done = ask("hello", "--root", image.parent, "--profile", "unix")
    assert done.returncode == 0 and image.stat().st_size == size
    before = image.read_bytes()
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=20)
    assert done.returncode == 2 and "of another profile" in done.stdout
    assert image.read_bytes() == before


def test_ask_fails_with_a_reason_where_the_heap_is_too_small():
    done = ask("hello", "--heap", "40k")

    assert done.returncode == 1 and not done.stdout
    assert "memory" in done.stderr.lower()


@pytest.mark.parametrize("heap", ["1k", "10k", "80k", "120k"])
@pytest.mark.parametrize("asks", [False, True])
def test_a_heap_in_which_the_relay_cannot_start_is_named(config, heap, asks):
    options = ["--ask"] if asks else ["--config", config, "--root", config.parent / "root"]
    done = ended(*options, "--heap", heap)
    said = f"--heap: {heap} is too little memory for the relay; try 176k\n"
    assert (done.returncode, done.stdout) == (1, "") and done.stderr.endswith(said)


def test_the_foreground_relays_over_tls_with_the_certificate_beside_the_file(cloud, start):
    process = start()
    answered(cloud, "hello")

    assert cloud.telegram.calls()[-1].secure
    status = {"answered": 0}
    while not status["answered"]:  # the text is there a moment before the message is closed
        process.stdin.write("status\n")
        process.stdin.flush()
        status = json.loads(process.stdout.readline())
    assert status["answered"] == 1 and status["reset_cause"] == "power-on"


def test_a_configuration_that_the_relay_writes_anew_is_its_owners_alone(start, config):
    config.chmod(0o600)
    process = start()
    process.stdin.write("config memory.keep_days 3\n")
    process.stdin.flush()
    process.stdout.readline()
    assert json.loads(config.read_text())["memory"] == {"keep_days": 3}
    assert stat.S_IMODE(config.stat().st_mode) == 0o600


def test_the_foreground_goes_on_when_its_standard_input_is_closed(cloud, start):
    process = start()
    answered(cloud, "with a console")
    process.stdin.close()
    process.stdin = None
    time.sleep(0.4)
    answered(cloud, "and without")
    assert process.poll() is None


def test_the_foreground_runs_without_a_standard_input(cloud, start):
    process = start(stdin=subprocess.DEVNULL)
    answered(cloud, "never had one")
    assert process.poll() is None


def test_in_the_background_of_a_terminal_it_relays_and_reads_nothing(cloud, config):
    """What is typed is the shell's, until the relay is brought to the foreground."""
    shell = pexpect.spawn("bash", ["--norc", "-i"], cwd=ROOT, encoding="utf-8", timeout=30)
    root = config.parent / "root"
    shell.sendline(f"{shlex.join(command('--config', config, '--root', root))} &")
    shell.logfile_read = said = io.StringIO()
    shell.expect("relay up")
    shell.sendline("echo aw'ay'; sleep 2")
    shell.expect_exact("away")
    shell.sendline("echo ba'ck'")
    shell.expect("back")
    answered(cloud, "behind what was typed")
    shell.sendline("jobs")
    shell.expect("Running")
    shell.sendline("fg")
    shell.sendline("status")
    shell.expect_exact('"version"')
    shell.sendintr()
    shell.sendline("echo it gave $?")
    shell.expect("it gave 0")
    shell.close(force=True)
    assert "Traceback" not in said.getvalue()


@pytest.mark.parametrize("asks", [False, True])
def test_a_second_relay_on_the_same_flash_is_refused(cloud, start, config, asks):
    first = start()
    answered(cloud, "the first")
    root = config.parent / "root"
    options = ["--ask"] if asks else ["--config", config]
    second = ended(*options, "--root", root)
    said = f"a relay runs on {root} already: stop it, or say another folder: ROOT=\n"
    assert (second.returncode, second.stderr, second.stdout) == (1, said, "")
    answered(cloud, "goes on")
    first.kill()  # its firmware ends a moment later
    start()
    answered(cloud, "and the next waits for that")


def test_a_relay_that_is_just_ending_is_waited_for(tmp_path):
    ending, over = firmware.hold(tmp_path), []

    def end():
        over.append(True)
        os.close(ending)

    threading.Timer(0.3, end).start()
    os.close(firmware.hold(tmp_path))
    assert over


def test_a_heap_fits_the_place_of_the_code_and_the_size_of_words():
    assert firmware.fits(176, "rom", 32) == "176k" and firmware.fits(176, "frozen", 32) == "176k"
    assert firmware.fits(176, "mpy", 32) == "256k" and firmware.fits(176, "mpy", 64) == "512k"


def test_a_heap_that_should_do_and_does_not_is_to_be_larger():
    usual = firmware.usual(runtime.find())

    assert str(firmware.too_little(usual, "pico_w", "rom")).endswith("; try a larger one")
    assert str(firmware.too_little("9k", "pico_w", "rom")).endswith(f"; try {usual}")


def test_what_does_not_stop_is_killed(monkeypatch):
    monkeypatch.setattr(firmware, "STOP_S", 0.2)
    script = "trap '' INT; echo deaf; while :; do sleep 0.1; done"
    process = subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE)
    with process.stdout as said:
        said.readline()
        firmware.end(process)

    assert process.returncode == -signal.SIGKILL


def test_what_the_firmware_says_in_the_place_of_its_status_is_told():
    board = SimpleNamespace(ask=lambda line, timeout: "Traceback")

    with pytest.raises(firmware.FirmwareError, match="no status: the firmware says 'Traceback'"):
        firmware.Firmware.status(board)


def test_a_start_that_was_refused_before_anything_was_asked_says_why(config, tmp_path):
    (tmp_path / "flash.img").write_bytes(b"x" * 4096)
    with firmware.Firmware(config, tmp_path) as board:
        board.process.wait(20)
        with pytest.raises(firmware.FirmwareError, match=r"ended \(2\): .*of another profile"):
            board.tell("status")


def test_a_firmware_that_its_dog_ended_is_started_again_and_told_so(config, tmp_path):
    with firmware.Firmware(config, tmp_path / "root") as board:
        assert board.status()["reset_cause"] == "power-on" and not board.again()
        os.kill(board.pid, signal.SIGALRM)
        board.process.wait(10)
        assert board.again() and board.status()["reset_cause"] == "watchdog"
        board.stop()
        assert not board.again()


@pytest.mark.parametrize("stream", [0, 1])
def test_no_file_takes_the_place_of_a_standard_stream_that_is_closed(cloud, start, stream):
    process = start(preexec_fn=lambda: os.close(stream))
    answered(cloud, f"who has {stream}?")
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert [os.readlink(f"/proc/{child}/fd/{stream}") for child in children] == [os.devnull]


@pytest.mark.parametrize(
    "send, number",
    [
        (os.kill, signal.SIGTERM),
        (os.killpg, signal.SIGTERM),  # as systemd does
        (os.killpg, signal.SIGHUP),  # as a terminal does that is closed
    ],
)
def test_a_signal_stops_cleanly_and_the_next_start_is_no_crash(cloud, start, config, send, number):
    process = start(start_new_session=True)
    answered(cloud, "first run")
    send(process.pid, number)
    out, err = process.communicate(timeout=10)

    assert process.returncode == 0
    assert "Traceback" not in out + err
    assert (config.parent / "root" / "flash.img").stat().st_size > 0
    process = start()
    answered(cloud, "second run")
    process.stdin.write("status\n")
    process.stdin.flush()
    assert json.loads(process.stdout.readline())["reset_cause"] == "power-on"


@pytest.fixture
def handlers():
    """Puts the signals' handlers back."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


SIZES = {"heap": "176k", "profile": "pico_w", "code": "rom"}


@pytest.fixture
def foreground(config, tmp_path_factory, monkeypatch, handlers):
    """Runs shell scripts in the place of the firmware's runs, one behind the other; what the
    foreground gives back. The signal ``sent`` comes while the last one is started."""

    def foreground(*scripts, sent=0):
        runs = list(scripts)

        class Popen(subprocess.Popen):
            def __init__(self, argv, **options):
                ours = argv == ["firmware"]
                super().__init__(["sh", "-c", runs.pop(0)] if ours else argv, **options)
                if ours and sent and not runs:
                    signal.raise_signal(sent)

        made = ["firmware"], {**os.environ}
        monkeypatch.setattr(firmware, "command", lambda *words, **sizes: made)
        monkeypatch.setattr(run.subprocess, "Popen", Popen)
        return run.foreground(config, tmp_path_factory.mktemp("root"), SIZES)

    return foreground


@pytest.mark.parametrize("scripts", [["exec sleep 5"], ["exit 75", "exec sleep 5"]])
def test_a_signal_in_the_middle_of_a_start_stops_that_too(foreground, scripts):
    assert foreground(*scripts, sent=signal.SIGTERM) == -signal.SIGINT


def test_a_run_that_is_to_stop_is_not_started_again(foreground):
    assert foreground("exit 75", sent=signal.SIGTERM) in (75, -signal.SIGINT)


def test_under_nohup_it_goes_on_when_its_terminal_has_gone(foreground):
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    assert foreground("sleep 0.3; exit 5", sent=signal.SIGHUP) == 5


def test_what_the_dog_ended_is_started_again_and_told_so(foreground):
    bitten = "echo relay up >&2; kill -ALRM $$"
    restarts = '[ "$THIMBLE_CAUSE" = watchdog ] || exit 3; echo relay up >&2; exit 75'
    ends = '[ -z "$THIMBLE_CAUSE" ] || exit 4; exit 5'

    assert foreground(bitten, restarts, ends) == 5


def test_the_first_start_without_a_relay_may_be_the_end_of_safe_mode(foreground):
    assert foreground("exit 75", "echo relay up >&2; exit 5") == 5


def test_of_two_starts_without_a_relay_the_second_says_that_memory_is_short(foreground):
    with pytest.raises(firmware.FirmwareError, match="--heap: 176k is too little memory"):
        foreground("exit 75", "exit 75")


def test_what_is_said_for_long_does_not_hide_that_the_relay_was_up(foreground, capfd):
    assert foreground("echo relay up >&2; seq 9999 >&2; exit 1") == 1
    assert capfd.readouterr().err.endswith("\n9999\n")


def test_a_standard_error_that_nobody_reads_ends_nothing(foreground, monkeypatch):
    class Gone(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Gone())
    assert foreground("echo relay up >&2; echo more >&2; exit 5") == 5


@pytest.mark.parametrize(
    "section, key, value, named",
    [
        ("telegram", "allow", "42", "telegram.allow"),
        ("model", "api", "other", "model.api"),
        ("model", "nmae", "x", "model.nmae"),
        ("telegram", "token", "", "telegram.token"),
        ("tls", "ca", "missing.der", "tls.ca"),
    ],
)
def test_a_bad_configuration_is_refused_by_the_name_of_its_key(config, section, key, value, named):
    values = json.loads(config.read_text())
    values[section][key] = value
    config.write_text(json.dumps(values))
    done = subprocess.run(
        command("--config", config, "--root", config.parent / "root"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert done.returncode not in (0, None)
    assert named in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_a_file_that_is_not_there_is_named(tmp_path):
    done = subprocess.run(
        command("--config", tmp_path / "none.json", "--root", tmp_path),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert done.returncode != 0
    assert "none.json" in done.stdout + done.stderr
