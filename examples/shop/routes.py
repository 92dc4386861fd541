"""Where the signals of the shop go: a class for each broker that it can use.

They have what a signal model declares for that broker. You need only one of them.
"""

from __future__ import annotations

import os

from flask import current_app


def _place(_: object) -> str:
    """Return the name of the queue, topic, subject or stream of the shop."""
    return str(current_app.config["SHOP_QUEUE"])


class File:
    """The broker of `broker.py`. Its setting is `FILE_BROKER_PATH`."""

    signalbus_broker = "file"


class RabbitMQ:
    """RabbitMQ. Its setting is `SIGNALBUS_RABBITMQ_URL`."""

    signalbus_broker = "rabbitmq"
    signalbus_exchange = ""  # the default exchange: the key names a queue
    signalbus_routing_key = staticmethod(_place)


class Kafka:
    """Kafka. Its setting is `SIGNALBUS_KAFKA`."""

    signalbus_broker = "kafka"
    signalbus_topic = staticmethod(_place)


class NATS:
    """NATS JetStream. Its setting is `SIGNALBUS_NATS_URL`."""

    signalbus_broker = "nats"
    signalbus_subject = staticmethod(_place)


class Redis:
    """Redis Streams. Its setting is `SIGNALBUS_REDIS_URL`."""

    signalbus_broker = "redis"
    signalbus_stream = staticmethod(_place)


class Celery:
    """A task of `tasks.py`. The setting is `CELERY`, that of the shop's Celery app."""

    signalbus_broker = "celery"
    signalbus_task = "examples.shop.tasks.announce"
    signalbus_task_queue = staticmethod(_place)


def default() -> type:
    """Return RabbitMQ if its setting is in the environment, or else the file."""
    return RabbitMQ if "SIGNALBUS_RABBITMQ_URL" in os.environ else File
