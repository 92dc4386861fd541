"""The relay: a supervisor in the calling thread, and lanes that send."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import typing as t
import uuid

from signalbus.exceptions import describe_error
from signalbus.stopping import StopToken

from signalbus_relay import _systemd
from signalbus_relay._activity import Activities
from signalbus_relay._bookkeeper import Bookkeeper
from signalbus_relay._condition import Condition
from signalbus_relay._counts import Counts
from signalbus_relay._crash import Caution
from signalbus_relay._flow import Setup
from signalbus_relay._health import HealthServer
from signalbus_relay._lanes import Lanes
from signalbus_relay._listener import Listeners
from signalbus_relay._reports import Reports
from signalbus_relay._status import Status

if t.TYPE_CHECKING:
    from flask import Flask
    from signalbus import SignalBus
    from signalbus.typing import SignalModel

    from signalbus_relay._activity import Activity

__all__ = ["Relay"]

logger = logging.getLogger("signalbus.relay")

#: How long lanes may take to end before it is reported what they are waited for, and
#: what is kept of the grace for the end of everything else: its share, and the most.
NOTICE_AFTER: t.Final = 0.3
RESERVE: t.Final = 0.25
MAX_RESERVE: t.Final = 2.0

#: How long the end of everything else may take whatever the grace, in seconds: a row
#: that is left behind would tell the next relay that this one had crashed.
MIN_CLOSING: t.Final = 0.5


class Relay:
    """Send what is pending, as soon as it is there, until told to stop.

    One process may run one relay at a time. Any number of processes, on any hosts,
    share the work through the locks of the database.

    :param app: the app. It must have a signal bus.
    :param names: the names of the signal models to send; all, if there are none. Models
        that appear later are picked up.
    :param exclude: the names of the signal models to leave out.
    :param poll: the longest interval between two looks for signals, in seconds. Where
        the database announces signals, they are sent at once whatever this is.
    :param concurrency: the number of threads that send the models of one broker, or
        one model that sends by itself. Models with an order have one.
    :param grace: how long a burst at hand may take when the relay is stopped, in
        seconds.
    :param health: the host and port at which ``GET /healthz`` is answered, if any.
    :raises ValueError: if a number is too small.
    :raises RuntimeError: if *app* has no signal bus.
    """

    def __init__(  # noqa: PLR0913 its options
        self,
        app: Flask,
        *,
        names: t.Collection[str] = (),
        exclude: t.Collection[str] = (),
        poll: float = 1.0,
        concurrency: int = 1,
        grace: float = 20.0,
        health: tuple[str, int] | None = None,
    ) -> None:
        _check(poll=poll, concurrency=concurrency, grace=grace)
        self._app = app
        self._bus = _bus_of(app)
        self._names = frozenset(names)
        self._exclude = frozenset(exclude)
        self._poll = poll
        self._grace = grace
        self._is_hanging = False
        self._token = StopToken()
        self._reports = Reports()
        self._counts = Counts()
        self._activities = Activities(self._broker_up)
        self._bookkeeper = Bookkeeper(
            Status(app, self._bus, uuid.uuid4().hex),
            lambda: self._lanes.models,
            self._counts,
        )
        self._lanes = Lanes(self._make_setup(), concurrency)
        self._listeners: Listeners | None = None
        self._health = HealthServer(health, self._report) if health else None

    @property
    def sent(self) -> int:
        """The number of signals sent so far."""
        return sum(each.sent for lane in self._lanes for each in lane.activities)

    @property
    def is_hanging(self) -> bool:
        """Whether threads were left behind when the grace was over.

        The process should then end by ``os._exit``, which waits for nothing.
        """
        return self._is_hanging

    def run(self, announce: t.Callable[[str], object] = lambda _: None) -> int:
        """Run until told to stop, by :meth:`stop`, SIGTERM or SIGINT.

        May be called once. In the main thread, a second signal ends the process at
        once. Failures are logged, and do not end the relay.

        Returns the exit status: 0 if all lanes have ended, whether or not signals are
        still pending. It is 1 if a burst was still being sent when the grace was over,
        or if a lane has broken down.

        :param announce: called with a line about the relay when it has started.
        :raises SignalModelError: if a signal model is misdeclared.
        :raises SignalBusError: if the address of the health report cannot be used.
        """
        models = self._find_models()
        with (
            self._token.on_signals(),
            self._reports.instead_of_the_core(lambda: bool(self._activities.current)),
            self._plugins(),
        ):
            if self._health:  # first: it may fail
                self._health.start()
            try:
                self._start(models)
                announce(self._describe())
                _systemd.notify(_systemd.READY)
                while not self._token.wait(self._poll):
                    self._supervise()
            except BaseException:  # nothing goes on behind the back of the caller
                self._token.stop()
                self._end(time.monotonic() + self._grace)
                raise
            _systemd.notify(_systemd.STOPPING)
            return self._end(time.monotonic() + self._grace)

    def stop(self) -> None:
        """Let the relay end, after the bursts at hand. Any thread may call it."""
        self._token.stop()

    def _make_setup(self) -> Setup:
        return Setup(
            app=self._app,
            bus=self._bus,
            token=self._token,
            reports=self._reports,
            activities=self._activities,
            poll=self._poll,
            is_announced=self._is_announced,
            caution=Caution(self._bus, self._token, self._bookkeeper.must_be_careful),
        )

    @contextlib.contextmanager
    def _plugins(self) -> t.Iterator[None]:
        """Follow what the bus does."""
        manager = self._bus.plugin_manager
        plugins = (self._activities, self._counts)
        for plugin in plugins:
            manager.register(plugin)
        try:
            yield
        finally:
            for plugin in plugins:
                manager.unregister(plugin)

    def _start(self, models: t.Sequence[SignalModel]) -> None:
        declaration = self._bus.declaration
        self._listeners = Listeners(
            self._app,
            self._bus,
            list(dict.fromkeys(declaration(model).bind_key for model in models)),
            self._lanes.wake,
            self._token,
        )
        self._lanes.add(models)
        self._listeners.start()
        self._bookkeeper.start()

    def _supervise(self) -> None:
        """Pick up new models, and stop if a lane has broken down."""
        try:
            self._lanes.add(self._find_models())
        except Exception as error:  # noqa: BLE001 those that are known still go out
            text = describe_error(error)
            if text != self._last_complaint:
                logger.error("New signal models are not sent: %s", text)  # noqa: TRY400 one line
            self._last_complaint = text
        if not all(lane.is_alive for lane in self._lanes):
            self._token.stop()

    #: What was said last of models that cannot be looked up.
    _last_complaint = ""

    def _find_models(self) -> list[SignalModel]:
        with self._app.app_context():
            models = self._bus.get_signal_models()
        return [
            model
            for model in models
            if (not self._names or model.__name__ in self._names)
            and model.__name__ not in self._exclude
        ]

    def _broker_up(self, broker: str) -> None:
        self._reports.broker_up(broker)
        self._lanes.broker_up(broker)

    def _is_announced(self, bind_key: str | None) -> bool:
        return self._listeners is not None and self._listeners.is_listening(bind_key)

    def _end(self, deadline: float) -> int:
        """End everything before *deadline*, and return the exit status."""
        is_broken = not all(lane.is_alive for lane in self._lanes)
        for lane in self._lanes:
            lane.stop()
        self._bookkeeper.release()
        hanging = self._join(deadline - min(MAX_RESERVE, RESERVE * self._grace))
        if hanging:
            names = _names(hanging)
            logger.error("The relay ends without waiting any longer for %s.", names)
        is_sending = any(activity.is_sending for activity in hanging)
        status = 1 if is_sending or is_broken else 0
        deadline = max(deadline, time.monotonic() + MIN_CLOSING)
        has_closed = self._close(deadline, is_clean=not status)
        self._is_hanging = bool(hanging) or not has_closed
        return status

    def _join(self, deadline: float) -> list[Activity]:
        """Wait for the lanes, and return what those that are left are doing."""
        self._wait_for_lanes(min(deadline, time.monotonic() + NOTICE_AFTER))
        if busy := self._busy():
            logger.warning(
                "Stopping: waiting up to %.0f s for %s. A second signal ends the relay"
                " at once.",
                max(0.0, deadline - time.monotonic()),
                _names(busy),
            )
        self._wait_for_lanes(deadline)
        return self._busy()

    def _wait_for_lanes(self, deadline: float) -> None:
        for lane in self._lanes:
            lane.join(deadline)

    def _busy(self) -> list[Activity]:
        return [activity for lane in self._lanes for activity in lane.busy]

    def _close(self, deadline: float, *, is_clean: bool) -> bool:
        """Close the rest, and return whether that was done before *deadline*.

        :param is_clean: whether the relay's row is deleted.
        """
        closing = [
            service.stop for service in (self._listeners, self._health) if service
        ]
        threads = [threading.Thread(target=stop, daemon=True) for stop in closing]
        for thread in threads:
            thread.start()
        has_ended = self._bookkeeper.end(deadline, is_clean=is_clean)
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return has_ended and not any(thread.is_alive() for thread in threads)

    def _report(self) -> tuple[bool, dict[str, t.Any]]:
        states = self._listeners.states if self._listeners else dict
        breakers = self._bus.breakers
        condition = Condition(
            self._lanes, breakers, self._reports, self._counts, states
        )
        return condition.report()

    def _describe(self) -> str:
        """Return a line about the relay."""
        models, lanes = len(self._lanes.models), len(self._lanes)
        states = self._listeners.states().values() if self._listeners else ()
        is_woken = any(state != "unsupported" for state in states)
        woken = "woken by PostgreSQL, " if is_woken else ""
        return (
            f"Relay of {self._app.name}: {_count(models, 'model')} in"
            f" {_count(lanes, 'lane')}; {woken}polls every {self._poll:g} s."
        )


def _check(**numbers: float) -> None:
    for name, number in numbers.items():
        least = {"poll": 0.01, "concurrency": 1, "grace": 0}[name]
        if not least <= number < float("inf"):
            raise ValueError(f"{name} is {number!r}. Pass {least} or more.")


def _bus_of(app: Flask) -> SignalBus:
    bus: SignalBus | None = app.extensions.get("signalbus")
    if bus is None:
        raise RuntimeError(
            f"The app {app.name!r} has no signal bus. Create one with `SignalBus(db)`."
        )
    return bus


def _names(activities: t.Iterable[Activity]) -> str:
    """Return the names of the models that are being worked on."""
    models = [each.model for each in activities]
    return ", ".join(dict.fromkeys(model.__name__ for model in models if model))


def _count(number: int, what: str) -> str:
    return f"{number:,} {what if number == 1 else f'{what}s'}"
