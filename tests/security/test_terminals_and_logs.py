"""What a terminal shows is text, and what is logged is one line, whatever it says."""

from __future__ import annotations

import json
import logging
import re
import typing as t

import pytest
import sqlalchemy as sa
from hostile import SECRET
from signalbus import BrokerUnavailableError
from signalbus import SignalBusError
from signalbus import hookimpl
from signalbus.exceptions import describe_error
from signalbus.exceptions import hide_passwords
from signalbus.logs import get_logger

if t.TYPE_CHECKING:
    from conftest import NewShop
    from hostile import Shop

#: Clears the screen, sets the title, rings, goes back, breaks lines in all ways, turns
#: the writing around, and ends where a new line would begin.
STEER = (
    "\x1b[2J\x1b]0;t\x07\x08\r\n\x0b\x0c\x85\u2028\u2029\x9b2J\x00\u202e\u200b\ufeff\n"
    "ERROR forged"
)

#: For databases, PostgreSQL aside, and arguments of commands, which have no NUL.
NAME = STEER.replace("\0", "")

#: What click adds: colors.
STYLE = re.compile(r"\x1b\[[0-9;]*m")

URL = f"amqp://shop:{SECRET}@host/"


class NastyError(ValueError):
    """An error whose name is nasty, too."""


NastyError.__name__ = f"Nasty{NAME}"


@pytest.fixture
def shop(new_shop: NewShop, with_retry: None) -> Shop:
    """Give a shop that has failed to send a signal, all of whose names are nasty."""

    def send_signalbus_message(cls: t.Any, signal: t.Any) -> None:
        raise NastyError(f"{STEER} {URL}")

    shop = new_shop(
        __name__=NAME,
        __tablename__="orders",
        id=sa.Column(sa.String(200), primary_key=True),
        signalbus_retry={"first_delay": 3600},
        send_signalbus_message=classmethod(send_signalbus_message),
        **{f"a{NAME}": sa.Column("more", sa.Text)},
    )
    shop.record({"id": NAME, "text": STEER, f"a{NAME}": STEER})
    shop.flush_error()
    return shop


COMMANDS = [
    ("flushmany",),
    ("flush", NAME),
    ("flush", "nothing" + NAME),
    ("flush", NAME[:-1]),
    ("flush", "--exclude", NAME),
    ("pending",),
    ("pending", "--json"),
    ("signals",),
    ("check",),
    ("failures",),
    ("failures", NAME),
    ("failures", NAME, "--json"),
    ("failures", "--error", NAME),
    ("failures", "nothing" + NAME),
    ("show", NAME, NAME),
    ("show", NAME, NAME, "--json"),
    ("show", NAME, "nothing" + NAME),
    ("replay", NAME, "--key", "nothing" + NAME),
    ("replay", NAME, "--key", NAME, "--dry-run"),
    ("park", NAME, NAME),
    ("discard", NAME, "--key", NAME, "--yes"),
    (NAME,),
    ("flush", f"--{NAME}"),
]


@pytest.mark.parametrize("words", COMMANDS, ids=lambda each: " ".join(each)[:30])
def test_commands_do_not_steer_the_terminal(shop: Shop, words: tuple[str, ...]) -> None:
    """Control characters are escaped, wherever they come from."""
    pytest.importorskip("signalbus_cli")
    runner = shop.app.test_cli_runner()
    result = runner.invoke(args=["signalbus", *words], color=True)
    output = STYLE.sub("", result.output)

    assert "Traceback" not in output
    assert all(line.isprintable() for line in output.split("\n")), ascii(output)
    assert not [line for line in output.split("\n") if line.startswith("ERROR")]


@pytest.mark.parametrize(
    "words", [("failures", "--json"), ("failures", NAME, "--json")]
)
def test_json_says_what_it_was(shop: Shop, words: tuple[str, ...]) -> None:
    """Escapes of JSON stand for the characters: nothing is lost."""
    pytest.importorskip("signalbus_cli")
    (found, *_) = json.loads(shop.printed(*words))

    assert NAME == found["model"]
    assert found["error_text"].startswith(STEER.strip().replace("\0", "\\0")[:20])


def test_commands_have_no_option_in_a_key(shop: Shop) -> None:
    """Behind ``--key=`` and ``--``, nothing is taken for an option."""
    pytest.importorskip("signalbus_cli")

    assert "Not pending" in shop.printed("show", NAME, "--", "--json")
    assert "Not among" in shop.printed("replay", NAME, "--key=--yes")


