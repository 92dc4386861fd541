"""What the flush commands send, and which models they take."""

from __future__ import annotations

import typing as t

import pytest

if t.TYPE_CHECKING:
    from conftest import Office
    from conftest import Outcome

Flask: t.TypeAlias = "t.Callable[..., Outcome]"

COMMANDS = ("flush", "flushmany", "flushordered")


@pytest.fixture(params=COMMANDS)
def command(request: pytest.FixtureRequest) -> str:
    """Name each of the flush commands in turn."""
    return t.cast("str", request.param)


def test_sends_all_pending_signals(office: Office, flask: Flask, command: str) -> None:
    """A flush command sends what is pending, deletes it and says how much it was."""
    office.record(office.Letter, "a", "b")
    office.record(office.Parcel, "c")

    outcome = flask(command)

    assert (0, "3 signals sent\n", "") == (outcome.status, outcome.out, outcome.err)
    assert ["a", "b", "c"] == sorted(office.sent)
    assert 0 == office.pending()


def test_counts_one_signal_as_one(office: Office, flask: Flask, command: str) -> None:
    """One signal is not "1 signals"."""
    office.record(office.Letter, "a")

    assert "1 signal sent\n" == flask(command).out


def test_large_counts_are_readable(office: Office, flask: Flask) -> None:
    """Thousands are told apart."""
    office.Letter.signalbus_burst_count = 100
    office.record(office.Letter, *map(str, range(1234)))

    assert "1,234 signals sent\n" == flask("flushmany").out


def test_nothing_to_do_prints_nothing(
    office: Office, flask: Flask, command: str
) -> None:
    """So that cron sends no mail."""
    outcome = flask(command)

    assert (0, "", "") == (outcome.status, outcome.out, outcome.err)


def test_flushes_the_models_that_are_named(
    office: Office, flask: Flask, command: str
) -> None:
    """Names restrict a command to these models."""
    office.record(office.Letter, "a")
    office.record(office.Parcel, "b")

    flask(command, "Parcel")

    assert ["b"] == office.sent


def test_exclude_leaves_models_out(office: Office, flask: Flask, command: str) -> None:
    """`--exclude` leaves a model out, of all or of those that are named."""
    office.record(office.Letter, "a")
    office.record(office.Parcel, "b")

    flask(command, "-e", "Letter")

    assert ["b"] == office.sent


def test_excluding_all_sends_nothing(
    office: Office, flask: Flask, command: str
) -> None:
    """No model left is not the same as all models."""
    office.record(office.Letter, "a")

    outcome = flask(command, "-e", "Letter", "-e", "Parcel")

    assert (0, "") == (outcome.status, outcome.out)
    assert [] == office.sent


def test_unknown_names_are_ignored_with_a_warning(
    office: Office, flask: Flask, command: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A name that is no signal model's is warned about; the others are flushed."""
    office.record(office.Letter, "a")

    outcome = flask(command, "Letter", "Lettre")

    assert 0 == outcome.status
    assert "Lettre" in caplog.text
    assert ["a"] == office.sent


def test_only_unknown_names_are_an_error(
    office: Office, flask: Flask, command: str
) -> None:
    """If no name is known, nothing is sent; above all, not everything."""
    office.record(office.Letter, "a")

    outcome = flask(command, "Lettre")

    assert 2 == outcome.status
    assert "Lettre" in outcome.err
    assert "Letter, Parcel" in outcome.err
    assert [] == office.sent


def test_unknown_exclusions_are_warned_about(
    office: Office, flask: Flask, command: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever mistypes what to leave out shall learn it."""
    flask(command, "-e", "Lettre")

    assert "Lettre" in caplog.text


def test_flushordered_keeps_the_order(office: Office, flask: Flask) -> None:
    """`flushordered` sends in the order of `signalbus_order_by`."""
    office.record(office.Letter, "b", "c", "a")

    flask("flushordered")

    assert ["a", "b", "c"] == office.sent


@pytest.mark.parametrize("seconds", ["-1", "0", "nan", "inf", "soon"])
def test_repeat_takes_a_positive_number(
    office: Office, flask: Flask, command: str, seconds: str
) -> None:
    """Zero, less, and what is no number, are refused before anything is sent."""
    office.record(office.Letter, "a")

    outcome = flask(command, f"--repeat={seconds}")

    assert 2 == outcome.status
    assert "'--repeat'" in outcome.err
    assert [] == office.sent


@pytest.mark.parametrize("seconds", ["-1", "nan", "inf", "soon"])
def test_wait_takes_a_number(office: Office, flask: Flask, seconds: str) -> None:
    """Less than zero, and what is no number, are refused."""
    outcome = flask("flush", f"--wait={seconds}")

    assert 2 == outcome.status
    assert "'--wait'" in outcome.err


def test_flush_may_wait_for_nobody(office: Office, flask: Flask) -> None:
    """`--wait=0` sends at once what can be had."""
    office.record(office.Letter, "a")

    assert 0 == flask("flush", "--wait=0").status
    assert ["a"] == office.sent
