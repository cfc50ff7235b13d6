"""Who is in Telegram: users, chats, their messages, and how each looks as JSON.

Field names and their order are those of the Bot API server (Client.cpp: JsonUser, JsonChat,
JsonMessage).
"""

import collections
import itertools
import json

from .errors import ApiError

BOT_NAME = "Thimble"
BOT_USERNAME = "thimble_test_bot"
ANONYMOUS = 1087968824  # the sender of what admins of any group write without their names
_KEEP = 100_000


class Chat:
    """`kind` is "private", "group", "supergroup" or "channel". `access` is "" or why the bot may
    not write: "blocked", "kicked" or "left"."""

    def __init__(self, number: int, kind: str, name: str):
        self.id = number
        self.kind = kind
        self.name = name
        self.access = ""
        self.is_forum = False
        self.topics = set()
        self.migrated_to = 0
        self.incoming = {}

    @property
    def is_group(self) -> bool:
        return self.kind != "private"

    def to_json(self) -> dict:
        if self.kind == "private":
            return {"id": self.id, "first_name": self.name, "type": "private"}
        chat = {"id": self.id, "title": self.name, "type": self.kind}
        if self.is_forum:
            chat["is_forum"] = True
        return chat

    def check(self):
        """Raises ApiError if the bot may not write here."""
        if self.migrated_to:
            raise ApiError(
                400,
                "Bad Request: group chat was upgraded to a supergroup chat",
                {"migrate_to_chat_id": self.migrated_to},
            )
        if self.access == "blocked":
            raise ApiError(403, "Forbidden: bot was blocked by the user")
        if self.access == "kicked":
            raise ApiError(403, f"Forbidden: bot was kicked from the {self.kind} chat")
        if self.access == "left":
            raise ApiError(403, f"Forbidden: bot is not a member of the {self.kind} chat")


class BotMessage:
    """A message that the bot sent. `html` is its text as the bot wrote it, `versions` every text
    it had as (time, text), the first one included; `deleted` the time of its end or 0, `removed`
    whether it was a person who deleted it, which the bot is not told."""

    __slots__ = (
        "chat",
        "date",
        "deleted",
        "entities",
        "html",
        "id",
        "markup",
        "removed",
        "reply_to",
        "text",
        "thread",
        "versions",
    )

    def __init__(self, chat, number, now, thread, reply_to):
        self.chat = chat
        self.id = number
        self.date = now
        self.thread = thread
        self.reply_to = reply_to
        self.deleted = 0.0
        self.removed = False
        self.versions = []

    def write(self, now, text, entities, html, markup):
        self.text = text
        self.entities = entities
        self.html = html
        self.markup = markup
        self.versions.append((now, text))

    @property
    def edits(self) -> int:
        return len(self.versions) - 1

    def to_json(self) -> dict:
        fields = {name: getattr(self, name) for name in self.__slots__}
        fields["edits"] = self.edits
        return fields

    def __repr__(self):
        return f"<BotMessage {self.chat}/{self.id} edits={self.edits} {self.text!r}>"


class World:
    """The chats that the bot knows and what it wrote in them, the last _KEEP messages."""

    def __init__(self, clock, bot_id: int):
        self._clock = clock
        self._numbers = collections.Counter()
        self._order = collections.deque()
        self.bot_id = bot_id
        self.chats = {}
        self.messages = {}
        self.callbacks = itertools.count(1)
        self.bot = {
            "id": bot_id,
            "is_bot": True,
            "first_name": BOT_NAME,
            "username": BOT_USERNAME,
        }

    def chat(self, number: int, kind=None, name=None) -> Chat:
        """The chat of this id, made if it is new. A positive id is a private chat, one below
        -10^12 a supergroup, another negative one a group."""
        chat = self.chats.get(number)
        if chat is None:
            if kind is None:
                kind = "private"
                if number < 0:
                    kind = "supergroup" if number <= -(10**12) else "group"
            chat = self.chats[number] = Chat(number, kind, name or f"{kind} {abs(number)}")
        if name:
            chat.name = name
        return chat

    def find(self, text: str) -> Chat:
        """The chat of the parameter chat_id, which the bot may write to. Raises ApiError."""
        if not text:
            raise ApiError(400, "Bad Request: chat_id is empty")
        try:
            chat = self.chats.get(int(text))
        except ValueError:
            chat = None
        if chat is None:
            raise ApiError(400, "Bad Request: chat not found")
        chat.check()
        return chat

    def user(self, number: int) -> dict:
        if number == ANONYMOUS:
            bot = {"id": number, "is_bot": True, "first_name": "Group"}
            return {**bot, "username": "GroupAnonymousBot"}
        chat = self.chats.get(number)
        first = chat.name if chat is not None else f"User {number}"
        return {"id": number, "is_bot": False, "first_name": first, "language_code": "en"}

    def number(self, chat: Chat) -> int:
        """The next message id: a supergroup and a channel count their own, all other chats of the
        bot together."""
        counted = chat.id if chat.kind in ("supergroup", "channel") else 0
        self._numbers[counted] += 1
        return self._numbers[counted]

    def add(self, message: BotMessage):
        self.messages[message.chat, message.id] = message
        self._order.append((message.chat, message.id))
        while len(self._order) > _KEEP:
            self.messages.pop(self._order.popleft(), None)

    def show(self, message: BotMessage, edited=False) -> dict:
        """A message of the bot as the API returns it."""
        chat = self.chats[message.chat]
        shown = {
            "message_id": message.id,
            "from": self.bot,
            "chat": chat.to_json(),
            "date": int(message.date),
        }
        if chat.kind == "channel":
            shown["sender_chat"] = shown["chat"]
            del shown["from"]
        if edited:
            shown["edit_date"] = int(message.versions[-1][0])
        if message.thread:
            shown["message_thread_id"] = message.thread
        if message.reply_to:
            replied = self.reply(chat, message.reply_to)
            if replied is not None:
                shown["reply_to_message"] = replied
        shown["text"] = message.text
        if message.entities:
            shown["entities"] = message.entities
        if message.thread:
            shown["is_topic_message"] = True
        if message.markup:
            shown["reply_markup"] = json.loads(message.markup)
        return shown

    def reply(self, chat: Chat, number: int) -> dict | None:
        """A message as it appears inside of an answer to it."""
        own = self.messages.get((chat.id, number))
        if own is not None:
            if own.deleted:
                return None
            shown = self.show(own)
            shown.pop("reply_to_message", None)
            return shown
        return chat.incoming.get(number)
