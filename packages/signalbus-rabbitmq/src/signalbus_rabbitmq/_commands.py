"""The commands under `flask signalbus rabbitmq`. Nothing else here imports click."""

from __future__ import annotations

import functools
import importlib
import typing as t

import click
import flask
from click.core import ParameterSource
from flask.cli import ScriptInfo
from signalbus.exceptions import SignalBusError
from signalbus.exceptions import clean_line

from signalbus_rabbitmq._check import CHECK_TIMEOUT
from signalbus_rabbitmq._check import check as check_all
from signalbus_rabbitmq._check import connected
from signalbus_rabbitmq._check import url_parameters
from signalbus_rabbitmq._declare import Binding
from signalbus_rabbitmq._declare import Plan
from signalbus_rabbitmq._declare import declare as declare_all
from signalbus_rabbitmq._management import Management
from signalbus_rabbitmq._management import ManagementError
from signalbus_rabbitmq._model_check import BROKER
from signalbus_rabbitmq._runner import Runner
from signalbus_rabbitmq._topology import Queue
from signalbus_rabbitmq._topology import Target
from signalbus_rabbitmq.consumer import Consumer
from signalbus_rabbitmq.consumer import check_processing

if t.TYPE_CHECKING:
    from signalbus.brokers import CheckLine

#: The types of exchanges that every RabbitMQ has; those of plugins begin with "x-".
EXCHANGE_TYPES = ("topic", "direct", "fanout", "headers")

_QUEUE = "SIGNALBUS_RABBITMQ_QUEUE"

_NO_MODEL = f"No signal model names the broker {BROKER!r}."

F = t.TypeVar("F", bound="t.Callable[..., None]")

rabbitmq = click.Group(
    "rabbitmq", help="Consume messages, and create and check exchanges and queues."
)


def _in_app(command: F) -> F:
    """Run *command* in the context of the app, and show errors as one line.

    Flask's own decorator shows a traceback when the app cannot be loaded.
    """

    @functools.wraps(command)
    def run(*args: t.Any, **kwargs: t.Any) -> None:
        info = click.get_current_context().ensure_object(ScriptInfo)
        try:
            with info.load_app().app_context():
                command(*args, **kwargs)
        except (SignalBusError, ManagementError) as error:
            raise click.ClickException(clean_line(str(error))) from error

    return t.cast("F", run)


@rabbitmq.command()
@click.argument("consumer", metavar="MODULE:CONSUMER")
@click.option("--drain", is_flag=True, help="End when the queue is empty.")
@_in_app
def consume(consumer: str, drain: bool) -> None:
    """Consume messages until told to stop.

    MODULE:CONSUMER names an instance of signalbus_rabbitmq.Consumer, or a subclass.

    If the connection is lost or the queue is missing, consuming starts again after a
    growing wait. SIGTERM and SIGINT end it when the current messages are processed. A
    second one ends it at once, and the current messages go back to the queue.

    With --drain, it does not start again. The exit status is 1 if the broker cannot be
    reached, if the connection is lost, or if the queue is missing; and also if messages
    could not be processed, and were rejected or went back to the queue.
    """
    found = _find_consumer(consumer)
    found.draining_mode = found.draining_mode or drain
    Runner(found).run()


@rabbitmq.command()
@click.option(
    "--management",
    metavar="URL",
    envvar="SIGNALBUS_RABBITMQ_MANAGEMENT_URL",
    callback=lambda context, _option, value: _without_login(context, value),
    help="The URL of the management API. Bindings are then checked, too.",
)
@_in_app
def check(management: str | None) -> None:
    """Check that RabbitMQ can be reached and has what the app needs.

    These are the exchanges of the models (for models that use the default exchange,
    their queues), and the queue of the consumer if SIGNALBUS_RABBITMQ_QUEUE is set. The
    exit status is 1 if something is missing.

    AMQP cannot show whether anything is bound to an exchange. With --management
    http://HOST:15672, the management API is asked: then it is an error, too, if an
    exchange has neither a binding nor an alternate exchange.
    """
    parameters = url_parameters(flask.current_app.config)
    models = _models()
    queue = flask.current_app.config.get(_QUEUE)
    api = management and Management(management, parameters, CHECK_TIMEOUT)
    with connected(parameters, CHECK_TIMEOUT) as (client, address):
        click.echo(f"RabbitMQ at {address}: ok")
        _echo_if_none(models)
        is_wrong = _echo_all(check_all(models, queue, client, api or None))
    if is_wrong:
        raise click.exceptions.Exit(1)


