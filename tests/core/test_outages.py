"""A database that is down, or that refuses us, is one failure of a run."""

from __future__ import annotations

import contextlib
import logging
import socket
import typing as t

import psycopg
import pytest
import sqlalchemy as sa
from flask_sqlalchemy import SQLAlchemy
from signalbus import SignalBus
from signalbus import hookimpl
from signalbus._sql import errors

if t.TYPE_CHECKING:
    from pathlib import Path

METHODS = ["flush", "flushmany", "flushordered"]

DRIVERS = {
    "psycopg": "postgresql+psycopg",
    "psycopg2": "postgresql+psycopg2",
    "pymysql": "mysql+pymysql",
}


@pytest.fixture
def free_port() -> int:
    """Give a port at which nobody listens."""
    with contextlib.closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        return t.cast("int", listener.getsockname()[1])


NAMES = ("First", "Second", "Third")


@pytest.fixture
def new_bus(new_app: t.Any) -> t.Iterator[t.Callable[[str | sa.URL], SignalBus]]:
    """Give a bus with three models in a database that may not be there."""
    with contextlib.ExitStack() as stack:

        def make(url: str | sa.URL) -> SignalBus:
            app = new_app(url)
            db = SQLAlchemy(app)
            bus = SignalBus(db)
            for name in NAMES:
                _declare(db, name)
            stack.enter_context(app.app_context())
            return bus

        yield make


def _declare(db: SQLAlchemy, name: str, bind_key: str | None = None) -> type[t.Any]:
    attributes = {
        "__bind_key__": bind_key,
        "id": sa.Column(sa.Integer, primary_key=True),
        "send_signalbus_message": lambda self: None,
    }
    return type(name, (db.Model,), attributes)


@pytest.fixture
def servers(postgresql: t.Any, mariadb: t.Any) -> dict[str, sa.URL]:
    """Give the URLs of databases that are there, by driver."""
    urls = {"postgresql": postgresql.url, "mysql": mariadb.url}
    return {
        name: sa.make_url(urls[driver.split("+")[0]]).set(drivername=driver)
        for name, driver in DRIVERS.items()
    }


#: What is wrong with a URL that nobody but the user can put right.
REFUSED: dict[str, dict[str, t.Any]] = {
    "database": {"database": "signalbus_nowhere"},
    "password": {"username": "signalbus_nobody", "password": "wrong"},
    "host": {"host": "nowhere.invalid"},
}


def _lines(caplog: pytest.LogCaptureFixture) -> list[tuple[int, str]]:
    return [
        (each.levelno, each.getMessage())
        for each in caplog.records
        if each.name == "signalbus"
    ]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("refused", REFUSED)
@pytest.mark.parametrize("driver", DRIVERS)
def test_database_that_refuses_us_is_not_tried_again(
    servers: dict[str, sa.URL],
    new_bus: t.Any,
    caplog: pytest.LogCaptureFixture,
    driver: str,
    refused: str,
    method: str,
) -> None:
    """A wrong URL fails at once, with one line that names all models."""
    bus = new_bus(servers[driver].set(**REFUSED[refused]))
    with pytest.raises(sa.exc.OperationalError):
        getattr(bus, method)()
    ((level, line),) = _lines(caplog)

    assert logging.ERROR == level
    assert line.startswith(
        "The database is unavailable, the signals of First, Second, Third stay"
        " pending: OperationalError: "
    )


@pytest.mark.parametrize("method", METHODS)
def test_database_that_cannot_be_opened_is_not_tried_again(
    new_bus: t.Any, tmp_path: Path, caplog: pytest.LogCaptureFixture, method: str
) -> None:
    """So does a file in a folder that does not exist."""
    bus = new_bus(f"sqlite:///{tmp_path / 'no' / 'such.sqlite'}")
    with pytest.raises(sa.exc.OperationalError, match="unable to open"):
        getattr(bus, method)()

    assert 1 == len(_lines(caplog))


