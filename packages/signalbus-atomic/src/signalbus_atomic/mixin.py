"""The mixin that adds atomic procedures to Flask-SQLAlchemy."""

from __future__ import annotations

import functools
import typing as t

from flask_sqlalchemy import SQLAlchemy

from signalbus_atomic import _guard
from signalbus_atomic import _models
from signalbus_atomic._attempt import current_attempt
from signalbus_atomic._isolation import with_default_isolation
from signalbus_atomic._procedure import check_procedure
from signalbus_atomic._procedure import check_tries
from signalbus_atomic._procedure import run_atomic
from signalbus_atomic.exceptions import AtomicBlockError

if t.TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from flask import Flask
    from flask_sqlalchemy.model import Model

    _SQLAlchemy = SQLAlchemy

    class _Model(_models.AtomicModel, Model):
        """The type of ``db.Model``, for type checkers."""

else:
    _SQLAlchemy = object

P = t.ParamSpec("P")
R = t.TypeVar("R")


class AtomicProceduresMixin(_SQLAlchemy):
    """Add atomic procedures to :class:`flask_sqlalchemy.SQLAlchemy`.

    Put it before ``SQLAlchemy`` in the bases of your class::

        class CustomSQLAlchemy(AtomicProceduresMixin, SQLAlchemy):
            pass

        db = CustomSQLAlchemy()

    Then ``db`` has the methods below, and every model has ``get_instance``,
    ``lock_instance`` and ``get_pk_values``. The default isolation level is REPEATABLE
    READ on databases that have it. To use another one, set ``isolation_level`` in
    *engine_options*, ``SQLALCHEMY_ENGINE_OPTIONS`` or ``SQLALCHEMY_BINDS``.

    :param app: a Flask application to call ``init_app`` on.
    :param engine_options: default arguments for every engine, as in ``SQLAlchemy``.
    :param atomic_tries: the maximum number of times an atomic block runs.
    :param kwargs: the other arguments of ``SQLAlchemy``.
    """

    if t.TYPE_CHECKING:
        Model: type[_Model]  # type: ignore[assignment]  # theirs is private

    def __init_subclass__(cls, **kwargs: t.Any) -> None:
        """Refuse the wrong order of bases, in which the mixin would have no effect."""
        super().__init_subclass__(**kwargs)
        order = cls.__mro__
        if SQLAlchemy in order and order.index(SQLAlchemy) < order.index(
            AtomicProceduresMixin
        ):
            raise TypeError(
                f"In the bases of {cls.__name__}, SQLAlchemy comes before"
                " AtomicProceduresMixin. Put AtomicProceduresMixin first."
            )

    def __init__(
        self,
        app: Flask | None = None,
        *,
        engine_options: dict[str, t.Any] | None = None,
        atomic_tries: int = 20,
        **kwargs: t.Any,
    ) -> None:
        self._atomic_tries = check_tries(atomic_tries)
        self._atomic_engine_options = engine_options or {}
        super().__init__(app, engine_options=engine_options, **kwargs)
        _models.add_methods(self.Model, self.session)
        _guard.listen_to_all(self.session)

    def init_app(self, app: Flask) -> None:
        """Initialize *app*, with REPEATABLE READ as the default of its engines.

        The configuration of *app* is not changed.
        """
        config = with_default_isolation(app.config, self._atomic_engine_options)
        unchanged = {name: app.config.get(name) or {} for name in config}
        app.config.update(config)
        try:
            super().init_app(app)
        finally:
            app.config.update(unchanged)

    @t.overload
    def atomic(self, func: t.Callable[P, R]) -> t.Callable[P, R]: ...

    @t.overload
    def atomic(
        self, func: None = None, *, tries: int | None = None
    ) -> t.Callable[[t.Callable[P, R]], t.Callable[P, R]]: ...

    def atomic(
        self, func: t.Callable[P, R] | None = None, *, tries: int | None = None
    ) -> t.Callable[P, R] | t.Callable[[t.Callable[P, R]], t.Callable[P, R]]:
        """Wrap a function in an atomic block.

        ::

            @db.atomic
            def transfer(debtor_id: int, creditor_id: int, amount: int) -> None: ...

        When the function returns, ``db.session`` is committed and all its objects are
        expunged: they keep their values, and no longer load anything. When the function
        raises, ``db.session`` is rolled back.

        If the transaction loses a race (a serialization failure, a deadlock, a locked
        SQLite database, :exc:`~signalbus.DBSerializationError`), in the function or at
        the commit, the function is called again with the same arguments, after a
        growing, jittered wait. So everything it does outside the database must be
        idempotent. After the last try, the error is raised.

        The function is not called again if the outcome of a commit is unknown (the
        connection was lost, or one of several databases may have committed), or if
        ``db.session`` had uncommitted changes when the block began: these are part of
        the transaction, and are rolled back with it.

        A block inside a block of the same ``db.session`` has no transaction of its own:
        the outermost block begins, ends and repeats it. Every app context has its own
        ``db.session``, so a block in an app context that is pushed inside a block is a
        separate transaction.

        Inside the function, ``db.session.commit()`` and ``db.session.rollback()`` raise
        :exc:`AtomicBlockError`.

        :param func: an ordinary function. A generator or coroutine function raises
            :exc:`TypeError`.
        :param tries: the maximum number of calls, by default the *atomic_tries* of
            ``db``. It has no effect on a block inside a block.
        """
        max_tries = self._atomic_tries if tries is None else check_tries(tries)
        if func is None:
            return functools.partial(self._make_atomic, tries=max_tries)
        return self._make_atomic(func, tries=max_tries)

    def execute_atomic(self, func: t.Callable[[], R]) -> R:
        """Call a function in an atomic block, and return what it returns.

        As a decorator, it binds the result to the name of the function::

            @db.execute_atomic
            def account_id() -> int: ...

        See :meth:`atomic` for what is guaranteed.
        """
        return self.atomic(func)()

    def retry_on_integrity_error(self) -> AbstractContextManager[None]:
        """Return a context in which an :exc:`IntegrityError` is a lost race.

        Two transactions may both find that a row does not exist, and both insert it.
        Inside an atomic block, write::

            if Account.get_instance(key) is None:
                with db.retry_on_integrity_error():
                    db.session.add(Account(key))

        Then the transaction that comes second runs again, and finds the row.
        ``db.session`` is flushed on entering and on leaving the context. An
        :exc:`IntegrityError` becomes :exc:`~signalbus.DBSerializationError`, and the
        atomic block runs again even if that error is caught. An integrity error that is
        not a race occurs on every try, and is raised after the last one.

        Outside an atomic block, :exc:`AtomicBlockError` is raised.
        """
        attempt = current_attempt(self.session())
        if attempt is None:
            raise AtomicBlockError(
                "db.retry_on_integrity_error() was called outside an atomic block,"
                " where nothing is tried again. Call it in a function decorated with"
                " @db.atomic."
            )
        return attempt.integrity_errors_as_races()

    def _make_atomic(self, func: t.Callable[P, R], *, tries: int) -> t.Callable[P, R]:
        check_procedure(func)

        @functools.wraps(func)
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
            procedure = functools.partial(func, *args, **kwargs)
            return run_atomic(self.session(), procedure, tries)

        return wrapper
