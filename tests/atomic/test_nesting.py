"""Blocks nest: the outermost one begins, ends and repeats."""

from __future__ import annotations

import typing as t

import pytest
from signalbus import DBSerializationError

if t.TYPE_CHECKING:
    from flask import Flask
    from signalbus_atomic import AtomicProceduresMixin


def test_an_inner_block_does_not_commit(
    db: AtomicProceduresMixin,
    account: type[t.Any],
    saved: t.Callable[[], dict[int, int]],
) -> None:
    """What an inner block did is undone if the outer one fails."""
    inner = db.atomic(lambda: db.session.add(account(id=1)))

    @db.atomic
    def outer() -> t.NoReturn:
        inner()
        assert {} == saved()
        raise LookupError

    with pytest.raises(LookupError):
        outer()
    assert {} == saved()


def test_an_inner_block_does_not_roll_back(
    db: AtomicProceduresMixin,
    account: type[t.Any],
    saved: t.Callable[[], dict[int, int]],
) -> None:
    """The outer block may catch an inner one's error, and keeps what it did."""

    @db.atomic
    def inner() -> t.NoReturn:
        db.session.add(account(id=1))
        raise LookupError

    @db.atomic
    def outer() -> None:
        with pytest.raises(LookupError):
            inner()

    outer()
    assert {1: 0} == saved()


@pytest.mark.usefixtures("app_ctx", "waits")
def test_the_outermost_block_is_repeated(db: AtomicProceduresMixin) -> None:
    """A race that an inner block loses runs the outermost one again."""
    calls = []

    @db.atomic
    def inner() -> None:
        calls.append("inner")
        if len(calls) < 4:
            raise DBSerializationError

    @db.atomic
    def outer() -> None:
        calls.append("outer")
        inner()

    outer()
    assert ["outer", "inner"] * 2 == calls


@pytest.mark.usefixtures("app_ctx", "waits")
def test_a_caught_race_is_lost_all_the_same(db: AtomicProceduresMixin) -> None:
    """A block that goes on after an inner one's race is not committed."""
    calls = []

    @db.atomic
    def inner() -> None:
        calls.append("inner")
        if len(calls) == 1:
            raise DBSerializationError

    @db.atomic
    def outer() -> None:
        try:
            inner()
        except DBSerializationError:
            calls.append("caught")

    outer()
    assert ["inner", "caught", "inner"] == calls


def test_another_app_context_has_a_block_of_its_own(
    app: Flask,
    db: AtomicProceduresMixin,
    account: type[t.Any],
    saved: t.Callable[[], dict[int, int]],
) -> None:
    """A block in an app context pushed within a block is a transaction of its own."""

    @db.atomic
    def outer() -> t.NoReturn:
        with app.app_context():
            db.atomic(lambda: db.session.add(account(id=1)))()
        raise LookupError

    with pytest.raises(LookupError):
        outer()
    assert {1: 0} == saved()
