"""Databases, apps and buses that all tests may use.

A test that takes ``engine_url`` (or ``app``, ``db``, ``bus``) runs on SQLite. Marked
with ``databases`` it runs on every database; ``databases("postgresql", "mariadb")``
names those that it is about.
"""

from __future__ import annotations

import contextlib
import math
import os
import secrets
import subprocess
import sys
import time
import traceback
import typing as t
import weakref
from pathlib import Path

import pytest
import sqlalchemy as sa
import sqlalchemy.orm as sa_orm
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from hypothesis import HealthCheck
from hypothesis import settings

if t.TYPE_CHECKING:
    import types

    from flask.ctx import AppContext
    from signalbus import SignalBus
    from xdist.scheduler import Scheduling

DATABASES = ("sqlite", "postgresql", "mariadb")

POSTGRESQL_URL = os.environ.get(
    "SIGNALBUS_TEST_POSTGRESQL_URL",
    "postgresql+psycopg://postgres@127.0.0.1:5432/postgres",
)

MARIADB_URL = os.environ.get(
    "SIGNALBUS_TEST_MARIADB_URL", "mysql+pymysql://root@127.0.0.1:3306/test"
)

#: The folder of the tests that build all wheels, which takes long.
WHEELS = "tests/packaging/"

# Without signalbus-retry, each flush tries again what has failed: that is what most
# tests and most pages of the manual are about. Those in tests/retry switch it on.
os.environ["SIGNALBUS_DISABLED_PLUGINS"] = "retry"

