"""After which errors of a database to try again, and after which waits."""

from __future__ import annotations

import itertools
import sqlite3
import typing as t

import pytest
import sqlalchemy as sa
from signalbus.retry import backoff
from signalbus.retry import call_repeatedly
from signalbus.retry import is_race

if t.TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy


@pytest.mark.parametrize("tries", [1, 2, 7])
def test_there_is_a_wait_between_tries(tries: int) -> None:
    """Nobody waits before the first try, or after the last."""
    assert tries - 1 == len(list(backoff(tries)))


def test_waits_double_up_to_the_longest() -> None:
    """Each is random, from one half of its length to the whole."""
    lengths = [1.0, 2.0, 4.0, 5.0, 5.0]
    for _ in range(100):
        waits = list(backoff(6, first=1.0, longest=5.0))

        assert lengths == [
            length
            for length, wait in zip(lengths, waits, strict=True)
            if length / 2 <= wait <= length
        ]


def test_waits_differ() -> None:
    """Those who collided do not collide again."""
    waits = [tuple(backoff(4)) for _ in range(20)]

    assert all(first != second for first, second in itertools.pairwise(waits))


def test_what_fails_in_passing_is_called_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Up to so many times; the log has the first error, and the last is raised."""
    monkeypatch.setattr("time.sleep", lambda _: None)
    tries = iter(range(100))

    def fail() -> None:
        raise ValueError(next(tries))

    with pytest.raises(ValueError, match="2"):
        call_repeatedly(fail, 3, lambda _: True)

    assert ["Trying again after: ValueError: 0"] == caplog.messages
    assert 3 == next(tries)


def test_what_does_not_pass_is_raised_at_once() -> None:
    """Whoever calls says what passes."""
    tries = iter(range(100))

    def fail() -> None:
        raise ValueError(next(tries))

    with pytest.raises(ValueError, match="0"):
        call_repeatedly(fail, 3, is_race)

    assert 1 == next(tries)


RACES = {
    "postgresql": ["40001", "40P01"],
    "mariadb": ["1205", "1213"],
}


def _error(db: SQLAlchemy, database: str, code: str) -> BaseException:
    """Let the database raise the error with this code."""
    statement = (
        f"DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{code}'; END $$"
        if database == "postgresql"
        else f"SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = {code}"
    )
    with db.engine.connect() as connection:
        with pytest.raises(sa.exc.DBAPIError) as caught:
            connection.exec_driver_sql(statement)
        return caught.value


@pytest.mark.databases("postgresql", "mariadb")
@pytest.mark.parametrize("number", [0, 1])
def test_lost_race(db: SQLAlchemy, app_ctx: object, database: str, number: int) -> None:
    """Serialization failures, deadlocks and lock timeouts may be tried again."""
    assert is_race(_error(db, database, RACES[database][number])) is True


@pytest.mark.databases("postgresql", "mariadb")
def test_other_error(db: SQLAlchemy, app_ctx: object, database: str) -> None:
    """What would fail again is not a race: here, a unique key that is taken."""
    code = "23505" if database == "postgresql" else "1062"

    assert is_race(_error(db, database, code)) is False


@pytest.mark.parametrize(
    ("message", "expected"), [("database is locked", True), ("disk I/O error", False)]
)
def test_locked_sqlite(message: str, expected: bool) -> None:
    """On SQLite, a database that is locked is a race."""
    cause = sqlite3.OperationalError(message)

    assert expected is is_race(sa.exc.OperationalError("UPDATE", {}, cause))


@pytest.mark.parametrize("error", [ValueError("boom"), KeyboardInterrupt()])
def test_anything_else_is_not_a_race(error: BaseException) -> None:
    """Only errors of a database are."""
    assert is_race(error) is False
