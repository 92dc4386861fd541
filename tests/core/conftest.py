"""Signal models that send to a wire, and ways to look at what they left behind."""

from __future__ import annotations

import contextlib
import typing as t
from concurrent.futures import Future
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from signalbus import hookimpl

if t.TYPE_CHECKING:
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import Signal
    from signalbus.typing import SignalModel


class Wire:
    """Where the models of the tests send to; it fails for the texts it is told."""

    def __init__(self) -> None:
        """Begin with a wire that has carried nothing."""
        #: The texts of the signals that were confirmed.
        self.sent: list[t.Any] = []
        #: The texts of every call, confirmed or not.
        self.attempts: list[list[t.Any]] = []
        #: What to raise when a signal with this text comes.
        self.failures: dict[t.Any, BaseException] = {}
        #: What was given to the send methods.
        self.signals: list[Signal] = []
        #: What to raise whatever comes.
        self.cut: BaseException | None = None

    def carry(self, *signals: Signal) -> None:
        """Confirm all of *signals*, or raise."""
        texts = [signal.text for signal in signals]
        self.attempts.append(texts)
        self.signals.extend(signals)
        for failure in [self.cut, *map(self.failures.get, texts)]:
            if failure:
                raise failure
        self.sent.extend(texts)


class Broker:
    """A broker plugin, for the models that name it."""

    def __init__(self, name: str, wire: Wire) -> None:
        """Carry the models that name *name* over *wire*."""
        self.name = name
        self.wire = wire

    @hookimpl
    def signalbus_send_burst(
        self, model: SignalModel, signals: t.Sequence[Signal]
    ) -> bool | None:
        """Send over the wire what is meant for this broker."""
        if getattr(model, "signalbus_broker", None) != self.name:
            return None
        self.wire.carry(*signals)
        return True


def _instance_form(wire: Wire) -> dict[str, t.Any]:
    def send_signalbus_message(self: t.Any) -> None:
        wire.carry(self)

    return {"send_signalbus_message": send_signalbus_message}


def _row_form(wire: Wire) -> dict[str, t.Any]:
    def send_signalbus_message(cls: SignalModel, signal: Signal) -> None:
        wire.carry(signal)

    return {"send_signalbus_message": classmethod(send_signalbus_message)}


def _burst_form(wire: Wire) -> dict[str, t.Any]:
    def send_signalbus_messages(cls: SignalModel, signals: t.Iterable[Signal]) -> None:
        wire.carry(*signals)

    return {"send_signalbus_messages": classmethod(send_signalbus_messages)}


def _send_methods(wire: Wire, form: str, *, burst: bool) -> dict[str, t.Any]:
    single = {"instance": _instance_form, "row": _row_form}
    methods = single[form](wire) if form in single else {"signalbus_broker": form}
    return {**methods, **(_burst_form(wire) if burst else {})}


@pytest.fixture
def wire() -> Wire:
    """Give the wire that the models of ``new_model`` send to."""
    return Wire()


@pytest.fixture
def new_model(
    db: SQLAlchemy, bus: SignalBus, app_ctx: object, wire: Wire
) -> t.Callable[..., SignalModel]:
    """Declare a signal model, and create its table.

    It has the columns ``id`` and ``text``, and what *attributes* gives. *form* is
    ``instance``, ``row`` or the name of a broker.
    """

    def make(
        name: str = "Greeting",
        *,
        form: str = "instance",
        burst: bool = False,
        **attributes: t.Any,
    ) -> SignalModel:
        columns = {
            "id": sa.Column(sa.Integer, primary_key=True),
            "text": sa.Column(sa.String(50)),
        }
        methods = _send_methods(wire, form, burst=burst)
        model = type(name, (db.Model,), {**columns, **methods, **attributes})
        db.create_all()
        return model

    return make


@pytest.fixture
def greeting(new_model: t.Callable[..., SignalModel]) -> SignalModel:
    """Declare a signal model that sends one instance at a time."""
    return new_model()


@pytest.fixture
def new_broker(bus: SignalBus) -> t.Callable[..., Broker]:
    """Register a broker plugin, which has a wire of its own."""

    def make(name: str) -> Broker:
        broker = Broker(name, Wire())
        bus.plugin_manager.register(broker)
        return broker

    return make


@pytest.fixture
def record(db: SQLAlchemy) -> t.Callable[..., None]:
    """Make signals pending with ``record(model, *texts)``, past any session."""

    def insert(model: SignalModel, *texts: str) -> None:
        with _engine(db, model).begin() as connection:
            connection.execute(sa.insert(_table(model)), [{"text": x} for x in texts])

    return insert


@pytest.fixture
def pending(db: SQLAlchemy) -> t.Callable[[SignalModel], list[t.Any]]:
    """Tell the texts of a model's pending signals, in the order of their keys."""

    def select(model: SignalModel) -> list[t.Any]:
        table = _table(model)
        query = sa.select(table.c.text).order_by(*table.primary_key)
        with _engine(db, model).connect() as connection:
            return list(connection.scalars(query))

    return select


@pytest.fixture
def held(db: SQLAlchemy) -> t.Callable[..., t.ContextManager[None]]:
    """Hold the locks on the rows with some texts, in a connection of our own."""

    @contextlib.contextmanager
    def hold(model: SignalModel, *texts: str) -> t.Iterator[None]:
        table = _table(model)
        rows = sa.select(table.c.id).where(table.c.text.in_(texts))
        with _engine(db, model).connect() as connection:
            connection.execution_options(isolation_level="READ COMMITTED")
            for key in connection.scalars(rows).all():
                lock = sa.select(table.c.id).where(table.c.id == key).with_for_update()
                connection.execute(lock)
            yield

    return hold


@pytest.fixture
def background(app: Flask) -> t.Iterator[t.Callable[..., Future[t.Any]]]:
    """Run a function in a thread of its own, within an app context."""
    with ThreadPoolExecutor() as executor:

        def run(function: t.Callable[..., t.Any], *args: t.Any, **kw: t.Any) -> t.Any:
            with app.app_context():
                return function(*args, **kw)

        def submit(
            function: t.Callable[..., t.Any], *args: t.Any, **kw: t.Any
        ) -> Future[t.Any]:
            return executor.submit(run, function, *args, **kw)

        yield submit


@pytest.fixture
def statements() -> t.Iterator[list[tuple[str, str]]]:
    """Keep every statement that any engine executes, and its isolation level."""
    kept: list[tuple[str, str]] = []

    def keep(
        connection: sa.Connection, cursor: object, text: str, *rest: t.Any
    ) -> None:
        kept.append((text, connection.get_isolation_level()))

    sa.event.listen(sa.Engine, "before_cursor_execute", keep)
    yield kept
    sa.event.remove(sa.Engine, "before_cursor_execute", keep)


@pytest.fixture
def told() -> t.Callable[[BaseException], str]:
    """Tell all that an error says: its message and its notes."""
    return lambda error: "\n".join([str(error), *getattr(error, "__notes__", [])])


def _table(model: SignalModel) -> sa.Table:
    table = sa.inspect(model).local_table
    if not isinstance(table, sa.Table):
        raise TypeError(f"{model.__name__} is not mapped to a table of its own.")
    return table


def _engine(db: SQLAlchemy, model: SignalModel) -> sa.Engine:
    return db.engines[getattr(model, "__bind_key__", None)]
