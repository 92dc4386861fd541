"""What plugins and tests are made with: this file is checked, and never run."""

from __future__ import annotations

import typing as t

from flask_sqlalchemy import SQLAlchemy
from signalbus import SignalBus
from signalbus import hookimpl
from signalbus import stopping
from signalbus.stopping import StopToken
from signalbus.testing import MemoryBroker
from signalbus.testing import SentSignal
from typing_extensions import assert_type

if t.TYPE_CHECKING:
    import flask
    from flask.cli import AppGroup
    from signalbus.typing import PrimaryKey
    from signalbus.typing import Signal
    from signalbus.typing import SignalModel

bus = SignalBus(SQLAlchemy())
broker = MemoryBroker("rabbitmq")
broker.available = False
broker.refuse(lambda signal: signal.id == 13)
bus.plugin_manager.register(broker)
assert_type(broker.sent, list[SentSignal])
assert_type(SentSignal(int, {"id": 1}).values, dict[str, t.Any])

model: SignalModel = bus.get_signal_models()[0]
signal: Signal = model()
key: PrimaryKey = (1, "a")


class Poste:
    """A plugin with commands, settings and opinions."""

    @hookimpl
    def signalbus_init_app(self, app: flask.Flask) -> None:
        """Refuse a setting."""

    @hookimpl
    def signalbus_is_unavailable_error(self, error: BaseException) -> bool | None:
        """Know an error."""
        return isinstance(error, EOFError) or None

    @hookimpl(optionalhook=True)
    def signalbus_register_commands(self, group: AppGroup) -> None:
        """Add a command."""

        @group.command()
        def stamp() -> None:
            """Wait, unless told to stop."""
            assert_type(stopping.wait(5), bool)


token = StopToken()
with token.active(), token.on_signals(notify=lambda number: number == 2):
    assert_type(token.wait(1.5), bool)
    assert_type(stopping.is_stopping(), bool)
    assert_type(stopping.current(), StopToken | None)
    with stopping.shielded():
        bus.flush()
