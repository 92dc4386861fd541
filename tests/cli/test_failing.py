"""What the commands say, and how they end, when something cannot be sent."""

from __future__ import annotations

import logging
import typing as t

import pytest
from signalbus import hookimpl

if t.TYPE_CHECKING:
    from pathlib import Path

    from conftest import Office
    from conftest import Outcome
    from signalbus import SignalBus

Flask: t.TypeAlias = "t.Callable[..., Outcome]"


FLUSHES = ("flush", "flushmany", "flushordered")


class PoisonError(Exception):
    """There is poison in it."""


@pytest.fixture
def poisoned(office: Office) -> Office:
    """Give a post office that cannot send what is called poison."""

    def refuse_poison(text: str) -> None:
        if "poison" in text:
            raise PoisonError(f"There is {text} in it.")

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
    assert "PoisonError: There is poison in it.\n" in outcome.err


def test_the_signal_that_was_not_sent_is_named(poisoned: Office, flask: Flask) -> None:
    """A line has it all: model, primary key and reason, each once."""
    poisoned.record(poisoned.Letter, "a", "poison")

    assert (
        "Error: Letter(id=2) was not sent and stays pending:"
        " PoisonError: There is poison in it.\n"
    ) == flask("flushmany").err


def test_every_reason_has_one_line(poisoned: Office, flask: Flask) -> None:
    """No traceback, and however many signals there are, a line for each reason."""
    poisoned.record(poisoned.Letter, "poison 1", "poison 2", "poison three")
    poisoned.record(poisoned.Parcel, *[f"poison {number}" for number in range(3000)])

    assert [
        (
            "Error: Letter: 2 signals were not sent and stay pending: PoisonError:"
            " There is poison 1 in it. (first: Letter(id=1), Letter(id=2))"
        ),
        (
            "Error: Letter(id=3) was not sent and stays pending: PoisonError: There is"
            " poison three in it."
        ),
        (
            "Error: Parcel: 3,000 signals were not sent and stay pending: PoisonError:"
            " There is poison 0 in it."
            " (first: Parcel(id=1), Parcel(id=2), Parcel(id=3), …)"
        ),
    ] == flask("flushmany").err.splitlines()


def test_control_characters_of_a_reason_are_escaped(
    office: Office, flask: Flask
) -> None:
    """No error looks like a line of ours, or does things to a terminal."""

    def fail(text: str) -> None:
        raise PoisonError("There is poison.\nError: all is lost\x1b[2J")

    office.on_sending = fail
    office.record(office.Letter, "a")
    (line,) = flask("flushmany").err.splitlines()

    assert line.endswith(r"PoisonError: There is poison.\nError: all is lost\x1b[2J")


def test_errors_of_other_hands_are_told_with_their_notes(
    office: Office, flask: Flask
) -> None:
    """What a sender adds to its error stays with it."""

    def fail(text: str) -> None:
        error = PoisonError("There is poison.")
        error.__notes__ = ["It was sealed."]
        raise error

    office.on_sending = fail
    office.record(office.Letter, "a")

    assert [
        (
            "Error: Letter(id=1) was not sent and stays pending: PoisonError: There is"
            " poison."
        ),
        "Error: It was sealed.",
    ] == flask("flushmany").err.splitlines()


def test_a_broker_that_is_down_is_told_in_a_line(office: Office, flask: Flask) -> None:
    """In each run, however much is pending."""

    def fail(text: str) -> None:
        raise ConnectionRefusedError("nobody at home")

    office.on_sending = fail
    office.record(office.Parcel, *["a"] * 10)
    for named in ("Parcel(id=1), Parcel(id=2)", "Parcel(id=1)"):
        assert (
            "Error: The broker of Parcel is unavailable, the signals of Parcel stay"
            f" pending: ConnectionRefusedError: nobody at home (first: {named})\n"
        ) == flask("flushmany").err


def test_a_broker_that_goes_down_is_told_once(office: Office, unlogged: Flask) -> None:
    """The error is told; the warning that the log gets would say the same."""
    office.fails_with(ConnectionRefusedError("nobody at home"))
    office.record(office.Parcel, "a")
    (line,) = unlogged("flushmany").err.splitlines()

    assert line.startswith("Error: The broker of Parcel is unavailable, ")


