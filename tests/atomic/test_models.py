"""Every model can find and lock its instances."""

from __future__ import annotations

import typing as t

import pytest
import sqlalchemy as sa
import sqlalchemy.orm as sa_orm

if t.TYPE_CHECKING:
    from flask import Flask
    from signalbus_atomic import AtomicProceduresMixin


@pytest.fixture
def entry(db: AtomicProceduresMixin, account: type[t.Any]) -> type[t.Any]:
    """Give a model with a key of two columns, and two ways to an account."""

    class Entry(db.Model):
        account_id: sa_orm.Mapped[int] = sa_orm.mapped_column(
            sa.ForeignKey(account.id), primary_key=True
        )
        number: sa_orm.Mapped[int] = sa_orm.mapped_column(
            primary_key=True, autoincrement=False
        )
        other_id: sa_orm.Mapped[int | None] = sa_orm.mapped_column(
            sa.ForeignKey(account.id)
        )
        other = sa_orm.relationship(account, foreign_keys=other_id, lazy="joined")
        owner = sa_orm.relationship(account, foreign_keys=account_id)

    return Entry


@pytest.fixture
def stored(
    db: AtomicProceduresMixin,
    account: type[t.Any],
    entry: type[t.Any],
    saved: t.Callable[[], dict[int, int]],
) -> None:
    """Store an account, and an entry of it."""
    db.atomic(lambda: db.session.add(account(id=1, balance=5)))()
    db.atomic(lambda: db.session.add(entry(account_id=1, number=2)))()


@pytest.fixture
def statements(db: AtomicProceduresMixin, app_ctx: object) -> list[str]:
    """Collect what is executed."""
    collected = []

    @sa.event.listens_for(db.engine, "before_cursor_execute")
    def collect(
        _connection: object, _cursor: object, statement: str, *_rest: object
    ) -> None:
        collected.append(statement)

    return collected


def test_get_instance_takes_a_key(account: type[t.Any], stored: object) -> None:
    """A value is a key, and so is a tuple of one."""
    assert 5 == account.get_instance(1).balance
    assert account.get_instance(1) is account.get_instance((1,))


def test_get_instance_takes_a_composite_key(entry: type[t.Any], stored: object) -> None:
    """A tuple has the values in the order of the columns."""
    assert (1, 2) == entry.get_pk_values(entry.get_instance((1, 2)))


def test_get_instance_takes_an_instance(
    db: AtomicProceduresMixin,
    account: type[t.Any],
    stored: object,
    statements: list[str],
) -> None:
    """One in the session is returned as it is, and nothing is executed."""
    persistent = account.get_instance(1)
    pending = account(id=7)
    with db.session.no_autoflush:
        db.session.add(pending)
        statements.clear()

        assert persistent is account.get_instance(persistent)
        assert pending is account.get_instance(pending)
    assert [] == statements


def test_get_instance_takes_an_instance_of_elsewhere(
    db: AtomicProceduresMixin, account: type[t.Any], stored: object
) -> None:
    """One that left its session is loaded anew, by its key."""
    detached = db.atomic(account.get_instance)(1)
    found = account.get_instance(detached)

    assert found is not detached
    assert found in db.session


@pytest.mark.parametrize("method", ["get_instance", "lock_instance"])
def test_what_is_not_there_is_none(
    account: type[t.Any], entry: type[t.Any], stored: object, method: str
) -> None:
    """A key without a row has no instance."""
    assert None is getattr(account, method)(9)
    assert None is getattr(entry, method)((1, 9))


@pytest.mark.parametrize("method", ["get_instance", "lock_instance"])
def test_options_load_relations(
    entry: type[t.Any], stored: object, statements: list[str], method: str
) -> None:
    """A loader option saves a statement."""
    found = getattr(entry, method)((1, 2), sa_orm.joinedload(entry.owner))
    statements.clear()

    assert 5 == found.owner.balance
    assert [] == statements


@pytest.mark.databases("postgresql", "psycopg2", "mariadb")
def test_lock_instance_locks_the_row(
    db: AtomicProceduresMixin,
    account: type[t.Any],
    stored: object,
    statements: list[str],
) -> None:
    """Others cannot have the row until the transaction ends."""
    account.lock_instance(1)
    skipping = sa.select(account.id).with_for_update(skip_locked=True)

    assert "FOR UPDATE" in statements[-1]
    with db.engine.connect() as connection:
        assert [] == list(connection.execute(skipping))


