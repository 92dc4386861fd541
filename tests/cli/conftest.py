"""A post office: letters and parcels, and who asks `flask signalbus` to send them."""

from __future__ import annotations

import dataclasses
import functools
import logging
import os
import subprocess
import sys
import typing as t

import pytest
import sqlalchemy as sa
from flask.cli import ScriptInfo
from signalbus_cli import signalbus
from sqlalchemy.orm import Mapped
from sqlalchemy.orm import mapped_column

if t.TYPE_CHECKING:
    from pathlib import Path

    import click
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus


#: An app of its own, for processes of their own. The letter 13 cannot be sent. Where
#: POST_STUCK is set, sending a letter takes very long, whoever wants it to stop.
POST = """
import os
import time

import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from signalbus import SignalBus, stopping

app = Flask("post")
app.config["SQLALCHEMY_DATABASE_URI"] = os.environ.get(
    "POST_URL", "sqlite:///post.sqlite"
)
app.config["SIGNALBUS_AUTOFLUSH"] = False
db = SQLAlchemy(app)
SignalBus(db)

class Letter(db.Model):
    id = sa.Column(sa.Integer, primary_key=True)

    def send_signalbus_message(self):
        if self.id == 13:
            raise ValueError("There is poison in it.")
        if "POST_STUCK" in os.environ:
            print("sends", flush=True)
            stopping.wait(3600)
            print("is told to stop", flush=True)
            time.sleep(3600)

if "POST_URL" in os.environ:

    @sa.event.listens_for(sa.Engine, "before_cursor_execute")
    def tell(connection, cursor, statement, parameters, *rest):
        if "letter.id" in statement and "2" in str(parameters):
            print("asks for letter 2", flush=True)

with app.app_context():
    db.create_all()
    db.session.merge(Letter(id=1))
    db.session.commit()
"""


#: An app that the environment configures, and a plugin that has a setting.
LOFT = """
import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from signalbus import SignalBusMixin, hookimpl

class Pigeons:
    @hookimpl
    def signalbus_init_app(self, app):
        if lofts := app.config.get("PIGEON_LOFTS"):
            raise ValueError(f"PIGEON_LOFTS is {lofts!r}. Set it to names.")

class Database(SignalBusMixin, SQLAlchemy):
    pass

db = Database()
db.signalbus.plugin_manager.register(Pigeons())

class Letter(db.Model):
    id = sa.Column(sa.Integer, primary_key=True)

    def send_signalbus_message(self):
        pass

def create_app():
    app = Flask("loft")
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///loft.sqlite"
    app.config.from_prefixed_env()
    db.init_app(app)
    return app
"""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a command printed, and how it ended."""

    status: int
    out: str
    err: str


class Office:
    """Two signal models, `Letter` and `Parcel`, whose signals are sent to a list.

    :ivar sent: what was sent.
    :ivar on_sending: called with every text before it is sent.
    """

    def __init__(self, db: SQLAlchemy, bus: SignalBus) -> None:
        office = self
        self.db = db
        self.bus = bus
        self.sent: list[str] = []
        self.on_sending: t.Callable[[str], object] = lambda text: None
        bus.autoflush = False

        class Letter(db.Model):
            id: Mapped[int] = mapped_column(primary_key=True)
            text: Mapped[str] = mapped_column(sa.String(50))
            signalbus_order_by = (text.asc(),)

            @classmethod
            def send_signalbus_message(cls, signal: t.Any) -> None:
                office.on_sending(signal.text)
                office.sent.append(signal.text)

        class Parcel(db.Model):
            id: Mapped[int] = mapped_column(primary_key=True)
            text: Mapped[str] = mapped_column(sa.String(50))
            signalbus_burst_count = 2
            signalbus_autoflush = False

            @classmethod
            def send_signalbus_messages(cls, signals: t.Sequence[t.Any]) -> None:
                for signal in signals:
                    office.on_sending(signal.text)
                office.sent += [signal.text for signal in signals]

            @classmethod
            def send_signalbus_message(cls, signal: t.Any) -> None:
                cls.send_signalbus_messages([signal])

        self.Letter = Letter
        self.Parcel = Parcel

    def fails_with(self, error: Exception) -> None:
        """Let whatever is sent fail from now on."""

        def fail(text: str) -> None:
            raise error

        self.on_sending = fail

    def record(self, model: type[t.Any], *texts: str) -> None:
        """Commit signals with these *texts*."""
        self.db.session.add_all([model(text=text) for text in texts])
        self.db.session.commit()

    def pending(self) -> int:
        """Return how many signals are pending."""
        return sum(self.bus.count_pending().values())


@pytest.fixture
def office(app: Flask, db: SQLAlchemy, bus: SignalBus) -> t.Iterator[Office]:
    """Give a post office with tables, in an app context."""
    office = Office(db, bus)
    with app.app_context():
        db.create_all()
        yield office


@pytest.fixture
def run(app: Flask, capsys: pytest.CaptureFixture[str]) -> t.Callable[..., Outcome]:
    """Run `COMMAND ARGUMENTS…` for the app, in this process."""

    def run(command: click.Command, *arguments: str) -> Outcome:
        info = ScriptInfo(create_app=lambda: app)
        with pytest.raises(SystemExit) as ending:
            command.main(arguments, f"flask {command.name}", obj=info)
        return Outcome(t.cast("int", ending.value.code), *capsys.readouterr())

    return run


@pytest.fixture
def flask(run: t.Callable[..., Outcome]) -> t.Callable[..., Outcome]:
    """Run `flask signalbus ARGUMENTS…` for the app, in this process."""
    return functools.partial(run, signalbus)


@pytest.fixture
def unlogged(flask: t.Callable[..., Outcome]) -> t.Callable[..., Outcome]:
    """Run `flask signalbus ARGUMENTS…` like `flask`, for an app without logging."""
    root = logging.getLogger()

    def run(*arguments: str) -> Outcome:
        handlers, root.handlers = root.handlers, []  # they are the test runner's
        try:
            return flask(*arguments)
        finally:
            root.handlers = handlers

    return run


@pytest.fixture
def loft(tmp_path: Path) -> Path:
    """Give the folder of the app `loft`, whose settings are the environment's."""
    (tmp_path / "loft.py").write_text(LOFT)
    return tmp_path


@pytest.fixture
def post_office(tmp_path: Path) -> Path:
    """Give the folder of the app `post`, in which a letter is pending."""
    (tmp_path / "post.py").write_text(POST)
    return tmp_path


@pytest.fixture
def terminal(tmp_path: Path) -> t.Callable[..., Outcome]:
    """Run `flask ARGUMENTS…` in a process of its own, in an empty folder.

    What lies in the folder can be imported, and is installed if it looks like it.
    """

    def run(*arguments: str) -> Outcome:
        done = subprocess.run(  # noqa: S603 our own command
            [sys.executable, "-m", "flask", *arguments],
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    return run
