"""Find out whether a test keeps a transaction open around the app's commits."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa

if t.TYPE_CHECKING:
    from signalbus import Declaration
    from signalbus import SignalBus


def outer_connection(bus: SignalBus, declaration: Declaration) -> sa.Connection | None:
    """Return the only connection on which the app's commits of a model are visible.

    ``None`` if the commits are real. Otherwise, the test has bound the session to a
    connection, or has replaced the engine by one. A session that is bound to a
    connection uses it for the models of other databases, too; they are ignored.
    """
    bind = bus.db.session.get_bind(declaration.mapper)
    if not isinstance(bind, sa.Connection):
        return None
    engines = {id(each): key for key, each in bus.db.engines.items()}
    key = engines.get(id(bind.engine), declaration.bind_key)
    return bind if key == declaration.bind_key else None
