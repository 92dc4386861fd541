"""Models with an ordering key, in circumstances that their queues do not expect.

The text of a signal is its key and its number: "a1" is the first signal of the key "a".
"""

from __future__ import annotations

import enum
import typing as t

import pytest
import sqlalchemy as sa
from signalbus import hookimpl

if t.TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import PrimaryKey
    from signalbus.typing import Signal
    from signalbus.typing import SignalModel

METHODS = ["flush", "flushmany", "flushordered"]

every_method = pytest.mark.parametrize("method", METHODS)
every_form = pytest.mark.parametrize("form", ["row", "instance"])

pytestmark = pytest.mark.databases


class Skips:
    """Lets others pass the signals of every model that have certain numbers."""

    def __init__(self) -> None:
        """Begin with none."""
        self.numbers: t.Container[int] = ()

    @hookimpl
    def signalbus_held_back(self) -> t.Any:
        """Return itself."""
        return self

    def among(
        self, connection: sa.Connection, keys: t.Sequence[PrimaryKey]
    ) -> dict[PrimaryKey, bool]:
        """Return those of *keys* that are held back."""
        return {key: False for key in keys if key[0] in self.numbers}


@pytest.fixture
def skips(bus: SignalBus) -> Skips:
    """Register a plugin that holds back what it is told to."""
    skips = Skips()
    bus.plugin_manager.register(skips)
    return skips


@pytest.fixture
def new_event(new_model: t.Any) -> t.Callable[..., SignalModel]:
    """Declare a signal model that is ordered by account."""

    def make(name: str = "Event", **attributes: t.Any) -> SignalModel:
        declared = {
            "account": sa.Column(sa.String(20)),
            "signalbus_ordering_key": "account",
            "signalbus_autoflush": False,
            "signalbus_burst_count": 100,
        }
        return new_model(name, **{**declared, **attributes})

    return make


@pytest.fixture
def post(db: SQLAlchemy) -> t.Callable[..., None]:
    """Make signals pending with ``post(model, *texts)``, numbered from 1 on."""

    def insert(model: SignalModel, *texts: str) -> None:
        db.create_all()
        rows = [{"text": text, "account": text[0]} for text in texts]
        with db.engine.begin() as connection:
            connection.execute(sa.insert(model.__table__), rows)

    return insert


@every_method
def test_signal_behind_many_that_it_may_pass_is_sent(
    bus: SignalBus,
    new_event: t.Any,
    post: t.Any,
    skips: Skips,
    wire: t.Any,
    method: str,
) -> None:
    """However many are parked, those behind them are found, in one run."""
    model = new_event()
    post(model, *(f"a{n}" for n in range(1, 1501)), "b1", "a1501", "a1502", "b2")
    skips.numbers = range(1, 1501)

    assert 4 == getattr(bus, method)([model])
    assert ["a1501", "a1502", "b1", "b2"] == sorted(wire.sent)


def test_flushkeys_sends_a_signal_that_may_pass_those_in_front_of_it(
    bus: SignalBus, new_event: t.Any, post: t.Any, skips: Skips, wire: t.Any
) -> None:
    """What is parked in front of it is not its business."""
    model = new_event()
    post(model, "a1", "a2", "a3", "a4")
    skips.numbers = range(1, 4)

    assert 1 == bus.flushkeys(model, [(4,)])
    assert ["a4"] == wire.sent


@every_method
def test_burst_that_fails_behind_what_it_may_pass_is_sent_one_by_one(
    bus: SignalBus,
    new_event: t.Any,
    post: t.Any,
    skips: Skips,
    wire: t.Any,
    method: str,
) -> None:
    """A burst method that does not say which failed is not called for ever."""

    def send(cls: SignalModel, signals: t.Sequence[Signal]) -> None:
        wire.attempts.append([signal.text for signal in signals])
        if len(wire.attempts) > 9:
            pytest.fail("It does not end.")
        if len(signals) > 1:
            raise ValueError("one of them cannot be sent")
        wire.carry(*signals)

    model = new_event(send_signalbus_messages=classmethod(send))
    post(model, "a1", "b1", "a2", "b2")
    skips.numbers = (1, 2)

    assert 2 == getattr(bus, method)([model])
    assert ["a2", "b2"] == sorted(wire.sent)


