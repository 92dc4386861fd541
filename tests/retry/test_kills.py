"""Nothing that kills a process separates a signal from the entry of its failure."""

from __future__ import annotations

import collections
import contextlib
import json
import signal
import typing as t
from pathlib import Path

import pytest
import signalbus_retry
import sqlalchemy as sa

if t.TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import Signal
    from signalbus.typing import SignalModel

pytestmark = pytest.mark.databases

FLUSHER = Path(__file__).with_name("killed_flusher.py")

POINTS = [
    "before sending",
    "after sending",
    "before writing",
    "after writing",
    "before commit",
    "after commit",
]

#: Of each pending signal, the attempts, and whether it is parked; or that it is new.
States: t.TypeAlias = dict[int, tuple[int, bool] | None]

BEFORE: States = {
    1: None,
    2: None,
    3: (1, False),  # due
    4: (1, False),  # due, and corrected
    5: (2, False),  # due
    6: None,
    7: (1, True),
    8: (1, False),  # not due
}

AFTER: States = {
    2: (1, False),
    3: (2, False),
    5: (3, True),
    7: (1, True),
    8: (1, False),
}


@pytest.fixture(autouse=True)
def _retry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Switch the plugin on, here and in the processes."""
    monkeypatch.delenv("SIGNALBUS_DISABLED_PLUGINS", raising=False)


@pytest.fixture
def mailbox(tmp_path: Path) -> Path:
    """Give the file that is the broker of all flushers."""
    path = tmp_path / "mailbox"
    path.touch()
    return path


@pytest.fixture
def letter(db: SQLAlchemy, bus: SignalBus, app_ctx: object, mailbox: Path) -> t.Any:
    """Declare the flusher's model, as the process that survives has it."""
    bus.autoflush = False

    class Letter(db.Model):
        id = sa.Column(sa.Integer, primary_key=True)
        text = sa.Column(sa.String(50))
        signalbus_retry: t.ClassVar = {"max_attempts": 3, "first_delay": 3600}

        @classmethod
        def send_signalbus_message(cls, signal: Signal) -> None:
            with mailbox.open("a", encoding="ascii") as file:
                file.write(f"{signal.text}\n")
            if signal.text.startswith("bad"):
                raise ValueError(signal.text)

    db.create_all()
    return Letter


@pytest.fixture
def flush(bus: SignalBus, letter: SignalModel) -> t.Callable[[], None]:
    """Flush what is pending, and may fail."""

    def flush() -> None:
        with contextlib.suppress(ValueError):
            bus.flushmany([letter])

    return flush


@pytest.fixture
def signals(
    bus: SignalBus,
    db: SQLAlchemy,
    letter: SignalModel,
    mailbox: Path,
    flush: t.Callable[[], None],
) -> None:
    """Let signals be pending in every state."""
    table, entries = letter.__table__, db.metadata.tables["signalbus_failure"]

    def execute(statement: sa.Executable) -> None:
        with db.engine.begin() as connection:
            connection.execute(statement)

    def record(text: str, *numbers: int) -> None:
        for number in numbers:
            execute(sa.insert(table).values(id=number, text=f"{text} {number}"))

    def let_be_due(*numbers: int) -> None:
        keys = [f"[{number}]" for number in numbers]
        update = sa.update(entries).where(entries.c.key.in_(keys))
        execute(update.values(next_attempt_at=entries.c.first_failed_at))

    record("bad", 3, 4, 5, 7, 8)
    flush()
    let_be_due(5)
    flush()
    let_be_due(3, 4, 5)
    execute(sa.update(table).where(table.c.id == 4).values(text="good 4"))
    signalbus_retry.park(bus, letter, [(7,)])
    record("good", 1, 6)
    record("bad", 2)
    mailbox.write_text("")


@pytest.fixture
def states(
    db: SQLAlchemy, letter: SignalModel, database: str
) -> t.Callable[[], States]:
    """Tell the states of all signals, once the killed process is known to be gone."""
    entries = db.metadata.tables["signalbus_failure"]

    def look() -> States:
        with db.engine.begin() as connection:
            if database == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            query = sa.select(letter.__table__.c.id).with_for_update()
            numbers = set(connection.scalars(query))
            columns = entries.c
            failed = {
                json.loads(key)[0]: (attempts, next_attempt_at is None)
                for key, attempts, next_attempt_at in connection.execute(
                    sa.select(columns.key, columns.attempts, columns.next_attempt_at)
                )
            }

        assert not failed.keys() - numbers, "There are entries without a signal."
        return {number: failed.get(number) for number in numbers}

    return look


@pytest.fixture
def kill(interpreter: t.Any, engine_url: str, mailbox: Path) -> t.Callable[..., None]:
    """Run a process that kills itself at a point."""

    def run(task: str, burst_count: int, point: str, times: int = 1) -> None:
        arguments = [task, str(burst_count), point, str(times)]
        flusher = interpreter(FLUSHER, engine_url, str(mailbox), *arguments)

        assert -signal.SIGKILL == flusher.wait(60)

    return run


@pytest.mark.usefixtures("signals")
@pytest.mark.parametrize("point", POINTS)
def test_killed_flusher_has_done_all_or_nothing(
    states: t.Any, kill: t.Any, flush: t.Any, mailbox: Path, point: str
) -> None:
    """What a burst did to signals and entries is there, or none of it is."""
    assert BEFORE == states()
    kill("flushmany", 1000, point)
    assert (AFTER if point == "after commit" else BEFORE) == states()

    flush()
    assert AFTER == states()
    tries = collections.Counter(mailbox.read_text().splitlines())
    assert {"good 1", "bad 2", "bad 3", "good 4", "bad 5", "good 6"} == tries.keys()
    assert max(tries.values()) <= 2


@pytest.mark.usefixtures("signals")
@pytest.mark.parametrize("point", POINTS[1::2])
@pytest.mark.parametrize("burst_count", [1, 2])
def test_flusher_that_is_killed_later_has_done_its_first_bursts(
    states: t.Any, kill: t.Any, flush: t.Any, point: str, burst_count: int
) -> None:
    """Each signal is as it was, or as it shall be; no attempt is counted twice."""
    kill("flush", burst_count, point, 2)
    seen = states()
    changed = {number for number in BEFORE if seen.get(number) != BEFORE[number]}

    assert {number: AFTER.get(number) for number in changed} == {
        number: seen.get(number) for number in changed
    }
    flush()
    assert AFTER == states()


@pytest.mark.parametrize("point", POINTS[2:])
def test_killed_autoflush_has_done_all_or_nothing(
    letter: SignalModel, states: t.Any, kill: t.Any, flush: t.Any, point: str
) -> None:
    """What was committed is pending, or its failure is the first attempt."""
    commits = 2 if point == "before commit" else 1  # the first is the application's
    kill("autoflush", 10, point, commits)
    after = {12: (1, False)}
    before = dict.fromkeys([11, 12, 13])

    assert (after if point == "after commit" else before) == states()
    flush()
    assert after == states()


@pytest.mark.usefixtures("signals")
@pytest.mark.parametrize(
    ("task", "point", "times"),
    [
        ("replay", "before commit", 1),
        ("discard", "in between", 3),
        ("discard", "before commit", 1),
    ],
)
def test_killed_operation_has_done_nothing(
    states: t.Any, kill: t.Any, task: str, point: str, times: int
) -> None:
    """What a person did with a few signals is one commit."""
    kill(task, 1, point, times)

    assert BEFORE == states()
