"""An atomic block is a transaction: the whole function or nothing of it."""

from __future__ import annotations

import contextlib
import inspect
import typing as t

import pytest
import sqlalchemy as sa

if t.TYPE_CHECKING:
    from signalbus_atomic import AtomicProceduresMixin


def test_commits_when_the_function_returns(
    db: AtomicProceduresMixin,
    account: type[t.Any],
    saved: t.Callable[[], dict[int, int]],
) -> None:
    """What the function did is in the database when it has returned."""

    @db.atomic
    def open_account() -> str:
        db.session.add(account(id=1, balance=5))
        return "OK"

    assert "OK" == open_account()
    assert {1: 5} == saved()


@pytest.mark.databases
def test_rolls_back_when_the_function_raises(
    db: AtomicProceduresMixin,
    account: type[t.Any],
    saved: t.Callable[[], dict[int, int]],
) -> None:
    """Nothing is in the database when the function has raised, flushed or not."""

    @db.atomic
    def open_account() -> t.NoReturn:
        db.session.add(account(id=1))
        db.session.flush()
        raise LookupError

    with pytest.raises(LookupError):
        open_account()
    assert {} == saved()


def test_rolls_back_for_an_interrupt(
    db: AtomicProceduresMixin,
    account: type[t.Any],
    saved: t.Callable[[], dict[int, int]],
) -> None:
    """An exception that is no error ends the transaction too."""

    @db.atomic
    def interrupted() -> t.NoReturn:
        db.session.add(account(id=1))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not db.session().in_transaction()


def test_passes_arguments_and_keeps_the_name(
    db: AtomicProceduresMixin, app_ctx: object
) -> None:
    """The wrapped function looks, and is called, like the function."""

    @db.atomic
    def add(left: int, *, right: int) -> int:
        """Add."""
        return left + right

    assert 5 == add(2, right=3)
    assert ("add", "Add.") == (add.__name__, add.__doc__)
    assert ["left", "right"] == list(inspect.signature(add).parameters)


def test_wraps_methods(db: AtomicProceduresMixin, app_ctx: object) -> None:
    """A method, also of the class, may be an atomic block."""

    class Bank:
        @db.atomic
        def name(self) -> str:
            return type(self).__name__

        @classmethod
        @db.atomic
        def kind(cls) -> str:
            return cls.__name__

    assert ("Bank", "Bank") == (Bank().name(), Bank.kind())


def test_execute_atomic_runs_at_once(
    db: AtomicProceduresMixin,
    account: type[t.Any],
    saved: t.Callable[[], dict[int, int]],
) -> None:
    """The name of the function is that of its result."""

    @db.execute_atomic
    def result() -> str:
        db.session.add(account(id=1))
        return "OK"

    assert "OK" == result
    assert {1: 0} == saved()


def test_objects_are_expunged_with_their_values(
    db: AtomicProceduresMixin,
    account: type[t.Any],
    saved: t.Callable[[], dict[int, int]],
) -> None:
    """What leaves a block is detached, and keeps the values that it has."""

    @db.execute_atomic
    def opened() -> t.Any:
        instance = account(balance=5)
        db.session.add(instance)
        return instance

    assert sa.inspect(opened).detached
    assert (1, 5) == (opened.id, opened.balance)
    assert [] == list(db.session)


def test_leaves_expire_on_commit_as_it_was(
    db: AtomicProceduresMixin,
    account: type[t.Any],
    saved: t.Callable[[], dict[int, int]],
) -> None:
    """Outside of blocks a commit expires objects, as ever."""
    db.atomic(lambda: None)()
    outside = account(id=1)
    db.session.add(outside)
    db.session.commit()

    assert sa.inspect(outside).expired


def test_a_block_may_hold_savepoints(
    db: AtomicProceduresMixin,
    account: type[t.Any],
    saved: t.Callable[[], dict[int, int]],
) -> None:
    """A part of a block can be undone by itself."""

    @db.atomic
    def open_accounts() -> t.NoReturn:
        db.session.add(account(id=1))
        with contextlib.suppress(LookupError), db.session.begin_nested():
            db.session.add(account(id=2))
            raise LookupError
        with db.session.begin_nested():
            db.session.add(account(id=3))

    open_accounts()
    assert {1: 0, 3: 0} == saved()


def test_takes_what_was_added_before(
    db: AtomicProceduresMixin,
    account: type[t.Any],
    saved: t.Callable[[], dict[int, int]],
) -> None:
    """A transaction that was begun before the block is committed by it."""
    db.session.add(account(id=1))

    db.atomic(lambda: db.session.add(account(id=2)))()

    assert {1: 0, 2: 0} == saved()


def test_a_lost_connection_hides_no_error(
    db: AtomicProceduresMixin,
    account: type[t.Any],
    saved: t.Callable[[], dict[int, int]],
) -> None:
    """The error that a block raises is its own, even if it cannot roll back."""

    @db.atomic
    def cut() -> t.NoReturn:
        db.session.connection().connection.dbapi_connection.close()
        raise LookupError

    with pytest.raises(LookupError):
        cut()
