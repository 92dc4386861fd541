"""Where the server is: what the setting may say, and when it is refused."""

from __future__ import annotations

import datetime as dt
import ipaddress
import secrets
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from signalbus import BrokerUnavailableError
from signalbus.exceptions import SettingError
from signalbus.testing.proxy import free_port

if t.TYPE_CHECKING:
    from conftest import NewServer
    from conftest import NewShop

#: A program with an app whose Redis is known, and that imports no client library.
PROGRAM = """
import sys
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from signalbus import SignalBus

app = Flask("shop")
app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
app.config["SIGNALBUS_REDIS_URL"] = "redis://localhost"
SignalBus(SQLAlchemy(app))
assert "redis" not in sys.modules
"""


@pytest.mark.parametrize(
    "url",
    [
        7,
        "localhost:6379",
        "http://localhost",
        "redis://localhost:port",
        "redis://localhost:0",
        "redis://:pass/secret@localhost",
        "redis://:12/secret@localhost",
        "redis://:12?secret@localhost",
        "redis://shop?foo=secret@localhost",
        "redis://:pa#secret@localhost",
        "redis://localhost/secret",
        "redis://localhost/0#secret",
        "unix://",
        "unix:///",
    ],
)
def test_malformed_urls_are_refused(new_shop: NewShop, url: object) -> None:
    """When the app is made; the error has nothing of the URL, but the remedy."""
    with pytest.raises(SettingError) as caught:
        new_shop(t.cast("str", url), signalbus_stream="orders")

    said = str(caught.value)
    assert said.startswith("SIGNALBUS_REDIS_URL is not a valid URL of Redis.")
    assert "secret" not in said
    assert None is caught.value.__cause__
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_unknown_parameters_are_an_outage(new_shop: NewShop) -> None:
    """The signals are not at fault; no value of the URL is shown."""
    shop = new_shop(
        "redis://:secret@127.0.0.1/0?pigeon=secret", signalbus_stream="orders"
    )
    shop.record(b"1")

    with pytest.raises(BrokerUnavailableError, match="after its question mark") as e:
        shop.flush()

    assert "secret" not in str(e.value)
    assert ["Redis: " + str(e.value)] == shop.check()


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("redis://localhost?foo=1", "(foo)"),
        ("redis://localhost?client_name=shop&foo=1&db=secret&bar=2", "(foo, db, bar)"),
        ("unix:///shop.sock?client_name=shop&foo=1", "(foo)"),
        ("redis://:@shop?foo=secret@localhost", "(TypeError)"),  # of a password, maybe
    ],
)
def test_unknown_parameters_are_named(new_shop: NewShop, url: str, told: str) -> None:
    """Those that are fine are not."""
    shop = new_shop(url, signalbus_stream="orders")
    (line,) = shop.check()

    assert f"parameters that redis-py does not support {told}. Correct" in line


@pytest.mark.parametrize("url", [None, ""])
def test_a_missing_url_is_an_outage(new_shop: NewShop, url: str | None) -> None:
    """It is reported when something is to be sent, and by the check."""
    shop = new_shop(url, signalbus_stream="orders")
    shop.record(b"1")

    with pytest.raises(BrokerUnavailableError, match="SIGNALBUS_REDIS_URL is not set"):
        shop.flush()

    assert "SIGNALBUS_REDIS_URL is not set" in shop.check()[0]
    assert [1] == shop.pending()


def test_blanks_around_the_url_are_ignored(
    new_shop: NewShop, redis_url: str, stream: str
) -> None:
    """A file of settings may have them."""
    shop = new_shop(f" {redis_url}\n", signalbus_stream=stream)
    shop.record(b"1")

    assert 1 == shop.flush()


