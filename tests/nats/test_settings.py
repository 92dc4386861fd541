"""The URL, the options, and what models declare."""

from __future__ import annotations

import subprocess
import sys
import typing as t

import pytest
from signalbus import BrokerUnavailableError
from signalbus import SettingError
from signalbus import SignalModelError

if t.TYPE_CHECKING:
    from conftest import Server
    from conftest import Shop

    NewShop: t.TypeAlias = t.Callable[..., Shop]


@pytest.mark.parametrize(
    "url",
    [
        "localhost",
        "localhost:4222",
        "amqp://shop:secret@localhost",
        "ws://shop:secret@localhost",
        "nats://shop:secret@",
        "nats://shop:secret@localhost:x",
        "nats://shop:secret@localhost:99999",
        "nats://shop:secret@localhost:0",
        "nats://shop:secret@[::1",
        "nats://shop:sec/ret@localhost",
        "nats://shop:secret@localhost/subject",
        "nats://shop:secret@localhost?x=secret",
        "nats://shop:secret@localhost,",
        "nats://shop:secret@localhost,localhost",
        ["nats://shop:secret@localhost"],
        7,
    ],
)
def test_a_malformed_url_is_refused(shop_of: NewShop, url: object) -> None:
    """When the app is set up; the password is not shown."""
    with pytest.raises(SettingError, match="SIGNALBUS_NATS_URL") as caught:
        shop_of(url, "orders.paid")

    assert "sec" not in str(caught.value).replace("several", "")


@pytest.mark.parametrize("url", [None, ""])
def test_without_a_url_signals_stay_pending(shop_of: NewShop, url: str | None) -> None:
    """That is an error when something is sent, and a line of the check."""
    shop = shop_of(url, "orders.paid")

    with pytest.raises(BrokerUnavailableError, match="SIGNALBUS_NATS_URL is not set"):
        shop.send(1)

    assert "SIGNALBUS_NATS_URL is not set" in " ".join(shop.check())


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ("user_credentials", "not a dict"),
        ({"servers": "nats://shop:secret@localhost"}, "servers"),
        ({"allow_reconnect": "secret"}, "allow_reconnect"),
        (
            {"tls": "/etc/secret.pem"},
            "tls of the type str. It must be an ssl.SSLContext",
        ),
        ({"tls": True}, "tls of the type bool"),
        ({"token": 5}, "token of the type int. It must be a string"),
        ({"name": ["secret"]}, "name of the type list"),
    ],
    ids=["no-dict", "servers", "reconnect", "tls-path", "tls-bool", "token", "name"],
)
def test_options_that_nats_py_cannot_take_are_refused(
    shop_of: NewShop, options: object, named: str
) -> None:
    """So are those that signalbus sets itself; no values are shown."""
    with pytest.raises(SettingError, match=named) as caught:
        shop_of("nats://localhost", "a", {"SIGNALBUS_NATS_OPTIONS": options})

    assert "secret" not in str(caught.value)


def test_options_go_to_nats_py(
    shop_of: NewShop, broker_server: Server, stream: str
) -> None:
    """Replies come to an inbox that the user may subscribe to."""
    options = {"inbox_prefix": "_SHOP"}
    subject = f"{stream}.paid"
    shop = shop_of(broker_server.url, subject, {"SIGNALBUS_NATS_OPTIONS": options})

    shop.send(1)

    assert [b"1"] == broker_server.bodies(stream)


def test_one_of_several_servers_is_enough(
    shop_of: NewShop, broker_server: Server, stream: str
) -> None:
    """Those that are down are passed over, wherever they are in the list."""
    url = f"nats://127.0.0.1:1,{broker_server.url} , nats://127.0.0.1:2"

    for number in range(5):
        shop_of(url, f"{stream}.paid").send(number)

    assert 5 == len(broker_server.messages(stream))


@pytest.mark.parametrize("subject", ["", "orders paid", "orders.*", "orders.>", ".a"])
def test_a_model_with_an_unusable_subject_is_refused(
    shop_of: NewShop, subject: str
) -> None:
    """The error names the model and the attribute."""
    shop = shop_of("nats://localhost", subject)

    with (
        shop.app.app_context(),
        pytest.raises(SignalModelError, match=r"Paid.*signalbus_subject"),
    ):
        shop.bus.get_signal_models()


@pytest.mark.parametrize("subject", [None, 7, ["orders"]])
def test_a_model_needs_a_subject(shop_of: NewShop, subject: object) -> None:
    """It is a string, or a function of the signal."""
    shop = shop_of("nats://localhost", subject)

    with (
        shop.app.app_context(),
        pytest.raises(SignalModelError, match=r"Paid.*signalbus_subject"),
    ):
        shop.bus.get_signal_models()


def test_nats_py_is_imported_when_it_is_used() -> None:
    """Apps pay nothing for a broker that is only installed."""
    program = (
        "import sys, flask, flask_sqlalchemy, signalbus\n"
        "app = flask.Flask('shop')\n"
        "app.config['SQLALCHEMY_DATABASE_URI'] = 'sqlite://'\n"
        "signalbus.SignalBus(flask_sqlalchemy.SQLAlchemy(app))\n"
        "assert 'signalbus_nats' in app.extensions\n"
        "assert not {'nats', 'signalbus_nats._link'} & sys.modules.keys()\n"
    )

    subprocess.run([sys.executable, "-c", program], check=True)  # noqa: S603 our own
