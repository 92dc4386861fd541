"""An application with a signal bus: the same for ours and the predecessor's."""

from __future__ import annotations

import contextlib
import importlib
import os
import typing as t

import flask
import flask_sqlalchemy
import sqlalchemy as sa

if t.TYPE_CHECKING:
    from benchmarks import spec


class Program(t.NamedTuple):
    """An application, its database and its bus."""

    app: flask.Flask
    db: t.Any
    bus: t.Any

    def model(self, table: str, **attributes: t.Any) -> t.Any:
        """Define a model on a table of :mod:`benchmarks.machine`."""
        attributes["__tablename__"] = table
        attributes["id"] = sa.Column(sa.Integer, primary_key=True)
        attributes["payload"] = sa.Column(sa.Text, nullable=False)
        return type(table.capitalize(), (self.db.Model,), attributes)

    def signals(self, job: spec.Job, **attributes: t.Any) -> t.Any:
        """Define the signal model with *attributes* that is flushed."""
        attributes["signalbus_burst_count"] = job.burst
        return self.model("signals", signalbus_autoflush=False, **attributes)

    def flush(self, job: spec.Job, **attributes: t.Any) -> spec.Steps:
        """Flush a signal model with *attributes*: first to warm up, then in time."""
        self.signals(job, **attributes)
        self.bus.flushmany()
        self.db.session.remove()
        yield None
        self.bus.flushmany()
        yield None


@contextlib.contextmanager
def running(
    job: spec.Job, disabled_plugins: str = "relay,retry", **config: t.Any
) -> t.Iterator[Program]:
    """Make the application, and push its context; *config* says where to send.

    Without any, that is RabbitMQ.
    """
    os.environ["SIGNALBUS_DISABLED_PLUGINS"] = disabled_plugins
    app = flask.Flask("benchmark")
    app.config["SQLALCHEMY_DATABASE_URI"] = job.database_url
    app.config["SQLALCHEMY_TRACK_MODIFICATIONS"] = False
    app.config.update(config or {"SIGNALBUS_RABBITMQ_URL": job.broker_url})
    db = flask_sqlalchemy.SQLAlchemy(app)
    with app.app_context():
        yield Program(app, db, importlib.import_module(job.library).SignalBus(db))


def idle_sender(form: str) -> dict[str, t.Any]:
    """Return send methods that do nothing, and get *form*: rows or instances."""
    many = classmethod(lambda *_: None)
    one = many if form == "rows" else lambda *_: None
    return {"send_signalbus_message": one, "send_signalbus_messages": many}
