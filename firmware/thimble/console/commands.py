"""The chat's commands that need no model, and those of the serial line: an overlay."""

import sys

from thimble import overlay
from thimble.core.errors import ThimbleError
from thimble.responder import GO_ON
from thimble.telegram import updates

# For the help and for Telegram's menu, each made of it without a list: memory may be short.
_COMMANDS = const(b"""new=begins a new conversation
stop=stops the answer
retry=asks the last question again
more=goes on with an answer that was cut
history=sends the last messages again
forget=deletes all that was said here
model=shows which model answers; the owner sets it with /model NAME
status=shows how the relay is
help=shows the commands""")
_USER = const(0)  # as core.conversation.USER
_TURNS = const(10)  # of /history
_PART = const(3000)  # bytes of text that it counts on for each message
_REST = const(b"\n\n(telegram.max_parts ends it here.)")
_WORDS = {
    updates.START: (
        b"Hello! Write something, and a language model answers. /help shows the commands."
    ),
    updates.STOP: b"Nothing is being written here.",
    updates.NEW: b"A new conversation begins.",
    updates.HISTORY: b"There is nothing in the archive.",
    updates.FORGET: b"All that was said here is deleted.",
    updates.REBOOT: b"Only the owner can restart me.",
    updates.SLOWER: (
        b"You have written as much as you may in an hour. What you write from now on I do not see,"
        b" until the hour is over."
    ),
    updates.RETRY: b"There is nothing to ask again. Write a message first.",
    updates.MORE: b"There is no answer to go on with. Write a message first.",
}


def set_menu(bot):
    """Tells Telegram what the menu of commands shows."""
    rows = _COMMANDS.replace(b"=", b'","description":"').replace(b"\n", b'"},{"command":"')
    body = b'"commands":[{"command":"' + rows + b'"}]'
    bot.call(b"setMyCommands", None, body, 0, len(body))


def answer(relay, ring, off):
    """The words, as bytes, that answer the record of ``ring`` at ``off``; b"" if all is said."""
    buf, size, code = ring.buf, ring.size(off), ring.buf[off + 3]
    if buf[off] & updates.LONG:
        return b"That message is too long for me."
    if size <= updates.TEXT and code != updates.SLOWER:
        return b"I can read only text."
    if code == updates.HISTORY and _history(relay, buf, off):
        return b""
    if code == updates.REBOOT and buf[off] & updates.OWNER:
        relay.rebooting = True
        return b"Restarting."
    if code == updates.NEW or code == updates.FORGET:
        if not _forget(relay, relay.responder.conversation(off), code == updates.FORGET):
            return b"Not all of it could be deleted. Please send /forget again."
    said = _WORDS.get(code)
    if said:
        return said
    if code == updates.HELP:
        said = _COMMANDS.replace(b"=", b" ").replace(b"\n", b"\n/")
        said = b"Write a message, and the model answers. Besides:\n/" + said
        return said + b"\n/reboot restarts the relay, for the owner"
    if code == updates.STATUS:
        return overlay.call("status", "words", relay)
    settings = relay.config.model
    start, end = updates.argument(buf, off, size)
    if start == end:
        return ("%s (%s)" % (settings.name, settings.api)).encode()
    if not buf[off] & updates.OWNER:
        return b"Only the owner can set the model."
    settings.name = bytes(buf[start:end]).decode().strip()
    relay.model.name = settings.name.encode()
    return ("From now on %s answers, until the next restart." % settings.name).encode()


def _history(relay, buf, off):
    """Sends the last turns that the archive has of the chat; whether there were any."""
    sessions, reply = relay.sessions, relay.reply
    key, room = off + updates.KEY, reply.max_parts * _PART
    count = overlay.call(
        "store.archive", "history", sessions, buf, key, buf[off + 1], _TURNS, room
    )
    for _ in range(count):
        role = sessions.next_turn()
        who = b"\n\n> " if role == _USER else b"\n\n"
        reply.append(who, 0, len(who))
        while sessions.next_piece():
            buf, pos, stop = sessions.buf, sessions.pos, sessions.stop
            if role == _USER and buf[pos:stop] == GO_ON:  # what the model got for it
                buf, pos, stop = b"/more", 0, 5
            reply.append(buf, pos, stop)
    if reply.full:
        reply.finish(_REST)
    return count > 0


def _forget(relay, chat, for_good):
    """Ends a conversation; ``for_good``: on flash too. False if something is left of it there."""
    what = "forget" if for_good else "clear"
    gone = overlay.call("store.archive", what, relay.sessions, chat.key, 0, chat.key_len)
    chat.clear()
    if not for_good:
        return True
    return relay.journal.rewrite() and gone  # it has what was answered until then


def reboot(relay):
    """Restarts as the owner wished, once that is confirmed: else it would come round again."""
    try:
        relay.updates.poll(0)
    except ThimbleError as error:
        relay.log.fail(error)
    # What was confirmed is on flash, so that it counts even if Telegram could not be told. A
    # command that came with it is only in RAM, and is answered before.
    relay.rebooting = relay.asides.count > 0
    if relay.journal.commit() and not relay.rebooting:
        relay.board.restart()


def carry_out(relay, line):
    """What was typed on the serial line, or came on standard input, as bytes."""
    try:
        line = line.decode()
    except UnicodeError:
        print("not done: that is not UTF-8 text")
        return
    if line == "status":
        print(overlay.call("status", "line", relay))
    elif line == "log":
        relay.log.write(sys.stdout)
    else:
        overlay.call("console.serial", "carry_out", relay, line)