def test_a_broker_that_is_back_is_told(
    office: Office, flask: Flask, unlogged: Flask
) -> None:
    """Nothing else says it."""
    office.fails_with(ConnectionRefusedError("nobody at home"))
    office.record(office.Parcel, "a")
    flask("flushmany")
    office.on_sending = lambda text: None
    (line,) = unlogged("flushmany").err.splitlines()

    assert line.startswith("Warning: The broker of Parcel is back after ")


def test_a_database_that_is_down_is_told_in_a_line(
    office: Office, flask: Flask, tmp_path: Path
) -> None:
    """All models have it, and the reason is told once."""
    office.db.engine.dispose()
    office.db.session.remove()
    (tmp_path / "signals.sqlite").rename(tmp_path / "elsewhere")
    (tmp_path / "signals.sqlite").mkdir()

    outcome = flask("flushmany")

    assert 1 == outcome.status
    assert [
        (
            "Error: The database is unavailable, the signals of Letter, Parcel stay"
            " pending: OperationalError: unable to open database file"
        )
    ] == outcome.err.splitlines()


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

    assert flask("flushmany").err.endswith(" stays pending: PoisonError\n")


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
    """The line says how to make them, without the statement."""
    office.db.drop_all()

    for command in ("flushmany", "pending"):
        outcome = flask(command)

        assert 1 == outcome.status
        assert "Run `flask db migrate`" in outcome.err.splitlines()[0]
        assert "SELECT" not in outcome.err


@pytest.mark.usefixtures("loft")
@pytest.mark.parametrize(
    ("setting", "value"), [("SIGNALBUS_AUTOFLUSH", "maybe"), ("PIGEON_LOFTS", "none")]
)
def test_a_wrong_setting_is_told_in_a_line(
    terminal: t.Callable[..., Outcome],
    monkeypatch: pytest.MonkeyPatch,
    setting: str,
    value: str,
) -> None:
    """Whether it is ours or a plugin's: what it is and what to do, and no traceback."""
    monkeypatch.setenv(f"FLASK_{setting}", value)

    for command in ("flush", "check", "signals", "pending"):
        outcome = terminal("--app", "loft", "signalbus", command)

        assert 1 == outcome.status
        assert outcome.err.startswith(f"Error: {setting} is {value!r}. Set it to ")
        assert 1 == outcome.err.count("\n")


@pytest.mark.usefixtures("loft")
def test_a_switch_may_be_written_as_python_does(
    terminal: t.Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`FLASK_SIGNALBUS_AUTOFLUSH=False` turns it off."""
    monkeypatch.setenv("FLASK_SIGNALBUS_AUTOFLUSH", "False")

    assert " off " in terminal("--app", "loft", "signalbus", "signals").out


def test_misdeclared_models_are_refused(office: Office, flask: Flask) -> None:
    """A model that cannot work stops every command, with the model's name."""
    office.Parcel.signalbus_burst_count = 0

    for command in (*FLUSHES, "check", "signals", "pending"):
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
        "Warning: No signal model is named 'Lettre'. The name is ignored.",
        (
            "Error: Letter(id=13) was not sent and stays pending: ValueError: There is"
            " poison in it."
        ),
    ] == outcome.err.splitlines()


def test_an_app_with_logging_gets_the_records(
    poisoned: Office, flask: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    """Where there is logging, warnings go there and nowhere else."""
    outcome = flask("flushmany", "Letter", "Lettre")

    assert "Lettre" in caplog.text
    assert "" == outcome.err


def test_an_error_that_a_plugin_logs_is_a_line(
    office: Office, bus: SignalBus, unlogged: Flask
) -> None:
    """The command does not end with it, so nobody else would tell it."""

    class Counting:
        @hookimpl
        def signalbus_burst_settled(self) -> None:
            logging.getLogger("signalbus.counting").error("There is\nno table.")

    bus.plugin_manager.register(Counting())
    office.record(office.Letter, "a")

    outcome = unlogged("flushmany")

    assert "1 signal sent\n" == outcome.out
    assert "Warning: There is\\nno table.\n" == outcome.err
