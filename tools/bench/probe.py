"""The relay with gauges, for the benchmarks. Runs in MicroPython, in place of `thimble.run()`.

    PROBE_ROOM=0    the connections' blocks are not held
    PROBE_FREE=1    our own flood limits are off (the cloud's must be too)
    PROBE_LIVE=1    the live heap is sampled while an answer streams

Prints a line of JSON after boot, every PROBE_EVERY messages and at the end: messages answered,
bytes of heap ever allocated, live bytes after a collection, the most live bytes seen.
"""

import gc
import json
import micropython
import os

import thimble

_booted = thimble.boot()
_board = _booted[1]
if os.getenv("PROBE_ROOM") == "0":
    _board.profile.room = ()
gc.collect()
_base = gc.mem_alloc()

from thimble.relay import Relay  # noqa: E402

gc.collect()
_code = gc.mem_alloc() - _base

_EVERY = int(os.getenv("PROBE_EVERY") or "100")
_LIVE = os.getenv("PROBE_LIVE") == "1"


class Free:
    """No flood limits."""

    def wait_ms(self, peer, now, spare):
        return 0

    def spend(self, peer, now):
        pass

    def block(self, peer, now, seconds):
        pass


class Probe(Relay):
    """A relay that tells its memory."""

    most = 0
    reported = -1
    steps = 0

    def _turn(self):
        if self.answered != self.reported and self.answered % _EVERY == 0:
            self.report()
        super()._turn()

    def meanwhile(self):
        if _LIVE:
            self.steps += 1
            if self.steps % 64 == 0:
                self.sample()
        return super().meanwhile()

    def sample(self):
        gc.collect()
        live = gc.mem_alloc()
        self.most = max(self.most, live)
        return live

    def report(self):
        self.reported = self.answered
        total = micropython.mem_total()
        live = self.sample()
        print(
            json.dumps(
                {
                    "answered": self.answered,
                    "total": total,
                    "live": live,
                    "most": self.most,
                    "free": gc.mem_free(),
                    "code": _code,
                    "segments": self.memory.segments.count,
                }
            )
        )


def main():
    relay = Probe(*_booted)
    gc.threshold(-1)
    if os.getenv("PROBE_FREE") == "1":
        relay.reply.limits = relay.aside.limits = Free()
    try:
        relay.run()
    except KeyboardInterrupt:
        pass
    _board.close()


main()
