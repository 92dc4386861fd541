"""Plugins add headers to the messages that brokers send."""

from __future__ import annotations

import typing as t

import pytest
from signalbus import hookimpl
from signalbus.messages import message_headers

if t.TYPE_CHECKING:
    from signalbus import SignalBus
    from signalbus.typing import Signal
    from signalbus.typing import SignalModel


class Stamp:
    """Adds a header to each message, and keeps what it was called with."""

    def __init__(self, name: str, value: str) -> None:
        """Add the header *name*, with *value* and the signal's text."""
        self.name = name
        self.value = value
        self.calls: list[tuple[object, ...]] = []

    @hookimpl
    def signalbus_message_headers(
        self, bus: SignalBus, model: SignalModel, signals: t.Sequence[Signal]
    ) -> list[dict[str, str]]:
        """Return the headers."""
        self.calls.append((bus, model, signals))
        return [{self.name: f"{self.value} {signal.text}"} for signal in signals]


class HeaderBroker:
    """A broker that sends headers along."""

    name = "pigeons"

    def __init__(self) -> None:
        """Begin with no messages."""
        self.headers: list[list[dict[str, str]]] = []

    @hookimpl
    def signalbus_send_burst(
        self, bus: SignalBus, model: SignalModel, signals: t.Sequence[Signal]
    ) -> bool | None:
        """Keep the headers of the messages."""
        if bus.declaration(model).broker != self.name:
            return None
        self.headers.append(message_headers(bus, model, signals))
        return True


@pytest.fixture
def signals(greeting: SignalModel) -> list[Signal]:
    """Give two signals, "a" and "b"."""
    return [greeting(text="a"), greeting(text="b")]


def test_hook_signalbus_message_headers(
    bus: SignalBus, new_model: t.Any, record: t.Any
) -> None:
    """A broker plugin gets them once for each burst, a mapping for each signal."""
    broker, stamp = HeaderBroker(), Stamp("loft", "Paris")
    for plugin in [broker, stamp]:
        bus.plugin_manager.register(plugin)
    model = new_model(form="pigeons", signalbus_burst_count=2)
    record(model, "a", "b", "c")
    bus.flush()

    bursts = [[{"loft": "Paris a"}, {"loft": "Paris b"}], [{"loft": "Paris c"}]]
    assert bursts == broker.headers
    assert [(bus, model), (bus, model)] == [call[:2] for call in stamp.calls]


def test_headers_of_all_plugins_are_merged(
    bus: SignalBus, greeting: SignalModel, signals: list[Signal]
) -> None:
    """Each plugin adds its own."""
    bus.plugin_manager.register(Stamp("loft", "Paris"))
    bus.plugin_manager.register(Stamp("feed", "corn"))

    assert [
        {"loft": "Paris a", "feed": "corn a"},
        {"loft": "Paris b", "feed": "corn b"},
    ] == message_headers(bus, greeting, signals)


def test_first_plugin_that_is_called_wins(
    bus: SignalBus, greeting: SignalModel, signals: list[Signal]
) -> None:
    """Where two use a name, the order of pluggy decides: the last registered first."""
    bus.plugin_manager.register(Stamp("loft", "Paris"))
    bus.plugin_manager.register(Stamp("loft", "Rome"))

    assert [{"loft": "Rome a"}, {"loft": "Rome b"}] == message_headers(
        bus, greeting, signals
    )


def test_without_plugins_there_are_no_headers(
    bus: SignalBus, greeting: SignalModel, signals: list[Signal]
) -> None:
    """Nothing is made for nobody."""
    assert [] == message_headers(bus, greeting, signals)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_wrong_number_of_headers_is_refused(
    bus: SignalBus, greeting: SignalModel, signals: list[Signal], count: int
) -> None:
    """A plugin that does not return one mapping for each signal is an error."""

    class Miscounts:
        @hookimpl
        def signalbus_message_headers(self) -> list[dict[str, str]]:
            return [{}] * count

    bus.plugin_manager.register(Miscounts())
    with pytest.raises(ValueError, match=rf"{count} .* 2 signals of Greeting"):
        message_headers(bus, greeting, signals)


def test_headers_of_one_signal_are_its_own(
    bus: SignalBus, greeting: SignalModel, signals: list[Signal]
) -> None:
    """A broker may add to the headers of one message; plugins may share theirs."""
    shared = {"loft": "Paris"}

    class Shares:
        @hookimpl
        def signalbus_message_headers(self) -> list[dict[str, str]]:
            return [shared, shared]

    bus.plugin_manager.register(Shares())
    headers = message_headers(bus, greeting, signals)
    headers[0]["id"] = "1"

    assert {"loft": "Paris"} == headers[1] == shared
