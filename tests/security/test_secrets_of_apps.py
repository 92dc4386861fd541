"""Passwords of databases, and those in errors of senders, are told to nobody."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import typing as t
import urllib.request
from pathlib import Path
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from hostile import SECRET
from hostile import reprs_of_ours
from hostile import texts_of
from signalbus import SettingError

if t.TYPE_CHECKING:
    from conftest import NewShop
    from flask import Flask
    from hostile import Shop

PASSWORD = f"/{SECRET}@:% #?"

#: What a sender's error may quote: its own URL, a connection string, a mapping.
QUOTED = (
    f"No way to amqp://shop:{quote(PASSWORD, safe='')}@host/,"
    f" host=h password='{SECRET}', {{'sasl.password': '{SECRET}'}}"
)


def failing(cls: t.Any, signal: t.Any) -> None:
    """Fail as a sender does that knows too much."""
    raise ValueError(QUOTED) from ConnectionError(QUOTED)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://shop:{}@127.0.0.1:1/shop",
        "postgresql+psycopg2://shop:{}@127.0.0.1:1/shop",
        "mysql+pymysql://shop:{}@127.0.0.1:1/shop",
    ],
)
def test_a_database_that_is_down_is_told_without_its_password(
    new_app: t.Callable[..., Flask], url: str, logged: t.Callable[[], list[str]]
) -> None:
    """In errors and their causes, logs, commands, and the ``repr`` of our objects."""
    pytest.importorskip("signalbus_cli")
    secret = f"{SECRET}-of-a-database"  # of no other test, whose objects may be there
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus

    app = new_app(url.format(quote(f"/{secret}@:% #?", safe="")))
    db = SQLAlchemy(app)
    bus = SignalBus(db)
    columns = {"id": sa.Column(sa.Integer, primary_key=True)}
    model = type(
        "Paid", (db.Model,), {**columns, "send_signalbus_message": lambda _: None}
    )
    said = []
    with app.app_context():
        for act in (bus.flush, bus.flushmany, bus.flushordered, bus.count_pending):
            with pytest.raises(Exception) as caught:  # noqa: PT011 any
                act()
            said += texts_of(caught.value)
    runner = app.test_cli_runner()
    for words in (["flush"], ["pending"], ["check"], ["signals"], ["failures"]):
        result = runner.invoke(args=["signalbus", *words])
        said += [result.output, *texts_of(result.exception)]
    said += reprs_of_ours() + logged()

    assert "Paid" == model.__name__
    assert any("127.0.0.1" in text or "onnection" in text for text in said)
    assert not [text for text in said if secret in text]


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://shop:{SECRET}@host:port/shop",
        f"mysql://shop:{SECRET}@host/shop",
        f"shop:{SECRET}@host",
        f"postgresql://shop:12/{SECRET}@host/shop?x",
        {"other": f"postgresql://shop:{SECRET}@host/shop"},
        [SECRET],
    ],
)
def test_a_malformed_url_to_listen_at_is_not_shown(
    new_app: t.Callable[..., Flask], url: t.Any, logged: t.Callable[[], list[str]]
) -> None:
    """``SIGNALBUS_RELAY_LISTEN_URL`` is refused when the app gets its bus."""
    pytest.importorskip("signalbus_relay")
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus

    app = new_app("sqlite://", SIGNALBUS_RELAY_LISTEN_URL=url)
    said: list[str] = []
    try:
        SignalBus(SQLAlchemy(app))
    except SettingError as error:
        said = texts_of(error)

    assert not [text for text in said + logged() if SECRET in text]


@pytest.fixture
def shop(new_shop: NewShop, with_retry: None) -> Shop:
    """Give a shop whose sender tells its passwords, with one failed signal."""
    shop = new_shop(send_signalbus_message=classmethod(failing))
    shop.record({"id": 1})
    return shop


def test_what_a_sender_tells_is_kept_without_passwords(
    shop: Shop, logged: t.Callable[[], list[str]]
) -> None:
    """Neither the table of failures, nor commands, nor the log have them."""
    pytest.importorskip("signalbus_cli")
    shop.flush_error()
    with shop.app.app_context():
        rows = shop.db.session.execute(sa.text("SELECT * FROM signalbus_failure"))
        kept = [str(row) for row in rows]
    said = [shop.printed("failures"), shop.printed("show", "OrderPaid", "1")]
    said += [shop.printed("flushmany"), shop.printed("failures", "--json")]

    assert 1 == len(kept)
    assert "No way to amqp://shop:***@" in kept[0]
    assert not [text for text in kept + said + logged() if SECRET in text]


def test_a_relay_tells_no_passwords(
    shop: Shop, logged: t.Callable[[], list[str]]
) -> None:
    """Neither its health report, nor its row, nor its lines."""
    relay_class = pytest.importorskip("signalbus_relay").Relay
    relay = relay_class(shop.app, poll=0.05, health=("127.0.0.1", 0), grace=1)
    found: list[str] = []

    def look(line: str) -> None:
        found.append(line)
        threading.Thread(target=watch).start()

    def watch() -> None:
        try:
            host, port = relay._health.address  # noqa: SLF001 any free port
            for _ in range(200):
                with urllib.request.urlopen(
                    f"http://{host}:{port}/healthz", timeout=10
                ) as answer:
                    report = answer.read().decode()
                with shop.app.app_context():
                    statement = sa.text("SELECT * FROM signalbus_relay")
                    row = str(shop.db.session.execute(statement).all())
                if "ValueError" in report and "ValueError" in row:
                    break
            found.extend([report, row])
        finally:
            relay.stop()

    relay.run(look)

    assert any('"last_error": "ValueError' in text for text in found)
    assert not [text for text in found + logged() if SECRET in text]


def test_spans_tell_no_passwords(
    shop: Shop,
) -> None:
    """Neither the status of a span, nor the exception that it records."""
    pytest.importorskip("signalbus_otel")
    sdk = pytest.importorskip("opentelemetry.sdk.trace")
    from signalbus_otel._spans import fail

    provider = sdk.TracerProvider()
    with provider.get_tracer("x").start_as_current_span("x") as span:
        try:
            failing(None, None)
        except ValueError as error:
            fail(span, error)
    told = span.to_json()

    assert "ValueError" in told
    assert "***" in told
    assert SECRET not in told


PROGRAM = """
import os, sys
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from signalbus import SignalBus
from signalbus_cli._group import signalbus
app = Flask("shop")
app.config.from_prefixed_env()
db = SQLAlchemy(app)
bus = SignalBus(db)
class Paid(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    @classmethod
    def send_signalbus_message(cls, signal):
        pass
"""


@pytest.mark.parametrize("command", [["flushmany", "--repeat", "0.1"], ["run"]])
def test_processes_have_no_password_in_their_titles(
    tmp_path: Path, command: list[str]
) -> None:
    """URLs come from the configuration: no command takes one."""
    pytest.importorskip("signalbus_relay")
    pytest.importorskip("signalbus_cli")
    if not Path("/proc/self/cmdline").exists():
        pytest.skip("There is no /proc.")
    tmp_path.joinpath("shop.py").write_text(PROGRAM)
    env = {
        **os.environ,
        "FLASK_SQLALCHEMY_DATABASE_URI": f"sqlite:///{tmp_path / 'x.sqlite'}",
        "FLASK_SIGNALBUS_REDIS_URL": f"redis://a:{SECRET}@127.0.0.1:1",
        "FLASK_SIGNALBUS_NATS_URL": f"nats://a:{SECRET}@127.0.0.1:1",
        "FLASK_SIGNALBUS_RABBITMQ_URL": f"amqp://a:{SECRET}@127.0.0.1:1",
        "FLASK_SIGNALBUS_KAFKA": json.dumps(
            {"bootstrap.servers": "127.0.0.1:1", "sasl.password": SECRET}
        ),
    }
    create = "import shop; shop.app.app_context().push(); shop.db.create_all()"
    subprocess.run([sys.executable, "-c", create], cwd=tmp_path, env=env, check=True)  # noqa: S603 ours
    flask = [sys.executable, "-m", "flask", "--app", "shop", "signalbus"]
    with subprocess.Popen(  # noqa: S603 ours
        [*flask, *command],
        cwd=tmp_path,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        tasks = Path(f"/proc/{process.pid}/task")
        titles = [Path(f"/proc/{process.pid}/cmdline").read_text()]
        titles += [each.joinpath("comm").read_text() for each in tasks.iterdir()]
        process.terminate()
        assert process.stdout is not None
        printed = process.stdout.read()

    assert not [title for title in [*titles, printed] if SECRET in title]


def test_no_option_of_a_command_takes_a_url_with_a_password() -> None:
    """All that may have one is a setting. See tests/rabbitmq for `--management`."""
    pytest.importorskip("signalbus_cli")
    import click
    from signalbus_cli._group import signalbus

    def options(group: click.Group) -> t.Iterator[str]:
        for name in group.list_commands(click.Context(group)):
            command = group.get_command(click.Context(group), name)
            if isinstance(command, click.Group):
                yield from options(command)
            elif command is not None:
                yield from (f"{name} {each.name}" for each in command.params)

    found = {each for each in options(signalbus) if "url" in each or "passw" in each}

    assert set() == found
