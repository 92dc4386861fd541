"""The relay: a supervisor in the calling thread, and lanes that send."""

from __future__ import annotations

import contextlib
import typing as t
import uuid

from signalbus.exceptions import describe_error
from signalbus.logs import get_logger
from signalbus.stopping import StopToken

from signalbus_relay import _systemd
from signalbus_relay._activity import Activities
from signalbus_relay._bookkeeper import Bookkeeper
from signalbus_relay._condition import Condition
from signalbus_relay._counts import Counts
from signalbus_relay._crash import Caution
from signalbus_relay._ending import Ending
from signalbus_relay._flow import Setup
from signalbus_relay._health import HealthServer
from signalbus_relay._lanes import Lanes
from signalbus_relay._listener import Listeners
from signalbus_relay._reports import Reports
from signalbus_relay._running import running
from signalbus_relay._status import Status

if t.TYPE_CHECKING:
    from flask import Flask
    from signalbus import SignalBus
    from signalbus.typing import SignalModel

__all__ = ["Relay"]

logger = get_logger("signalbus.relay")

#: How many seconds a relay waits at most before it probes a broker that is down. Unlike
#: those of autoflush, its probes delay no commits.
MAX_PROBE_INTERVAL = 4.0


class Relay:
    """Sends pending signals as soon as they are committed, until it is told to stop.

    One process may run one relay at a time. Any number of processes, on any hosts,
    share the work through the locks of the database.

    :param app: the app. It must have a signal bus.
    :param names: the names of the signal models to send; all, if there are none. Models
        that appear later are picked up.
    :param exclude: the names of the signal models to leave out.
    :param poll: the longest interval between two searches for signals, in seconds. If
        the database announces signals, they are sent at once regardless of it.
    :param concurrency: the number of threads that send the models of one broker, or
        one model that sends by itself. Ordered models have one thread.
    :param grace: how long the current bursts may take when the relay is stopped, in
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
    def listeners(self) -> dict[str, str]:
        """What wakes the relay, by the names of the databases on PostgreSQL.

        A value is one of ``listening``, ``connecting`` (or reconnecting), ``deaf``
        (connected, but notifications do not arrive) and ``unsupported`` (the driver
        cannot listen). The database without a bind key is called ``default``.
        """
        return self._listeners.states() if self._listeners else {}

    @property
    def is_hanging(self) -> bool:
        """Whether threads were left behind when the grace period was over.

        The process should then end with ``os._exit``, which does not wait for them.
        """
        return self._is_hanging

    def run(self, announce: t.Callable[[str], object] = lambda _: None) -> int:
        """Run until told to stop, by :meth:`stop`, SIGTERM or SIGINT.

        May be called only once. In the main thread, a second signal ends the process at
        once. Failures are logged, and do not end the relay.

        Returns the exit status: 0 if all lanes have ended, whether or not signals are
        still pending; 1 if a burst was still being sent when the grace period was over,
        or if a lane has broken down.

        :param announce: called with a line about the relay when everything is ready,
            right before anything is sent. The relay ends if this raises an error.
        :raises SignalModelError: if a signal model is misdeclared.
        :raises SignalBusError: if the address of the health report cannot be used.
        """
        models = self._find_models()
        with (
            self._token.on_signals(),
            self._reports.instead_of_the_core(lambda: bool(self._activities.current)),
            self._plugins(),
            self._bus.breakers.probed_every(MAX_PROBE_INTERVAL),
            running(self._bus, self),
        ):
            if self._health:  # first: it may fail
                self._health.start()
            try:
                self._set_up(models)
                announce(self._describe())
                self._lanes.start()
                _systemd.notify(_systemd.READY)
                while not self._token.wait(self._poll):
                    self._supervise()
            except BaseException:  # nothing goes on behind the back of the caller
                self._token.stop()
                self._end()
                raise
            _systemd.notify(_systemd.STOPPING)
            return self._end()

    def stop(self) -> None:
        """End the relay after the current bursts. Any thread may call it."""
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

    def _set_up(self, models: t.Sequence[SignalModel]) -> None:
        """Start everything except the lanes, so nothing is sent yet."""
        declaration = self._bus.declaration
        self._listeners = Listeners(
            self._app,
            self._bus,
            list(dict.fromkeys(declaration(model).bind_key for model in models)),
            self._lanes.wake,
            self._token,
        )
        if not models:
            self._warn_of_no_models()
        self._bookkeeper.start(models)  # each lane will wait for its row
        self._lanes.add(models)
        self._listeners.start()

    def _supervise(self) -> None:
        """Pick up new models, and stop if a lane has broken down."""
        try:
            self._lanes.add(self._find_models())
            self._lanes.start()
        except Exception as error:  # noqa: BLE001 those that are known still go out
            text = describe_error(error)
            if text != self._last_complaint:
                logger.error("New signal models are not sent: %s", text)  # noqa: TRY400 one line
            self._last_complaint = text
        if not all(lane.is_alive for lane in self._lanes):
            self._token.stop()

    #: The last error that was logged because the models could not be looked up.
    _last_complaint = ""

    def _find_models(self) -> list[SignalModel]:
        return [model for model in self._all_models() if self._is_chosen(model)]

    def _all_models(self) -> list[SignalModel]:
        with self._app.app_context():
            return self._bus.get_signal_models()

    def _is_chosen(self, model: SignalModel) -> bool:
        is_named = not self._names or model.__name__ in self._names
        return is_named and model.__name__ not in self._exclude

    def _warn_of_no_models(self) -> None:
        """Log why there is nothing to send, which is probably a mistake."""
        if names := ", ".join(model.__name__ for model in self._all_models()):
            reason = (
                "the names that it was given, and those to exclude, leave out all"
                f" signal models of the app ({names}). Choose others."
            )
        else:
            reason = (
                "the app has no signal models. Import the modules that define them."
            )
        logger.warning(
            "The relay of %s has nothing to send: %s", self._app.name, reason
        )

    def _broker_up(self, broker: str) -> None:
        self._reports.broker_up(broker)
        self._lanes.broker_up(broker)

    def _is_announced(self, bind_key: str | None) -> bool:
        return self._listeners is not None and self._listeners.is_listening(bind_key)

    def _end(self) -> int:
        """End everything within the grace, and return the exit status."""
        services = [each for each in (self._listeners, self._health) if each]
        ending = Ending(self._lanes, self._bookkeeper, services, self._grace)
        status = ending.end()
        self._is_hanging = ending.is_hanging
        return status

    def _report(self) -> tuple[bool, dict[str, t.Any]]:
        states = self._listeners.states if self._listeners else dict
        breakers = self._bus.breakers
        condition = Condition(
            self._lanes, breakers, self._reports, self._counts, states
        )
        with self._app.app_context():
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


def _count(number: int, what: str) -> str:
    return f"{number:,} {what if number == 1 else f'{what}s'}"