@pytest.mark.parametrize(
    ("parameter", "told"),
    [
        ("redis://{place}?ssl_ca_certs=shop.pem", "begin with rediss://"),
        ("rediss://{place}?ssl_ca_certs=/none.pem", "a file that the URL names"),
        ("rediss://{place}", "redis:// if it does not offer TLS"),
    ],
    ids=["no-tls", "no-file", "no-server-with-tls"],
)
def test_what_is_wrong_with_tls_is_told(
    new_server: NewServer, new_shop: NewShop, parameter: str, told: str
) -> None:
    """The server here does not offer it, and waits for more, without a word."""
    place = f"127.0.0.1:{new_server().port}"
    url = parameter.format(place=place)
    shop = new_shop(url, signalbus_stream="orders", timeout=1)
    (line,) = shop.check()

    assert told in line
    assert "What was sent" not in line


def test_parameters_that_the_plugin_decides_are_ignored(
    new_shop: NewShop, redis_url: str, stream: str
) -> None:
    """A URL that another client uses, too, need not be changed."""
    query = "decode_responses=yes&socket_timeout=0.001&retry_on_timeout=yes&protocol=3"
    query += "&health_check_interval=1&max_connections=1&client_name=shop"
    url = f"{redis_url}?{query}"
    shop = new_shop(url, signalbus_stream=stream)
    shop.record(b"1", b"2")

    assert 2 == shop.flush()


def test_a_database_can_be_chosen(new_server: NewServer, new_shop: NewShop) -> None:
    """It is the path of the URL."""
    server = new_server()
    shop = new_shop(server.url.replace("/0", "/7"), signalbus_stream="orders")
    shop.record(b"1")
    shop.flush()

    with server.client as client:
        client.select(7)
        assert 1 == client.xlen("orders")


def test_a_database_that_does_not_exist_is_an_outage(
    new_shop: NewShop, redis_url: str
) -> None:
    """The server's own words say so."""
    shop = new_shop(f"{redis_url.rpartition('/')[0]}/77777", signalbus_stream="orders")
    shop.record(b"1")

    with pytest.raises(BrokerUnavailableError, match="DB index is out of range"):
        shop.flush()


def test_a_socket_of_the_file_system(new_server: NewServer, new_shop: NewShop) -> None:
    """``unix://`` and a path; the database is a parameter."""
    path = Path("/tmp") / f"signalbus-{secrets.token_hex(4)}.sock"  # noqa: S108 it must be short
    new_server(f"--unixsocket {path}")
    shop = new_shop(f"unix://{path}?db=1", signalbus_stream="orders")
    shop.record(b"1", b"2")

    assert 2 == shop.flush()
    assert f"Redis at {path}: ok" == shop.check()[0]


def test_tls(new_server: NewServer, new_shop: NewShop, tmp_path: Path) -> None:
    """``rediss://`` checks the certificate; large bodies go through."""
    certificate, key = make_certificate(tmp_path)
    port = free_port()
    options = {"port": port, "cert-file": certificate, "key-file": key}
    options |= {"ca-cert-file": certificate, "auth-clients": "no"}
    new_server(*(f"--tls-{name} {value}" for name, value in options.items()))
    url = f"rediss://127.0.0.1:{port}"
    trusting = new_shop(f"{url}?ssl_ca_certs={certificate}", signalbus_stream="orders")
    trusting.record(b"1", b"x" * 5_000_000, b"3")
    wary = new_shop(url, signalbus_stream="orders")
    wary.record(b"4")

    assert 3 == trusting.flush()
    trusting.record(b"5")
    assert 1 == trusting.flush()
    with pytest.raises(BrokerUnavailableError, match="certificate verify failed"):
        wary.flush()


def test_redis_is_imported_when_it_is_needed() -> None:
    """An app that never sends to Redis does not pay for its client library."""
    subprocess.run([sys.executable, "-c", PROGRAM], check=True)  # noqa: S603 our own program


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate of 127.0.0.1, signed by itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "shop")])
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    now = dt.datetime.now(dt.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder.joinpath("shop.crt").write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
    )
    folder.joinpath("shop.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return folder / "shop.crt", folder / "shop.key"
