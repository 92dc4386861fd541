"""Engines get REPEATABLE READ, unless the user chose for himself."""

from __future__ import annotations

import contextlib
import typing as t

import pytest
import sqlalchemy as sa
from flask import Flask

if t.TYPE_CHECKING:
    from signalbus_atomic import AtomicProceduresMixin

SERIALIZABLE = {"isolation_level": "SERIALIZABLE"}


@pytest.fixture
def levels(
    app: Flask, db: AtomicProceduresMixin
) -> t.Callable[..., dict[str | None, str]]:
    """Tell the isolation levels of an extension's engines, by bind key."""

    def levels(
        other: AtomicProceduresMixin | None = None, of: Flask | None = None
    ) -> dict[str | None, str]:
        with (of or app).app_context():
            engines = (other or db).engines
            return {key: level_of(engine) for key, engine in engines.items()}

    return levels


def level_of(engine: sa.Engine) -> str:
    """Ask the database for the isolation level of a connection."""
    with engine.connect() as connection:
        return connection.get_isolation_level()


@pytest.mark.databases("postgresql", "psycopg2", "mariadb")
def test_repeatable_read_is_the_default(
    levels: t.Callable[..., dict[str | None, str]],
) -> None:
    """Where the database has it, it is the level of the engine."""
    assert {None: "REPEATABLE READ"} == levels()


def test_sqlite_is_left_as_it_is(
    levels: t.Callable[..., dict[str | None, str]],
) -> None:
    """SQLite has nothing of that name, and what it has is more."""
    assert {None: "SERIALIZABLE"} == levels()


@pytest.mark.databases("postgresql", "mariadb")
def test_it_comes_back_after_another_level(
    db: AtomicProceduresMixin,
    app_ctx: object,
    levels: t.Callable[..., dict[str | None, str]],
) -> None:
    """A connection that was used at another level is not left at that."""
    with db.engine.connect() as connection:
        connection.execution_options(isolation_level="READ COMMITTED")

    assert {None: "REPEATABLE READ"} == levels()


@pytest.mark.databases("postgresql", "mariadb")
def test_it_is_set_bind_by_bind(
    new_app: t.Callable[..., Flask],
    db: AtomicProceduresMixin,
    levels: t.Callable[..., dict[str | None, str]],
    engine_url: str,
    other_url: str,
) -> None:
    """Every engine gets what its own database has."""
    binds = {"own": engine_url, "lite": other_url, "options": {"url": engine_url}}
    app = new_app(other_url, SQLALCHEMY_BINDS=binds)
    found = levels(type(db)(app), app)

    assert ("SERIALIZABLE", "SERIALIZABLE") == (found[None], found["lite"])
    assert ("REPEATABLE READ", "REPEATABLE READ") == (found["own"], found["options"])


@pytest.mark.databases("postgresql", "mariadb")
@pytest.mark.parametrize(
    "options", [SERIALIZABLE, {"execution_options": SERIALIZABLE}], ids=str
)
def test_the_extension_s_argument_stays(
    new_app: t.Callable[..., Flask],
    db: AtomicProceduresMixin,
    levels: t.Callable[..., dict[str | None, str]],
    engine_url: str,
    options: dict[str, t.Any],
) -> None:
    """A level in ``engine_options`` is that of all engines."""
    app = new_app(engine_url, SQLALCHEMY_BINDS={"own": engine_url})
    found = levels(type(db)(app, engine_options=options), app)

    assert {None: "SERIALIZABLE", "own": "SERIALIZABLE"} == found


@pytest.mark.databases("postgresql", "mariadb")
def test_the_setting_for_the_default_engine_stays(
    new_app: t.Callable[..., Flask],
    db: AtomicProceduresMixin,
    levels: t.Callable[..., dict[str | None, str]],
    engine_url: str,
) -> None:
    """A level in ``SQLALCHEMY_ENGINE_OPTIONS`` is that of the default engine."""
    app = new_app(
        engine_url,
        SQLALCHEMY_ENGINE_OPTIONS=SERIALIZABLE,
        SQLALCHEMY_BINDS={"own": engine_url},
    )
    found = levels(type(db)(app), app)

    assert {None: "SERIALIZABLE", "own": "REPEATABLE READ"} == found


