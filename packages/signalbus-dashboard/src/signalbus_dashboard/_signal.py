"""One signal: its columns, except for hidden ones, and its failure."""

from __future__ import annotations

import dataclasses
import http
import typing as t

import flask
from signalbus.rows import SignalRows

from signalbus_dashboard import _failed
from signalbus_dashboard._hidden import hidden_columns
from signalbus_dashboard._values import Plain
from signalbus_dashboard._values import as_plain

if t.TYPE_CHECKING:
    from signalbus.typing import Bus
    from signalbus.typing import PrimaryKey
    from signalbus.typing import SignalModel
    from signalbus_retry import Failure


@dataclasses.dataclass(frozen=True)
class SignalDetails:
    """The content of the page of a signal.

    :param key: its primary key, in the form used in URLs.
    :param columns: the values of the visible columns, by name.
    :param hidden: the names of the hidden columns.
    """

    name: str
    key: str
    columns: t.Mapping[str, Plain]
    hidden: t.Sequence[str]
    failure: Failure | None


def read_key(bus: Bus, model: SignalModel, text: str) -> PrimaryKey:
    """Return the key in the URL of the request, or answer that it is not a key."""
    try:
        return _failed.stored_key(bus, model, text)
    except ValueError as error:
        flask.abort(http.HTTPStatus.NOT_FOUND, str(error))


def read_signal(
    bus: Bus, name: str, model: SignalModel, key: PrimaryKey
) -> SignalDetails | None:
    """Return a signal; ``None`` if it is gone."""
    rows = SignalRows(bus, model)
    with rows.look() as connection:
        values = next(iter(rows.read(connection, [key]).values()), None)
    if values is None:
        return None
    hidden = hidden_columns(model)
    return SignalDetails(
        name=name,
        key=_failed.key_text(bus, model, key),
        columns={
            column: as_plain(value)
            for column, value in values.items()
            if column not in hidden
        },
        hidden=[column for column in values if column in hidden],
        failure=_failed.find(bus, model, key),
    )
