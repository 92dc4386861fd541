"""The sender of a broker plugin: it talks to the broker, for one app."""

from __future__ import annotations

import abc
import typing as t

if t.TYPE_CHECKING:
    from signalbus._broker_limit import WaitLimit
    from signalbus.messages import MessageBatch
    from signalbus.typing import SignalModel


class CheckLine(t.NamedTuple):
    """A line in the report of ``flask signalbus NAME check``.

    :param what: what was checked, such as ``"OrderPaid: topic 'orders'"``.
    :param problem: what is wrong with it, followed by the remedy; ``None`` if nothing
        is wrong.
    :param good: what to report if nothing is wrong.
    """

    what: str
    problem: str | None = None
    good: str = "ok"

    def __str__(self) -> str:
        """Return the line."""
        return f"{self.what}: {self.problem or self.good}"


class Sender(abc.ABC):
    """Sends the messages of one app to its broker.

    Its methods are called from several threads at once, and in processes that were
    forked after it was made. So open connections only when they are needed, and new
    ones in each process; :class:`PerProcess` does that.
    """

    @abc.abstractmethod
    def send(self, batch: MessageBatch, limit: WaitLimit) -> None:
        """Send the messages of *batch*, and record the outcome of each in it.

        Called inside the transaction that holds the locks on the signals' rows, within
        an app context. Confirm a message only when the broker has stored it. A message
        that is neither confirmed nor failed when the method returns counts as failed.

        The method may also raise an exception, such as
        :exc:`~signalbus.BrokerUnavailableError` if the broker is unavailable. It
        applies to the messages that are not settled; confirmed ones stay confirmed.

        :param limit: how long to wait for the broker, connecting included.
        """

    def check(
        self,
        models: t.Sequence[SignalModel],  # noqa: ARG002 for those who override it
        limit: WaitLimit,  # noqa: ARG002 likewise
    ) -> t.Iterable[CheckLine]:
        """Check whether the broker has what *models* need, without changing anything.

        Called by ``flask signalbus check`` and ``flask signalbus NAME check``, within
        an app context, with the models that name this broker. Report a broker that
        cannot be reached as a problem. By default, nothing is checked.

        :param limit: how long to wait for the broker, connecting included.
        """
        return ()

    def close(self) -> None:  # noqa: B027 most have something to close, not all
        """Close the connections of this process.

        Called when the app is garbage-collected, or when the interpreter exits. Return
        quickly, whether or not the broker answers, and raise nothing.
        """
