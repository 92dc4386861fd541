"""An application with a signal bus: the same program for ours and the predecessor's."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import typing as t

import flask
import flask_sqlalchemy
import sqlalchemy as sa

if t.TYPE_CHECKING:
    from benchmarks.job import Job
    from benchmarks.job import Outcome

Work = t.Callable[[], "Outcome"]


@dataclasses.dataclass
class Program:
    """The application, its database and its bus."""

    app: flask.Flask
    db: t.Any
    bus: t.Any

    def model(self, table: str, **attributes: t.Any) -> t.Any:
        """Define a model on a table of :mod:`benchmarks.databases`."""
        return type(
            table.capitalize(),
            (self.db.Model,),
            {
                "__module__": __name__,
                "__tablename__": table,
                "id": sa.Column(sa.Integer, primary_key=True),
                "payload": sa.Column(sa.Text, nullable=False),
                **attributes,
            },
        )


@contextlib.contextmanager
def open_program(job: Job) -> t.Iterator[Program]:
    """Make the application, and push its context."""
    app = flask.Flask("benchmark")
    app.config.update(
        SQLALCHEMY_DATABASE_URI=job.database_url,
        SQLALCHEMY_TRACK_MODIFICATIONS=False,
        SIGNALBUS_RABBITMQ_URL=job.broker_url,
    )
    db = flask_sqlalchemy.SQLAlchemy(app)
    library = importlib.import_module(job.library)
    with app.app_context():
        yield Program(app, db, library.SignalBus(db))


def idle_sender(form: str) -> dict[str, t.Any]:
    """Return the methods of a signal model that sends nothing, at once or one by one.

    :param form: whether the methods get ``rows`` or ``instances``.
    """
    send_one = {"rows": classmethod(_nothing), "instances": _nothing}[form]
    return {
        "send_signalbus_message": send_one,
        "send_signalbus_messages": classmethod(_nothing),
    }


def _nothing(*_: object) -> None:
    """Take a signal, or many, and do nothing."""
