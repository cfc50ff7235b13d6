"""The Wi-Fi: joins one of several networks, and joins again for ever.

`serve` takes one step and returns; whoever waits calls it between slices. What it steps through:

    OFF → CHOOSE → JOIN → UP → (lost) LOST → CHOOSE …      WAIT: after every network failed

The ports differ. An ESP32 joins again by itself, so it is left alone for a while, and it refuses a
second connect() without disconnect() (micropython#17661); the Pico W's chip does neither. Where a
call of the driver fails (EPERM on every one, once the Pico W's chip is stuck: micropython#11247),
the radio's power is taken and given back; so it is after some rounds in vain, and when a keeper
asks for it because nothing comes through although isconnected() is true (micropython#16290).
"""

import network
import os
from time import sleep_ms, ticks_add, ticks_diff, ticks_ms

from thimble.core.backoff import Backoff
from thimble.core.errors import NetError

_OFF = const(0)
_CHOOSE = const(1)
_JOIN = const(2)
_UP = const(3)
_LOST = const(4)
_WAIT = const(5)

_LOOK_MS = const(250)
_JOIN_MS = const(20_000)  # association and DHCP
# How long a Pico W may take a refusal back: it says "wrong password" wherever an authentication
# fails, be it for a lost frame, and then tries again by itself.
_REGRET_MS = const(5_000)
_REJOIN_MS = const(15_000)  # how long an ESP32 may try by itself
_STEADY_MS = const(5_000)  # a link that stood so long counts
_ROUNDS = const(4)  # in vain, until the radio's power is taken
_UNSEEN = const(-999)
_FIRST = const(100)  # the priority of wifi.ssid; those of wifi.networks are 0 to 100
_TYPED = const(0)
if _TYPED:
    from _mpy_shed.time_mp import _TicksMs  # noqa: F401
    from typing import Any  # noqa: F401


