"""A case: a byte n, the journal's tail of n bytes as its file holds it, and the journal's."""

import os
from binascii import hexlify

import vfs
from thimble.core.ring import Ring
from thimble.store.journal import Journal

_BLOCK = 4096
_PATH = "/fuzz/journal"
_UPDATE = 48
_TEXT = 68


class Disk:
    """Flash in RAM."""

    data = bytearray(16 * _BLOCK)

    def readblocks(self, block, buf, off=0):
        at = block * _BLOCK + off
        buf[:] = self.data[at : at + len(buf)]

    def writeblocks(self, block, buf, off=0):
        at = block * _BLOCK + off
        self.data[at : at + len(buf)] = buf

    def ioctl(self, op, arg):
        return {4: len(self.data) // _BLOCK, 5: _BLOCK}.get(op, 0)


_disk = Disk()
vfs.VfsLfs2.mkfs(_disk)
vfs.mount(_disk, "/fuzz")
os.mkdir(_PATH + ".tail")
_inbox = bytearray(12000)
_scratch = bytearray(256)
_offset = bytearray(21)


def _boot():
    ring = Ring(_inbox, 2000)
    journal = Journal(_PATH, 30000, _scratch)
    n = journal.load(ring, b"123456789", _offset)
    return ring, journal, bytes(_offset[:n]).decode()


def _live(ring):
    found, at = [], ring.first()
    while at >= 0:
        buf, size = ring.buf, ring.size(at)
        uid = bytes(buf[at + _UPDATE : at + _UPDATE + buf[at + 4]]).decode()
        text = hexlify(bytes(buf[at + _TEXT : at + size])).decode()
        found.append("%s:%d:%s" % (uid, buf[at + 5], text))
        at = ring.after(at)
    return " ".join(found)


def run(case):
    for name, data in ((".tail/now", case[1 : 1 + case[0]]), ("", case[1 + case[0] :])):
        with open(_PATH + name, "wb") as file:
            file.write(data)
    ring, journal, offset = _boot()
    said = "%s | %s" % (offset, _live(ring))
    # What comes next is taken, and is found again behind what was there.
    at = ring.pend(_TEXT)
    for i in range(_TEXT):
        ring.buf[at + i] = 0
    ring.buf[at + 4] = 1
    ring.buf[at + _UPDATE] = 0x37
    assert journal.received(at, _TEXT)
    ring.finish(_TEXT)
    assert journal.commit()
    before = _live(ring)
    journal.close()
    ring, journal, offset = _boot()
    journal.close()
    assert _live(ring) == before and offset == "8", (offset, _live(ring))
    return said
