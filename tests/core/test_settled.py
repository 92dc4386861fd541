"""What became of a burst is written down in the transaction that deletes its rows."""

from __future__ import annotations

import sqlite3
import typing as t

import ledger
import pytest
import sqlalchemy as sa
from signalbus import BrokerUnavailableError
from signalbus import NoBrokerError
from signalbus import PartialDeliveryError
from signalbus import SignalBusError
from signalbus import hookimpl

if t.TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import PrimaryKey
    from signalbus.typing import SignalModel

METHODS = ["flush", "flushmany", "flushordered"]

Sent: t.TypeAlias = list["PrimaryKey"]
Failed: t.TypeAlias = dict["PrimaryKey", Exception]


class Clerk:
    """Keeps what became of each burst, and does what it is told to."""

    def __init__(self) -> None:
        """Begin with no bursts."""
        self.bursts: list[tuple[Sent, Failed]] = []
        self.models: list[SignalModel] = []
        self.act: t.Callable[[sa.Connection], object] = lambda _: None

    @hookimpl
    def signalbus_burst_settled(
        self,
        bus: SignalBus,
        model: SignalModel,
        connection: sa.Connection,
        sent: t.Sequence[PrimaryKey],
        failed: t.Mapping[PrimaryKey, Exception],
    ) -> None:
        """Keep the burst."""
        self.bursts.append((list(sent), dict(failed)))
        self.models.append(model)
        self.act(connection)


@pytest.fixture
def clerk(bus: SignalBus) -> Clerk:
    """Register a clerk."""
    clerk = Clerk()
    bus.plugin_manager.register(clerk)
    return clerk


@pytest.fixture
def entries(
    bus: SignalBus, db: SQLAlchemy, app_ctx: object
) -> t.Callable[[], list[tuple[str, int, str | None]]]:
    """Register the ledger, and return its entries: key, attempts, error."""
    ledger.metadata.create_all(db.engine)
    bus.plugin_manager.register(ledger)

    def read() -> list[tuple[str, int, str | None]]:
        table = ledger.ledger.c
        query = sa.select(table.key, table.attempts, table.error).order_by(table.key)
        with db.engine.connect() as connection:
            return [(*row,) for row in connection.execute(query)]

    return read


@pytest.fixture
def boom(wire: t.Any) -> ValueError:
    """Let the signal "bad" fail."""
    wire.failures["bad"] = ValueError("boom")
    return wire.failures["bad"]


@pytest.fixture
def partial(new_model: t.Any, wire: t.Any) -> SignalModel:
    """Declare a model whose sender knows which signals were not confirmed."""

    def send_signalbus_messages(cls: SignalModel, signals: t.Iterable[t.Any]) -> None:
        failures: dict[int, t.Any] = {}
        for position, signal in enumerate(signals):
            if error := wire.failures.get(signal.text):
                failures[position] = error
            else:
                wire.sent.append(signal.text)
        if failures:
            raise PartialDeliveryError(failures)

    return new_model(
        "Partial",
        form="row",
        signalbus_burst_count=3,
        send_signalbus_messages=classmethod(send_signalbus_messages),
    )


@pytest.mark.databases
@pytest.mark.parametrize("form", ["instance", "row"])
@pytest.mark.parametrize("burst", [True, False])
@pytest.mark.parametrize("method", METHODS)
def test_hook_signalbus_burst_settled(
    bus: SignalBus,
    new_model: t.Any,
    record: t.Any,
    clerk: Clerk,
    form: str,
    burst: bool,
    method: str,
) -> None:
    """Every burst is settled, with the keys of the signals that were confirmed."""
    model = new_model(form=form, burst=burst, signalbus_burst_count=2)
    record(model, "a", "b", "c")
    getattr(bus, method)()

    assert [([(1,), (2,)], {}), ([(3,)], {})] == clerk.bursts
    assert [model, model] == clerk.models


