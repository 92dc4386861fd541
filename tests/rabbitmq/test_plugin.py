"""Models that name RabbitMQ are sent by it, and by nobody else."""

from __future__ import annotations

import dataclasses
import json
import time
import typing as t

import pytest
import sqlalchemy as sa
from flask_sqlalchemy import SQLAlchemy
from signalbus import BrokerUnavailableError
from signalbus import SignalBus
from signalbus import SignalBusError
from signalbus import SignalModelError
from signalbus import hookimpl
from signalbus.testing import MemoryBroker
from signalbus_rabbitmq import Message
from signalbus_rabbitmq import Publisher
from signalbus_rabbitmq import ReturnedError
from signalbus_rabbitmq import UnconfirmedError
from signalbus_rabbitmq import plugin
from signalbus_rabbitmq._settings import Settings
from sqlalchemy.orm import Mapped
from sqlalchemy.orm import mapped_column

if t.TYPE_CHECKING:
    from conftest import Broker
    from conftest import Proxy
    from flask import Flask

BURST = 5000


@dataclasses.dataclass
class Shop:
    """An app with a bus and, by default, one signal model."""

    db: SQLAlchemy
    bus: SignalBus
    app: Flask

    def declare(self, name: str = "Paid", **attributes: t.Any) -> t.Any:
        """Declare a signal model with an id and a text, and more *attributes*."""
        columns = {
            "__annotations__": {"id": Mapped[int], "text": Mapped[str]},
            "id": mapped_column(primary_key=True),
            "signalbus_broker": "rabbitmq",
            "signalbus_autoflush": False,
        }
        return type(name, (self.db.Model,), columns | attributes)

    def record(self, model: t.Any, *texts: str) -> None:
        """Record a signal for each of *texts*."""
        with self.app.app_context():
            self.db.create_all()
            self.db.session.add_all([model(text=text) for text in texts])
            self.db.session.commit()

    def pending(self, model: t.Any) -> list[str]:
        """Return the texts of the signals that are pending."""
        with self.app.app_context():
            return list(self.db.session.scalars(sa.select(model.text)))


@pytest.fixture
def open_shop(
    new_app: t.Callable[..., Flask], engine_url: str
) -> t.Callable[..., Shop]:
    """Make shops with ``open_shop(broker_url, **config)``."""

    def make(url: str, **config: t.Any) -> Shop:
        app = new_app(engine_url, SIGNALBUS_RABBITMQ_URL=url, **config)
        db = SQLAlchemy(app)
        return Shop(db, SignalBus(db), app)

    return make


@pytest.fixture
def shop(open_shop: t.Callable[[str], Shop], broker_url: str) -> Shop:
    """Give a shop that sends to the broker."""
    return open_shop(broker_url)


def test_a_model_is_sent_by_three_attributes(
    shop: Shop, broker: Broker, queue: str
) -> None:
    """It needs no send method; its columns are the message, and its row is gone."""
    paid = shop.declare(signalbus_exchange="", signalbus_routing_key=queue)
    shop.record(paid, "a", "b")

    assert 2 == shop.bus.flushmany()
    assert [{"id": 1, "text": "a"}, {"id": 2, "text": "b"}] == [
        json.loads(body) for body in broker.bodies(queue)
    ]
    assert [] == shop.pending(paid)


def test_messages_say_what_they_are(shop: Shop, broker: Broker, queue: str) -> None:
    """Persistent, typed, dated, and with an id that the row always has."""
    paid = shop.declare(signalbus_exchange="", signalbus_routing_key=queue)
    shop.record(paid, "a")
    shop.bus.flushmany()

    ((properties, _),) = broker.take(queue)

    assert properties.timestamp > 1_700_000_000
    properties.timestamp = None
    assert {
        "content_type": "application/json",
        "delivery_mode": 2,
        "message_id": "paid:1",
        "type": "Paid",
        "app_id": "shop",
    } == {name: value for name, value in vars(properties).items() if value}


