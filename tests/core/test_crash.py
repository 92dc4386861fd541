"""Nothing that kills a flusher loses a signal, and at most a burst is sent again."""

from __future__ import annotations

import collections
import typing as t
from pathlib import Path

import pytest
import sqlalchemy as sa

if t.TYPE_CHECKING:
    import subprocess

    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import SignalModel

FLUSHER = Path(__file__).with_name("flusher.py")

#: The points of a burst, and how many of its four signals have then been delivered.
POINTS = {
    "after lock": 0,
    "while sending": 1,
    "after sending": 4,
    "after delete": 4,
    "before commit": 4,
}

TEXTS = [f"signal {number}" for number in range(12)]


@pytest.fixture
def mailbox(tmp_path: Path) -> Path:
    """Give the file that is the broker of all flushers."""
    path = tmp_path / "mailbox"
    path.touch()
    return path


@pytest.fixture
def crash(interpreter: t.Any, engine_url: str, mailbox: Path) -> t.Callable[..., None]:
    """Start a flusher, and kill it with SIGKILL at a point of its first burst."""

    def run(form: str, method: str, point: str) -> None:
        flusher: subprocess.Popen[str] = interpreter(
            FLUSHER, engine_url, str(mailbox), form, "4", method, point
        )
        lines = [flusher.stdout.readline()]
        flusher.stdin.write("go\n")
        flusher.stdin.flush()
        lines.append(flusher.stdout.readline())
        flusher.kill()
        flusher.wait()

        assert ["ready\n", f"at {point}\n"] == lines

    return run


@pytest.fixture
def greeting(new_model: t.Any, mailbox: Path) -> SignalModel:
    """Declare the flusher's model, as the process that survives has it."""

    def send_signalbus_message(self: t.Any) -> None:
        with mailbox.open("a") as file:
            file.write(f"{self.text}\n")

    return new_model(send_signalbus_message=send_signalbus_message)


@pytest.fixture
def wait_for_locks(db: SQLAlchemy, greeting: SignalModel, database: str) -> t.Any:
    """Wait until the database has seen that the flusher is gone."""

    def lock_everything() -> None:
        with db.engine.begin() as connection:
            if database == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            connection.execute(sa.select(greeting.__table__).with_for_update()).all()

    return lock_everything


@pytest.fixture(params=["true", "false"])
def synchronous_commit(
    request: pytest.FixtureRequest, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Let the flusher wait for the disk, or not."""
    if request.param == "false" and database != "postgresql":
        pytest.skip("Only PostgreSQL has the choice.")
    monkeypatch.setenv("FLUSHER_SIGNALBUS_SYNCHRONOUS_COMMIT", request.param)


@pytest.mark.databases
@pytest.mark.usefixtures("synchronous_commit")
@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize(
    ("form", "method"), [("row", "flushmany"), ("instance", "flush")]
)
def test_killed_flusher_loses_nothing(
    bus: SignalBus,
    greeting: SignalModel,
    mailbox: Path,
    record: t.Any,
    pending: t.Any,
    crash: t.Any,
    wait_for_locks: t.Any,
    form: str,
    method: str,
    point: str,
) -> None:
    """After ``kill -9`` everything is still sent, and no more than a burst twice."""
    record(greeting, *TEXTS)
    crash(form, method, point)
    delivered = mailbox.read_text().splitlines()
    assert POINTS[point] == len(delivered)
    wait_for_locks()
    assert TEXTS == pending(greeting)

    assert len(TEXTS) == bus.flushmany()
    assert collections.Counter(TEXTS + delivered) == collections.Counter(
        mailbox.read_text().splitlines()
    )
    assert [] == pending(greeting)


@pytest.mark.databases("postgresql")
def test_lost_database_connection_repeats_the_burst_at_hand_at_most(
    bus: SignalBus,
    db: SQLAlchemy,
    new_model: t.Any,
    wire: t.Any,
    record: t.Any,
    pending: t.Any,
    background: t.Any,
) -> None:
    """The locks are gone with it: another flusher may send what was just sent."""

    def send_signalbus_messages(cls: SignalModel, signals: t.Sequence[t.Any]) -> None:
        wire.carry(*signals)
        if len(wire.attempts) == 1:
            with other.connect() as connection:
                connection.exec_driver_sql(
                    "SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity"
                    " WHERE datname = current_database()"
                    " AND state = 'idle in transaction'"
                )
            background(bus.flushmany).result()

    other = sa.create_engine(
        db.engine.url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool
    )
    model = new_model(
        form="row",
        signalbus_burst_count=2,
        send_signalbus_messages=classmethod(send_signalbus_messages),
    )
    record(model, "a", "b", "c")
    bus.flushmany()

    assert {"a": 2, "b": 2, "c": 1} == collections.Counter(wire.sent)
    assert [] == pending(model)
