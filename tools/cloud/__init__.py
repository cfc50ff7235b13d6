"""A simulated cloud on loopback: Telegram's Bot API and two models' services.

It is as strict as the real services and as faulty as a test wants it. See cloud.py.
"""

from .cloud import KEY, TOKEN, Cloud
from .script import Script

__all__ = ["KEY", "TOKEN", "Cloud", "Script"]