@pytest.mark.databases("postgresql", "mariadb")
def test_lock_instance_locks_nothing_else(
    db: AtomicProceduresMixin, entry: type[t.Any], account: type[t.Any], stored: object
) -> None:
    """Rows that are joined to the instance's own are left to others."""
    db.atomic(lambda: setattr(entry.get_instance((1, 2)), "other_id", 1))()
    entry.lock_instance((1, 2))

    with db.engine.connect() as connection:
        locking = sa.select(account.id).with_for_update(nowait=True)
        if db.engine.dialect.name == "postgresql":
            assert [(1,)] == list(connection.execute(locking))


@pytest.mark.databases("postgresql", "mariadb")
def test_lock_instance_passes_arguments_on(
    account: type[t.Any], stored: object, statements: list[str]
) -> None:
    """``kw`` are those of ``with_for_update``."""
    account.lock_instance(1, skip_locked=True)

    assert "FOR UPDATE" in statements[-1]
    assert statements[-1].endswith("SKIP LOCKED")


def test_lock_instance_reads_again(
    db: AtomicProceduresMixin, account: type[t.Any], stored: object
) -> None:
    """The instance in the session gets the values that the row has now."""
    known = account.get_instance(1)
    db.session.execute(
        sa.update(account).values(balance=8),
        execution_options={"synchronize_session": False},
    )

    assert known is account.lock_instance(known)
    assert 8 == known.balance


def test_lock_instance_keeps_what_is_pending(
    account: type[t.Any], db: AtomicProceduresMixin, stored: object
) -> None:
    """What was changed is flushed, not overwritten."""
    known = account.get_instance(1)
    known.balance += 1
    account.lock_instance(known)
    new = account(balance=3)
    db.session.add(new)

    assert 6 == known.balance
    assert new is account.lock_instance(new)


def test_lock_instance_of_a_deleted_row_is_none(
    db: AtomicProceduresMixin, account: type[t.Any], stored: object
) -> None:
    """An instance whose row has gone is not there."""
    known = account.get_instance(1)
    db.session.execute(
        sa.delete(account), execution_options={"synchronize_session": False}
    )

    assert None is account.lock_instance(known)


@pytest.mark.databases("postgresql", "mariadb")
def test_an_inherited_model_can_be_locked(
    db: AtomicProceduresMixin,
    account: type[t.Any],
    saved: t.Callable[[], dict[int, int]],
) -> None:
    """A model in two tables is found and locked like any other."""

    class Savings(account):
        id: sa_orm.Mapped[int] = sa_orm.mapped_column(
            sa.ForeignKey(account.id), primary_key=True
        )
        rate: sa_orm.Mapped[int]

    db.create_all()
    db.atomic(lambda: db.session.add(Savings(id=1, rate=3)))()

    assert 3 == Savings.lock_instance(1).rate
    assert (1,) == Savings.get_pk_values(Savings.get_instance(1))


def test_get_pk_values(account: type[t.Any], entry: type[t.Any]) -> None:
    """A key is a tuple, whatever it was given as."""
    assert (1,) == account.get_pk_values(1)
    assert (1,) == account.get_pk_values(account(id=1))
    assert (1, 2) == entry.get_pk_values([1, 2])
    assert (1, 2) == entry.get_pk_values(entry(account_id=1, number=2))


def test_get_pk_values_of_an_expired_instance(
    db: AtomicProceduresMixin,
    account: type[t.Any],
    stored: object,
    statements: list[str],
) -> None:
    """The key of an instance is known without asking the database."""
    known = account.get_instance(1)
    db.session.commit()
    statements.clear()

    assert (1,) == account.get_pk_values(known)
    assert [] == statements


def test_keys_of_another_length_are_refused(entry: type[t.Any]) -> None:
    """A key has as many values as the table has key columns."""
    with pytest.raises(ValueError, match=r"Entry has 2 values \(account_id, number\)"):
        entry.get_instance(1)


def test_instances_of_other_models_are_refused(
    account: type[t.Any], entry: type[t.Any]
) -> None:
    """They are no keys."""
    with pytest.raises(TypeError, match="Entry is not Account"):
        account.get_instance(entry(account_id=1, number=2))


def test_methods_of_the_user_stay(
    new_app: t.Callable[..., Flask], db: AtomicProceduresMixin, engine_url: str
) -> None:
    """What a model class has under one of the names is not replaced."""

    class Base(sa_orm.DeclarativeBase):
        @classmethod
        def get_instance(cls) -> str:
            return "own"

    other = type(db)(new_app(engine_url), model_class=Base)

    assert "own" == other.Model.get_instance()
    assert "lock_instance" in vars(other.Model)
