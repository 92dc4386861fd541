"""Flushers side by side share the retries as they share everything else."""

from __future__ import annotations

import collections
import json
import typing as t
from pathlib import Path

import pytest
import signalbus_retry
import sqlalchemy as sa

if t.TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import SignalModel

FLUSHER = Path(__file__).with_name("busy_flusher.py")

MAX_ATTEMPTS = 4

FILL = {
    "postgresql": (20_000, "SELECT i, 'x' FROM generate_series(1, 20000) AS t(i)"),
    "mariadb": (10_000, "SELECT seq, 'x' FROM seq_1_to_10000"),
}


@pytest.fixture(autouse=True)
def _retry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Switch the plugin on, here and in the processes."""
    monkeypatch.delenv("SIGNALBUS_DISABLED_PLUGINS", raising=False)


@pytest.fixture
def parcel(db: SQLAlchemy, bus: SignalBus, app_ctx: object) -> SignalModel:
    """Declare the flushers' model, as the process that looks on has it."""

    class Parcel(db.Model):
        id = sa.Column(sa.Integer, primary_key=True)
        text = sa.Column(sa.String(50))

        @classmethod
        def send_signalbus_message(cls, signal: object) -> None:
            """Send nothing at all."""

    db.create_all()
    return Parcel


@pytest.fixture
def tries(
    interpreter: t.Any, engine_url: str, tmp_path: Path
) -> t.Callable[[], dict[int, list[tuple[int | None, float | None]]]]:
    """Let four flushers do their work, and tell all their tries, by signal."""

    def run() -> dict[int, list[tuple[int | None, float | None]]]:
        paths = [tmp_path / f"tries {number}" for number in range(4)]
        flushers = [interpreter(FLUSHER, engine_url, str(path)) for path in paths]
        assert ["ready\n"] * 4 == [each.stdout.readline() for each in flushers]
        for flusher in flushers:
            flusher.stdin.write("go\n")
            flusher.stdin.flush()
        assert [0] * 4 == [flusher.wait(200) for flusher in flushers]
        tries = collections.defaultdict(list)
        for path in paths:
            for line in path.read_text().splitlines():
                number, attempts, due_since = json.loads(line)
                tries[number].append((attempts, due_since))
        return tries

    return run


@pytest.mark.databases("postgresql", "mariadb")
def test_failing_signals_are_tried_as_often_as_the_policy_says(
    bus: SignalBus,
    db: SQLAlchemy,
    parcel: SignalModel,
    tries: t.Any,
    database: str,
) -> None:
    """Healthy ones go out once; others each time they are due, and are then parked."""
    count, numbers = FILL[database]
    with db.engine.begin() as connection:
        connection.exec_driver_sql(f"INSERT INTO parcel (id, text) {numbers}")
    seen = tries()
    failing = set(range(100, count + 1, 100))
    delays = [due for number in failing for attempts, due in seen[number] if attempts]
    parked = {each.key[0]: each for each in signalbus_retry.failures(bus)}

    assert set(range(1, count + 1)) == seen.keys()
    assert {1} == {len(seen[number]) for number in seen.keys() - failing}
    assert {(None, 1, 2, 3)} == {
        tuple(sorted((attempts for attempts, _ in seen[number]), key=lambda x: x or 0))
        for number in failing
    }
    assert min(delays) >= 0
    assert failing == parked.keys()
    assert {(MAX_ATTEMPTS, True)} == {
        (each.attempts, each.is_parked) for each in parked.values()
    }
    assert {parcel: len(failing)} == bus.count_pending()
