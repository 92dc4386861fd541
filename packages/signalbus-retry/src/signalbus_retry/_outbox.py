"""The signals of one model, and what is known about those that failed."""

from __future__ import annotations

import contextlib
import typing as t

import sqlalchemy as sa
import sqlalchemy.exc as sa_exc
from signalbus import SignalBusError
from signalbus import SignalModelError
from signalbus.exceptions import MissingTableError
from signalbus.rows import SignalRows
from signalbus.tables import has_table

from signalbus_retry import _queries
from signalbus_retry._choice import Choice
from signalbus_retry._memory import memory_of
from signalbus_retry._sweep import sweep_some
from signalbus_retry._table import NAME

if t.TYPE_CHECKING:
    from signalbus.typing import Bus
    from signalbus.typing import PrimaryKey
    from signalbus.typing import SignalModel

    from signalbus_retry._entries import Entries

R = t.TypeVar("R")

Models: t.TypeAlias = "t.Iterable[SignalModel] | None"
Keys: t.TypeAlias = "t.Collection[PrimaryKey] | None"

#: How many signals are changed in one transaction.
PAGE: t.Final = 500


class Outbox:
    """The signals of one model, and what is known of those that failed."""

    def __init__(self, bus: Bus, model: SignalModel) -> None:
        entries = memory_of(bus).entries(bus, model)
        if entries is None:
            raise SignalBusError(
                f"The database of {model.__name__} has no table {NAME} in its metadata."
                " The plugin 'retry' is not loaded: install signalbus-retry, and do"
                " not disable it."
            )
        self.model = model
        self.entries = entries
        self.rows = SignalRows(bus, model)

    @contextlib.contextmanager
    def transaction(self) -> t.Iterator[sa.Connection]:
        """Begin a transaction on the database of the model.

        :raises MissingTableError: if it does not have the table of failures.
        """
        with self._explaining(), self.rows.transaction() as connection:
            yield connection

    @contextlib.contextmanager
    def look(self) -> t.Iterator[sa.Connection]:
        """Open a connection that only reads.

        :raises MissingTableError: if the database does not have the table of failures.
        """
        with self._explaining(), self.rows.look() as connection:
            yield connection

    @contextlib.contextmanager
    def _explaining(self) -> t.Iterator[None]:
        """Say what to do if the database does not have the table of failures."""
        try:
            yield
        except sa_exc.DBAPIError as error:
            if self._is_missing():
                raise MissingTableError(
                    f"The table {NAME} is missing. Run `flask db migrate` and"
                    " `flask db upgrade`, or call db.create_all()."
                ) from error
            raise

    def choice(self, keys: Keys, error: str | None, parked: bool | None) -> Choice:
        """Return which failed signals are meant.

        :raises ValueError: if one of *keys* is not a key of the model.
        """
        if keys is None:
            return Choice(None, error, parked)
        with self.transaction() as connection:
            # In the form in which the database returns them, as entries have them.
            present = self.rows.present(connection, self.checked(keys))
        return Choice(present, error, parked)

    def checked(self, keys: t.Collection[PrimaryKey]) -> list[PrimaryKey]:
        """Return *keys*, or raise a :exc:`ValueError` that names a wrong one."""
        count = len(self.entries.declaration.key_columns)
        for key in keys:
            if not isinstance(key, tuple) or len(key) != count:
                values = "value" if count == 1 else "values"
                raise ValueError(
                    f"{key!r:.100} is not a primary key of {self.model.__name__}. Pass"
                    f" tuples of {count} {values}."
                )
        return list(keys)

    def sweep(self) -> None:
        """Forget the failures of signals that are gone."""
        last = ""
        while True:
            with self.transaction() as connection:
                last, _ = sweep_some(connection, self.entries, self.rows, last)
            if not last:
                return

    def ask(
        self,
        query: t.Callable[[Entries, sa.Connection, Choice], t.Iterable[R]],
        choice: Choice,
    ) -> list[R]:
        """Return the answers to *query* for all chosen entries, however many keys."""
        with self.transaction() as connection:
            return [
                answer
                for part in choice.parts()
                for answer in query(self.entries, connection, part)
            ]

    def pages(self, choice: Choice) -> t.Iterator[list[PrimaryKey]]:
        """Yield the keys of the chosen entries, a page at a time."""
        if choice.keys is not None:
            for start in range(0, len(choice.keys), PAGE):
                yield choice.keys[start : start + PAGE]
            return
        after = ""
        while True:
            with self.transaction() as connection:
                page = _queries.page(self.entries, connection, choice, after, PAGE)
            if page:
                yield [key for key in page.values() if key is not None]
            if len(page) < PAGE:
                return
            after = max(page)

    def _is_missing(self) -> bool:
        """Return whether the database does not have the table of failures."""
        table = self.entries.table
        try:
            with self.rows.transaction() as connection:
                return not has_table(connection, table)
        except sa_exc.SQLAlchemyError:
            return False  # the first error says more


def outboxes(bus: Bus, models: Models) -> list[Outbox]:
    """Return the outboxes of *models*, each once, or of all.

    :raises SignalModelError: if one is not a signal model.
    """
    known = bus.get_signal_models()
    chosen = known if models is None else list(dict.fromkeys(models))
    for model in chosen:
        if model not in known:
            raise SignalModelError(
                f"{getattr(model, '__name__', repr(model))} is not a signal model of"
                " this database. Pass mapped classes that define"
                " send_signalbus_message or signalbus_broker."
            )
    return [Outbox(bus, model) for model in chosen]
