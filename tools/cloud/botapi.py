"""The Bot API's methods: what a bot calls.

Order of the checks, texts of the errors and the shape of the answers follow the Bot API server
(tdlib/telegram-bot-api, Client.cpp); limits that only Telegram's own servers check follow its
documentation.
"""

import json
import re
import urllib.parse

from . import text as text_rules
from .errors import ApiError
from .params import bot_commands, integer, parse, reply_markup, reply_parameters, truth
from .wire import BadRequest, Response
from .world import BotMessage

_ACTIONS = frozenset(
    (
        "cancel",
        "typing",
        "record_video",
        "upload_video",
        "record_audio",
        "record_voice",
        "upload_audio",
        "upload_voice",
        "upload_photo",
        "upload_document",
        "choose_sticker",
        "pick_up_location",
        "find_location",
        "record_video_note",
        "upload_video_note",
    )
)
_DELETE_WITHIN_S = 48 * 3600
_PATH = re.compile(r"/bot([^/]*)/(.*)")
_GENERAL_TOPIC = 1

NOT_MODIFIED = (
    "Bad Request: message is not modified: specified new message content and reply markup are "
    "exactly the same as a current content and reply markup of the message"
)


class BotApi:
    """Answers requests below /bot<token>/ for one bot.

    `on_change(kind, message)` hears "sent", "edited" and "deleted"; `actions` counts chat actions.
    """

    def __init__(self, clock, world, updates, flood, token, on_change):
        self._clock = clock
        self._world = world
        self._updates = updates
        self._flood = flood
        self._on_change = on_change
        self.token = token
        self.commands = []
        self._methods = {
            name.lower(): (name, function)
            for name, function in {
                "getMe": self._get_me,
                "getUpdates": self._updates.poll,
                "sendMessage": self._send_message,
                "editMessageText": self._edit_message_text,
                "deleteMessage": self._delete_message,
                "sendChatAction": self._send_chat_action,
                "setMyCommands": self._set_my_commands,
                "getMyCommands": self._get_my_commands,
                "deleteMyCommands": self._delete_my_commands,
                "setWebhook": self._set_webhook,
                "deleteWebhook": self._delete_webhook,
                "getWebhookInfo": self._get_webhook_info,
            }.items()
        }

    def identify(self, request):
        """(method's name, path with the token masked, parameters) for the record."""
        match = _path(request)
        if match is None:
            return request.path, request.path, {}
        try:
            params = parse(request)
        except BadRequest as error:
            params = error
        name = match[2] or (params.get("method", "") if isinstance(params, dict) else "")
        known = self._methods.get(name.lower())
        return known[0] if known else name, f"/bot***/{name}", params

    def handle(self, request, params):
        """A Response, or an awaitable of one."""
        try:
            if isinstance(params, BadRequest):
                return Response(params.status, b"", "text/plain")
            match = _path(request)
            if match is None or not re.fullmatch(r"[1-9][0-9]{0,16}:[A-Za-z0-9_-]+", match[1]):
                raise ApiError(404, "Not Found")
            if match[1] != self.token:
                raise ApiError(401, "Unauthorized")
            known = self._methods.get((match[2] or params.get("method", "")).lower())
            if known is None:
                raise ApiError(404, "Not Found: method not found")
            answer = known[1](params)
        except ApiError as error:
            return refusal(error)
        return answer if isinstance(answer, Response) else _guard(answer)

    def _get_me(self, params):
        return _ok(
            {
                **self._world.bot,
                "can_join_groups": True,
                "can_read_all_group_messages": False,
                "supports_inline_queries": False,
                "can_connect_to_business": False,
                "has_main_web_app": False,
                "has_topics_enabled": False,
            }
        )

    def _send_message(self, params):
        text, entities = text_rules.formatted(
            params.get("text", ""), params.get("parse_mode", ""), params.get("entities", "")
        )
        reply_to, may_lack = reply_parameters(params)
        markup = reply_markup(params)
        chat = self._world.find(params.get("chat_id", ""))
        thread = self._thread(chat, integer(params, "message_thread_id", 0, 0, 2**31 - 1))
        if reply_to and self._world.reply(chat, reply_to) is None:
            if not may_lack:
                raise ApiError(400, "Bad Request: message to be replied not found")
            reply_to = 0
        self._check_flood(chat)
        now = self._clock.time()
        message = BotMessage(chat.id, self._world.number(chat), now, thread, reply_to)
        message.write(now, text, entities, params["text"], markup)
        self._world.add(message)
        self._on_change("sent", message)
        return _ok(self._world.show(message))

    def _edit_message_text(self, params):
        text, entities = text_rules.formatted(
            params.get("text", ""), params.get("parse_mode", ""), params.get("entities", "")
        )
        number = integer(params, "message_id", 0, 0, 2**31 - 1)
        markup = reply_markup(params)
        if not params.get("chat_id") and not number:
            if not params.get("inline_message_id"):
                raise ApiError(400, "Bad Request: message identifier is not specified")
            raise ApiError(400, "Bad Request: MESSAGE_ID_INVALID")
        chat = self._world.find(params.get("chat_id", ""))
        message = self._world.messages.get((chat.id, number))
        if message is not None and message.removed:
            raise ApiError(400, "Bad Request: MESSAGE_ID_INVALID")
        if message is None or message.deleted:
            if number in chat.incoming:
                raise ApiError(400, "Bad Request: message can't be edited")
            raise ApiError(400, "Bad Request: message to edit not found")
        self._check_flood(chat)
        if (message.text, message.entities, message.markup) == (text, entities, markup):
            raise ApiError(400, NOT_MODIFIED)
        message.write(self._clock.time(), text, entities, params["text"], markup)
        self._on_change("edited", message)
        return _ok(self._world.show(message, edited=True))

    def _delete_message(self, params):
        number = integer(params, "message_id", 0, 0, 2**31 - 1)
        if not params.get("chat_id"):
            raise ApiError(400, "Bad Request: chat identifier is not specified")
        if not number:
            raise ApiError(400, "Bad Request: message identifier is not specified")
        chat = self._world.find(params["chat_id"])
        message = self._world.messages.get((chat.id, number))
        incoming = chat.incoming.get(number)
        now = self._clock.time()
        if message is not None and message.removed:
            return _ok(True)
        if incoming is None and (message is None or message.deleted):
            raise ApiError(400, "Bad Request: message to delete not found")
        date = incoming["date"] if message is None else message.date
        if now - date > _DELETE_WITHIN_S or (message is None and chat.is_group):
            whose = "" if chat.kind in ("supergroup", "channel") else " for everyone"
            raise ApiError(400, f"Bad Request: message can't be deleted{whose}")
        if message is None:
            del chat.incoming[number]
        else:
            message.deleted = now
            self._on_change("deleted", message)
        return _ok(True)

    def _send_chat_action(self, params):
        if params.get("action", "").lower() not in _ACTIONS:
            raise ApiError(400, "Bad Request: wrong parameter action in request")
        chat = self._world.find(params.get("chat_id", ""))
        thread = integer(params, "message_thread_id", 0, 0, 2**31 - 1)
        if thread and chat.kind == "group":
            raise ApiError(400, "Bad Request: chat is not a forum")
        if thread != _GENERAL_TOPIC:
            self._thread(chat, thread)
        return _ok(True)

    def _set_my_commands(self, params):
        self.commands = bot_commands(params)
        return _ok(True)

    def _get_my_commands(self, params):
        return _ok(self.commands)

    def _delete_my_commands(self, params):
        self.commands = []
        return _ok(True)

    def _set_webhook(self, params):
        url = params.get("url", "")
        if not url:
            return self._delete_webhook(params)
        if not url.startswith("https://"):
            raise ApiError(
                400, "Bad Request: bad webhook: An HTTPS URL must be provided for webhook"
            )
        self._updates.abort("Conflict: terminated by setWebhook request")
        self._updates.webhook_url = url
        return _ok(True, "Webhook was set")

    def _delete_webhook(self, params):
        if truth(params.get("drop_pending_updates", "")):
            self._updates.events.clear()
        elif not self._updates.webhook_url:
            return _ok(True, "Webhook is already deleted")
        self._updates.webhook_url = ""
        return _ok(True, "Webhook was deleted")

    def _get_webhook_info(self, params):
        info = {
            "url": self._updates.webhook_url,
            "has_custom_certificate": False,
            "pending_update_count": self._updates.pending(),
        }
        if self._updates.allowed is not None:
            info["allowed_updates"] = sorted(self._updates.allowed)
        return _ok(info)

    def _thread(self, chat, thread):
        """The topic that a message goes to, 0 for none. Raises ApiError for an unknown one."""
        if not thread:
            return 0
        if chat.kind == "private" or chat.is_forum:
            if thread == _GENERAL_TOPIC or thread not in chat.topics:
                raise ApiError(400, "Bad Request: message thread not found")
            return thread
        return 0

    def _check_flood(self, chat):
        seconds = self._flood.allow(chat.id, chat.is_group)
        if seconds:
            raise ApiError(
                429,
                f"Too Many Requests: retry after {seconds}",
                {"retry_after": seconds},
            )


def _path(request):
    return _PATH.fullmatch(urllib.parse.unquote(request.path))


def refusal(error: ApiError) -> Response:
    """The body of an error, as the server writes it."""
    body = {"ok": False, "error_code": error.code, "description": error.description}
    headers = ()
    if error.parameters:
        body["parameters"] = error.parameters
        if "retry_after" in error.parameters:
            headers = (("Retry-After", error.parameters["retry_after"]),)
    response = Response(error.code, _dump(body), headers=headers)
    response.note = error.description
    return response


async def _guard(answer):
    try:
        return await answer
    except ApiError as error:
        return refusal(error)


def _ok(result, description=None):
    body = {"ok": True, "result": result}
    if description:
        body["description"] = description
    return Response(200, _dump(body))


def _dump(value):
    return json.dumps(value, separators=(",", ":")).encode()
