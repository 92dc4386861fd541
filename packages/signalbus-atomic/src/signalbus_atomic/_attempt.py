"""One attempt to run the outermost atomic block: a transaction, from begin to end."""

from __future__ import annotations

import contextlib
import inspect
import typing as t

import sqlalchemy.exc as sa_exc
from signalbus import DBSerializationError
from signalbus.retry import is_race

from signalbus_atomic import _lock
from signalbus_atomic import _transaction
from signalbus_atomic.exceptions import AtomicBlockError

if t.TYPE_CHECKING:
    import sqlalchemy.orm as sa_orm

R = t.TypeVar("R")

#: Where a session keeps its attempt, in its ``info``.
ATTEMPT = "signalbus_atomic.attempt"


def current_attempt(session: sa_orm.Session) -> Attempt | None:
    """Return the attempt that *session* is in, or ``None`` outside atomic blocks."""
    return session.info.get(ATTEMPT)


class Attempt:
    """Run a procedure once, in a transaction of *session*.

    Commits when the procedure returns, and rolls back when it raises. If *session* is
    in a transaction already, the attempt continues that transaction.
    """

    def __init__(self, session: sa_orm.Session) -> None:
        self.session = session
        self.is_ending = False
        self.is_ended_by_user = False
        self.is_committed = False
        self._lost_race: Exception | None = None
        self._commits_begun = 0
        self._had_changes = _transaction.has_changes(session)

    def run(self, procedure: t.Callable[[], R]) -> R:
        """Run *procedure* and commit, or roll back and raise."""
        self.session.info[ATTEMPT] = self
        try:
            for connection in _transaction.connections(self.session):
                _lock.lock_sqlite(connection)
            result = procedure()
            self._check(result)
            self._commit()
        except BaseException:
            self._roll_back()
            raise
        finally:
            self.session.info[ATTEMPT] = None
        return result

    def run_nested(self, procedure: t.Callable[[], R]) -> R:
        """Run the *procedure* of a block inside this one.

        If it loses a race, the attempt fails even if the code around it catches the
        error: how much of the transaction is left then depends on the database.
        """
        try:
            return procedure()
        except Exception as error:
            if is_race(error):
                self._lost_race = error
            raise

    @contextlib.contextmanager
    def integrity_errors_as_races(self) -> t.Iterator[None]:
        """Treat an :exc:`IntegrityError` in the ``with`` block as a lost race."""
        self.session.flush()  # what was added before is not part of this race
        try:
            yield
            self.session.flush()
        except sa_exc.IntegrityError as error:
            self._lost_race = DBSerializationError()
            raise self._lost_race from error

    def may_be_repeated(self, error: Exception) -> bool:
        """Return whether to make another attempt after this one raised *error*.

        Only if it lost a race and cannot have committed anything. Changes made before
        the block are rolled back with it, and another attempt could not make them.
        """
        return is_race(error) and not (
            self.is_committed or self._had_changes or self._may_be_committed(error)
        )

    def _may_be_committed(self, error: Exception) -> bool:
        """Return whether the COMMIT failed in a way that leaves its outcome open."""
        is_disconnected = getattr(error, "connection_invalidated", False)
        return self._commits_begun > (0 if is_disconnected else 1)

    def _check(self, result: object) -> None:
        """Refuse to commit if the transaction or its result is incomplete."""
        if self.is_ended_by_user:
            raise AtomicBlockError(
                "The transaction of an atomic block was ended inside the block. Remove"
                " the call that rolls back, closes or removes db.session there."
            )
        if self._lost_race:
            raise self._lost_race
        _refuse_lazy(result)

    def _commit(self) -> None:
        """Commit, and detach all objects with their current values."""
        self.session.flush()
        self._commits_begun = len(_transaction.connections(self.session))
        expire_on_commit = self.session.expire_on_commit
        self.session.expire_on_commit = False
        self.is_ending = True
        try:
            self.session.commit()
        finally:
            self.session.expire_on_commit = expire_on_commit
        self.session.expunge_all()

    def _roll_back(self) -> None:
        """Roll back, without replacing the error that is being raised."""
        end = self.session.close if self.is_committed else self.session.rollback
        self.is_ending = True
        with contextlib.suppress(sa_exc.DBAPIError):
            end()


def _refuse_lazy(result: object) -> None:
    """Refuse a result whose code would run after the transaction has ended."""
    if inspect.iscoroutine(result) or inspect.isgenerator(result):
        result.close()
    elif not inspect.isasyncgen(result):
        return
    raise AtomicBlockError(
        f"The function of an atomic block returned a {type(result).__name__}, whose"
        " code would run after the transaction has ended. Return a list or a value."
    )