@pytest.mark.databases
@pytest.mark.parametrize("form", ["instance", "row"])
@pytest.mark.parametrize("method", METHODS)
def test_bursts_of_one_are_settled(
    bus: SignalBus,
    new_model: t.Any,
    record: t.Any,
    clerk: Clerk,
    form: str,
    method: str,
) -> None:
    """A model that is sent one signal at a time is settled one signal at a time."""
    record(new_model(form=form), "a", "b")
    getattr(bus, method)()

    assert [([(1,)], {}), ([(2,)], {})] == clerk.bursts


@pytest.mark.databases
@pytest.mark.parametrize("form", ["instance", "row"])
def test_autoflush_settles(
    db: SQLAlchemy, new_model: t.Any, clerk: Clerk, form: str
) -> None:
    """What a commit sends is settled, too."""
    model = new_model(form=form, signalbus_burst_count=10)
    db.session.add_all([model(id=1, text="a"), model(id=2, text="b")])
    db.session.commit()

    assert [([(1,), (2,)], {})] == clerk.bursts


@pytest.mark.databases
@pytest.mark.parametrize("form", ["instance", "row"])
@pytest.mark.parametrize("burst_count", [1, 10])
def test_rows_are_still_there(
    bus: SignalBus,
    new_model: t.Any,
    record: t.Any,
    clerk: Clerk,
    boom: ValueError,
    wire: t.Any,
    form: str,
    burst_count: int,
) -> None:
    """Plugins may read what was sent, and what failed, before it is deleted."""
    model = new_model(form=form, signalbus_burst_count=burst_count)
    record(model, "a", "bad")
    table = model.__table__
    seen: list[list[str]] = []

    def look(connection: sa.Connection) -> None:
        keys = [
            key for sent, failed in clerk.bursts[-1:] for (key,) in (*sent, *failed)
        ]
        query = sa.select(table.c.text).where(table.c.id.in_(keys)).order_by(table.c.id)
        seen.append(list(connection.scalars(query)))

    clerk.act = look
    with pytest.raises(ValueError, match="boom"):
        bus.flush()

    assert ["a", "bad"] == [text for texts in seen for text in texts]


@pytest.mark.databases("postgresql", "mariadb")
@pytest.mark.parametrize("form", ["instance", "row"])
@pytest.mark.parametrize("burst_count", [1, 10])
def test_locks_are_held(
    bus: SignalBus,
    db: SQLAlchemy,
    new_model: t.Any,
    record: t.Any,
    clerk: Clerk,
    form: str,
    burst_count: int,
) -> None:
    """Nobody else gets the rows of a burst that is being settled."""
    model = new_model(form=form, signalbus_burst_count=burst_count)
    record(model, "a")
    free: list[list[str]] = []

    def look(_: sa.Connection) -> None:
        query = sa.select(model.__table__.c.text).with_for_update(skip_locked=True)
        with db.engine.connect() as other:
            free.append(list(other.scalars(query)))

    clerk.act = look
    bus.flush()

    assert [[]] == free


@pytest.mark.databases
@pytest.mark.parametrize("form", ["instance", "row"])
@pytest.mark.parametrize("method", METHODS)
def test_failed_signals_are_settled(
    bus: SignalBus,
    new_model: t.Any,
    record: t.Any,
    pending: t.Any,
    clerk: Clerk,
    boom: ValueError,
    form: str,
    method: str,
) -> None:
    """A signal that failed is there with its exception, and its row stays."""
    model = new_model(form=form)
    record(model, "bad")
    with pytest.raises(ValueError, match="boom"):
        getattr(bus, method)()

    assert [([], {(1,): boom})] == clerk.bursts
    assert ["bad"] == pending(model)


@pytest.mark.databases
@pytest.mark.parametrize("method", ["flush", "flushmany"])
def test_partial_failures_are_settled(
    bus: SignalBus,
    partial: SignalModel,
    record: t.Any,
    clerk: Clerk,
    boom: ValueError,
    method: str,
) -> None:
    """What was confirmed and what was not are settled together."""
    record(partial, "a", "bad", "b")
    with pytest.raises(ValueError, match="boom"):
        getattr(bus, method)()

    assert [([(1,), (3,)], {(2,): boom})] == clerk.bursts


