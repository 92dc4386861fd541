"""The settings of a consumer: its arguments, or else the configuration of its app."""

from __future__ import annotations

import dataclasses
import math
import typing as t

from signalbus.exceptions import SettingError

from signalbus_rabbitmq import _parameters

if t.TYPE_CHECKING:
    import pika

#: How many messages are prefetched for each thread by default.
PREFETCH_PER_THREAD = 10

#: The largest prefetch count in AMQP.
MAX_PREFETCH = 2**16 - 1

#: The waits before a message is tried again, in seconds: the first and the longest one.
RETRY_FIRST_DELAY = 1.0
RETRY_MAX_DELAY = 60.0


@dataclasses.dataclass(frozen=True)
class Settings:
    """The settings of a consumer. The ``repr`` does not show the URL."""

    url: str = dataclasses.field(repr=False)
    queue: str
    threads: int
    prefetch_size: int
    prefetch_count: int
    max_attempts: int | None
    retry_first_delay: float
    retry_max_delay: float
    parameters: pika.ConnectionParameters


def check_arguments(arguments: t.Mapping[str, t.Any]) -> None:
    """Raise a ``ValueError`` that names the first of *arguments* that is invalid."""
    for name, value in arguments.items():
        if value is not None:
            _CONVERTERS[name](value, name)


def read(
    arguments: t.Mapping[str, t.Any], config: t.Mapping[str, t.Any], prefix: str
) -> Settings:
    """Return the settings: each from *arguments* unless it is ``None``, or *config*.

    Raise a SettingError that names the setting if it is missing or invalid.
    """

    def value(name: str, default: t.Any = None) -> t.Any:
        if arguments[name] is not None:
            return _CONVERTERS[name](arguments[name], name)
        setting = f"{prefix}_{name.upper()}"
        found = config.get(setting, default)
        if name in _REQUIRED and not found:
            raise SettingError(
                f"{setting} is not set in app.config. The consumer needs it."
            )
        return _CONVERTERS[name](found, setting)

    url, threads = value("url"), value("threads", 1)
    return Settings(
        url=url,
        queue=value("queue"),
        threads=threads,
        prefetch_size=value("prefetch_size", 0),
        prefetch_count=value(
            "prefetch_count", min(threads * PREFETCH_PER_THREAD, MAX_PREFETCH)
        ),
        max_attempts=value("max_attempts"),
        retry_first_delay=value("retry_first_delay", RETRY_FIRST_DELAY),
        retry_max_delay=value("retry_max_delay", RETRY_MAX_DELAY),
        parameters=_parameters.parse(url, f"{prefix}_URL"),
    )


def _text(value: t.Any, name: str) -> str:
    if not value or not isinstance(value, str):
        raise SettingError(f"{name} is empty, or not a string. The consumer needs it.")
    return value


def _url(value: t.Any, name: str) -> str:
    url = _text(value, name)
    _parameters.parse(url, name)
    return url


def _whole_number(value: t.Any, name: str, minimum: int, maximum: int) -> int:
    """Return a number that may come from the environment, as a string."""
    number = _number(value)
    if number is None or number != int(number) or not minimum <= number <= maximum:
        raise SettingError(
            f"{name} is {value!r}. Set it to a whole number"
            f" from {minimum} to {maximum}."
        )
    return int(number)


def _short(value: t.Any, name: str) -> int:
    return _whole_number(value, name, 0, MAX_PREFETCH)


def _long(value: t.Any, name: str) -> int:
    return _whole_number(value, name, 0, 2**32 - 1)


def _count(value: t.Any, name: str) -> int:
    return _whole_number(value, name, 1, 2**31 - 1)


def _count_or_none(value: t.Any, name: str) -> int | None:
    return None if value is None else _count(value, name)


def _seconds(value: t.Any, name: str) -> float:
    number = _number(value)
    if number is None or number <= 0:
        raise SettingError(
            f"{name} is {value!r}. Set it to a positive number of seconds."
        )
    return number


def _number(value: t.Any) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (OverflowError, TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


_REQUIRED = frozenset({"url", "queue"})

_CONVERTERS: dict[str, t.Callable[[t.Any, str], t.Any]] = {
    "url": _url,
    "queue": _text,
    "threads": _count,
    "prefetch_size": _long,
    "prefetch_count": _short,
    "max_attempts": _count_or_none,
    "retry_first_delay": _seconds,
    "retry_max_delay": _seconds,
}
