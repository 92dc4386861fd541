"""The URLs of the servers of NATS."""

from __future__ import annotations

import dataclasses
import typing as t
import urllib.parse

from signalbus.exceptions import SettingError
from signalbus.settings import split_url

#: The default port of NATS.
PORT = 4222

#: The schemes of URLs of NATS.
SCHEMES: t.Final = ("nats", "tls")


@dataclasses.dataclass(frozen=True)
class Server:
    """A server of NATS. The ``repr`` does not show the credentials.

    :param login: arguments of nats-py: ``user`` and ``password``, ``token``, or none.
    """

    scheme: str
    host: str
    port: int
    login: t.Mapping[str, str] = dataclasses.field(repr=False, default_factory=dict)

    @property
    def address(self) -> str:
        """The host and port, for errors and logs."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The URL, without the login."""
        return f"{self.scheme}://{self.address}"


def read_servers(setting: str, value: object) -> list[Server]:
    """Return the servers that *value* names; none if nothing is set.

    :param value: one URL, or several separated by commas.
    :raises SettingError: if it is invalid. The error names *setting* and does not show
        *value*.
    """
    if value is None or value == "":
        return []
    if not isinstance(value, str):
        raise SettingError(_malformed(setting))
    return [_server(setting, url.strip()) for url in value.split(",")]


def _server(setting: str, url: str) -> Server:
    parts = split_url(url)
    if parts is None:
        raise SettingError(_malformed(setting))
    port = PORT if parts.port is None else parts.port
    is_plain = not (parts.path.strip("/") or parts.query or parts.fragment)
    if parts.scheme not in SCHEMES or not parts.hostname or not port or not is_plain:
        raise SettingError(_malformed(setting))
    return Server(parts.scheme, parts.hostname, port, _login(parts))


def _login(parts: urllib.parse.SplitResult) -> dict[str, str]:
    if parts.username is None:
        return {}
    user = urllib.parse.unquote(parts.username)
    if parts.password is None:
        return {"token": user}
    return {"user": user, "password": urllib.parse.unquote(parts.password)}


def _malformed(setting: str) -> str:
    return (
        f"{setting} is not a URL of NATS. Write it as nats://HOST:PORT, as"
        " nats://USER:PASSWORD@HOST:PORT or as nats://TOKEN@HOST:PORT, with special"
        " characters percent-encoded; with tls:// to insist on TLS; and several servers"
        " with commas in between."
    )
