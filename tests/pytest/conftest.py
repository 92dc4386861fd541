"""Models to record signals of; and whole suites, as users would write them.

A test that takes ``recorded_signals`` and its siblings uses the plugin itself. One that
takes ``suite`` writes files into a folder of its own, and runs pytest there.
"""

from __future__ import annotations

import textwrap
import typing as t

import pytest
import sqlalchemy as sa
import sqlalchemy.orm as sa_orm

if t.TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import SignalModel

#: An app with signals, and a view that records one.
SHOP = """
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from sqlalchemy.orm import Mapped
    from sqlalchemy.orm import mapped_column

    db = SQLAlchemy()
    bus = SignalBus(db)


    class OrderPlaced(db.Model):
        order_id: Mapped[int] = mapped_column(primary_key=True)
        cents: Mapped[int]
        signalbus_broker = "rabbitmq"
        signalbus_exchange = "orders"
        signalbus_routing_key = "order.placed"


    class MailSent(db.Model):
        order_id: Mapped[int] = mapped_column(primary_key=True)

        def send_signalbus_message(self):
            raise ConnectionError("Tests cannot send mail.")


    def create_app(url):
        app = Flask("shop")
        app.config.update(SQLALCHEMY_DATABASE_URI=url, TESTING=True)
        db.init_app(app)
        bus.init_app(app)

        @app.post("/orders/<int:order_id>")
        def place_order(order_id):
            db.session.add(OrderPlaced(order_id=order_id, cents=995))
            db.session.commit()
            if order_id == 13:
                raise LookupError(order_id)
            return "", 201

        return app
"""

#: What all suites have: an app, its tables, and a client.
APP = """
    import os

    import pytest
    import sqlalchemy as sa
    import sqlalchemy.orm as sa_orm
    from shop import create_app
    from shop import db


    @pytest.fixture(scope="session")
    def app():
        worker = os.environ.get("PYTEST_XDIST_WORKER", "")
        app = create_app(os.environ["SHOP_URL"].replace("WORKER", worker))
        with app.app_context():
            if db.engine.dialect.name == "sqlite":
                sa.event.listen(db.engine, "connect", let_sqlalchemy_begin)
                sa.event.listen(db.engine, "begin", begin)
            db.create_all()
        yield app
        with app.app_context():
            db.drop_all()
            db.engine.dispose()


    def let_sqlalchemy_begin(driver_connection, _):
        driver_connection.isolation_level = None


    def begin(connection):
        connection.exec_driver_sql("BEGIN")


    @pytest.fixture
    def client(app):
        return app.test_client()
"""

#: How suites leave nothing behind in the database.
ISOLATION = {
    # The session is replaced by one on a connection with an outer transaction.
    "session": """
    @pytest.fixture(autouse=True)
    def rolled_back(app, monkeypatch):
        with app.app_context():
            connection = db.engine.connect()
        transaction = connection.begin()
        sessions = sa_orm.sessionmaker(
            connection, join_transaction_mode="create_savepoint"
        )
        monkeypatch.setattr(db, "session", sa_orm.scoped_session(sessions))
        yield
        db.session.remove()
        transaction.rollback()
        connection.close()
    """,
    # The engine is replaced by a connection with an outer transaction.
    "engines": """
    @pytest.fixture(autouse=True)
    def rolled_back(app, monkeypatch):
        with app.app_context():
            engines = db.engines
            connection = db.engine.connect()
        transaction = connection.begin()
        monkeypatch.setitem(engines, None, connection)
        monkeypatch.setitem(
            db.session.session_factory.kw, "join_transaction_mode", "create_savepoint"
        )
        yield
        transaction.rollback()
        connection.close()
    """,
    # The session gets a new savepoint whenever one ends, as SQLAlchemy 1 needed it.
    "savepoints": """
    @pytest.fixture(autouse=True)
    def rolled_back(app, monkeypatch):
        with app.app_context():
            connection = db.engine.connect()
        transaction = connection.begin()
        session = sa_orm.scoped_session(sa_orm.sessionmaker(connection))
        session.begin_nested()

        @sa.event.listens_for(session(), "after_transaction_end")
        def restart(own, ended):
            if ended.nested and not ended._parent.nested:
                own.expire_all()
                own.begin_nested()

        monkeypatch.setattr(db, "session", session)
        monkeypatch.setattr(session, "remove", lambda: None)  # requests would end it
        yield
        session.close()
        transaction.rollback()
        connection.close()
    """,
    # Everything is committed, and the tables are emptied.
    "deletions": """
    @pytest.fixture(autouse=True)
    def emptied(app):
        yield
        with app.app_context():
            for table in db.metadata.tables.values():
                db.session.execute(table.delete())
            db.session.commit()
    """,
}


