"""A relay reduced to its journal, and what it may rely on at any moment.

Updates are numbered; number n's text, and so its record's size, follow from n. ``Desk`` takes them
in and answers them; ``Promises`` knows what must be found on flash if the power went now, what
must not be found, and what may or may not.
"""

from thimble.core.ring import Ring
from thimble.store.journal import Journal

BASE = 499999990  # so that the ids grow a digit, and do not fit a small int
BOT = b"123456789"
PATH = "/flash/journal"
LARGEST = 68 + 332
_TEXT = 68


def text(number):
    """The text of update ``number``: 0 to 331 bytes, the large ones rare."""
    size = 300 + number % 32 if number % 7 == 3 else number * 37 % 90
    return bytes([(number * 31 + i) & 255 for i in range(size)])


class Promises:
    """What the relay may rely on; sets and lists of update numbers, in order of arrival."""

    def __init__(self):
        self.order = []  # appended, perhaps not flushed
        self.committed = set()
        self.closing = set()  # done, perhaps not flushed
        self.closed = set()
        self.tries = {}  # number: (at least, at most)
        self.ids = {}  # number: [ids that are there, the one that may be]
        self.doubtful = set()  # ids whose writing failed: not there, or only until a rewriting
        self.offset = 0  # at least; 0 before the first
        self.offset_most = 0

    def flushed(self):
        """A commit returned True."""
        self.committed = set(self.order)
        self.closed = set(self.closing)
        self.offset = self.offset_most
        for number in self.tries:
            self.tries[number] = (self.tries[number][1],) * 2
        for pair in self.ids.values():
            pair[0] += pair[1]
            pair[1] = []

    def check(self, found):
        """Fails unless ``found``, a View of what is on flash, keeps them."""
        numbers = [number for number, tries, ids in found.records]
        assert numbers == sorted(set(numbers)), ("once and in order", numbers)
        allowed = [n for n in self.order if n not in self.closed]
        assert all(n in allowed for n in numbers), ("invented or repeated", numbers, allowed)
        due = [n for n in self.order if n in self.committed and n not in self.closing]
        assert all(n in numbers for n in due), ("lost", numbers, due)
        assert self.offset <= found.offset <= self.offset_most, (self.offset, found.offset)
        for number in self.order:
            known = number in numbers or number in self.closing
            assert known or number >= found.offset, ("confirmed but lost", number, found.offset)
            assert number not in numbers or number < found.offset, ("twice", number, found.offset)
        for number, tries, ids in found.records:
            least, most = self.tries.get(number, (0, 0))
            assert least <= tries <= most, ("attempts", number, tries, least, most)
            sure, perhaps = self.ids.get(number, ([], []))
            ids = [name for name in ids if name not in self.doubtful]
            assert ids == sure or ids == sure + perhaps, ("sent", number, ids, sure, perhaps)

    def settle(self, found):
        """After a reset: what was found is the truth now."""
        numbers = [number for number, tries, ids in found.records]
        self.closing = {n for n in self.order if n < found.offset and n not in numbers}
        self.order = [n for n in self.order if n < found.offset]
        self.offset_most = found.offset
        self.tries = {number: (tries, tries) for number, tries, ids in found.records}
        self.ids = {number: [ids, []] for number, tries, ids in found.records}
        self.flushed()


class View:
    """What a boot finds: ``records`` as (number, attempts, [ids]), and the ``offset``'s number."""

    def __init__(self, journal, ring, length, out):
        self.offset = int(bytes(out[:length]) or b"%d" % BASE) - BASE
        self.records = []
        at = ring.first()
        while at >= 0:
            buf, size = ring.buf, ring.size(at)
            number = int(bytes(buf[at + 48 : at + 48 + buf[at + 4]])) - BASE
            assert bytes(buf[at + _TEXT : at + size]) == text(number), ("changed", number)
            ids = []
            length = journal.sent(at, 0, out)
            while length:
                ids.append(bytes(out[:length]))
                length = journal.sent(at, len(ids), out)
            self.records.append((number, buf[at + 5], ids))
            at = ring.after(at)


