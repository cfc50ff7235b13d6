"""A board on the desk: powered, and guarded by its dog. To be imported after install()."""

from kit import raises

from fake_board.chip import Bitten, chip
from thimble.keepers.watch import Watch


class Desk:
    """board: the class of the board under test, with its ``timers``."""

    def __init__(self, radio, board):
        self.radio = radio
        self.board = board

    def power_on(self):
        """A board whose chip and radio have just got their power."""
        chip.power_on()
        self.radio.power_on()
        while self.board.timers:
            self.board.timers.pop()
        return self.board()

    def guarded(self):
        """A board just powered, and the watch that its dog guards."""
        board = self.power_on()
        guard = Watch(board.feed, chip.now)
        board.guard(guard.alive)
        return board, guard


def turn(guard, ms):
    """The loop's slices for a while."""
    for _ in range(ms // 250):
        chip.run(250)
        guard.mark(chip.now)


def bitten_after(ms=600_000):
    """Milliseconds until the dog bites."""
    start = chip.now
    raises(Bitten, lambda: chip.run(ms))
    return chip.now - start