class Colour(enum.Enum):
    """Was larger once: there are rows that say ``black``."""

    red = "red"
    blue = "blue"


@every_form
@every_method
def test_unreadable_key_leaves_the_other_keys_alone(
    bus: SignalBus,
    db: SQLAlchemy,
    new_event: t.Any,
    pending: t.Any,
    wire: t.Any,
    form: str,
    method: str,
) -> None:
    """An ordering key whose value the model refuses stops its own queue only."""
    model = new_event(
        form=form,
        colour=sa.Column(sa.Enum(Colour, native_enum=False, length=9)),
        signalbus_ordering_key="colour",
    )
    db.create_all()
    db.session.add_all(
        [model(text=text, colour=Colour.red) for text in ("a1", "b1", "b2", "a2")]
    )
    db.session.commit()
    table = model.__table__
    black = {"colour": sa.literal_column("'black'")}
    with db.engine.begin() as connection:
        connection.execute(sa.update(table).where(table.c.text < "b").values(**black))

    with pytest.raises(LookupError, match="black") as caught:
        getattr(bus, method)([model])

    assert ["b1", "b2"] == wire.sent
    assert ["a1", "a2"] == pending(model)
    assert "Event(id=1)" in "".join(caught.value.__notes__)


@pytest.mark.parametrize("burst_count", [1, 2, 100])
@every_form
@every_method
def test_signal_that_cannot_be_read_is_the_one_that_is_named(
    bus: SignalBus,
    db: SQLAlchemy,
    new_event: t.Any,
    post: t.Any,
    pending: t.Any,
    wire: t.Any,
    form: str,
    method: str,
    burst_count: int,
) -> None:
    """It is not another one, which would have been tried before it."""
    model = new_event(
        form=form,
        colour=sa.Column(sa.Enum(Colour, native_enum=False, length=9)),
        signalbus_burst_count=burst_count,
    )
    model.signalbus_order_by = (model.id.desc(),)
    post(model, "a1", "b1", "c1", "a2", "b2", "c2")
    table = model.__table__
    black = {"colour": sa.literal_column("'black'")}
    with db.engine.begin() as connection:
        connection.execute(sa.update(table).where(table.c.text == "a2").values(**black))

    with pytest.raises(LookupError, match="black") as caught:
        getattr(bus, method)([model])

    assert "Event(id=4) was not sent" in "".join(caught.value.__notes__)
    assert ["a1", "a2"] == pending(model)
    assert ["b1", "b2", "c1", "c2"] == sorted(wire.sent)


@pytest.mark.databases("postgresql", "mariadb")
def test_signal_that_another_has_locked_is_not_the_one_that_cannot_be_read(
    bus: SignalBus,
    db: SQLAlchemy,
    new_event: t.Any,
    post: t.Any,
    held: t.Any,
    wire: t.Any,
) -> None:
    """It was passed over, so it was not read."""
    model = new_event(
        colour=sa.Column(sa.Enum(Colour, native_enum=False, length=9)),
        signalbus_burst_count=1,
    )
    post(model, "a1", "b1", "c1")
    table = model.__table__
    black = {"colour": sa.literal_column("'black'")}
    with db.engine.begin() as connection:
        connection.execute(sa.update(table).where(table.c.text == "b1").values(**black))

    with (
        held(model, "a1"),
        pytest.raises(LookupError, match="black") as caught,
    ):
        bus.flushmany([model])

    assert "Event(id=2) was not sent" in "".join(caught.value.__notes__)
    assert ["c1"] == wire.sent


@every_method
@pytest.mark.parametrize("name", ["sizes", "queues", "order", "a % table"])
def test_table_may_have_any_name(
    bus: SignalBus, new_event: t.Any, post: t.Any, wire: t.Any, name: str, method: str
) -> None:
    """The statements that read queues have no names of their own in its way."""
    model = new_event(__tablename__=name)
    post(model, "a1", "b1", "a2")

    assert 3 == getattr(bus, method)([model])
    assert ["a1", "b1", "a2"] == wire.sent


