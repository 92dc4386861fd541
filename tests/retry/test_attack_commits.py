"""A connection that is lost during the commit counts no attempt twice."""

from __future__ import annotations

import typing as t

import pytest

if t.TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy


@pytest.mark.databases("postgresql")
def test_commit_without_an_answer_is_one_attempt(
    db: SQLAlchemy,
    new_model: t.Any,
    record: t.Any,
    boom: t.Any,
    wire: t.Any,
    run: t.Any,
    due: t.Any,
    attempts: t.Any,
    execute: t.Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was sent and what failed is known, whether or not the commit got through."""
    record(new_model(form="partial", signalbus_burst_count=9), "bad", "a")
    dialect: t.Any = db.engine.dialect
    commit = dialect.do_commit

    def lose_the_answer(connection: t.Any) -> None:
        commit(connection)
        if wire.attempts:
            monkeypatch.undo()
            execute(f"SELECT pg_terminate_backend({connection.info.backend_pid}, 5000)")
            connection.execute("SELECT 1")

    monkeypatch.setattr(dialect, "do_commit", lose_the_answer)
    run()

    assert ["a"] == wire.sent
    assert {1: (1, "waits")} == attempts()

    due()
    run()

    assert {1: (2, "waits")} == attempts()