def test_a_model_may_say_more(shop: Shop, broker: Broker, queue: str) -> None:
    """Routing key, headers and body may be functions of the signal."""
    exchange = broker.exchange("topic", queue, routing_key="paid.#")
    paid = shop.declare(
        signalbus_exchange=exchange,
        signalbus_routing_key=lambda signal: f"paid.{signal.text}",
        signalbus_headers=lambda signal: {"text": signal.text},
        signalbus_body=lambda signal: signal.text.encode(),
    )
    shop.record(paid, "a")
    shop.bus.flushmany()

    ((properties, body),) = broker.take(queue)

    assert (b"a", {"text": "a"}) == (body, properties.headers)
    assert "application/octet-stream" == properties.content_type


def test_a_model_may_say_what_its_body_is(
    shop: Shop, broker: Broker, queue: str
) -> None:
    """The content type is the model's own where it has one."""
    paid = shop.declare(
        signalbus_exchange="",
        signalbus_routing_key=queue,
        signalbus_body=lambda signal: signal.text.encode(),
        signalbus_content_type="text/plain",
    )
    shop.record(paid, "a")
    shop.bus.flushmany()

    assert ["text/plain"] == [each.content_type for each, _ in broker.take(queue)]


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        (None, {"trace": "x", "version": "plugin's"}),
        ({"version": 7}, {"trace": "x", "version": 7}),
    ],
)
def test_plugins_add_headers(
    shop: Shop, broker: Broker, queue: str, own: t.Any, expected: dict[str, t.Any]
) -> None:
    """A model's own headers win over those of plugins."""

    class Tracer:
        @hookimpl
        def signalbus_message_headers(self, signals: t.Any) -> list[dict[str, str]]:
            return [{"trace": each.text, "version": "plugin's"} for each in signals]

    shop.bus.plugin_manager.register(Tracer())
    model = shop.declare(
        signalbus_exchange="", signalbus_routing_key=queue, signalbus_headers=own
    )
    shop.record(model, "x")
    shop.bus.flushmany()

    assert [expected] == [each.headers for each, _ in broker.take(queue)]


def test_headers_may_be_the_same_for_all(
    shop: Shop, broker: Broker, queue: str
) -> None:
    """A dict of headers goes with every message."""
    paid = shop.declare(
        signalbus_exchange="",
        signalbus_routing_key=queue,
        signalbus_headers={"version": 7},
    )
    shop.record(paid, "a", "b")
    shop.bus.flushmany()

    assert [{"version": 7}] * 2 == [each.headers for each, _ in broker.take(queue)]


@pytest.mark.parametrize(
    ("attributes", "culprit"),
    [
        ({"signalbus_routing_key": "key"}, "signalbus_exchange"),
        ({"signalbus_exchange": "x"}, "signalbus_routing_key"),
        ({"signalbus_exchange": 7}, "signalbus_exchange"),
        ({"signalbus_exchange": "x" * 256}, "signalbus_exchange"),
        ({"signalbus_exchange": "", "signalbus_routing_key": 7}, "routing_key"),
        (
            {
                "signalbus_exchange": "",
                "signalbus_routing_key": "",
                "signalbus_headers": ["a"],
            },
            "signalbus_headers",
        ),
        (
            {
                "signalbus_exchange": "",
                "signalbus_routing_key": "",
                "signalbus_body": "a",
            },
            "signalbus_body",
        ),
        (
            {
                "signalbus_exchange": "",
                "signalbus_routing_key": "",
                "signalbus_content_type": b"text/plain",
            },
            "signalbus_content_type",
        ),
    ],
)
def test_misdeclared_models_are_refused(
    shop: Shop, attributes: dict[str, t.Any], culprit: str
) -> None:
    """The error comes before anything is sent, and names model and attribute."""
    shop.declare(**attributes)

    with pytest.raises(SignalModelError, match=f"Paid.*{culprit}"):
        shop.bus.get_signal_models()


