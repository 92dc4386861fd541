"""A plugin may say how many signals a burst has, for models that do not."""

from __future__ import annotations

import threading
import typing as t

import pytest
from signalbus import SignalModelError
from signalbus import hookimpl

if t.TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import SignalModel


class Counts:
    """Gives a burst count to every model, or to those of a broker."""

    def __init__(self, count: t.Any, broker: str | None = None) -> None:
        """Give *count* to the models of *broker*."""
        self.count = count
        self.broker = broker
        self.models: list[SignalModel] = []

    @hookimpl
    def signalbus_burst_count(self, bus: SignalBus, model: SignalModel) -> t.Any:
        """Keep the model."""
        self.models.append(model)
        mine = self.broker is None or bus.declaration(model).broker == self.broker
        return self.count if mine else None


def test_hook_signalbus_burst_count(
    bus: SignalBus, new_model: t.Any, new_broker: t.Any, record: t.Any
) -> None:
    """A broker plugin gives its models the count that suits it."""
    broker = new_broker("pigeons")
    bus.plugin_manager.register(Counts(4, broker="pigeons"))
    model = new_model(form="pigeons")
    record(model, *"abcdef")
    bus.flush()

    assert 4 == bus.declaration(model).burst_count
    assert [4, 2] == [len(texts) for texts in broker.wire.attempts]


def test_models_that_no_plugin_counts_have_bursts_of_one(
    bus: SignalBus, greeting: SignalModel
) -> None:
    """The default holds for models that are not the plugin's."""
    bus.plugin_manager.register(Counts(4, broker="pigeons"))

    assert 1 == bus.declaration(greeting).burst_count


def test_number_of_the_model_wins(bus: SignalBus, new_model: t.Any) -> None:
    """For a model with a count of its own, no plugin is asked."""
    plugin = Counts(4)
    bus.plugin_manager.register(plugin)
    model = new_model(signalbus_burst_count=2)

    assert 2 == bus.declaration(model).burst_count
    assert [] == plugin.models


def test_first_plugin_that_returns_a_number_wins(
    bus: SignalBus, greeting: SignalModel
) -> None:
    """The plugins are asked in the order of pluggy: the last registered first."""
    for count in [5, 6, None]:
        bus.plugin_manager.register(Counts(count))

    assert 6 == bus.declaration(greeting).burst_count


def test_plugin_is_asked_once_for_each_model(
    bus: SignalBus, new_model: t.Any, record: t.Any
) -> None:
    """What it returned holds."""
    plugin = Counts(4)
    bus.plugin_manager.register(plugin)
    models = [new_model("First"), new_model("Second")]
    record(models[0], "a", "b")
    for _ in range(2):
        bus.get_signal_models()
        bus.flush()

    assert models == sorted(plugin.models, key=models.index)


@pytest.mark.parametrize("count", [0, -1, "x", True, False, 2.0])
def test_invalid_count_is_refused(
    bus: SignalBus, greeting: SignalModel, count: object
) -> None:
    """Anything but a positive integer is an error that names model and value."""
    bus.plugin_manager.register(Counts(count))
    for look in [bus.get_signal_models, lambda: bus.declaration(greeting)]:
        with pytest.raises(SignalModelError, match="Greeting") as caught:
            look()

        assert repr(count) in str(caught.value)
        assert "signalbus_burst_count" in str(caught.value)


def test_nothing_is_written_on_the_class(
    bus: SignalBus, greeting: SignalModel, record: t.Any
) -> None:
    """A model's class is its author's."""
    bus.plugin_manager.register(Counts(4))
    record(greeting, "a")
    bus.flush()

    assert not hasattr(greeting, "signalbus_burst_count")


def test_subclass_with_a_send_method_of_its_own_is_not_the_brokers(
    bus: SignalBus, new_model: t.Any, new_broker: t.Any, wire: t.Any
) -> None:
    """What a plugin says of a model holds for that model, not for its subclasses."""
    new_broker("pigeons")
    bus.plugin_manager.register(Counts(4, broker="pigeons"))
    parent = new_model("Parent", form="pigeons")

    class Child(parent):  # type: ignore[misc, valid-type]
        def send_signalbus_message(self) -> None:
            wire.carry(self)

    counts = {model: bus.declaration(model).burst_count for model in (parent, Child)}

    assert {parent: 4, Child: 1} == counts


def test_subclass_of_a_model_with_a_number_has_that_number(
    bus: SignalBus, new_model: t.Any
) -> None:
    """Attributes of a class are inherited, as ever."""
    bus.plugin_manager.register(Counts(4))
    parent = new_model("Parent", signalbus_burst_count=2)

    class Child(parent):  # type: ignore[misc, valid-type]
        pass

    assert 2 == bus.declaration(Child).burst_count


def test_everything_else_is_declared_when_a_plugin_is_asked(
    bus: SignalBus, new_model: t.Any
) -> None:
    """The plugin may ask for the model's declaration."""
    asked = []

    class Asks:
        @hookimpl
        def signalbus_burst_count(self, bus: SignalBus, model: SignalModel) -> int:
            declaration = bus.declaration(model)
            asked.append((declaration.broker, declaration.autoflush))
            return 4

    bus.plugin_manager.register(Asks())
    bus.declaration(new_model(form="pigeons", signalbus_autoflush=False))

    assert [("pigeons", False)] == asked


class Fails:
    """Fails for models that have no count of their own."""

    @hookimpl
    def signalbus_burst_count(self) -> int:
        """Raise."""
        raise LookupError("no table of counts")


def test_plugin_that_raises_fails_no_commit(
    bus: SignalBus, db: SQLAlchemy, new_model: t.Any, pending: t.Any, wire: t.Any
) -> None:
    """Its models are not sent; the others of the transaction are."""
    bus.plugin_manager.register(Fails())
    counted, other = new_model("Counted"), new_model("Other", signalbus_burst_count=1)
    db.session.add_all([counted(text="a"), other(text="b")])
    db.session.commit()

    assert ["b"] == wire.sent
    assert ["a"] == pending(counted)


def test_plugin_that_raises_is_reported(bus: SignalBus, greeting: SignalModel) -> None:
    """The error names the model, and what the plugin raised."""
    bus.plugin_manager.register(Fails())
    with pytest.raises(SignalModelError, match=r"Greeting: .*no table of counts"):
        bus.flush()


class Waits:
    """Gives a burst count of 7, once it is told to."""

    def __init__(self) -> None:
        """Wait."""
        self.is_asked = threading.Event()
        self.may_go_on = threading.Event()

    @hookimpl
    def signalbus_burst_count(self) -> int:
        """Wait, and return the count."""
        self.is_asked.set()
        self.may_go_on.wait(60)
        return 7


def test_other_threads_do_not_see_an_incomplete_declaration(
    bus: SignalBus, greeting: SignalModel, background: t.Any
) -> None:
    """A thread that asks meanwhile asks the plugin, too."""
    waits = Waits()
    bus.plugin_manager.register(waits)
    first = background(bus.declaration, greeting)
    assert waits.is_asked.wait(60)
    waits.is_asked.clear()
    second = background(bus.declaration, greeting)

    assert waits.is_asked.wait(60)
    waits.may_go_on.set()
    assert [7, 7] == [first.result().burst_count, second.result().burst_count]
