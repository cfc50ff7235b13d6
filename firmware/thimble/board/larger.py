"""The profiles of machines with more memory than a Pico W, on whose boards this file is not."""

from thimble.profile import Profile

_TEXT = const(12288)  # see thimble.profile


class Esp32S3(Profile):
    """An ESP32-S3 with PSRAM: TLS lives in the IDF's heap, outside the collector's."""

    name = "esp32_s3"
    inbox = 49152
    reply = _TEXT + 512
    telegram_in = model_in = 4096
    telegram_out = model_out = asides = words = log = 1024
    segment = 2048
    segments_max = 256
    reserve = 65536
    slots = 64
    room = ()
    flash_blocks = 512
    files = 16
    file_bytes = 65535
    led = "48"
    led_kind = "rgb"
    button = "0"
    journal = 65536
    notes = 288


class Unix(Profile):
    """Any Linux box."""

    name = "unix"
    inbox = 131072
    reply = _TEXT + 512
    telegram_in = model_in = 8192
    telegram_out = model_out = 1024
    asides = words = log = 4096
    segment = 2048
    segments_max = 512
    reserve = 65536
    slots = 256
    room = ()
    flash_blocks = 1024
    files = 16
    file_bytes = 65535
    journal = 147456
    notes = 512
