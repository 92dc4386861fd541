"""`flask signalbus run`: what it prints, which models it sends, and its exit status."""

from __future__ import annotations

import re
import signal
import socket
import typing as t

import pytest

if t.TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result
    from conftest import Process
    from conftest import Shop
    from flask import Flask
    from signalbus import SignalBus

Started: t.TypeAlias = "t.Callable[..., Process]"

ALL = "Relay of shop: 2 models in 2 lanes; polls every 1 s."
LETTERS = "Relay of shop: 1 model in 1 lane; polls every 0.5 s."


@pytest.fixture
def invoke(app: Flask, commands_anew: None) -> t.Callable[..., Result]:
    """Call the command with *arguments*, in this process."""
    pytest.importorskip("signalbus_cli")
    return lambda *arguments: app.test_cli_runner().invoke(
        args=["signalbus", "run", *arguments]
    )


def test_it_prints_one_line_at_the_start_and_one_at_the_end(
    started: Started, shop: Shop
) -> None:
    """Nothing else is on stdout but what the app prints, and nothing on stderr."""
    shop.record("a", "b")
    relay = started(shop)

    assert [ALL] == relay.expect("tries a")
    assert ["sent a", "tries b"] == relay.expect("sent b")
    assert (0, "2 signals sent.\n", "") == relay.end_quietly(signal.SIGTERM)


def test_a_failure_is_one_line_on_stderr(started: Started, shop: Shop) -> None:
    """However often it is tried; the status is 0 all the same."""
    shop.record("fails")
    relay = started(shop, "--poll", "0.05")
    for _ in range(5):
        relay.expect("tries fails")
    status, _, err = relay.end_quietly(signal.SIGTERM)

    assert 0 == status
    assert (
        "Error: Letter(id=1) was not sent and stays pending: ValueError: It fails.\n"
        == err
    )
    assert ["fails"] == shop.pending()


@pytest.mark.parametrize(
    "arguments", [["Letter"], ["--exclude", "Parcel"], ["Letter", "Unknown"]]
)
def test_names_choose_the_models(
    started: Started, shop: Shop, arguments: list[str]
) -> None:
    """As with the other commands: an unknown name is a warning."""
    shop.record("parcel", table="parcel")
    shop.record("letter")
    relay = started(shop, "--poll", "0.5", *arguments)

    assert [LETTERS] == relay.expect("tries letter")
    err = relay.end(signal.SIGTERM)[2]
    assert ("Unknown" in arguments) == ("No signal model is named 'Unknown'" in err)
    assert ["parcel"] == shop.pending("parcel")


def test_it_is_an_error_if_all_names_are_unknown(
    new_model: t.Any, invoke: t.Callable[..., Result]
) -> None:
    """It does not send everything instead."""
    new_model("Letter")
    result = invoke("Leter")

    assert 2 == result.exit_code
    assert "Did you mean Letter?" in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        ["--poll", "0"],
        ["--poll", "nan"],
        ["--concurrency", "0"],
        ["--grace", "-1"],
        ["--health", "8080"],
        ["--health", ":8080"],
        ["--health", "localhost:http"],
        ["--health", "localhost:70000"],
    ],
)
def test_wrong_options_are_refused(
    bus: SignalBus, invoke: t.Callable[..., Result], arguments: list[str]
) -> None:
    """With the name of the option, and status 2."""
    result = invoke(*arguments)

    assert 2 == result.exit_code
    assert arguments[0] in result.output


def test_health_address_that_is_taken_is_one_line(started: Started, shop: Shop) -> None:
    """The relay ends before it sends anything."""
    shop.record("a")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        status, out, err = started(shop, "--health", address).end()

    assert (1, "") == (status, out)
    assert [f"Error: No health report at {address}"] == re.findall(".*" + address, err)
    assert 1 == len(err.splitlines())
    assert ["a"] == shop.pending()


def test_it_tells_systemd_when_it_is_ready_and_when_it_stops(
    started: Started, shop: Shop, tmp_path: Path
) -> None:
    """With `Type=notify`."""
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(address)
        systemd.settimeout(30)
        relay = started(shop, NOTIFY_SOCKET=address)

        assert b"READY=1" == systemd.recv(100)
        assert 0 == relay.end(signal.SIGTERM)[0]
        assert b"STOPPING=1" == systemd.recv(100)


def test_nobody_at_the_socket_of_systemd_is_no_error(
    started: Started, shop: Shop, tmp_path: Path
) -> None:
    """A relay has better things to do."""
    relay = started(shop, NOTIFY_SOCKET=str(tmp_path / "nobody"))
    relay.expect(ALL)

    assert (0, "0 signals sent.\n", "") == relay.end_quietly(signal.SIGTERM)


@pytest.mark.databases("sqlite", "postgresql")
def test_signals_that_fail_wait_and_are_parked(started: Started, shop: Shop) -> None:
    """With signalbus-retry: after two attempts, and the others go out."""
    pytest.importorskip("signalbus_retry")
    shop.record("fails", "fine")
    relay = started(shop, SIGNALBUS_DISABLED_PLUGINS="", SHOP_RETRIES="yes")
    assert relay.stdout is not None
    relay.expect("sent fine")
    relay.expect("tries fails")
    assert relay.stderr is not None
    lines = [relay.stderr.readline() for _ in range(2)]

    assert "waits" in lines[0]
    assert "parked" in lines[1]
    assert (0, "1 signal sent.\n", "") == relay.end_quietly(signal.SIGTERM)
    assert ["fails"] == shop.pending()
