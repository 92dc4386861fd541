"""The running relays, according to their rows in the databases."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import typing as t

import sqlalchemy as sa
import sqlalchemy.exc as sa_exc
from signalbus import clock
from signalbus.exceptions import MissingTableError
from signalbus.exceptions import SignalBusError
from signalbus.rows import SignalRows
from signalbus.tables import find_table
from signalbus.tables import has_table

from signalbus_relay._row import other_of
from signalbus_relay._status import DOWN
from signalbus_relay._status import is_alive
from signalbus_relay._table import NAME

if t.TYPE_CHECKING:
    from signalbus.typing import Bus
    from signalbus.typing import SignalModel

    from signalbus_relay._row import Other


@dataclasses.dataclass(frozen=True)
class ModelReport:
    """What a relay has done with the signals of one model, since it started."""

    #: How many it has sent, and how often sending one has failed.
    sent: int = 0
    failed: int = 0

    #: The last error, as one line. It is kept even if later signals were sent.
    last_error: str | None = None

    #: When something was sent last, in UTC.
    last_success: dt.datetime | None = None

    #: Whether the relay has found the broker of the model down.
    is_down: bool = False


@dataclasses.dataclass(frozen=True)
class SeenRelay:
    """A relay, as its last heartbeat describes it.

    All times are in UTC, by the clock of the database.
    """

    #: A unique id of this run of the relay.
    id: str

    #: The host and the process in which it is running.
    host: str
    process: int

    #: When it started, and the time of its last heartbeat.
    started_at: dt.datetime
    heartbeat_at: dt.datetime

    #: How long ago that was.
    silence: dt.timedelta

    #: Whether it is running, as far as that can be known. A relay that was killed on
    #: another host counts as running until it has been silent for 90 seconds.
    is_alive: bool

    #: Its reports by name of the model; with the module, if two have the same name.
    models: t.Mapping[str, ModelReport]


def relays(
    bus: Bus, *, failed: t.Callable[[Exception], object] | None = None
) -> list[SeenRelay]:
    """Return the relays that have a row, the most recently seen one first.

    A relay deletes its row when it ends normally. If it is killed, its row stays until
    the next relay starts. One statement is executed in each database that has signal
    models; on PostgreSQL, without a transaction.

    Call it in an app context.

    :param failed: called with the error of each database that cannot be read. The rows
        of the other databases are returned.
    :raises MissingTableError: if the table ``signalbus_relay`` is missing.
    """
    by_bind = {bus.declaration(each).bind_key: each for each in bus.get_signal_models()}
    found: dict[str, SeenRelay] = {}
    for model in by_bind.values():
        try:
            seen = _read(bus, model)
        except (SignalBusError, sa_exc.SQLAlchemyError) as error:
            if failed is None:
                raise
            failed(error)
            continue
        for relay in seen:
            other = found.get(relay.id)
            found[relay.id] = _merged(relay, other) if other else relay
    return sorted(found.values(), key=lambda relay: relay.silence)


def _read(bus: Bus, model: SignalModel) -> list[SeenRelay]:
    """Return the relays that the database of *model* knows."""
    table = find_table(bus.declaration(model).table.metadata, NAME)
    if table is None:
        return []
    with SignalRows(bus, model).look() as connection:
        try:
            rows = connection.execute(sa.select(table, clock.now().label("now"))).all()
        except sa_exc.DBAPIError as error:
            connection.rollback()
            if has_table(connection, table):
                raise
            raise MissingTableError(
                f"The table {NAME} is missing. Run `flask db migrate` and `flask db"
                " upgrade`, or call db.create_all()."
            ) from error
    return [_seen(other_of(row), clock.as_utc(row.now)) for row in rows]


def _seen(other: Other, now: dt.datetime) -> SeenRelay:
    return SeenRelay(
        id=other.id,
        host=other.host,
        process=other.process,
        started_at=other.started_at,
        heartbeat_at=other.heartbeat_at,
        silence=max(now - other.heartbeat_at, dt.timedelta()),
        is_alive=is_alive(other.id) or not other.is_gone(now),
        models=_reports(other.models),
    )


def _merged(one: SeenRelay, other: SeenRelay) -> SeenRelay:
    """Return what two databases know of a relay."""
    last = min(one, other, key=lambda relay: relay.silence)
    return dataclasses.replace(last, models={**other.models, **one.models})


def _reports(text: str) -> dict[str, ModelReport]:
    """Return what the row of a relay says of its models, whatever its version."""
    try:
        return {name: _report(each) for name, each in json.loads(text).items()}
    except (AttributeError, TypeError, ValueError):
        return {}


def _report(document: dict[str, t.Any]) -> ModelReport:
    success = document.get("last_success")
    return ModelReport(
        sent=int(document.get("sent", 0)),
        failed=int(document.get("failed", 0)),
        last_error=document.get("last_error"),
        last_success=dt.datetime.fromisoformat(success) if success else None,
        is_down=bool(document.get(DOWN, False)),
    )
