"""The messages of a burst, made on demand and settled one by one."""

from __future__ import annotations

import typing as t

from signalbus.exceptions import BrokerUnavailableError
from signalbus.exceptions import PartialDeliveryError
from signalbus.exceptions import SignalBusError

if t.TYPE_CHECKING:
    from signalbus._declaration import Declaration
    from signalbus._message import Message
    from signalbus._message import MessageFactory
    from signalbus.typing import Signal


class MessageBatch:
    """The messages of a burst, and the outcome of each.

    Iterating over it makes the messages that are not settled, one at a time, and fails
    those that cannot be made. Record the outcome of each message by its position::

        for message in batch:
            client.send(message.id, message.body)
            batch.confirm(message.position)

    A message is settled once it is confirmed or has failed. Iterating again, for
    example to use a new connection, yields the messages that are not settled yet.
    Messages that are not settled in the end count as failed.

    Not safe to use from several threads at once.
    """

    def __init__(
        self,
        factory: MessageFactory,
        declaration: Declaration,
        signals: t.Sequence[Signal],
        headers: t.Sequence[t.Mapping[str, str]] = (),
    ) -> None:
        #: What the model declares.
        self.declaration = declaration
        #: The errors of the messages that have failed, by position.
        self.failures: dict[int, Exception] = {}
        self._factory = factory
        self._signals = signals
        self._headers = headers
        self._unsettled = dict.fromkeys(range(len(signals)))

    def __len__(self) -> int:
        """Return the number of messages, settled or not."""
        return len(self._signals)

    def __iter__(self) -> t.Iterator[Message]:
        """Yield the messages that are not settled, in the order of the burst."""
        for position in list(self._unsettled):
            message = self._make(position)
            if message is not None:
                yield message

    @property
    def is_settled(self) -> bool:
        """Whether every message is confirmed or has failed."""
        return not self._unsettled

    @property
    def has_confirmed(self) -> bool:
        """Whether any message is confirmed."""
        return len(self._unsettled) + len(self.failures) < len(self)

    def confirm(self, position: int) -> None:
        """Record that the broker has stored the message at *position*.

        Its row will be deleted, so never call this before the broker has confirmed.
        """
        self._check(position)
        self._unsettled.pop(position, None)
        self.failures.pop(position, None)

    def confirm_all(self) -> None:
        """Record that the broker has stored all messages that have not failed."""
        self._unsettled.clear()

    def fail(self, position: int, error: Exception) -> None:
        """Record that the message at *position* was not sent, and why; its row stays.

        :param error: an error of this message alone, such as
            :exc:`~signalbus.exceptions.MessageRefusedError`, or the error that the
            broker is unavailable.
        """
        self._check(position)
        if not isinstance(error, Exception):
            raise TypeError(
                f"A message failed by {error!r}, which is not an exception."
            )
        self._unsettled.pop(position, None)
        self.failures[position] = error

    def fail_rest(self, error: Exception) -> None:
        """Record that all messages that are not settled have failed with *error*."""
        for position in list(self._unsettled):
            self.fail(position, error)

    def raise_failures(self) -> None:
        """Raise the error that the core expects, unless every message is confirmed.

        :raises BrokerUnavailableError: if all messages failed for that reason.
        :raises PartialDeliveryError: if messages failed in any other way.
        """
        self.fail_rest(SignalBusError("The broker plugin did not confirm the message."))
        if not self.failures:
            return
        errors = list(self.failures.values())
        if len(errors) == len(self) and all(
            isinstance(each, BrokerUnavailableError) for each in errors
        ):
            raise errors[0]
        raise PartialDeliveryError(self.failures)

    def _check(self, position: int) -> None:
        if not 0 <= position < len(self._signals):
            raise IndexError(
                f"There is no message at {position}: the batch has {len(self)}, and"
                " positions are counted from 0."
            )

    def _make(self, position: int) -> Message | None:
        """Return the message at *position*; fail it if it cannot be made."""
        headers = self._headers[position] if self._headers else None
        try:
            return self._factory.message(position, self._signals[position], headers)
        except Exception as error:  # noqa: BLE001 one signal never stops the others
            self.fail(position, own_failure(error))
            return None


def own_failure(error: Exception) -> Exception:
    """Return *error*, wrapped if it could be taken for an error of the broker.

    A model's own function may open a file or a connection, and fail to.
    """
    if not isinstance(error, (OSError, BrokerUnavailableError)):
        return error
    own = SignalBusError(f"{type(error).__name__}: {error}")
    own.__cause__ = error
    return own
