"""Calls ``thimble.setup()`` here, with the section in THIMBLE_SECTION. Runs in MicroPython."""

import os

import thimble

thimble.setup(os.getenv("THIMBLE_SECTION") or "")
