"""Signal models that fail as they are told, and ways to look at their failures."""

from __future__ import annotations

import dataclasses
import io
import typing as t

import pytest
import sqlalchemy as sa
from flask.cli import ScriptInfo
from signalbus import PartialDeliveryError
from signalbus import hookimpl
from signalbus_retry import failures

if t.TYPE_CHECKING:
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import Signal
    from signalbus.typing import SignalModel
    from signalbus_retry import Failure

#: A moment at which every signal that waits was due. SQLite compares it as text.
LONG_AGO = "'2000-01-01 00:00:00.000000'"


class Wire:
    """Where the models of the tests send to; it fails for the texts it is told."""

    def __init__(self) -> None:
        """Begin with a wire that has carried nothing."""
        #: The texts of the signals that were confirmed.
        self.sent: list[str] = []
        #: The texts of every call, confirmed or not.
        self.attempts: list[list[str]] = []
        #: What to raise when a signal with this text comes.
        self.failures: dict[str, Exception] = {}

    def carry(self, *signals: Signal) -> None:
        """Confirm all of *signals*, or raise for the first that fails."""
        if errors := self._errors(*signals):
            raise next(iter(errors.values()))
        self.sent.extend(signal.text for signal in signals)

    def carry_some(self, *signals: Signal) -> None:
        """Confirm those of *signals* that do not fail, and tell which do."""
        errors = self._errors(*signals)
        self.sent.extend(
            signal.text
            for position, signal in enumerate(signals)
            if position not in errors
        )
        if errors:
            raise PartialDeliveryError(errors)

    def tries(self, text: str) -> int:
        """Return how often the signal with this *text* was given to a sender alone."""
        return self.attempts.count([text])

    def _errors(self, *signals: Signal) -> dict[int, Exception]:
        texts = [signal.text for signal in signals]
        self.attempts.append(texts)
        return {
            position: self.failures[text]
            for position, text in enumerate(texts)
            if text in self.failures
        }


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
        self.wire.carry_some(*signals)
        return True


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a command printed, and how it ended."""

    status: int
    out: str
    err: str


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

    methods = {"send_signalbus_messages": classmethod(send_signalbus_messages)}
    return {**_row_form(wire), **methods}


def _partial_form(wire: Wire) -> dict[str, t.Any]:
    def send_signalbus_messages(cls: SignalModel, signals: t.Iterable[Signal]) -> None:
        wire.carry_some(*signals)

    methods = {"send_signalbus_messages": classmethod(send_signalbus_messages)}
    return {**_instance_form(wire), **methods}


#: How the models of the tests send.
FORMS: dict[str, t.Callable[[Wire], dict[str, t.Any]]] = {
    "instance": _instance_form,
    "row": _row_form,
    "burst": _burst_form,
    "partial": _partial_form,
    "broker": lambda _: {"signalbus_broker": "wire"},
}


@pytest.fixture(autouse=True)
def _retry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Switch the plugin on, which is off in the tests of other distributions.

    That of signalbus-relay is off: it has a table of its own.
    """
    monkeypatch.setenv("SIGNALBUS_DISABLED_PLUGINS", "relay")


@pytest.fixture
def wire() -> Wire:
    """Give the wire that the models of ``new_model`` send to."""
    return Wire()


@pytest.fixture
def boom(wire: Wire) -> ValueError:
    """Let the signals with the text "bad" fail."""
    wire.failures["bad"] = ValueError("boom")
    return t.cast("ValueError", wire.failures["bad"])


@pytest.fixture
def new_model(
    db: SQLAlchemy, bus: SignalBus, app_ctx: object, wire: Wire
) -> t.Callable[..., SignalModel]:
    """Declare a signal model, and create its table and that of failures.

    It has the columns ``id`` and ``text``, and what *attributes* gives. *form* is one
    of ``FORMS``. Its policy is 100 seconds, 200, 400 …, exactly, and five attempts.
    """
    bus.plugin_manager.register(Broker("wire", wire))

    def make(
        name: str = "Greeting", *, form: str = "row", **attributes: t.Any
    ) -> SignalModel:
        columns = {
            "id": sa.Column(sa.Integer, primary_key=True),
            "text": sa.Column(sa.String(50)),
            "signalbus_retry": {"max_attempts": 5, "first_delay": 100, "jitter": 0},
        }
        model = type(name, (db.Model,), {**columns, **FORMS[form](wire), **attributes})
        db.create_all()
        return model

    return make


