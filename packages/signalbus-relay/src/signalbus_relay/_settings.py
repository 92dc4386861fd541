"""Read the settings of this distribution."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa
import sqlalchemy.exc as sa_exc
from signalbus.exceptions import SettingError
from signalbus.settings import read_switch

#: Whether commits wake relays.
NOTIFY: t.Final = "SIGNALBUS_RELAY_NOTIFY"

#: Where a relay listens, if it cannot do so by the app's own URL.
LISTEN_URL: t.Final = "SIGNALBUS_RELAY_LISTEN_URL"

NAMES: t.Final = (NOTIFY, LISTEN_URL)

#: The name, for people, of the database without a bind key.
DEFAULT_BIND: t.Final = "default"


def check(config: t.Mapping[str, t.Any]) -> None:
    """Raise :exc:`SettingError` if a setting cannot be read."""
    read_notify(config)
    for bind_key in _listen_urls(config):
        if not _is_bind(config, bind_key):
            raise SettingError(
                f"{LISTEN_URL} has a URL for {bind_key!r}, which is not in"
                " SQLALCHEMY_BINDS. Use the bind keys from there, and"
                f" {DEFAULT_BIND!r} for the database of SQLALCHEMY_DATABASE_URI."
            )
        read_listen_url(config, bind_key)


def read_notify(config: t.Mapping[str, t.Any]) -> bool:
    """Return whether commits wake relays."""
    return read_switch(NOTIFY, config.get(NOTIFY, True))


def read_listen_url(
    config: t.Mapping[str, t.Any], bind_key: str | None
) -> sa.URL | None:
    """Return the URL that a relay listens at for a bind, ``None`` if there is none."""
    urls = _listen_urls(config)
    value = urls.get(bind_key)
    if value is None and bind_key is None:
        value = urls.get(DEFAULT_BIND)
    return None if value is None else _as_url(value, bind_key)


def bind_name(bind_key: str | None) -> str:
    """Return the name, for people, of a database."""
    return DEFAULT_BIND if bind_key is None else bind_key


def _listen_urls(config: t.Mapping[str, t.Any]) -> t.Mapping[t.Any, t.Any]:
    value = config.get(LISTEN_URL)
    if value is None:
        return {}
    return value if isinstance(value, dict) else {None: value}


def _is_bind(config: t.Mapping[str, t.Any], bind_key: object) -> bool:
    binds = config.get("SQLALCHEMY_BINDS") or {}
    return bind_key in {None, DEFAULT_BIND} or bind_key in binds


def _as_url(value: object, bind_key: str | None) -> sa.URL:
    """Return *value* as a URL. It may have a password: no message shows it."""
    url: sa.URL | None = None
    if isinstance(value, (str, sa.URL)):
        try:
            url = sa.make_url(value)
        except (sa_exc.ArgumentError, ValueError):
            url = None
    if url is None or url.get_backend_name() != "postgresql":
        raise SettingError(
            f"{LISTEN_URL} is not the URL of a PostgreSQL database, for the bind"
            f" {bind_name(bind_key)!r}. Set it to a URL such as"
            " 'postgresql://user@host/shop', which leads to the server directly, or to"
            " a dict of such URLs by bind key."
        )
    return url
