"""A case of the suite: an app with a model that has a destination of its own."""

from __future__ import annotations

import contextvars
import importlib
import os
import sys
import threading
import time
import typing as t

import pytest
import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from signalbus.exceptions import BrokerUnavailableError
from signalbus.exceptions import PartialDeliveryError
from signalbus.extension import SignalBus
from signalbus.plugins import broker_names

if t.TYPE_CHECKING:
    from pathlib import Path

    from signalbus.testing.servers import Attributes
    from signalbus.testing.servers import BrokerServer
    from signalbus.testing.servers import ReceivedMessage

#: By how many seconds a call may exceed its limit before it counts as hanging.
SLACK = 6.0

#: How long a broker may take to recover from a fault, in seconds.
RECOVERY = 30.0

T = t.TypeVar("T")


class Row:
    """A signal as senders get it: a row with the columns as attributes."""

    def __init__(self, number: int, payload: bytes) -> None:
        self.id = number
        self.payload = payload


def rows(count: int, first: int = 1) -> list[Row]:
    """Return *count* signals whose bodies are their numbers, from *first* on."""
    numbers = range(first, first + count)
    return [Row(number, str(number).encode()) for number in numbers]


class Case:
    """An app with a signal model that names the broker, in a database of its own.

    :param extra: attributes that the model declares besides those of the server; a
        value may be a function of the signal if the attribute takes one.
    """

    def __init__(
        self,
        suite: t.Any,
        server: BrokerServer,
        folder: Path,
        settings: t.Mapping[str, t.Any],
        extra: t.Mapping[str, t.Any],
    ) -> None:
        self.server = server
        self.attributes: Attributes = server.attributes()
        self.app = make_app(
            f"sqlite:///{folder / 'conformance.sqlite'}",
            {**server.settings(), **settings},
            suite.prepare,
        )
        self.db = SQLAlchemy(self.app)
        self.bus = SignalBus(self.db)
        self.bus.autoflush = False
        register(self.bus, suite.plugin)
        self.model = new_model(self.db, suite.broker, {**self.attributes, **extra})
        with self.app.app_context():
            self.db.create_all()

    def close(self) -> None:
        """Close the connections to the database."""
        with self.app.app_context():
            self.db.engine.dispose()

    def record(self, signals: t.Iterable[Row]) -> None:
        """Record *signals*; nothing is sent."""
        values = [{"id": each.id, "payload": each.payload} for each in signals]
        with self.app.app_context(), self.db.engine.begin() as connection:
            connection.execute(sa.insert(self.model.__table__), values)

    def pending(self) -> set[int]:
        """Return the ids of the signals that are pending."""
        with self.app.app_context(), self.db.engine.connect() as connection:
            return set(connection.scalars(sa.select(self.model.__table__.c.id)))

    def flush(self) -> int:
        """Flush, and return the number of signals sent."""
        with self.app.app_context():
            return self.bus.flushmany()

    def flush_until_empty(self) -> None:
        """Flush repeatedly until the broker has recovered and nothing is left."""
        self.recover(self.flush)
        assert set() == self.pending()

    def send(self, signals: t.Sequence[Row], timeout: float | None = None) -> None:
        """Let the plugin send *signals*, as the core does."""
        with self.app.app_context():
            answer = self.bus.plugin_manager.hook.signalbus_send_burst(
                bus=self.bus, model=self.model, signals=signals, timeout=timeout
            )
        names = broker_names(self.bus.plugin_manager)
        broker = self.bus.declaration(self.model).broker
        assert answer is not None, f"No plugin sends for {broker!r}. There are: {names}"
        assert answer is True, "The plugin must return True, or raise"

    def recover(self, call: t.Callable[[], T]) -> T:
        """Repeat *call* until the broker is available again."""
        deadline = time.monotonic() + RECOVERY
        while True:
            try:
                return call()
            except Exception as error:
                if unavailable(error) is None or time.monotonic() > deadline:
                    raise
            time.sleep(0.1)

    def problems(self) -> list[str]:
        """Return the problems that the plugin reports about the broker."""
        hook = self.bus.plugin_manager.hook.signalbus_check
        with self.app.app_context():
            answers = hook(bus=self.bus, models=[self.model])
        return [problem for answer in answers for problem in answer]

    def read(self) -> list[ReceivedMessage]:
        """Return the messages that the broker has stored."""
        return self.server.read(self.attributes)

    def bodies(self) -> list[bytes]:
        """Return their bodies, sorted."""
        return sorted(message.body for message in self.read())


