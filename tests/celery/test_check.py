"""What ``flask signalbus celery check`` looks at."""

from __future__ import annotations

import subprocess
import sys
import typing as t

import pytest
import sqlalchemy as sa
from signalbus.testing.proxy import free_port
from signalbus_celery.plugin import broker

if t.TYPE_CHECKING:
    from conftest import CeleryServer
    from conftest import NewShop
    from conftest import RabbitMQ
    from conftest import Shop


def lines(shop: Shop) -> list[str]:
    """Return what is said of the model."""
    with shop.app.app_context():
        return [str(line) for line in broker.check(shop.bus, [shop.model])]


def problems(shop: Shop) -> list[str]:
    """Return what is wrong."""
    with shop.app.app_context():
        (found,) = [
            each
            for each in shop.bus.plugin_manager.hook.signalbus_check(
                bus=shop.bus, models=[shop.model]
            )
            if each
        ] or [[]]
        return t.cast("list[str]", found)


def know(shop: Shop, *names: str) -> None:
    """Register tasks of these names."""

    def run(**arguments: t.Any) -> None:
        """Take anything."""

    for name in names:
        shop.celery.task(run, name=name, shared=False)


def test_all_is_well(server: CeleryServer, new_shop: NewShop) -> None:
    """The broker answers; a worker must have the task, which is not known here."""
    shop = new_shop(server)
    first, second = lines(shop)
    url = server.celery()["broker_url"].replace("guest:guest@", "")

    assert f"Celery's broker at {url}: ok" == first
    assert second.startswith("OrderPaid: task 'shop.take': ok (not registered in this")
    assert [] == problems(shop)


def test_a_celery_app_that_is_missing(new_shop: NewShop) -> None:
    """The first problem is the only one."""
    (problem,) = problems(new_shop(None))

    assert problem.startswith("Celery: The app has no Celery app")


def test_a_broker_that_is_missing(new_shop: NewShop) -> None:
    """It is named without its password."""
    url = f"amqp://shop:secret@127.0.0.1:{free_port()}//"
    (problem,) = problems(new_shop(None, celery={"broker_url": url}))

    assert problem.startswith("connection: Celery's broker at amqp://127.0.0.1:")
    assert "Connection refused. Start it, or correct the broker_url" in problem
    assert "secret" not in problem


def test_a_reason_that_ends_in_a_period(rabbitmq: RabbitMQ, new_shop: NewShop) -> None:
    """The sentence has one, too, and not two."""
    address = f"127.0.0.1:{rabbitmq.url.port or 5672}"
    url = f"amqp://nobody:secret@{address}//"
    (problem,) = problems(new_shop(None, celery={"broker_url": url}))

    assert "see the broker logfile. Start it, or correct" in problem
    assert "secret" not in problem


@pytest.mark.parametrize("scheme", ["redis", "rediss"])
@pytest.mark.parametrize("missing", [["redis"], ["redis", "packaging"]])
def test_a_client_library_that_is_missing(scheme: str, missing: list[str]) -> None:
    """Whoever chooses Redis is told what to install, and not what Celery tripped on."""
    program = f"""
import sys

sys.modules.update(dict.fromkeys({missing}))  # imports of them fail

from celery import Celery
from signalbus import BrokerUnavailableError
from signalbus_celery._pool import new_publisher

try:
    new_publisher(Celery("shop", broker="{scheme}://:secret@localhost"), 1)
except BrokerUnavailableError as error:
    print(error)
"""
    done = subprocess.run(  # noqa: S603 our own program
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert (
        "Celery cannot use its broker_url, since redis-py is not installed. Install"
        ' it: pip install "celery[redis]".\n'
    ) == done.stdout


def test_a_task_that_does_not_take_the_columns(
    server: CeleryServer, new_shop: NewShop
) -> None:
    """Where the task is known, its signature is, too."""
    shop = new_shop(server, columns={"cents": sa.Column(sa.Integer)})

    @shop.task(bind=True)
    def take(task: t.Any, id: int) -> None:  # noqa: A002 the name of the column
        """Lack an argument."""

    (problem,) = problems(shop)

    assert "unexpected keyword argument 'cents'" in problem
    assert "define signalbus_task_args(signal) on the model" in problem


def test_a_task_that_takes_them(server: CeleryServer, new_shop: NewShop) -> None:
    """Nothing is wrong with it."""
    shop = new_shop(server)

    @shop.task(bind=True)
    def take(task: t.Any, id: int) -> None:  # noqa: A002 the name of the column
        """Take the key."""

    assert "OrderPaid: task 'shop.take': ok" == lines(shop)[1]


@pytest.mark.parametrize(
    "named", ["shop.send_reciept", "shop.tasks.send_receipt", "shop.Send_receipt"]
)
def test_a_misspelled_task_is_a_problem(
    server: CeleryServer, new_shop: NewShop, named: str
) -> None:
    """It is one where a task with a similar name is known."""
    shop = new_shop(server, signalbus_task=named)
    know(shop, "shop.send_receipt")

    (problem,) = problems(shop)

    assert f"OrderPaid: task {named!r}: it is not registered in this process" in problem
    assert "Did you mean 'shop.send_receipt'?" in problem


@pytest.mark.parametrize(
    "named", ["shop.send_invoice", "stock.send", "warehouse.send", "shop.send_receipt2"]
)
def test_another_task_of_the_same_module_is_not_meant(
    server: CeleryServer, new_shop: NewShop, named: str
) -> None:
    """A web process need not have all tasks."""
    shop = new_shop(server, signalbus_task=named)
    know(shop, "shop.send_receipt", "shop.send_notice", "shop.send")

    assert [] == problems(shop)


def test_arguments_of_functions_are_not_looked_at(
    server: CeleryServer, new_shop: NewShop
) -> None:
    """There is no signal to ask them about."""
    shop = new_shop(server, signalbus_task_args=staticmethod(lambda signal: ()))

    @shop.task()
    def take() -> None:
        """Take nothing."""

    assert "OrderPaid: task 'shop.take': ok" == lines(shop)[1]


def test_a_task_that_depends_on_the_signal(
    server: CeleryServer, new_shop: NewShop
) -> None:
    """The line says so."""
    shop = new_shop(server, signalbus_task=staticmethod(lambda signal: "shop.take"))

    assert "OrderPaid: the task is a function of the signal: ok" == lines(shop)[1]


def test_an_eager_app_needs_no_broker(new_shop: NewShop) -> None:
    """Nothing is sent to one."""
    shop = new_shop(None, celery={"task_always_eager": True})

    assert "Celery: eager: the process that flushes runs the tasks" == lines(shop)[0]


def test_the_command_prints_the_lines(server: CeleryServer, new_shop: NewShop) -> None:
    """The exit status tells whether something is wrong."""
    pytest.importorskip("signalbus_cli")
    shop = new_shop(server)
    done = shop.app.test_cli_runner().invoke(args=["signalbus", "celery", "check"])

    assert (0, 2) == (done.exit_code, len(done.output.splitlines())), done.output
