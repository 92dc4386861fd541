"""The ledger: a message counts once for each time that a sender has sent it."""

from __future__ import annotations

import typing as t

from chaos.ledger import FileReader
from chaos.ledger import Ledger
from chaos.ledger_file import LedgerFile

if t.TYPE_CHECKING:
    from pathlib import Path


def _numbers(ledger: Ledger) -> list[str]:
    return [arrival.number for arrival in ledger.arrivals()]


def test_a_message_that_is_sent_twice_counts_twice() -> None:
    """It is a duplicate."""
    ledger = Ledger()
    ledger.add("Posted", "a 1.0")
    ledger.add("Posted", "a 2.0")

    assert ["a", "a"] == _numbers(ledger)


def test_a_message_that_the_broker_hands_out_again_counts_once() -> None:
    """The reader's connection broke before it had acknowledged the message."""
    ledger = Ledger()
    ledger.add("Posted", "a 1.0")
    ledger.add("Posted", "a 1.0", is_redelivery=True)
    ledger.add("Posted", "b 1.0", is_redelivery=True)

    assert ["a", "b"] == _numbers(ledger)


def test_what_senders_write_to_the_file_is_read_to_the_end(tmp_path: Path) -> None:
    """Also what they write just before the reader stops."""
    ledger = Ledger()
    path = tmp_path / "ledger"
    reader = FileReader(path, ledger)
    file = LedgerFile(str(path))
    file.write("Filed", b"a 1.5")
    file.write("Filed", b"b 2.5")
    reader.stop()

    assert ["a", "b"] == _numbers(ledger)
    assert [1.5, 2.5] == [arrival.sent for arrival in ledger.arrivals()]