@pytest.mark.parametrize("form", ["instance", "row"])
def test_single_senders_settle_a_burst_as_a_whole(
    bus: SignalBus,
    new_model: t.Any,
    record: t.Any,
    clerk: Clerk,
    boom: ValueError,
    form: str,
) -> None:
    """Where the core sends one by one, it knows which of the burst failed."""
    record(new_model(form=form, signalbus_burst_count=3), "a", "bad", "b")
    with pytest.raises(ValueError, match="boom"):
        bus.flush()

    assert [([(1,), (3,)], {(2,): boom})] == clerk.bursts


@pytest.mark.databases
@pytest.mark.parametrize("form", ["instance", "row"])
def test_flushordered_settles_what_it_tried(
    bus: SignalBus,
    new_model: t.Any,
    record: t.Any,
    clerk: Clerk,
    boom: ValueError,
    form: str,
) -> None:
    """What is behind a signal that failed was neither sent nor did it fail."""
    record(new_model(form=form, signalbus_burst_count=10), "a", "bad", "b")
    with pytest.raises(ValueError, match="boom"):
        bus.flushordered()

    assert [(1,)] == [key for sent, _ in clerk.bursts for key in sent]
    assert [((2,), boom)] == [x for _, failed in clerk.bursts for x in failed.items()]


@pytest.mark.databases
@pytest.mark.parametrize("method", METHODS)
def test_unavailable_broker_settles_nothing(
    bus: SignalBus,
    new_model: t.Any,
    new_broker: t.Any,
    record: t.Any,
    clerk: Clerk,
    method: str,
) -> None:
    """Failures of the broker as a whole are not failures of its signals."""
    new_broker("pigeons").wire.cut = BrokerUnavailableError()
    record(new_model(form="pigeons", signalbus_burst_count=2), "a", "b", "c")
    with pytest.raises(BrokerUnavailableError):
        getattr(bus, method)()

    assert [] == clerk.bursts


def test_broker_that_goes_away_settles_what_it_confirmed(
    bus: SignalBus, new_model: t.Any, record: t.Any, clerk: Clerk, wire: t.Any
) -> None:
    """The signal at which the broker went away, and those behind it, did not fail."""
    record(new_model(signalbus_burst_count=3), "a", "gone", "b")
    wire.failures["gone"] = BrokerUnavailableError()
    with pytest.raises(BrokerUnavailableError):
        bus.flush()

    assert [([(1,)], {})] == clerk.bursts


def test_partial_failures_of_the_broker_are_left_out(
    bus: SignalBus,
    partial: SignalModel,
    record: t.Any,
    clerk: Clerk,
    wire: t.Any,
    boom: ValueError,
) -> None:
    """A signal that failed because the broker went away did not fail itself."""
    record(partial, "a", "bad", "gone")
    wire.failures["gone"] = BrokerUnavailableError()
    with pytest.raises((ValueError, BrokerUnavailableError)):
        bus.flush()

    assert [([(1,)], {(2,): boom})] == clerk.bursts


def test_model_without_its_broker_settles_nothing(
    bus: SignalBus, new_model: t.Any, record: t.Any, clerk: Clerk
) -> None:
    """That nobody sends a model is not a failure of its signals."""
    record(new_model(form="nobody"), "a")
    with pytest.raises(NoBrokerError):
        bus.flush()

    assert [] == clerk.bursts


@pytest.mark.databases
@pytest.mark.parametrize("form", ["instance", "row"])
@pytest.mark.parametrize("method", ["flush", "flushmany"])
def test_burst_that_is_sent_one_by_one_is_settled_one_by_one(
    bus: SignalBus,
    new_model: t.Any,
    record: t.Any,
    clerk: Clerk,
    boom: ValueError,
    form: str,
    method: str,
) -> None:
    """Of a burst whose result is unknown, each signal is settled once."""
    record(
        new_model(form=form, burst=True, signalbus_burst_count=3), "a", "bad", "b", "c"
    )
    with pytest.raises(ValueError, match="boom"):
        getattr(bus, method)()
    settled = [
        *([(1,)], {}),
        *([], {(2,): boom}),
        *([(3,)], {}),
        *([(4,)], {}),
    ]

    assert settled == [part for burst in clerk.bursts for part in burst]


