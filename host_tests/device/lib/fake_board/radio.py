"""`network` as the two ports have it, and the air around it.

`radio.air` holds the networks in reach: name → Net. What the drivers get wrong is set there:

    stuck    the chip does nothing any more, until it loses its power. No driver says so when it is
             asked whether it is connected; a Pico W's only when it is to join or to scan (EPERM)
    nameless the same, with a code for which an ESP32's port has no words: RuntimeError
    lies     isconnected() says True whatever the air says, until then
    vague    a refused password is a join that goes on (ESP32)
"""

from fake_board.chip import chip

_EPERM = 1
_ASSOCIATE_MS = 800
_SCAN_MS = 2000
_RENEW_MS = 3500  # two questions for the lease of before, at 0 and 1 s, and two more seconds
LEASE = ("10.0.0.7", "255.255.255.0", "10.0.0.1", "10.0.0.2")


class Net:
    """A network. dhcp: whether addresses are given out. refuses_ms: how long a Pico W takes a lost
    frame for a refusal, before it tries again by itself and is let in. lease: what ifconfig() says
    once its DHCP has answered; a Pico W keeps that of the network before until then, and calls
    itself connected with it (lwIP, dhcp_network_changed_link_up)."""

    def __init__(self, password, rssi=-60, hidden=False, dhcp=True, refuses_ms=0, lease=LEASE):
        self.password, self.rssi, self.hidden, self.dhcp = password, rssi, hidden, dhcp
        self.refuses_ms, self.lease = refuses_ms, lease


class Radio:
    """The chip; WLAN's calls act on it. `calls` are their names, in order,
    without the questions."""

    def power_on(self):
        self.air = {}
        self.calls = []
        self.country = self.hostname = None
        self.stuck = self.nameless = self.lies = self.vague = False
        self.powered = 0  # how often the power came
        self.pm = self.address = None
        self.off()

    def off(self):
        """The power goes."""
        self.active = self.stuck = self.lies = False
        self.lease = None
        self.forget()

    def forget(self):
        self.asked = None  # (name, password, time)
        self.up = None
        self.reason = 0

    def settle(self):
        """What has become of the join by now."""
        if self.stuck or self.nameless:
            self.asked = self.up = None
            return
        if self.up is not None and self.up not in self.air:
            self.up = None
            if chip.port == "esp32":  # it tries again by itself
                self.reason = 200
                self.asked = (self.asked[0], self.asked[1], chip.now)
            else:
                self.asked = None
        if self.up is None and self.asked is not None:
            name, password, since = self.asked
            if chip.now - since < _ASSOCIATE_MS:
                return
            net = self.air.get(name)
            if net is None:
                self._failed(-2, 201)
            elif net.password != password:
                self._failed(-3, 0 if self.vague else 202)
            elif chip.now - since < _ASSOCIATE_MS + net.refuses_ms:
                self.reason = -3
            else:
                self.reason = 0
                if net.dhcp or self.address:
                    self.up = name
                    self.renewed = chip.now + _RENEW_MS

    def leased(self):
        """What DHCP gave."""
        fresh = chip.port == "esp32" or chip.now >= self.renewed
        if self.up is not None and (fresh or self.lease is None):
            self.lease = self.air[self.up].lease
        return self.lease

    def _failed(self, rp2, esp32):
        if chip.port == "rp2":
            self.asked, self.reason = None, rp2
        else:
            self.reason = esp32
            self.asked = (self.asked[0], self.asked[1], chip.now)


radio = Radio()


class WLAN:
    IF_STA = 0
    PM_NONE, PM_PERFORMANCE, PM_POWERSAVE = 16, 10555714, 17

    def __init__(self, interface):
        assert interface == self.IF_STA

    def _call(self, name, awake=True):
        if name in ("isconnected", "status"):
            return
        radio.calls.append(name)
        if radio.nameless:
            raise RuntimeError("Wifi Unknown Error 0x0101")
        if radio.stuck or (awake and not radio.active):
            if chip.port == "esp32":
                raise OSError("Wifi Not Started")
            if name in ("connect", "scan"):
                raise OSError(_EPERM)

    def active(self, on=None):
        self._call("active", False)
        if on is None:
            return radio.active
        if on and not radio.active:
            radio.powered += 1
            radio.country_at_start, radio.hostname_at_start = radio.country, radio.hostname
        radio.active = bool(on)
        if not on:
            radio.forget()
            if chip.port == "esp32":
                radio.lies = False

    def isconnected(self):
        self._call("isconnected", False)
        radio.settle()
        return radio.lies or radio.up is not None

    def connect(self, name, password=None):
        self._call("connect")
        radio.settle()
        if chip.port == "esp32" and (radio.asked or radio.up):
            raise OSError("Wifi Internal State Error")
        radio.asked, radio.up = (name, password, chip.now), None
        if chip.port == "rp2":
            radio.reason = 0

    def disconnect(self):
        self._call("disconnect")
        reason = radio.reason
        radio.forget()
        if chip.port == "esp32":
            radio.reason = reason  # it stays what it was, until a join succeeds

    def status(self, what=None):
        self._call("status", False)
        radio.settle()
        if what == "rssi":
            if radio.up is None and chip.port == "esp32":
                raise OSError("Wifi Not Connected")
            return radio.air[radio.up].rssi if radio.up else 0x20001234
        if chip.port == "rp2":
            return 3 if radio.up else radio.reason or (1 if radio.asked else 0)
        return 1010 if radio.up else radio.reason or (1001 if radio.asked else 1000)

    def scan(self):
        self._call("scan")
        if chip.port == "esp32" and radio.asked and not radio.up:
            raise OSError("Wifi Internal State Error")
        chip.run(_SCAN_MS)
        # A neighbour's name need not be a text.
        found = [(b"\xff\xfe\xc3", b"\2" * 6, 1, -20, 5, False)]
        for name, net in radio.air.items():
            shown = b"" if net.hidden else name.encode()
            for weaker in (9, 0, 9):  # the same network from three access points
                security = 0 if net.password is None else 5
                found.append((shown, b"\1" * 6, 6, net.rssi - weaker, security, net.hidden))
        return found

    def config(self, *, pm):
        self._call("config")
        radio.pm = pm

    def ifconfig(self, address=None):
        self._call("ifconfig")
        if address is None:
            return radio.address or radio.leased()
        radio.address = address


class _Pico(WLAN):
    def deinit(self):
        radio.calls.append("deinit")
        radio.off()


class network:
    """The module."""

    def __init__(self, port):
        rp2 = port == "rp2"
        self.WLAN = _Pico if rp2 else WLAN
        self.STAT_WRONG_PASSWORD = -3 if rp2 else 202
        self.STAT_NO_AP_FOUND = -2 if rp2 else 201

    def country(self, code):
        assert len(code) == 2
        radio.country = code

    def hostname(self, name):
        assert len(name.encode()) <= 32
        radio.hostname = name
