"""`flask signalbus NAME check`, which every installed broker has."""

from __future__ import annotations

import typing as t

import pytest

if t.TYPE_CHECKING:
    from pathlib import Path

    from conftest import Outcome

Terminal: t.TypeAlias = "t.Callable[..., Outcome]"

PIGEONS = """
from signalbus.brokers import BrokerPlugin, CheckLine, Sender

class Loft(Sender):
    def send(self, batch, limit):
        batch.confirm_all()

    def check(self, models, limit):
        yield CheckLine("The pigeons")
        for model in models:
            missing = None if model.loft == "Paris" else "there is no loft. Build it."
            yield CheckLine(f"{model.__name__}: {model.loft}", missing)

class Pigeons(BrokerPlugin):
    name = "pigeons"

    def make_sender(self, app):
        return Loft()

broker = Pigeons()
"""

APP = """
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from signalbus import SignalBus

app = Flask("post")
app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
db = SQLAlchemy(app)
SignalBus(db)

class Letter(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    signalbus_broker = "pigeons"
    loft = "Paris"

class Parcel(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    signalbus_broker = "pigeons"
    loft = "Rome"

class Telegram(db.Model):
    id = db.Column(db.Integer, primary_key=True)

    def send_signalbus_message(self):
        pass
"""


@pytest.fixture(autouse=True)
def _installed(tmp_path: Path) -> None:
    """Install a broker, and an app that uses it."""
    metadata = tmp_path / "pigeons-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: pigeons\n")
    (metadata / "entry_points.txt").write_text(
        "[signalbus]\npigeons = pigeons:broker\n"
    )
    (tmp_path / "pigeons.py").write_text(PIGEONS)
    (tmp_path / "post.py").write_text(APP)


def test_what_is_well_is_shown(terminal: Terminal) -> None:
    """A line for each thing that the broker has looked at; the status is 0."""
    done = terminal("--app", "post", "signalbus", "pigeons", "check", "Letter")

    assert (0, "The pigeons: ok\nLetter: Paris: ok\n", "") == (
        done.status,
        done.out,
        done.err,
    )


def test_what_is_missing_is_an_error(terminal: Terminal) -> None:
    """It goes to stderr, and the status is 1. Models of others are not looked at."""
    done = terminal("--app", "post", "signalbus", "pigeons", "check")

    assert 1 == done.status
    assert "The pigeons: ok\nLetter: Paris: ok\n" == done.out
    assert "Parcel: Rome: there is no loft. Build it.\n" == done.err


def test_without_models_there_is_nothing_to_check(terminal: Terminal) -> None:
    """Rather than that all is well."""
    done = terminal("--app", "post", "signalbus", "pigeons", "check", "Telegram")

    assert (1, "") == (done.status, done.out)
    assert "Error: No signal model names the broker 'pigeons'.\n" == done.err


def test_a_broker_that_is_named_otherwise_is_told(
    terminal: Terminal, tmp_path: Path
) -> None:
    """Capitals count."""
    path = tmp_path / "post.py"
    path.write_text(
        path.read_text().replace('broker = "pigeons"', 'broker = "Pigeons"')
    )

    done = terminal("--app", "post", "signalbus", "pigeons", "check", "Letter")

    assert "the broker 'pigeons'. They name 'Pigeons'.\n" in done.err


def test_the_group_is_listed(terminal: Terminal) -> None:
    """Whether or not there is an app."""
    assert "pigeons  " in terminal("signalbus", "--help").out