def test_a_model_gets_a_good_burst_count(shop: Shop) -> None:
    """A model that declares none gets ours, and nothing is written on its class."""
    address = {"signalbus_exchange": "", "signalbus_routing_key": ""}
    paid = shop.declare(**address)
    sold = shop.declare("Sold", **address, signalbus_burst_count=7)
    shop.bus.get_signal_models()

    counts = [shop.bus.declaration(each).burst_count for each in (paid, sold)]

    assert [1000, 7] == counts
    assert "signalbus_burst_count" not in vars(paid)


def test_a_model_that_sends_itself_does_not_inherit_the_burst_count(shop: Shop) -> None:
    """The count of its base suits RabbitMQ, and not a method of the model's own."""
    paid = shop.declare(
        signalbus_exchange="",
        signalbus_routing_key="",
        __mapper_args__={"polymorphic_on": "text", "polymorphic_identity": "paid"},
    )
    mailed = type(
        "Mailed",
        (paid,),
        {
            "__mapper_args__": {"polymorphic_identity": "mailed"},
            "send_signalbus_message": lambda self: None,
        },
    )
    shop.bus.get_signal_models()

    counts = [shop.bus.declaration(each).burst_count for each in (paid, mailed)]

    assert [1000, 1] == counts


def test_send_methods_come_before_the_broker(shop: Shop) -> None:
    """A model that sends itself is not ours, and need not be declared as ours."""
    sent: list[str] = []
    paid = shop.declare(send_signalbus_message=lambda self: sent.append(self.text))
    shop.record(paid, "a")

    assert 1 == shop.bus.flushmany()
    assert ["a"] == sent


def _declare_with_one_unroutable(
    shop: Shop, queue: str, text: str, **attributes: t.Any
) -> t.Any:
    """Declare a model whose signals go to *queue*, but for the one with *text*."""
    return shop.declare(
        signalbus_exchange="",
        signalbus_routing_key=lambda signal: (
            "no.such.queue" if signal.text == text else queue
        ),
        signalbus_body=lambda signal: signal.text.encode(),
        **attributes,
    )


def test_one_unroutable_signal_of_a_thousand_is_kept(
    shop: Shop, broker: Broker, queue: str
) -> None:
    """999 are confirmed and deleted; one stays, and the error names it."""
    paid = _declare_with_one_unroutable(shop, queue, "500")
    shop.record(paid, *map(str, range(1000)))

    with pytest.raises(ReturnedError, match=r"no\.such\.queue") as caught:
        shop.bus.flushmany()

    assert "Paid(id=501)" in "".join(caught.value.__notes__)
    assert 999 == len(broker.bodies(queue))
    assert ["500"] == shop.pending(paid)


def test_flushordered_sends_nothing_behind_an_unroutable_signal(
    shop: Shop, broker: Broker, queue: str
) -> None:
    """What comes behind a signal that no queue takes must not overtake it."""
    paid = _declare_with_one_unroutable(shop, queue, "c")
    shop.record(paid, *"abcde")

    with pytest.raises(ReturnedError, match=r"no\.such\.queue"):
        shop.bus.flushordered()

    assert [b"a", b"b"] == broker.bodies(queue)
    assert ["c", "d", "e"] == shop.pending(paid)


def test_a_signal_that_makes_no_message_stops_no_other(
    shop: Shop, broker: Broker, queue: str
) -> None:
    """An error in the model's own functions concerns that signal alone."""
    paid = shop.declare(
        signalbus_exchange="",
        signalbus_routing_key=queue,
        signalbus_body=lambda signal: {"a": b"1", "c": b"3"}[signal.text],
    )
    shop.record(paid, "a", "b", "c")

    with pytest.raises(KeyError, match="b"):
        shop.bus.flushmany()

    assert [b"1", b"3"] == broker.bodies(queue)
    assert ["b"] == shop.pending(paid)


