"""Which brokers there are: what is told of a model that names none of them."""

from __future__ import annotations

import importlib
import importlib.metadata
import types
import typing as t

import pytest
from signalbus import NoBrokerError
from signalbus import SignalBus
from signalbus import hookimpl
from signalbus.plugins import is_missing_broker
from signalbus.testing import MemoryBroker

if t.TYPE_CHECKING:
    from signalbus.typing import SignalModel


class Unnamed:
    """A broker that does not say what it is called."""

    @hookimpl
    def signalbus_send_burst(self) -> None:
        """Answer for no model."""


class Watcher:
    """A plugin that is not a broker."""

    @hookimpl(wrapper=True)
    def signalbus_send_burst(self) -> t.Generator[None, t.Any, t.Any]:
        """Look on."""
        return (yield)

    @hookimpl
    def signalbus_burst_sent(self) -> None:
        """Take note."""


@pytest.fixture
def letter(new_model: t.Any, record: t.Any) -> SignalModel:
    """Declare a model that asks for a broker which is not there."""
    model: SignalModel = new_model("Letter", form="pigeon")
    record(model, "a")
    return model


def _brokers(bus: SignalBus) -> str:
    """Return what the error says about the brokers that are installed."""
    with pytest.raises(NoBrokerError) as caught:
        bus.flush()
    said = str(caught.value)
    assert said.startswith("The signal model Letter names the broker 'pigeon', but")
    _, _, told = said.partition("Installed brokers: ")
    return told.partition(".")[0]


def _without_installed(bus: SignalBus) -> None:
    """Unregister the plugins that this environment happens to have."""
    for each in importlib.metadata.entry_points(group="signalbus"):
        if bus.plugin_manager.has_plugin(each.name):
            bus.plugin_manager.unregister(name=each.name)


def test_brokers_alone_are_offered(bus: SignalBus, letter: SignalModel) -> None:
    """Plugins that send nothing are not named, brokers are, and objects by class."""
    _without_installed(bus)
    for plugin in (Watcher(), MemoryBroker("pigeons"), Unnamed()):
        bus.plugin_manager.register(plugin)
    bus.plugin_manager.register(Unnamed(), name="doves")

    assert "Unnamed, doves, pigeons" == _brokers(bus)


def test_no_broker_at_all(bus: SignalBus, letter: SignalModel) -> None:
    """Where there is no broker, the error says so."""
    _without_installed(bus)

    assert "none" == _brokers(bus)


def test_a_name_that_is_close_is_proposed(bus: SignalBus, letter: SignalModel) -> None:
    """Whoever mistyped the name is told what was probably meant."""
    bus.plugin_manager.register(MemoryBroker("pigeons"))

    with pytest.raises(NoBrokerError, match=r"Did you mean 'pigeons'\?"):
        bus.flush()


def test_brokers_with_names_answer_to_them(bus: SignalBus) -> None:
    """A name that no broker has is missing; one that a broker has is not."""
    _without_installed(bus)
    bus.plugin_manager.register(MemoryBroker("pigeons"))
    bus.plugin_manager.register(Unnamed(), name="doves")
    bus.plugin_manager.register(Watcher())

    assert [False, False, True] == [
        is_missing_broker(bus.plugin_manager, name)
        for name in ("pigeons", "doves", "pigeon")
    ]


@pytest.mark.parametrize("module", [True, False], ids=["module", "object"])
def test_a_broker_without_a_name_may_answer_to_any(
    bus: SignalBus, module: bool
) -> None:
    """Nothing is called missing while somebody may answer to it."""
    plugin: t.Any = Unnamed()
    if module:
        plugin = types.ModuleType("post")
        plugin.signalbus_send_burst = importlib.import_module(
            "signalbus._send"
        ).signalbus_send_burst
    bus.plugin_manager.register(plugin)

    assert not is_missing_broker(bus.plugin_manager, "pigeon")
