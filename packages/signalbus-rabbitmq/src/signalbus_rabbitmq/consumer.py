"""Consume messages in worker threads, and acknowledge each when it is processed."""

from __future__ import annotations

import typing as t

from signalbus.stopping import StopToken

from signalbus_rabbitmq import _settings
from signalbus_rabbitmq import exceptions
from signalbus_rabbitmq._app import check_app
from signalbus_rabbitmq._attempts import Attempts
from signalbus_rabbitmq._consumer_run import ConsumerRun
from signalbus_rabbitmq._failure_log import logger

if t.TYPE_CHECKING:
    from flask import Flask

    from signalbus_rabbitmq._settings import Settings
    from signalbus_rabbitmq._workers import Delivery
    from signalbus_rabbitmq.message import MessageProperties


class Consumer:
    """Consumes the messages of one queue. Subclass it, and define how to process one.

    The queue must exist; ``flask signalbus rabbitmq declare`` creates it. These
    settings are read, with ``SIGNALBUS_RABBITMQ`` for the prefix unless *config_prefix*
    says otherwise; an argument of the same name overrides each:

    - ``{prefix}_URL``: the broker's URL.
    - ``{prefix}_QUEUE``: the name of the queue.
    - ``{prefix}_THREADS``: how many messages are processed at a time; 1 by default.
    - ``{prefix}_PREFETCH_COUNT``: how many messages the broker may send ahead of their
      acknowledgement, 0 for no limit; ten for each thread by default.
    - ``{prefix}_PREFETCH_SIZE``: the same in bytes; 0, no limit, by default, and the
      only value that RabbitMQ supports.
    - ``{prefix}_MAX_ATTEMPTS``: after how many failed attempts a message is rejected;
      by default it is tried without limit.
    - ``{prefix}_RETRY_FIRST_DELAY``, ``{prefix}_RETRY_MAX_DELAY``: the first and the
      longest wait before it is tried again, in seconds; 1 and 60 by default.

    The arguments can be read as attributes. After :meth:`init_app`, those that were not
    given have the values of the configuration.

    :param app: the application, if it exists already; else call :meth:`init_app`.
    :param config_prefix: the prefix of the settings' names.
    :param draining_mode: whether to end when the queue is empty.

    An invalid argument is a ``ValueError`` that names it.
    """

    def __init__(  # noqa: PLR0913 by keyword, all of them
        self,
        app: Flask | None = None,
        *,
        config_prefix: str = "SIGNALBUS_RABBITMQ",
        draining_mode: bool = False,
        url: str | None = None,
        queue: str | None = None,
        threads: int | None = None,
        prefetch_size: int | None = None,
        prefetch_count: int | None = None,
        max_attempts: int | None = None,
        retry_first_delay: float | None = None,
        retry_max_delay: float | None = None,
    ) -> None:
        self.config_prefix = config_prefix
        self.draining_mode = draining_mode
        self._arguments = {
            "url": url,
            "queue": queue,
            "threads": threads,
            "prefetch_size": prefetch_size,
            "prefetch_count": prefetch_count,
            "max_attempts": max_attempts,
            "retry_first_delay": retry_first_delay,
            "retry_max_delay": retry_max_delay,
        }
        _settings.check_arguments(self._arguments)
        self._settings: Settings | None = None
        self._app: Flask | None = None
        self._attempts = Attempts()
        self._token = StopToken()  # of the present run, or else of the next one
        self._is_running = False
        self._has_begun = False
        self._has_failed = False
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Take the settings of *app*, and process messages in its context.

        It does not connect yet. A setting that is missing or invalid is a
        ``ValueError`` that names it.
        """
        check_app(app, self)
        self._settings = _settings.read(self._arguments, app.config, self.config_prefix)
        self._app = app

    @property
    def has_app(self) -> bool:
        """Whether the consumer has its application."""
        return self._app is not None

    @property
    def url(self) -> str | None:
        """The broker's URL. It contains the password: do not log it."""
        return t.cast("str | None", self._value("url"))

    @property
    def queue(self) -> str | None:
        """The name of the queue."""
        return t.cast("str | None", self._value("queue"))

    @property
    def threads(self) -> int | None:
        """How many messages are processed at a time."""
        return t.cast("int | None", self._value("threads"))

    @property
    def prefetch_size(self) -> int | None:
        """How many bytes the broker may send ahead; 0 for no limit."""
        return t.cast("int | None", self._value("prefetch_size"))

    @property
    def prefetch_count(self) -> int | None:
        """How many messages the broker may send ahead; 0 for no limit."""
        return t.cast("int | None", self._value("prefetch_count"))

    @property
    def max_attempts(self) -> int | None:
        """After how many failed attempts a message is rejected; ``None`` for never."""
        return t.cast("int | None", self._value("max_attempts"))

    @property
    def retry_first_delay(self) -> float | None:
        """The first wait before a message is tried again, in seconds."""
        return t.cast("float | None", self._value("retry_first_delay"))

    @property
    def retry_max_delay(self) -> float | None:
        """The longest wait before a message is tried again, in seconds."""
        return t.cast("float | None", self._value("retry_max_delay"))

    def process_message(self, body: bytes, properties: MessageProperties) -> bool:
        """Process one message: override this.

        Called in a worker thread, in an app context of its own. Return ``True`` when
        the message is processed: it is acknowledged, and gone. Return ``False`` to
        reject it: it goes to the queue's dead-letter exchange, or is dropped if the
        queue has none.

        An exception, or any other return value, is a failed attempt. The message is
        tried again after a growing wait, while others are processed; after
        ``max_attempts``, if that is set, it is rejected. So raise an exception for
        what may pass, such as a database that is down, and return ``False`` for a
        message that can never be processed. :exc:`SystemExit` and its like end the
        run.

        It must be idempotent: a message may come again after a crash or a lost
        connection.
        """
        raise NotImplementedError

    def start(self) -> None:
        """Consume until :meth:`stop`, or in draining mode until the queue is empty.

        Before it returns, messages that are being processed are finished and
        acknowledged. Messages that were only prefetched, or that wait to be tried
        again, go back to the queue.

        Raise :exc:`TerminatedConsumption` if the connection cannot be opened or is
        lost, and if the queue is deleted; its subclass :exc:`QueueNotFoundError` if the
        queue does not exist; and a ``TypeError`` if :meth:`process_message` is not
        defined.

        In draining mode, a message that keeps failing is tried ``max_attempts`` times,
        and rejected. If that is not set, it is tried three times, and goes back to the
        queue in the end. Either raises :exc:`TerminatedConsumption` when the queue is
        empty.

        The calling thread serves the connection, with its heartbeats, however long the
        workers take. A ``KeyboardInterrupt`` ends it without waiting for them.
        """
        if self._settings is None:
            raise RuntimeError("The consumer has no app yet. Call its init_app().")
        check_processing(self)
        if self._is_running:
            raise RuntimeError("The consumer has been started already. Stop it first.")
        self._is_running, self._has_begun = True, False
        try:
            self._run(self._settings, self._token)
        except exceptions.DeliveryError as error:
            raise self._ended(
                exceptions.TerminatedConsumption(
                    f"Consuming {self._settings.queue!r} ended. {error}"
                )
            ) from error
        except exceptions.TerminatedConsumption as error:
            raise self._ended(error) from error.__cause__
        finally:
            self._is_running, self._token = False, StopToken()

    def stop(self, signum: int | None = None, frame: t.Any = None) -> None:
        """Let :meth:`start` return. May be called at any time, in any thread.

        It returns at once, and can be used as a signal handler:
        ``signal.signal(signal.SIGTERM, consumer.stop)``. If it is called before
        :meth:`start`, that returns without connecting.
        """
        del signum, frame
        self._token.stop()

    def _value(self, name: str) -> t.Any:
        return getattr(self._settings, name, self._arguments[name])

    def _run(self, settings: Settings, token: StopToken) -> None:
        run = ConsumerRun(
            settings,
            self._attempts,
            self._process,
            token,
            self.draining_mode,
            self._note_begin,
        )
        with token.active():
            run.run()

    def _note_begin(self, what: str) -> None:
        self._has_begun = True
        if self._has_failed:
            logger.warning("Consuming %s again.", what)
            self._has_failed = False

    def _ended(
        self, error: exceptions.TerminatedConsumption
    ) -> exceptions.TerminatedConsumption:
        self._has_failed = True
        error.has_begun = self._has_begun
        return error

    def _process(self, delivery: Delivery) -> bool:
        app = t.cast("Flask", self._app)
        with app.app_context():
            answer = self.process_message(delivery.body, delivery.properties)
        if answer is not True and answer is not False:
            raise TypeError(
                f"{type(self).__name__}.process_message() returned {answer!r}. Return"
                " True to acknowledge the message, or False to reject it."
            )
        return answer


def check_processing(consumer: Consumer) -> None:
    """Raise a ``TypeError`` if *consumer* does not define how to process a message."""
    method = consumer.process_message
    if getattr(method, "__func__", method) is Consumer.process_message:
        raise TypeError(
            f"{type(consumer).__name__} has no process_message(). Define it in a"
            " subclass of signalbus_rabbitmq.Consumer."
        )
