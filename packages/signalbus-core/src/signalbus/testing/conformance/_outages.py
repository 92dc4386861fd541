"""Tests of brokers that are down or silent, and of connections that are lost."""

from __future__ import annotations

import threading
import typing as t

from signalbus import stopping
from signalbus.exceptions import BrokerTimeoutError
from signalbus.testing.conformance._case import error_within
from signalbus.testing.conformance._case import rows
from signalbus.testing.conformance._case import unavailable

if t.TYPE_CHECKING:
    from signalbus.testing.conformance._case import Case

    NewCase: t.TypeAlias = t.Callable[..., Case]

#: How long the broker may be silent in most of these tests, in seconds.
TIMEOUT = 2.0


class Outages:
    """The behavior when the broker, or the connection to it, fails."""

    timeout_setting: str

    def test_an_absent_broker_is_unavailable(self, impatient_case: Case) -> None:
        """A broker that refuses connections is unavailable, and that is no timeout."""
        case = impatient_case
        case.server.stop()

        error = error_within(TIMEOUT, lambda: case.send(rows(3)))

        assert None is not error, "nothing can have been confirmed"
        assert None is not unavailable(error), repr(error)
        assert not isinstance(unavailable(error), BrokerTimeoutError), repr(error)

    def test_a_broker_that_goes_is_unavailable(self, impatient_case: Case) -> None:
        """So is one that was there before."""
        case = impatient_case
        case.send(rows(3))
        case.server.stop()

        error = error_within(TIMEOUT, lambda: case.send(rows(3, first=4)))

        assert None is not error, "nothing can have been confirmed"
        assert None is not unavailable(error), repr(error)
        assert not isinstance(unavailable(error), BrokerTimeoutError), repr(error)

    def test_a_silent_broker_times_out(self, impatient_case: Case) -> None:
        """A broker that answers nothing has timed out, whatever it was sent."""
        case = impatient_case
        case.send(rows(3))
        case.server.freeze()

        error = error_within(TIMEOUT, lambda: case.send(rows(3, first=4)))

        assert None is not error, "nothing can have been confirmed"
        assert isinstance(unavailable(error), BrokerTimeoutError), repr(error)

    def test_connecting_to_a_silent_broker_times_out(
        self, impatient_case: Case
    ) -> None:
        """The time to connect counts, too."""
        case = impatient_case
        case.server.freeze()

        error = error_within(TIMEOUT, lambda: case.send(rows(3)))

        assert None is not error, "nothing can have been confirmed"
        assert isinstance(unavailable(error), BrokerTimeoutError), repr(error)

    def test_a_commit_does_not_wait_for_longer(self, case: Case) -> None:
        """The hook's *timeout* ends the call before the setting does."""
        case.send(rows(3))
        case.server.freeze()

        error = error_within(0.5, lambda: case.send(rows(3, first=4), timeout=0.5))

        assert isinstance(unavailable(t.cast("t.Any", error)), BrokerTimeoutError)

    def test_a_process_that_is_told_to_stop_does_not_wait(self, case: Case) -> None:
        """The setting would let it wait for half a minute."""
        case.send(rows(3))
        case.server.freeze()
        token = stopping.StopToken()
        token.stop()

        with token.active():
            error = error_within(1.0, lambda: case.send(rows(3, first=4)))

        assert None is not unavailable(t.cast("t.Any", error)), repr(error)

    def test_a_stop_ends_the_wait(self, case: Case) -> None:
        """A process that is told to stop while it waits waits no longer."""
        case.send(rows(3))
        case.server.freeze()
        token = stopping.StopToken()
        threading.Timer(0.5, token.stop).start()

        with token.active():
            error = error_within(2.0, lambda: case.send(rows(3, first=4)))

        assert None is not unavailable(t.cast("t.Any", error)), repr(error)

    def test_an_outage_loses_nothing(self, impatient_case: Case) -> None:
        """What a flush could not send stays pending, and is sent when it can be."""
        case = impatient_case
        case.record(rows(20))
        for fault, repair in (
            (case.server.stop, case.server.start),
            (case.server.freeze, case.server.thaw),
        ):
            fault()
            assert None is not error_within(TIMEOUT, case.flush)
            assert set(range(1, 21)) == case.pending()
            repair()
        case.flush_until_empty()

        assert {str(number).encode() for number in range(1, 21)} == set(case.bodies())

    def test_a_connection_that_died_goes_unnoticed(self, case: Case) -> None:
        """If it died between two bursts, the next one is sent over another."""
        for first in (1, 4, 7):
            case.send(rows(3, first))
            case.server.drop_connections()
        case.send(rows(1, 10))

        assert {str(number).encode() for number in range(1, 11)} == set(case.bodies())

    def test_a_broker_that_restarts_is_found(self, case: Case) -> None:
        """The same process goes on with the broker that is back."""
        case.send(rows(3))
        case.server.stop()
        case.server.start()
        attributes = case.attributes
        case.recover(lambda: case.send(rows(3, first=4)))

        found = {each.body for each in case.server.read(attributes)}

        assert {b"4", b"5", b"6"} <= found

    def test_check_finds_nothing_wrong(self, case: Case) -> None:
        """What works has no problem."""
        assert [] == case.problems()

    def test_check_finds_an_absent_broker(self, impatient_case: Case) -> None:
        """A broker that cannot be reached is a problem, and is reported in time."""
        case = impatient_case
        case.server.stop()
        found: list[str] = []

        error = error_within(TIMEOUT, lambda: found.extend(case.problems()))

        assert None is error, repr(error)
        assert found, "check reported no problem"

    def test_check_does_not_wait_for_a_silent_broker(
        self, impatient_case: Case
    ) -> None:
        """Nor does it for longer than the setting says."""
        case = impatient_case
        case.server.freeze()
        found: list[str] = []

        error = error_within(TIMEOUT, lambda: found.extend(case.problems()))

        assert None is error, repr(error)
        assert found, "check reported no problem"
