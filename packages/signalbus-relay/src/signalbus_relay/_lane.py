"""A lane: the threads that send the signals of one sender, whatever others do."""

from __future__ import annotations

import collections
import dataclasses
import logging
import threading
import time
import typing as t

from signalbus.retry import is_outage
from signalbus.rows import SignalRows

from signalbus_relay._activity import Activity
from signalbus_relay._polling import Polling
from signalbus_relay._wakeup import Wakeup

if t.TYPE_CHECKING:
    from flask import Flask
    from signalbus import Declaration
    from signalbus import SignalBus
    from signalbus.stopping import StopToken
    from signalbus.typing import SignalModel

    from signalbus_relay._activity import Activities
    from signalbus_relay._reports import Reports

logger = logging.getLogger("signalbus.relay")


@dataclasses.dataclass(frozen=True)
class Setup:
    """What all lanes of a relay have in common.

    :ivar poll: the longest interval between two looks, in seconds.
    :ivar is_announced: returns whether the database with a bind key announces signals.
    :ivar prepare: called in a lane's thread with each of its models before that is
        flushed for the first time.
    """

    app: Flask
    bus: SignalBus
    token: StopToken
    reports: Reports
    activities: Activities
    poll: float
    is_announced: t.Callable[[str | None], bool]
    prepare: t.Callable[[SignalModel], object]


