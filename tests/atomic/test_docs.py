"""What the manual says of transactions is so, on every database."""

from __future__ import annotations

import re
import threading
import typing as t
from pathlib import Path

import pytest
import sqlalchemy as sa
from signalbus_atomic import AtomicProceduresMixin

if t.TYPE_CHECKING:
    from flask import Flask

PAGE = Path(__file__).parents[2] / "docs" / "transactions.md"
URL = "postgresql+psycopg://localhost/bank"


@pytest.fixture
def manual(engine_url: str) -> t.Iterator[dict[str, t.Any]]:
    """Run the code of the page, on the test's database."""
    code = "\n".join(
        re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    )
    assert URL in code
    names: dict[str, t.Any] = {}
    exec(code.replace(URL, engine_url), names)  # noqa: S102 our own page
    yield names
    with names["app"].app_context():
        names["db"].engine.dispose()


@pytest.mark.databases("sqlite", "postgresql", "psycopg2", "mariadb")
def test_the_examples_run(manual: dict[str, t.Any]) -> None:
    """All code of the page runs, and its assertions hold."""
    with manual["app"].app_context():
        manual["withdraw_jointly"](3, 1, 90)
        balances = manual["db"].session.execute(sa.select(manual["Account"].balance))

        assert [-70, 30, 70] == sorted(balances.scalars())


@pytest.mark.databases
def test_money_moves_to_and_fro_at_once(manual: dict[str, t.Any]) -> None:
    """Transfers in both directions lose nothing, and send what they did."""
    app, sent, transfer = manual["app"], manual["sent"], manual["transfer"]
    sent.clear()

    def move(debtor_id: int, creditor_id: int) -> None:
        with app.app_context():
            for _ in range(10):
                transfer(debtor_id, creditor_id, 1)

    directions = [(1, 2), (2, 1), (1, 2), (2, 1)]
    threads = [threading.Thread(target=move, args=pair) for pair in directions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with app.app_context():
        assert 70 == manual["db"].session.get(manual["Account"], 1).balance
        assert 30 == manual["db"].session.get(manual["Account"], 2).balance
        assert 0 == manual["db"].signalbus.count_pending()[manual["BalanceChanged"]]
    assert 80 == len(sent)


@pytest.fixture
def skewed(
    db: AtomicProceduresMixin,
    account: type[t.Any],
    saved: t.Callable[[], dict[int, int]],
    in_threads: t.Callable[..., list[Exception]],
) -> t.Callable[..., list[int]]:
    """Let two blocks each take one of two doctors off, and tell who is on call."""
    db.atomic(lambda: db.session.add_all(account(id=i, balance=1) for i in (1, 2)))()
    meeting, own_ids = threading.Barrier(2), iter([1, 2])

    def skewed(method: str, patience: float = 10) -> list[int]:
        def leave() -> None:
            own_id = next(own_ids)

            @db.atomic
            def leave_once() -> None:
                doctors = [getattr(account, method)(key) for key in (1, 2)]
                if not meeting.broken:
                    _meet(meeting, patience)
                if sum(doctor.balance for doctor in doctors) == 2:
                    account.get_instance(own_id).balance = 0

            leave_once()

        assert [] == in_threads(leave, 2)
        return sorted(saved().values())

    return skewed


@pytest.mark.databases("postgresql", "psycopg2", "mariadb")
def test_write_skew_happens(skewed: t.Callable[..., list[int]]) -> None:
    """Two blocks that read both rows and change one each see no conflict."""
    assert [0, 0] == skewed("get_instance")


@pytest.mark.databases
def test_locking_what_is_read_prevents_it(
    skewed: t.Callable[..., list[int]],
) -> None:
    """The block that comes second sees what the first one did."""
    assert [0, 1] == skewed("lock_instance", patience=0.3)


@pytest.mark.databases("postgresql", "mariadb")
def test_so_does_serializable(
    db: AtomicProceduresMixin, app_ctx: object, skewed: t.Callable[..., list[int]]
) -> None:
    """The database finds the conflict, and the loser is run again."""
    db.engine.update_execution_options(isolation_level="SERIALIZABLE")

    assert [0, 1] == skewed("get_instance")


def test_sqlite_has_no_write_skew(skewed: t.Callable[..., list[int]]) -> None:
    """Blocks on SQLite run one after another."""
    assert [0, 1] == skewed("get_instance", patience=0.3)


def test_the_page_tells_the_number_of_tries(app: Flask) -> None:
    """The default is the one that is written there."""
    default = AtomicProceduresMixin.__init__.__kwdefaults__["atomic_tries"]

    assert f"After {default} tries" in PAGE.read_text()


def _meet(meeting: threading.Barrier, patience: float) -> None:
    """Wait for the other thread, once; it may be unable to come."""
    try:
        meeting.wait(patience)
    except threading.BrokenBarrierError:
        return
    meeting.abort()