class Desk:
    """size: bytes of the inbox; most: of the journal. boot() before all else."""

    def __init__(self, size=1200, most=2000, path=PATH):
        self.size = size
        self.most = most
        self.path = path
        self.promises = Promises()
        self.sent = self.errors = 0

    def boot(self, bot=BOT):
        """Starts afresh on what is on flash; a View of that."""
        self.ring = Ring(bytearray(self.size), LARGEST)
        self.journal = Journal(self.path, self.most, bytearray(256))
        out = bytearray(21)
        length = self.journal.load(self.ring, bot, out)
        return View(self.journal, self.ring, length, out)

    def boot_again(self):
        """Starts afresh, checks what is there against the promises, and goes on from it."""
        found = self.boot()
        self.promises.check(found)
        self.promises.settle(found)
        return found

    def take(self, numbers, commit=True):
        """One poll's batch; how many of them had room. The next attempt commits them too."""
        promises, count = self.promises, 0
        for number in numbers:
            off = self.ring.pend(LARGEST) if not self.ring.full else -1
            if off < 0 or not self._receive(off, number):
                break
            count += 1
        if count and commit and self.journal.commit():
            promises.flushed()
        return count

    def _receive(self, off, number):
        buf, words, promises = self.ring.buf, text(number), self.promises
        name = b"%d" % (BASE + number)
        for i in range(_TEXT):
            buf[off + i] = 0xA5  # what an earlier record left there
        buf[off + 4] = len(name)
        buf[off + 48 : off + 48 + len(name)] = name
        buf[off + _TEXT : off + _TEXT + len(words)] = words
        before = promises.offset_most
        promises.order.append(number)
        promises.offset_most = number + 1
        if self.journal.received(off, _TEXT + len(words)):
            self.ring.finish(_TEXT + len(words))
            return True
        promises.order.pop()
        promises.offset_most = before
        return False

    def skip(self, number):
        """An update that needs no place: the offset alone moves behind it."""
        self.promises.offset_most = number + 1
        name = b"%d" % (BASE + number + 1)
        self.journal.offset(name, 0, len(name))

    def commit(self):
        ok = self.journal.commit()
        if ok:
            self.promises.flushed()
        return ok

    def attempt(self):
        """Before an attempt at the oldest message; its number."""
        at = self.ring.first()
        number = int(bytes(self.ring.buf[at + 48 : at + 48 + self.ring.buf[at + 4]])) - BASE
        tries = self.promises.tries
        least, most = tries.get(number, (0, 0))
        tries[number] = (least, most + 1)
        assert self.ring.buf[at + 5] == most
        self.journal.attempt(at, most + 1)
        self._committed()
        return number

    def send(self, number):
        """A part of the oldest message's answer was sent."""
        self.sent += 1
        name = b"%d" % (self.sent + 97)
        sure, perhaps = self.promises.ids.setdefault(number, [[], []])
        part = len(sure) + len(perhaps)
        perhaps.append(name)
        self.journal.answering(self.ring.first(), part, bytearray(b" " + name), len(name))
        if not self._committed():
            self.promises.doubtful.add(name)
            self.promises.ids[number][1].remove(name)

    def close(self, number):
        """The oldest message is answered; nothing is flushed."""
        self.promises.closing.add(number)
        at = self.ring.first()
        self.journal.done(at)
        self.ring.drop(at)

    def work(self, count, first=0):
        """``count`` updates from ``first`` on, batches of 1 to 3; some are tried twice."""
        number = first
        while number < first + count or self.ring.count:
            if number % 8 == 5:
                self.skip(number)  # and nothing else in this poll
                number += 1
                self.commit()
            batch = range(number, min(number + 1 + number % 3, first + count))
            number += self.take(batch, number % 3 > 0)
            for _ in range(1 + number % 2):
                if self.ring.count:
                    now = self.attempt()
                    for _ in range(now % 4):
                        self.send(now)
                    if now % 5 == 2:
                        self.attempt()
                        self.send(now)
                    self.close(now)
            if not self.ring.count:
                self.commit()

    def _committed(self):
        """Whether the last operation, which commits, did; what failed is open until one does."""
        if self.journal.error:
            self.journal.error = 0
            self.errors += 1
            return False
        self.promises.flushed()
        return True