@pytest.mark.databases
@pytest.mark.parametrize("burst_count", [1, 10])
def test_what_is_written_is_committed_with_the_deletion(
    bus: SignalBus,
    new_model: t.Any,
    record: t.Any,
    pending: t.Any,
    entries: t.Any,
    boom: ValueError,
    burst_count: int,
) -> None:
    """After the run, a ledger has an entry for each signal, whatever became of it."""
    model = new_model(signalbus_burst_count=burst_count)
    record(model, "a", "bad", "b")
    with pytest.raises(ValueError, match="boom"):
        bus.flush()

    assert [("1", 1, None), ("2", 1, "boom"), ("3", 1, None)] == entries()
    assert ["bad"] == pending(model)


@pytest.mark.databases
@pytest.mark.parametrize("burst", [True, False])
def test_attempts_are_counted(
    bus: SignalBus,
    new_model: t.Any,
    record: t.Any,
    entries: t.Any,
    boom: ValueError,
    wire: t.Any,
    burst: bool,
) -> None:
    """Each run that tries a signal is one attempt."""
    record(new_model(burst=burst, signalbus_burst_count=10), "a", "bad")
    for _ in range(2):
        with pytest.raises(ValueError, match="boom"):
            bus.flush()
    wire.failures.clear()
    bus.flush()

    assert [("1", 1, None), ("2", 3, None)] == entries()


@pytest.mark.databases
def test_composite_keys_are_tuples(
    bus: SignalBus,
    db: SQLAlchemy,
    new_model: t.Any,
    clerk: Clerk,
    boom: ValueError,
) -> None:
    """A key has the values of all columns of the primary key, in their order."""
    model = new_model(
        signalbus_burst_count=10,
        id=sa.Column(sa.Integer, primary_key=True, autoincrement=False),
        part=sa.Column(sa.String(10), primary_key=True),
    )
    db.session.add(model(id=1, part="x", text="a"))
    db.session.add(model(id=1, part="y", text="bad"))
    db.session.commit()
    sent = [key for keys, _ in clerk.bursts for key in keys]
    failed = {key: error for _, errors in clerk.bursts for key, error in errors.items()}

    assert [(1, "x")] == sent
    assert {(1, "y"): boom} == failed
    assert {tuple} == {type(key) for key in (*sent, *failed)}


@pytest.mark.databases
def test_models_that_are_deleted_by_the_session_are_settled(
    bus: SignalBus,
    new_model: t.Any,
    record: t.Any,
    entries: t.Any,
    boom: ValueError,
) -> None:
    """It makes no difference how the rows of a model are deleted."""
    model = new_model(signalbus_burst_count=10)
    sa.event.listen(model, "before_delete", lambda *_: None)
    record(model, "a", "bad", "b")
    with pytest.raises(ValueError, match="boom"):
        bus.flush()

    assert [("1", 1, None), ("2", 1, "boom"), ("3", 1, None)] == entries()


def _refuse_the_first_commit(db: SQLAlchemy, table: str) -> None:
    """Let the first transaction that deletes from *table* fail when it commits."""
    with db.engine.begin() as connection:
        connection.exec_driver_sql("CREATE SEQUENCE commits")
        connection.exec_driver_sql(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " IF nextval('commits') = 1 THEN"
            " RAISE EXCEPTION 'not yet' USING ERRCODE = '40001'; END IF;"
            " RETURN NULL; END $$"
        )
        connection.exec_driver_sql(
            f"CREATE CONSTRAINT TRIGGER refuse AFTER DELETE ON {table}"
            " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()"
        )


