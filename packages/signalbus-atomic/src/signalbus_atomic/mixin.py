"""The class that makes an extension of Flask-SQLAlchemy run atomic procedures."""

from __future__ import annotations

import functools
import typing as t

from flask_sqlalchemy import SQLAlchemy

from signalbus_atomic import _guard
from signalbus_atomic import _models
from signalbus_atomic import _notes
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
        """What ``db.Model`` is, for type checkers."""

else:
    _SQLAlchemy = object

P = t.ParamSpec("P")
R = t.TypeVar("R")


class AtomicProceduresMixin(_SQLAlchemy):
    """Add atomic procedures to :class:`flask_sqlalchemy.SQLAlchemy`.

    It comes before ``SQLAlchemy``::

        class CustomSQLAlchemy(AtomicProceduresMixin, SQLAlchemy):
            pass

        db = CustomSQLAlchemy()

    Then ``db`` has the methods below, every model has ``get_instance``,
    ``lock_instance`` and ``get_pk_values``, and the isolation level of every engine
    whose database has it is REPEATABLE READ, unless you set one in *engine_options*,
    ``SQLALCHEMY_ENGINE_OPTIONS`` or ``SQLALCHEMY_BINDS``.

    :param app: call ``init_app`` on this Flask application now.
    :param engine_options: default arguments for every engine, as in ``SQLAlchemy``.
    :param atomic_tries: how many times, at most, an atomic block runs.
    :param kwargs: the other arguments of ``SQLAlchemy``.
    """

    if t.TYPE_CHECKING:
        Model: type[_Model]  # type: ignore[assignment]  # theirs is private

    def __init_subclass__(cls, **kwargs: t.Any) -> None:
        """Refuse the wrong order of bases, which would leave the mixin out."""
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
        _guard.watch_all(self.session)

    def init_app(self, app: Flask) -> None:
        """Initialize *app*, with REPEATABLE READ for its engines by default.

        The settings that *app* has are the same afterwards.
        """
        config = with_default_isolation(app.config, self._atomic_engine_options)
        own = {name: app.config.get(name) or {} for name in config}
        app.config.update(config)
        try:
            super().init_app(app)
        finally:
            app.config.update(own)

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

        When the function returns, ``db.session`` is committed and all objects in it
        are expunged: they keep the values they have and load nothing any more. When
        the function raises, ``db.session`` is rolled back.

        When it raises because its transaction lost a race (a serialization failure, a
        deadlock, a locked SQLite database, :exc:`~signalbus.DBSerializationError`), or
        the commit does, the function is called again with the same arguments, after a
        growing, jittered wait. So it must not do outside of the database what cannot be
        done twice. When the tries are used up, the last error is raised.

        It is not called again when the outcome of a commit is not known (the
        connection is lost, or one of several databases may have committed), nor when
        ``db.session`` had uncommitted changes when the block began: they are part of
        its transaction, and are rolled back with it.

        A block inside a block of the same ``db.session`` does nothing: the outermost
        one begins, ends and repeats. Every app context has a ``db.session`` of its
        own, so a block in an app context that is pushed inside a block is a
        transaction of its own.

        Within the function, ``db.session.commit()`` and ``db.session.rollback()`` are
        refused with an :exc:`AtomicBlockError`.

        :param func: an ordinary function; generator and coroutine functions are
            refused with a :exc:`TypeError`.
        :param tries: how many times, at most, the function is called, if not as many
            as ``db`` was made with. It has no effect on a block inside a block.
        """
        most = self._atomic_tries if tries is None else check_tries(tries)
        if func is None:
            return functools.partial(self._make_atomic, tries=most)
        return self._make_atomic(func, tries=most)

    def execute_atomic(self, func: t.Callable[[], R]) -> R:
        """Call a function in an atomic block, and return what it returns.

        As a decorator, it gives the result the name of the function::

            @db.execute_atomic
            def account_id() -> int: ...

        See :meth:`atomic` for what is guaranteed.
        """
        return self.atomic(func)()

    def retry_on_integrity_error(self) -> AbstractContextManager[None]:
        """Return a ``with`` block whose :exc:`IntegrityError` is a race that was lost.

        Two transactions may both see that there is no row with some key, and both
        insert it. Do it so, within an atomic block::

            if Account.get_instance(key) is None:
                with db.retry_on_integrity_error():
                    db.session.add(Account(key))

        and the one that comes second runs again, and sees the row. ``db.session`` is
        flushed at both ends. In place of the :exc:`IntegrityError`,
        :exc:`~signalbus.DBSerializationError` is raised, and the atomic block begins
        anew, even if the error is caught. An integrity error that is no race comes
        back with every try, and is raised when they are used up.

        Outside of an atomic block, :exc:`AtomicBlockError` is raised.
        """
        attempt = _notes.get_attempt(self.session())
        if attempt is None:
            raise AtomicBlockError(
                "db.retry_on_integrity_error() was called outside of an atomic block,"
                " where nothing is tried again. Call it within a function decorated"
                " with @db.atomic."
            )
        return attempt.integrity_errors_lost()

    def _make_atomic(self, func: t.Callable[P, R], *, tries: int) -> t.Callable[P, R]:
        check_procedure(func)

        @functools.wraps(func)
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
            procedure = functools.partial(func, *args, **kwargs)
            return run_atomic(self.session(), procedure, tries)

        return wrapper
