"""``make run``: the firmware against a simulated cloud, or against what a configuration names.

python -m tools.run                     a chat in this terminal
python -m tools.run --ask               asks the question in $ASK, prints the answer alone
python -m tools.run --config FILE       in the foreground against FILE's endpoints
python -m tools.run --config FILE --setup [SECTION]     asks for what stands in FILE
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import termios
from pathlib import Path

from tools import build, cli, configure, firmware, runtime

CHAT = 42
ANSWER_S = 120
WIZARD = build.PROJECT / "tools" / "wizard.py"
_HEAP = re.compile(r"[0-9]{1,9}|[0-9]{1,6}[kK]|[0-9]{1,3}[mM]")  # 32 bits hold less than 4 GB
_ENDS = (signal.SIGTERM, signal.SIGHUP)
_SAID = 4096  # characters that are kept of what a start says


def main() -> int:
    parser = cli.parser("make run", __doc__)
    parser.add_argument("--ask", action="store_true", help="ask the question in $ASK")
    parser.add_argument("--config", type=Path, help="the configuration; without: a simulation")
    parser.add_argument("--root", type=Path, help="the folder of flash.img")
    parser.add_argument("--heap", help="the firmware's, as 176k; by default what fits the profile")
    parser.add_argument(
        "--profile",
        default=firmware.PROFILE,
        choices=tuple(firmware.HEAPS),
        help="whose buffers and flash",
    )
    parser.add_argument("--code", default="rom", choices=build.MODES, help="where the code is")
    parser.add_argument("--setup", nargs="?", const="", help="ask for what is configured")
    options = parser.parse_args()
    heap = options.heap or firmware.usual(runtime.find(), options.profile, options.code)
    if not _HEAP.fullmatch(heap):
        parser.error(f"--heap: {heap} is no size; 176k is one, 999m the largest")
    sizes = {"heap": heap, "profile": options.profile, "code": options.code}
    if options.ask and not os.environ.get("ASK", "").strip():
        raise cli.ToolError('nothing to ask: make run ASK="text"')
    if options.ask and options.config:
        raise cli.ToolError("ASK= asks the simulated cloud, CONFIG= runs a relay: not both")
    if options.setup is not None:
        return wizard(options.config or Path("thimble.json"), options.setup)
    if options.config:
        return foreground(options.config, options.root or Path("build/root"), sizes)
    with tempfile.TemporaryDirectory(prefix="thimble-") as folder:
        root = options.root or Path(folder)
        return simulated(Path(folder), root, sizes, options.ask)


def foreground(config: Path, root: Path, sizes: dict[str, str]) -> int:
    """Runs the firmware on this terminal; SIGTERM stops it as Ctrl-C does, and so does the
    terminal's end. Its exit code.

    What the dog ended, and what asked for a restart, is started again. Raises ToolError where the
    memory is too little for a start; of one that asks for another the second says so, since the
    first may be the end of safe mode.
    """
    signal.signal(signal.SIGTTIN, signal.SIG_IGN)  # in a terminal's background it goes on
    argv, env = firmware.command(config, root, **sizes)
    configure.read(config)  # which names causes that the firmware has only numbers for
    held = firmware.hold(root)
    process, stopping, starved = None, False, False

    def stop(*_) -> None:
        nonlocal stopping
        stopping = True
        if process:
            process.send_signal(signal.SIGINT)

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to the child as well
    _at_the_end(stop)
    while True:
        process = subprocess.Popen(
            argv, env=env, stderr=subprocess.PIPE, preexec_fn=_child, pass_fds=[held]
        )
        if stopping:  # while it was started: stop() knew only the one before
            process.send_signal(signal.SIGINT)
        said = _passed_on(process.stderr)
        code = process.wait()
        again, starved = starved, firmware.starved(code, said)
        if starved and (again or code != firmware.RESTART):
            raise firmware.too_little(**sizes)
        if stopping or code not in (firmware.RESTART, -signal.SIGALRM):
            return code
        env["THIMBLE_CAUSE"] = "watchdog" if code < 0 else ""


def _passed_on(stream) -> str:
    """Shows a run's standard error; what was said until the relay was up."""
    said = ""
    for line in stream:
        text = line.decode(errors="replace")
        if firmware.UP not in said:
            said = said[-_SAID:] + text
        with contextlib.suppress(OSError):  # nobody reads it any more
            print(text, end="", file=sys.stderr, flush=True)
    return said