@pytest.mark.databases("postgresql", "mariadb")
def test_the_setting_for_a_bind_stays(
    new_app: t.Callable[..., Flask],
    db: AtomicProceduresMixin,
    levels: t.Callable[..., dict[str | None, str]],
    engine_url: str,
) -> None:
    """A level in ``SQLALCHEMY_BINDS`` is that of its bind."""
    bind = {"url": engine_url, **SERIALIZABLE}
    app = new_app(engine_url, SQLALCHEMY_BINDS={"own": bind})
    found = levels(type(db)(app), app)

    assert {None: "REPEATABLE READ", "own": "SERIALIZABLE"} == found


@pytest.mark.databases("postgresql", "mariadb")
@pytest.mark.parametrize("also_alone", [False, True])
def test_the_setting_for_the_default_bind_stays(
    new_app: t.Callable[..., Flask],
    db: AtomicProceduresMixin,
    levels: t.Callable[..., dict[str | None, str]],
    engine_url: str,
    also_alone: bool,
) -> None:
    """The default engine may be configured as a bind, too."""
    bind = {"url": engine_url, **SERIALIZABLE}
    app = new_app(engine_url if also_alone else None, SQLALCHEMY_BINDS={None: bind})

    assert {None: "SERIALIZABLE"} == levels(type(db)(app), app)


@pytest.mark.databases("postgresql")
def test_an_execution_option_is_the_only_level(
    new_app: t.Callable[..., Flask], db: AtomicProceduresMixin, engine_url: str
) -> None:
    """Connections that are used without SQLAlchemy are as the database makes them."""
    app = new_app(engine_url)
    other = type(db)(app, engine_options={"execution_options": SERIALIZABLE})
    with app.app_context(), contextlib.closing(other.engine.raw_connection()) as raw:
        level = other.engine.dialect.get_isolation_level(raw.dbapi_connection)

    assert "READ COMMITTED" == level


@pytest.mark.databases("postgresql", "mariadb")
def test_the_default_engine_may_be_a_bind(
    new_app: t.Callable[..., Flask],
    db: AtomicProceduresMixin,
    levels: t.Callable[..., dict[str | None, str]],
    engine_url: str,
) -> None:
    """It gets the default there, too."""
    app = new_app(None, SQLALCHEMY_BINDS={None: engine_url})

    assert {None: "REPEATABLE READ"} == levels(type(db)(app), app)


@pytest.mark.databases("postgresql")
def test_none_is_a_choice(
    new_app: t.Callable[..., Flask],
    db: AtomicProceduresMixin,
    levels: t.Callable[..., dict[str | None, str]],
    engine_url: str,
) -> None:
    """``None`` leaves the engine at the database's own default."""
    app = new_app(engine_url, SQLALCHEMY_ENGINE_OPTIONS={"isolation_level": None})

    assert {None: "READ COMMITTED"} == levels(type(db)(app), app)


@pytest.mark.databases("postgresql")
def test_a_level_told_to_the_driver_stays(
    new_app: t.Callable[..., Flask],
    db: AtomicProceduresMixin,
    levels: t.Callable[..., dict[str | None, str]],
    engine_url: str,
) -> None:
    """The connection's own options are a choice as well."""
    option = {"options": "-c default_transaction_isolation=serializable"}
    app = new_app(engine_url, SQLALCHEMY_ENGINE_OPTIONS={"connect_args": option})

    assert {None: "SERIALIZABLE"} == levels(type(db)(app), app)


@pytest.mark.databases("postgresql")
def test_every_app_has_its_own(
    new_app: t.Callable[..., Flask],
    db: AtomicProceduresMixin,
    levels: t.Callable[..., dict[str | None, str]],
    engine_url: str,
) -> None:
    """What one app chooses is nothing to another."""
    shared = type(db)()
    apps = [new_app(engine_url), new_app(engine_url)]
    apps[0].config["SQLALCHEMY_ENGINE_OPTIONS"] = SERIALIZABLE
    for app in apps:
        shared.init_app(app)

    found = [levels(shared, app)[None] for app in apps]
    assert ["SERIALIZABLE", "REPEATABLE READ"] == found