@every_method
@pytest.mark.parametrize(
    "name",
    [
        "queue",
        "size",
        "part_0",
        "value_0",
        "value_1",
        "key_0_0",
        "older",
        "keys",
        "burst_count",
        "select",
        "100 % (:sure) \"'`",
    ],
)
def test_column_may_have_any_name(
    bus: SignalBus,
    db: SQLAlchemy,
    new_event: t.Any,
    wire: t.Any,
    name: str,
    method: str,
) -> None:
    """The ordering key and the order, too."""
    rank = sa.Column(name + "_", sa.Integer)
    model = new_event(
        account=sa.Column(name, sa.String(9)),
        rank=rank,
        signalbus_order_by=(rank.desc(), (rank > 5).asc()),
    )
    rows = [
        {"text": text, "account": text[0], "rank": int(text[1])}
        for text in ("a2", "b1", "a1", "b2", "a3")
    ]
    db.session.execute(sa.insert(model), rows)
    db.session.commit()

    assert 5 == getattr(bus, method)([model])
    assert ["a3", "a2", "a1"] == [text for text in wire.sent if text < "b"]
    assert ["b2", "b1"] == [text for text in wire.sent if text > "b"]


@every_method
def test_order_may_be_that_of_an_enum(
    bus: SignalBus, db: SQLAlchemy, new_event: t.Any, wire: t.Any, method: str
) -> None:
    """Databases that have enums sort them by rank."""
    urgency = sa.Column(sa.Enum("urgent", "normal", name="urgency"))
    model = new_event(urgency=urgency, signalbus_order_by=(urgency.asc(),))
    rows = [
        {"text": f"{key}{n}", "account": key, "urgency": urgency}
        for key in "abcdefghij"
        for n, urgency in enumerate(("normal", "urgent", "normal", "urgent"), 1)
    ]
    db.session.execute(sa.insert(model), rows)
    db.session.commit()
    select = sa.select(model.text).order_by(model.account, model.urgency, model.id)
    expected = db.session.scalars(select).all()
    db.session.rollback()

    assert 40 == getattr(bus, method)([model])
    assert expected == sorted(wire.sent, key=lambda text: text[0])


@every_method
def test_primary_key_may_have_an_enum(
    bus: SignalBus, db: SQLAlchemy, new_event: t.Any, wire: t.Any, method: str
) -> None:
    """Its order is that of the database, as without an ordering key."""
    model = new_event(
        id=sa.Column(sa.Enum("urgent", "normal", name="urgency"), primary_key=True),
        number=sa.Column(sa.Integer, primary_key=True, autoincrement=False),
    )
    rows = [
        {"text": f"{key}{urgency}", "account": key, "id": urgency, "number": number}
        for number, key in enumerate("abcdefghij")
        for urgency in ("normal", "urgent")
    ]
    db.session.execute(sa.insert(model), rows)
    db.session.commit()
    select = sa.select(model.text).order_by(model.account, model.id)
    expected = db.session.scalars(select).all()
    db.session.rollback()

    assert 20 == getattr(bus, method)([model])
    assert expected == sorted(wire.sent, key=lambda text: text[0])


def test_autoflush_of_what_is_gone_sends_no_other_key(
    bus: SignalBus, new_event: t.Any, db: SQLAlchemy, post: t.Any, wire: t.Any
) -> None:
    """A signal that another has sent meanwhile has no key, not even null."""
    model = new_event(signalbus_autoflush=True)
    with db.engine.begin() as connection:
        connection.execute(sa.insert(model), [{"text": "-1"}, {"text": "-2"}])

    @sa.event.listens_for(db.session, "after_commit")
    def steal(session: object) -> None:
        with db.engine.begin() as connection:
            table = model.__table__
            connection.execute(sa.delete(table).where(table.c.text == "a1"))

    db.session.add(model(text="a1", account="a"))
    db.session.commit()

    assert [] == wire.sent


def test_flushkeys_takes_keys_as_the_application_has_set_them(
    bus: SignalBus, db: SQLAlchemy, new_event: t.Any, wire: t.Any
) -> None:
    """PostgreSQL pads a CHAR with blanks."""
    model = new_event(id=sa.Column(sa.CHAR(9), primary_key=True))
    rows = [{"id": f"key{n}", "text": f"a{n}", "account": "a"} for n in range(1, 5)]
    db.session.execute(sa.insert(model), rows)
    db.session.commit()

    assert 0 == bus.flushkeys(model, [("key2",)])
    assert 2 == bus.flushkeys(model, [("key2",), ("key1",)])
    assert ["a1", "a2"] == wire.sent
