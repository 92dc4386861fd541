"""Publish messages, and report which of them the broker has."""

from __future__ import annotations

import typing as t
import weakref

import flask
from signalbus.exceptions import SettingError

from signalbus_rabbitmq import _parameters
from signalbus_rabbitmq._app import check_app
from signalbus_rabbitmq._broker import Broker
from signalbus_rabbitmq._timeouts import Deadline
from signalbus_rabbitmq.message import snapshot_all

if t.TYPE_CHECKING:
    from signalbus_rabbitmq.message import Message


class Publisher:
    """Publishes messages to RabbitMQ, and follows each until the broker confirmed it.

    One publisher serves all threads of a process, and several applications. It connects
    when it first publishes, and keeps its connections for later. A connection is never
    shared by two threads, or by two processes after a fork.

    :param app: the application, if it exists already; else call :meth:`init_app`.
    :param url_config_key: the name of the setting that has the broker's URL.
    """

    def __init__(
        self,
        app: flask.Flask | None = None,
        *,
        url_config_key: str = "SIGNALBUS_RABBITMQ_URL",
    ) -> None:
        self._url_config_key = url_config_key
        self._brokers: weakref.WeakKeyDictionary[flask.Flask, Broker] = (
            weakref.WeakKeyDictionary()
        )
        self._latest: Broker | None = None
        if app is not None:
            self.init_app(app)

    def init_app(self, app: flask.Flask) -> None:
        """Take the broker's URL from the configuration of *app*.

        It does not connect yet. A URL that is missing or malformed is a
        ``ValueError``, which never shows the URL.
        """
        check_app(app, self)
        url = app.config.get(self._url_config_key)
        if not url:
            raise SettingError(
                f"{self._url_config_key} is not set in app.config. Set it to the URL of"
                " RabbitMQ, such as amqp://USER:PASSWORD@HOST:PORT/VHOST."
            )
        self._latest = Broker(_parameters.parse(url, self._url_config_key))
        self._brokers[app] = self._latest

    def publish_messages(
        self,
        messages: t.Iterable[Message],
        *,
        timeout: float = 30,
        allow_retry: bool = True,
    ) -> None:
        """Publish *messages*, and return when RabbitMQ has confirmed every one.

        Persistent messages to durable queues are then on disk. Otherwise raise
        :exc:`DeliveryError`. Its ``failures`` has the reason for each message that was
        not confirmed; all others were. It is a :exc:`ConnectionError` or a
        :exc:`TimeoutError` if that is the reason for some: these may or may not have
        arrived. A message that fails does not stop the others, and a message that was
        confirmed is never sent again.

        Call it within an app context, unless the publisher has one app only.

        In a thread that is told to stop (see :mod:`signalbus.stopping`), a batch that
        the broker is taking is finished. Any other wait ends at once, with a
        :exc:`TimeoutError`.

        :param timeout: how long all of it may take, connecting included, in seconds.
        :param allow_retry: whether to connect again, once, if the connection is lost,
            and send what was not confirmed so far. Then a message may arrive twice.
        """
        deadline = Deadline(timeout)
        batch = snapshot_all(messages)
        if batch:
            self._broker().publish(batch, deadline, allow_retry)

    def close(self) -> None:
        """Close the connections that are not in use. Publishing opens new ones.

        The end of the program does the same.
        """
        for broker in {self._latest, *self._brokers.values()}:
            if broker is not None:
                broker.close()

    def _broker(self) -> Broker:
        """Return the broker of the current app, or of the only one."""
        if flask.has_app_context():
            app = flask.current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 documented by werkzeug
            if app in self._brokers:
                return self._brokers[app]
        if self._latest is None:
            raise RuntimeError("The publisher has no app yet. Call its init_app().")
        if len(self._brokers) > 1:
            raise RuntimeError(
                "The publisher has several apps. Publish within an app context."
            )
        return self._latest