@pytest.mark.parametrize("driver", DRIVERS)
def test_database_that_is_down_is_waited_for_once(
    servers: dict[str, sa.URL],
    new_bus: t.Any,
    free_port: int,
    caplog: pytest.LogCaptureFixture,
    driver: str,
) -> None:
    """A server that does not listen may be back soon; two lines tell of it."""
    bus = new_bus(servers[driver].set(port=free_port))
    with pytest.raises(sa.exc.OperationalError) as caught:
        bus.flushmany()
    ((first, trying), (second, line)) = _lines(caplog)

    assert (logging.WARNING, logging.ERROR) == (first, second)
    assert trying.startswith("Trying again after: OperationalError: ")
    assert "First, Second, Third" in line
    assert [line] == caught.value.__notes__
    assert 1 == line.lower().count("refused")


class Saboteur:
    """Loses the database while signals are sent."""

    def __init__(self, lose: t.Callable[[], object]) -> None:
        """Call *lose* at the first burst."""
        self.lose = lose
        self.asked: list[str] = []

    @hookimpl(wrapper=True)
    def signalbus_send_burst(self, model: type) -> t.Generator[None, t.Any, t.Any]:
        """Keep the name of the model."""
        self.asked.append(model.__name__)
        self.lose()
        return (yield)


@pytest.mark.databases("postgresql")
def test_database_that_is_lost_in_mid_run_is_one_failure(
    engine_url: str,
    postgresql: t.Any,
    new_bus: t.Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The models that come later are not tried, and named with the first."""
    url = sa.make_url(engine_url).update_query_dict({"application_name": "flusher"})
    bus = new_bus(url)
    engine = bus.db.engine
    bus.db.create_all()
    with engine.begin() as connection:
        for name in NAMES:
            connection.exec_driver_sql(f"INSERT INTO {name} VALUES (1)")  # noqa: S608 our own name

    def refuse(*_: object) -> None:
        raise psycopg.OperationalError("Connection refused")

    def lose() -> None:
        sa.event.listen(engine, "do_connect", refuse)
        postgresql.execute(
            "SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity"  # noqa: S608 our own name
            " WHERE application_name = 'flusher'"
            f" AND datname = '{postgresql.name}'"
        )

    saboteur = Saboteur(lose)
    bus.plugin_manager.register(saboteur)
    with pytest.raises(sa.exc.OperationalError):
        bus.flushmany()
    (line,) = [line for level, line in _lines(caplog) if level == logging.ERROR]

    assert ["First"] == saboteur.asked
    assert "the signals of First, Second, Third stay pending" in line


def test_models_of_another_database_go_on(
    new_app: t.Any, engine_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Each database has its line, and those that are there are flushed."""
    nowhere = f"sqlite:///{tmp_path / 'no' / 'such.sqlite'}"
    app = new_app(engine_url, SQLALCHEMY_BINDS={"gone": nowhere})
    db = SQLAlchemy(app)
    bus = SignalBus(db)
    bus.autoflush = False
    models = [_declare(db, "A", "gone"), _declare(db, "B"), _declare(db, "C", "gone")]
    with app.app_context():
        db.create_all(bind_key=None)
        db.session.add(models[1]())
        db.session.commit()
        with pytest.raises(sa.exc.OperationalError):
            bus.flush()

        assert {models[1]: 0} == bus.count_pending([models[1]])
    ((_, line),) = _lines(caplog)
    assert line.startswith(
        "The database 'gone' is unavailable, the signals of A, C stay pending: "
    )


@pytest.mark.parametrize("refused", [*REFUSED, "port"])
@pytest.mark.parametrize("driver", DRIVERS)
def test_what_passes_is_told_from_what_does_not(
    servers: dict[str, sa.URL], free_port: int, driver: str, refused: str
) -> None:
    """What the drivers really raise: only a server that is not there may come back."""
    change = {**REFUSED, "port": {"port": free_port}}[refused]
    engine = sa.create_engine(servers[driver].set(**change), poolclass=sa.NullPool)
    with pytest.raises(sa.exc.OperationalError) as caught:
        engine.connect()

    assert (refused == "port") is errors.is_transient(caught.value)
    assert errors.is_outage(caught.value)


@pytest.mark.databases
def test_other_errors_of_a_database_are_no_outage(engine_url: str) -> None:
    """A statement that is wrong says nothing about the others."""
    engine = sa.create_engine(engine_url, poolclass=sa.NullPool)
    with (
        engine.connect() as connection,
        pytest.raises(sa.exc.DBAPIError) as caught,
    ):
        connection.exec_driver_sql("SELECT nothing FROM nowhere")

    assert not errors.is_outage(caught.value)
    assert not errors.is_transient(caught.value)
