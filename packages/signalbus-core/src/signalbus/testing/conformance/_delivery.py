"""Tests that confirmed messages are stored, and failures reported one by one."""

from __future__ import annotations

import typing as t

import pytest

from signalbus.exceptions import NoBrokerError
from signalbus.exceptions import PartialDeliveryError
from signalbus.testing.conformance._case import Row
from signalbus.testing.conformance._case import rows
from signalbus.testing.conformance._case import unavailable

if t.TYPE_CHECKING:
    from signalbus.testing.conformance._case import Case

    NewCase: t.TypeAlias = t.Callable[..., Case]


class Delivery:
    """The outcome of messages while the broker is available."""

    many: int

    def test_what_is_confirmed_is_stored(self, case: Case) -> None:
        """When a flush has deleted the rows, the broker has each message once."""
        signals = rows(25)
        case.record(signals)

        assert 25 == case.flush()
        assert sorted(each.payload for each in signals) == case.bodies()
        assert set() == case.pending()

    def test_a_burst_of_one_is_stored(self, case: Case) -> None:
        """A single signal goes out at once; nothing waits for a burst to fill."""
        case.send(rows(1))

        assert [b"1"] == case.bodies()

    def test_many_signals_arrive_once_each(self, case: Case) -> None:
        """Of many bursts, nothing is lost, and nothing comes twice."""
        case.record(rows(self.many))

        assert self.many == case.flush()
        assert sorted(str(n).encode() for n in range(1, self.many + 1)) == case.bodies()

    def test_models_of_other_brokers_are_left_alone(self, new_case: NewCase) -> None:
        """A plugin sends only the models that name it."""
        case = new_case(signalbus_broker="no such broker")
        case.record(rows(1))

        with pytest.raises(NoBrokerError):
            case.flush()

        assert [] == case.bodies()

    @pytest.mark.parametrize("refused", [{1}, {7}, {1, 4, 7}, set(range(1, 8))])
    def test_failures_are_reported_by_position(
        self, refusing_case: NewCase, refused: set[int]
    ) -> None:
        """A message that the broker refuses is named; the others are stored, once."""
        case = refusing_case(refused)

        with pytest.raises(PartialDeliveryError) as caught:
            case.send(rows(7))

        assert refused == {position + 1 for position in caught.value.failures}
        assert None is unavailable(caught.value), "refused is not unavailable"
        stored = set(range(1, 8)) - refused
        assert sorted(str(number).encode() for number in stored) == case.bodies()

    def test_a_refused_signal_stops_no_other(self, refusing_case: NewCase) -> None:
        """A flush sends what it can, and keeps the rest."""
        case = refusing_case({3, 30, 50})
        case.record(rows(50))

        with pytest.raises(Exception) as caught:  # noqa: PT011 whatever it is
            case.flush()

        assert None is unavailable(caught.value)
        assert {3, 30, 50} == case.pending()
        assert 47 == len(case.bodies()), "each of the others is stored once"

    def test_what_cannot_be_made_fails_alone(self, new_case: NewCase) -> None:
        """A model's own function may raise; even an OSError is not the broker's."""

        def body(signal: Row) -> bytes:
            if signal.id == 2:
                raise ValueError("no body")
            if signal.id == 4:
                raise ConnectionError("no body")
            return signal.payload

        case = new_case(signalbus_body=body)
        case.record(rows(5))

        with pytest.raises(Exception) as caught:  # noqa: PT011 whatever it is
            case.flush()

        assert None is unavailable(caught.value)
        assert {2, 4} == case.pending()
        assert [b"1", b"3", b"5"] == case.bodies()
