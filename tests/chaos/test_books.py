"""The books: what was recorded, what is pending, and what is parked."""

from __future__ import annotations

import typing as t

import pytest
import sqlalchemy as sa

from chaos.books import Bookkeeper

if t.TYPE_CHECKING:
    from pathlib import Path

TABLES = """
CREATE TABLE entry (number TEXT, model TEXT, key TEXT, position INTEGER);
CREATE TABLE posted (id INTEGER, number TEXT);
CREATE TABLE ordered (id INTEGER, number TEXT);
CREATE TABLE filed (id INTEGER, number TEXT);
CREATE TABLE signalbus_failure (model TEXT, key TEXT, next_attempt_at TEXT);
INSERT INTO entry VALUES ('a', 'Posted', NULL, NULL), ('b', 'Ordered', 'k', 7);
INSERT INTO posted VALUES (1, 'new'), (2, 'waits.poison'), (3, 'parked.poison');
INSERT INTO ordered VALUES (2, 'other');
INSERT INTO signalbus_failure VALUES
    ('Posted', '[2]', '2000-01-01'), ('Posted', '[3]', NULL), ('Ordered', '[1]', NULL);
"""


@pytest.fixture
def bookkeeper(tmp_path: Path) -> Bookkeeper:
    """Give the bookkeeper of a few signals; ``a`` was confirmed to its writer."""
    url = f"sqlite:///{tmp_path / 'books.db'}"
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        for statement in TABLES.strip().split(";\n"):
            connection.exec_driver_sql(statement)
    committed = tmp_path / "committed"
    committed.write_text("a\n")
    return Bookkeeper(url, committed)


def test_what_waits_for_its_next_attempt_is_pending(bookkeeper: Bookkeeper) -> None:
    """Poison, too, until it is parked: a scenario does not end before."""
    assert {"new", "waits.poison", "other"} == bookkeeper.pending()


def test_what_is_parked_is_not_pending(bookkeeper: Bookkeeper) -> None:
    """An entry of another model has another key, though it is the same number."""
    books = bookkeeper.read()

    assert {"parked.poison"} == books.parked
    assert bookkeeper.pending() == books.pending


def test_an_entry_of_a_failure_without_a_signal_is_counted(
    bookkeeper: Bookkeeper,
) -> None:
    """There is one of Ordered, whose row 1 is gone."""
    assert 1 == bookkeeper.read().orphans


def test_entries_and_confirmed_commits_are_read(bookkeeper: Bookkeeper) -> None:
    """With the key of each, and its position there."""
    books = bookkeeper.read()

    assert {"a", "b"} == books.entries.keys()
    assert ("Ordered", "k", 7) == (
        books.entries["b"].model,
        books.entries["b"].key,
        books.entries["b"].position,
    )
    assert {"a"} == books.confirmed
