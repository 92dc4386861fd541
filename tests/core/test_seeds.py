"""The snippets that users know run as they stand, with today's import names."""

from __future__ import annotations

import inspect
import typing as t

import pytest
from flask import Flask

if t.TYPE_CHECKING:
    from pathlib import Path

#: The sender of the old documents says what to write, and does nothing.
MODEL = """
class MySignal(db.Model):
    id = db.Column(db.Integer, primary_key=True, autoincrement=True)
    message_text = db.Column(db.Text, nullable=False)

    def send_signalbus_message(self):
        # Write some code here, that sends
        # the message over the message bus!
        pass
"""

ROW_MODEL = """
class MySignal(db.Model):
    id = db.Column(db.Integer, primary_key=True, autoincrement=True)
    message_text = db.Column(db.Text, nullable=False)

    @classmethod
    def send_signalbus_message(cls, obj):
        # Write some code here, that sends
        # the message over the message bus!
        print(obj.id)
        print(obj.message_text)
"""

ORDERED_MODEL = """
class MySignal(db.Model):
    id = db.Column(db.Integer, primary_key=True, autoincrement=True)
    message_text = db.Column(db.Text, nullable=False)
    signalbus_autoflush = False
    signalbus_order_by = (id, db.desc(message_text))

    def send_signalbus_message(self):
        # Send the message to the message bus.
        print(self.id, self.message_text)
"""

PLAIN = """
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from signalbus import SignalBus

app = Flask(__name__)
db = SQLAlchemy(app)
signalbus = SignalBus(db)
"""

MIXIN = """
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from signalbus import SignalBusMixin

class CustomSQLAlchemy(SignalBusMixin, SQLAlchemy):
    pass

app = Flask(__name__)
db = CustomSQLAlchemy(app)
"""

FACTORY = """
from flask_sqlalchemy import SQLAlchemy
from signalbus import SignalBusMixin

class CustomSQLAlchemy(SignalBusMixin, SQLAlchemy):
    pass

db = CustomSQLAlchemy()
"""

TRANSACTION = """
# =========== Our transaction begins here. ===========

# We may insert/delete/update some database rows here!!!

# Here we add our message to the database session:
db.session.add(MySignal(message_text='Message in a Bottle'))

# We may insert/delete/update some database rows here too!!!

db.session.commit()
"""


@pytest.fixture
def run_snippet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> t.Iterator[t.Callable[..., dict[str, t.Any]]]:
    """Run source as it stands, in the namespace of what ran before."""
    url = f"sqlite:///{tmp_path / 'seeds.sqlite'}"
    config = {**Flask.default_config, "SQLALCHEMY_DATABASE_URI": url}
    monkeypatch.setattr(Flask, "default_config", config)
    names: dict[str, t.Any] = {"__name__": "seeds"}

    def run(*sources: str) -> dict[str, t.Any]:
        for source in sources:
            exec(source, names)  # noqa: S102 our own snippet
        return names

    yield run
    if "app" in names:
        with names["app"].app_context():
            names["db"].engine.dispose()


@pytest.mark.parametrize("setup", [PLAIN, MIXIN], ids=["plain", "mixin"])
@pytest.mark.parametrize("model", [MODEL, ROW_MODEL], ids=["instance", "row"])
def test_message_in_a_bottle(run_snippet: t.Any, setup: str, model: str) -> None:
    """The message is sent, and its row deleted, auto-magically."""
    names = run_snippet(setup, model)
    with names["app"].app_context():
        names["db"].create_all()
        run_snippet(TRANSACTION)
        bus = names["app"].extensions["signalbus"]

        assert {names["MySignal"]: 0} == bus.count_pending()


def test_row_model_prints_what_it_sends(
    run_snippet: t.Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """The class method gets an object with the columns' values as attributes."""
    names = run_snippet(MIXIN, ROW_MODEL)
    with names["app"].app_context():
        names["db"].create_all()
        run_snippet(TRANSACTION)

    assert "1\nMessage in a Bottle\n" == capsys.readouterr().out


def test_ordered_model(run_snippet: t.Any, capsys: pytest.CaptureFixture[str]) -> None:
    """The model of the reference waits for ``flushordered``, and keeps its order."""
    names = run_snippet(PLAIN, ORDERED_MODEL)
    with names["app"].app_context():
        names["db"].create_all()
        run_snippet(TRANSACTION, TRANSACTION)

        assert 2 == names["signalbus"].flushordered()

    assert "1 Message in a Bottle\n2 Message in a Bottle\n" == capsys.readouterr().out


def test_application_factory(run_snippet: t.Any) -> None:
    """The mixin works before there is an app."""
    names = run_snippet(FACTORY, MODEL)
    names["app"] = Flask("seeds")
    names["db"].init_app(names["app"])
    with names["app"].app_context():
        names["db"].create_all()
        run_snippet(TRANSACTION)

        assert {names["MySignal"]: 0} == names["db"].signalbus.count_pending()


def test_flush_of_the_mixin(run_snippet: t.Any) -> None:
    """The example of the mixin flushes where it stands, outside of any context."""
    run_snippet(MIXIN, "db.signalbus.flush()")


def test_names_and_parameters_of_the_reference() -> None:
    """The methods of the old reference have the parameters they had."""
    from signalbus import SignalBus
    from signalbus import get_models_to_flush

    assert ["self", "models"] == [*inspect.signature(SignalBus.flushmany).parameters]
    assert ["self"] == [*inspect.signature(SignalBus.get_signal_models).parameters]
    assert 2 == len(inspect.signature(get_models_to_flush).parameters)
