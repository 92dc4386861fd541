"""What happens to the broker, and to the connections to it."""

from __future__ import annotations

import typing as t

from chaos.scenario import scenario

if t.TYPE_CHECKING:
    from collections.abc import Generator

    from chaos.stage import Stage

#: Lets through some messages a second, in bytes.
TRICKLE = 2000

#: Without these plugins, a burst of one row deletes it as it locks it.
UNSETTLED: t.Final = {"SIGNALBUS_DISABLED_PLUGINS": "otel,retry"}

#: So short a queue that it is full soon when nobody takes its messages.
SHORT_QUEUE: t.Final = {"x-max-length": 10, "x-overflow": "reject-publish"}


@scenario("postgresql")
def rabbitmq_killed(stage: Stage) -> Generator[None]:
    """RabbitMQ is killed, and recovers."""
    stage.cut_everything()
    stage.rabbitmq.kill()
    yield
    stage.rabbitmq.start()


@scenario("postgresql")
def rabbitmq_stopped(stage: Stage) -> Generator[None]:
    """RabbitMQ is shut down as an operator does, and started again."""
    stage.cut_everything()
    stage.rabbitmq.stop()
    yield
    stage.rabbitmq.start()


@scenario("postgresql", hold=(10.0, 10.0))
def rabbitmq_frozen(stage: Stage) -> Generator[None]:
    """RabbitMQ gets SIGSTOP, and goes on later."""
    stage.cut_everything()
    stage.rabbitmq.freeze()
    yield
    stage.rabbitmq.thaw()


@scenario("postgresql", hold=(0.0, 0.3))
def rabbitmq_connections_cut(stage: Stage) -> Generator[None]:
    """All connections to RabbitMQ are closed by its administrator."""
    stage.cut_everything()
    stage.rabbitmq.cut_connections(stage.vhost)
    yield


@scenario("mariadb", hold=(0.0, 0.3))
def rabbitmq_connections_dropped(stage: Stage) -> Generator[None]:
    """All connections to RabbitMQ break without a goodbye."""
    stage.cut_everything()
    stage.rabbitmq.proxy.drop()
    yield


@scenario("postgresql", hold=(1.0, 3.0))
def rabbitmq_hangs(stage: Stage) -> Generator[None]:
    """Connections to RabbitMQ hang without an answer, and then go on."""
    stage.cut_everything()
    stage.rabbitmq.proxy.freeze()
    yield
    stage.rabbitmq.proxy.thaw()


@scenario("postgresql", hold=(1.0, 3.0))
def rabbitmq_hangs_and_breaks(stage: Stage) -> Generator[None]:
    """Connections to RabbitMQ hang without an answer, and then break."""
    stage.cut_everything()
    stage.rabbitmq.proxy.freeze()
    yield
    stage.rabbitmq.proxy.drop()
    stage.rabbitmq.proxy.thaw()


@scenario("postgresql", burst=1, settings=UNSETTLED)
def rabbitmq_killed_one_by_one(stage: Stage) -> Generator[None]:
    """RabbitMQ is killed, and each signal has a burst of its own."""
    stage.cut_everything()
    stage.rabbitmq.kill()
    yield
    stage.rabbitmq.start()


@scenario("postgresql", hold=(2.0, 3.0))
def rabbitmq_trickles(stage: Stage) -> Generator[None]:
    """Connections to RabbitMQ let little through."""
    stage.cut_everything()
    stage.rabbitmq.proxy.trickle(TRICKLE)
    yield
    stage.rabbitmq.proxy.thaw()


@scenario("postgresql", hold=(1.0, 3.0))
def rabbitmq_memory_alarm(stage: Stage) -> Generator[None]:
    """RabbitMQ is short of memory, and blocks those who publish."""
    stage.cut_everything()
    stage.rabbitmq.raise_memory_alarm()
    yield
    stage.rabbitmq.clear_alarms()


@scenario("postgresql", hold=(1.0, 3.0))
def rabbitmq_disk_alarm(stage: Stage) -> Generator[None]:
    """RabbitMQ is short of disk space, and blocks those who publish."""
    stage.cut_everything()
    stage.rabbitmq.raise_disk_alarm()
    yield
    stage.rabbitmq.clear_alarms()


@scenario(
    "postgresql",
    hold=(2.0, 3.0),
    queue=SHORT_QUEUE,
    settings={"CHAOS_ATTEMPTS": "100"},
)
def queue_overflows(stage: Stage) -> Generator[None]:
    """The consumer is too slow, and the queue refuses what it cannot hold."""
    stage.queue.pause = 1.0
    yield
    stage.queue.pause = 0.0


@scenario(
    "postgresql",
    broker="ledger",
    profile="keyed",
    rate=2.0,
    settings={"CHAOS_SENDER_DELAY": "0.3"},
)
def slow_broker(stage: Stage) -> Generator[None]:
    """The broker takes its time for each burst; nothing may come twice."""
    yield


@scenario(
    "postgresql",
    hold=(10.0, 20.0),
    cast=("silent writer", "relay", "relay"),
)
def relays_wait_for_rabbitmq(stage: Stage) -> Generator[None]:
    """RabbitMQ is down for long, and nobody sends but relays."""
    stage.cut_everything()
    stage.rabbitmq.kill()
    yield
    stage.rabbitmq.start()
