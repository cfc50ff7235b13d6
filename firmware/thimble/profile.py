"""A board's profile: the size of every buffer that is made at boot, in bytes.

The largest piece of text that Telegram delivers or takes is 4,096 UTF-16 units, which are up to
12,288 bytes of UTF-8. Profiles of larger machines: see board.larger.
"""

# In the order in which they are made.
_BUFFERS = const(
    (
        "inbox",
        "reply",
        "telegram_in",
        "model_in",
        "asides",
        "model_out",
        "log",
        "words",
        "telegram_out",
        "delta",
        "turns",
        "notes",
    )
)


class Profile:
    """The Raspberry Pi Pico W: 264 KB of RAM, of which about 190 KB are heap."""

    name = "pico_w"
    # The ring of messages that wait: one of the largest size, and room beside it.
    inbox = 14336
    # What is being sent: a message, and the delta that passes its limit. 4,096 units of two bytes
    # fit; where a unit takes three bytes, a message holds fewer and the answer is more messages.
    reply = 8192 + 512
    # A model's delta on its way; a longer one arrives in pieces.
    delta = 512
    telegram_in = 1024
    telegram_out = 512
    model_in = 1024
    model_out = 512
    # Commands that act at once, and the short answers to them.
    asides = 640
    words = 768
    log = 768
    # Conversations: equal segments, as many as leave ``reserve`` bytes free, in pieces where it
    # must be, for what comes and goes, but not fewer than ``segments_min``.
    segment = 1024
    segments_max = 96
    segments_min = 4
    reserve = 8192
    slots = 6
    # The blocks that TLS makes for one connection (mbedTLS: in, out, the rest). On a board they
    # are heap.
    room = (16717, 4429, 2300)
    flash_blocks = 212
    # What is wired to the board, see board.base; a Pico W's button is BOOTSEL.
    led = "LED"
    led_kind = "high"
    button = "none"
    battery_adc = "none"
    battery_ratio = 2000  # thousandths: a divider of two equal resistors
    # On flash: bytes of the journal (at least the inbox, its largest record and 1 KB), the files
    # of the sessions, which are always open, and the bytes of each: the firmware may lie beside
    # them, and one is written anew at a time. And what reads and writes them.
    journal = 32768
    notes = 256
    files = 6
    file_bytes = 57344
    turns = 512


class Buffers:
    """The buffers of a profile. Without methods, so that it holds nothing of this module."""


def buffers(sizes):
    """The Buffers of the profile ``sizes``, the largest made first.

    Made before the rest of the code is loaded: nothing in the heap ever moves, and what loading
    leaves behind would lie between them.
    """
    made = Buffers()
    for name in _BUFFERS:
        setattr(made, name, bytearray(getattr(sizes, name)))
    return made