def test_each_record_is_one_line(shop: Shop, logged: t.Callable[[], list[str]]) -> None:
    """A failure forges no line of the log, and shows no password."""
    shop.flush_error()
    with shop.app.app_context():
        shop.bus.flush()
    lines = logged()

    assert all(line.isprintable() for line in lines), lines
    assert not [line for line in lines if SECRET in line]


class Broken:
    """A plugin whose hooks fail with something nasty."""

    @hookimpl
    def signalbus_burst_failed(self) -> None:
        """Fail."""
        raise RuntimeError(f"{STEER} {URL}") from ValueError(URL)

    @hookimpl
    def signalbus_burst_settled(self) -> None:
        """Fail."""
        raise RuntimeError(f"{STEER} {URL}")

    @hookimpl
    def signalbus_committed(self) -> None:
        """Fail."""
        raise RuntimeError(f"{STEER} {URL}")


def test_tracebacks_forge_no_lines(
    new_shop: NewShop, caplog: pytest.LogCaptureFixture
) -> None:
    """They are indented; control characters and passwords of errors are not in them."""

    def send_signalbus_message(cls: t.Any, signal: t.Any) -> None:
        raise ValueError("no")

    shop = new_shop(send_signalbus_message=classmethod(send_signalbus_message))
    shop.bus.plugin_manager.register(Broken())
    shop.record({"id": 1})
    shop.flush_error()
    texts = [logging.Formatter().format(each) for each in caplog.records]
    lines = [line for text in texts for line in text.split("\n")[1:]]

    assert any("RuntimeError" in line for line in lines)
    assert all(line.startswith("  ") and line.isprintable() for line in lines)
    assert not [text for text in texts if SECRET in text]


def test_a_record_that_cannot_be_formatted_is_passed_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The handler reports that, as ever."""
    logger = get_logger("signalbus")
    with pytest.raises(TypeError, match="format"):
        logger.error("%d", "a")

    assert ["%d"] == [record.msg for record in caplog.records]


@pytest.mark.parametrize(
    "error",
    [
        ValueError(f"x{URL}"),
        ValueError("x" * 990 + URL + "x" * 100),
        ValueError("x" * 30_000 + URL),
        BrokerUnavailableError(f"{STEER} {URL}"),
        SignalBusError(f"'sasl.password': '{SECRET}'"),
        sa.exc.ArgumentError(f"Could not parse {URL}"),
        KeyError(URL),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_is_one_line_without_passwords(error: Exception) -> None:
    """Also where its text is cut in the middle of a URL."""
    line = describe_error(error)

    assert line.isprintable()
    assert SECRET not in line
    assert len(line) < 1500


@pytest.mark.parametrize(
    "text",
    [
        f"nats://{SECRET}@host:4222",
        f"amqp://a@b:{SECRET}@host",
        f"amqp://a:b@{SECRET}@host/x",
        f"AMQP://a:{SECRET}@host",
        f"mysql+pymysql://a:{SECRET}@h, amqp://b:{SECRET}@h",
        f"nats://a:{SECRET}@h,nats://b:{SECRET}@i",
        f"{{'sasl.password': '{SECRET}', 'a': 1}}",
        f'{{"password": "a\\"{SECRET}"}}',
        f"PGPASSWORD={SECRET} psql",
        f"?api_key={SECRET}&x=1",
        f"token = '{SECRET}'",
        f"client_secret={SECRET};",
    ],
)
def test_passwords_are_found_where_they_are_written(text: str) -> None:
    """In URLs, tokens of NATS, connection strings, mappings and queries."""
    assert SECRET not in hide_passwords(text)


@pytest.mark.parametrize(
    "text",
    [
        "amqp://USER:PASSWORD@HOST:PORT/VHOST",
        "nats://TOKEN@HOST:PORT",
        "https://host:8080/path",
        "ada@example.org: no such token",
        "unexpected token: ';'",
        "a=1, b=2",
    ],
)
def test_what_is_no_password_is_shown(text: str) -> None:
    """Examples in errors, too."""
    assert text == hide_passwords(text)


@pytest.mark.parametrize(
    "text",
    ["a", "a://", "a://a:", "password", "password='", "'token': '", "a.b-c+"],
)
def test_a_long_text_does_not_take_long(text: str) -> None:
    """Whatever it has been made of: what is beyond some length is not looked at."""
    assert len(hide_passwords(text * 100_000 + "@=':")) < 50_000