def test_without_a_broker_signals_stay(
    open_shop: t.Callable[[str], Shop], free_port: int
) -> None:
    """The error names host and port, models of other brokers go out."""
    shop = open_shop(f"amqp://guest:secret@127.0.0.1:{free_port}/")
    shop.bus.plugin_manager.register(MemoryBroker())
    paid = shop.declare(signalbus_exchange="", signalbus_routing_key="queue")
    sold = shop.declare("Sold", signalbus_broker="memory")
    shop.record(paid, "a", "b")
    shop.record(sold, "c")

    with pytest.raises(BrokerUnavailableError, match=f"127.0.0.1:{free_port}"):
        shop.bus.flushmany()

    assert (["a", "b"], []) == (shop.pending(paid), shop.pending(sold))


def test_without_a_url_signals_stay(open_shop: t.Callable[[str], Shop]) -> None:
    """The setting that is missing is named when there is something to send."""
    shop = open_shop("")
    paid = shop.declare(signalbus_exchange="", signalbus_routing_key="queue")
    shop.record(paid, "a")

    with pytest.raises(BrokerUnavailableError, match="SIGNALBUS_RABBITMQ_URL is not"):
        shop.bus.flushmany()

    assert ["a"] == shop.pending(paid)


@pytest.mark.parametrize("value", ["soon", 0, -1, "nan", "inf", None])
def test_an_impossible_timeout_is_refused(
    new_app: t.Callable[..., Flask], engine_url: str, value: t.Any
) -> None:
    """A configuration that cannot work is an error at start."""
    app = new_app(engine_url, SIGNALBUS_RABBITMQ_TIMEOUT=value)
    with pytest.raises(ValueError, match="SIGNALBUS_RABBITMQ_TIMEOUT is"):
        SignalBus(SQLAlchemy(app))


@pytest.mark.parametrize("typo", ["TIMOUT", "URI", "QUEU", "PREFETCHCOUNT"])
def test_a_misspelled_setting_is_told(
    app: Flask, caplog: pytest.LogCaptureFixture, typo: str
) -> None:
    """The log has the name, and that which was probably meant, and not the value."""
    app.config[f"SIGNALBUS_RABBITMQ_{typo}"] = "s3cret"
    _bus = SignalBus(SQLAlchemy(app))

    (warning,) = caplog.messages
    assert f"'SIGNALBUS_RABBITMQ_{typo}'" in warning
    assert "Did you mean 'SIGNALBUS_RABBITMQ_" in warning
    assert "s3cret" not in warning


@pytest.mark.parametrize(
    "setting",
    [*plugin.SETTINGS, "SIGNALBUS_RABBITMQ2_URL", "SIGNALBUS_RABBITMQ_ORDERS_QUEUE"],
)
def test_settings_of_the_plugin_and_of_other_consumers_are_known(
    app: Flask, caplog: pytest.LogCaptureFixture, setting: str
) -> None:
    """An app chooses the prefixes of its consumers."""
    app.config.setdefault(setting, None if setting.endswith("_URL") else 1)
    _bus = SignalBus(SQLAlchemy(app))

    assert [] == caplog.messages


def test_the_settings_of_a_consumer_are_told_to_the_core() -> None:
    """Those of the default prefix, all of them."""
    own = {
        f"SIGNALBUS_RABBITMQ_{field.name.upper()}"
        for field in dataclasses.fields(Settings)
    }

    assert own - {"SIGNALBUS_RABBITMQ_PARAMETERS"} <= set(plugin.SETTINGS)


def test_signals_of_a_lost_connection_are_sent_by_the_next_flush(
    open_shop: t.Callable[[str], Shop], proxy: Proxy, broker: Broker, queue: str
) -> None:
    """What was confirmed is deleted, the rest stays and is sent when it can be."""
    shop = open_shop(proxy.url)
    paid = shop.declare(
        signalbus_exchange="",
        signalbus_routing_key=queue,
        signalbus_burst_count=BURST,
    )
    shop.record(paid, *map(str, range(BURST)))
    proxy.limit = 100_000
    proxy.acked = proxy.hang_up

    with pytest.raises(SignalBusError, match=proxy.address):
        shop.bus.flushmany()

    left = shop.pending(paid)
    assert 0 < len(left) < BURST
    proxy.limit = None
    proxy.acked = lambda: None
    assert len(left) == shop.bus.flushmany()
    ids = {properties.message_id for properties, _ in broker.take(queue)}
    assert {f"paid:{number + 1}" for number in range(BURST)} == ids