class Wifi:
    """board: its wlan, servers, rejoins, radio_off(). settings: the section ``wifi``. log: a Log.

    up: whether there is a network. ssid: which, or the one that is tried. error: why not, a
    sentence.
    """

    def __init__(self, board, settings, log):
        # type: (Any, Any, Any) -> None
        self._board = board
        self._wlan = board.wlan
        self._settings = settings
        self._log = log
        self._known = known(settings)
        self._backoff = Backoff()
        self._state = _OFF
        self._steady = False
        self._due = self._end = ticks_ms()
        self.up = False
        self.ssid = ""
        self.error = ""

    def serve(self, now):
        # type: (_TicksMs) -> bool
        """Takes the step that is due at ``now`` (ticks_ms); whether there is a network.

        Setting up the radio or scanning blocks for some seconds, all else for milliseconds.
        """
        if ticks_diff(now, self._due) >= 0:
            self._due = ticks_add(now, _LOOK_MS)
            self._step(now)
        return self.up

    def join(self, ms, tick):
        # type: (int, Any) -> bool
        """Waits up to ``ms`` for a network, with tick() between slices; whether there is one."""
        start = ticks_ms()
        while not self.serve(ticks_ms()):
            if ticks_diff(ticks_ms(), start) >= ms:
                return False
            tick()
            sleep_ms(_LOOK_MS)
        return True

    def recycle(self):
        # type: () -> None
        """Takes the radio's power; the next serve() begins anew."""
        self.up = False
        self._board.radio_off()
        self._state = _OFF
        self._due = ticks_ms()

    def scan(self):
        # type: () -> list[tuple[int, str, bool]]
        """The networks in reach, strongest first: (dBm, name, open), each name once.

        Not while a network is joined or tried. Blocks for seconds. Raises OSError.
        """
        if self._state == _OFF:
            self._start()
        best = {}  # type: dict[str, tuple[int, str, bool]]
        for entry in self._wlan.scan():
            try:
                name = entry[0].decode()
            except UnicodeError:
                continue  # a name is any 32 bytes; ours are texts
            if name and (name not in best or entry[3] > best[name][0]):
                best[name] = (entry[3], name, not entry[4])
        return sorted(best.values(), reverse=True)

    def _step(self, now):
        # type: (_TicksMs) -> None
        """Apart from serve(), which every tick calls: a try makes a frame too large."""
        try:
            state = self._state
            if state == _OFF:
                self._start()
            elif self._wlan.isconnected():
                if state != _UP:
                    self._joined(now)
                elif not self._steady and ticks_diff(now, self._end) >= 0:
                    self._steady = True
                    self._backoff.reset()
                    self._learn()
            elif state == _UP:
                self._lost(now)
            elif state == _CHOOSE:
                self._left = self._choose()
                self._try(now)
            elif ticks_diff(now, self._end) >= 0:
                if state == _JOIN:
                    self._refused(now)
                else:
                    self._state = _CHOOSE
            elif state == _JOIN and self._wlan.status() < 0:
                # A Pico W says so at once; an ESP32 has other numbers and tries on.
                if self._wlan.status() == network.STAT_NO_AP_FOUND:
                    self._refused(now)
                elif ticks_diff(self._end, now) > _REGRET_MS:
                    self._end = ticks_add(now, _REGRET_MS)
        except (OSError, RuntimeError) as error:  # the latter from an ESP32, see base.radio_off
            self._fail("the radio does not obey (%s)" % error)
            self.recycle()
            self._pause(now, _OFF)

    def _start(self):
        # type: () -> None
        settings, wlan = self._settings, self._wlan
        if settings.country:
            network.country(settings.country.upper())
        network.hostname(settings.hostname)
        wlan.active(True)
        self._leave()  # an ESP32 stays in its network through a soft reset
        wlan.config(pm=getattr(wlan, "PM_" + settings.power.upper()))
        if settings.address:
            gateway = settings.gateway
            name_server = settings.dns or gateway
            wlan.ifconfig((settings.address, settings.netmask, gateway, name_server))
        self._state = _CHOOSE

    def _choose(self):
        # type: () -> list[tuple[int, str, str]]
        """The known networks in the order in which they are tried.

        First those in reach, by priority and then by strength; then the rest, which may be hidden.
        """
        if len(self._known) < 2:
            return list(self._known)
        self._leave()  # an ESP32 does not scan while it tries to join
        seen = {}
        try:
            for strength, name, _ in self.scan():
                seen[name] = strength
        except MemoryError:
            pass
        return sorted(
            self._known,
            key=lambda net: (net[1] not in seen, -net[0], -seen.get(net[1], _UNSEEN)),
        )

    def _try(self, now):
        # type: (_TicksMs) -> None
        """Begins to join the next of the networks that are left."""
        if not self._left:
            if not self._known:
                self._fail("no network is set; wifi.ssid names one")
            if self._backoff.failures % _ROUNDS == _ROUNDS - 1:
                self.recycle()
                self._pause(now, _OFF)
            else:
                self._pause(now, _CHOOSE)
            return
        _, self.ssid, password = self._left.pop(0)
        self._leave()
        self._wlan.connect(self.ssid, password or None)
        self._end = ticks_add(now, _JOIN_MS)
        self._state = _JOIN

    def _pause(self, now, state):
        # type: (_TicksMs, int) -> None
        wait = self._backoff.next(os.urandom(1)[0])
        if state == _OFF:
            self._due = ticks_add(now, wait)
        else:
            self._end = ticks_add(now, wait)
            self._state = _WAIT

    def _leave(self):
        # type: () -> None
        try:
            self._wlan.disconnect()
        except OSError:
            pass  # there was nothing to leave

    def _joined(self, now):
        # type: (_TicksMs) -> None
        self._end = ticks_add(now, _STEADY_MS)
        self._state = _UP
        self._steady = False
        self.up = True
        self.error = ""
        self._log.info("wifi: %s, address %s" % (self.ssid, self._learn()))

    def _learn(self):
        # type: () -> Any
        """Which name server is asked; our address. Once more when the link is steady: until DHCP
        has answered, a Pico W goes by what the network before had given it."""
        address, _, gateway, name_server = self._wlan.ifconfig()
        if name_server == "0.0.0.0":
            name_server = gateway
        self._board.servers[:] = [self._settings.dns or name_server]
        return address

    def _lost(self, now):
        # type: (_TicksMs) -> None
        self.up = False
        self._fail("%s was lost" % self.ssid)
        if not self._steady:
            self._pause(now, _CHOOSE)
            return
        self._end = ticks_add(now, _REJOIN_MS if self._board.rejoins else 0)
        self._state = _LOST

    def _refused(self, now):
        # type: (_TicksMs) -> None
        """The network that was tried did not take us."""
        status = self._wlan.status()
        why = "was not joined in time (is the password right?)"
        if status == network.STAT_WRONG_PASSWORD:
            why = "refused the password"
        elif status == network.STAT_NO_AP_FOUND:
            why = "is not in reach"
        self._fail("%s %s" % (self.ssid, why))
        self._try(now)

    def _fail(self, detail):
        # type: (str) -> None
        self.error = detail
        self._log.fail(NetError("wifi", detail))


def known(settings):
    # type: (Any) -> list[tuple[int, str, str]]
    """The networks of the section ``wifi`` as (priority, name, password)."""
    networks = []
    if settings.ssid:
        networks.append((_FIRST, settings.ssid, settings.password))
    for entry in settings.networks:
        networks.append((entry.get("priority", 0), entry["ssid"], entry.get("password", "")))
    return networks
