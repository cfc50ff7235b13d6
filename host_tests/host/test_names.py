"""The names of the code, which MicroPython never gives back: a new table for them would take 9 KB
from the relay for good."""

from relay_kit import Board, House, started_by

# The relay as it is, started by a script whose console has the command ``names``.
SCRIPT = """
import micropython
import thimble
from thimble.board.unix import Board

read_line = Board.read_line


def line(board):
    said = read_line(board)
    if said != b"names":
        return said
    micropython.qstr_info()


Board.read_line = line
thimble.run()
"""


class Counting(Board):
    """Runs the script."""

    def __init__(self, config, root, **options):
        super().__init__(config, root, **options)
        started_by(self, root.parent / "names.py", SCRIPT)

    def tables(self) -> str:
        """How many tables of names there are, as ``n_pool=6``."""
        return self.lines("names", "qstr pool")[-1].split()[2]


def test_no_table_of_names_is_made_while_the_relay_runs(tmp_path):
    with House(tmp_path, board=Counting, heap="200k") as house:
        board = house.board
        chat = house.ask("hello")
        tables = board.tables()
        assert tables.startswith("n_pool=")
        board.lines("status\nlog\nhelp\nconfig\nconfig model.max_tokens", "1024")
        assert board.ask("config model.max_tokens 99").startswith("saved")
        board.lines("test", "model", timeout=20)
        for command in ("/status", "/model", "/history", "/new", "/forget", "/retry", "/help"):
            before = len(house.texts(chat))
            house.say(command, chat)
            house.wait(lambda before=before: len(house.texts(chat)) > before)
        house.quiet()
        assert board.tables() == tables
