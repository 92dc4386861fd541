"""One plugin that implements every hook of the core, on every database."""

from __future__ import annotations

import inspect
import typing as t

import pytest
import sqlalchemy as sa
from flask_sqlalchemy import SQLAlchemy
from signalbus import SignalBus
from signalbus import SignalBusError
from signalbus import hookimpl
from signalbus import hookspecs
from signalbus.messages import message_headers
from signalbus.plugins import make_plugin_manager
from signalbus.testing import MemoryBroker

if t.TYPE_CHECKING:
    from flask import Flask

HOOKS = {
    name
    for name, spec in inspect.getmembers(hookspecs, inspect.isfunction)
    if spec.__module__ == hookspecs.__name__
}

#: What is returned from the hooks whose results are joined.
NOTHING: dict[str, t.Any] = {
    "signalbus_signal_models": [],
    "signalbus_model_attributes": [],
    "signalbus_settings": [],
}


class Everything:
    """Implements all hooks, and keeps what they are called with."""

    def __init__(self) -> None:
        """Begin with no calls."""
        self.calls: dict[str, dict[str, t.Any]] = {}


def _implementation(name: str) -> t.Callable[..., object]:
    """Return an implementation of a hook that takes all of its arguments."""
    arguments = ", ".join(inspect.signature(getattr(hookspecs, name)).parameters)
    namespace = {"answer": _answer}
    program = f"def {name}(self, {arguments}):\n"
    program += f"    return answer(self, {name!r}, dict(locals()))\n"
    exec(program, namespace)  # noqa: S102 made of our own names
    return hookimpl(namespace[name])


def _answer(self: Everything, name: str, arguments: dict[str, t.Any]) -> object:
    del arguments["self"]
    self.calls.setdefault(name, arguments)
    if name == "signalbus_send_burst":  # as a broker would
        message_headers(*map(arguments.get, ("bus", "model", "signals")))
    if name == "signalbus_message_headers":
        return [{"trace": "1"} for _ in arguments["signals"]]
    return NOTHING.get(name)


for _name in HOOKS:
    setattr(Everything, _name, _implementation(_name))


@pytest.fixture
def everything() -> Everything:
    """Give a plugin that has seen nothing yet."""
    return Everything()


@pytest.fixture
def broker() -> MemoryBroker:
    """Give a broker in memory."""
    return MemoryBroker()


@pytest.fixture
def late(everything: Everything, broker: MemoryBroker) -> SignalBus:
    """Give a bus that has both plugins, and no app."""
    bus = SignalBus(SQLAlchemy())
    for plugin in (broker, everything):
        bus.plugin_manager.register(plugin)
    return bus


@pytest.mark.databases
def test_every_hook_is_called(
    app: Flask, late: SignalBus, everything: Everything, broker: MemoryBroker
) -> None:
    """From the first look at an app to a database that fails, with all arguments."""
    make_plugin_manager({"everything": everything})  # for signalbus_addhooks
    late.db.init_app(app)
    late.init_app(app)

    class Order(late.db.Model):  # type: ignore[name-defined, misc]
        id = sa.Column(sa.Integer, primary_key=True, autoincrement=False)
        signalbus_broker = "memory"

    with app.app_context():
        _tell_story(late, Order, broker)

    assert everything.calls.keys() == HOOKS
    settled = everything.calls["signalbus_burst_settled"]
    assert (Order, [(1,)], {}) == (
        settled["model"],
        list(settled["sent"]),
        settled["failed"],
    )
    assert {Order: [(1,)]} == everything.calls["signalbus_committed"]["recorded"]
    assert {(2,)} == everything.calls["signalbus_burst_failed"]["failed"].keys()


def _tell_story(bus: SignalBus, model: t.Any, broker: MemoryBroker) -> None:
    """Send a signal, refuse one, lose the broker and find it, check, lose the table."""
    bus.db.create_all()
    _commit(bus, model(id=1))
    broker.refuse(lambda signal: signal.id == 2)
    _commit(bus, model(id=2))
    broker.refuse(lambda _: False)
    broker.available = False
    _commit(bus, model(id=3))
    broker.available = True
    assert 2 == bus.flush()
    bus.plugin_manager.hook.signalbus_check(bus=bus, models=[model])
    bus.db.drop_all()
    with pytest.raises(SignalBusError):
        bus.flush()


def _commit(bus: SignalBus, signal: object) -> None:
    bus.db.session.add(signal)
    bus.db.session.commit()
