"""Further options of nats-py for connecting, such as TLS and credentials."""

from __future__ import annotations

import typing as t

from signalbus.exceptions import SettingError

#: The arguments of ``nats.connect`` that an app may set. signalbus sets all others.
NAMES: t.Final = frozenset(
    {
        "inbox_prefix",
        "name",
        "nkeys_seed",
        "nkeys_seed_str",
        "password",
        "signature_cb",
        "tls",
        "tls_handshake_first",
        "tls_hostname",
        "token",
        "user",
        "user_credentials",
        "user_jwt_cb",
    }
)

#: Those of them that are texts.
_TEXTS: t.Final = frozenset({"name", "password", "tls_hostname", "token", "user"})


def read_options(setting: str, value: object) -> dict[str, t.Any]:
    """Return the options in *value*, a mapping; none if nothing is set.

    :raises SettingError: if it is invalid. The error names *setting* and shows no
        values.
    """
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise SettingError(
            f"{setting} is not a dict. Set it to arguments of nats.connect, such as"
            " {'user_credentials': '/etc/shop.creds'}."
        )
    if unknown := sorted(map(str, value.keys() - NAMES)):
        raise SettingError(
            f"{setting} has {', '.join(unknown)}. It may have only these arguments of"
            f" nats.connect: {', '.join(sorted(NAMES))}."
        )
    for name, option in value.items():
        _check(setting, name, option)
    return value


def _check(setting: str, name: str, option: object) -> None:
    """Refuse an *option* of a wrong type, for which nats-py would blame the server."""
    if option is None:
        return
    remedy = None
    if name == "tls" and not _is_context(option):
        remedy = (
            "an ssl.SSLContext, which only Python can make. In the environment, name a"
            " file of certificates in SSL_CERT_FILE"
        )
    if name in _TEXTS and not (isinstance(option, str) or callable(option)):
        remedy = "a string"
    if remedy is not None:
        raise SettingError(
            f"{setting} has {name} of the type {type(option).__name__}. It must be"
            f" {remedy}."
        )


def _is_context(option: object) -> bool:
    import ssl

    return isinstance(option, ssl.SSLContext)
