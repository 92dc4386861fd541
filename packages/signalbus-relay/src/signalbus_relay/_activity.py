"""What each thread of the relay is doing: a plugin that follows every burst."""

from __future__ import annotations

import threading
import time
import typing as t

from signalbus import SignalBusError
from signalbus import hookimpl
from signalbus.exceptions import describe_error

if t.TYPE_CHECKING:
    from collections.abc import Generator

    from signalbus.typing import SignalModel


class Activity:
    """What one thread of a lane is doing.

    :ivar model: the model that it is searching or sending; ``None`` while it waits.
    :ivar is_sending: whether a burst is under way: its signals are locked, and may have
        been sent.
    :ivar sent: how many signals the thread has sent so far.
    """

    def __init__(self, clock: t.Callable[[], float] = time.monotonic) -> None:
        self.model: SignalModel | None = None
        self.is_sending = False
        self.sent = 0
        self._clock = clock
        self._since = clock()
        #: How deeply calls of senders are nested. A sender may commit signals that are
        #: autoflushed.
        self._senders = 0

    @property
    def seconds(self) -> float:
        """How many seconds there was no progress; 0 while it waits."""
        return 0.0 if self.model is None else self._clock() - self._since

    @property
    def state(self) -> str:
        """What the thread is doing, in one word."""
        if self.is_sending:
            return "sending"
        return "waiting" if self.model is None else "looking"

    def begin(self, model: SignalModel) -> None:
        """Begin to work on *model*."""
        self._since = self._clock()
        self.model = model

    def begin_burst(self) -> None:
        """Begin to send a burst."""
        self._since = self._clock()
        self.is_sending = True
        self._senders += 1

    def end_sender(self) -> None:
        """Record that the sender has returned; its burst has not ended yet."""
        self._senders -= 1

    def end_burst(self, sent: int = 0) -> None:
        """End the burst, of which *sent* signals were sent."""
        self._since = self._clock()
        self.sent += sent
        self.is_sending = self._senders > 0

    def end(self) -> None:
        """Begin to wait."""
        self.is_sending = False
        self.model = None


class Activities:
    """A plugin that tells the :class:`Activity` of each thread about its bursts.

    :param broker_up: called with the name of a broker that is back.
    """

    def __init__(self, broker_up: t.Callable[[str], object]) -> None:
        self._threads = threading.local()
        self._broker_up = broker_up

    def enter(self, activity: Activity) -> None:
        """Assign *activity* to this thread."""
        self._threads.activity = activity

    @property
    def current(self) -> Activity | None:
        """The activity of this thread, if it is one of the relay's."""
        return getattr(self._threads, "activity", None)

    @hookimpl(wrapper=True, tryfirst=True)
    def signalbus_send_burst(self) -> Generator[None, t.Any, t.Any]:
        """Note that a burst is about to be sent.

        A sender that raises ``SystemExit``, or the ``CancelledError`` of a task, has
        failed: that ends no thread, and must not keep other signals from being sent.
        """
        activity = self.current
        if activity is None:
            return (yield)
        activity.begin_burst()
        try:
            return (yield)
        except Exception:
            raise
        except BaseException as error:
            raise SignalBusError(
                f"The sender raised {describe_error(error)}"
            ) from error
        finally:
            activity.end_sender()

    @hookimpl(wrapper=True, tryfirst=True)
    def signalbus_burst_sent(self, count: int) -> Generator[None, t.Any, t.Any]:
        """Note that a burst was sent, and count its signals."""
        if activity := self.current:
            activity.end_burst(count)
        return (yield)

    @hookimpl(wrapper=True, tryfirst=True)
    def signalbus_burst_failed(self) -> Generator[None, t.Any, t.Any]:
        """Note that the transaction of a burst has ended."""
        if activity := self.current:
            activity.end_burst()
        return (yield)

    @hookimpl
    def signalbus_broker_up(self, broker: str) -> None:
        """Notify the lanes, so that signals that have piled up are sent at once."""
        self._broker_up(broker)