@pytest.mark.databases("postgresql", "mariadb")
def test_the_settings_are_not_touched(
    new_app: t.Callable[..., Flask], db: AtomicProceduresMixin, engine_url: str
) -> None:
    """What the user wrote is what the app has."""
    options, binds = {"echo": False}, {"own": engine_url}
    app = new_app(engine_url, SQLALCHEMY_ENGINE_OPTIONS=options, SQLALCHEMY_BINDS=binds)
    type(db)(app)

    assert options is app.config["SQLALCHEMY_ENGINE_OPTIONS"]
    assert binds is app.config["SQLALCHEMY_BINDS"]
    assert ({"echo": False}, {"own": engine_url}) == (options, binds)


def test_missing_settings_are_told_by_flask_sqlalchemy(
    db: AtomicProceduresMixin,
) -> None:
    """An app without a database gets the error that it got ever."""
    with pytest.raises(RuntimeError, match="SQLALCHEMY_DATABASE_URI"):
        type(db)(Flask("shop"))


@pytest.mark.databases("mariadb")
def test_events_of_the_user_s_pool_stay(
    new_app: t.Callable[..., Flask], db: AtomicProceduresMixin, engine_url: str
) -> None:
    """The default adds a listener to the pool's, and takes none away."""
    seen = []
    events = [(lambda *_: seen.append("connect"), "connect")]
    app = new_app(engine_url, SQLALCHEMY_ENGINE_OPTIONS={"pool_events": events})
    with app.app_context():
        level_of(type(db)(app).engine)

    assert ["connect"] == seen


@pytest.mark.databases("postgresql", "mariadb")
def test_what_is_read_twice_is_the_same(
    db: AtomicProceduresMixin,
    account: type[t.Any],
    saved: t.Callable[[], dict[int, int]],
    in_threads: t.Callable[..., list[Exception]],
) -> None:
    """Within a block the database stands still."""
    db.atomic(lambda: db.session.add(account(id=1)))()
    total = sa.select(sa.func.sum(account.balance))

    @db.atomic
    def deposit() -> None:
        account.get_instance(1).balance += 1

    @db.execute_atomic
    def read_twice() -> tuple[int, int]:
        before = db.session.scalar(total)
        assert [] == in_threads(deposit, 1)
        return before, db.session.scalar(total)

    assert (0, 0) == read_twice
    assert {1: 1} == saved()


def test_a_block_on_sqlite_has_the_lock(
    db: AtomicProceduresMixin,
    account: type[t.Any],
    saved: t.Callable[[], dict[int, int]],
) -> None:
    """From its first statement on, nobody else can begin to write."""

    @db.atomic
    def reading() -> None:
        account.get_instance(1)
        with db.engine.connect() as other:
            other.exec_driver_sql("PRAGMA busy_timeout = 0")
            other.exec_driver_sql("BEGIN IMMEDIATE")

    with pytest.raises(sa.exc.OperationalError, match="locked"):
        type(db).atomic(db, tries=1)(reading.__wrapped__)()


def test_a_block_on_sqlite_takes_the_lock_late(
    db: AtomicProceduresMixin,
    account: type[t.Any],
    saved: t.Callable[[], dict[int, int]],
) -> None:
    """A transaction that was begun before the block gets the lock with the block."""
    account.get_instance(1)
    connection = db.session.connection().connection.dbapi_connection
    before = connection.in_transaction

    assert (False, True) == (before, db.atomic(lambda: connection.in_transaction)())


def test_a_block_may_read_a_read_only_sqlite(
    new_app: t.Callable[..., Flask],
    db: AtomicProceduresMixin,
    account: type[t.Any],
    saved: t.Callable[[], dict[int, int]],
    app: Flask,
) -> None:
    """A database that cannot be written is not locked, and can be read."""
    path = sa.make_url(app.config["SQLALCHEMY_DATABASE_URI"]).database
    reader_app = new_app(f"sqlite:///file:{path}?mode=ro&uri=true")
    reader = type(db)(reader_app)
    count = sa.select(sa.func.count()).select_from(account.__table__)

    with reader_app.app_context():
        assert 0 == reader.atomic(lambda: reader.session.scalar(count))()
