"""What can go wrong, one class a case.

Every class's docstring is its default message; a message says what happened and then
what to do about it.
"""

from __future__ import annotations

import typing as t


class SignalBusError(Exception):
    """Signalbus could not do what it was asked to do."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or " ".join((type(self).__doc__ or "").split()))


class SettingError(SignalBusError, ValueError):
    """A setting of the app has a value that it cannot have. Correct it."""


class SignalModelError(SignalBusError, RuntimeError):
    """A model cannot be used as a signal model. Correct its declaration."""


class NoBrokerError(SignalBusError):
    """Nobody sends this model. Install the broker plugin that it names."""


class BrokerUnavailableError(SignalBusError):
    """The broker cannot be reached. Its signals stay pending until it is back."""


class PartialDeliveryError(SignalBusError):
    """Some signals of the burst were not sent. They stay pending.

    Raised by a sender that knows which signals of its burst got through: those that
    *failures* does not name were confirmed by the broker, and are deleted.

    :param failures: the position in the burst (from 0) of every signal that was not
        confirmed, and the exception that tells why.
    """

    def __init__(
        self, failures: t.Mapping[int, Exception], message: str | None = None
    ) -> None:
        self.failures = dict(failures)
        super().__init__(message or self._describe())

    def _describe(self) -> str:
        reasons = "; ".join(
            f"{position}: {error!r}" for position, error in self.failures.items()
        )
        return f"Some signals of the burst were not sent, and stay pending ({reasons})."


class DBSerializationError(SignalBusError):
    """The transaction is rolled back due to a race condition. Run it again."""
