"""The serial line's commands beside status and log, while the relay runs: an overlay."""

import json

from thimble import overlay

_ASKED = const(1)  # as board.base._ASKED
_SAFE_MODE = const(3)  # as board.base._SAFE_MODE
_HELP = const("""status  one line of JSON
log     the last lines of the log
config  shows all settings; config model.name NAME sets one
test    asks Telegram and the model, and says what works
reboot  restarts
safe    restarts into safe mode
setup   how to get to the wizard
help    this""")


def carry_out(relay, line):
    """Carries out ``line`` if it is one of these commands."""
    name, _, rest = line.partition(" ")
    if name == "config":
        try:
            _config(rest)
        finally:  # half of it may be there since memory ran out
            overlay.forget("thimble.config", "thimble", "config")
    elif line == "test":
        overlay.call("console.prove", "test", relay)
    elif line == "reboot" or line == "safe":
        if not relay.journal.commit():  # what was received is on flash before
            print("flash cannot be written; restarting all the same")
        print("restarting")
        relay.board.restart(_SAFE_MODE if line == "safe" else _ASKED)
    elif line == "setup":
        print("Ctrl-C ends the relay; then: import thimble; thimble.setup() (Linux: make setup)")
    elif line == "help":
        print(_HELP)
    else:
        print("unknown command; help lists them")


def _config(line):
    """Shows the configuration, or one setting of it, or changes one."""
    from thimble import config

    try:
        name, _, value = line.strip().partition(" ")
        section, _, key = name.partition(".")
        if value:
            if name in config.SECRETS or name == "wifi.networks":
                raise config.ConfigError("%s is secret: thimble.setup() asks for it" % name)
            config.set(name, value.strip())
            print("saved; it counts from the next start (reboot)")
        elif key:
            print(json.dumps(config.get(name)))
        else:
            found = {section: config.get(section)} if section else config.get()
            for section in sorted(found):
                for key in sorted(found[section]):
                    print("%s.%s = %s" % (section, key, json.dumps(found[section][key])))
    except (config.ConfigError, OSError) as error:
        print("not done:", error)
