"""An SDK in memory, and signal models whose sending can fail."""

from __future__ import annotations

import dataclasses
import secrets
import typing as t

import pytest
import sqlalchemy as sa
from opentelemetry import metrics as otel_metrics
from opentelemetry import trace
from signalbus import hookimpl
from signalbus.messages import message_headers
from signalbus_otel import Timed
from signalbus_otel import Traced
from signalbus_otel import _watch

if t.TYPE_CHECKING:
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import (
        InMemorySpanExporter,
    )
    from signalbus import SignalBus
    from signalbus.typing import Bus
    from signalbus.typing import Signal
    from signalbus.typing import SignalModel


@pytest.fixture(scope="session")
def reader() -> InMemoryMetricReader:
    """Set up the SDK's metrics, which stay, with a reader that forgets what it read."""
    pytest.importorskip("opentelemetry.sdk", reason="The SDK is not installed")
    from opentelemetry.exporter.prometheus import PrometheusMetricReader
    from opentelemetry.sdk.metrics import Counter
    from opentelemetry.sdk.metrics import Histogram
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import AggregationTemporality
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    delta = AggregationTemporality.DELTA
    reader = InMemoryMetricReader({Counter: delta, Histogram: delta})
    otel_metrics.set_meter_provider(MeterProvider([reader, PrometheusMetricReader()]))
    return reader


@pytest.fixture(autouse=True)
def _forget_apps() -> t.Iterator[None]:
    """Let no exporter look into the databases of tests that have ended."""
    yield
    _watch._watches.clear()  # noqa: SLF001


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let exporters wait for a database on a machine that is busy."""
    monkeypatch.setattr(_watch, "PATIENCE", 60.0)


@dataclasses.dataclass
class Metrics:
    """What has been measured since the last reading."""

    reader: InMemoryMetricReader

    def read(self) -> dict[str, t.Any]:
        """Return the metrics by their names."""
        data = self.reader.get_metrics_data()
        return {
            metric.name: metric
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            if scope.scope.name == "signalbus_otel"
            for metric in scope.metrics
        }

    def points(self, name: str, model: SignalModel) -> list[t.Any]:
        """Return the data points of a metric that are about *model*."""
        return [
            point
            for point in self.read()[name].data.data_points
            if point.attributes.get("signalbus.model") == model.__name__
        ]

    def values(self, name: str, model: SignalModel, by: str = "") -> dict[t.Any, float]:
        """Return the values of a metric of *model*, by one of its attributes."""
        return {
            point.attributes.get(by): getattr(
                point, "value", getattr(point, "count", 0)
            )
            for point in self.points(name, model)
        }


@pytest.fixture
def metrics(reader: InMemoryMetricReader) -> Metrics:
    """Give what is measured from now on."""
    reader.get_metrics_data()
    return Metrics(reader)


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Spans:
    """Trace during this test, and give the spans that have ended."""
    pytest.importorskip("opentelemetry.sdk", reason="The SDK is not installed")
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import (
        InMemorySpanExporter,
    )
    from signalbus_otel._spans import TRACER

    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    # The API sets a provider once in a process; the other tests shall have none.
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    monkeypatch.setattr(TRACER, "_real_tracer", provider.get_tracer("signalbus_otel"))
    return Spans(exporter, provider.get_tracer("tests"))


@dataclasses.dataclass
class Spans:
    """The spans of a test."""

    exporter: InMemorySpanExporter
    tracer: trace.Tracer

    def named(self, name: str) -> list[ReadableSpan]:
        """Return the spans of this name, in the order of their starts."""
        ended = self.exporter.get_finished_spans()
        found = [span for span in ended if span.name == name]
        return sorted(found, key=lambda span: span.start_time or 0)

    def only(self, name: str) -> ReadableSpan:
        """Return the only span of this name."""
        (span,) = self.named(name)
        return span


class Wire:
    """A broker plugin named ``wire``, which keeps the headers of messages."""

    name = "wire"

    def __init__(self) -> None:
        """Begin with a wire that has carried nothing."""
        self.headers: dict[str, dict[str, str]] = {}
        self.fail: t.Callable[[t.Sequence[Signal]], object] = lambda signals: None

    @hookimpl
    def signalbus_send_burst(
        self, bus: Bus, model: SignalModel, signals: t.Sequence[Signal]
    ) -> bool | None:
        """Carry the signals of models that name the wire."""
        if bus.declaration(model).broker != self.name:
            return None
        headers = message_headers(bus, model, signals)
        for signal, of_signal in zip(signals, headers or [{}] * len(signals)):  # noqa: B905 the same
            self.headers[signal.text] = of_signal
        self.fail(signals)
        return True


@pytest.fixture
def wire(bus: SignalBus) -> Wire:
    """Give the broker that the models of ``new_model`` name."""
    wire = Wire()
    bus.plugin_manager.register(wire)
    return wire


@pytest.fixture
def new_model(
    db: SQLAlchemy, bus: SignalBus, app: Flask, wire: Wire
) -> t.Callable[..., SignalModel]:
    """Declare a signal model, and its table, with ``new_model(*mixins, **attributes)``.

    Its name is like no other's, for metrics know models by their names.
    """
    bus.autoflush = False

    def make(*mixins: type, **attributes: t.Any) -> SignalModel:
        model: SignalModel = type(
            f"Order{secrets.token_hex(4)}",
            (*mixins, db.Model),
            {
                "id": sa.Column(sa.Integer, primary_key=True),
                "text": sa.Column(sa.String(50)),
                "signalbus_broker": "wire",
                "signalbus_burst_count": 100,
                **attributes,
            },
        )
        with app.app_context():
            db.create_all()
        return model

    return make


@pytest.fixture
def model(new_model: t.Callable[..., SignalModel]) -> SignalModel:
    """Declare a signal model that remembers traces and times."""
    return new_model(Traced, Timed)


@pytest.fixture
def record(app: Flask, db: SQLAlchemy) -> t.Callable[..., None]:
    """Commit signals of a model that have these texts."""

    def record(model: SignalModel, *texts: str) -> None:
        with app.app_context():
            db.session.add_all([model(text=text) for text in texts])
            db.session.commit()

    return record