class Lane:
    """The models of one sender in one database, and the threads that send them.

    One thread at a time watches: it waits until signals are announced, or looks for
    them when it is time. When there are some, it leaves the watch to the next thread,
    and sends. So an idle lane looks as often as if it had one thread.

    :param is_ordered: whether to send in the order that the models declare.
    :param threads: the number of threads.
    """

    def __init__(
        self,
        setup: Setup,
        name: str,
        declaration: Declaration,
        *,
        is_ordered: bool,
        threads: int,
    ) -> None:
        self.name = name
        self.sender = declaration.sender
        self.bind_key = declaration.bind_key
        self.is_ordered = is_ordered
        self.activities = [Activity() for _ in range(threads)]
        self._setup = setup
        self._watch = threading.Lock()
        self._wakeup = Wakeup()
        self._unprepared: dict[SignalModel, None] = {}
        self._rows: dict[SignalModel, SignalRows] = {}
        self._polling: dict[SignalModel, Polling] = {}
        self._in_flight: collections.Counter[SignalModel] = collections.Counter()
        self._threads = [
            threading.Thread(
                target=self._work,
                args=(activity,),
                name=f"signalbus-relay {name}",
                daemon=True,
            )
            for activity in self.activities
        ]

    @property
    def models(self) -> list[SignalModel]:
        """The models that the lane sends."""
        return list(self._polling)

    @property
    def is_alive(self) -> bool:
        """Whether all threads are there."""
        return all(thread.is_alive() for thread in self._threads)

    @property
    def busy(self) -> list[Activity]:
        """What the threads that are still there are doing, unless they wait."""
        return [
            activity
            for activity, thread in zip(self.activities, self._threads, strict=True)
            if thread.is_alive() and activity.model is not None
        ]

    def add(self, model: SignalModel) -> None:
        """Send the signals of *model*, too."""
        self._rows[model] = SignalRows(self._setup.bus, model)
        self._unprepared[model] = None
        self._polling[model] = Polling(self._setup.poll)
        self._wakeup.wake()

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def wake(self, models: t.Collection[SignalModel] | None = None) -> None:
        """Flush *models* now, or all models of the lane."""
        mine = self.models
        woken = mine if models is None else [each for each in mine if each in models]
        if woken:
            self._wakeup.wake(woken)

    def stop(self) -> None:
        """Let the threads end, each after the burst at hand."""
        self._wakeup.stop()

    def join(self, deadline: float) -> bool:
        """Wait for the threads until *deadline*, and return whether they have ended."""
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _work(self, activity: Activity) -> None:
        """Watch and send, in turn, until told to stop."""
        self._setup.activities.enter(activity)
        try:
            with self._setup.token.active():
                while models := self._next_models(activity):
                    self._flush(activity, models)
        except BaseException:  # an error of our own: the relay ends
            logger.exception("A thread of the lane %s has ended.", self.name)

    def _next_models(self, activity: Activity) -> list[SignalModel]:
        """Watch, and return which models to flush; none if it is time to stop."""
        with self._watch:
            while not self._wakeup.is_stopped:
                self._prepare(activity)
                self._wakeup.wait(self._seconds_to_look())
                models = self._find(activity)
                activity.end()
                if models:
                    return sorted(models, key=lambda model: self._in_flight[model])
        return []

    def _find(self, activity: Activity) -> list[SignalModel]:
        """Return the models that were woken, or else those that have signals.

        None while the broker is down, and left to others to probe.
        """
        if self._wakeup.is_stopped or self._seconds_to_probe():
            return []
        models = self._wakeup.take() or self._look(activity)
        if models and not self._setup.bus.breakers.admits(self.sender):
            self._wakeup.keep(models)
            return []
        return models

    def _seconds_to_look(self) -> float:
        """Return for how long to wait, unless woken."""
        due = min((each.due_in for each in self._polling.values()), default=3600.0)
        return max(due, self._seconds_to_probe())

    def _seconds_to_probe(self) -> float:
        """Return in how many seconds the broker may be tried; 0 if it may be now."""
        return self._setup.bus.breakers.open().get(self.sender, 0.0)

    def _look(self, activity: Activity) -> list[SignalModel]:
        """Return those models for which it is time that have signals."""
        due = [model for model in self.models if not self._polling[model].due_in]
        found: list[SignalModel] = []
        for model in due:
            activity.begin(model)
            if self._has_signals(model):
                found.append(model)
        return found

    def _has_signals(self, model: SignalModel) -> bool | None:
        """Return whether *model* has pending signals; ``None`` if that is unknown."""
        declaration = self._setup.bus.declaration(model)
        started = time.monotonic()
        try:
            with self._setup.app.app_context():
                is_empty = self._rows[model].is_empty()
        except Exception as error:  # noqa: BLE001 the database may raise anything
            self._failed(model, error, time.monotonic() - started)
            return None
        if is_empty:
            self._setup.reports.succeeded(declaration)
            self._polling[model].found_nothing(is_announced=self._is_announced)
        else:
            self._setup.reports.reached(declaration)
        return not is_empty

    def _prepare(self, activity: Activity) -> None:
        """Prepare the models that are new, while no other thread sends them."""
        while self._unprepared and not self._wakeup.is_stopped:
            model = next(iter(self._unprepared))
            activity.begin(model)
            started = time.monotonic()
            try:
                with self._setup.app.app_context():
                    self._setup.prepare(model)
            except Exception as error:  # noqa: BLE001 a sender may raise anything
                self._failed(model, error, time.monotonic() - started)
            del self._unprepared[model]
        activity.end()

    def _flush(self, activity: Activity, models: t.Sequence[SignalModel]) -> None:
        """Send what is pending of *models*, one after the other."""
        breakers = self._setup.bus.breakers
        for number, model in enumerate(models):
            if number and not breakers.is_closed(self.sender):
                self._wakeup.keep(models[number:])
                break
            self._in_flight[model] += 1
            activity.begin(model)
            try:
                self._drain(activity, model)
            finally:
                activity.end()
                self._in_flight[model] -= 1
        self._wakeup.wake()  # whoever watches now reckons with what has changed

    def _drain(self, activity: Activity, model: SignalModel) -> None:
        """Flush *model* until nothing is sent any more."""
        polling = self._polling[model]
        while not self._wakeup.is_stopped:
            sent_before, started = activity.sent, time.monotonic()
            error = self._run(model)
            seconds = time.monotonic() - started
            activity.begin(model)
            has_sent = activity.sent > sent_before
            if error is not None:
                self._failed(model, error, seconds, has_sent=has_sent)
                return
            if not has_sent:
                polling.sent_nothing(seconds, is_announced=self._is_announced)
                return
            has_more = self._has_signals(model)
            if has_more is False:
                polling.sent(is_announced=self._is_announced)
            if not has_more:
                return

    def _run(self, model: SignalModel) -> BaseException | None:
        """Flush *model* once, and return what kept signals from being sent."""
        bus = self._setup.bus
        flush = bus.flushordered if self.is_ordered else bus.flushmany
        try:
            with self._setup.app.app_context():
                flush([model])
        except BaseException as error:  # noqa: BLE001 a sender may raise SystemExit
            return error
        if not self._setup.token.is_stopping:  # or else it may have tried nothing
            self._setup.reports.succeeded(bus.declaration(model))
        return None

    def _failed(
        self,
        model: SignalModel,
        error: BaseException,
        seconds: float,
        *,
        has_sent: bool = False,
    ) -> None:
        """Report an error, and decide when to look again."""
        self._setup.reports.failed(self._setup.bus.declaration(model), error)
        polling = self._polling[model]
        if is_outage(error):
            for each in self._polling.values():
                each.lost_database()
        elif not self._setup.bus.breakers.is_closed(self.sender):
            polling.look_at_once()  # that is, as soon as the broker may be tried
        elif has_sent:
            polling.sent(is_announced=self._is_announced)
        else:
            polling.failed(seconds, is_announced=self._is_announced)

    @property
    def _is_announced(self) -> bool:
        return self._setup.is_announced(self.bind_key)
