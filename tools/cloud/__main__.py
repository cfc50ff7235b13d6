"""Runs the simulated cloud alone: python -m tools.cloud [--port P] [--tls-port P] [--dir DIR] …

Prints one line of JSON with its URLs, the CA's paths, the token and the key, and serves until it
gets SIGINT or SIGTERM, or its standard input is closed where --until-eof is given.
"""

import argparse
import json
import os
import signal
import sys
import threading
from pathlib import Path

from .cloud import Cloud


def main():
    options = _options()
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
    try:
        cloud.start()
    except OSError as error:
        sys.exit(f"the simulated cloud cannot listen: {error}")
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
    parser = argparse.ArgumentParser(prog="python -m tools.cloud", description="simulated cloud")
    parser.add_argument("--port", type=int, default=0, help="plain HTTP port (0: a free one)")
    parser.add_argument("--tls-port", type=int, default=0, help="TLS port (0: a free one)")
    parser.add_argument("--dir", help="where ca.pem and ca.der go (default: a temporary folder)")
    parser.add_argument(
        "--tls", default="default", choices=("default", "1.2", "1.3", "rp2", "none")
    )
    parser.add_argument("--config", help="write a thimble.json for this cloud here")
    parser.add_argument("--api", default="openai", choices=("openai", "anthropic"))
    parser.add_argument("--plain", action="store_true", help="plain HTTP in the configuration")
    parser.add_argument("--answer", choices=("friendly", "echo"), help="what the models say")
    parser.add_argument("--no-flood", action="store_true", help="no flood limits")
    parser.add_argument("--until-eof", action="store_true", help="end with standard input")
    return parser.parse_args()


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
    main()
