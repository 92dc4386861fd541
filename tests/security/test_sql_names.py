"""Names of tables, columns, schemas, binds and models are names, come what may."""

from __future__ import annotations

import contextlib
import typing as t

import pytest
import sqlalchemy as sa

if t.TYPE_CHECKING:
    from conftest import NewShop
    from hostile import Shop

NAMES = [
    "a\"b'c`d]e; DROP TABLE victim; --",
    "a') OR ('1'='1",
    "100% %s %(id)s",
    "a:b :id",
    "a\\b\\'c",
    "a b.c,d\ne",
    "{}?$1/*",
    "select",
    "Größe€",
    "__first__ __count__ signalbus",
    "ping:1",
    "x" * 63,
]

SIGNALS = 5


class Fate:
    """What becomes of signals: they are sent, unless they are to fail."""

    def __init__(self) -> None:
        self.sent: list[int] = []
        self.failing: set[int] = set()

    def sender(self) -> t.Any:
        """Return a send method for a model."""

        def send_signalbus_message(cls: t.Any, signal: t.Any) -> None:
            if signal.id in self.failing:
                raise ValueError(f"no {signal.id}")
            self.sent.append(signal.id)

        return classmethod(send_signalbus_message)


@pytest.fixture
def fate() -> Fate:
    """Give what becomes of signals."""
    return Fate()


@pytest.fixture
def shop_named(new_shop: NewShop, engine_url: str, fate: Fate) -> t.Callable[..., Shop]:
    """Make a shop whose names are hostile with ``shop_named(name)``."""

    def make(name: str, **more: t.Any) -> Shop:
        return new_shop(
            url=engine_url,
            __tablename__=name,
            id=sa.Column(f"{name}"[:60], sa.Integer, primary_key=True),
            text=sa.Column(f"{name}"[:59] + "2", sa.String(20), index=False),
            send_signalbus_message=fate.sender(),
            **more,
        )

    return make


def fill(shop: Shop, *numbers: int) -> None:
    """Record signals with these numbers, on two ordering keys."""
    shop.record(*({"id": number, "text": f"{number % 2}"} for number in numbers))


@pytest.mark.databases
@pytest.mark.parametrize("name", NAMES)
def test_signals_are_recorded_and_sent(
    shop_named: t.Callable[..., Shop], fate: Fate, name: str
) -> None:
    """By an autoflush and by all three methods; counts are right."""
    shop = shop_named(name)
    shop.bus.autoflush = True
    fill(shop, 1)
    shop.bus.autoflush = False
    for method in ("flush", "flushmany", "flushordered"):
        fill(shop, *range(10, 10 + SIGNALS))
        with shop.app.app_context():
            assert {shop.model: SIGNALS} == shop.bus.count_pending()
            assert SIGNALS == getattr(shop.bus, method)()
        assert [] == shop.pending()

    assert [1] + 3 * list(range(10, 10 + SIGNALS)) == fate.sent


@pytest.mark.databases
@pytest.mark.parametrize("name", NAMES)
def test_signals_of_an_ordering_key_are_sent(
    shop_named: t.Callable[..., Shop], fate: Fate, name: str
) -> None:
    """In order; a failing one holds back its key and no other."""
    shop = shop_named(name, signalbus_ordering_key="text", signalbus_burst_count=3)
    fate.failing = {1}
    fill(shop, *range(1, 8))
    shop.flush_error()

    assert [2, 4, 6] == fate.sent
    assert [1, 3, 5, 7] == shop.pending()


@pytest.mark.databases
@pytest.mark.parametrize("name", NAMES)
def test_failed_signals_are_recorded_and_replayed(
    with_retry: None, shop_named: t.Callable[..., Shop], fate: Fate, name: str
) -> None:
    """What waits is not sent, and commands find it."""
    pytest.importorskip("signalbus_cli")
    policy = pytest.importorskip("signalbus_retry").RetryPolicy(first_delay=3600)
    shop = shop_named(name, signalbus_burst_count=2, signalbus_retry=policy)
    fate.failing = {2}
    fill(shop, 1, 2, 3)
    shop.flush_error()
    fate.failing = set()

    assert 0 == shop.flush()
    assert [2] == shop.pending()
    assert "ValueError: no 2" in shop.printed("failures", "OrderPaid")
    assert "will be sent" in shop.printed("replay", "OrderPaid", "--key", "2")
    assert 1 == shop.flush()
    assert [1, 3, 2] == fate.sent