def test_a_deleted_queue_keeps_its_signals(
    shop: Shop, broker: Broker, queue: str
) -> None:
    """They are unroutable until the queue is there again."""
    paid = shop.declare(signalbus_exchange="", signalbus_routing_key=queue)
    shop.record(paid, "a", "b")
    with broker.channel() as channel:
        channel.queue_delete(queue)

    with pytest.raises(ReturnedError, match=queue):
        shop.bus.flushmany()

    with broker.channel() as channel:
        channel.queue_declare(queue, durable=True)
    assert 2 == shop.bus.flushmany()
    assert 2 == len(broker.bodies(queue))


def test_a_publisher_in_a_send_method_loses_nothing(
    shop: Shop, broker: Broker, queue: str
) -> None:
    """Its error says nothing about signals, so they are sent one by one: some twice."""
    publisher = Publisher(shop.app)

    def send(cls: t.Any, signals: t.Sequence[t.Any]) -> None:
        for signal in signals:
            key = queue if signal.text != "bad" else "no.such.queue"
            body = signal.text.encode()
            publisher.publish_messages([Message("", key, body, mandatory=True)])

    paid = shop.declare(
        signalbus_broker=None,
        signalbus_burst_count=10,
        send_signalbus_message=classmethod(lambda cls, signal: send(cls, [signal])),
        send_signalbus_messages=classmethod(send),
    )
    shop.record(paid, "a", "bad", "c")

    with pytest.raises(SignalBusError, match=r"no\.such\.queue"):
        shop.bus.flushmany()

    assert {b"a", b"c"} == set(broker.bodies(queue))
    assert ["bad"] == shop.pending(paid)
    publisher.close()


def test_one_unroutable_signal_with_no_headers_fails_alone(
    shop: Shop, broker: Broker, queue: str
) -> None:
    """Headers of None and {} are the same on the wire, and so is what comes back."""
    paid = _declare_with_one_unroutable(
        shop,
        queue,
        "5",
        signalbus_headers=lambda signal: None if signal.text == "0" else {},
    )
    shop.record(paid, *map(str, range(10)))

    with pytest.raises(ReturnedError, match=r"no\.such\.queue"):
        shop.bus.flushmany()

    assert 9 == len(broker.bodies(queue))
    assert ["5"] == shop.pending(paid)


def test_one_unroutable_signal_with_a_blind_copy_fails_alone(
    shop: Shop, broker: Broker, queue: str
) -> None:
    """RabbitMQ strips the header BCC before it returns the message."""
    paid = _declare_with_one_unroutable(
        shop, queue, "5", signalbus_headers={"BCC": ["no.such.copy"]}
    )
    shop.record(paid, *map(str, range(10)))

    with pytest.raises(ReturnedError, match=r"no\.such\.queue"):
        shop.bus.flushmany()

    assert 9 == len(broker.bodies(queue))
    assert ["5"] == shop.pending(paid)


def test_headers_are_those_that_each_signal_was_given(
    shop: Shop, broker: Broker, queue: str
) -> None:
    """A function may update and return one dict, with dicts and lists in it."""
    headers: dict[str, t.Any] = {"trace": {"path": []}}

    def headers_of(signal: t.Any) -> dict[str, t.Any]:
        headers["tenant"] = signal.text
        headers["trace"]["path"][:] = [signal.text]
        return headers

    paid = shop.declare(
        signalbus_exchange="",
        signalbus_routing_key=queue,
        signalbus_headers=headers_of,
    )
    shop.record(paid, *"12345")
    shop.bus.flushmany()

    assert [{"tenant": each, "trace": {"path": [each]}} for each in "12345"] == [
        properties.headers for properties, _ in broker.take(queue)
    ]


