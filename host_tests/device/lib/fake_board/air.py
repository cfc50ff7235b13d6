"""A Wifi on a fresh board, and the time that passes over it."""

from fake_board import Settings, chip, radio
from fake_board.radio import Net

from thimble.net.wifi import Wifi


class Log:
    """Keeps a line once while it is the last one, as the real one does."""

    def __init__(self):
        self.lines = []

    def info(self, line):
        self.lines.append(line)

    def fail(self, error):
        line = str(error)
        if not self.lines or self.lines[-1] != line:
            self.lines.append(line)


class Counted(Wifi):
    """``joins``, ``cycles``: how often a network was joined, the radio's power taken."""

    joins = cycles = 0

    def recycle(self):
        super().recycle()
        self.cycles += 1

    def _joined(self, now):
        super()._joined(now)
        self.joins += 1


def section(**values):
    """The section ``wifi``: its defaults, and what a test sets."""
    found = Settings(ssid="home", password="correct horse", networks=[], country="")
    found.hostname, found.power = "thimble", "performance"
    found.address = found.netmask = found.gateway = found.dns = ""
    for name, value in values.items():
        setattr(found, name, value)
    return found


def start(board_class, **values):
    """(wifi, board, log) after a cold boot, with the network "home" in the air."""
    chip.power_on()
    radio.power_on()
    radio.air["home"] = Net("correct horse")
    board, log = board_class(), Log()
    return Counted(board, section(**values), log), board, log


def live(wifi, ms, until_up=False):
    """Serves the Wi-Fi from a tick every 250 ms; milliseconds until it was up, or -1."""
    begin = chip.now
    while chip.now - begin < ms:
        chip.run(250)
        if wifi.serve(chip.now & 0x3FFFFFFF) and until_up:
            return chip.now - begin
    return -1
