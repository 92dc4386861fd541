"""Shops under attack, and what is logged of their secrets."""

from __future__ import annotations

import importlib.util
import logging
import socket
import typing as t

import pytest
from hostile import Shop

if t.TYPE_CHECKING:
    from pathlib import Path

    from flask import Flask

#: Without the plugin that they are about, they cannot even be imported.
collect_ignore = [
    file
    for plugin, file in {
        "signalbus_rabbitmq": "test_hostile_deliveries.py",
        "signalbus_relay": "test_health_of_relays.py",
        "signalbus_dashboard": "test_dashboard.py",
    }.items()
    if importlib.util.find_spec(plugin) is None
]

NewShop: t.TypeAlias = "t.Callable[..., Shop]"


@pytest.fixture
def new_shop(
    new_app: t.Callable[..., Flask], tmp_path: Path, commands_anew: None
) -> t.Iterator[NewShop]:
    """Make a shop with ``new_shop(config, url=…, **attributes)``."""
    shops: list[Shop] = []

    def make(
        config: t.Mapping[str, t.Any] | None = None,
        url: str | None = None,
        **attributes: t.Any,
    ) -> Shop:
        own = f"sqlite:///{tmp_path / f'shop{len(shops)}.sqlite'}"
        app = new_app(url or own, SECRET_KEY="x", **(config or {}))  # noqa: S106
        shops.append(Shop(app, attributes))
        return shops[-1]

    yield make
    for shop in shops:
        shop.close()


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> t.Callable[[], list[str]]:
    """Return all that our loggers have said at ``DEBUG``, with all parts of records."""
    caplog.set_level(logging.DEBUG, "signalbus")

    def texts() -> list[str]:
        ours = [each for each in caplog.records if each.name.startswith("signalbus")]
        formatted = [logging.Formatter().format(each) for each in ours]
        return formatted + [repr((each.msg, each.args)) for each in ours]

    return texts


@pytest.fixture
def with_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enable signalbus-retry, if it is installed."""
    pytest.importorskip("signalbus_retry")
    monkeypatch.delenv("SIGNALBUS_DISABLED_PLUGINS", raising=False)


@pytest.fixture
def free_port() -> int:
    """Give a port at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
