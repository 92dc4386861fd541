"""The page on databases shows what is really executed, and who may execute it."""

from __future__ import annotations

import re
import typing as t

import pytest
import sqlalchemy as sa
from flask_sqlalchemy import SQLAlchemy
from signalbus import SignalBus

#: The rows of the page's table of privileges.
ROWS = {"postgresql": "PostgreSQL", "mariadb": "MariaDB"}

#: What is granted on something else than the whole table.
PARTS = {"UPDATE": "UPDATE (id) ON order_paid", "USAGE": "USAGE ON SCHEMA public"}


@pytest.fixture
def new_order_paid() -> t.Callable[[SQLAlchemy], type[t.Any]]:
    """Declare the model of the page, in bursts of two."""

    def make(db: SQLAlchemy) -> type[t.Any]:
        class OrderPaid(db.Model):
            signalbus_burst_count = 2
            id = db.Column(db.Integer, primary_key=True)
            amount = db.Column(db.Integer)

            @classmethod
            def send_signalbus_message(cls, signal: object) -> None:
                """Confirm at once."""

        return OrderPaid

    return make


@pytest.fixture
def executed(db: SQLAlchemy, app_ctx: object, new_order_paid: t.Any) -> list[str]:
    """Record four signals, and keep what is executed from now on."""
    order_paid = new_order_paid(db)
    db.create_all()
    db.session.execute(sa.insert(order_paid), [{"amount": 1}] * 4)
    db.session.commit()
    return _recorded(db)


@pytest.mark.databases
def test_a_burst_executes_what_the_page_shows(
    bus: SignalBus,
    executed: list[str],
    manual: t.Callable[[str], str],
    database: str,
) -> None:
    """The second burst of ``flushmany``, statement by statement."""
    bus.flushmany()
    block = rf"<!-- {database} -->\n```sql\n(.*?);\n```"
    (shown,) = re.findall(block, manual("databases"), re.DOTALL)
    statements = list(map(_on_one_line, shown.split(";")))

    assert statements == executed[len(statements) :][: len(statements)]


@pytest.fixture
def executed_by_key(db: SQLAlchemy, app_ctx: object) -> list[str]:
    """Record a signal of an ordering key, and keep what is executed from now on."""

    class BalanceChanged(db.Model):  # type: ignore[misc, name-defined]
        signalbus_ordering_key = "account_id"
        id = db.Column(db.Integer, primary_key=True)
        account_id = db.Column(db.Integer, nullable=False)

        @classmethod
        def send_signalbus_message(cls, signal: object) -> None:
            """Confirm at once."""

    db.create_all()
    db.session.execute(sa.insert(BalanceChanged), [{"account_id": 7}] * 2)
    db.session.commit()
    return _recorded(db)


@pytest.mark.databases("postgresql", "mariadb")
def test_ordering_key_executes_what_the_page_shows(
    bus: SignalBus,
    executed_by_key: list[str],
    manual: t.Callable[[str], str],
    database: str,
) -> None:
    """What reads the window of queues, in the order of the page."""
    bus.flushmany()
    block = rf"<!-- {database}, with an ordering key -->\n```sql\n(.*?);\n```"
    (shown,) = re.findall(block, manual("databases"), re.DOTALL)
    statements = list(map(_on_one_line, shown.split(";")))

    executed = dict.fromkeys(each for each in executed_by_key if each in statements)
    assert statements == list(executed)


@pytest.fixture
def account(request: pytest.FixtureRequest, database: str) -> t.Iterator[str]:
    """Give the name of a new account of the database server."""
    server = request.getfixturevalue(database)
    name = f"{server.name}_relay"
    server.execute(f"CREATE USER {name}")
    yield name
    if database == "postgresql":
        server.empty()
    server.execute(f"DROP USER {name}")


@pytest.fixture
def privileges(sections: t.Callable[[str], dict[str, str]], database: str) -> list[str]:
    """Give what the page says that an account needs which only flushes."""
    row = rf"^\| {ROWS[database]} \| (.*) \|$"
    (told,) = re.findall(row, sections("databases")["Privileges"], re.MULTILINE)
    words = re.findall(r"`([A-Z]+)`", told)
    return [PARTS.get(word, f"{word} ON order_paid") for word in words]


@pytest.fixture
def relay(
    new_app: t.Any,
    new_order_paid: t.Any,
    account: str,
    privileges: list[str],
    engine_url: str,
) -> t.Iterator[SignalBus]:
    """Give the bus of a process that has that account, and four signals to send."""
    url = sa.make_url(engine_url).set(username=account)
    db = SQLAlchemy(new_app(url.render_as_string(hide_password=False)))
    order_paid = new_order_paid(db)
    table = order_paid.__table__
    with sa.create_engine(engine_url, poolclass=sa.NullPool).begin() as connection:
        table.create(connection)
        connection.execute(sa.insert(table), [{"amount": 1}] * 4)
        for privilege in privileges:
            connection.execute(sa.text(f"GRANT {privilege} TO {account}"))
    yield SignalBus(db)  # noqa: PT022 the model must live on


@pytest.mark.databases("postgresql", "mariadb")
def test_privileges_of_the_page_suffice(relay: SignalBus) -> None:
    """A relay may flush with no more than the page asks for."""
    assert 4 == relay.flushmany()


def _recorded(db: SQLAlchemy) -> list[str]:
    """Return the statements that are executed from now on."""
    statements: list[str] = []
    sa.event.listen(
        db.engine,
        "before_cursor_execute",
        lambda _, __, text, *rest: statements.append(_on_one_line(text)),
    )
    return statements


def _on_one_line(statement: str) -> str:
    line = " ".join(statement.split())
    return line.replace("( ", "(").replace(" )", ")")
