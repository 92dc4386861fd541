"""What the manual says of metrics is what is exported."""

from __future__ import annotations

import json
import re
import typing as t
from pathlib import Path

import pytest
from signalbus import BrokerUnavailableError
from signalbus_otel import Timed
from signalbus_otel import traced

if t.TYPE_CHECKING:
    from conftest import Metrics
    from signalbus import SignalBus
    from signalbus.typing import Signal
    from signalbus.typing import SignalModel

DOCS = Path(__file__).parents[2] / "docs"

PAGE = (DOCS / "otel.md").read_text()

DASHBOARD = DOCS / "grafana" / "signalbus.json"

ALERTS = DOCS / "prometheus" / "signalbus-alerts.yml"

#: A row of the table of metrics.
ROW = re.compile(r"^\| `([a-z._]+)` \| (\w+) \| (\S+) \| ([^|]+) \|", re.MULTILINE)

#: The name of a metric, or of an attribute, in PromQL.
NAME = re.compile(r"\b(?:signalbus|messaging|error)_[a-z_]+\b")

MESSAGING = {
    "messaging.system",
    "messaging.destination.name",
    "messaging.operation.name",
    "messaging.operation.type",
}

#: What the table abbreviates.
ABBREVIATIONS = {"M": MESSAGING | {"signalbus.model"}, "C": MESSAGING}

KINDS = {"Histogram": "histogram", "Sum": "counter", "Gauge": "gauge"}


class Exported(t.NamedTuple):
    """What is exported of all metrics.

    :param metrics: kind, unit and attributes, by name.
    :param prometheus: the names of what Prometheus gets, its metrics and labels.
    """

    metrics: dict[str, tuple[str, str, frozenset[str]]]
    prometheus: set[str]


@pytest.fixture
def exported(
    monkeypatch: pytest.MonkeyPatch, metrics: Metrics, request: pytest.FixtureRequest
) -> Exported:
    """Let everything happen that is measured, and read it."""
    retry = pytest.importorskip("signalbus_retry")
    pytest.importorskip("signalbus_relay")
    prometheus_client = pytest.importorskip("prometheus_client")
    from signalbus_otel import _watch

    monkeypatch.setenv("SIGNALBUS_DISABLED_PLUGINS", "")
    app = request.getfixturevalue("app")
    app.config["SIGNALBUS_OTEL_PENDING"] = True
    bus: SignalBus = request.getfixturevalue("bus")
    model: SignalModel = request.getfixturevalue("new_model")(
        Timed, signalbus_retry=retry.RetryPolicy(max_attempts=1)
    )
    wire = request.getfixturevalue("wire")
    record = request.getfixturevalue("record")

    record(model, "a")
    bus.flushmany()
    for error in (ValueError("no"), BrokerUnavailableError("down")):
        record(model, "b")
        wire.fail = _raising(error)
        with pytest.raises(type(error)):
            bus.flushmany()
    _consume()
    # Only a relay on PostgreSQL has a listener: see test_gauges.
    monkeypatch.setattr(_watch.Watch, "listeners", lambda self: {"default": 1})

    return Exported(
        {
            name: (
                KINDS[type(metric.data).__name__],
                metric.unit,
                frozenset().union(*(p.attributes for p in metric.data.data_points)),
            )
            for name, metric in metrics.read().items()
        },
        set(NAME.findall(prometheus_client.generate_latest().decode())),
    )


def test_the_table_has_what_is_exported(exported: Exported) -> None:
    """Each metric, with its kind, its unit and its attributes."""
    table = {
        name: (kind, unit, _attributes(attributes))
        for name, kind, unit, attributes in ROW.findall(PAGE)
    }

    assert exported.metrics == table


@pytest.mark.parametrize("file", [DASHBOARD, ALERTS, DOCS / "otel.md"])
def test_queries_name_what_prometheus_gets(file: Path, exported: Exported) -> None:
    """Metrics and labels, as its exporter names them."""
    text = file.read_text()
    queries = "\n".join(re.findall(r"^ {4}(.*)$", text, re.MULTILINE))
    named = set(NAME.findall(queries)) - {"signalbus_otel", "signalbus_body"}

    assert set() == named - exported.prometheus
    assert named


def test_dashboard_shows_each_metric(exported: Exported) -> None:
    """Nothing is measured in vain."""
    dashboard = json.loads(DASHBOARD.read_text())
    queries = "\n".join(
        target["expr"] for panel in dashboard["panels"] for target in panel["targets"]
    )

    assert [] == [
        name for name in exported.metrics if name.replace(".", "_") not in queries
    ]


def test_dashboard_has_no_overlapping_panels() -> None:
    """Each has a number and a place of its own."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    places = {
        (x, y)
        for panel in panels
        for place in [panel["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    }

    assert len(panels) == len({panel["id"] for panel in panels})
    assert len(places) == sum(p["gridPos"]["w"] * p["gridPos"]["h"] for p in panels)


def test_settings_are_in_the_manual() -> None:
    """Each with its default."""
    from signalbus_otel import _settings

    documented = set(re.findall(r"^\| `(SIGNALBUS_\w+)` \|", PAGE, re.MULTILINE))

    assert set(_settings.NAMES) == documented


def _attributes(cell: str) -> frozenset[str]:
    """Return the attributes that a cell of the table names."""
    names = set(re.findall(r"`([a-z._]+)`", cell))
    for letter in re.findall(r"\b([MC])\b", cell):
        names |= ABBREVIATIONS[letter]
    return frozenset(names)


def _raising(error: Exception) -> t.Callable[[t.Sequence[Signal]], t.NoReturn]:
    def fail(signals: t.Sequence[Signal]) -> t.NoReturn:
        raise error

    return fail


def _consume() -> None:
    """Let a consumer process a message, and reject one."""

    class Properties:
        headers = None
        message_id = None

    class Consumer:
        queue = "orders"

        @traced
        def process_message(self, body: bytes, properties: Properties) -> bool:
            return bool(body)

    for body in (b"x", b""):
        Consumer().process_message(body, Properties())
