"""A broker is a subclass of BrokerPlugin and its Sender; the rest is done for it."""

from __future__ import annotations

import dataclasses
import gc
import json
import logging
import typing as t

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from signalbus import BrokerUnavailableError
from signalbus import MessageRefusedError
from signalbus import SettingError
from signalbus import SignalBus
from signalbus import SignalModelError
from signalbus.brokers import BrokerPlugin
from signalbus.brokers import CheckLine
from signalbus.brokers import Sender
from signalbus.messages import MessageAttribute

if t.TYPE_CHECKING:
    from signalbus.brokers import WaitLimit
    from signalbus.messages import Message
    from signalbus.messages import MessageBatch
    from signalbus.typing import SignalModel


class Loft(Sender):
    """Keeps what it sends; its *fate* says what becomes of a batch."""

    def __init__(self) -> None:
        """Begin with no messages."""
        self.sent: list[Message] = []
        self.closed: list[str] = []
        self.fate: t.Callable[[MessageBatch], object] = lambda batch: None

    def send(self, batch: MessageBatch, limit: WaitLimit) -> None:
        """Confirm everything, after fate has had its way."""
        self.fate(batch)
        for message in batch:
            self.sent.append(message)
            batch.confirm(message.position)

    def check(
        self, models: t.Sequence[SignalModel], limit: WaitLimit
    ) -> t.Iterator[CheckLine]:
        """Miss a loft for each model."""
        yield CheckLine("The pigeons")
        for model in models:
            yield CheckLine(model.__name__, "there is no loft. Build it.")

    def close(self) -> None:
        """Remember."""
        self.closed.append("closed")


class Pigeons(BrokerPlugin):
    """Sends by pigeons."""

    name = "pigeons"
    burst_count = 7
    settings = ("SIGNALBUS_PIGEONS_LOFT",)
    attributes = (
        MessageAttribute("signalbus_loft", "the name of a loft"),
        MessageAttribute("signalbus_speed", "a speed", (int, float), is_required=False),
    )

    def __init__(self) -> None:
        """Have one loft for all."""
        self.loft = Loft()

    def make_sender(self, app: Flask) -> Sender:
        """Return the loft."""
        return self.loft


@pytest.fixture
def pigeons(bus: SignalBus) -> Pigeons:
    """Give the plugin, registered."""
    plugin = Pigeons()
    bus.plugin_manager.register(plugin)
    return plugin


def test_messages_are_made_for_it(
    bus: SignalBus, pigeons: Pigeons, new_model: t.Any, record: t.Any
) -> None:
    """A sender gets body, id, type and content type, and what the model declares."""
    model = new_model(
        form="pigeons",
        signalbus_loft=lambda signal: f"loft of {signal.text}",
        signalbus_headers={"colour": "grey"},
    )
    record(model, "a")
    bus.flush()

    (message,) = pigeons.loft.sent
    attributes = {"signalbus_loft": "loft of a", "signalbus_speed": None}
    assert attributes == message.attributes
    assert {"id": 1, "text": "a"} == json.loads(message.body)
    assert f"{model.__table__.fullname}:1" == message.id
    assert (model.__name__, "application/json") == (message.type, message.content_type)
    assert {"colour": "grey"} == message.headers


def test_a_model_gets_its_burst_count(
    bus: SignalBus, pigeons: Pigeons, new_model: t.Any
) -> None:
    """The plugin knows best how many signals a burst should have."""
    model = new_model(form="pigeons", signalbus_loft="Paris")

    assert 7 == bus.declaration(model).burst_count


@pytest.mark.parametrize(
    ("attributes", "culprit"),
    [
        ({}, "has no signalbus_loft"),
        ({"signalbus_loft": 7}, "cannot use its signalbus_loft"),
        ({"signalbus_loft": "a", "signalbus_speed": "fast"}, "signalbus_speed"),
        ({"signalbus_loft": "a", "signalbus_speed": True}, "signalbus_speed"),
        ({"signalbus_loft": "a", "signalbus_body": b"a"}, "signalbus_body"),
        ({"signalbus_loft": "a", "signalbus_headers": ["a"]}, "signalbus_headers"),
        ({"signalbus_loft": "a", "signalbus_content_type": 7}, "content_type"),
    ],
)
def test_misdeclared_models_are_refused(
    bus: SignalBus,
    pigeons: Pigeons,
    new_model: t.Any,
    attributes: dict[str, t.Any],
    culprit: str,
) -> None:
    """The error names the model, the attribute and what it should be."""
    new_model(form="pigeons", **attributes)

    with pytest.raises(SignalModelError, match=culprit):
        bus.get_signal_models()


