"""Ask the management API what AMQP does not show: whether anything is bound."""

from __future__ import annotations

import base64
import http.client
import json
import typing as t
import urllib.error
import urllib.parse
import urllib.request

from signalbus.settings import split_url

if t.TYPE_CHECKING:
    import pika


class ManagementError(Exception):
    """The management API does not reply, or refuses."""


class Management:
    """The management API of a broker, for the virtual host of its AMQP URL.

    :param url: the URL of the API, such as ``http://localhost:15672``. Unless it has a
        user and password, those of *parameters* are used.
    :param timeout: how long each request may take, in seconds.
    """

    def __init__(
        self, url: str, parameters: pika.ConnectionParameters, timeout: float
    ) -> None:
        parts = split_url(url)
        if not (parts and parts.scheme in {"http", "https"} and parts.hostname):
            raise ManagementError(
                "The URL of the management API is not an HTTP URL. Write it as"
                " http://HOST:PORT, or with USER:PASSWORD@ before the host, with"
                " special characters percent-encoded."
            )
        self.address = parts.netloc.rpartition("@")[2]
        self._base = f"{parts.scheme}://{self.address}{parts.path.rstrip('/')}/api"
        self._vhost = urllib.parse.quote(parameters.virtual_host, safe="")
        self._authorization = _basic(parts, parameters.credentials)
        self._timeout = timeout

    def has_way_out(self, exchange: str) -> bool:
        """Return whether *exchange* has a binding or an alternate exchange."""
        path = f"exchanges/{self._vhost}/{urllib.parse.quote(exchange, safe='')}"
        if self._get(f"{path}/bindings/source"):
            return True
        details = self._get(path)
        if "alternate-exchange" in details.get("arguments", {}):
            return True
        policy = details.get("policy")
        return bool(policy) and "alternate-exchange" in self._policy(policy)

    def _policy(self, name: str) -> t.Any:
        path = f"policies/{self._vhost}/{urllib.parse.quote(name, safe='')}"
        return self._get(path)["definition"]

    def _get(self, path: str) -> t.Any:
        request = urllib.request.Request(  # noqa: S310 the scheme was looked at
            f"{self._base}/{path}", headers={"Authorization": self._authorization}
        )
        try:
            with urllib.request.urlopen(request, timeout=self._timeout) as response:  # noqa: S310 the same
                return json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                reason = f"{error.code} {error.reason}"
        except urllib.error.URLError as error:
            reason = _in_words(error.reason)
        except (OSError, ValueError, http.client.HTTPException) as error:
            reason = f"{type(error).__name__}: {error}"
        raise ManagementError(f"The management API at {self.address}: {reason}.")


def _in_words(reason: object) -> str:
    if isinstance(reason, ConnectionRefusedError):
        return (
            "the connection was refused. Enable the management plugin on the broker:"
            " `rabbitmq-plugins enable rabbitmq_management`"
        )
    return str(reason)


def _basic(parts: urllib.parse.SplitResult, credentials: t.Any) -> str:
    user = urllib.parse.unquote(parts.username or credentials.username)
    password = urllib.parse.unquote(parts.password or credentials.password)
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
