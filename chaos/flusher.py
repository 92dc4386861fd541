"""A program that flushes by each of the three ways in turn, until SIGTERM."""

from __future__ import annotations

import itertools

from signalbus.stopping import StopToken

from chaos.app import MODELS
from chaos.app import app
from chaos.app import bus

#: Between two flushes, in seconds.
PAUSE = 0.2


def main() -> None:
    """Flush; what fails is logged, and flushed again."""
    token = StopToken()
    ways = itertools.cycle((bus.flush, bus.flushmany, bus.flushordered))
    with token.active(), token.on_signals(), app.app_context():
        while not token.wait(PAUSE):
            try:
                next(ways)(MODELS)
            except Exception:  # noqa: BLE001 whatever it is, it must pass
                app.logger.exception("A flush has failed.")


if __name__ == "__main__":
    main()