@pytest.mark.databases("postgresql")
@pytest.mark.parametrize("form", ["instance", "row"])
@pytest.mark.parametrize("burst_count", [1, 10])
def test_what_was_written_is_written_again_if_the_commit_fails(
    bus: SignalBus,
    db: SQLAlchemy,
    new_model: t.Any,
    record: t.Any,
    pending: t.Any,
    entries: t.Any,
    clerk: Clerk,
    wire: t.Any,
    form: str,
    burst_count: int,
) -> None:
    """The first entry is gone with its transaction; the repetition makes the only one.

    Nothing is sent twice.
    """
    model = new_model(form=form, signalbus_burst_count=burst_count)
    _refuse_the_first_commit(db, model.__table__.name)
    record(model, "a")

    assert 1 == bus.flush()
    assert [([(1,)], {})] * 2 == clerk.bursts
    assert [("1", 1, None)] == entries()
    assert ["a"] == wire.sent
    assert [] == pending(model)


KILL = {
    "postgresql": ("SELECT pg_backend_pid()", "SELECT pg_terminate_backend({}, 30000)"),
    "mariadb": ("SELECT connection_id()", "KILL {}"),
}


@pytest.mark.databases("postgresql", "mariadb")
@pytest.mark.parametrize("burst_count", [1, 10])
def test_what_was_written_is_written_again_if_the_connection_is_lost(
    bus: SignalBus,
    db: SQLAlchemy,
    new_model: t.Any,
    record: t.Any,
    pending: t.Any,
    entries: t.Any,
    clerk: Clerk,
    database: str,
    burst_count: int,
) -> None:
    """What a lost connection took with it is written once in the end."""
    which, kill = KILL[database]

    def lose(connection: sa.Connection) -> None:
        if len(clerk.bursts) == 1:
            number = connection.exec_driver_sql(which).scalar()
            with db.engine.connect() as other:
                other.exec_driver_sql(kill.format(number))

    clerk.act = lose
    model = new_model(signalbus_burst_count=burst_count)
    record(model, "a", "b")
    bus.flush()

    assert [("1", 1, None), ("2", 1, None)] == entries()
    assert [] == pending(model)


def _break(clerk: Clerk, error: Exception, times: int) -> None:
    """Let the clerk raise *error* the first *times*."""

    def act(_: sa.Connection) -> None:
        if len(clerk.bursts) <= times:
            raise error

    clerk.act = act


@pytest.mark.databases
@pytest.mark.parametrize("form", ["instance", "row"])
@pytest.mark.parametrize("burst_count", [1, 10])
@pytest.mark.parametrize("method", METHODS)
def test_plugin_that_raises_sends_nothing_twice(
    bus: SignalBus,
    new_model: t.Any,
    record: t.Any,
    pending: t.Any,
    clerk: Clerk,
    wire: t.Any,
    caplog: pytest.LogCaptureFixture,
    form: str,
    burst_count: int,
    method: str,
) -> None:
    """What was sent is deleted, whatever a plugin raises, which is logged."""
    _break(clerk, LookupError("no ink"), times=99)
    model = new_model(form=form, signalbus_burst_count=burst_count)
    record(model, "a", "b")

    assert 2 == getattr(bus, method)()
    assert ["a", "b"] == wire.sent
    assert [] == pending(model)
    assert "no ink" in caplog.text


@pytest.mark.databases
@pytest.mark.parametrize("burst_count", [1, 10])
def test_plugin_that_raised_is_called_once_more(
    bus: SignalBus,
    new_model: t.Any,
    record: t.Any,
    clerk: Clerk,
    entries: t.Any,
    caplog: pytest.LogCaptureFixture,
    burst_count: int,
) -> None:
    """The second time it may succeed; what was written the first time is gone."""
    _break(clerk, LookupError("no ink"), times=1)
    record(new_model(signalbus_burst_count=burst_count), "a")
    bus.flush()

    assert [([(1,)], {})] * 2 == clerk.bursts
    assert [("1", 1, None)] == entries()


