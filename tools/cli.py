"""What the tools' command lines share: help, bounds of numbers, one sentence for what fails."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class ToolError(Exception):
    """What was asked for cannot be done; the text is a sentence that says why."""


class ToolMissing(ToolError):
    """A program that this needs is not installed; the text says which, and what installs it."""


def need(install: str, *programs: str) -> None:
    """Raises ToolMissing with the text ``install`` if a program is not on the PATH."""
    if missing := [name for name in programs if not shutil.which(name)]:
        raise ToolMissing(f"{install}\n(missing: {', '.join(missing)})")


def parser(prog: str, text: str) -> argparse.ArgumentParser:
    """A parser for the command ``prog``, whose help is ``text``, a module's docstring."""
    whole = argparse.RawDescriptionHelpFormatter
    return argparse.ArgumentParser(prog=prog, description=text, formatter_class=whole)


def least(bound: float, number: type = int) -> Callable[[str], float]:
    """For ``type=``: a number that is not smaller than ``bound``."""

    def parse(text: str) -> float:
        value = number(text)
        if not value >= bound:
            raise argparse.ArgumentTypeError(f"{text} is less than {bound}")
        return value

    parse.__name__ = number.__name__  # what argparse calls a text that is none
    return parse


def text(typed: str) -> str:
    """What was typed or handed in, with a sign in the place of all that is not UTF-8."""
    return typed.encode(errors="surrogateescape").decode(errors="replace")


def plain(text: str) -> str:
    """``text`` with a space for whatever a terminal would obey; lines and tabs stay."""
    return _CONTROL.sub(" ", text)


def run(main: Callable[[], int | None]) -> NoReturn:
    """Ends the process with what ``main`` returns, or with why it could not do its work."""
    # Where one is closed, the next file to be opened, here or in a child, would take its place.
    while (handle := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(handle, True)
    os.close(handle)
    try:
        code = main()
        if sys.stdout:
            sys.stdout.flush()
    except BrokenPipeError:  # nobody reads it any more; Python would try again at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = 128 + signal.SIGPIPE
    except ToolError as error:
        code = plain(str(error))  # which goes to standard error, with the code 1
    except KeyboardInterrupt:
        code = 130
    raise SystemExit(code)
