"""The hooks that this distribution implements."""

from __future__ import annotations

import collections
import typing as t

from signalbus import NoBrokerError
from signalbus import hookimpl

from signalbus_otel import _gauges  # noqa: F401 it registers them
from signalbus_otel import _instruments
from signalbus_otel import _settings
from signalbus_otel import _watch
from signalbus_otel._contexts import recorded_headers
from signalbus_otel._facts import MODEL
from signalbus_otel._facts import error_type
from signalbus_otel._facts import facts_of
from signalbus_otel._parked import ParkedCounter
from signalbus_otel._sending import Sending
from signalbus_otel._spans import current_spans

if t.TYPE_CHECKING:
    from collections.abc import Generator
    from collections.abc import Mapping
    from collections.abc import Sequence

    import pluggy
    from flask import Flask
    from signalbus import SignalBus
    from signalbus.typing import PrimaryKey
    from signalbus.typing import Recorded
    from signalbus.typing import Signal
    from signalbus.typing import SignalModel

    from signalbus_otel._facts import Attributes


@hookimpl
def signalbus_addhooks(plugin_manager: pluggy.PluginManager) -> None:
    """Count parked signals if signalbus-retry is there."""
    if plugin_manager.has_plugin("retry"):
        plugin_manager.register(ParkedCounter(), "otel.parked")


@hookimpl
def signalbus_settings() -> tuple[str, ...]:
    """Return the settings of the gauges."""
    return _settings.NAMES


@hookimpl
def signalbus_init_app(bus: SignalBus, app: Flask) -> None:
    """Watch the outbox of *app*; a malformed setting is a ``ValueError``."""
    _watch.start_watch(bus, app, _settings.read(app.config))


@hookimpl
def signalbus_models_configured(bus: SignalBus, models: list[type[t.Any]]) -> None:
    """Watch the signal models among *models*."""
    _watch.set_models(bus, models)


@hookimpl
def signalbus_committed(recorded: Recorded) -> None:
    """Count what was recorded."""
    for model, keys in recorded.items():
        _instruments.RECORDED.add(len(keys), {MODEL: model.__name__})


@hookimpl(wrapper=True)
def signalbus_send_burst(
    bus: SignalBus, model: SignalModel, signals: Sequence[Signal]
) -> Generator[None, bool | None, bool | None]:
    """Measure and trace the sending of a burst."""
    sending = Sending.begin(bus, model, signals)
    if sending is None:
        return (yield)
    try:
        answer = yield
    except BaseException as error:
        sending.end(error)
        raise
    sending.end(None if answer is True else _no_answer(answer))
    return answer


@hookimpl
def signalbus_message_headers(
    bus: SignalBus, model: SignalModel, signals: Sequence[Signal]
) -> Sequence[Mapping[str, str]] | None:
    """Return the headers that carry the trace to the consumer."""
    spans = current_spans(signals)
    if spans is not None:
        return spans.headers()
    facts = facts_of(bus, model)
    if not facts.has_context:
        return None
    return [recorded_headers(facts, signal) for signal in signals]


@hookimpl
def signalbus_burst_sent(model: SignalModel, count: int, seconds: float) -> None:
    """Count what was sent."""
    attributes: Attributes = {MODEL: model.__name__}
    _instruments.SENT.add(count, attributes)
    _instruments.BURST_DURATION.record(seconds, attributes)


@hookimpl
def signalbus_burst_failed(
    model: SignalModel, error: BaseException, failed: Mapping[PrimaryKey, Exception]
) -> None:
    """Count what failed."""
    attributes: Attributes = {MODEL: model.__name__}
    kinds = collections.Counter(map(error_type, failed.values()))
    for kind, count in kinds.items():
        _instruments.FAILED.add(count, {**attributes, "error.type": kind})
    _instruments.FAILED_BURSTS.add(1, {**attributes, "error.type": error_type(error)})


def _no_answer(answer: object) -> Exception:
    """Return the error for an answer that does not confirm the burst."""
    if answer is None:
        return NoBrokerError()
    return TypeError("The broker plugin returned neither True nor None.")
