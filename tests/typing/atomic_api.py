"""Atomic procedures as users write them: this file is checked, and never run."""

from __future__ import annotations

import typing as t

import sqlalchemy.orm as sa_orm
from flask_sqlalchemy import SQLAlchemy
from signalbus import SignalBusMixin
from signalbus_atomic import AtomicBlockError
from signalbus_atomic import AtomicProceduresMixin
from typing_extensions import assert_type


class CustomSQLAlchemy(AtomicProceduresMixin, SignalBusMixin, SQLAlchemy):
    """Both mixins, in one order."""


class OtherSQLAlchemy(SignalBusMixin, AtomicProceduresMixin, SQLAlchemy):
    """Both mixins, in the other order."""


class Base(sa_orm.DeclarativeBase):
    """A base of the application's own."""


db = CustomSQLAlchemy(model_class=Base, engine_options={"echo": True}, atomic_tries=9)
other = OtherSQLAlchemy()


@db.atomic
def deposit(account_id: int, *, amount: float = 1.0) -> str:
    """Be an atomic procedure."""
    return f"{account_id} {amount}"


@db.atomic(tries=3)
def withdraw(account_id: int) -> None:
    """Be an atomic procedure with a number of tries."""
    with db.retry_on_integrity_error():
        db.session.flush()


@db.execute_atomic
def total() -> float:
    """Be a result."""
    return 1.5


class Bank:
    """Have methods that are atomic procedures."""

    @db.atomic
    def open(self, owner: str) -> int:
        """Be a method."""
        return len(owner)

    @classmethod
    @db.atomic
    def close(cls, owner: str) -> bool:
        """Be a method of the class."""
        return bool(owner)


assert_type(deposit(1, amount=2.0), str)
assert_type(other.atomic(deposit)(account_id=1), str)
assert_type(total, float)
assert_type(Bank().open("me"), int)
assert_type(Bank.close("me"), bool)
assert_type(db.Model.get_pk_values(1), tuple[t.Any, ...])
account = db.Model.get_instance((1,), sa_orm.joinedload("*"))
if account is not None:
    account = type(account).lock_instance(account, skip_locked=True)

try:
    withdraw(1)
except AtomicBlockError as error:
    assert_type(str(error), str)

withdraw("1")  # type: ignore[arg-type]
deposit()  # type: ignore[call-arg]
deposit(1, amount="2")  # type: ignore[arg-type]
db.atomic(tries="3")  # type: ignore[call-overload]
