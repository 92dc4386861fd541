"""Publish messages to RabbitMQ, or to a file if it is not configured."""

from __future__ import annotations

import typing as t
from pathlib import Path

from flask import current_app
from flask_signalbus.rabbitmq import Message
from flask_signalbus.rabbitmq import MessageProperties

from .extensions import publisher


def publish(messages: t.Iterable[tuple[str, str]]) -> None:
    """Send messages (routing key, body); return when they are stored."""
    if current_app.config["SIGNALBUS_RABBITMQ_URL"]:
        properties = MessageProperties(delivery_mode=2, content_type="application/json")
        exchange = current_app.config["SHOP_EXCHANGE"]
        publisher.publish_messages(
            Message(exchange, key, body.encode(), properties) for key, body in messages
        )
    else:
        with Path(current_app.config["SHOP_OUTPUT"]).open("a") as output:
            output.writelines(f"{key} {body}\n" for key, body in messages)
