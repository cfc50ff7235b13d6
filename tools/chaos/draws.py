"""What people do: draws a setting and a list of steps from a seed.

A step is a tuple: the name of a method of town.Town, and its arguments. A place is a number in
PLACES, a fault or a script its number in FAULTS or SCRIPTS.
"""

from __future__ import annotations

import random

OWNER, ANN, BOB, STRANGER = 42, 101, 102, 66
GROUP, FORUM, ELSEWHERE = -501, -1001000000503, -599
ALLOWED = [OWNER, ANN, BOB, GROUP, FORUM]
PLACES = (
    *((OWNER, 0), (ANN, 0), (BOB, 0)),
    *((GROUP, 0), (FORUM, 7), (FORUM, 8), (ELSEWHERE, 0), (STRANGER, 0)),
)
NAME = "@thimble_test_bot"
MODELS = ("simulated-1", "simulated-reasoner-1")

TEXTS = (
    *("hi", "line one\nline two\n\nline three", "<b>x</b> &amp; <i", "**bold** `code` [a](b)"),
    *(
        "שלום עולם, abc",
        "مرحبا 123",
        "👍🏽❤️🐈👩‍👩‍👧",
        '"quoted" \\ back \\u0041 \\',
        "a\tb  c   d",
    ),
    *("/nothing of this name", "say /stop or /new", "@somebody else", "\u200b\u00a0.", "{}[]"),
    *("x " * 2000, "😀" * 2000, "吾輩は猫である。" * 500, "ß" * 4000, "word " * 300),
)
HOW = (
    *("", "", "", "", "", "length=5000 deltas=40", "length=9000 deltas=9 unit=wörter_und_🧵_"),
    *("length=40000 deltas=300", "cut_after=2", "error_after=3", "status=400", "status=401"),
    *("mode=text", "finish=length", "finish=content_filter", "think=hm_hm think_as=tags"),
    *("think=hm_hm", "think=hm think_as=reasoning mode=text", "deltas=8 delay=0.25"),
    *("ascii=1 cuts=escape", "cuts=utf8", "keepalives=2 first=0.4", "framing=close", "no_end=1"),
    *("context=150", "first=0.6", "length=3000 deltas=30 delay=0.05", "cuts=7"),
)
SCRIPTS = (
    *({"status": 429, "retry_after": 1}, {"status": 500}, {"status": 529}, {"cut_after": 0}),
    *({"text": " \n "}, {"text": "\u200b"}, {"text": "\n\nafter two"}, {"error_after": 0}),
    *({"refuse_max_tokens": True}, {"text": "a", "finish": "length"}, {"text": ""}),
    *({"context": 150}, {"stall_after": 0, "stall": 4.0}, {"stall_after": 2, "stall": 4.0}),
    *({"text": "x", "pieces": ["", " ", "x", "", " "]}, {"refuse_stream_options": True}),
)
_REFUSED = {"ok": False, "error_code": 403, "description": "Forbidden: bot was blocked"}
FAULTS = (
    *(("sendMessage", "flood", {"retry_after": 1}), ("sendMessage", "status", {"status": 502})),
    *(("sendMessage", "close", {}), ("sendMessage", "close", {"effect": True})),
    *(("getUpdates", "flood", {"retry_after": 1}), ("getUpdates", "status", {"status": 502})),
    *(("getUpdates", "close", {"effect": True}), ("getUpdates", "garbage_body", {})),
    *(("editMessageText", "flood", {"retry_after": 1}), ("getUpdates", "close_in_body", {})),
    ("sendMessage", "status", {"status": 403, "body": _REFUSED}),
)
# Telegram's limits; with those of the cloud no call of the relay may be refused.
FLOODS = {
    "off": {"enabled": False},
    "documented": {},
    "tight": {"burst": 2, "per_second": 0.5, "group_per_minute": 15, "total_per_second": 3},
}
# What is said to `config`, and whether it is taken.
CONFIGS = (
    *(("limits.per_user_hour", value, value != "251") for value in ("0", "6", "250", "251")),
    *(("memory.max_messages", value, value != "9") for value in ("10", "200", "9")),
    *(("telegram.max_parts", value, value != "0") for value in ("1", "2", "8", "0")),
    *(("limits.per_user_hour", "-1", False), ("memory.max_messages", "many", False)),
    *(("telegram.max_parts", "2.5", False), ("telegram.max_part", "2", False)),
    *(("limits.per_user_hour", "true", False), ("memory.max_messages", '"', False)),
)
# Of the model. The wait of over a minute is longer than a message waits: it is put aside.
TROUBLES = (
    *(("flood", {"retry_after": 1}), ("flood", {"retry_after": 2}), ("status", {"status": 503})),
    *(("status", {"status": 529}), ("status", {"status": 503, "headers": {"Retry-After": 1}})),
    *(("close", {}), ("close", {"reset": True}), ("hang", {"seconds": 3.0})),
    ("flood", {"retry_after": 61}),
)
# KB of heap that a small relay has beside what it needs to come up; None: it is none. In a budget
# of its own (BUDGET) it has as few segments, but memory does not run out.
BUDGET = "budget"
SPARE = (0, 1, 3, BUDGET)
COMMANDS = (
    *("/start", "/help", "/status", "/model", "/stop", "/new", "/new", "/retry", "/retry"),
    "/stop " + "please " * 30,
    *("/more", "/history", "/history", "/forget", "/forget", "/model simulated-1", "/reboot"),
    *("/model simulated-reasoner-1", "/help " + "x" * 200, "/new and more", "/stop@another_bot"),
)