def wizard(config: Path, section: str) -> int:
    """Lets the firmware's own wizard ask on this terminal, and write ``config``. Its exit code,
    and 1 where it wrote nothing though nobody pressed Ctrl-C. Raises ToolError.
    """
    try:
        with tempfile.TemporaryFile(dir=config.absolute().parent):
            pass
    except OSError as error:
        raise cli.ToolError(f"{config} cannot be written: {error.strerror}") from error
    pressed = []
    signal.signal(signal.SIGINT, lambda *_: pressed.append(True))  # what to do is the wizard's
    before = _file(config)
    _at_the_end(_end)
    # With a flash of its own: a relay may be running on the other.
    with tempfile.TemporaryDirectory(prefix="thimble-") as root:
        _, env = firmware.command(config, Path(root))
        found = runtime.find()
        argv, extra = build.command(found, str(WIZARD), heap=firmware.usual(found))
        env = {**env, **extra, "THIMBLE_SECTION": section}
        terminal = termios.tcgetattr(0) if os.isatty(0) else None
        process = subprocess.Popen(argv, env=env, preexec_fn=_child)
        try:
            code = process.wait()
            return code or int(_file(config) == before and not pressed)
        finally:
            firmware.end(process)
            if terminal:  # the wizard gives it back itself, unless something killed it
                with contextlib.suppress(termios.error):
                    termios.tcsetattr(0, termios.TCSADRAIN, terminal)


def _file(path: Path) -> int:
    """Which file stands at ``path``: what is saved is a new one in its place."""
    return path.stat().st_ino if path.exists() else 0


def _child() -> None:
    os.umask(0o077)  # the configuration, which it writes anew, holds secrets; so does its flash
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # They may be sent to the whole group; the runtime would die of it, and not stop cleanly.
    for number in _ENDS:
        signal.signal(number, signal.SIG_IGN)
    firmware.die_with_parent()


def simulated(folder: Path, root: Path, sizes: dict[str, str], ask: bool) -> int:
    """Starts the cloud and the firmware, and asks one question or opens a chat."""
    from tools.cloud.cloud import Cloud

    _at_the_end(_end)
    with Cloud(folder=folder) as cloud:
        cloud.models.default(delay=0.03, first=0.3)
        config = folder / "thimble.json"
        config.write_text(json.dumps(cloud.config()))
        made = firmware.Firmware(config, root, **sizes)
        firmware.hold(root)
        with made as board:
            try:
                board.status(ANSWER_S)
            except firmware.FirmwareError as error:
                if firmware.starved(board.process.poll(), "\n".join(board.log)):
                    raise firmware.too_little(**sizes) from error
                raise
            from tools.chat import Chat

            chat = Chat(cloud, board, CHAT)
            return once(chat, os.environ["ASK"]) if ask else chat.run(_ENDS)


def _at_the_end(handler) -> None:
    """Has ``handler`` called where the process is to end or its terminal has gone."""
    for number in _ENDS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
            signal.signal(number, handler)


def _end(number: int, _) -> None:
    """Leaves by way of all that has to be put right: the terminal, the firmware, the folder."""
    for again in _ENDS:  # a terminal that is closed may say so twice
        signal.signal(again, signal.SIG_IGN)
    raise SystemExit(128 + number)


def once(chat, question: str) -> int:
    """Asks one question; prints the answer alone. Raises ToolError, with the reason, if the model
    gave none to what is no command."""
    said = cli.plain("\n".join(chat.ask(question)))
    models = chat.cloud.models
    if not said:
        raise cli.ToolError(chat.board.status()["error"] or f"no answer within {ANSWER_S} s")
    if (models.calls() or not question.lstrip().startswith("/")) and not models.words:
        raise cli.ToolError(said)
    print(said)
    return 0


if __name__ == "__main__":
    cli.run(main)