def test_headers_of_returned_signals_are_those_that_were_sent(
    shop: Shop, broker: Broker, queue: str
) -> None:
    """What is sent once more has its own headers, too, whatever came behind it."""
    headers: dict[str, t.Any] = {}

    def headers_of(signal: t.Any) -> dict[str, t.Any]:
        headers["tenant"] = signal.text
        return headers

    exchange = broker.exchange("headers", queue, arguments={"tenant": "3"})
    paid = shop.declare(
        signalbus_exchange=exchange,
        signalbus_routing_key="",
        signalbus_headers=headers_of,
    )
    shop.record(paid, *"12345")

    with pytest.raises(ReturnedError):
        shop.bus.flushmany()

    assert ["1", "2", "4", "5"] == shop.pending(paid)


def test_making_bodies_is_not_the_time_of_the_broker(
    open_shop: t.Callable[..., Shop], broker: Broker, queue: str
) -> None:
    """The timeout is for a broker that does nothing, however long bodies take."""
    shop = open_shop(broker.url, SIGNALBUS_RABBITMQ_TIMEOUT=2)

    def body(signal: t.Any) -> bytes:
        time.sleep(0.4)  # what the test is about
        return t.cast("bytes", signal.text.encode())

    paid = shop.declare(
        signalbus_exchange="", signalbus_routing_key=queue, signalbus_body=body
    )
    shop.record(paid, *"abcdef")

    assert 6 == shop.bus.flushmany()
    assert 6 == len(broker.bodies(queue))


def test_a_slow_line_is_not_a_silent_broker(
    open_shop: t.Callable[..., Shop], proxy: Proxy, broker: Broker, queue: str
) -> None:
    """A large message takes longer than the timeout; it and its neighbours arrive."""
    shop = open_shop(proxy.url, SIGNALBUS_RABBITMQ_TIMEOUT=2)
    proxy.throttle(300_000)
    paid = shop.declare(
        signalbus_exchange="",
        signalbus_routing_key=queue,
        signalbus_body=lambda signal: bytes(int(signal.text)),
    )
    shop.record(paid, *["1"] * 5, "1000000", *["1"] * 5)

    assert 11 == shop.bus.flushmany()
    assert 11 == len(broker.bodies(queue))


def test_one_message_that_is_never_taken_stops_no_other(
    open_shop: t.Callable[..., Shop], proxy: Proxy, broker: Broker, queue: str
) -> None:
    """It is the one that fails: its neighbours, and other models, still go out."""
    shop = open_shop(proxy.url, SIGNALBUS_RABBITMQ_TIMEOUT=2)
    proxy.limit = 100_000
    paid, sold = (
        shop.declare(
            name,
            signalbus_exchange="",
            signalbus_routing_key=queue,
            signalbus_body=lambda signal: bytes(int(signal.text)),
        )
        for name in ("Paid", "Sold")
    )
    shop.record(paid, *["1"] * 20, "200000", *["1"] * 20)
    shop.record(sold, *["2"] * 20)

    with pytest.raises(UnconfirmedError, match=r"200,000 bytes.*answers otherwise"):
        shop.bus.flushmany()

    assert (["200000"], []) == (shop.pending(paid), shop.pending(sold))
    assert 60 == len(broker.bodies(queue))


def test_a_broker_that_confirms_nothing_is_not_the_signals_fault(
    open_shop: t.Callable[..., Shop], proxy: Proxy, queue: str
) -> None:
    """A connection alone proves little: after three tries, it is the broker's fault."""
    shop = open_shop(proxy.url, SIGNALBUS_RABBITMQ_TIMEOUT=2)
    proxy.limit = 5_000
    paid = shop.declare(
        signalbus_exchange="",
        signalbus_routing_key=queue,
        signalbus_body=lambda signal: bytes(20_000),
    )
    shop.record(paid, *"abcdef")

    with pytest.raises(BrokerUnavailableError, match="did not answer in time"):
        shop.bus.flushmany()

    assert 6 == len(shop.pending(paid))
    assert proxy.accepted <= 5