class Suite:
    """A suite of a user, in a folder of its own."""

    def __init__(self, pytester: pytest.Pytester, isolation: str | None) -> None:
        """Write an app, and fixtures for it."""
        self.pytester = pytester
        self.write("shop", SHOP)
        if isolation is not None:
            self.write("conftest", APP, ISOLATION[isolation])

    def write(self, module: str, *texts: str) -> None:
        """Write a module."""
        source = "\n\n".join(map(textwrap.dedent, texts))
        self.pytester.makepyfile(**{module: source})

    def run(self, *texts: str, options: t.Sequence[str] = ()) -> pytest.RunResult:
        """Run a module of tests."""
        self.write("test_shop", "from shop import *", *texts)
        self.pytester.syspathinsert()
        plain = ("-q", "-W", "error", "-p", "no:randomly", "-p", "no:cacheprovider")
        return self.pytester.runpytest_subprocess(*plain, *options)


@pytest.fixture
def new_suite(
    pytester: pytest.Pytester, tmp_path: t.Any, monkeypatch: pytest.MonkeyPatch
) -> t.Callable[..., Suite]:
    """Make a suite with ``new_suite(isolation, url)``."""

    def make(isolation: str | None = "session", url: str | None = None) -> Suite:
        sqlite = f"sqlite:///{tmp_path / 'shopWORKER.sqlite'}"
        monkeypatch.setenv("SHOP_URL", url or sqlite)
        return Suite(pytester, isolation)

    return make


@pytest.fixture
def suite(new_suite: t.Callable[..., Suite]) -> Suite:
    """Give a suite on SQLite that rolls back what each test has done."""
    return new_suite()


@pytest.fixture
def signalbus_bus(bus: SignalBus, app_ctx: object) -> SignalBus:
    """Let the fixtures of the plugin have the bus of these tests."""
    return bus


@pytest.fixture
def order_placed(signalbus_bus: SignalBus, db: SQLAlchemy) -> SignalModel:
    """Declare a signal model of a broker that is not installed."""

    class OrderPlaced(db.Model):  # type: ignore[misc,name-defined]
        order_id: sa_orm.Mapped[int] = sa_orm.mapped_column(primary_key=True)
        cents: sa_orm.Mapped[int]
        note: sa_orm.Mapped[t.Any] = sa_orm.mapped_column(sa.JSON, nullable=True)

        signalbus_broker = "pigeons"
        signalbus_burst_count = 10

    db.create_all()
    return OrderPlaced


@pytest.fixture
def order_paid(signalbus_bus: SignalBus, db: SQLAlchemy) -> SignalModel:
    """Declare another signal model, which has a method of its own."""

    class OrderPaid(db.Model):  # type: ignore[misc,name-defined]
        order_id: sa_orm.Mapped[int] = sa_orm.mapped_column(primary_key=True)
        cents: sa_orm.Mapped[int]
        count: sa_orm.Mapped[int] = sa_orm.mapped_column(default=1)

        @classmethod
        def send_signalbus_message(cls, signal: t.Any) -> None:
            """Send nothing."""

    db.create_all()
    return OrderPaid


@pytest.fixture
def commit(db: SQLAlchemy) -> t.Callable[..., None]:
    """Record signals with ``commit(*signals)``."""

    def record(*signals: object) -> None:
        db.session.add_all(signals)
        db.session.commit()

    return record


@pytest.fixture
def rolled_back(
    app_ctx: object, db: SQLAlchemy, monkeypatch: pytest.MonkeyPatch
) -> t.Iterator[sa.Connection]:
    """Keep a transaction open around all that the session commits."""
    sa.event.listen(db.engine, "connect", _let_sqlalchemy_begin)
    sa.event.listen(db.engine, "begin", _begin)
    connection = db.engine.connect()
    transaction = connection.begin()
    sessions = sa_orm.sessionmaker(connection, join_transaction_mode="create_savepoint")
    monkeypatch.setattr(db, "session", sa_orm.scoped_session(sessions))
    yield connection
    db.session.remove()
    transaction.rollback()
    connection.close()


def _let_sqlalchemy_begin(driver_connection: t.Any, _: object) -> None:
    """Keep SQLite's driver from it: it begins too late for savepoints."""
    driver_connection.isolation_level = None


def _begin(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN")