def setting(chance: random.Random) -> dict:
    """How the relay is set up."""
    limits = chance.choice(({}, {}, {}, {"per_user_hour": 6}, {"calls_per_day": 12}))
    return {
        "profile": chance.choice(("unix", "pico_w")),
        "api": chance.choice(("openai", "anthropic")),
        "secure": chance.random() < 0.2,
        "telegram": {"max_parts": chance.choice((1, 2, 8))},
        "memory": {"max_messages": chance.choice((200, 10))},
        "model": {"system": chance.choice(("", "Be brief, in Märchen style 🧵."))},
        "limits": limits,
        "flood": chance.choice(("off", "off", "documented", "tight")),
        "spare": chance.choice((None, None, None, *SPARE)),
    }


def draw(seed: int, count: int):
    """(setting, steps) of a seed."""
    chance = random.Random(seed)
    how = setting(chance)
    if how["spare"] == BUDGET:
        how["memory"]["budget_kb"] = 1
    elif how["spare"] is not None:
        how["profile"] = "pico_w"
    steps = []
    while len(steps) < count:
        steps += _step(chance, len(steps))
        if chance.random() < 0.4:
            steps.append(("settle",))
    return how, [*steps, ("settle",), *[("recover",)] * (how["spare"] is not None)]


def _behind(command):
    """What a command wants behind it: of what /history sent not every text can be told."""
    return [("settle",)] * ("/history" in command)


def _step(chance, number):
    """One thing that happens, or a few that belong together."""
    place = chance.randrange(len(PLACES))
    chat = PLACES[place][0]
    user = chat if chat > 0 else chance.choice((OWNER, ANN, STRANGER))
    kind = chance.random()
    if kind < 0.5:
        text = f"s{place}n{number};"
        text = chance.choice((text + " " + chance.choice(TEXTS), chance.choice(TEXTS) + text))
        how = chance.choice(HOW)
        if chance.random() < 0.25:
            how = _edge(chance)
        if how:
            text += f"[[{how}]]"
        if chat < 0 and chance.random() < 0.7:
            text = chance.choice(
                (f"{NAME} {text}", f"{text} {NAME}", f"Hey {NAME.upper()}, {text}")
            )
        return [("say", place, user, text)]
    if kind < 0.75:
        text = chance.choice(COMMANDS)
        if text == "/reboot":
            return [("settle",), ("say", place, user, text), ("settle",)]
        if chat < 0 and chance.random() < 0.5 and "@" not in text:
            text = text.replace(" ", f"{NAME} ", 1) if " " in text else text + NAME
        return [("say", place, user, text), *_behind(text)]
    if kind < 0.77:
        texts = [f"s{place}n{number}.{n}; {chance.choice(TEXTS[-5:])}" for n in range(9)]
        many = [("say", place, user, text) for text in texts]
        other = chance.randrange(3)
        text = chance.choice(COMMANDS[:-5])
        many.append(("say", other, PLACES[other][0], text))
        return [*many, *_behind(text)]
    if kind < 0.79 and chat in (GROUP, FORUM):
        return [("settle",), ("reply", place, user, f"s{place}n{number}; go on")]
    if kind < 0.83:
        return [(chance.choice(("photo", "sticker", "album", "other")), place, user)]
    if kind < 0.84 and chat in ALLOWED:
        return _blocked(chance, number, place, user)
    if kind < 0.85:
        return [(chance.choice(("kill", "stop")), round(chance.random() * 2, 2))]
    if kind < 0.87:
        steps = [("config", *chance.choice(CONFIGS)) for _ in range(chance.randint(1, 3))]
        return [*steps, *[("reboot",)] * (chance.random() < 0.7)]
    place = chance.randrange(3)
    user = PLACES[place][0]
    said = ("say", place, user, f"s{place}n{number}; {chance.choice(TEXTS[:14])}")
    if kind < 0.90:
        trouble = chance.randrange(len(TROUBLES))
        return [("settle",), ("trouble", trouble, chance.choice((1, 1, 2, 5))), said, ("settle",)]
    if kind < 0.94:
        fault = chance.randrange(len(FAULTS))
        return [("settle",), ("fault", fault), said, ("settle",)]
    if kind < 0.98:
        times = chance.choice((1, 1, 1, 1, 4))
        return [("settle",), ("script", chance.randrange(len(SCRIPTS)), times), said, ("settle",)]
    slow = ("say", place, user, f"s{place}n{number};[[length=400 deltas=100 delay=0.1]]")
    return [("settle",), slow, ("wait", 1.5), ("say", place, user, "/stop"), ("settle",)]


def _blocked(chance, number, place, user):
    """The bot is blocked, at times in the middle of an answer, and after a while it is not."""
    how = chance.choice(("", "first=0.6", "length=3000 deltas=40 delay=0.05", "length=9000"))
    text = f"s{place}n{number}; [[{how}]] {NAME}"
    steps = [("say", place, user, text), ("wait", round(chance.random() * 2, 2)), ("block", place)]
    for more in range(chance.randint(1, 4)):
        steps += _step(chance, f"{number}.{more}")
    steps += [("settle",)] * (chance.random() < 0.5)
    steps += [("unblock", place), ("say", place, user, text.replace(";", ".9;", 1))]
    return steps


def _edge(chance):
    """An answer that ends about where a message does."""
    unit = chance.choice(("x", "word_", "ß", "😀", "猫", "a.__b", "line_"))
    units = 4096 * chance.randint(1, 3) + chance.randint(-70, 70)
    length = units // (2 if unit == "😀" else 1)
    end = chance.choice(("", "", " finish=length", f" cut_after={chance.randint(2, 20)}"))
    return f"length={length} unit={unit} deltas={chance.randint(1, 20)}{end}"
