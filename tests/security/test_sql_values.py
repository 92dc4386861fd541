"""Values of keys are values: in statements, in commands, and in searches."""

from __future__ import annotations

import typing as t

import pytest
import sqlalchemy as sa

if t.TYPE_CHECKING:
    from conftest import NewShop
    from hostile import Shop

VALUES = [
    "'\"`",
    "''; DROP TABLE victim; --",
    "') OR ('1'='1",
    "%",
    "%s %(key_0)s",
    "_",
    "\\",
    "\\'",
    ":key",
    "a\nb",
    "a\tb\x1b[2J",
    "\u202e",
    "ü😀",
    "[1]",
    '["a", "b"]',
    "--help",
    "a/../b?c#d&e=f",
    pytest.param("x" * 190, id="long"),
]


@pytest.fixture
def shop(new_shop: NewShop, engine_url: str, with_retry: None) -> Shop:
    """Give a shop whose keys are texts, and whose signals fail while they say so."""

    def send_signalbus_message(cls: t.Any, signal: t.Any) -> None:
        if shop.fails:  # type: ignore[attr-defined]
            raise ValueError(f"100%_\\ {signal.id}")

    shop = new_shop(
        url=engine_url,
        id=sa.Column(sa.String(200), primary_key=True),
        text=sa.Column(sa.String(200), nullable=False),
        signalbus_ordering_key="text",
        signalbus_retry=pytest.importorskip("signalbus_retry").RetryPolicy(
            first_delay=3600
        ),
        send_signalbus_message=classmethod(send_signalbus_message),
        __table_args__={"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"},
    )
    shop.fails = False  # type: ignore[attr-defined]
    return shop


@pytest.mark.databases
@pytest.mark.parametrize("value", VALUES)
def test_keys_are_found_by_their_values(shop: t.Any, value: str) -> None:
    """A signal fails, is found by its key, replayed, and sent; another one is not."""
    pytest.importorskip("signalbus_cli")
    shop.record({"id": value, "text": value}, {"id": "other", "text": "other"})
    shop.fails = True
    shop.flush_error()
    replayed = shop.printed("replay", "OrderPaid", f"--key={value}")
    shop.fails = False

    assert "OrderPaid: 1 signal will be sent by the next flush" in replayed
    assert 1 == shop.flush()
    assert ["other"] == shop.pending()


@pytest.mark.databases
@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("100%_\\", 2),
        ("%", 2),
        ("_", 2),
        ("\\", 2),
        ("1%0", 0),
        ("1_0", 0),
        ("___", 0),
        ("' OR ''='", 0),
        ("A", 1),
        ("ValueError: 100%", 2),
    ],
)
def test_the_text_of_an_error_is_text(shop: t.Any, text: str, count: int) -> None:
    """The wildcards of ``LIKE`` stand for themselves."""
    pytest.importorskip("signalbus_cli")
    from signalbus_retry import failures

    shop.record({"id": "xa", "text": "1"}, {"id": "xb", "text": "2"})
    shop.fails = True
    shop.flush_error()
    with shop.app.app_context():
        if text == "A":  # found whatever its case, but not in "ValueError: 100%_\ xb"
            text = "XA"
        found = list(failures(shop.bus, error=text))

    assert count == len(found)


@pytest.mark.databases("postgresql")
def test_a_nul_in_a_key_is_a_clear_error(shop: t.Any) -> None:
    """PostgreSQL has no such texts, and says so: nothing is replayed."""
    pytest.importorskip("signalbus_cli")
    shop.record({"id": "a", "text": "a"})
    shop.fails = True
    shop.flush_error()
    said = shop.run("replay", "OrderPaid", "--key=a\0b")

    assert said.startswith("Error: DataError: ")
    assert "Traceback" not in said


@pytest.mark.databases
@pytest.mark.parametrize("key", ["\udcff", "[" * 100_000, '{"a": 1}', "9" * 5000])
def test_keys_that_cannot_be_are_refused(shop: t.Any, key: str) -> None:
    """What no database can have, or what looks like JSON and is none."""
    pytest.importorskip("signalbus_cli")
    shop.record({"id": "a", "text": "a"})
    result = shop.app.test_cli_runner().invoke(
        args=["signalbus", "show", "OrderPaid", key]
    )

    assert 1 == result.exit_code
    assert isinstance(result.exception, SystemExit), repr(result.exception)
    assert result.output.startswith("Error: ")
    assert 1 == result.output.count("\n")
