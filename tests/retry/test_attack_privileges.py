"""An account that may not write the table of failures flushes as without it."""

from __future__ import annotations

import typing as t

import pytest

if t.TYPE_CHECKING:
    from signalbus import SignalBus


@pytest.mark.databases
def test_table_that_cannot_be_written_is_reported_once(
    bus: SignalBus,
    greeting: t.Any,
    record: t.Any,
    execute: t.Any,
    boom: t.Any,
    run: t.Any,
    clock: t.Any,
    caplog: pytest.LogCaptureFixture,
    database: str,
) -> None:
    """And again after ten minutes; what to grant is said."""
    record(greeting, "bad")
    for statement in REFUSAL[database]:
        execute(statement)
    for _ in range(3):
        run()
    once = [each for each in caplog.records if each.name == "signalbus.retry"]
    clock.advance(601)
    run()
    twice = [each for each in caplog.records if each.name == "signalbus.retry"]

    assert [1, 2] == [len(once), len(twice)]
    assert "grant SELECT, INSERT and DELETE" in once[0].getMessage()


#: What makes a database refuse to insert into the table.
REFUSAL = {
    "sqlite": [
        """CREATE TRIGGER refuse BEFORE INSERT ON signalbus_failure
        BEGIN SELECT raise(ABORT, 'no'); END"""
    ],
    "postgresql": ["ALTER TABLE signalbus_failure ADD CHECK (attempts < 0)"],
    "mariadb": ["ALTER TABLE signalbus_failure ADD CHECK (attempts < 0)"],
}
