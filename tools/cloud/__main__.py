"""Runs the simulated cloud alone.

    python -m tools.cloud [--port P] [--tls-port P] [--dir DIR] [--config FILE] …

Prints one line of JSON with its URLs, the CA's paths, the token and the key, and serves until it
gets SIGINT or SIGTERM, or its standard input is closed where --until-eof is given.
"""

import json
import os
import signal
import sys
import threading
from pathlib import Path

from tools import cli

from .cloud import Cloud


def main():
    try:
        _serve(_options())
    except OSError as error:
        raise cli.ToolError(f"the simulated cloud cannot begin: {error}") from error


def _serve(options):
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    if options.dir:
        os.makedirs(options.dir, exist_ok=True)
    cloud = Cloud(
        tls=None if options.tls == "none" else options.tls,
        port=options.port,
        tls_port=options.tls_port,
        folder=options.dir,
    )
    cloud.start()
    try:
        if options.answer:
            cloud.models.default(mode=options.answer)
        if options.no_flood:
            cloud.telegram.flood_limits(enabled=False)
        if options.config:
            _write_config(cloud, Path(options.config), options)
        about = {
            "urls": cloud.urls,
            "control": cloud.plain.url + "/control",
            "ca_pem": str(cloud.ca_pem.resolve()),
            "ca_der": str(cloud.ca_der.resolve()),
            "token": cloud.token,
            "key": cloud.key,
            "pid": os.getpid(),
        }
        print(json.dumps(about), flush=True)
        if options.until_eof:
            threading.Thread(target=_watch_input, args=(ended,), daemon=True).start()
        ended.wait()
    finally:
        cloud.stop()


def _options():
    parser = cli.parser("python -m tools.cloud", __doc__)
    for name, what in (("--port", "plain HTTP"), ("--tls-port", "TLS")):
        parser.add_argument(name, type=_port, default=0, help=f"of {what} (0: a free one)")
    parser.add_argument("--dir", help="where ca.pem and ca.der go (default: a temporary folder)")
    parser.add_argument(
        "--tls",
        default="default",
        choices=("default", "1.2", "1.3", "rp2", "none"),
        help="the versions that are spoken; rp2: 1.2 with what that board has",
    )
    parser.add_argument("--config", help="write a thimble.json for this cloud here")
    parser.add_argument(
        "--api", default="openai", choices=("openai", "anthropic"), help="of the model in it"
    )
    parser.add_argument("--plain", action="store_true", help="plain HTTP in the configuration")
    parser.add_argument("--answer", choices=("friendly", "echo"), help="what the models say")
    parser.add_argument("--no-flood", action="store_true", help="no flood limits")
    parser.add_argument("--until-eof", action="store_true", help="end with standard input")
    return parser.parse_args()


def _port(text):
    number = int(text)
    if not 0 <= number < 65536:
        raise ValueError(text)
    return number


_port.__name__ = "port"  # what argparse calls a text that is none


def _write_config(cloud, path, options):
    path.parent.mkdir(parents=True, exist_ok=True)
    ca = os.path.relpath(cloud.ca_der.resolve(), path.resolve().parent)
    config = cloud.config(options.api, not options.plain, ca)
    path.write_text(json.dumps(config, indent=1) + "\n")


def _watch_input(ended):
    while sys.stdin.buffer.read(4096):
        pass
    ended.set()


if __name__ == "__main__":
    cli.run(main)
