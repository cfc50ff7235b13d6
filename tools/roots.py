"""Writes the root certificates that the firmware's table names, from certifi's bundle.

    python -m tools.roots FOLDER

A root's file is named for its common name: "GTS Root R4" is gts-root-r4.der.
"""

from __future__ import annotations

import ast
import base64
import re
import subprocess
import sys
from pathlib import Path

import certifi

TABLE = Path(__file__).resolve().parent.parent / "firmware/thimble/net/roots.py"
