"""``flask signalbus nats check`` reports what NATS lacks."""

from __future__ import annotations

import typing as t

import pytest

if t.TYPE_CHECKING:
    from conftest import Server
    from conftest import Shop

    NewShop: t.TypeAlias = t.Callable[..., Shop]


@pytest.mark.parametrize("storage", ["file", "memory"])
def test_it_names_the_stream_of_each_subject(
    shop_of: NewShop, broker_server: Server, storage: str
) -> None:
    """With what decides how safe the messages are there."""
    stream = broker_server.add_stream(storage=storage)

    lines = shop_of(broker_server.url, f"{stream}.paid").check()

    assert [f"NATS at {broker_server.address}: ok", "JetStream: ok"] == lines[:2]
    kept = f"(stream {stream}, {storage} storage, 1 replica)"
    assert [f"Paid: subject '{stream}.paid': ok {kept}"] == lines[2:]


def test_it_does_not_guess_what_functions_return(
    shop_of: NewShop, broker_server: Server
) -> None:
    """Only signals tell."""
    lines = shop_of(broker_server.url, lambda signal: f"orders.{signal.id}").check()

    assert "Paid: subject: each signal has its own" == lines[-1]


def test_a_sealed_stream_is_a_problem(
    shop_of: NewShop, broker_server: Server, stream: str
) -> None:
    """It takes nothing any more."""
    config: dict[str, t.Any] = {"sealed": True, "deny_delete": True, "deny_purge": True}
    broker_server.run(
        lambda _, js: js.update_stream(name=stream, subjects=[f"{stream}.>"], **config)
    )

    assert "is sealed" in shop_of(broker_server.url, f"{stream}.paid").check()[-1]


def test_the_command_fails_without_a_stream(
    shop_of: NewShop, broker_server: Server
) -> None:
    """It prints the command that adds one."""
    cli = pytest.importorskip("signalbus_cli")
    assert cli
    shop = shop_of(broker_server.url, "orders.paid")

    result = shop.app.test_cli_runner().invoke(args=["signalbus", "nats", "check"])

    assert 1 == result.exit_code
    assert (
        "Paid: subject 'orders.paid': no stream takes it. Add one: `nats stream add"
        " ORDERS --subjects orders.paid --defaults`.\n"
    ) in result.output


def test_an_absent_server_is_a_problem(shop_of: NewShop) -> None:
    """It is named, with what is wrong."""
    (line,) = shop_of("nats://shop:pw@127.0.0.1:1", "orders.paid").check()

    assert (
        "NATS: NATS at 127.0.0.1:1 cannot be used: the connection was refused." == line
    )
