"""How to connect to a broker: the URL, and limits where the URL sets none."""

from __future__ import annotations

import typing as t
import urllib.parse

import pika
from signalbus.exceptions import SettingError
from signalbus.settings import split_url

#: The schemes of AMQP URLs. pika itself accepts others, and URLs without one.
SCHEMES = frozenset({"amqp", "amqps"})

#: Limits, in seconds, for what the URL's query does not set. pika's own are longer, and
#: it waits for a blocked connection for ever.
LIMITS = {
    "socket_timeout": 5.0,
    "stack_timeout": 10.0,
    "blocked_connection_timeout": 10.0,
}


def parse(url: t.Any, setting: str) -> pika.URLParameters:
    """Return the parameters of *url*. Errors name *setting*, and never show *url*.

    An AMQP URL contains a user and a password, and the parsers' errors about a
    malformed one may quote them.
    """
    parts = split_url(url)
    if parts is None or parts.scheme not in SCHEMES or not parts.hostname:
        raise SettingError(_malformed(setting)) from None
    try:
        parameters = pika.URLParameters(url)
    except Exception:  # noqa: BLE001 whatever it is, it may quote the password
        raise SettingError(_malformed(setting)) from None
    for name in LIMITS.keys() - urllib.parse.parse_qs(parts.query).keys():
        setattr(parameters, name, LIMITS[name])
    return parameters


def address(parameters: pika.ConnectionParameters) -> str:
    """Return the host and port of *parameters*, for errors and logs."""
    return f"{parameters.host}:{parameters.port}"


def _malformed(setting: str) -> str:
    return (
        f"{setting} is not an AMQP URL. Write it as amqp://USER:PASSWORD@HOST:PORT/VHOST,"
        " with special characters percent-encoded (the virtual host '/' is %2F), and"
        " only parameters that pika.URLParameters knows."
    )