def make_app(database: str, settings: t.Mapping[str, t.Any], prepare: str) -> Flask:
    """Return an app with *settings*, prepared by the function at the path *prepare*."""
    app = Flask("conformance")
    app.config.update(settings)
    app.config["SQLALCHEMY_DATABASE_URI"] = database
    if prepare:
        load(prepare)(app)
    return app


def register(bus: SignalBus, plugin: str) -> None:
    """Register the plugin at the path *plugin*, unless it is installed."""
    found = load(plugin) if plugin else None
    if found is not None and not bus.plugin_manager.is_registered(found):
        bus.plugin_manager.register(found)


def new_model(db: SQLAlchemy, broker: str, attributes: t.Mapping[str, t.Any]) -> t.Any:
    """Return a model that names *broker*; its payload is the body."""
    columns = {
        "id": sa.Column(sa.Integer, primary_key=True, autoincrement=False),
        "payload": sa.Column(sa.LargeBinary, nullable=False),
        "signalbus_body": staticmethod(lambda signal: signal.payload),
    }
    functions = {
        name: staticmethod(value) if callable(value) else value
        for name, value in attributes.items()
    }
    namespace = {"signalbus_broker": broker, **columns, **functions}
    return type("ConformanceSignal", (db.Model,), namespace)


def routed(
    good: Attributes, refused: Attributes, is_refused: t.Callable[[Row], bool]
) -> Attributes:
    """Return attributes that route some signals to a destination that refuses them."""

    def route(name: str) -> t.Callable[[Row], t.Any]:
        return lambda signal: (refused if is_refused(signal) else good)[name]

    return {name: route(name) for name in refused if refused[name] != good.get(name)}


def load(path: str) -> t.Any:
    """Return the object at *path*, such as ``"pigeons.plugin:broker"``."""
    module, _, name = path.partition(":")
    found = importlib.import_module(module)
    return getattr(found, name) if name else found


def unavailable(error: BaseException) -> BrokerUnavailableError | None:
    """Return the error in *error* that says that the broker is unavailable, if any.

    It may be the error of a single message.
    """
    if isinstance(error, BrokerUnavailableError):
        return error
    reasons = (
        list(error.failures.values()) if isinstance(error, PartialDeliveryError) else []
    )
    found = [each for each in reasons if isinstance(each, BrokerUnavailableError)]
    return found[0] if found else None


def error_within(seconds: float, call: t.Callable[[], object]) -> BaseException | None:
    """Return what *call* raises; fail the test if it takes much longer than *seconds*.

    It runs in a thread of its own, so that the suite continues if it hangs forever.
    """
    raised: list[BaseException | None] = []

    def run() -> None:
        try:
            call()
        except BaseException as error:  # noqa: BLE001 the test looks at it
            raised.append(error)
        else:
            raised.append(None)

    thread = threading.Thread(
        target=contextvars.copy_context().run, args=[run], daemon=True
    )
    thread.start()
    thread.join(seconds + SLACK)
    if not raised:
        pytest.fail(f"It still waits {SLACK:g} s after its timeout of {seconds:g} s")
    return raised[0]


def environment() -> dict[str, str]:
    """Return the environment of a program that can import what this process can."""
    path = os.pathsep.join(each for each in sys.path if each)
    return {**os.environ, "PYTHONPATH": path}
