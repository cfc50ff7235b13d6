"""Configures a board without a person: checks a file, writes it, proves it, reports.

    python -m tools.configure FILE [--port PORT] [--force]

A text "env:NAME" in FILE stands for the environment's variable NAME, so that the file needs to
hold no secret. A certificate that tls.ca names is copied as well, under a name of its content, and
goes again with the configuration. With the new configuration the board joins the network, sets its
clock, calls getMe and asks the model one word. It takes the place of the old one only if all of
that works (or with --force, whatever the board says).
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
from hashlib import sha256
from pathlib import Path

from tools import build, cli, firmware, runtime
from tools.remote import BoardError, Remote, choose

CHECK = build.PROJECT / "tools" / "check_config.py"
CONFIG = "/thimble.json"
TRIAL = "/thimble.trial.json"
CERTIFICATE = re.compile(r"/ca-[0-9a-f]{8}(\.[^/]*)?")  # what certificate() names
ENV = "env:"
CHECK_S = 20
PROOF_S = 240  # joining, the clock, two services

# Prints the report, last the word that says whether all of it is good.
PROVE = """
try:
    from thimble.console import prove
    import sys
    _port = "thimble.board." + (sys.platform if sys.platform in ("rp2", "esp32") else "unix")
    __import__(_port)
    print(prove.report(sys.modules[_port].Board(), {path!r}))
except Exception as error:
    print("proving failed:", type(error).__name__, error)
    print(False)
"""


class ConfigurationError(cli.ToolError):
    """The file cannot be used; the text is a sentence that says why."""


def read(file: Path):
    """The JSON in ``file``. Raises ConfigurationError."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigurationError(f"{file} is not valid JSON: {error}") from error


def load(file: Path, environment=os.environ) -> dict:
    """What stands in ``file``, with the environment's values in it. Raises ConfigurationError."""
    return _filled(read(file), environment)


def _filled(value, environment):
    if isinstance(value, dict):
        return {key: _filled(one, environment) for key, one in value.items()}
    if isinstance(value, list):
        return [_filled(one, environment) for one in value]
    if isinstance(value, str) and value.startswith(ENV):
        name = value.removeprefix(ENV)
        if not environment.get(name):
            raise ConfigurationError(f"the environment has no {name}, which {value} stands for")
        return environment[name].strip()
    return value


def check(values: dict) -> None:
    """Raises ConfigurationError where the firmware itself would refuse it."""
    found = runtime.find()
    argv, env = build.command(found, str(CHECK), heap=firmware.usual(found))
    done = subprocess.run(
        argv,
        env={**os.environ, **env},
        input=json.dumps(values).encode(),  # not on a command line, which others can read
        capture_output=True,
        timeout=CHECK_S,
    )
    said = done.stdout.decode(errors="replace").strip()
    if said or done.returncode:
        raise ConfigurationError(said or done.stderr.decode(errors="replace").strip())


def certificate(values: dict, file: Path) -> dict[str, bytes]:
    """The board's path and the content of the file that tls.ca names; ``values`` then names the
    board's path."""
    name = values.get("tls", {}).get("ca")
    if not name:
        return {}
    try:
        data = (file.parent / name).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"tls.ca cannot be read: {name}: {error.strerror}") from error
    # By its content: a new one never takes the place of one that works.
    values["tls"]["ca"] = f"/ca-{sha256(data).hexdigest()[:8]}{Path(name).suffix}"
    return {values["tls"]["ca"]: data}


def named(config: bytes) -> str:
    """The certificate that a board's configuration names, "" if it names none."""
    with contextlib.suppress(ValueError, TypeError, KeyError):
        name = json.loads(config)["tls"]["ca"]
        return "/" + name.removeprefix("/") if name and isinstance(name, str) else ""
    return ""


def given(board: Remote) -> str:
    """The certificate that the configuration on the board names, "" if there is none."""
    return named(board.read(CONFIG)) if CONFIG in board.sizes(CONFIG) else ""


def configure(file: Path, port: str, force: bool = False, say=print) -> bool:
    """Whether the board has the configuration now. Raises ConfigurationError, BoardError."""
    values = load(file)
    check(values)
    files = certificate(values, file)
    say(f"{file} is what the firmware takes")
    with Remote(choose(port)) as board:
        board.maintain()
        unused = files.keys() - board.sizes(*files)  # if all stays as it is
        try:
            for path, data in files.items():
                board.write(path, data)
            board.write(TRIAL, json.dumps(values).encode())
            good = _prove(board, say)
            if good or force:
                old = given(board)
                board.run(f"import os; os.rename({TRIAL!r}, {CONFIG!r})")
                unused = {old} - files.keys() if CERTIFICATE.fullmatch(old) else set()
                say(f"written to {CONFIG}" + ("" if good else ", though not all of it works"))
            else:
                say("not all of it works: the board keeps the configuration that it had")
        finally:
            for path in (TRIAL, *unused):
                board.remove(path)
        board.reset()
        try:
            say(board.first_line("thimble "))
        except BoardError as error:
            say(f"note: {error}")  # a main.py of the user's own may say what it likes
    return good or force


def _prove(board: Remote, say) -> bool:
    *lines, verdict = board.run(PROVE.format(path=TRIAL), PROOF_S).strip().splitlines()
    for line in lines:
        say(line)
    return verdict.strip() == "True"


def main() -> int:
    parser = cli.parser("make configure", __doc__)
    parser.add_argument("file", nargs="?", default="", help="the configuration")
    parser.add_argument("--port", default="", help="the board's serial line")
    parser.add_argument("--force", action="store_true", help="write it even if it does not work")
    args = parser.parse_args()
    if not args.file:
        raise ConfigurationError("say which file: CONFIG=")
    return 0 if configure(Path(args.file), args.port, args.force) else 1


if __name__ == "__main__":
    cli.run(main)
