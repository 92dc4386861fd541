"""After a fork: what the manual tells the child to do is enough."""

from __future__ import annotations

import os
import signal
import threading
import typing as t

import pytest
import sqlalchemy as sa
from signalbus.breakers import CircuitBreakers

if t.TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import SignalModel

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="There is no fork here."),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]


def in_a_child(work: t.Callable[[], object]) -> int:
    """Do *work* in a forked process, and return its exit status."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:  # noqa: BLE001 the child must not run other tests
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1]


def test_fork_may_come_while_a_thread_is_at_the_circuit_breakers() -> None:
    """The child does not wait for a thread that it does not have."""
    breakers = CircuitBreakers()
    is_there, go_on = threading.Event(), threading.Event()

    class Sender:
        def __hash__(self) -> int:
            is_there.set()
            go_on.wait()
            return 7

    thread = threading.Thread(target=breakers.record_failure, args=[Sender()])
    thread.start()
    is_there.wait()

    def work() -> None:
        signal.alarm(10)
        breakers.record_failure("broker")
        assert not breakers.is_closed("broker")

    status = in_a_child(work)
    go_on.set()
    thread.join()

    assert 0 == status


#: How a connection is told from others.
NUMBER = {"postgresql": "pg_backend_pid()", "mysql": "connection_id()"}


def connection_number(db: SQLAlchemy) -> int:
    """Return the number of the connection that the pool lends next."""
    with db.engine.connect() as connection:
        return connection.scalar(sa.text(f"SELECT {NUMBER[connection.dialect.name]}"))


@pytest.mark.databases("postgresql", "mariadb")
def test_child_that_disposes_its_engines_has_connections_of_its_own(
    db: SQLAlchemy, bus: SignalBus, greeting: SignalModel, record: t.Any, wire: t.Any
) -> None:
    """It flushes and autoflushes, and the parent goes on with what it had."""
    record(greeting, "pending")
    number = connection_number(db)

    def work() -> None:
        for engine in db.engines.values():
            engine.dispose(close=False)
        assert number != connection_number(db)
        assert 1 == bus.flushmany()
        db.session.add(greeting(text="committed"))
        db.session.commit()
        assert ["pending", "committed"] == wire.sent

    assert 0 == in_a_child(work)
    assert number == connection_number(db)
    assert {greeting: 0} == bus.count_pending()
