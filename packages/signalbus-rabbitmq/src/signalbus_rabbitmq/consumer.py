"""Consume messages, several at a time, each acknowledged when it was processed."""

from __future__ import annotations

import typing as t

from signalbus_rabbitmq import _parameters
from signalbus_rabbitmq import exceptions
from signalbus_rabbitmq._consumption import Consumption
from signalbus_rabbitmq._wakeup import Wakeup
from signalbus_rabbitmq._workers import Workers

if t.TYPE_CHECKING:
    import pika
    from flask import Flask

    from signalbus_rabbitmq._workers import Delivered
    from signalbus_rabbitmq.message import MessageProperties

#: How many messages are prefetched for each thread, if the configuration says nothing.
PREFETCH_PER_THREAD = 10


class Settings(t.NamedTuple):
    """What the configuration says about a consumer."""

    parameters: pika.ConnectionParameters
    queue: str
    threads: int
    prefetch_size: int
    prefetch_count: int


class Consumer:
    """Consume the messages of one queue. Subclass it and say how to process one.

    The queue must exist. These settings are read, with ``SIGNALBUS_RABBITMQ`` for the
    prefix unless *config_prefix* says otherwise:

    - ``{prefix}_URL``: the broker's URL.
    - ``{prefix}_QUEUE``: the name of the queue.
    - ``{prefix}_THREADS``: how many messages are processed at a time; 1 by default.
    - ``{prefix}_PREFETCH_COUNT``: how many messages the broker may send ahead of their
      acknowledgement, 0 for no limit; ten for each thread by default.
    - ``{prefix}_PREFETCH_SIZE``: the same in bytes; 0, no limit, by default, and the
      only value that RabbitMQ knows.

    :param app: the application, if it is there already; else call :meth:`init_app`.
    :param config_prefix: the prefix of the settings' names.
    :param draining_mode: whether to end when the queue is empty.
    """

    def __init__(
        self,
        app: Flask | None = None,
        *,
        config_prefix: str = "SIGNALBUS_RABBITMQ",
        draining_mode: bool = False,
    ) -> None:
        self.config_prefix = config_prefix
        self.draining_mode = draining_mode
        self._app: Flask | None = None
        self._wakeup: Wakeup | None = None
        self._is_stopping = False
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Take the settings of *app*, and process messages in its context.

        Nothing connects yet. A setting that is missing or cannot be is a ``ValueError``
        that names it.
        """
        self._settings = _read_settings(app, self.config_prefix)
        self._app = app

    @property
    def has_app(self) -> bool:
        """Whether the consumer has its application."""
        return self._app is not None

    def process_message(self, body: bytes, properties: MessageProperties) -> bool:
        """Process one message: override this.

        Called in a worker thread, in an app context of its own. Return ``True`` when
        the message is done with: it is acknowledged, and gone. Return ``False`` to
        reject it: it goes to the queue's dead-letter exchange, or is dropped where the
        queue has none.

        An exception, or any other answer, ends the consumption: the message goes back
        to its queue and :meth:`start` raises :exc:`TerminatedConsumption`. So let an
        exception out for what may pass, such as a database that is down, and return
        ``False`` for a message that can never be processed.

        A message may come again, after a crash or a lost connection.
        """
        raise NotImplementedError

    def start(self) -> None:
        """Consume until :meth:`stop`, or in draining mode until the queue is empty.

        On the way out, what is being processed is finished and acknowledged, and what
        was only prefetched goes back to its queue. Raise
        :exc:`TerminatedConsumption` if the connection cannot be opened or is lost, if
        the queue is missing or gets deleted, or if a message could not be processed.

        The calling thread keeps the connection alive, however long the workers take.
        """
        if self._app is None:
            raise RuntimeError("The consumer has no app yet. Call its init_app().")
        if self._wakeup is not None:
            raise RuntimeError("The consumer has been started already. Stop it first.")
        self._wakeup = wakeup = Wakeup()
        try:
            self._run(wakeup)
        except exceptions.DeliveryError as error:
            raise exceptions.TerminatedConsumption(
                f"Consuming {self._settings.queue!r} ended. {error}"
            ) from error
        finally:
            self._wakeup = None
            self._is_stopping = False
            wakeup.close()

    def stop(self, signum: int | None = None, frame: t.Any = None) -> None:
        """Make :meth:`start` come to its end. Call it from anywhere, any time.

        It returns at once, and can be a signal handler as it is:
        ``signal.signal(signal.SIGTERM, consumer.stop)``. Called before :meth:`start`,
        it makes that end as soon as it begins.
        """
        del signum, frame
        self._is_stopping = True
        if wakeup := self._wakeup:
            wakeup.wake()

    def _run(self, wakeup: Wakeup) -> None:
        def is_stopping() -> bool:
            return self._is_stopping

        threads = self._settings.threads
        workers = Workers(threads, self._process, wakeup.wake, is_stopping)
        try:
            Consumption(
                self._settings, workers, wakeup, is_stopping, self.draining_mode
            ).run()
        finally:
            workers.join()

    def _process(self, delivered: Delivered) -> bool:
        app = t.cast("Flask", self._app)
        with app.app_context():
            answer = self.process_message(delivered.body, delivered.properties)
        if answer is not True and answer is not False:
            raise TypeError(
                f"{type(self).__name__}.process_message() answered {answer!r}. Return"
                " True to acknowledge the message, or False to reject it."
            )
        return answer


def _read_settings(app: Flask, prefix: str) -> Settings:
    url = _required(app, f"{prefix}_URL")
    threads = _whole_number(app, f"{prefix}_THREADS", 1, least=1)
    return Settings(
        parameters=_parameters.parse(url, f"{prefix}_URL"),
        queue=_required(app, f"{prefix}_QUEUE"),
        threads=threads,
        prefetch_size=_whole_number(app, f"{prefix}_PREFETCH_SIZE", 0),
        prefetch_count=_whole_number(
            app, f"{prefix}_PREFETCH_COUNT", threads * PREFETCH_PER_THREAD
        ),
    )


def _required(app: Flask, name: str) -> str:
    value = app.config.get(name)
    if not value or not isinstance(value, str):
        raise ValueError(f"{name} is not set. The consumer needs it.")
    return value


def _whole_number(app: Flask, name: str, default: int, least: int = 0) -> int:
    """Return a setting that may come from the environment, as a string."""
    value = app.config.get(name, default)
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = least - 1
    if number < least:
        raise ValueError(f"{name} is {value!r}. Set it to a whole number from {least}.")
    return number
