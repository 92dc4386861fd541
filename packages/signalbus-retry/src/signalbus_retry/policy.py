"""When a failed signal is tried again, and when it is parked."""

from __future__ import annotations

import dataclasses
import random
import typing as t
from collections import abc

from signalbus_retry.exceptions import MAX_SECONDS
from signalbus_retry.exceptions import is_delay

__all__ = ["RetryPolicy"]

#: The largest number of attempts that the table can count.
_MAX_ATTEMPTS: t.Final = 2**31 - 1


@dataclasses.dataclass(frozen=True)
class RetryPolicy:
    """When a failed signal is tried again, and when it is parked.

    Set it on a model as ``signalbus_retry``, or for all models as ``SIGNALBUS_RETRY``
    in the app's configuration. With the defaults, a signal that keeps failing is tried
    for two to three hours: after about 1, 2, 4 … 2048 seconds and then twice after an
    hour.

    :raises ValueError: if a value is invalid. The error names it.
    """

    #: How often a signal is tried before it is parked.
    max_attempts: int = 15

    #: How long the second attempt waits after the first, in seconds.
    first_delay: float = 1.0

    #: By how much each wait is longer than the one before.
    multiplier: float = 2.0

    #: The longest wait, in seconds.
    max_delay: float = 3600.0

    #: The part of a wait that is random, from 0 to 1. A wait is shortened by up to this
    #: part, so that signals that failed together are not tried together.
    jitter: float = 0.5

    #: Exceptions that park a signal at once.
    park_on: tuple[type[BaseException], ...] = ()

    def __post_init__(self) -> None:
        """Refuse values that cannot be used."""
        if isinstance(self.park_on, type):
            object.__setattr__(self, "park_on", (self.park_on,))
        for name, is_valid, remedy in _CHECKS:
            value = getattr(self, name)
            if not is_valid(value):
                raise ValueError(f"{name} is {value!r:.100}. Set it to {remedy}.")

    def delay(self, attempts: int) -> float:
        """Return how long to wait after so many *attempts*, in seconds."""
        try:
            full = self.first_delay * self.multiplier ** (attempts - 1)
        except OverflowError:
            full = self.max_delay
        shortened = 1.0 - self.jitter * random.random()  # noqa: S311 no secret
        return min(full, self.max_delay) * shortened


def as_policy(value: object, name: str) -> RetryPolicy:
    """Return *value* as a policy. It may be a policy, or a dict of its arguments.

    :raises ValueError: if it is invalid. The error calls it *name*.
    """
    if isinstance(value, RetryPolicy):
        return value
    if not isinstance(value, abc.Mapping):
        raise ValueError(  # noqa: TRY004 the type is what is wrong with a setting
            f"{name} is {value!r:.100}. Set it to a RetryPolicy, or to a dict of its"
            " arguments."
        )
    unknown = value.keys() - {field.name for field in dataclasses.fields(RetryPolicy)}
    if unknown:
        known = ", ".join(field.name for field in dataclasses.fields(RetryPolicy))
        raise ValueError(
            f"{name} has {min(map(str, unknown))!r}, which RetryPolicy does not have."
            f" It has {known}."
        )
    try:
        return RetryPolicy(**value)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_count(value: t.Any) -> bool:
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return is_whole and 1 <= value <= _MAX_ATTEMPTS


def _is_factor(value: t.Any) -> bool:
    return _is_number(value) and 1 <= value < float("inf")


def _is_part(value: t.Any) -> bool:
    return _is_number(value) and 0 <= value <= 1


def _are_exceptions(value: object) -> bool:
    return isinstance(value, tuple) and all(
        isinstance(each, type) and issubclass(each, BaseException) for each in value
    )


_SECONDS: t.Final = f"a number of seconds from 0 to {MAX_SECONDS:.0f}"

#: What each value must be, and how to say that.
_CHECKS: t.Final[tuple[tuple[str, t.Callable[[t.Any], bool], str], ...]] = (
    ("max_attempts", _is_count, "a whole number, 1 or more"),
    ("first_delay", is_delay, _SECONDS),
    ("multiplier", _is_factor, "a number, 1 or more"),
    ("max_delay", is_delay, _SECONDS),
    ("jitter", _is_part, "a number from 0 to 1"),
    ("park_on", _are_exceptions, "a tuple of exception classes"),
)
