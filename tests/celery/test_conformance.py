"""Celery passes the suite of brokers over RabbitMQ and over Redis."""

from __future__ import annotations

import typing as t

import pytest
from signalbus.testing.conformance import BrokerConformance

if t.TYPE_CHECKING:
    from signalbus.testing.servers import BrokerServer


class CeleryConformance(BrokerConformance):
    """The suite, for Celery: the payload is an argument of the task."""

    broker = "celery"
    timeout_setting = "SIGNALBUS_CELERY_TIMEOUT"
    prepare = "celery_shop:celery_init_app"

    def test_what_cannot_be_made_fails_alone(self, new_case: t.Any) -> None:
        """A model's own function may raise; even an OSError is not the broker's."""

        def arguments(signal: t.Any) -> dict[str, bytes]:
            if signal.id == 2:
                raise ValueError("no arguments")
            if signal.id == 4:
                raise ConnectionError("no arguments")
            return {"payload": signal.payload}

        case = new_case(signalbus_task_args=arguments)
        case.record([_row(number) for number in range(1, 6)])

        with pytest.raises(Exception, match="no arguments"):
            case.flush()

        assert {2, 4} == case.pending()
        assert [b"1", b"3", b"5"] == case.bodies()


def _row(number: int) -> t.Any:
    from signalbus.testing.conformance._case import rows

    return rows(1, number)[0]


class TestOverRabbitMQ(CeleryConformance):
    """Confirms are publisher confirms."""

    @pytest.fixture
    def broker_server(self, rabbitmq: BrokerServer) -> BrokerServer:
        """Give RabbitMQ."""
        return rabbitmq


class TestOverRedis(CeleryConformance):
    """Confirms are the replies of Redis."""

    many = 20_000

    @pytest.fixture
    def broker_server(self, redis_server: BrokerServer) -> BrokerServer:
        """Give Redis."""
        return redis_server
