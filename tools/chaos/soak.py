"""Many messages, of which each meets a fault with a chance of 1 % a service, and kills."""

from __future__ import annotations

from dataclasses import dataclass

from . import storm
from .tally import Tally

RATE = 0.01
_MODEL = (0.0, 0.1)  # seconds that an answer takes

# What may befall a call: the fault of the cloud, and its options.
_ANY = (
    ("status", {"status": 500}),
    ("status", {"status": 502}),
    ("status", {"status": 503}),
    ("flood", {"retry_after": 2}),
    ("delay", {"seconds": 1.0}),
    ("hang", {"seconds": 3.0}),
    ("close", {}),
    ("close", {"effect": True}),
    ("close", {"reset": True}),
    ("close_in_head", {}),
    ("close_in_head", {"effect": True}),
    ("close_in_body", {}),
    ("close_in_body", {"reset": True}),
    ("stall_in_body", {"seconds": 3.0}),
    ("garbage", {}),
    ("garbage_body", {}),
    ("length", {}),
    ("length", {"add": -10}),
    ("endless_headers", {}),
    ("long_header", {}),
    ("redirect", {}),
    ("gzip", {}),
    ("chunked", {}),
    ("no_length", {}),
    ("close_after", {}),
    ("close_after", {"announce": False}),
    ("trickle", {}),
    ("continue", {}),
)
_TELEGRAM = ("getUpdates", "sendMessage", "editMessageText")


@dataclass
class Cut:
    """An answer of the model that ends in its middle."""

    applied: int = 1


def strike(cloud, random) -> list:
    """Before a message: arms at most one fault for each service, drawn from all; which ones."""
    armed = []
    for service, methods in (("telegram", _TELEGRAM), ("models", ("chat",))):
        if random.random() < RATE:
            name, options = random.choice(_ANY)
            armed.append(cloud.fault(service, random.choice(methods), name, 1, **options))
    if random.random() < RATE:
        where = random.choice(("error_after", "cut_after"))
        cloud.models.script(**{where: random.randint(0, 3)})
        armed.append(Cut())
    return armed


def run(relays: int, messages: int, kills: int, seed: int = 1) -> Tally:
    """So many relays at a time, which together take so many messages and kills."""
    plans = storm.share(
        relays, messages, kills, chats=24, backlog=1, model=_MODEL, faults=strike, long=0.03
    )
    return storm.run(plans, seed)
