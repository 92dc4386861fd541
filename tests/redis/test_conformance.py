"""Redis passes the suite that every broker plugin must pass."""

from __future__ import annotations

import typing as t

import pytest
from signalbus.testing.conformance import BrokerConformance

if t.TYPE_CHECKING:
    from conftest import NewServer
    from conftest import RedisServer


@pytest.fixture(scope="module")
def broker_server(new_server: NewServer) -> RedisServer:
    """Give a server of the suite's own."""
    return new_server()


class TestRedis(BrokerConformance):
    """Run all tests of the suite."""

    broker = "redis"
    timeout_setting = "SIGNALBUS_REDIS_TIMEOUT"
