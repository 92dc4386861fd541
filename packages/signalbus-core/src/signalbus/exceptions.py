"""The errors of signalbus.

The docstring of a class is its default message. A message says what happened and then
what to do about it.
"""

from __future__ import annotations

import re
import typing as t

import sqlalchemy.exc as sa_exc

from signalbus._passwords import hide_passwords

__all__ = [
    "BrokerTimeoutError",
    "BrokerUnavailableError",
    "DBSerializationError",
    "MessageRefusedError",
    "MissingTableError",
    "NoBrokerError",
    "PartialDeliveryError",
    "ReportLine",
    "SettingError",
    "SignalBusError",
    "SignalModelError",
    "clean_line",
    "describe_error",
    "escape_controls",
    "hide_passwords",
    "without_values",
]

#: How much of an error's text goes into one line.
_MAX_TEXT = 1000

#: What differs between errors that are alike: quoted values, and words with digits.
_VALUES = re.compile(r"""'[^']*'|"[^"]*"|[^\s'"]*\d[^\s'"]*""")


class SignalBusError(Exception):
    """The operation failed."""

    def __init__(self, message: str | None = None) -> None:
        # What it quotes, of a driver or a sender, may have a URL in it.
        message = hide_passwords(message) if isinstance(message, str) else message
        super().__init__(message or " ".join((type(self).__doc__ or "").split()))


class SettingError(SignalBusError, ValueError):
    """A setting of the app has an invalid value. Correct it."""


class SignalModelError(SignalBusError, RuntimeError):
    """A model cannot be used as a signal model. Correct its declaration."""


class NoBrokerError(SignalBusError):
    """No plugin sends this model. Install the broker plugin that it names."""


class BrokerUnavailableError(SignalBusError):
    """The broker cannot be reached. Its signals stay pending until it is back."""


class BrokerTimeoutError(BrokerUnavailableError):
    """The broker did not answer in time. Its signals stay pending until it does.

    What was sent without an answer may or may not have arrived.
    """


class MessageRefusedError(SignalBusError):
    """The broker refused the message. Correct the signal, or the broker.

    The failure of one signal; others of its burst may have been confirmed.
    """


class PartialDeliveryError(SignalBusError):
    """Some signals of the burst were not sent. They stay pending.

    Raised by a sender that knows which signals of its burst got through: those that
    *failures* does not name were confirmed by the broker, and are deleted.

    :param failures: the position in the burst (from 0) of every signal that was not
        confirmed, and the exception that was its reason.
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


class MissingTableError(SignalBusError):
    """The table of a signal model is missing. Run your migrations."""


class DBSerializationError(SignalBusError):
    """The transaction conflicts with another one and was rolled back. Run it again."""


class ReportLine(str):
    """A note of the error that a flush raises: what it left, and why, in one line.

    :ivar is_settled: whether all signals of the line wait for their next attempt, or
        are parked, as a plugin says that counts attempts. If that is so for all such
        notes of an error, there is nothing to be done at once.
    :ivar about: what failed: ``"broker"`` or ``"database"`` if that is down as a whole,
        or else ``"signals"``.
    """

    __slots__ = ("about", "is_settled")

    about: str
    is_settled: bool

    def __new__(  # noqa: PYI034 Self is not in Python 3.10
        cls, text: str, *, is_settled: bool = False, about: str = "signals"
    ) -> ReportLine:
        """Make a line of *text*."""
        line = super().__new__(cls, text)
        line.is_settled = is_settled
        line.about = about
        return line


def describe_error(error: BaseException) -> str:
    """Return *error* as one line: its type, and what it says.

    Meant for logs and terminals. Control characters are escaped, so that no part of the
    text can pass for a line of its own. Passwords are hidden, as :func:`hide_passwords`
    does. An error of the database is given without its statement and parameters.
    """
    kind = escape_controls(type(error).__name__)
    says = escape_controls(_text(error))
    if not says:
        return kind
    return says if says.startswith(f"{kind}:") else f"{kind}: {says}"


def without_values(text: str) -> str:
    """Return *text* without quoted values and words with digits.

    What is left is equal for errors that differ only by their signals.
    """
    return _VALUES.sub("…", text)


def escape_controls(text: str) -> str:
    """Return *text* with line breaks and other control characters escaped."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode()
        for each in text
    )


def clean_line(text: str) -> str:
    """Return *text* as one line for logs and terminals, without passwords.

    It is :func:`hide_passwords` and :func:`escape_controls` in one.
    """
    return escape_controls(hide_passwords(text))


def _text(error: BaseException) -> str:
    try:
        text = str(_source(error)).strip()
    except Exception:  # noqa: BLE001 a sender's error may fail to say anything
        return ""
    if isinstance(error, sa_exc.StatementError):
        # The further lines are the driver's advice, the statement and its parameters.
        text = text.partition("\n")[0].rstrip()
    text = hide_passwords(text)  # before it is cut: half a URL cannot be recognized
    return text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}…"


def _source(error: BaseException) -> BaseException:
    """Return what a driver raised, which SQLAlchemy's error wraps."""
    wrapped = error.orig if isinstance(error, sa_exc.DBAPIError) else None
    return error if wrapped is None else wrapped