@pytest.mark.databases("postgresql")
@pytest.mark.parametrize("name", NAMES)
def test_relays_are_told_which_table_it_was(
    shop_named: t.Callable[..., Shop], engine_url: str, name: str
) -> None:
    """Its name arrives as it is, or stands for all tables."""
    relay = pytest.importorskip("signalbus_relay")
    channel = pytest.importorskip("signalbus_relay._channel")
    psycopg = pytest.importorskip("psycopg")
    shop = shop_named(name)
    plain = sa.make_url(engine_url).set(drivername="postgresql")
    with (
        psycopg.connect(plain.render_as_string(False), autocommit=True) as connection,
        contextlib.closing(connection.notifies(timeout=30)) as notifications,
    ):
        connection.execute("LISTEN signalbus")
        with shop.app.app_context():
            relay.wake(shop.bus, [shop.model])
        heard = channel.tables_of(next(notifications).payload)

    assert heard in ({name}, None)


@pytest.mark.databases
@pytest.mark.parametrize("name", NAMES)
def test_pages_and_commands_show_them(
    with_retry: None, shop_named: t.Callable[..., Shop], fate: Fate, name: str
) -> None:
    """The dashboard, ``pending``, ``signals``, ``check`` and ``show``."""
    pytest.importorskip("signalbus_cli")
    dashboard = pytest.importorskip("signalbus_dashboard").dashboard
    shop = shop_named(name)
    blueprint = dashboard(shop.bus, authorize=lambda: True)
    shop.app.register_blueprint(blueprint, url_prefix="/s")
    fate.failing = {2}
    fill(shop, 1, 2)
    shop.flush_error()
    client = shop.app.test_client()
    at = "/s/models/OrderPaid"
    paths = ["/s/", "/s/.json", f"{at}/failures", f"{at}/signal?key=2"]

    assert [200] * 4 == [client.get(path).status_code for path in paths]
    assert "        1" in shop.printed("pending").replace("1  ", "        1")
    assert "Traceback" not in shop.run("check") + shop.run("signals")
    assert "no 2" in shop.printed("show", "OrderPaid", "2")


@pytest.mark.databases("postgresql")
@pytest.mark.parametrize("schema", ['s"; DROP TABLE x', "100%", "s.t", "s:t", "s\\t"])
def test_a_schema_is_a_name(
    shop_named: t.Callable[..., Shop], engine_url: str, fate: Fate, schema: str
) -> None:
    """Also for ordering keys, whose statements are the longest."""
    engine = sa.create_engine(engine_url)
    with engine.begin() as connection:
        connection.execute(sa.schema.CreateSchema(schema))
    try:
        shop = shop_named(
            "orders", __table_args__={"schema": schema}, signalbus_ordering_key="text"
        )
        fill(shop, 1, 2, 3)

        assert 3 == shop.flush()
        assert [] == shop.pending()
    finally:
        with engine.begin() as connection:
            connection.execute(sa.schema.DropSchema(schema, cascade=True))
        engine.dispose()


@pytest.mark.parametrize("name", NAMES)
def test_binds_and_models_have_any_name(
    new_shop: NewShop, fate: Fate, tmp_path: t.Any, name: str
) -> None:
    """A model's own, too; it is flushed by its name."""
    pytest.importorskip("signalbus_cli")
    shop = new_shop(
        {"SQLALCHEMY_BINDS": {name: f"sqlite:///{tmp_path / 'other.sqlite'}"}},
        __name__=name,
        __tablename__="orders",
        __bind_key__=name,
        send_signalbus_message=fate.sender(),
    )
    fill(shop, 1, 2)

    assert "2 signals sent" in shop.printed("flushmany", name)
    assert [] == shop.pending()


def test_a_name_that_a_database_refuses_is_an_error_of_the_database(
    new_shop: NewShop, postgresql: t.Any, fate: Fate
) -> None:
    """SQLAlchemy says that it is too long, before anything is sent."""
    with pytest.raises(sa.exc.IdentifierError, match="exceeds maximum length"):
        new_shop(
            url=postgresql.url,
            __tablename__="x" * 64,
            send_signalbus_message=fate.sender(),
        )