@rabbitmq.command()
@click.option(
    "--queue",
    metavar="NAME",
    help="The queue of the consumer. Default: SIGNALBUS_RABBITMQ_QUEUE.",
)
@click.option(
    "--bind",
    "bindings",
    metavar="EXCHANGE:KEY",
    multiple=True,
    callback=lambda _context, _option, values: [_binding(value) for value in values],
    help="Bind the queue of the consumer to an exchange. May be repeated.",
)
@click.option(
    "--exchange-type",
    "exchange_types",
    metavar="[EXCHANGE=]TYPE",
    multiple=True,
    callback=lambda _context, _option, values: dict(map(_exchange_type, values)),
    help="The type of new exchanges, or of one of them. Default: topic.",
)
@click.option(
    "--classic", is_flag=True, help="Create classic queues, not quorum queues."
)
@click.option(
    "--no-dead-letters",
    is_flag=True,
    help="Create no queues for rejected messages, which are then dropped.",
)
@_in_app
def declare(
    queue: str | None,
    bindings: list[Binding],
    exchange_types: dict[str, str],
    classic: bool,
    no_dead_letters: bool,
) -> None:
    """Create the exchanges and queues that the app needs, where they are missing.

    These are the exchanges of the models (for models that use the default exchange,
    their queues), the queue of the consumer, and the exchanges that it is bound to. All
    are durable. Queues are quorum queues. Rejected messages go to a queue of the same
    name with ".dead" at the end.

    The command changes nothing that exists, and can be repeated. The exit status is 1
    if something exists with other properties, or may not be created.
    """
    queue = queue or flask.current_app.config.get(_QUEUE)
    if bindings and not queue:
        raise click.UsageError(f"--bind needs --queue, or the setting {_QUEUE}.")
    models = _models()
    targets = dict.fromkeys(Target.of(model) for model in models)
    names = [target.name for target in targets if target.kind == "queue"]
    queues = [
        Queue(name, classic, not no_dead_letters)
        for name in dict.fromkeys([*names, *filter(None, [queue])])
    ]
    plan = Plan(
        exchanges=[each.name for each in targets if each.kind == "exchange"],
        queues=[each for queue in queues for each in _with_dead_letters(queue)],
        queue=queue,
        bindings=bindings,
        exchange_type=lambda name: exchange_types.get(
            name, exchange_types.get("", "topic")
        ),
    )
    if not (plan.exchanges or plan.queues):
        raise click.UsageError(
            f"{_NO_MODEL} There is nothing to declare. Give --queue, or set {_QUEUE}."
        )
    _echo_if_none(models)
    _carry_out(plan)


def _carry_out(plan: Plan) -> None:
    with connected(url_parameters(flask.current_app.config), CHECK_TIMEOUT) as (
        client,
        _,
    ):
        is_wrong = _echo_all(declare_all(plan, client))
    if is_wrong:
        raise click.exceptions.Exit(1)


def _with_dead_letters(queue: Queue) -> list[Queue]:
    return [queue.dead_letters, queue] if queue.has_dead_letters else [queue]


def _binding(value: str) -> Binding:
    exchange, colon, routing_key = value.partition(":")
    if not (exchange and colon):
        raise click.BadParameter(f"{value!r} is not of the form EXCHANGE:KEY.")
    return Binding(exchange, routing_key)


def _exchange_type(value: str) -> tuple[str, str]:
    """Return the name of an exchange, empty for all, and its type."""
    exchange, _, exchange_type = value.rpartition("=")
    if exchange_type not in EXCHANGE_TYPES and not exchange_type.startswith("x-"):
        raise click.BadParameter(
            f"{exchange_type!r} is not one of {', '.join(EXCHANGE_TYPES)}."
        )
    return exchange, exchange_type


def _models() -> list[type[t.Any]]:
    """Return the models that RabbitMQ sends. An app without a bus has none."""
    bus = flask.current_app.extensions.get("signalbus")
    if bus is None:
        return []
    models = bus.get_signal_models()
    return [model for model in models if bus.declaration(model).broker == BROKER]


def _echo_if_none(models: list[type[t.Any]]) -> None:
    if not models:
        click.echo(_NO_MODEL)


def _echo_all(lines: t.Iterable[CheckLine]) -> bool:
    """Print each line as it comes. Return whether something is wrong."""
    is_wrong = False
    for line in lines:
        is_wrong = is_wrong or bool(line.problem)
        click.echo(clean_line(str(line)), err=bool(line.problem))
    return is_wrong


def _without_login(context: click.Context, url: str | None) -> str | None:
    """Refuse a password among the arguments: all users of the machine see them."""
    source = context.get_parameter_source("management")
    if url and "@" in url and source is ParameterSource.COMMANDLINE:
        raise click.UsageError(
            "--management has a user and a password, which all users of this machine"
            " can see. Leave them out, and those of the AMQP URL are used; or set the"
            " environment variable SIGNALBUS_RABBITMQ_MANAGEMENT_URL instead."
        )
    return url


def _find_consumer(where: str) -> Consumer:
    """Return the consumer at *where*, with its app."""
    module_name, _, name = where.partition(":")
    if not name:
        raise click.BadParameter(f"{where!r} is not of the form MODULE:CONSUMER.")
    try:
        found = getattr(importlib.import_module(module_name), name)
    except (ImportError, AttributeError) as error:
        raise click.BadParameter(
            f"{where!r} cannot be imported: {clean_line(str(error))}."
        ) from error
    if isinstance(found, type) and issubclass(found, Consumer):
        found = found()
    if not isinstance(found, Consumer):
        raise click.BadParameter(f"{where!r} is not a signalbus_rabbitmq.Consumer.")
    try:
        check_processing(found)
    except TypeError as error:
        raise click.BadParameter(str(error)) from error
    if not found.has_app:
        found.init_app(flask.current_app._get_current_object())  # type: ignore[attr-defined]  # noqa: SLF001 documented by werkzeug
    return found