@pytest.mark.databases
@pytest.mark.parametrize("early", [True, False])
def test_plugin_that_raises_does_not_keep_others_from_writing(
    bus: SignalBus,
    db: SQLAlchemy,
    new_model: t.Any,
    record: t.Any,
    entries: t.Any,
    early: bool,
) -> None:
    """In the end, what the other plugins wrote is committed with the deletion."""

    class Broken:
        @hookimpl(tryfirst=early, trylast=not early)
        def signalbus_burst_settled(self) -> None:
            raise LookupError("no ink")

    bus.plugin_manager.register(Broken())
    record(new_model(signalbus_burst_count=10), "a")
    bus.flush()

    assert [("1", 1, None)] == entries()


@pytest.mark.databases
@pytest.mark.parametrize("form", ["instance", "row"])
@pytest.mark.parametrize("burst_count", [1, 10])
def test_plugin_whose_table_is_missing_sends_nothing_twice(
    bus: SignalBus,
    new_model: t.Any,
    record: t.Any,
    pending: t.Any,
    wire: t.Any,
    caplog: pytest.LogCaptureFixture,
    form: str,
    burst_count: int,
) -> None:
    """A statement of a plugin that the database refuses does not keep the rows."""
    bus.plugin_manager.register(ledger)  # without its table
    model = new_model(form=form, signalbus_burst_count=burst_count)
    record(model, "a", "b")

    assert 2 == bus.flush()
    assert ["a", "b"] == wire.sent
    assert [] == pending(model)
    assert "ledger" in caplog.text


@pytest.mark.parametrize("burst_count", [1, 10])
def test_failed_signal_is_kept_when_a_plugin_raises(
    bus: SignalBus,
    new_model: t.Any,
    record: t.Any,
    pending: t.Any,
    clerk: Clerk,
    boom: ValueError,
    wire: t.Any,
    burst_count: int,
) -> None:
    """The run raises the sender's error; what failed is not tried again."""
    _break(clerk, LookupError("no ink"), times=99)
    model = new_model(signalbus_burst_count=burst_count)
    record(model, "a", "bad", "b")
    with pytest.raises(ValueError, match="boom"):
        bus.flush()

    assert ["bad"] == pending(model)
    assert [["a"], ["bad"], ["b"]] == wire.attempts


@pytest.mark.databases
@pytest.mark.parametrize("times", [1, 99])
@pytest.mark.parametrize("burst_count", [1, 10])
def test_transient_error_of_a_plugin_sends_nothing_twice(
    bus: SignalBus,
    new_model: t.Any,
    record: t.Any,
    pending: t.Any,
    clerk: Clerk,
    wire: t.Any,
    database: str,
    times: int,
    burst_count: int,
) -> None:
    """A deadlock of what a plugin writes is no reason to send a burst again."""

    def act(connection: sa.Connection) -> None:
        if len(clerk.bursts) <= times:
            _lose_a_race(connection, database)

    clerk.act = act
    model = new_model(signalbus_burst_count=burst_count)
    record(model, "a", "b")

    assert 2 == bus.flush()
    assert ["a", "b"] == wire.sent
    assert [] == pending(model)


@pytest.mark.databases
def test_what_lost_a_race_is_written_when_repeated(
    bus: SignalBus,
    new_model: t.Any,
    record: t.Any,
    clerk: Clerk,
    entries: t.Any,
    database: str,
) -> None:
    """After a deadlock, the entries are made in the next transaction, once."""

    def act(connection: sa.Connection) -> None:
        if len(clerk.bursts) == 1:
            _lose_a_race(connection, database)

    clerk.act = act
    record(new_model(signalbus_burst_count=10), "a", "b")
    bus.flush()

    assert [("1", 1, None), ("2", 1, None)] == entries()


def _lose_a_race(connection: sa.Connection, database: str) -> None:
    """Raise what the database raises for a transaction that lost a race."""
    if database == "sqlite":
        locked = sqlite3.OperationalError("database is locked")
        raise sa.exc.OperationalError("UPDATE", {}, locked)
    connection.exec_driver_sql(
        "DO $$ BEGIN RAISE EXCEPTION 'deadlock' USING ERRCODE = '40P01'; END $$"
        if database == "postgresql"
        else "SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213"
    )


