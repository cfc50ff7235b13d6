"""Thimble: a relay between Telegram and a language model. The REPL's face."""

VERSION = "0.1.0"


def run():
    """Starts the relay and stays in it until Ctrl-C; says what a configuration lacks."""
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
        Relay(settings, board, buffers).run()
    except ConfigError as error:
        print("configuration: %s" % error)
        raise SystemExit(2)
    except KeyboardInterrupt:
        pass
    finally:
        board.close()
