"""Whole suites of users: how they isolate tests, make apps, and group tests."""

from __future__ import annotations

import typing as t

import pytest

if t.TYPE_CHECKING:
    from conftest import Suite

pytest_plugins = ["pytester"]

NewSuite: t.TypeAlias = "t.Callable[..., Suite]"

ISOLATIONS = ("session", "engines", "deletions")

#: What holds in any suite. All tests are run twice, to find what is left behind.
TESTS = """
    import pytest
    from signalbus import MessageRefusedError

    pytestmark = pytest.mark.parametrize("again", [False, True])


    def test_view_records_a_signal(client, recorded_signals, again):
        client.post("/orders/7")

        placed = recorded_signals.assert_recorded(OrderPlaced, order_id=7)
        assert placed.cents == 995
        recorded_signals.assert_not_recorded(MailSent)
        assert len(recorded_signals) == 1


    def test_view_is_rolled_back(app, recorded_signals, again):
        with app.app_context():
            db.session.add(OrderPlaced(order_id=7, cents=1))
            db.session.flush()
            db.session.rollback()

        recorded_signals.assert_not_recorded()


    def test_signal_is_sent(client, recorded_signals, flush_signals, again):
        client.post("/orders/7")
        (sent,) = flush_signals()

        assert (sent.exchange, sent.routing_key) == ("orders", "order.placed")
        assert sent.json == {"order_id": 7, "cents": 995}
        assert flush_signals() == []
        assert recorded_signals.assert_recorded(OrderPlaced).order_id == 7


    def test_sending_fails(client, memory_broker, flush_signals, again):
        memory_broker.refuse(lambda signal: signal.order_id == 7)
        client.post("/orders/7")
        client.post("/orders/8")

        with pytest.raises(MessageRefusedError):
            flush_signals()
        assert [sent.id for sent in memory_broker.sent] == ["order_placed:8"]
        memory_broker.recover()
        assert [sent.id for sent in flush_signals()] == ["order_placed:7"]


    def test_uncommitted_signals_are_not_sent(app, flush_signals, again):
        with app.app_context():
            db.session.add(OrderPlaced(order_id=6, cents=1))
            db.session.commit()
            if db.engine.dialect.name == "sqlite" and db.session.bind is None:
                return  # it would wait for this transaction to write
            db.session.add(OrderPlaced(order_id=7, cents=1))
            db.session.flush()

            assert [sent.id for sent in flush_signals()] == ["order_placed:6"]


    def test_pending_signals_are_counted(client, flush_signals, again):
        client.post("/orders/7")
        with flush_signals.joined():
            assert bus.count_pending([OrderPlaced]) == {OrderPlaced: 1}


    @pytest.mark.signalbus_autoflush
    def test_commit_sends(client, memory_broker, caplog, again):
        client.post("/orders/7")

        assert [sent.id for sent in memory_broker.sent] == ["order_placed:7"]
        assert [each for each in caplog.records if each.name == "signalbus"] == []


    @pytest.mark.signalbus_autoflush
    def test_commit_sends_nothing_while_the_broker_is_down(
        client, memory_broker, flush_signals, again
    ):
        memory_broker.available = False
        client.post("/orders/7")
        for _ in range(6):  # as after a long outage, which no slow test outlasts
            bus.breakers.record_failure("rabbitmq")
        memory_broker.available = True
        client.post("/orders/8")  # the breaker is open

        assert [sent.id for sent in flush_signals()] == [
            "order_placed:7",
            "order_placed:8",
        ]
"""


@pytest.mark.databases
@pytest.mark.parametrize("isolation", ISOLATIONS)
def test_fixtures_work_however_tests_are_isolated(
    new_suite: NewSuite, engine_url: str, isolation: str
) -> None:
    """Recording, sending, failing, counting and autoflushing: all of it, and twice."""
    new_suite(isolation, engine_url).run(TESTS).assert_outcomes(passed=16)


