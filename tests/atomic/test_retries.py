"""A block that loses a race runs again, from a clean session."""

from __future__ import annotations

import typing as t

import pytest
import sqlalchemy as sa
from flask_sqlalchemy.session import Session
from signalbus import DBSerializationError

if t.TYPE_CHECKING:
    from flask import Flask
    from signalbus_atomic import AtomicProceduresMixin

pytestmark = pytest.mark.usefixtures("waits")


def losing(times: int, error: Exception) -> t.Any:
    """Return a function that raises *error* so many *times*, and counts its calls."""

    def function() -> None:
        function.calls += 1
        if function.calls <= times:
            raise error

    function.calls = 0
    return function


def test_every_kind_of_race_is_tried_again(
    db: AtomicProceduresMixin, app_ctx: object, race: sa.exc.DBAPIError
) -> None:
    """Whatever the database calls it, a lost race is run again."""
    function = losing(2, race)

    db.atomic(function)()

    assert 3 == function.calls


def test_other_errors_are_not(db: AtomicProceduresMixin, app_ctx: object) -> None:
    """An error that is no race is raised at once."""
    function = losing(1, LookupError())

    with pytest.raises(LookupError):
        db.atomic(function)()
    assert 1 == function.calls


def test_the_last_error_is_raised(
    db: AtomicProceduresMixin, app_ctx: object, waits: list[float]
) -> None:
    """When the tries are used up, the caller gets the last error."""
    errors = [DBSerializationError(str(number)) for number in range(3)]
    left = iter(errors)

    @db.atomic(tries=3)
    def always_losing() -> t.NoReturn:
        raise next(left)

    with pytest.raises(DBSerializationError) as caught:
        always_losing()
    assert errors[-1] is caught.value
    assert 2 == len(waits)


def test_waits_grow(
    db: AtomicProceduresMixin, app_ctx: object, waits: list[float]
) -> None:
    """Every wait is longer than a half of its double, and none is endless."""
    db.atomic(losing(19, DBSerializationError()))()

    assert 19 == len(waits)
    assert waits[0] <= 0.01
    assert waits[8] > waits[3] > waits[1]
    assert max(waits) <= 0.5


def test_the_extension_sets_the_tries(
    db: AtomicProceduresMixin, new_app: t.Callable[..., Flask], engine_url: str
) -> None:
    """``atomic_tries`` holds for all blocks that do not say otherwise."""
    app = new_app(engine_url)
    impatient = type(db)(app, atomic_tries=1)
    function = losing(1, DBSerializationError())

    with app.app_context(), pytest.raises(DBSerializationError):
        impatient.atomic(function)()
    assert 1 == function.calls


@pytest.mark.parametrize("tries", [0, -1, 1.5, "3"])
def test_a_number_of_tries_is_a_positive_integer(
    db: AtomicProceduresMixin, tries: t.Any
) -> None:
    """Other numbers of tries are refused, by the decorator and by the extension."""
    with pytest.raises(ValueError, match="positive integer"):
        db.atomic(tries=tries)
    with pytest.raises(ValueError, match="positive integer"):
        type(db)(atomic_tries=tries)


def test_every_try_starts_clean(
    db: AtomicProceduresMixin,
    account: type[t.Any],
    saved: t.Callable[[], dict[int, int]],
) -> None:
    """A try sees nothing of what an earlier one added, changed or deleted."""
    db.atomic(lambda: db.session.add_all([account(id=1), account(id=2)]))()
    seen = []

    @db.atomic
    def spoil() -> None:
        seen.append([list(db.session.new), list(db.session.dirty), saved()])
        db.session.get(account, 1).balance += 1
        db.session.delete(db.session.get(account, 2))
        db.session.flush()
        db.session.add(account(id=3))
        if len(seen) < 3:
            raise DBSerializationError

    spoil()
    assert [[[], [], {1: 0, 2: 0}]] * 3 == seen
    assert {1: 1, 3: 0} == saved()


def test_objects_from_outside_are_read_again(
    db: AtomicProceduresMixin,
    account: type[t.Any],
    saved: t.Callable[[], dict[int, int]],
) -> None:
    """An argument that a failed try changed is itself again in the next."""
    db.atomic(lambda: db.session.add(account(id=1)))()
    outside = db.session.get(account, 1)
    balances = []

    @db.atomic
    def deposit(instance: t.Any) -> None:
        balances.append(instance.balance)
        instance.balance += 1
        if len(balances) < 3:
            raise DBSerializationError

    deposit(outside)
    assert [0, 0, 0] == balances
    assert {1: 1} == saved()