@pytest.fixture
def greeting(new_model: t.Callable[..., SignalModel]) -> SignalModel:
    """Declare a signal model that sends one row at a time."""
    return new_model()


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
def execute(db: SQLAlchemy) -> t.Callable[..., None]:
    """Execute a statement of SQL, past any session, and commit."""

    def run(statement: str, bind: str | None = None) -> None:
        with db.engines[bind].begin() as connection:
            connection.execute(sa.text(statement))

    return run


@pytest.fixture
def due(execute: t.Callable[..., None]) -> t.Callable[[], None]:
    """Make every signal due that waits."""

    def run() -> None:
        execute(
            f"UPDATE signalbus_failure SET next_attempt_at = {LONG_AGO}"  # noqa: S608 our own text
            " WHERE next_attempt_at IS NOT NULL"
        )

    return run


@pytest.fixture
def run(bus: SignalBus) -> t.Callable[..., int]:
    """Flush by the given method, whatever cannot be sent; return how many it sent."""

    def call(method: str = "flushmany") -> int:
        sent: list[int] = []

        class Count:
            @hookimpl
            def signalbus_burst_sent(self, count: int) -> None:
                sent.append(count)

        plugin = Count()
        bus.plugin_manager.register(plugin)
        try:
            getattr(bus, method)()
        except Exception:  # noqa: BLE001, S110 the tests look at what is left
            pass
        finally:
            bus.plugin_manager.unregister(plugin)
        return sum(sent)

    return call


@pytest.fixture
def entries(db: SQLAlchemy, app_ctx: object) -> t.Callable[..., list[t.Any]]:
    """Read the rows of the table of failures as they are, in the order of keys."""

    def read(bind: str | None = None) -> list[t.Any]:
        table = db.metadatas[bind].tables["signalbus_failure"]
        query = sa.select(table).order_by(table.c.model, table.c.key)
        with db.engines[bind].connect() as connection:
            return list(connection.execute(query))

    return read


@pytest.fixture
def failed(bus: SignalBus, app_ctx: object) -> t.Callable[..., list[Failure]]:
    """List failures, in the order of their models and keys."""

    def read(*arguments: t.Any, **conditions: t.Any) -> list[Failure]:
        found = failures(bus, *arguments, **conditions)
        return sorted(found, key=lambda each: (each.model.__name__, each.key))

    return read


@pytest.fixture
def attempts(
    failed: t.Callable[..., list[Failure]],
) -> t.Callable[[], dict[t.Any, tuple[int, str]]]:
    """Tell of each failed signal how often it was tried, and what is to come."""

    def read() -> dict[t.Any, tuple[int, str]]:
        return {
            each.key[0]: (each.attempts, "parked" if each.is_parked else "waits")
            for each in failed()
        }

    return read


@pytest.fixture
def flask(
    app: Flask,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    commands_anew: None,
) -> t.Callable[..., Outcome]:
    """Run ``flask signalbus ARGUMENTS…`` for the app, and give its *answer*."""
    group = pytest.importorskip("signalbus_cli").signalbus

    def call(*arguments: str, answer: str = "") -> Outcome:
        info = ScriptInfo(create_app=lambda: app)
        monkeypatch.setattr("sys.stdin", io.StringIO(answer))
        capsys.readouterr()
        with pytest.raises(SystemExit) as ending:
            group.main(arguments, "flask signalbus", obj=info)
        return Outcome(t.cast("int", ending.value.code), *capsys.readouterr())

    return call


def _table(model: SignalModel) -> sa.Table:
    return t.cast("sa.Table", sa.inspect(model).local_table)


def _engine(db: SQLAlchemy, model: SignalModel) -> sa.Engine:
    return db.engines[getattr(model, "__bind_key__", None)]
