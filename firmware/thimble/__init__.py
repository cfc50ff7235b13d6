"""Thimble: a relay between Telegram and a language model. The REPL's face."""

import gc
import sys

VERSION = "0.1.0"
_LOADING_BYTES = const(8192)
_HELD_MS = const(500)  # the button, for safe mode
_SAFE_MODE = const(3)  # as board.base._SAFE_MODE
_CRASHED = const(5)  # as safe._CRASHED


def port():
    """The Board that this runs on."""
    if sys.platform == "rp2":
        from thimble.board.rp2 import Board
    elif sys.platform == "esp32":
        from thimble.board.esp32 import Board
    else:
        from thimble.board.unix import Board
    return Board()


def boot(board):
    """(settings, board, buffers, tls) for a Relay. Raises core.errors.ConfigError.

    Nothing in the heap ever moves, so the order counts: first what is needed once and leaves
    again, then the buffers, the largest first; the code of the relay is loaded after them.
    """
    # Collected often while code is loaded, what lives long lies close together.
    gc.threshold(_LOADING_BYTES)
    from thimble import config, overlay, profile
    from thimble.net import roots

    settings = config.complete(config.load(board.config_path))
    try:
        board.configure(settings.board)
    except ValueError as error:
        raise config.ConfigError(str(error))
    ends = settings.telegram.endpoint, settings.model.endpoint
    hosts = [host for secure, host, _, _ in ends if secure]
    tls = roots.context(hosts, board.roots, settings.tls.ca) if hosts else None
    overlay.unload("config", "net.roots")
    gc.collect()
    buffers = profile.buffers(board.profile)
    overlay.unload("profile", "board.larger")
    return settings, board, buffers, tls


def run():
    """Starts the relay and stays in it until Ctrl-C; says what a configuration lacks.

    What nobody expected ends in a restart, and again and again in safe mode.
    """
    from thimble import overlay
    from thimble.core.errors import ConfigError

    board = settings = relay = None
    try:
        board = port()
        found = 0, ""
        if board.judged:
            board.reset_cause = "restart"  # somebody asked for this run: no message is blamed
        elif board.reset_cause != "power-on":
            type(board).judged = True
            found = overlay.call("safe", "check", board)
        settings, board, buffers, tls = boot(board)
        if board.held(_HELD_MS):
            board.restart(_SAFE_MODE)
        from thimble.relay import Relay

        gc.threshold(-1)
        relay = Relay(settings, board, buffers, tls)
        relay.crashes, relay.tell = found
        relay.run()
    except ConfigError as error:
        print("configuration:", error)
        if board.wlan is None:  # Linux; on a board it means a soft reset
            raise SystemExit(2)
        print("thimble.setup() asks for what is needed")
    except KeyboardInterrupt:
        if relay:
            relay.watch.rest()
    except Exception as error:
        if board is None:
            raise
        try:
            overlay.call("store.crash", "report", board, error, settings and settings.secrets)
        except (MemoryError, OSError):
            pass  # without a report, then
        board.restart(_CRASHED)
    finally:
        if board:
            board.rest()
            board.close()


def __getattr__(name):
    """setup([section]) and status(), which are loaded when they are called; config, and what else
    modules take from here though it may not be loaded now.

    All other names are refused: dir() and the prompt's TAB ask for every name there is, and one
    that is imported for them stays in memory.
    """
    if name == "setup" or name == "status":
        return lambda *args: __getattr__("overlay").call("console." + name, "run", *args)
    if name != "config" and name != "overlay" and name != "profile":
        raise AttributeError(name)
    name = "thimble." + name
    __import__(name)
    return sys.modules[name]
