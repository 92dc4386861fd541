"""What a sender raises to say when, and whether, its signal is to be tried again."""

from __future__ import annotations

import typing as t

from signalbus.exceptions import SignalBusError

#: The longest time that a signal can wait for its next attempt, in seconds: a year.
MAX_SECONDS: t.Final = 366 * 24 * 3600.0


class RetryLater(SignalBusError):  # noqa: N818 the design's
    """The signal is not sent now. It is tried again later.

    Raised by a sender that knows when to try again: the service answered "too many
    requests", or the order is not yet in the other system. This is not an attempt: it
    does not count towards ``max_attempts``, and never parks the signal.

    :param seconds: how long to wait at least, from 0 to a year.
    :param reason: what people are shown as the error.
    :raises ValueError: if *seconds* is anything else.
    """

    def __init__(self, seconds: float, reason: str | None = None) -> None:
        if not is_delay(seconds):
            raise ValueError(
                f"seconds is {seconds!r}. Pass a number from 0 to {MAX_SECONDS:.0f}."
            )
        self.seconds = float(seconds)
        super().__init__(reason or f"The sender asked to wait {seconds:g} seconds.")


class Park(SignalBusError):  # noqa: N818 the design's
    """The signal is parked by its sender. It waits for a person.

    Raised by a sender that knows that no attempt can succeed: the signal refers to
    something that does not exist. Its row stays, and no flush tries it until a person
    replays it.

    :param reason: what people are shown as the error.
    """

    def __init__(self, reason: str | None = None) -> None:
        super().__init__(reason or "The sender parked the signal.")


class ProcessEndedError(SignalBusError):
    """The process ended while this signal was being sent.

    Never raised: it is what failed signals show as their error. It can be an element of
    ``RetryPolicy.park_on``.
    """

    def __init__(self) -> None:
        super().__init__("The process ended while this signal was being sent.")


def is_delay(seconds: object) -> bool:
    """Return whether *seconds* is a time that a signal can wait."""
    return (
        isinstance(seconds, (int, float))
        and not isinstance(seconds, bool)
        and 0 <= seconds <= MAX_SECONDS
    )
