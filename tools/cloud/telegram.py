"""Telegram as its users see it: what a test lets people do, and what it can ask afterwards.

`Telegram` is `cloud.telegram`. The Bot API itself, which the firmware talks to, is botapi.py.
"""

import collections
import json

from .botapi import BotApi
from .flood import Flood
from .loop import in_loop
from .text import commands
from .updates import Updates
from .world import ANONYMOUS, World

_KEEP_CHANGES = 100_000
_KEEP_INCOMING = 20_000


class Telegram:
    """People, chats and what the bot did.

    Every method that lets somebody do something returns the id of the message it made, or of the
    update if it made no message. Options that all of them take as `how`: `raw` writes the update
    in raw UTF-8 instead of \\u escapes, `reply_last` puts `reply_to_message` behind the text
    instead of before it, `extra` (dict) adds fields to the message, `date` sets its date.
    """

    def __init__(self, thread, clock, recorder, token, chats):
        self._changes = collections.deque(maxlen=_KEEP_CHANGES)
        self._change_seq = 0
        self._clock = clock
        self._recorder = recorder
        self.thread = thread
        self.flood = Flood(clock)
        self.updates = Updates(clock)
        self.world = World(clock, int(token.split(":")[0]))
        self.api = BotApi(clock, self.world, self.updates, self.flood, token, self._changed)
        for chat in chats:
            self.world.chat(chat)

    # What people do

    @in_loop
    def say(self, chat=42, text="hi", user=None, thread=None, reply_to=None, **how) -> int:
        """Somebody (`user`, in a private chat its owner) writes a text in a chat. `reply_to` is
        the id of a message in it, or a text that an unknown message had; `user` ANONYMOUS is an
        admin of the group who does not show the name."""
        message = self._message(chat, user, thread, reply_to, how)
        return self._deliver("message", message, {"text": text, "entities": commands(text)}, how)

    @in_loop
    def say_many(self, texts, chat=42, user=None, **how) -> list:
        """`say` for every text, at once."""
        return [self.say(chat, text, user, **how) for text in texts]

    @in_loop
    def rich(self, chat=42, blocks=(), user=None, thread=None, **how) -> int:
        """Somebody writes with a list, a table or other blocks in it, or pastes such (Bot API
        10.1): the message has no text. A block given as str is a paragraph."""
        content = [
            {"type": "paragraph", "text": block} if isinstance(block, str) else block
            for block in blocks
        ]
        message = self._message(chat, user, thread, None, how)
        return self._deliver("message", message, {"rich_message": {"blocks": content}}, how)

    @in_loop
    def edit(self, chat, message_id, text, **how) -> int:
        """Somebody edits a message of theirs: an edited_message update."""
        known = self.world.chat(chat).incoming.get(message_id)
        message = dict(known) if known else self._message(chat, None, None, None, how)
        for name in ("text", "entities"):
            message.pop(name, None)
        message["message_id"] = message_id
        message["edit_date"] = int(self._clock.time())
        return self._deliver(
            "edited_message", message, {"text": text, "entities": commands(text)}, how
        )

    @in_loop
    def photo(self, chat=42, caption="", user=None, thread=None, **how) -> int:
        sizes = [
            {
                **_file(f"photo{width}", 1000 + width * height // 10),
                "width": width,
                "height": height,
            }
            for width, height in ((90, 67), (320, 240), (800, 600))
        ]
        content = {"photo": sizes}
        if caption:
            content.update(caption=caption, caption_entities=commands(caption))
        message = self._message(chat, user, thread, None, how)
        return self._deliver("message", message, content, how)

    @in_loop
    def sticker(self, chat=42, emoji="\U0001f600", user=None, thread=None, **how) -> int:
        sticker = {"width": 512, "height": 512, "emoji": emoji, "set_name": "Faces"}
        sticker.update(is_animated=False, is_video=False, type="regular", **_file("sticker", 9000))
        message = self._message(chat, user, thread, None, how)
        return self._deliver("message", message, {"sticker": sticker}, how)

    @in_loop
    def voice(self, chat=42, seconds=3, user=None, thread=None, **how) -> int:
        voice = {"duration": seconds, "mime_type": "audio/ogg", **_file("voice", 4000 * seconds)}
        message = self._message(chat, user, thread, None, how)
        return self._deliver("message", message, {"voice": voice}, how)

    @in_loop
    def join(self, chat, user, **how) -> int:
        """Somebody enters a group: the service message."""
        member = self.world.user(user)
        content = {"new_chat_participant": member, "new_chat_member": member}
        content["new_chat_members"] = [member]
        message = self._message(chat, user, None, None, how)
        return self._deliver("message", message, content, how)

    @in_loop
    def leave(self, chat, user, **how) -> int:
        """Somebody leaves a group: the service message."""
        member = self.world.user(user)
        content = {"left_chat_participant": member, "left_chat_member": member}
        message = self._message(chat, user, None, None, how)
        return self._deliver("message", message, content, how)

    @in_loop
    def channel_post(self, chat=-1001000000001, text="news", **how) -> int:
        channel = self.world.chat(chat, "channel")
        shown = channel.to_json()
        message = {
            "message_id": self.world.number(channel),
            "sender_chat": shown,
            "chat": shown,
            "date": int(how.pop("date", self._clock.time())),
        }
        return self._deliver(
            "channel_post", message, {"text": text, "entities": commands(text)}, how
        )

    @in_loop
    def callback(self, chat=42, message_id=None, data="x", user=None, **how) -> int:
        """Somebody presses a button under a message of the bot; returns the update's id."""
        query = {"id": str(10**15 + next(self.world.callbacks)), "from": self.world.user(chat)}
        if user is not None:
            query["from"] = self.world.user(user)
        shown = message_id and self.world.reply(self.world.chat(chat), message_id)
        if shown:
            query["message"] = shown
        query.update(chat_instance=str(chat * 7919), data=data)
        return self._push("callback_query", query, how)

    @in_loop
    def remove(self, chat, message_id):
        """Somebody deletes a message of the bot, which only its next edit finds out."""
        message = self.world.messages[chat, message_id]
        message.deleted, message.removed = self._clock.time(), True
        self._changed("deleted", message)

    @in_loop
    def member(self, chat, status, user=None, **how) -> int | None:
        """The bot's own membership changes to `status` ("member", "kicked", "left",
        "administrator"): a my_chat_member update, and what the bot may do changes with it."""
        where = self.world.chat(chat)
        old = {"blocked": "kicked", "kicked": "kicked", "left": "left"}.get(where.access, "member")
        where.access = ""
        if status == "kicked":
            where.access = "blocked" if where.kind == "private" else "kicked"
        elif status == "left":
            where.access = "left"
        change = {
            "chat": where.to_json(),
            "from": self.world.user(user or abs(chat)),
            "date": int(self._clock.time()),
            "old_chat_member": {"user": self.world.bot, "status": old},
            "new_chat_member": {"user": self.world.bot, "status": status},
        }
        if status == "kicked":
            change["new_chat_member"]["until_date"] = 0
        return self._push("my_chat_member", change, how)

    @in_loop
    def block(self, chat=42, **how) -> int | None:
        """The person blocks the bot."""
        return self.member(chat, "kicked", **how)

    @in_loop
    def unblock(self, chat=42, **how) -> int | None:
        return self.member(chat, "member", **how)

    @in_loop
    def push(self, kind, payload, **how) -> int | None:
        """Any update: `payload` is its object, or its JSON as str or bytes. Returns its id, or
        None if the bot did not ask for this kind."""
        if isinstance(payload, dict):
            return self._push(kind, payload, how)
        return self.updates.push(kind, payload.encode() if isinstance(payload, str) else payload)

    @in_loop
    def chat(self, number, kind=None, name=None, forum=False, topics=()) -> int:
        """Makes a chat that the bot knows, with the ids of its topics; returns its id."""
        chat = self.world.chat(number, kind, name)
        chat.is_forum = forum or chat.is_forum
        chat.topics.update(topics)
        return chat.id

    @in_loop
    def migrate(self, group, supergroup):
        """A group becomes a supergroup: a service message in either, and from then on the old id
        answers 400 with migrate_to_chat_id."""
        self.world.chat(supergroup, "supergroup")
        for chat, content in (
            (group, {"migrate_to_chat_id": supergroup}),
            (supergroup, {"migrate_from_chat_id": group}),
        ):
            self._deliver("message", self._message(chat, None, None, None, {}), content, {})
        self.world.chat(group).migrated_to = supergroup

    @in_loop
    def restart_ids(self, first=None) -> int:
        """Update ids start anew at `first`, by default far below the last one."""
        self.updates.restart(max(1, self.updates.tail // 2) if first is None else first)
        return self.updates.tail

    # What the bot did

    @in_loop
    def messages(self, chat=None, deleted=False) -> list:
        """The bot's messages as they are now, oldest first; without those it deleted."""
        return [
            message
            for message in self.world.messages.values()
            if chat in (None, message.chat) and (deleted or not message.deleted)
        ]

    @in_loop
    def texts(self, chat=None) -> list:
        """The texts of `messages`."""
        return [message.text for message in self.messages(chat)]

    @in_loop
    def calls(self, method=None, since=0) -> list:
        """The Bot API calls that are on record."""
        return self._recorder.select("telegram", method, since)

    @in_loop
    def count(self, method) -> int:
        """How often a method was called since the start, its name as in the documentation."""
        return self._recorder.count["telegram", method]

    @in_loop
    def changes(self, since=0) -> list:
        """What the bot sent, edited and deleted after change number `since`: dicts with seq, time,
        kind ("sent", "edited", "deleted"), chat, message_id, thread, text and html."""
        return [change for change in self._changes if change["seq"] > since]

    @in_loop
    def pending(self) -> int:
        """Updates that the bot has not confirmed."""
        return self.updates.pending()

    @in_loop
    def polling(self) -> bool:
        """True while a long poll of the bot waits."""
        return self.updates.polling

    @in_loop
    def commands(self) -> list:
        """What the bot set by setMyCommands."""
        return self.api.commands

    @in_loop
    def flood_limits(self, **limits):
        """Changes limits of flood.Flood by name: enabled, burst, per_second, group_per_minute,
        total_per_second."""
        for name, value in limits.items():
            if not hasattr(self.flood, name):
                raise ValueError(f"no such limit: {name}")
            setattr(self.flood, name, value)

    def _changed(self, kind, message):
        self._change_seq += 1
        self._changes.append(
            {
                "seq": self._change_seq,
                "time": self._clock.time(),
                "kind": kind,
                "chat": message.chat,
                "message_id": message.id,
                "thread": message.thread,
                "text": message.text,
                "html": message.html,
            }
        )

    def _message(self, chat, user, thread, reply_to, how):
        """The fields that every message of a user begins with, in the server's order."""
        where = self.world.chat(chat)
        sender = user if user is not None else (chat if chat > 0 else 1001)
        message = {
            "message_id": self.world.number(where),
            "from": self.world.user(sender),
            "chat": where.to_json(),
            "date": int(how.pop("date", self._clock.time())),
        }
        if sender == ANONYMOUS:
            message["sender_chat"] = where.to_json()
        if thread:
            where.topics.add(thread)
            if where.kind == "supergroup":
                where.is_forum = True
                message["chat"] = where.to_json()
            message["message_thread_id"] = thread
        replied = None
        if isinstance(reply_to, str):
            replied = {**message, "message_id": self.world.number(where), "text": reply_to}
        elif reply_to:
            replied = self.world.reply(where, reply_to)
        if replied is not None:
            message["reply_to_message"] = replied
            if where.kind == "supergroup" and not where.is_forum:
                # Replies make a thread there, which is no topic and takes no messages of a bot.
                root = replied.get("message_thread_id", replied["message_id"])
                message["message_thread_id"] = root
        return message

    def _deliver(self, kind, message, content, how):
        """Queues a message with its content and remembers it; returns its id."""
        content = {name: value for name, value in content.items() if value != []}
        replied = message.pop("reply_to_message", None)
        order = [("reply_to_message", replied)] if replied else []
        content = [*content.items()]
        order = content + order if how.pop("reply_last", False) else order + content
        message.update(order)
        where = self.world.chat(message["chat"]["id"])
        if "message_thread_id" in message and (where.is_forum or where.kind == "private"):
            message["is_topic_message"] = True
        message.update(how.pop("extra", {}))
        stored = {name: value for name, value in message.items() if name != "reply_to_message"}
        where.incoming[message["message_id"]] = stored
        if len(where.incoming) > _KEEP_INCOMING:
            del where.incoming[next(iter(where.incoming))]
        self._push(kind, message, how)
        return message["message_id"]

    def _push(self, kind, payload, how):
        raw = how.pop("raw", False)
        if how:
            raise TypeError(f"unknown options: {', '.join(how)}")
        data = json.dumps(payload, separators=(",", ":"), ensure_ascii=not raw)
        return self.updates.push(kind, data.encode("utf-8", "surrogatepass"))


def _file(name, size):
    return {
        "file_id": f"AgACAgIAAxkBAAI{name}" + "x" * 40,
        "file_unique_id": f"AQAD{name}",
        "file_size": size,
    }
