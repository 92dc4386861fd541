"""Whoever sends, fails and is killed: each key is delivered in order."""

from __future__ import annotations

import collections
import logging
import os
import time
import typing as t
from pathlib import Path

import pytest

if t.TYPE_CHECKING:
    import subprocess

logger = logging.getLogger(__name__)

PROGRAM = Path(__file__).with_name("ordering_flusher.py")

#: How many keys, and how many signals of each. For the whole, set it to 100x500.
KEYS, COUNT = map(
    int, os.environ.get("SIGNALBUS_TEST_ORDERING", "20x60").lower().split("x")
)

#: How long it may take, in seconds, on a machine that is busy.
BOUND = 120 + KEYS * COUNT / 50

#: A delivery: the account, and the number of the signal among those of the account.
Delivery = tuple[int, int]


@pytest.fixture
def deliver(
    interpreter: t.Any, engine_url: str, tmp_path: Path
) -> t.Callable[..., list[Delivery]]:
    """Let many processes record, flush and die; return all deliveries, in order."""

    def run(key: str) -> list[Delivery]:
        ledger = tmp_path / "ledger"
        begun = time.monotonic()
        process: subprocess.Popen[str] = interpreter(
            PROGRAM, engine_url, str(ledger), str(KEYS), str(COUNT), key
        )
        output, _ = process.communicate(timeout=BOUND)
        lines = [line.split() for line in ledger.read_text().splitlines()]
        logger.info(
            "%d signals, %d deliveries by %d processes, %s in %.1f s",
            KEYS * COUNT,
            len(lines),
            len({pid for *_, pid in lines}),
            output.strip(),
            time.monotonic() - begun,
        )
        assert 0 == process.returncode
        return [(int(account), int(number)) for account, number, _ in lines]

    return run


def first_deliveries(deliveries: t.Iterable[Delivery]) -> dict[int, list[int]]:
    """Return, for each account, the numbers in the order in which they came first."""
    numbers: dict[int, list[int]] = collections.defaultdict(list)
    for account, number in dict.fromkeys(deliveries):
        numbers[account].append(number)
    return numbers


@pytest.mark.timeout(BOUND + 30)
@pytest.mark.databases("postgresql", "mariadb")
def test_each_key_is_delivered_in_order_whoever_is_killed(deliver: t.Any) -> None:
    """Four flushers and eight threads that autoflush; one send in fifty fails.

    Each process flushes in any of the ways, in any form and burst count. Whatever is
    delivered again, each signal comes first after all that were recorded before it, and
    none is missing.
    """
    deliveries = deliver("account_id")

    assert {
        account: list(range(1, COUNT + 1)) for account in range(1, KEYS + 1)
    } == first_deliveries(deliveries)


@pytest.mark.timeout(BOUND + 30)
@pytest.mark.databases("postgresql", "mariadb")
def test_without_a_key_nothing_is_lost_either(deliver: t.Any) -> None:
    """The order is what the key adds: nobody promises it otherwise."""
    deliveries = deliver("")

    assert KEYS * COUNT == len(set(deliveries))
