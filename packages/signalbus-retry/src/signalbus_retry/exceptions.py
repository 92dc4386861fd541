"""Exceptions by which a sender says when, or whether, to retry its signal."""

from __future__ import annotations

import typing as t

from signalbus.exceptions import SignalBusError

#: The longest time that a signal can wait for its next attempt, in seconds: a year.
MAX_SECONDS: t.Final = 366 * 24 * 3600.0


class RetryLater(SignalBusError):  # noqa: N818 the design's
    """The signal cannot be sent now. It is tried again later.

    Raised by a sender that knows when to try again, for example because the service
    answered "too many requests", or because the order is not yet in the other system.
    It does not count as an attempt towards ``max_attempts``, and never parks the
    signal.

    :param seconds: how long to wait at least, from 0 to a year.
    :param reason: a text that is shown as the error.
    :raises ValueError: if *seconds* is out of range or not a number.
    """

    def __init__(self, seconds: float, reason: str | None = None) -> None:
        if not is_delay(seconds):
            raise ValueError(
                f"seconds is {seconds!r}. Pass a number from 0 to {MAX_SECONDS:.0f}."
            )
        self.seconds = float(seconds)
        super().__init__(reason or f"The sender asked to wait {seconds:g} seconds.")


class Park(SignalBusError):  # noqa: N818 the design's
    """The sender parks the signal, which then waits for a person.

    Raised by a sender that knows that no attempt can succeed, for example because the
    signal refers to something that does not exist. Its row stays, and no flush tries it
    until a person replays it.

    :param reason: a text that is shown as the error.
    """

    def __init__(self, reason: str | None = None) -> None:
        super().__init__(reason or "The sender parked the signal.")


class ProcessEndedError(SignalBusError):
    """The process ended while this signal was being sent.

    It is never raised, but shown as the error of failed signals. It may be an element
    of ``RetryPolicy.park_on``.
    """

    def __init__(self) -> None:
        super().__init__("The process ended while this signal was being sent.")


def is_delay(seconds: object) -> bool:
    """Return whether a signal can wait for *seconds*."""
    return (
        isinstance(seconds, (int, float))
        and not isinstance(seconds, bool)
        and 0 <= seconds <= MAX_SECONDS
    )