def test_a_broker_that_is_silent_is_given_up_soon(
    open_shop: t.Callable[..., Shop], proxy: Proxy, queue: str
) -> None:
    """Where not even a connection can be made, no signal is to blame."""
    shop = open_shop(proxy.url, SIGNALBUS_RABBITMQ_TIMEOUT=2)
    paid = shop.declare(signalbus_exchange="", signalbus_routing_key=queue)
    shop.record(paid, "a")
    shop.bus.flushmany()
    shop.record(paid, "b")
    proxy.silence()

    with pytest.raises(BrokerUnavailableError, match="took too long to connect"):
        shop.bus.flushmany()

    assert ["b"] == shop.pending(paid)


def test_a_connection_that_is_lost_while_a_body_is_made_is_opened_again(
    open_shop: t.Callable[..., Shop], proxy: Proxy, broker: Broker, queue: str
) -> None:
    """It may happen with every body: a broker hangs up when it gets no heartbeats."""
    shop = open_shop(proxy.url)

    def body(signal: t.Any) -> bytes:
        proxy.cut()
        time.sleep(0.6)  # so long that somebody looks after the connection
        return t.cast("bytes", signal.text.encode())

    paid = shop.declare(
        signalbus_exchange="", signalbus_routing_key=queue, signalbus_body=body
    )
    shop.record(paid, *"abcd")

    assert 4 == shop.bus.flushmany()
    assert [b"a", b"b", b"c", b"d"] == sorted(broker.bodies(queue))


def test_an_error_of_a_body_is_not_the_brokers(
    shop: Shop, broker: Broker, queue: str
) -> None:
    """A model's function that cannot reach something fails for its signal alone."""

    def body(signal: t.Any) -> bytes:
        if signal.text == "b":
            raise ConnectionRefusedError("no disk server")
        return t.cast("bytes", signal.text.encode())

    paid, sold = (
        shop.declare(
            name,
            signalbus_exchange="",
            signalbus_routing_key=queue,
            signalbus_body=body,
        )
        for name in ("Paid", "Sold")
    )
    shop.record(paid, *"abc")
    shop.record(sold, "d")

    with pytest.raises(SignalBusError, match="no disk server") as caught:
        shop.bus.flushmany()

    assert not isinstance(caught.value, OSError)
    assert (["b"], []) == (shop.pending(paid), shop.pending(sold))


def test_a_missing_exchange_does_not_make_all_bodies_at_once(
    shop: Shop, broker: Broker, queue: str
) -> None:
    """A body that cannot be made is a failure of its own, also behind a refusal."""
    paid = shop.declare(
        signalbus_exchange="no.such.exchange",
        signalbus_routing_key=queue,
        signalbus_body=lambda signal: {"a": b"1", "c": b"3"}[signal.text],
    )
    shop.record(paid, "a", "b", "c")

    with pytest.raises(SignalBusError) as caught:
        shop.bus.flushmany()

    notes = "".join(caught.value.__notes__)
    assert "RefusedError" in notes
    assert "KeyError" in notes
    assert ["a", "b", "c"] == shop.pending(paid)


def test_an_outage_is_told_once_and_in_plain_words(
    open_shop: t.Callable[..., Shop], free_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    """One line names the broker and the reason, and neither of them twice."""
    shop = open_shop(f"amqp://guest:secret@127.0.0.1:{free_port}/")
    paid = shop.declare(signalbus_exchange="", signalbus_routing_key="queue")
    shop.record(paid, "a", "b")

    with pytest.raises(BrokerUnavailableError):
        shop.bus.flushmany()

    (line,) = [each.message for each in caplog.records if each.name == "signalbus"]
    assert 1 == line.count(f"127.0.0.1:{free_port}")
    assert 1 == line.count("refused")
    assert "secret" not in line
