"""The relay with gauges, for the benchmarks. Runs in MicroPython, in place of `thimble.run()`.

    PROBE_ROOM=0      the connections' blocks are not held
    PROBE_FREE=1      our own flood limits are off (the cloud's must be too)
    PROBE_LIVE=1      the live heap is sampled while an answer streams
    PROBE_SEGMENTS=n  at most so many segments for conversations
    PROBE_LEDGER=1    every function's allocations are counted, see ledger.py

Prints the lines of gauge.py at its stages (baseline, buffers, configured, burst, rest) and between
messages, with the most live bytes seen, the bytes that the code took, the segments, and behind the
last message the blocks of the connections that the heap had no room for.
"""

import gc
import os

from gauge import Gauge

_gauge = Gauge()
_gauge.tell("baseline")
import thimble  # noqa: E402

_booted = thimble.boot(thimble.port())
_board = _booted[1]
if os.getenv("PROBE_ROOM") == "0":
    _board.profile.room = ()
if os.getenv("PROBE_SEGMENTS"):
    _board.profile.segments_max = int(os.getenv("PROBE_SEGMENTS"))
_gauge.tell("buffers")
_base = _gauge.sample()

from thimble.relay import Relay  # noqa: E402

_gauge.extra["code"] = _gauge.sample() - _base
_ledger = None
if os.getenv("PROBE_LEDGER") == "1":
    import ledger as _ledger  # noqa: E402

_LIVE = os.getenv("PROBE_LIVE") == "1"


class Free:
    """No flood limits."""

    def wait_ms(self, peer, now, spare):
        return 0

    def spend(self, peer, now):
        pass

    def block(self, peer, now, seconds):
        pass

    def blocked(self, now):
        return 0

    def serve(self, now):
        pass


class Probe(Relay):
    """A relay that tells its memory."""

    steps = 0

    def _turn(self):
        if _ledger:
            _ledger.note(self.answered, _gauge.count)
        if _gauge.note(self.answered):
            missing = self.telegram_link._room.missing + self.model_link._room.missing
            _gauge.extra["missing"] = missing
            _gauge.tell("burst", self.answered)
            raise KeyboardInterrupt
        super()._turn()

    def look_in(self):
        if _LIVE:
            self.steps += 1
            if self.steps % 64 == 0:
                _gauge.extra["most"] = max(_gauge.extra["most"], _gauge.sample())
        return super().look_in()


def main():
    gc.threshold(-1)
    relay = Probe(*_booted)
    if os.getenv("PROBE_FREE") == "1":
        relay.reply.limits = relay.aside.limits = Free()
    _gauge.extra["segments"] = relay.memory.segments.count
    _gauge.extra["missing"] = 0
    _gauge.extra["most"] = _gauge.sample()
    _gauge.tell("configured")
    try:
        relay.run()
    except KeyboardInterrupt:
        pass
    _gauge.tell("rest", relay.answered)
    _board.close()


main()
