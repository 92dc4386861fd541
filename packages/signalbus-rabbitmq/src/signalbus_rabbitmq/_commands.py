"""The commands under `flask signalbus rabbitmq`. Nothing else here imports click."""

from __future__ import annotations

import importlib
import logging
import select
import signal
import time
import typing as t

import click
import flask
from flask.cli import AppGroup
from signalbus.exceptions import BrokerUnavailableError
from signalbus.retry import backoff

from signalbus_rabbitmq import _carrier
from signalbus_rabbitmq import _declared
from signalbus_rabbitmq import _parameters
from signalbus_rabbitmq._connection import Connection
from signalbus_rabbitmq._topology import Target
from signalbus_rabbitmq._topology import why_missing
from signalbus_rabbitmq._wakeup import Wakeup
from signalbus_rabbitmq.consumer import Consumer
from signalbus_rabbitmq.exceptions import TerminatedConsumption

logger = logging.getLogger("signalbus.rabbitmq")

#: The waits before connecting again, in seconds: the first and the longest one. Who
#: consumed for longer than that begins with the first again.
FIRST_WAIT = 1.0
LONGEST_WAIT = 30.0

#: How long a check may take, in seconds.
CHECK_TIMEOUT = 15.0

rabbitmq = AppGroup("rabbitmq", help="Consume from RabbitMQ, and check the way to it.")


@rabbitmq.command()
@click.argument("consumer", metavar="MODULE:CONSUMER")
@click.option("--drain", is_flag=True, help="End when the queue is empty.")
def consume(consumer: str, drain: bool) -> None:
    """Consume messages until told to stop.

    MODULE:CONSUMER is where the consumer is: an instance of signalbus_rabbitmq.Consumer
    or a subclass of it.

    When the connection is lost, or a message cannot be processed, it starts again after
    a wait that grows. SIGTERM and SIGINT end it when the messages at hand are done.
    """
    found = _find_consumer(consumer)
    found.draining_mode = found.draining_mode or drain
    _Runner(found).run()


@rabbitmq.command()
def check() -> None:
    """Tell whether RabbitMQ can be reached and has what the models send to.

    Exits with 1 if it cannot, or if an exchange (for models that use the default
    exchange: a queue) is missing.
    """
    url = flask.current_app.config.get(_carrier.URL)
    if not url:
        raise click.ClickException(f"{_carrier.URL} is not set.")
    parameters = _parameters.parse(url, _carrier.URL)
    deadline = time.monotonic() + CHECK_TIMEOUT
    try:
        connection = Connection.connect(parameters, deadline)
        try:
            missing = _report(connection, deadline)
        finally:
            connection.shut()
    except BrokerUnavailableError as error:
        raise click.ClickException(str(error)) from error
    if missing:
        raise click.exceptions.Exit(1)


def _report(connection: Connection, deadline: float) -> bool:
    """Tell about every model, and return whether something is missing."""
    click.echo(f"RabbitMQ at {connection.address} is there.")
    missing = False
    for model in flask.current_app.extensions["signalbus"].get_signal_models():
        if not _declared.is_ours(model):
            continue
        target = Target.of(model)
        reason = why_missing(connection, target, deadline)
        click.echo(f"{model.__name__}: {target}: {reason or 'ok'}", err=bool(reason))
        missing = missing or bool(reason)
    return missing


def _find_consumer(where: str) -> Consumer:
    """Return the consumer at *where*, with its app."""
    module_name, _, name = where.partition(":")
    if not name:
        raise click.BadParameter(f"{where!r} is not of the form MODULE:CONSUMER.")
    try:
        found = getattr(importlib.import_module(module_name), name)
    except (ImportError, AttributeError) as error:
        raise click.BadParameter(f"{where!r} cannot be imported: {error}.") from error
    consumer = found() if isinstance(found, type) else found
    if not isinstance(consumer, Consumer):
        raise click.BadParameter(f"{where!r} is no signalbus_rabbitmq.Consumer.")
    if not consumer.has_app:
        _init(consumer)
    return consumer


def _init(consumer: Consumer) -> None:
    try:
        consumer.init_app(flask.current_app._get_current_object())  # type: ignore[attr-defined]  # noqa: SLF001 documented by werkzeug
    except ValueError as error:
        raise click.ClickException(str(error)) from error


class _Runner:
    """Start a consumer, and again when it ends by itself, until told to stop."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer
        self._wakeup = Wakeup()
        self._is_stopping = False

    def run(self) -> None:
        """Consume, with the process's signals as the wish to end."""
        signals = (signal.SIGTERM, signal.SIGINT)
        before = {signum: signal.signal(signum, self._stop) for signum in signals}
        try:
            self._consume_again_and_again()
        finally:
            for signum, handler in before.items():
                signal.signal(signum, handler)
            self._wakeup.close()

    def _consume_again_and_again(self) -> None:
        waits = self._waits()
        while not self._is_stopping:
            started = time.monotonic()
            error = self._consume()
            if error is None:
                return
            if time.monotonic() - started > LONGEST_WAIT:
                waits = self._waits()
            self._wait(next(waits), error)

    def _consume(self) -> TerminatedConsumption | None:
        try:
            self._consumer.start()
        except TerminatedConsumption as error:
            return error
        return None

    def _wait(self, seconds: float, error: TerminatedConsumption) -> None:
        if self._is_stopping:
            logger.error("%s", error)
            return
        unavailable = isinstance(error.__cause__, BrokerUnavailableError)
        logger.error(
            "%s The next try is in %.1f seconds.",
            error,
            seconds,
            exc_info=None if unavailable else error.__cause__,
        )
        select.select([self._wakeup], [], [], seconds)

    @staticmethod
    def _waits() -> t.Iterator[float]:
        yield from backoff(9, FIRST_WAIT, LONGEST_WAIT)
        while True:
            yield LONGEST_WAIT

    def _stop(self, signum: int, frame: t.Any) -> None:
        self._is_stopping = True
        self._consumer.stop(signum, frame)
        self._wakeup.wake()
