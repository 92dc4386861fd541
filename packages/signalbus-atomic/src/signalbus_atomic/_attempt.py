"""One attempt to run the outermost atomic block: a transaction, from begin to end."""

from __future__ import annotations

import contextlib
import inspect
import typing as t

import sqlalchemy.exc as sa_exc
from signalbus import DBSerializationError
from signalbus.retry import is_race

from signalbus_atomic import _lock
from signalbus_atomic import _notes
from signalbus_atomic.exceptions import AtomicBlockError

if t.TYPE_CHECKING:
    import sqlalchemy.orm as sa_orm

R = t.TypeVar("R")


class Attempt:
    """Run a procedure once, in a transaction of *session*.

    It commits when the procedure returns, and rolls back when it raises. A transaction
    that *session* is in already is continued.
    """

    def __init__(self, session: sa_orm.Session) -> None:
        self.session = session
        self.ending = False
        self.ended_by_hand = False
        self.committed = False
        self.lost: Exception | None = None
        self._told_to_commit = 0
        self._brought_changes = _notes.has_changes(session)

    def run(self, procedure: t.Callable[[], R]) -> R:
        """Run *procedure* and commit, or else roll back and raise."""
        _notes.set_attempt(self.session, self)
        try:
            for connection in _notes.connections(self.session):
                _lock.lock_sqlite(connection)
            result = procedure()
            self._check(result)
            self._commit()
        except BaseException:
            self._roll_back()
            raise
        finally:
            _notes.set_attempt(self.session, None)
        return result

    def run_inner(self, procedure: t.Callable[[], R]) -> R:
        """Run the *procedure* of a block inside this one.

        A race that it lost is not forgotten if the code around it goes on: databases
        differ in how much of the transaction is left then.
        """
        try:
            return procedure()
        except Exception as error:
            if is_race(error):
                self.lost = error
            raise

    @contextlib.contextmanager
    def integrity_errors_lost(self) -> t.Iterator[None]:
        """Take an :exc:`IntegrityError` of the ``with`` block for a lost race."""
        self.session.flush()  # what was added before is no part of this race
        try:
            yield
            self.session.flush()
        except sa_exc.IntegrityError as error:
            self.lost = DBSerializationError()
            raise self.lost from error

    def can_be_repeated(self, error: Exception) -> bool:
        """Tell whether another attempt is right after this one raised *error*.

        It is if a race was lost and nothing can have been committed. Changes that were
        made before the block are rolled back too, and could not be made again.
        """
        return is_race(error) and not (
            self.committed or self._brought_changes or self._may_be_committed(error)
        )

    def _may_be_committed(self, error: Exception) -> bool:
        """Tell whether the COMMIT went wrong in a way that leaves its outcome open."""
        is_disconnected = getattr(error, "connection_invalidated", False)
        return self._told_to_commit > (0 if is_disconnected else 1)

    def _check(self, result: object) -> None:
        """Refuse to commit what is not the whole transaction."""
        if self.ended_by_hand:
            raise AtomicBlockError(
                "The transaction of an atomic block was ended inside the block. Remove"
                " the call that rolls back, closes or removes db.session there."
            )
        if self.lost:
            raise self.lost
        _refuse_lazy(result)

    def _commit(self) -> None:
        """Commit, leaving the objects detached and with the values that they have."""
        self.session.flush()
        self._told_to_commit = len(_notes.connections(self.session))
        expire_on_commit = self.session.expire_on_commit
        self.session.expire_on_commit = False
        self.ending = True
        try:
            self.session.commit()
        finally:
            self.session.expire_on_commit = expire_on_commit
        self.session.expunge_all()

    def _roll_back(self) -> None:
        """Roll back, hiding no error that is on its way."""
        ended_how = self.session.close if self.committed else self.session.rollback
        self.ending = True
        with contextlib.suppress(sa_exc.DBAPIError):
            ended_how()


def _refuse_lazy(result: object) -> None:
    """Refuse a result whose code would run when the transaction is over."""
    if inspect.iscoroutine(result) or inspect.isgenerator(result):
        result.close()
    elif not inspect.isasyncgen(result):
        return
    raise AtomicBlockError(
        f"The function of an atomic block returned a {type(result).__name__}, whose"
        " code would run when the transaction is over. Return a list or a value."
    )
