"""Thimble: a relay between Telegram and a language model. The REPL's face."""

import gc

from micropython import const

VERSION = "0.1.0"
_LOADING_BYTES = const(4096)


def run():
    """Starts the relay and stays in it until Ctrl-C; says what a configuration lacks."""
    # Collected often while the code is loaded, what lives long lies close together.
    gc.threshold(_LOADING_BYTES)
    from thimble.board.unix import Board
    from thimble.profile import Buffers

    board = Board()
    buffers = Buffers(board.profile)

    from thimble import config
    from thimble.core.errors import ConfigError
    from thimble.relay import Relay

    try:
        settings = config.load(board.config_path)
        settings.ready()
        relay = Relay(settings, board, buffers)
        gc.threshold(-1)
        relay.run()
    except ConfigError as error:
        print("configuration: %s" % error)
        raise SystemExit(2)
    except KeyboardInterrupt:
        pass
    finally:
        board.close()
