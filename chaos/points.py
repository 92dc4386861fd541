"""The named points of a burst and of a commit, at which a process kills itself.

``CHAOS_POINT`` names one of :data:`POINTS`, ``CHAOS_POINT_COUNT`` says how many times
it is passed before. That counts while the file ``CHAOS_ARMED`` exists.
"""

from __future__ import annotations

import os
import signal
import typing as t
from pathlib import Path

import sqlalchemy as sa
from signalbus import hookimpl

if t.TYPE_CHECKING:
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus

#: Where plugins have written what became of a burst.
SETTLED: t.Final = "after settling"

#: In the order in which a transaction and its signals pass them.
POINTS: t.Final = (
    "before the commit that records",
    "after the commit that records",
    "after lock",
    "while sending",
    "after sending",
    SETTLED,
    "after delete",
    "before the commit that deletes",
    "after the commit that deletes",
)

_point = os.environ.get("CHAOS_POINT")
_left = int(os.environ.get("CHAOS_POINT_COUNT", "0"))


def reach(point: str) -> None:
    """Kill this process, if it is at its point for the last time."""
    global _left  # noqa: PLW0603 a process dies but once
    if point != _point or not Path(os.environ["CHAOS_ARMED"]).exists():
        return
    if _left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    _left -= 1


class Points:
    """Reaches the points of a burst that hooks see."""

    @hookimpl
    def signalbus_committed(self) -> None:
        """Pass the first commit."""
        reach("after the commit that records")

    @hookimpl(wrapper=True)
    def signalbus_send_burst(self) -> t.Generator[None, object, object]:
        """Pass the sending."""
        reach("after lock")
        result = yield
        reach("after sending")
        return result

    @hookimpl(tryfirst=True)
    def signalbus_burst_sent(self) -> None:
        """Pass the second commit."""
        reach("after the commit that deletes")


class Settled:
    """Reaches the point where plugins have written what became of a burst.

    While there is such a plugin, no burst of one row deletes it as it locks it.
    """

    @hookimpl(trylast=True)
    def signalbus_burst_settled(self) -> None:
        """Pass what the plugins write."""
        reach(SETTLED)


def install(app: Flask, db: SQLAlchemy, bus: SignalBus) -> None:
    """Watch for the point of this process, if it has one."""
    if _point is None:
        return
    if _point not in POINTS:
        raise ValueError(f"There is no point {_point!r}. Choose one of {POINTS}.")
    bus.plugin_manager.register(Points())
    if _point == SETTLED:
        bus.plugin_manager.register(Settled())
    with app.app_context():
        _watch(db.engine)
    sa.event.listen(db.session, "before_commit", lambda _: reach(POINTS[0]))


def _watch(engine: sa.Engine) -> None:
    """Reach the points that only the database sees."""
    deleting: set[sa.Connection] = set()

    @sa.event.listens_for(engine, "after_cursor_execute")
    def executed(connection: sa.Connection, __: object, text: str, *_: object) -> None:
        if text.lstrip().upper().startswith("DELETE"):
            deleting.add(connection)
            reach("after delete")

    @sa.event.listens_for(engine, "commit")
    def commits(connection: sa.Connection) -> None:
        if connection in deleting:
            deleting.discard(connection)
            reach("before the commit that deletes")

    @sa.event.listens_for(engine, "rollback")
    def rolls_back(connection: sa.Connection) -> None:
        deleting.discard(connection)
