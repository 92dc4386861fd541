"""Send the signals of one model: look for them, flush, and look again."""

from __future__ import annotations

import dataclasses
import time
import typing as t

from signalbus.retry import is_outage
from signalbus.rows import SignalRows

from signalbus_relay._polling import Polling

if t.TYPE_CHECKING:
    from flask import Flask
    from signalbus import SignalBus
    from signalbus.stopping import StopToken
    from signalbus.typing import SignalModel

    from signalbus_relay._activity import Activities
    from signalbus_relay._activity import Activity
    from signalbus_relay._crash import Caution
    from signalbus_relay._reports import Reports


@dataclasses.dataclass(frozen=True)
class Setup:
    """What all lanes of a relay have in common.

    :ivar poll: the longest interval between two looks, in seconds.
    :ivar is_announced: returns whether the database with a bind key announces signals.
    :ivar caution: sends signals alone that may end the process.
    """

    app: Flask
    bus: SignalBus
    token: StopToken
    reports: Reports
    activities: Activities
    poll: float
    is_announced: t.Callable[[str | None], bool]
    caution: Caution


class Flow:
    """The signals of one model. Several threads may flush them at the same time.

    :param lost_database: called when the database turns out to be down.
    :param threads: how many threads flush the model.
    """

    def __init__(
        self,
        setup: Setup,
        model: SignalModel,
        lost_database: t.Callable[[], object],
        threads: int,
    ) -> None:
        self.model = model
        self.polling = Polling(setup.poll)
        #: Whether the signals that may end the process were sent, before all others.
        self.is_prepared = False
        #: How many threads are flushing it.
        self.in_flight = 0
        self._setup = setup
        self._declaration = setup.bus.declaration(model)
        self._rows = SignalRows(setup.bus, model)
        self._lost_database = lost_database
        self._threads = threads

    def prepare(self) -> None:
        """Send signals that may end the process alone, before the first flush."""
        started = time.monotonic()
        try:
            with self._setup.app.app_context():
                self.is_prepared = self._setup.caution.prepare(
                    self.model, self._threads, self._report
                )
        except Exception as error:  # noqa: BLE001 the database may raise anything
            self._failed(error, time.monotonic() - started)
            self.is_prepared = not is_outage(error)

    def has_signals(self) -> bool | None:
        """Return whether there are pending signals; ``None`` if that is unknown."""
        started = time.monotonic()
        try:
            with self._setup.app.app_context():
                is_empty = self._rows.is_empty()
        except Exception as error:  # noqa: BLE001 the database may raise anything
            self._failed(error, time.monotonic() - started)
            return None
        if is_empty:
            self._setup.reports.succeeded(self._declaration)
            self.polling.found_nothing(is_announced=self._is_announced)
        else:
            self._setup.reports.reached(self._declaration)
        return not is_empty

    def drain(self, activity: Activity, is_stopped: t.Callable[[], bool]) -> None:
        """Flush until there is nothing left to send."""
        while not is_stopped():
            sent_before, started = activity.sent, time.monotonic()
            error = self._flush()
            seconds = time.monotonic() - started
            activity.begin(self.model)
            has_sent = activity.sent > sent_before
            if error is not None:
                self._failed(error, seconds, has_sent=has_sent)
                return
            if not has_sent:
                self.polling.sent_nothing(seconds, is_announced=self._is_announced)
                return
            has_more = self.has_signals()
            if has_more is False:
                self.polling.sent(is_announced=self._is_announced)
            if not has_more:
                return

    def _flush(self) -> BaseException | None:
        """Flush once, and return the error that kept signals from being sent."""
        bus = self._setup.bus
        flush = bus.flushordered if self._declaration.is_ordered else bus.flushmany
        try:
            with self._setup.app.app_context():
                self._setup.caution.send_suspects(self.model, self._report)
                flush([self.model])
        except BaseException as error:  # noqa: BLE001 a sender may raise SystemExit
            return error
        if not self._setup.token.is_stopping:  # or else it may have tried nothing
            self._setup.reports.succeeded(self._declaration)
        return None

    def _failed(
        self, error: BaseException, seconds: float, *, has_sent: bool = False
    ) -> None:
        """Report an error, and decide when to look again."""
        self._report(error)
        if is_outage(error):
            self._lost_database()
        elif not self._setup.bus.breakers.is_closed(self._declaration.sender):
            self.polling.look_at_once()  # that is, as soon as the broker may be tried
        elif has_sent:
            self.polling.sent(is_announced=self._is_announced)
        else:
            self.polling.failed(seconds, is_announced=self._is_announced)

    def _report(self, error: BaseException) -> None:
        self._setup.reports.failed(self._declaration, error)

    @property
    def _is_announced(self) -> bool:
        return self._setup.is_announced(self._declaration.bind_key)
