"""What a send method is given: an instance or a row, one or a burst."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import typing as t
import uuid

import pytest
import sqlalchemy as sa

if t.TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus


def test_instance_form_gets_instances(
    db: SQLAlchemy, new_model: t.Any, wire: t.Any
) -> None:
    """A plain method is called on the instance of the model."""
    model = new_model()
    db.session.add(model(text="a"))
    db.session.commit()

    assert [model] == [type(signal) for signal in wire.signals]


def test_row_form_gets_rows(db: SQLAlchemy, new_model: t.Any, wire: t.Any) -> None:
    """A class method is given a row, and no instance is built."""
    model = new_model(form="row")
    db.session.add(model(id=7, text="a"))
    db.session.commit()
    (signal,) = wire.signals

    assert not isinstance(signal, model)
    assert (7, "a") == (signal.id, signal.text)


@pytest.mark.parametrize("flush", ["autoflush", "flush", "flushmany", "flushordered"])
def test_row_form_builds_no_instance(
    db: SQLAlchemy, bus: SignalBus, new_model: t.Any, record: t.Any, flush: str
) -> None:
    """The row form loads no instance, whichever way the signals are flushed."""
    loaded: list[object] = []
    model = new_model(form="row")
    sa.event.listen(model, "load", lambda instance, context: loaded.append(instance))
    if flush == "autoflush":
        db.session.add(model(text="a"))
        db.session.commit()
    else:
        record(model, "a")
        getattr(bus, flush)()

    assert {model: 0} == bus.count_pending()
    assert [] == loaded


def test_row_form_is_called_on_its_model(
    bus: SignalBus, new_model: t.Any, record: t.Any
) -> None:
    """The class that a class method gets is the model."""
    classes: list[type] = []

    def send_signalbus_message(cls: type, signal: object) -> None:
        classes.append(cls)

    model = new_model(send_signalbus_message=classmethod(send_signalbus_message))
    record(model, "a")
    bus.flush()

    assert [model] == classes


@pytest.mark.databases
@pytest.mark.parametrize("form", ["instance", "row"])
@pytest.mark.parametrize("method", ["flush", "flushmany", "flushordered"])
def test_bursts_have_the_models_size(
    bus: SignalBus, new_model: t.Any, wire: t.Any, record: t.Any, form: str, method: str
) -> None:
    """A burst has as many signals as the model says, the last one the rest."""
    model = new_model(form=form, burst=True, signalbus_burst_count=3)
    record(model, *"abcdefgh")

    assert 8 == getattr(bus, method)()
    assert [3, 3, 2] == [len(texts) for texts in wire.attempts]
    assert sorted("abcdefgh") == sorted(wire.sent)


@pytest.mark.parametrize(("form", "is_instance"), [("instance", True), ("row", False)])
def test_burst_gets_what_the_single_form_gets(
    bus: SignalBus,
    new_model: t.Any,
    wire: t.Any,
    record: t.Any,
    form: str,
    is_instance: bool,
) -> None:
    """The burst form gets instances or rows, as the single form does."""
    model = new_model(form=form, burst=True, signalbus_burst_count=2)
    record(model, "a", "b")
    bus.flush()

    assert [is_instance] * 2 == [isinstance(signal, model) for signal in wire.signals]


def test_burst_count_defaults_to_one(
    bus: SignalBus, new_model: t.Any, wire: t.Any, record: t.Any
) -> None:
    """Without a burst count, every signal has a transaction to itself."""
    record(new_model(form="row", burst=True), "a", "b")
    bus.flush()

    assert [1, 1] == [len(texts) for texts in wire.attempts]


def test_single_form_in_bursts(
    bus: SignalBus, new_model: t.Any, wire: t.Any, record: t.Any
) -> None:
    """A model with only the single form sends one by one, many in a transaction."""
    record(new_model(signalbus_burst_count=3), "a", "b", "c")

    assert 3 == bus.flush()
    assert [["a"], ["b"], ["c"]] == sorted(wire.attempts)


def test_autoflush_sends_bursts(db: SQLAlchemy, new_model: t.Any, wire: t.Any) -> None:
    """The signals of one commit are sent in bursts of the model's size."""
    model = new_model(form="row", burst=True, signalbus_burst_count=3)
    db.session.add_all([model(text=text) for text in "abcd"])
    db.session.commit()

    assert [1, 3] == sorted(len(texts) for texts in wire.attempts)


def test_instance_loads_what_belongs_to_it(
    bus: SignalBus, db: SQLAlchemy, new_model: t.Any, record: t.Any
) -> None:
    """While it is sent, an instance can load relationships and deferred columns."""

    class Customer(db.Model):
        id = db.Column(db.Integer, primary_key=True)
        name = db.Column(db.String(50))

    read = []

    def send_signalbus_message(self: t.Any) -> None:
        read.append((self.customer.name, self.note))

    model = new_model(
        send_signalbus_message=send_signalbus_message,
        customer_id=sa.Column(sa.ForeignKey(Customer.id)),
        customer=db.relationship(Customer),
        note=db.deferred(sa.Column(sa.String(50))),
    )
    bus.autoflush = False
    db.session.add(model(customer=Customer(name="Ada"), note="quick"))
    db.session.commit()
    bus.flush()

    assert [("Ada", "quick")] == read
    assert ["Ada"] == db.session.scalars(sa.select(Customer.name)).all()


