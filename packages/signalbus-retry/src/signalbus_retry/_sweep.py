"""Delete the entries of signals that a person or a cascade has deleted."""

from __future__ import annotations

import time
import typing as t

if t.TYPE_CHECKING:
    import sqlalchemy as sa
    from signalbus.rows import SignalRows
    from signalbus.typing import SignalModel

    from signalbus_retry._entries import Entries

#: How many entries a flush looks at, at most.
WINDOW: t.Final = 500

#: How long it pauses after it has found nothing to delete, in seconds.
INTERVAL: t.Final = 60.0


class Sweeper:
    """Checks some entries of each model now and then, in turn."""

    def __init__(self) -> None:
        self._next: dict[SignalModel, float] = {}
        self._last: dict[SignalModel, str] = {}

    def sweep_if_due(
        self, connection: sa.Connection, entries: Entries, rows: SignalRows
    ) -> None:
        """Check the next few entries, in a separate transaction on *connection*."""
        model = entries.declaration.model
        if time.monotonic() < self._next.get(model, 0.0):
            return
        self._next[model] = time.monotonic() + INTERVAL
        last, swept = sweep_some(connection, entries, rows, self._last.get(model, ""))
        connection.commit()
        self._last[model] = last
        if swept:
            del self._next[model]


def sweep_some(
    connection: sa.Connection, entries: Entries, rows: SignalRows, after: str
) -> tuple[str, int]:
    """Delete those of the next few entries whose signals are gone.

    :param after: the ``id`` of the last entry before them.
    :returns: the ``id`` of the last entry, empty if there are no more, and the number
        of those deleted.
    """
    page, last = entries.page(connection, after, WINDOW)
    keys = [key for key in page.values() if key is not None]
    # Compared as entries have them: a key from JSON may be of another type.
    present = {entries.identify(key) for key in rows.present(connection, keys)}
    swept = entries.delete(connection, [each for each in page if each not in present])
    return last, swept
