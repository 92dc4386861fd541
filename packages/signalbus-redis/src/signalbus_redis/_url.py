"""Read the URL of the server, without the client library."""

from __future__ import annotations

import dataclasses
import typing as t
from urllib.parse import unquote
from urllib.parse import urlsplit

from signalbus.exceptions import SettingError
from signalbus.settings import split_url

if t.TYPE_CHECKING:
    from urllib.parse import SplitResult

URL_SETTING: t.Final = "SIGNALBUS_REDIS_URL"

_DEFAULT_PORT: t.Final = 6379


@dataclasses.dataclass(frozen=True)
class ServerUrl:
    """The URL of the server. As a string, it has no password, and is used in errors.

    :param value: the URL.
    :param place: the host and port, or the path of a socket.
    """

    value: str = dataclasses.field(repr=False)
    place: str

    @classmethod
    def read(cls, value: object) -> ServerUrl:
        """Read the setting.

        Parts that redis-py would ignore, such as a database that is not a number, are
        errors, too: they come from a password that is not percent-encoded.

        :raises SettingError: if *value* is malformed. The error does not show it.
        """
        value = value.strip() if isinstance(value, str) else value
        parts = _split(value)
        if parts is None:
            raise SettingError(
                f"{URL_SETTING} is not a valid URL of Redis. Set it to"
                " redis://USER:PASSWORD@HOST:PORT/DATABASE, to the same with rediss://"
                " for TLS, or to unix://PATH, with special characters percent-encoded."
            )
        return cls(str(value), _place(parts))

    @property
    def is_tls(self) -> bool:
        """Whether the URL asks for TLS."""
        return urlsplit(self.value).scheme == "rediss"

    def __str__(self) -> str:
        """Return the name of the server for error messages."""
        return f"Redis at {self.place}"


def _split(value: object) -> SplitResult | None:
    """Return the parts of a URL; ``None`` if *value* is not one of Redis."""
    parts = split_url(value)
    if parts is None:
        return None
    if parts.scheme == "unix":
        is_good = len(parts.path) > 1
    else:
        has_host = bool(parts.hostname) or not parts.netloc
        is_good = has_host and parts.port != 0 and _is_database(parts.path)
    is_ours = parts.scheme in {"redis", "rediss", "unix"}
    return parts if is_ours and is_good and not parts.fragment else None


def _is_database(path: str) -> bool:
    return path in {"", "/"} or path[1:].isdecimal()


def _place(parts: SplitResult) -> str:
    if parts.scheme == "unix":
        return unquote(parts.path)
    host = unquote(parts.hostname or "localhost")
    shown = f"[{host}]" if ":" in host else host
    return f"{shown}:{parts.port or _DEFAULT_PORT}"