def test_savepoints_may_be_begun_again_and_again(new_suite: NewSuite) -> None:
    """As in suites that were written for SQLAlchemy 1."""
    new_suite("savepoints").run(
        """
        import pytest


        @pytest.mark.parametrize("again", [False, True])
        def test_orders(client, recorded_signals, flush_signals, again):
            for order_id in range(3):
                client.post(f"/orders/{order_id}")

            assert [placed.order_id for placed in recorded_signals] == [0, 1, 2]
            recorded_signals.uncommitted.assert_not_recorded()
            assert len(flush_signals()) == 3
        """
    ).assert_outcomes(passed=2)


@pytest.mark.databases("postgresql")
@pytest.mark.parametrize("bound", ["engines", "first engine", "session"])
def test_several_databases_are_kept_apart(
    new_suite: NewSuite, engine_url: str, other_url: str, bound: str
) -> None:
    """Each model is sent where it was committed: on a connection, or for good.

    A session that has one connection for all leaves the other databases alone.
    """
    suite = new_suite(None)
    suite.write(
        "shop",
        f"""
        from flask import Flask
        from flask_sqlalchemy import SQLAlchemy
        from signalbus import SignalBusMixin

        URL, OTHER_URL, BOUND = {engine_url!r}, {other_url!r}, {bound!r}
        """,
        """
        class Database(SignalBusMixin, SQLAlchemy):
            pass


        db = Database(session_options={"join_transaction_mode": "create_savepoint"})


        class Here(db.Model):
            id = db.Column(db.Integer, primary_key=True)
            signalbus_broker = "pigeons"


        class There(db.Model):
            __bind_key__ = "other"
            id = db.Column(db.Integer, primary_key=True)
            signalbus_broker = "pigeons"
        """,
    )
    suite.write(
        "conftest",
        """
        import pytest
        import sqlalchemy as sa
        import sqlalchemy.orm as sa_orm
        from flask import Flask
        from shop import *


        @pytest.fixture(scope="session")
        def app():
            app = Flask("shop")
            app.config["SQLALCHEMY_DATABASE_URI"] = URL
            app.config["SQLALCHEMY_BINDS"] = {"other": OTHER_URL}
            db.init_app(app)
            with app.app_context():
                other = db.engines["other"]
                sa.event.listen(other, "connect", let_sqlalchemy_begin)
                sa.event.listen(other, "begin", lambda c: c.exec_driver_sql("BEGIN"))
                db.create_all()
                yield app
                db.drop_all()
                for engine in db.engines.values():
                    engine.dispose()


        def let_sqlalchemy_begin(driver_connection, _):
            driver_connection.isolation_level = None


        @pytest.fixture(autouse=True)
        def rolled_back(app, monkeypatch):
            engines = db.engines
            connections = {key: engine.connect() for key, engine in engines.items()}
            transactions = [each.begin() for each in connections.values()]
            if BOUND == "engines":
                for key, connection in connections.items():
                    monkeypatch.setitem(engines, key, connection)
            elif BOUND == "first engine":
                monkeypatch.setitem(engines, None, connections[None])
            else:
                session = sa_orm.scoped_session(sa_orm.sessionmaker(connections[None]))
                monkeypatch.setattr(db, "session", session)
            yield
            db.session.remove()
            for transaction in transactions:
                transaction.rollback()
            for connection in connections.values():
                connection.close()
        """,
    )
    suite.run(
        """
        import pytest

        pytestmark = pytest.mark.parametrize("again", [False, True])
        models = [Here] if BOUND == "session" else [Here, There]


        def test_both(recorded_signals, flush_signals, again):
            db.session.add_all([model(id=1) for model in models])
            db.session.commit()

            assert len(recorded_signals) == len(models)
            assert {sent.model for sent in flush_signals()} == set(models)
            assert flush_signals() == []


        @pytest.mark.signalbus_autoflush
        def test_autoflush(memory_broker, again):
            db.session.add_all([model(id=1) for model in models])
            db.session.commit()

            assert [sent.model for sent in memory_broker.sent] == models
            assert db.session.query(Here).all() == []
        """
    ).assert_outcomes(passed=4)