# What Hypothesis makes of a machine that is busy is no failure.
settings.register_profile(
    "patient", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("patient")

# Images of containers forbid Python to keep what it has compiled. Each of the processes
# that the tests start would then compile all that it imports, which takes seconds.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# What was added to the options of this run is not meant for those that tests start.
os.environ.pop("PYTEST_ADDOPTS", None)


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker of the tests that are about databases."""
    config.addinivalue_line(
        "markers", "databases(*names): run on these databases, or on all three"
    )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: t.Any) -> Scheduling:
    """Let one process have all tests of a file, and all that use the wheels."""
    from xdist.scheduler import LoadFileScheduling

    class ByFileOrFolder(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file: str = super()._split_scope(nodeid)
            return WHEELS if file.startswith(WHEELS) else file

    return ByFileOrFolder(config, log)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test with the marker once for each of its databases."""
    marker = metafunc.definition.get_closest_marker("databases")
    if marker and "engine_url" in metafunc.fixturenames:
        metafunc.parametrize("engine_url", marker.args or DATABASES, indirect=True)


class Server:
    """A database server on which the tests have a database of their own."""

    def __init__(self, admin_url: sa.URL) -> None:
        """Choose a name that nobody else has."""
        self.name = f"signalbus_{secrets.token_hex(6)}"
        self.admin_url = admin_url
        self.url = admin_url.set(database=self.name).render_as_string(False)
        self.connection: sa.Connection | None = None

    def create(self) -> None:
        """Create the database, or skip the test where there is no server."""
        try:
            self.execute(f"CREATE DATABASE {self.name}")
        except sa.exc.OperationalError as error:
            reason = f"No {self.admin_url.get_backend_name()} server: {error.orig}"
            (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)

    def execute(self, statement: str) -> list[t.Any]:
        """Execute *statement*, and return its rows."""
        if self.connection is None:
            self.connection = _connect(self.admin_url)
        result = self.connection.exec_driver_sql(statement)
        return list(result) if result.returns_rows else []

    def close(self) -> None:
        """Let the server go."""
        if self.connection is not None:
            self.connection.close()


class PostgreSQL(Server):
    """A PostgreSQL server."""

    inside: sa.Connection | None = None

    def empty(self) -> None:
        """Drop everything in the database, whoever is connected to it."""
        _let_relays_be_woken()
        if self.inside is None:
            self.inside = _connect(sa.make_url(self.url))
        self.inside.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        self.inside.exec_driver_sql("DROP SCHEMA public CASCADE")
        self.inside.exec_driver_sql("CREATE SCHEMA public")

    def drop(self) -> None:
        """Drop the database, whoever is connected to it."""
        if self.inside is not None:
            self.inside.close()
        self.execute(f"DROP DATABASE {self.name} WITH (FORCE)")


class MariaDB(Server):
    """A MariaDB server."""

    def empty(self) -> None:
        """Drop everything in the database, whoever is connected to it."""
        self.drop()
        self.create()

    def drop(self) -> None:
        """Drop the database, whoever is connected to it."""
        for row in self.execute(
            f"SELECT id FROM information_schema.processlist WHERE db = '{self.name}'"  # noqa: S608 our own name
        ):
            with contextlib.suppress(sa.exc.DBAPIError):
                self.execute(f"KILL {row.id}")
        self.execute(f"DROP DATABASE {self.name}")


class Engines:
    """The engines of a test's apps, and the pools that they have had."""

    def __init__(self) -> None:
        """Begin without any."""
        self._engines: list[sa.Engine] = []
        self._pools: list[sa.Pool] = []

    def add(self, app: Flask) -> None:
        """Add the engines of the app, if it has got a database."""
        if "sqlalchemy" in app.extensions:
            with app.app_context():
                self._engines += app.extensions["sqlalchemy"].engines.values()

    def dispose(self, patience: float) -> list[t.Any]:
        """Dispose them until no connection is open; return those that are still open.

        A thread that the test has not waited for may open a connection, or return one
        to a pool that is gone, where nobody closes it.

        :param patience: how long to wait for such threads, in seconds.
        """
        left = self._dispose_once()
        for _ in range(round(patience / 0.01)):  # the test may have stopped the clock
            if not left:
                break
            time.sleep(0.01)
            left = self._dispose_once()
        return left

    def _dispose_once(self) -> list[t.Any]:
        for engine in self._engines:
            self._pools.append(engine.pool)
            engine.dispose()
        for pool in self._pools:
            pool.dispose()
        return [each for each in list(_opened) if not each.closed]


@pytest.fixture(autouse=True)
def engines() -> t.Iterator[Engines]:
    """Give the engines that are disposed again at the very end of the test.

    A test fails if it leaves a connection open in spite of that. Or else its driver
    would warn of it in the test in which it happens to be collected.
    """
    engines = Engines()
    yield engines
    if left := engines.dispose(patience=60):
        pytest.fail("\n".join(["Left open:", *map(_opened.pop, left)]))


@pytest.fixture(autouse=True)
def declared() -> t.Iterator[list[type]]:
    """Hold the models that the test declares; cleared, the list holds them no longer.

    A bus finds only what somebody holds, and collecting the rest is up to chance.
    """
    yield _declared
    _declared.clear()


@pytest.fixture(scope="session")
def postgresql() -> t.Iterator[PostgreSQL]:
    """Give a database of the session's own on the PostgreSQL server."""
    server = PostgreSQL(sa.make_url(POSTGRESQL_URL))
    server.create()
    yield server
    server.drop()
    server.close()


@pytest.fixture(scope="session")
def mariadb() -> t.Iterator[MariaDB]:
    """Give a database of the session's own on the MariaDB server."""
    url = sa.make_url(MARIADB_URL).set(database="")
    server = MariaDB(url.update_query_dict({"ssl_disabled": "true"}))
    server.create()
    yield server
    server.drop()
    server.close()


@pytest.fixture
def engine_url(request: pytest.FixtureRequest, tmp_path: Path) -> t.Iterator[str]:
    """Give the URL of an empty database, on SQLite if the test is not marked."""
    name = getattr(request, "param", "sqlite")
    if name == "sqlite":
        yield f"sqlite:///{tmp_path / 'signals.sqlite'}"
    else:
        server: PostgreSQL | MariaDB = request.getfixturevalue(name)
        yield server.url
        server.empty()


@pytest.fixture
def database(engine_url: str) -> str:
    """Name the database that the test runs on."""
    name = sa.make_url(engine_url).get_backend_name()
    return "mariadb" if name == "mysql" else name


@pytest.fixture
def other_url(tmp_path: Path) -> str:
    """Give the URL of a second empty database, always on SQLite."""
    return f"sqlite:///{tmp_path / 'other.sqlite'}"


@pytest.fixture
def new_app(tmp_path: Path, engines: Engines) -> t.Iterator[t.Callable[..., Flask]]:
    """Make an app with ``new_app(url, **config)``; its connections are closed."""
    apps = []

    def make(url: str, **config: t.Any) -> Flask:
        app = Flask("shop", root_path=str(tmp_path), instance_path=str(tmp_path))
        app.config.update(config, TESTING=True, SQLALCHEMY_DATABASE_URI=url)
        apps.append(app)
        return app

    yield make
    for app in apps:
        engines.add(app)
    engines.dispose(patience=5)  # longer for none that hangs, as its test wants it


@pytest.fixture
def app(new_app: t.Callable[..., Flask], engine_url: str) -> Flask:
    """Give an app on the test's database, which no extension knows yet."""
    return new_app(engine_url)


@pytest.fixture
def db(app: Flask) -> SQLAlchemy:
    """Give the database of the app, without a bus."""
    return SQLAlchemy(app)


@pytest.fixture
def bus(db: SQLAlchemy) -> SignalBus:
    """Give the bus of the app."""
    from signalbus import SignalBus

    return SignalBus(db)


@pytest.fixture
def app_ctx(app: Flask) -> t.Iterator[AppContext]:
    """Push an app context, which holds for the whole test."""
    with app.app_context() as context:
        yield context


@pytest.fixture
def commands_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the group of commands find them anew, if it is installed.

    It finds them once for a process, and other tests have other plugins.
    """
    with contextlib.suppress(ImportError):
        from signalbus_cli import signalbus as group

        for name, value in {
            "commands": {},
            "_has_own": False,
            "_has_plugins": False,
        }.items():
            monkeypatch.setattr(group, name, value)


class Clock:
    """A clock that may be put forward."""

    def __init__(self) -> None:
        """Begin with the time of now."""
        self.ahead = 0.0

    def advance(self, seconds: float) -> None:
        """Let *seconds* go by at once."""
        self.ahead += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Give a clock that is put forward with ``clock.advance(seconds)``.

    It stands still otherwise: a machine that is busy makes no time go by. It begins at
    a full second, so that differences are exact.
    """
    clock = Clock()
    for name in ("monotonic", "time", "perf_counter"):
        true_time = getattr(time, name)
        begun = float(math.ceil(true_time()))
        for module in [time, *_modules_that_import(true_time, name)]:
            monkeypatch.setattr(module, name, lambda at=begun: at + clock.ahead)
    return clock


@pytest.fixture
def interpreter() -> t.Iterator[t.Callable[..., subprocess.Popen[str]]]:
    """Start a Python of its own with ``interpreter(program, *arguments)``.

    *program* is the path of a script, or the source itself. Its standard input and
    output are pipes of text. What still runs at the end of the test is killed.
    """
    with contextlib.ExitStack() as stack:

        def start(program: Path | str, *arguments: str) -> subprocess.Popen[str]:
            source = [str(program)] if isinstance(program, Path) else ["-c", program]
            process = subprocess.Popen(  # noqa: S603 our own program
                [sys.executable, *source, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        yield start


def _modules_that_import(function: t.Any, name: str) -> list[types.ModuleType]:
    return [
        module
        for path, module in list(sys.modules.items())
        if path.startswith("signalbus") and getattr(module, name, None) is function
    ]


def _let_relays_be_woken() -> None:
    """Let signalbus-relay announce what a test has committed, where it is installed.

    A connection that is cut meanwhile would be a line in the log of the next test, and
    so would be the first one that is not.
    """
    module = sys.modules.get("signalbus_relay._notifier")
    deadline = time.monotonic() + 30
    while module and any(_is_announcing(each) for each in list(module._notifiers)):  # noqa: SLF001 nobody else has to know
        assert time.monotonic() < deadline
        time.sleep(0.002)


def _is_announcing(notifier: t.Any) -> bool:
    """Return whether a notifier has something to do, unless it cannot do it."""
    thread = notifier._thread  # noqa: SLF001 as above
    if thread is None or not thread.is_alive() or notifier._pause:  # noqa: SLF001 as above
        return False
    frame = sys._current_frames().get(thread.ident)  # noqa: SLF001 the documented way
    is_in_its_loop = frame is None or frame.f_code.co_name == "_run"
    return bool(notifier._is_woken or notifier._due or not is_in_its_loop)  # noqa: SLF001 as above


def _connect(url: sa.URL) -> sa.Connection:
    """Open a connection that commits each statement."""
    options = {"poolclass": sa.NullPool, "isolation_level": "AUTOCOMMIT"}
    connection = sa.create_engine(url, **options).connect()
    _opened.pop(connection.connection.dbapi_connection, None)
    return connection


#: Where the connections of all pools were opened, of drivers that say what is closed.
_opened: weakref.WeakKeyDictionary[t.Any, str] = weakref.WeakKeyDictionary()


@sa.event.listens_for(sa.Pool, "connect")
def _note(connection: t.Any, _: object) -> None:
    if hasattr(connection, "closed"):
        _opened[connection] = "".join(traceback.format_stack(limit=30))


#: The models that the test at hand has declared.
_declared: list[type] = []


@sa.event.listens_for(sa_orm.Mapper, "instrument_class")
def _hold(_: object, model: type) -> None:
    _declared.append(model)
