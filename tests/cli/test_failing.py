"""What the commands say, and how they end, when something cannot be sent."""

from __future__ import annotations

import typing as t

import pytest
from signalbus import hookimpl

if t.TYPE_CHECKING:
    from pathlib import Path

    from conftest import Office
    from conftest import Outcome

Flask: t.TypeAlias = "t.Callable[..., Outcome]"


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


class PoisonError(Exception):
    """There is poison in it."""


@pytest.fixture
def poisoned(office: Office) -> Office:
    """Give a post office that cannot send what is called poison."""

    def refuse_poison(text: str) -> None:
        if "poison" in text:
            raise PoisonError(f"There is {text} in it.\nTake care.")

    office.on_sending = refuse_poison
    return office


def test_a_failure_is_told_and_the_others_are_sent(
    poisoned: Office, flask: Flask
) -> None:
    """The exit status is 1, the reason is on stderr, and the rest is sent."""
    poisoned.record(poisoned.Letter, "a", "poison", "b")

    outcome = flask("flushmany")

    assert 1 == outcome.status
    assert "2 signals sent\n" == outcome.out
    assert "Error: PoisonError: There is poison in it.\n" in outcome.err


def test_the_signal_that_was_not_sent_is_named(poisoned: Office, flask: Flask) -> None:
    """The notes of the error follow it: model and primary key."""
    poisoned.record(poisoned.Letter, "a", "poison")

    assert "  Letter(id=2)" in flask("flushmany").err


def test_every_reason_has_one_line(poisoned: Office, flask: Flask) -> None:
    """Three reasons, no traceback: the error and a note for each signal."""
    poisoned.record(poisoned.Letter, "poison 1", "poison 2", "poison 3")

    lines = flask("flushmany").err.splitlines()

    assert 4 == len(lines)
    assert "PoisonError: There is poison 1 in it." in lines[0]
    assert "PoisonError: There is poison 3 in it." in lines[3]


def test_debug_shows_the_traceback(
    poisoned: Office, flask: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `flask --debug` the traceback comes first."""
    monkeypatch.setenv("FLASK_DEBUG", "1")
    poisoned.record(poisoned.Letter, "poison")

    assert "Traceback" in flask("flushmany").err


def test_errors_without_words_are_named(office: Office, flask: Flask) -> None:
    """An error that says nothing is told by its name."""

    def fail(text: str) -> None:
        raise PoisonError

    office.on_sending = fail
    office.record(office.Letter, "a")

    assert "Error: PoisonError\n" in flask("flushmany").err


def test_plugins_that_fail_do_not_spoil_the_count(office: Office, flask: Flask) -> None:
    """What was sent is counted though another plugin fails to take note of it."""

    class Careless:
        @hookimpl
        def signalbus_burst_sent(self) -> None:
            raise PoisonError

    office.bus.plugin_manager.register(Careless())
    office.record(office.Letter, "a", "b")

    assert "2 signals sent\n" == flask("flushmany").out


def test_a_run_leaves_no_plugin_behind(poisoned: Office, flask: Flask) -> None:
    """The bus has the same plugins after a run as before, even if the run failed."""
    poisoned.record(poisoned.Letter, "poison")
    before = poisoned.bus.plugin_manager.get_plugins()

    flask("flushmany")

    assert before == poisoned.bus.plugin_manager.get_plugins()


def test_a_database_without_tables_is_told_in_a_line(
    office: Office, flask: Flask
) -> None:
    """What the database says is a line, without the statement."""
    office.db.drop_all()

    for command in ("flushmany", "pending"):
        outcome = flask(command)

        assert 1 == outcome.status
        assert "no such table" in outcome.err.splitlines()[0]
        assert "SELECT" not in outcome.err


@pytest.mark.parametrize(
    ("setting", "value"), [("SIGNALBUS_AUTOFLUSH", "maybe"), ("PIGEON_LOFTS", "none")]
)
def test_a_wrong_setting_is_told_in_a_line(
    terminal: t.Callable[..., Outcome],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    setting: str,
    value: str,
) -> None:
    """Whether it is ours or a plugin's: what it is and what to do, and no traceback."""
    (tmp_path / "loft.py").write_text(LOFT)
    monkeypatch.setenv(f"FLASK_{setting}", value)

    for command in ("flush", "signals", "pending"):
        outcome = terminal("--app", "loft", "signalbus", command)

        assert 1 == outcome.status
        assert outcome.err.startswith(f"Error: {setting} is {value!r}. Set it to ")
        assert 1 == outcome.err.count("\n")


def test_a_switch_may_be_written_as_python_does(
    terminal: t.Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`FLASK_SIGNALBUS_AUTOFLUSH=False` turns it off."""
    (tmp_path / "loft.py").write_text(LOFT)
    monkeypatch.setenv("FLASK_SIGNALBUS_AUTOFLUSH", "False")

    assert " off " in terminal("--app", "loft", "signalbus", "signals").out


def test_misdeclared_models_are_refused(office: Office, flask: Flask) -> None:
    """A model that cannot work stops every command, with the model's name."""
    office.Parcel.signalbus_burst_count = 0

    for command in ("flush", "flushmany", "flushordered", "signals", "pending"):
        outcome = flask(command, *(["--repeat=1"] if "flush" in command else []))

        assert 1 == outcome.status
        assert "Error: The signal model Parcel has" in outcome.err


@pytest.mark.usefixtures("post_office")
def test_an_app_without_logging_shows_warnings_and_tells_errors_once(
    terminal: t.Callable[..., Outcome], tmp_path: Path
) -> None:
    """Warnings are lines on stderr; errors are there at the end, and not before."""
    path = tmp_path / "post.py"
    path.write_text(path.read_text().replace("id=1", "id=13"))

    outcome = terminal("--app", "post", "signalbus", "flushmany", "Letter", "Lettre")

    assert [
        "Warning: There is no signal model named 'Lettre', it is ignored.",
        "Error: ValueError: There is poison in it.",
        "  Letter(id=13) was not sent and stays pending.",
    ] == outcome.err.splitlines()


def test_an_app_with_logging_gets_the_records(
    poisoned: Office, flask: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    """Where there is logging, warnings go there and nowhere else."""
    outcome = flask("flushmany", "Letter", "Lettre")

    assert "Lettre" in caplog.text
    assert "" == outcome.err