def test_a_misdeclared_model_is_not_autoflushed(
    bus: SignalBus,
    db: SQLAlchemy,
    pigeons: Pigeons,
    new_model: t.Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nothing of it is sent, and the broker is not taken for unavailable."""
    model = new_model(form="pigeons", signalbus_loft=7)
    bus.autoflush = True
    db.session.add(model(text="a"))
    db.session.commit()

    assert [] == pigeons.loft.sent
    assert bus.breakers.is_closed("pigeons")
    assert "cannot use its signalbus_loft (7)" in caplog.text
    assert "Traceback" not in caplog.text


def test_a_sender_must_be_made(bus: SignalBus) -> None:
    """A forgotten ``return`` is told at once."""
    plugin = Pigeons()
    plugin.loft = None  # type: ignore[assignment]

    with pytest.raises(TypeError, match="make_sender of Pigeons returned None"):
        bus.plugin_manager.register(plugin)


def test_a_class_is_not_a_plugin(bus: SignalBus) -> None:
    """Its methods would lack their instance."""
    with pytest.raises(TypeError, match=r"Pigeons is a class\. Register an instance"):
        bus.plugin_manager.register(Pigeons)


def test_plugin_that_cannot_be_hashed_is_refused_at_once(bus: SignalBus) -> None:
    """It would fail later, where plugins are looked for: dataclasses are compared."""

    @dataclasses.dataclass
    class Pigeons:
        number: int = 7

    with pytest.raises(TypeError, match=r"Pigeons cannot be hashed\..*eq=False"):
        bus.plugin_manager.register(Pigeons())

    assert "Pigeons" not in str(bus.plugin_manager.get_plugins())


def test_a_function_that_returns_another_type_fails_its_signal(
    bus: SignalBus, pigeons: Pigeons, new_model: t.Any, record: t.Any
) -> None:
    """The others of the burst are sent."""
    model = new_model(
        form="pigeons",
        signalbus_loft=lambda signal: signal.text if signal.id > 1 else 0,
    )
    record(model, "a", "b")

    with pytest.raises(TypeError, match=r"signalbus_loft of .* returned 0\."):
        bus.flush()

    assert [2] == [message.signal.id for message in pigeons.loft.sent]


def test_an_error_holds_for_what_is_not_settled(
    bus: SignalBus, pigeons: Pigeons, new_model: t.Any, record: t.Any
) -> None:
    """What was confirmed before is deleted."""

    def fate(batch: MessageBatch) -> None:
        batch.confirm(0)
        batch.fail(1, MessageRefusedError("too heavy"))
        raise BrokerUnavailableError("a hawk")

    pigeons.loft.fate = fate
    model = new_model(form="pigeons", signalbus_loft="Paris")
    record(model, "a", "b", "c")

    with pytest.raises(Exception, match=r"too heavy|a hawk"):
        bus.flush()

    assert {model: 2} == bus.count_pending([model])
    assert not bus.breakers.is_closed("pigeons")


def test_what_is_not_settled_is_not_deleted(
    bus: SignalBus, pigeons: Pigeons, new_model: t.Any, record: t.Any
) -> None:
    """A sender that forgets a message has not sent it."""

    def send(batch: MessageBatch, limit: WaitLimit) -> None:
        batch.confirm(0)

    pigeons.loft.send = send  # type: ignore[method-assign]
    model = new_model(form="pigeons", signalbus_loft="Paris")
    record(model, "a", "b")

    with pytest.raises(Exception, match="did not confirm"):
        bus.flush()

    assert {model: 1} == bus.count_pending([model])


@pytest.mark.parametrize("value", [0, -1, "soon", None, True, float("inf")])
def test_a_timeout_is_a_number_of_seconds(
    new_app: t.Any, tmp_path: t.Any, value: object
) -> None:
    """Anything else is refused when the app is made, with the name of the setting."""
    app = new_app("sqlite://", SIGNALBUS_PIGEONS_TIMEOUT=value)
    bus = SignalBus(SQLAlchemy(app))

    with pytest.raises(SettingError, match="SIGNALBUS_PIGEONS_TIMEOUT is"):
        bus.plugin_manager.register(Pigeons())


def test_check_reports_what_is_missing(
    bus: SignalBus, pigeons: Pigeons, new_model: t.Any, app_ctx: t.Any
) -> None:
    """What is well is no problem, and models of other brokers are not asked about."""
    ours = new_model(form="pigeons", signalbus_loft="Paris")
    others = new_model("Other")
    hook = bus.plugin_manager.hook.signalbus_check

    problems = [
        each for answer in hook(bus=bus, models=[ours, others]) for each in answer
    ]

    assert f"{ours.__name__}: there is no loft. Build it." in problems
    assert [] == [each for each in problems if "pigeons" in each.lower()]


def test_an_app_that_is_gone_closes_its_sender() -> None:
    """Nothing keeps the connections of an app open that is no longer there."""
    plugin = Pigeons()
    app = Flask("short-lived")
    plugin.signalbus_init_app(app)

    del app
    gc.collect()

    assert ["closed"] == plugin.loft.closed


def test_its_settings_and_attributes_are_known(
    bus: SignalBus,
    pigeons: Pigeons,
    new_model: t.Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """None of them is taken for a typo."""
    caplog.set_level(logging.WARNING, "signalbus")
    new_model(form="pigeons", signalbus_loft="Paris", signalbus_speed=7)

    bus.get_signal_models()

    assert {"SIGNALBUS_PIGEONS_LOFT", "SIGNALBUS_PIGEONS_TIMEOUT"} == set(
        pigeons.signalbus_settings()
    )
    assert [] == caplog.messages
