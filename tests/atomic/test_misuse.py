"""What would break a block is refused, with a word on what to do instead."""

from __future__ import annotations

import contextlib
import typing as t

import pytest
from flask_sqlalchemy import SQLAlchemy
from signalbus import SignalBusError
from signalbus_atomic import AtomicBlockError
from signalbus_atomic import AtomicProceduresMixin


def generator() -> t.Iterator[None]:
    """Be a generator function."""
    yield


async def coroutine() -> None:
    """Be a coroutine function."""


async def asynchronous_generator() -> t.AsyncIterator[None]:
    """Be an asynchronous generator function."""
    yield


class CallableCoroutine:
    """Be an object that is called like a coroutine function."""

    async def __call__(self) -> None:
        """Do nothing."""


LAZY = [generator, coroutine, asynchronous_generator, CallableCoroutine()]


def test_the_error_is_a_runtime_error() -> None:
    """One may catch it as Flask's own errors, or as those of signalbus."""
    assert issubclass(AtomicBlockError, RuntimeError)
    assert issubclass(AtomicBlockError, SignalBusError)


def test_retry_on_integrity_error_needs_a_block(
    db: AtomicProceduresMixin, app_ctx: object
) -> None:
    """Outside of a block there is nobody to try again."""
    with pytest.raises(AtomicBlockError, match=r"@db\.atomic"):
        db.retry_on_integrity_error()


@pytest.mark.parametrize("catch", [False, True])
def test_commit_is_refused(
    db: AtomicProceduresMixin,
    account: type[t.Any],
    saved: t.Callable[[], dict[int, int]],
    catch: bool,
) -> None:
    """A block that commits by hand raises; a refused commit commits nothing."""

    @db.atomic
    def committing() -> None:
        db.session.add(account(id=1))
        try:
            db.session.commit()
        except AtomicBlockError:
            if not catch:
                raise
            assert {} == saved()

    if catch:
        committing()
        assert {1: 0} == saved()
    else:
        with pytest.raises(AtomicBlockError, match="Remove the call"):
            committing()
        assert {} == saved()


def test_commit_is_refused_within_a_savepoint(
    db: AtomicProceduresMixin,
    account: type[t.Any],
    saved: t.Callable[[], dict[int, int]],
) -> None:
    """Nor does an open savepoint help to commit."""

    @db.atomic
    def committing() -> None:
        db.session.begin_nested()
        db.session.add(account(id=1))
        db.session.commit()

    with pytest.raises(AtomicBlockError, match="Remove the call"):
        committing()
    assert {} == saved()


def test_rollback_is_refused(
    db: AtomicProceduresMixin,
    account: type[t.Any],
    saved: t.Callable[[], dict[int, int]],
) -> None:
    """A block that rolls back by hand raises."""

    @db.atomic
    def rolling_back() -> None:
        db.session.add(account(id=1))
        db.session.rollback()

    with pytest.raises(AtomicBlockError, match="Raise an exception"):
        rolling_back()
    assert {} == saved()


@pytest.mark.parametrize("how", ["rollback", "close", "remove"])
def test_what_ends_the_transaction_is_refused(
    db: AtomicProceduresMixin,
    account: type[t.Any],
    saved: t.Callable[[], dict[int, int]],
    how: str,
) -> None:
    """A transaction that was ended by hand is not taken for the whole block."""

    @db.atomic
    def half() -> None:
        db.session.add(account(id=1))
        db.session.flush()
        with contextlib.suppress(AtomicBlockError):
            getattr(db.session, how)()
        db.session.add(account(id=2))

    with pytest.raises(AtomicBlockError):
        half()
    assert {} == saved()


def test_a_savepoint_may_be_rolled_back(
    db: AtomicProceduresMixin,
    account: type[t.Any],
    saved: t.Callable[[], dict[int, int]],
) -> None:
    """A rollback that stays within a savepoint is nobody's business."""

    @db.atomic
    def half() -> None:
        savepoint = db.session.begin_nested()
        db.session.add(account(id=1))
        savepoint.rollback()
        db.session.add(account(id=2))

    half()
    assert {2: 0} == saved()


def test_outside_of_blocks_all_is_allowed(
    db: AtomicProceduresMixin,
    account: type[t.Any],
    saved: t.Callable[[], dict[int, int]],
) -> None:
    """A session that has been in a block commits and rolls back as ever."""
    db.atomic(lambda: None)()
    db.session.add(account(id=1))
    db.session.commit()
    db.session.add(account(id=2))
    db.session.rollback()

    assert {1: 0} == saved()


@pytest.mark.parametrize("function", LAZY)
def test_functions_that_work_later_are_refused(
    db: AtomicProceduresMixin, function: t.Any
) -> None:
    """Their code would run outside of the transaction."""
    with pytest.raises(TypeError, match="ordinary function"):
        db.atomic(function)
    with pytest.raises(TypeError, match="ordinary function"):
        db.atomic(tries=2)(function)
    with pytest.raises(TypeError, match="ordinary function"):
        db.execute_atomic(function)


@pytest.mark.parametrize("function", LAZY)
def test_results_that_work_later_are_refused(
    db: AtomicProceduresMixin,
    account: type[t.Any],
    saved: t.Callable[[], dict[int, int]],
    function: t.Any,
) -> None:
    """A function that returns a generator or coroutine is found out when called."""

    @db.atomic
    def disguised() -> object:
        db.session.add(account(id=1))
        return function()

    with pytest.raises(AtomicBlockError, match="Return a list or a value"):
        disguised()
    assert {} == saved()


@pytest.mark.parametrize("kind", [classmethod, property])
def test_the_place_of_the_decorator_is_below(
    db: AtomicProceduresMixin, kind: t.Any
) -> None:
    """What is no function yet is refused by name of the remedy."""
    with pytest.raises(TypeError, match=r"Put @db\.atomic under @staticmethod"):
        db.atomic(kind(lambda _: None))


def test_the_place_of_the_mixin_is_first() -> None:
    """After SQLAlchemy the mixin would have no effect."""
    with pytest.raises(TypeError, match="Put AtomicProceduresMixin first"):
        type("Wrong", (SQLAlchemy, AtomicProceduresMixin), {})
