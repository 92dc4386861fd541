"""Let journals follow all sessions while tests need them."""

from __future__ import annotations

import contextlib
import typing as t

import sqlalchemy as sa
import sqlalchemy.orm as sa_orm

if t.TYPE_CHECKING:
    from signalbus_pytest._journal import Journal

#: The events, and the methods of a journal, which have the same names.
EVENTS: t.Final = (
    "transient_to_pending",
    "pending_to_transient",
    "pending_to_persistent",
    "persistent_to_deleted",
    "after_flush_postexec",
    "before_commit",
    "after_commit",
    "after_rollback",
    "after_soft_rollback",
    "after_transaction_end",
)


class Followers:
    """The journals that currently follow sessions.

    Once added, the listeners stay: removing them is not safe, since another thread may
    be in the middle of an event.
    """

    def __init__(self) -> None:
        self._journals: tuple[Journal, ...] = ()
        self._is_listening = False

    @contextlib.contextmanager
    def following(self, journal: Journal) -> t.Iterator[Journal]:
        """Let *journal* follow all sessions inside a ``with`` block."""
        self._listen()
        self._journals = (*self._journals, journal)
        try:
            yield journal
        finally:
            self._journals = tuple(j for j in self._journals if j is not journal)

    def _listen(self) -> None:
        if self._is_listening:
            return
        self._is_listening = True
        for event in EVENTS:
            sa.event.listen(sa_orm.Session, event, self._listener(event))
        sa.event.listen(sa_orm.Session, "do_orm_execute", self._execute)

    def _listener(self, event: str) -> t.Callable[..., None]:
        def listener(*args: object) -> None:
            for journal in self._journals:
                getattr(journal, event)(*args)

        return listener

    def _execute(self, state: sa_orm.ORMExecuteState) -> sa.Result[t.Any] | None:
        for journal in self._journals:
            result = journal.do_orm_execute(state)
            if result is not None:
                return result
        return None


following = Followers().following