AWKWARD = [
    "count",
    "index",
    "_secret",
    "_data",
    "_fields",
    "_mapping",
    "_asdict",
    "class",
    "from",
    "self",
    "cls",
    "signal",
    "signals",
    "keys",
    "größe",
]


@pytest.mark.parametrize("method", ["autoflush", "flushmany"])
@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_column_names(
    bus: SignalBus,
    db: SQLAlchemy,
    new_model: t.Any,
    wire: t.Any,
    name: str,
    method: str,
) -> None:
    """A row has every column under its name on the model, whatever the name."""
    model = new_model(form="row", **{name: sa.Column("c1", sa.String(50))})
    bus.autoflush = method == "autoflush"
    instance = model(text="a")
    setattr(instance, name, "value")
    db.session.add(instance)
    db.session.commit()
    if method != "autoflush":
        getattr(bus, method)()
    (signal,) = wire.signals

    assert "value" == getattr(signal, name)


def test_row_has_deferred_columns(
    db: SQLAlchemy, new_model: t.Any, wire: t.Any
) -> None:
    """A deferred column is a column, so a row has it."""
    model = new_model(form="row", note=db.deferred(sa.Column(sa.String(50))))
    db.session.add(model(text="a", note="here"))
    db.session.commit()

    assert ["here"] == [signal.note for signal in wire.signals]


class Colour(enum.Enum):
    """A column type of the users' own."""

    RED = "r"
    BLUE = "b"


class Upper(sa.types.TypeDecorator[str]):
    """A type that changes its values on their way out."""

    impl = sa.String(50)
    cache_ok = True

    def process_result_value(self, value: t.Any, dialect: sa.Dialect) -> t.Any:
        """Shout."""
        return value and value.upper()


MOMENT = dt.datetime(2024, 2, 29, 12, 30, 15)  # noqa: DTZ001 naive

VALUES: dict[str, tuple[t.Any, t.Any, t.Any]] = {
    "json": (sa.JSON, {"a": [1, None, "x"]}, {"a": [1, None, "x"]}),
    "enum": (sa.Enum(Colour), Colour.BLUE, Colour.BLUE),
    "uuid": (sa.Uuid, uuid.UUID(int=5), uuid.UUID(int=5)),
    "numeric": (sa.Numeric(9, 2), decimal.Decimal("1.50"), decimal.Decimal("1.50")),
    "datetime": (sa.DateTime, MOMENT, MOMENT),
    "binary": (sa.LargeBinary, b"\x00\xff", b"\x00\xff"),
    "boolean": (sa.Boolean, True, True),
    "pickle": (sa.PickleType, {"a", 1}, {"a", 1}),
    "decorated": (Upper, "loud", "LOUD"),
    "interval": (sa.Interval, dt.timedelta(5), dt.timedelta(5)),
    "null": (sa.String(50), None, None),
}


@pytest.mark.databases
@pytest.mark.parametrize("form", ["instance", "row"])
def test_values_are_python_values(
    bus: SignalBus, db: SQLAlchemy, new_model: t.Any, wire: t.Any, form: str
) -> None:
    """Senders get the values as the column types make them, in either form."""
    columns = {name: sa.Column(kind) for name, (kind, *_) in VALUES.items()}
    stored = {name: value for name, (_, value, _) in VALUES.items()}
    expected = [(value, type(value)) for _, _, value in VALUES.values()]
    model = new_model(form=form, burst=True, signalbus_burst_count=2, **columns)
    for bus.autoflush in (True, False):
        db.session.add(model(text="a", **stored))
        db.session.commit()
    bus.flushmany()

    assert 2 == len(wire.signals)
    for signal in wire.signals:
        values = [getattr(signal, name) for name in VALUES]
        assert expected == [(value, type(value)) for value in values]


def test_broker_gets_rows(
    bus: SignalBus, new_model: t.Any, new_broker: t.Any, record: t.Any
) -> None:
    """A model without send methods comes to its broker as rows."""
    broker = new_broker("pigeons")
    model = new_model(form="pigeons", signalbus_burst_count=2)
    record(model, "a", "b")

    assert 2 == bus.flush()
    assert [["a", "b"]] == broker.wire.attempts
    assert [False] * 2 == [isinstance(signal, model) for signal in broker.wire.signals]


def test_own_send_method_beats_a_broker(
    bus: SignalBus, new_model: t.Any, wire: t.Any, new_broker: t.Any, record: t.Any
) -> None:
    """A model that has a send method is sent by it, though it names a broker too."""
    broker = new_broker("pigeons")
    record(new_model(signalbus_broker="pigeons"), "a")
    bus.flush()

    assert ["a"] == wire.sent
    assert [] == broker.wire.attempts


def test_a_signal_may_be_read_after_it_was_sent(
    bus: SignalBus, new_model: t.Any, wire: t.Any, record: t.Any
) -> None:
    """A row that a sender keeps stays readable."""
    record(new_model(form="row", burst=True, signalbus_burst_count=2), "a", "b")
    bus.flushmany()

    assert ["a", "b"] == sorted(signal.text for signal in wire.signals)
