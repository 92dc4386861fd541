"""Read the setting ``SIGNALBUS_KAFKA``: a mapping of librdkafka's own settings."""

from __future__ import annotations

import dataclasses
import json
import re
import typing as t

from signalbus.exceptions import SettingError
from signalbus.exceptions import hide_passwords

SETTING: t.Final = "SIGNALBUS_KAFKA"

_EXAMPLE: t.Final = '{"bootstrap.servers": "localhost:9092"}'

#: What a mapping without other values gets.
DEFAULTS: t.Final[t.Mapping[str, t.Any]] = {
    # A sender waits for as long as it may, and then takes back what was not confirmed.
    "message.timeout.ms": 0,
    # A topic that does not exist must be found out within the time of an autoflush.
    "topic.metadata.propagation.max.ms": 1000,
    # A connection that is lost is replaced at once, and not after a second or two. If
    # all brokers have moved, a new producer finds them.
    "metadata.recovery.strategy": "none",
    "reconnect.backoff.max.ms": 1000,
    "queue.buffering.max.kbytes": 64 * 1024,
}

#: What no mapping may change, and why.
REQUIRED: t.Final[t.Mapping[str, t.Any]] = {"acks": "all", "enable.idempotence": True}

_UNCONFIRMED = "Kafka would confirm messages that it can still lose"
_DISORDERED = "messages might arrive twice, and in another order"
_OURS = "signalbus needs it itself"

#: The restricted settings: whether a value is allowed, and why not otherwise.
_REFUSED: t.Final[dict[str, tuple[t.Callable[[str], bool], str]]] = {
    "acks": (lambda value: value in {"all", "-1"}, _UNCONFIRMED),
    "request.required.acks": (lambda value: value in {"all", "-1"}, _UNCONFIRMED),
    "enable.idempotence": (lambda value: value in {"true", "t", "1"}, _DISORDERED),
    "queuing.strategy": (lambda value: value == "fifo", _DISORDERED),
    "retries": (lambda value: value != "0", _DISORDERED),
    "message.send.max.retries": (lambda value: value != "0", _DISORDERED),
    "delivery.report.only.error": (
        lambda value: value in {"false", "f", "0"},
        "signalbus could not know what Kafka has confirmed",
    ),
    "transactional.id": (
        lambda _: False,
        "signalbus sends outside of Kafka's transactions",
    ),
    **dict.fromkeys(
        ("dr_cb", "error_cb", "log_cb", "logger", "on_delivery"),
        (lambda _: False, _OURS),
    ),
}

#: The settings that say where the cluster is.
_SERVERS: t.Final = ("bootstrap.servers", "metadata.broker.list")

#: The part of a URL before its ``@``.
_LOGIN = re.compile(r"(?:^|,|//)([^,\s]+)@")

#: The names of settings whose values are secret.
_SECRET = re.compile(r"password|passphrase|secret|\.pem$|^sasl\.oauthbearer\.config$")


@dataclasses.dataclass(frozen=True)
class ClientSettings:
    """The settings of a producer. The ``repr`` shows none of them."""

    #: The configuration of the producer.
    config: t.Mapping[str, t.Any] = dataclasses.field(repr=False)

    @property
    def servers(self) -> str:
        """The addresses of the cluster, for error messages."""
        config = self.config
        servers = next((config[name] for name in _SERVERS if name in config), "?")
        return self.redact(str(servers))

    def redact(self, text: str) -> str:
        """Return *text* without secrets."""
        for secret in sorted(self._secrets(), key=len, reverse=True):
            text = text.replace(secret, "***")
        return hide_passwords(text)

    def _secrets(self) -> t.Iterator[str]:
        for name, value in self.config.items():
            if value and _SECRET.search(name):
                yield str(value)
            if name in _SERVERS:  # Kafka has no logins there, but people have tried
                yield from _LOGIN.findall(str(value))


def read_settings(value: object, client_id: str) -> ClientSettings | None:
    """Return the settings in *value*, or ``None`` if there are none.

    :param value: the value of the setting: a mapping, or a JSON object.
    :param client_id: the name of the client, unless the setting has another.
    :raises SettingError: if it cannot be used, or weakens the guarantees of signalbus.
        The error never shows a value that may be a secret.
    """
    if value is None or value == "":
        return None
    config = _as_mapping(value)
    for name, each in config.items():
        _check(name, each)
    if not _has_servers(config):
        raise SettingError(
            f"{SETTING} has no 'bootstrap.servers'. Add it: the hosts and ports of"
            f" Kafka, such as {_EXAMPLE}."
        )
    if any(not isinstance(config.get(name, ""), str) for name in _SERVERS):
        raise SettingError(
            f"{SETTING} has servers that are not a text. Write their hosts and ports as"
            " one string, with commas in between."
        )
    return ClientSettings({"client.id": client_id, **DEFAULTS, **config, **REQUIRED})


def _as_mapping(value: object) -> dict[t.Any, t.Any]:
    """Return *value*, which may be JSON, as a mapping."""
    kind = type(value).__name__
    if isinstance(value, (str, bytes)):
        try:
            value = json.loads(value)
        except ValueError:
            value = None
        kind = "text that is not a JSON object"
    if isinstance(value, t.Mapping):
        return dict(value)
    raise SettingError(
        f"{SETTING} is a {kind}. Set it to a mapping of librdkafka's settings, or to"
        f" JSON of one, such as {_EXAMPLE}."
    )


def _check(name: object, value: object) -> None:
    if not isinstance(name, str):
        raise SettingError(
            f"{SETTING} has the key {name!r:.60}. Its keys are names of librdkafka's"
            " settings: strings."
        )
    is_allowed, reason = _REFUSED.get(name, (lambda _: True, ""))
    if not is_allowed(str(value).lower()):
        shown = (
            f"sets {name!r} to {value!r:.60}" if reason != _OURS else f"has {name!r}"
        )
        raise SettingError(f"{SETTING} {shown}, but {reason}. Remove it.")


def _has_servers(config: t.Mapping[str, t.Any]) -> bool:
    return any(config.get(name) for name in (*_SERVERS, "test.mock.num.brokers"))
