"""Reports on flash, for whoever asks later what went wrong: bounded in size, without secrets.

An overlay. Each file keeps its newest reports; a report is a few lines of text.
"""

import gc
import io
import os
import sys
import time

from thimble.log import blotted

_MEMORY = const("/memory.txt")
_CRASH = const("/crash.txt")
_REPORT = const(768)  # bytes of one crash
_REASON = const(200)
_WINDOW_MS = const(600_000)
_MOST_CRASHES = const(3)  # within that time, then the board restarts
_PAUSE_MS = const(1000)
_CRASHED = const(5)  # as safe._CRASHED
_TOLD = const(6)  # as safe._TOLD
_MOST = const(2048)  # bytes of a file


def memory(relay, gauges):
    """Writes down how memory stood when it got critical, and stands now: ``gauges`` as
    Memory.gauges() gives them, conversations, buffers, the largest block."""
    segments, inbox = relay.memory.segments, relay.inbox
    text = (
        "minute %d, critical: segments %d %%, heap %d %%, outside %d %%\n"
        "now: heap %d used, %d free, block of %d; segments %d of %d B, %d free\n"
        "sessions %d, inbox %d messages in %d B, answered %d\n"
    ) % (
        relay.minute,
        gauges >> 14,
        gauges >> 7 & 127,
        gauges & 127,
        gc.mem_alloc(),
        gc.mem_free(),
        relay.memory.largest_block(),
        segments.count,
        segments.size,
        segments.free,
        relay.memory.chats.active,
        inbox.count,
        len(inbox.buf),
        relay.answered,
    )
    keep(relay.board.flash + _MEMORY, text)


def crash(relay, error):
    """An exception that nobody expected ended the relay's loop, which is about to go on.

    The owner is told of the first one in ten minutes; the third restarts the board.
    """
    reason = report(relay.board, error, relay.log.secrets, relay.minute)
    relay.log.fail(reason)
    now = time.ticks_ms()
    if not relay.faults or not 0 <= time.ticks_diff(now, relay.fault_at) < _WINDOW_MS:
        relay.faults = 0
        relay.fault_at = now
        relay.tell = reason
    relay.faults += 1
    if relay.faults >= _MOST_CRASHES:
        relay.journal.commit()
        relay.board.restart(_CRASHED if relay.tell else _TOLD)
    time.sleep_ms(_PAUSE_MS)


def report(board, error, secrets, minute=0):
    """Writes down an error with its traceback; returns its last line.

    secrets None: they are not known yet, and what the error says is left out.
    """
    out = io.StringIO()
    sys.print_exception(error, out)
    text = out.getvalue()
    said = text.find(type(error).__name__ + ": ")
    if secrets is None and said >= 0:
        text = text[:said] + type(error).__name__
    text = blotted(text, secrets or ())
    text = "minute %d, heap %d free\n%s" % (minute, gc.mem_free(), text[-_REPORT:])
    sys.stderr.write(text)
    keep(board.flash + _CRASH, text)
    return _last(text)


def last(board):
    """The last line of the last crash that was kept."""
    return _last(_kept(board))


def _last(text):
    return text.strip().split("\n")[-1][:_REASON]


def show(board, stream):
    """Writes what is kept of the last crashes."""
    stream.write(_kept(board))


def _kept(board):
    try:
        with open(board.flash + _CRASH) as file:
            return file.read(_MOST)
    except (OSError, UnicodeError):
        return "nothing was kept of it\n"


def keep(path, text):
    """Adds a report to the file at ``path``; the oldest lines go. Nothing is raised if flash is
    full. Line by line: when there is something to report, memory may be short.
    """
    aside = path + ".new"
    try:
        with open(aside, "w") as out:
            try:
                with open(path) as file:
                    surplus = file.seek(0, 2) + len(text) - _MOST
                    file.seek(0)
                    for line in file:
                        if surplus <= 0:
                            out.write(line)
                        surplus -= len(line)
            except (OSError, UnicodeError):
                pass  # there is none yet, or it is no text
            out.write(text)
        os.rename(aside, path)
    except OSError:
        pass