def test_plugin_that_is_interrupted_ends_the_run(
    bus: SignalBus, greeting: SignalModel, record: t.Any, clerk: Clerk, pending: t.Any
) -> None:
    """An interrupt is not a failure of the plugin: it is raised."""

    def act(_: sa.Connection) -> None:
        raise KeyboardInterrupt

    clerk.act = act
    record(greeting, "a", "b")
    with pytest.raises(KeyboardInterrupt):
        bus.flush()

    assert "b" in pending(greeting)


class Broken(sa.TypeDecorator[str]):
    """Text that refuses to be read where it says ``broken``."""

    impl = sa.String(50)
    cache_ok = True

    def process_result_value(self, value: str | None, dialect: object) -> str | None:
        """Refuse what is broken."""
        if value == "broken":
            raise ValueError("this value is broken")
        return value


@pytest.mark.databases
@pytest.mark.parametrize("form", ["instance", "row"])
@pytest.mark.parametrize("burst_count", [1, 10])
def test_signal_that_cannot_be_read_is_settled(
    bus: SignalBus,
    db: SQLAlchemy,
    new_model: t.Any,
    entries: t.Any,
    form: str,
    burst_count: int,
) -> None:
    """Its attempt is counted, like that of a signal that cannot be sent."""
    model = new_model(
        form=form, more=sa.Column(Broken), signalbus_burst_count=burst_count
    )
    rows = [{"text": "a", "more": ""}, {"text": "b", "more": "broken"}]
    with db.engine.begin() as connection:
        connection.execute(sa.insert(model.__table__), rows)
    with pytest.raises(ValueError, match="broken"):
        bus.flush()

    assert [("1", 1, None), ("2", 1, "this value is broken")] == entries()


@pytest.mark.databases
@pytest.mark.parametrize("form", ["instance", "row"])
def test_rows_beside_one_that_resists_its_deletion_are_settled_once(
    bus: SignalBus,
    db: SQLAlchemy,
    new_model: t.Any,
    record: t.Any,
    entries: t.Any,
    wire: t.Any,
    form: str,
) -> None:
    """Where rows are deleted one by one, each has its entry with its deletion."""
    model = new_model(form=form, signalbus_burst_count=10)
    record(model, "a", "kept", "b")
    _keep_the_second_row(db, model)
    with pytest.raises(sa.exc.SQLAlchemyError):
        bus.flush()
    written = {key: (attempts, error) for key, attempts, error in entries()}

    assert ["a", "kept", "b"] == wire.sent
    assert [(1, None), (1, None)] == [written["1"], written["3"]]


def _keep_the_second_row(db: SQLAlchemy, model: SignalModel) -> None:
    """Let a foreign key hold the second row of a model's table."""
    if db.engine.name == "sqlite":
        db.engine.dispose()
        sa.event.listen(
            db.engine,
            "connect",
            lambda connection, _: connection.execute("PRAGMA foreign_keys = ON"),
        )
    table = model.__table__.name
    with db.engine.begin() as connection:
        connection.exec_driver_sql(
            f"CREATE TABLE guard (id INTEGER, FOREIGN KEY (id) REFERENCES {table} (id))"
        )
        connection.exec_driver_sql("INSERT INTO guard VALUES (2)")


def test_errors_of_signals_are_exceptions(
    bus: SignalBus, partial: SignalModel, record: t.Any, clerk: Clerk, wire: t.Any
) -> None:
    """What a sender gives as the reason is what the plugin gets."""
    reasons = {"x": SignalBusError("x"), "y": LookupError("y")}
    wire.failures.update(reasons)
    record(partial, "x", "y")
    with pytest.raises(SignalBusError):
        bus.flush()

    assert {(1,): reasons["x"], (2,): reasons["y"]} == clerk.bursts[0][1]
