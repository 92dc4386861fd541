"""A lane: the threads that send the signals of one sender, independently of others."""

from __future__ import annotations

import threading
import time
import typing as t

from signalbus.logs import get_logger

from signalbus_relay._activity import Activity
from signalbus_relay._flow import Flow
from signalbus_relay._wakeup import Wakeup

if t.TYPE_CHECKING:
    from signalbus import Declaration
    from signalbus.typing import SignalModel

    from signalbus_relay._flow import Setup

logger = get_logger("signalbus.relay")


class Lane:
    """The models of one sender in one database, and the threads that send them.

    One thread at a time watches: it waits until signals are announced, and polls when
    it is time. When there are signals, it leaves the watch to the next thread, and
    sends them. So an idle lane polls no more often than if it had one thread.

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
        #: Whether it was told to start, even if that has failed.
        self.has_started = False
        self._setup = setup
        self._watch = threading.Lock()
        self._wakeup = Wakeup()
        self._flows: dict[SignalModel, Flow] = {}
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
        return list(self._flows)

    @property
    def is_alive(self) -> bool:
        """Whether all threads are running, or have yet to be started."""
        return not self.has_started or all(
            thread.is_alive() for thread in self._threads
        )

    @property
    def busy(self) -> list[Activity]:
        """The activities of the running threads that are not waiting."""
        return [
            activity
            for activity, thread in zip(self.activities, self._threads, strict=True)
            if thread.is_alive() and activity.model is not None
        ]

    def add(self, model: SignalModel) -> None:
        """Add *model* to the lane."""
        self._flows[model] = Flow(
            self._setup, model, self._lost_database, len(self._threads)
        )
        self._wakeup.wake()

    def start(self) -> None:
        """Start the threads."""
        try:
            for thread in self._threads:
                thread.start()
        finally:
            self.has_started = True

    def wake(self, models: t.Collection[SignalModel] | None = None) -> None:
        """Flush *models* now, or all models of the lane."""
        mine = self.models
        woken = mine if models is None else [each for each in mine if each in models]
        if woken:
            self._wakeup.wake(woken)

    def stop(self) -> None:
        """End the threads, each after its current burst."""
        self._wakeup.stop()

    def join(self, deadline: float) -> bool:
        """Wait for the threads until *deadline*, and return whether they have ended."""
        for thread in self._threads:
            if thread.is_alive():  # or else it may not have been started
                thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _work(self, activity: Activity) -> None:
        """Watch and send, in turn, until told to stop.

        In the context of the app, whose brokers may be other apps' by name.
        """
        self._setup.activities.enter(activity)
        try:
            with self._setup.token.active(), self._setup.app.app_context():
                while flows := self._next(activity):
                    self._drain(activity, flows)
        except BaseException:  # an error of our own: the relay ends
            logger.exception("A thread of the lane %s has ended.", self.name)

    def _next(self, activity: Activity) -> list[Flow]:
        """Watch, and return the flows to flush; none if it is time to stop."""
        with self._watch:
            while not self._wakeup.is_stopped:
                self._prepare(activity)
                self._wakeup.wait(self._seconds_to_look())
                flows = self._find(activity)
                activity.end()
                if flows:
                    return sorted(flows, key=lambda flow: flow.in_flight)
        return []

    def _prepare(self, activity: Activity) -> None:
        """Prepare the models that are new, while no other thread sends them."""
        for flow in list(self._flows.values()):
            if flow.is_prepared or self._wakeup.is_stopped:
                continue
            if self._seconds_to_probe():
                break
            activity.begin(flow.model)
            flow.prepare()
        activity.end()

    def _find(self, activity: Activity) -> list[Flow]:
        """Return the prepared flows that were woken, or else those that have signals.

        None while the broker is down and this thread may not probe it. A flow that is
        not prepared must not use up a probe, or it would never be prepared.
        """
        if self._wakeup.is_stopped or self._seconds_to_probe():
            return []
        woken = [self._flows[model] for model in self._wakeup.take()]
        self._wakeup.keep(flow.model for flow in woken if not flow.is_prepared)
        flows = [flow for flow in woken if flow.is_prepared] or self._look(activity)
        if flows and not self._is_admitted():
            self._wakeup.keep(flow.model for flow in flows)
            return []
        return flows

    def _is_admitted(self) -> bool:
        """Return whether this thread may try the broker."""
        return self._setup.bus.breakers.admits(self.sender)

    def _seconds_to_look(self) -> float:
        """Return how long to wait, unless woken."""
        flows = list(self._flows.values())
        due = min((flow.polling.due_in for flow in flows), default=3600.0)
        return max(due, self._seconds_to_probe())

    def _seconds_to_probe(self) -> float:
        """Return in how many seconds the broker may be tried; 0 if it may be now."""
        return self._setup.bus.breakers.open().get(self.sender, 0.0)

    def _look(self, activity: Activity) -> list[Flow]:
        """Return the flows that are due for a poll and have signals."""
        due = [
            flow
            for flow in list(self._flows.values())
            if flow.is_prepared and not flow.polling.due_in
        ]
        found: list[Flow] = []
        for flow in due:
            activity.begin(flow.model)
            if flow.has_signals():
                found.append(flow)
        return found

    def _drain(self, activity: Activity, flows: t.Sequence[Flow]) -> None:
        """Send pending signals, one model after the other."""
        breakers = self._setup.bus.breakers
        for number, flow in enumerate(flows):
            if number and not breakers.is_closed(self.sender):
                self._wakeup.keep(each.model for each in flows[number:])
                break
            flow.in_flight += 1
            activity.begin(flow.model)
            try:
                flow.drain(activity, lambda: self._wakeup.is_stopped)
            finally:
                activity.end()
                flow.in_flight -= 1
        self._wakeup.wake()  # whoever watches now reckons with what has changed

    def _lost_database(self) -> None:
        """Poll all models again at the same time, since they are in one database."""
        for flow in list(self._flows.values()):
            flow.polling.lost_database()