def test_no_transaction_is_open_while_waiting(
    db: AtomicProceduresMixin,
    account: type[t.Any],
    saved: t.Callable[[], dict[int, int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A block that waits holds no lock and no connection."""
    open_while_waiting = []

    class Clock:
        @staticmethod
        def sleep(_seconds: float) -> None:
            open_while_waiting.append(db.session().in_transaction())

    monkeypatch.setattr("signalbus.stopping.time", Clock)
    db.atomic(losing(1, DBSerializationError()))()

    assert [False] == open_while_waiting


@pytest.mark.parametrize("flush", [False, True])
def test_changes_from_before_the_block_forbid_a_retry(
    db: AtomicProceduresMixin,
    account: type[t.Any],
    saved: t.Callable[[], dict[int, int]],
    flush: bool,
) -> None:
    """A retry would lose changes that the function cannot make again."""
    db.session.add(account(id=1))
    if flush:
        db.session.flush()
    function = losing(1, DBSerializationError())

    with pytest.raises(DBSerializationError):
        db.atomic(function)()
    assert 1 == function.calls


def test_reads_before_the_block_do_not(
    db: AtomicProceduresMixin,
    account: type[t.Any],
    saved: t.Callable[[], dict[int, int]],
) -> None:
    """A transaction that has only read may be rolled back and begun again."""
    assert None is db.session.get(account, 1)
    function = losing(1, DBSerializationError())

    db.atomic(function)()

    assert 2 == function.calls


def test_a_race_lost_at_commit_is_tried_again(
    db: AtomicProceduresMixin,
    account: type[t.Any],
    saved: t.Callable[[], dict[int, int]],
    race: sa.exc.DBAPIError,
) -> None:
    """The commit may tell of the race as well as any statement."""
    commits = iter([race, race, None])

    @sa.event.listens_for(db.engine, "commit")
    def lose(_connection: object) -> None:
        error = next(commits)
        if error:
            raise error

    db.atomic(lambda: db.session.add(account(id=1)))()

    assert {1: 0} == saved()
    assert [] == list(commits)


def test_a_connection_lost_at_commit_is_not(
    db: AtomicProceduresMixin,
    account: type[t.Any],
    saved: t.Callable[[], dict[int, int]],
    race: sa.exc.DBAPIError,
) -> None:
    """Nobody knows whether it was committed, so the function is not run again."""
    race.connection_invalidated = True
    sa.event.listen(db.engine, "commit", losing_commit := losing_on_event(race))

    with pytest.raises(sa.exc.OperationalError):
        db.atomic(lambda: db.session.add(account(id=1)))()
    assert 1 == losing_commit.calls


@pytest.mark.databases("postgresql", "psycopg2")
def test_a_backend_that_dies_at_commit_is_not(
    db: AtomicProceduresMixin,
    account: type[t.Any],
    saved: t.Callable[[], dict[int, int]],
    postgresql: t.Any,
) -> None:
    """The same, with a server that really goes away."""
    calls = []

    @db.atomic
    def doomed() -> None:
        calls.append("doomed")
        db.session.add(account(id=1))
        db.session.flush()
        pid = db.session.scalar(sa.select(sa.func.pg_backend_pid()))
        postgresql.execute(f"SELECT pg_terminate_backend({pid}, 5000)")

    with pytest.raises(sa.exc.OperationalError):
        doomed()
    assert ["doomed"] == calls
    assert {} == saved()


def test_a_commit_in_two_databases_is_not(
    new_app: t.Callable[..., Flask],
    db: AtomicProceduresMixin,
    engine_url: str,
    other_url: str,
    race: sa.exc.DBAPIError,
) -> None:
    """One database may have committed when the other one says no."""
    app = new_app(engine_url, SQLALCHEMY_BINDS={"other": other_url})
    db = type(db)(app)
    with app.app_context():
        losing_commit = losing_on_event(race)
        for engine in db.engines.values():
            sa.event.listen(engine, "commit", losing_commit)

        @db.atomic
        def use_both() -> None:
            for engine in db.engines.values():
                db.session.connection(bind_arguments={"bind": engine})

        with pytest.raises(sa.exc.OperationalError):
            use_both()
    assert 1 == losing_commit.calls


def test_an_error_after_the_commit_does_not_run_it_again(
    db: AtomicProceduresMixin, new_app: t.Callable[..., Flask], engine_url: str
) -> None:
    """What is committed is committed, whatever a listener says, and however early."""

    class Failing(Session):
        pass

    fail = losing_on_event(DBSerializationError())
    sa.event.listen(Failing, "after_commit", fail)
    app = new_app(engine_url)
    failing = type(db)(app, session_options={"class_": Failing})
    statement = sa.text("CREATE TABLE proof (id INTEGER)")

    with app.app_context():
        with pytest.raises(DBSerializationError):
            failing.atomic(lambda: failing.session.execute(statement))()
        assert 1 == fail.calls
        assert ["proof"] == sa.inspect(failing.engine).get_table_names()
        assert not failing.session().in_transaction()


def losing_on_event(error: Exception) -> t.Any:
    """Return a listener that always raises *error*, and counts its calls."""

    def lose(*_arguments: object) -> t.NoReturn:
        lose.calls += 1
        raise error

    lose.calls = 0
    return lose
