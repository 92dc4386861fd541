"""A person lists failed signals, and replays, parks or discards them."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import typing as t
import uuid

import pytest
import sqlalchemy as sa
from signalbus import SignalModelError
from signalbus_retry import Failure
from signalbus_retry import Park
from signalbus_retry import discard
from signalbus_retry import failures
from signalbus_retry import park
from signalbus_retry import replay
from sqlalchemy.dialects import mysql

if t.TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import SignalModel


@dataclasses.dataclass(frozen=True)
class Money:
    """A type of the application's own."""

    cents: int


class MoneyType(sa.TypeDecorator[Money]):
    """How the database keeps money."""

    impl = sa.Integer
    cache_ok = True

    def process_bind_param(self, value: Money | None, dialect: object) -> int | None:
        """Return what is kept."""
        return value and value.cents

    def process_result_value(self, value: int | None, dialect: object) -> Money | None:
        """Return what was kept."""
        return None if value is None else Money(value)


class Color(enum.Enum):
    """A type of keys."""

    RED = "r"
    BLUE = "b"


_BYTES = sa.LargeBinary(16).with_variant(mysql.VARBINARY(16), "mysql", "mariadb")

#: Types of keys, each with two values, the first of which fails.
KEYS: dict[str, tuple[t.Any, list[t.Any]]] = {
    "integer": (sa.BigInteger, [2**62, -1]),
    "string": (sa.String(40), ['O\'Hara, "a\\b" é 🔥', "other"]),
    "UUID": (sa.Uuid, [uuid.UUID(int=7), uuid.UUID(int=8)]),
    "decimal": (
        sa.Numeric(20, 4),
        [decimal.Decimal("12345678901.2340"), decimal.Decimal("1.5000")],
    ),
    "date": (sa.Date, [dt.date(2024, 2, 29), dt.date(2024, 3, 1)]),
    "datetime": (
        sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb"),
        [dt.datetime(2024, 2, 29, 1, 2, 3, 4), dt.datetime(2024, 3, 1)],  # noqa: DTZ001 the column is naive
    ),
    "enum": (sa.Enum(Color, name="color"), [Color.RED, Color.BLUE]),
    "bytes": (_BYTES, [b"\x00\xff\"'\\", b"other"]),
    "boolean": (sa.Boolean, [True, False]),
    "long": (sa.String(700), ["x" * 700, "x" * 699 + "y"]),
    "padded": (sa.String(40), ["a ", " a"]),
    "empty": (sa.String(40), ["", "0"]),
    "time": (sa.Time, [dt.time(1, 2, 3), dt.time(0)]),
    "float": (sa.Double, [0.1, 1e300]),
    "own": (MoneyType, [Money(7), Money(8)]),
}


@pytest.fixture
def keyed(new_model: t.Any) -> t.Callable[[str], tuple[SignalModel, list[t.Any]]]:
    """Declare a model with a type of keys, and return it with two of them."""

    def make(kind: str) -> tuple[SignalModel, list[t.Any]]:
        if kind == "composite":
            region = sa.Column(sa.String(10), primary_key=True)
            number = sa.Column(sa.Integer, primary_key=True, autoincrement=False)
            columns = {"id": region, "number": number}
            return new_model(**columns), [("north", 7), ("north", 8)]
        column, values = KEYS[kind]
        primary_key = {"primary_key": True, "autoincrement": False}
        if not isinstance(column, type) or column is not sa.BigInteger:
            primary_key.pop("autoincrement")
        model = new_model(id=sa.Column(column, **primary_key))
        return model, [(value,) for value in values]

    return make


@pytest.fixture
def insert(db: SQLAlchemy) -> t.Callable[..., None]:
    """Make signals pending whose keys and texts are given."""

    def execute(model: t.Any, **texts: t.Any) -> None:
        names = [column.name for column in model.__table__.primary_key]
        rows = [
            {**dict(zip(names, key, strict=True)), "text": text}
            for text, key in texts.items()
        ]
        with db.engine.begin() as connection:
            connection.execute(sa.insert(model.__table__), rows)

    return execute


every_key = pytest.mark.parametrize("kind", ["composite", *KEYS])


@pytest.mark.databases
@every_key
def test_failure_has_the_key_of_its_signal(
    keyed: t.Any, insert: t.Any, boom: t.Any, run: t.Any, failed: t.Any, kind: str
) -> None:
    """With the types of Python that its model has."""
    model, (key, other) = keyed(kind)
    insert(model, bad=key, good=other)
    run()
    (failure,) = failed()

    assert key == failure.key
    assert [*map(type, key)] == [*map(type, failure.key)]
    assert [failure] == failed(keys=[key])
    assert [] == failed(keys=[other])


@pytest.mark.databases
@every_key
def test_signal_of_any_key_waits_and_is_sent(
    bus: SignalBus,
    keyed: t.Any,
    insert: t.Any,
    boom: t.Any,
    wire: t.Any,
    run: t.Any,
    due: t.Any,
    entries: t.Any,
    kind: str,
) -> None:
    """Its entry is found again, whatever the key is."""
    model, (key, other) = keyed(kind)
    insert(model, bad=key, good=other)
    run()

    assert 0 == bus.flush()

    due()
    wire.failures.clear()

    assert 1 == bus.flush()
    assert [] == entries()


@pytest.mark.databases
@every_key
def test_signal_of_any_key_is_replayed(
    bus: SignalBus,
    keyed: t.Any,
    insert: t.Any,
    wire: t.Any,
    run: t.Any,
    entries: t.Any,
    kind: str,
) -> None:
    """By its key, and no other one."""
    wire.failures = {"bad": Park(), "worse": Park()}
    model, (key, other) = keyed(kind)
    insert(model, bad=key, worse=other)
    run()

    assert 1 == replay(bus, [model], keys=[key])
    assert 1 == len(entries())

    wire.failures.clear()

    assert 1 == bus.flush()
    assert ["bad"] == wire.sent


@pytest.mark.databases
@every_key
def test_signal_of_any_key_is_parked(
    bus: SignalBus,
    keyed: t.Any,
    insert: t.Any,
    wire: t.Any,
    failed: t.Any,
    kind: str,
) -> None:
    """By its key, and no other one."""
    model, (key, other) = keyed(kind)
    insert(model, bad=key, good=other)

    assert 1 == park(bus, model, [key])
    assert [key] == [each.key for each in failed(parked=True)]
    assert 1 == bus.flush()
    assert ["good"] == wire.sent


@pytest.mark.databases
@every_key
def test_signal_of_any_key_is_discarded(
    bus: SignalBus,
    keyed: t.Any,
    insert: t.Any,
    wire: t.Any,
    run: t.Any,
    failed: t.Any,
    pending: t.Any,
    kind: str,
) -> None:
    """By its key, and no other one."""
    wire.failures = {"bad": Park(), "worse": Park()}
    model, (key, other) = keyed(kind)
    insert(model, bad=key, worse=other)
    run()

    assert 1 == discard(bus, [model], keys=[key])
    assert ["worse"] == pending(model)
    assert [other] == [each.key for each in failed()]


@pytest.mark.databases
def test_keys_that_look_alike_are_told_apart(
    bus: SignalBus, new_model: t.Any, insert: t.Any, wire: t.Any, run: t.Any
) -> None:
    """Parts of a key are not glued together, and case counts where the database's."""
    columns = {
        name: sa.Column(sa.String(10), primary_key=True) for name in ("id", "part")
    }
    wire.failures = dict.fromkeys(("x", "y"), Park())
    insert(new_model(**columns), x=("a,b", "c"), y=("a", "b,c"))
    run()

    assert [("a", "b,c")] == [each.key for each in failures(bus, keys=[("a", "b,c")])]


def test_failure_tells_all(
    greeting: SignalModel, record: t.Any, boom: t.Any, run: t.Any, failed: t.Any
) -> None:
    """What failed, how often, when, and why; times are in UTC, and know it."""
    record(greeting, "bad")
    run()
    (failure,) = failed()

    assert isinstance(failure, Failure)
    assert (greeting, (1,), 1) == (failure.model, failure.key, failure.attempts)
    assert ("ValueError", "boom") == (failure.error_type, failure.error_text)
    assert "ValueError: boom" == failure.error
    assert not failure.is_parked


#: How to live elsewhere, by database.
TOKYO = {
    "sqlite": "SELECT 1",
    "postgresql": "SET timezone = 'Asia/Tokyo'",
    "mariadb": "SET time_zone = '+09:00'",
}


@pytest.fixture
def move_to_tokyo(db: SQLAlchemy, database: str) -> t.Callable[[], None]:
    """Give all connections another time zone from now on."""

    def move(connection: t.Any, *_: object) -> None:
        cursor = connection.cursor()
        cursor.execute(TOKYO[database])
        cursor.close()

    return lambda: sa.event.listen(db.engine, "checkout", move)


@pytest.mark.databases
def test_times_are_utc(
    greeting: SignalModel,
    record: t.Any,
    boom: t.Any,
    run: t.Any,
    failed: t.Any,
    move_to_tokyo: t.Any,
) -> None:
    """Whatever the time zone of the connection is."""
    move_to_tokyo()
    before = dt.datetime.now(dt.timezone.utc)
    record(greeting, "bad")
    run()
    after = dt.datetime.now(dt.timezone.utc)
    (failure,) = failed()
    second = dt.timedelta(seconds=1)

    assert dt.timedelta(0) == failure.last_failed_at.utcoffset()
    assert before - second <= failure.first_failed_at <= after + second
    assert before + 99 * second <= failure.next_attempt_at <= after + 101 * second


@pytest.mark.databases
def test_connections_of_all_time_zones_agree(
    bus: SignalBus,
    greeting: SignalModel,
    record: t.Any,
    boom: t.Any,
    run: t.Any,
    failed: t.Any,
    move_to_tokyo: t.Any,
) -> None:
    """What waits for one process waits for all, and no longer."""
    record(greeting, "bad")
    run()
    before = failed()
    move_to_tokyo()

    assert 0 == bus.flush()
    assert before == failed()


@pytest.fixture
def zoo(new_model: t.Any, record: t.Any, wire: t.Any, run: t.Any) -> t.Any:
    """Give two models whose signals have failed, and some that are healthy."""
    wire.failures = {
        "bad": ValueError("boom"),
        "worse": Park("No such customer"),
        "odd": LookupError("BOOM 100%"),
    }
    a, b = new_model("A"), new_model("B")
    record(a, "bad", "worse", "odd")
    record(b, "bad")
    run()
    record(a, "healthy")
    return a, b


#: Conditions, and the signals that they choose.
CONDITIONS: list[tuple[dict[str, t.Any], list[str]]] = [
    ({}, ["A1", "A2", "A3", "B1"]),
    ({"parked": True}, ["A2"]),
    ({"parked": False}, ["A1", "A3", "B1"]),
    ({"error": "boom"}, ["A1", "A3", "B1"]),
    ({"error": "BOOM"}, ["A1", "A3", "B1"]),
    ({"error": "valueerror: b"}, ["A1", "B1"]),
    ({"error": "100%"}, ["A3"]),
    ({"error": "1%0"}, []),
    ({"error": "b__m"}, []),
    ({"error": "customer", "parked": False}, []),
    ({"keys": [(1,)]}, ["A1", "B1"]),
    ({"keys": [(1,), (2,), (1,), (99,)]}, ["A1", "A2", "B1"]),
    ({"keys": []}, []),
    ({"keys": [(4,)]}, []),
    ({"keys": [(1,), (2,)], "error": "park"}, ["A2"]),
]


def _names(found: t.Iterable[Failure]) -> list[str]:
    return sorted(f"{each.model.__name__}{each.key[0]}" for each in found)


@pytest.mark.databases
@pytest.mark.parametrize(("conditions", "chosen"), CONDITIONS)
def test_failures_are_chosen(
    bus: SignalBus, zoo: t.Any, conditions: dict[str, t.Any], chosen: list[str]
) -> None:
    """By key, by a part of the error, by what is to come, or by all of them."""
    assert chosen == _names(failures(bus, **conditions))


@pytest.mark.databases
@pytest.mark.parametrize(("conditions", "chosen"), CONDITIONS)
def test_chosen_signals_are_replayed(
    bus: SignalBus, zoo: t.Any, conditions: dict[str, t.Any], chosen: list[str]
) -> None:
    """Those, and no others; the answer is how many."""
    every = _names(failures(bus))

    assert len(chosen) == replay(bus, **conditions)
    assert [name for name in every if name not in chosen] == _names(failures(bus))


@pytest.mark.databases
@pytest.mark.parametrize(("conditions", "chosen"), CONDITIONS)
def test_chosen_signals_are_discarded(
    bus: SignalBus,
    zoo: t.Any,
    pending: t.Any,
    conditions: dict[str, t.Any],
    chosen: list[str],
) -> None:
    """Those, and no others; a signal that has not failed stays whatever is asked."""
    every = _names(failures(bus))
    a, b = zoo

    assert len(chosen) == discard(bus, **conditions)
    assert [name for name in every if name not in chosen] == _names(failures(bus))
    assert len(every) + 1 - len(chosen) == len(pending(a)) + len(pending(b))
    assert "healthy" in pending(a)


@pytest.mark.parametrize("operation", [failures, replay, discard])
def test_models_restrict(bus: SignalBus, zoo: t.Any, operation: t.Any) -> None:
    """Only the signals of these models are looked at; of none, none."""
    _, b = zoo
    found = operation(bus, [b])

    assert 1 == (found if isinstance(found, int) else len(list(found)))

    none = operation(bus, [])

    assert 0 == (none if isinstance(none, int) else len(list(none)))


@pytest.mark.parametrize("operation", [failures, replay, discard])
def test_other_models_are_refused(
    bus: SignalBus, db: SQLAlchemy, greeting: t.Any, operation: t.Any
) -> None:
    """A model that is not a signal model is an error that names it."""

    class Plain(db.Model):
        id = sa.Column(sa.Integer, primary_key=True)

    with pytest.raises(SignalModelError, match="Plain"):
        list(operation(bus, [Plain]))
    with pytest.raises(SignalModelError, match="Plain"):
        park(bus, Plain, [(1,)])


@pytest.mark.databases
@pytest.mark.parametrize("fate", ["waits", "parked"])
def test_replayed_signal_is_pending_as_new(
    bus: SignalBus,
    greeting: t.Any,
    record: t.Any,
    wire: t.Any,
    boom: t.Any,
    run: t.Any,
    due: t.Any,
    attempts: t.Any,
    fate: str,
) -> None:
    """Its failure is forgotten, it is tried at once, and its attempts start anew."""
    record(greeting, "bad")
    for _ in range(2 if fate == "waits" else 5):
        run()
        due()
    (before,) = attempts().values()

    assert fate == before[1]
    assert 1 == replay(bus)
    assert {} == attempts()

    run()

    assert {1: (1, "waits")} == attempts()


def test_nothing_to_do_is_nothing_done(bus: SignalBus, greeting: t.Any) -> None:
    """Where nothing has failed, nothing is found."""
    assert [] == list(failures(bus))
    assert 0 == replay(bus)
    assert 0 == discard(bus)
    assert 0 == park(bus, greeting, [])
    assert 0 == park(bus, greeting, [(1,)])


@pytest.mark.databases
def test_parking_takes_any_pending_signal(
    bus: SignalBus,
    greeting: t.Any,
    record: t.Any,
    boom: t.Any,
    wire: t.Any,
    run: t.Any,
    failed: t.Any,
) -> None:
    """Whether it has failed or not; what does not exist is not counted."""
    record(greeting, "bad")
    run()
    record(greeting, "a", "b")

    assert 2 == park(bus, greeting, [(1,), (2,), (2,), (99,)], "The shop is shut")
    assert [((1,), 1), ((2,), 0)] == [
        (each.key, each.attempts) for each in failed(parked=True)
    ]

    wire.failures.clear()

    assert 1 == bus.flush()
    assert ["b"] == wire.sent


@pytest.mark.databases
def test_parked_signal_tells_the_reason(
    bus: SignalBus, greeting: t.Any, record: t.Any, failed: t.Any
) -> None:
    """What a person gave as the reason is part of the error, and can be looked for."""
    record(greeting, "a")
    park(bus, greeting, [(1,)], "ticket 4711")

    assert "ticket 4711" in failed(error="TICKET 4711")[0].error


def test_parking_twice_is_parking_once(
    bus: SignalBus, greeting: t.Any, record: t.Any, failed: t.Any
) -> None:
    """It does no harm, and is still one failure."""
    record(greeting, "a")
    park(bus, greeting, [(1,)])
    park(bus, greeting, [(1,)])

    assert [True] == [each.is_parked for each in failed()]


@pytest.mark.databases
def test_signal_parked_by_a_person_is_replayed(
    bus: SignalBus, greeting: t.Any, record: t.Any, wire: t.Any
) -> None:
    """Like any other."""
    record(greeting, "a")
    park(bus, greeting, [(1,)])

    assert 0 == bus.flush()
    assert 1 == replay(bus, [greeting], keys=[(1,)], parked=True)
    assert 1 == bus.flush()


@pytest.mark.databases
@pytest.mark.parametrize("form", ["instance", "row"])
def test_discard_shows_what_it_deletes(
    bus: SignalBus, new_model: t.Any, record: t.Any, boom: t.Any, run: t.Any, form: str
) -> None:
    """Before it is deleted: the failure, and the columns by attribute."""
    model = new_model(
        form=form, renamed=sa.Column("other", sa.Integer, server_default="7")
    )
    record(model, "bad")
    run()
    (failure,) = failures(bus)
    shown = []

    assert 1 == discard(bus, before=lambda *both: shown.append(both))
    assert [(failure, {"id": 1, "text": "bad", "renamed": 7})] == shown


@pytest.mark.databases
def test_discard_that_is_interrupted_deletes_nothing(
    bus: SignalBus,
    greeting: t.Any,
    record: t.Any,
    boom: t.Any,
    run: t.Any,
    pending: t.Any,
    failed: t.Any,
) -> None:
    """A row and its entry are deleted in one transaction, or neither is."""
    record(greeting, "bad")
    run()

    def fail(*_: object) -> None:
        raise KeyError("The disk is full")

    with pytest.raises(KeyError, match="disk"):
        discard(bus, before=fail)

    assert ["bad"] == pending(greeting)
    assert 1 == len(failed())


@pytest.mark.databases
def test_discard_deletes_as_a_flush_does(
    bus: SignalBus, db: SQLAlchemy, new_model: t.Any, boom: t.Any, run: t.Any
) -> None:
    """The session's listeners and cascades see what is deleted."""
    seen = []
    model = new_model(form="instance", signalbus_autoflush=False)
    sa.event.listen(model, "before_delete", lambda *each: seen.append(each[2].text))
    db.session.add(model(text="bad"))
    db.session.commit()
    run()

    assert 1 == discard(bus)
    assert ["bad"] == seen


@pytest.fixture
def child(db: SQLAlchemy, new_model: t.Any, wire: t.Any) -> SignalModel:
    """Declare a model whose signals are rows of two tables."""

    class Parent(db.Model):
        id = sa.Column(sa.Integer, primary_key=True)
        kind = sa.Column(sa.String(10))
        text = sa.Column(sa.String(50))
        __mapper_args__: t.ClassVar[dict[str, t.Any]] = {"polymorphic_on": kind}

    class Child(Parent):
        id = sa.Column(sa.ForeignKey(Parent.id), primary_key=True)
        more = sa.Column(sa.Integer)
        signalbus_autoflush = False
        signalbus_retry: t.ClassVar[dict[str, t.Any]] = {"first_delay": 100}
        __mapper_args__: t.ClassVar[dict[str, t.Any]] = {"polymorphic_identity": "c"}

        def send_signalbus_message(self) -> None:
            wire.carry(self)

    db.create_all()
    return Child


@pytest.mark.databases
@pytest.mark.parametrize("operation", [replay, discard])
def test_signal_of_two_tables_is_handled(
    bus: SignalBus,
    db: SQLAlchemy,
    child: t.Any,
    boom: t.Any,
    run: t.Any,
    failed: t.Any,
    operation: t.Any,
) -> None:
    """A model that inherits has failures like any other."""
    db.session.add(child(id=7, text="bad", more=1))
    db.session.commit()
    run()

    assert [(child, (7,))] == [(each.model, each.key) for each in failed()]
    assert 0 == bus.flush()
    assert 1 == operation(bus, [child], keys=[(7,)])
    assert [] == failed()
    assert {child: int(operation is replay)} == bus.count_pending()


@pytest.mark.databases
def test_thousands_are_handled(
    bus: SignalBus,
    new_model: t.Any,
    record: t.Any,
    wire: t.Any,
    run: t.Any,
    pending: t.Any,
) -> None:
    """However many failures there are."""
    texts = [str(number) for number in range(2500)]
    wire.failures = dict.fromkeys(texts, Park())
    model = new_model(form="partial", signalbus_burst_count=1000)
    record(model, *texts)
    run()

    assert 2500 == len({each.key for each in failures(bus)})
    assert 1200 == replay(bus, keys=[(number,) for number in range(1, 1201)])
    assert 1200 == park(bus, model, [(number,) for number in range(1, 1201)])
    assert 2500 == discard(bus)
    assert [] == pending(model)


def test_failures_may_be_changed_while_they_are_listed(
    bus: SignalBus, greeting: t.Any, record: t.Any, wire: t.Any, run: t.Any
) -> None:
    """The list holds no lock."""
    texts = [str(number) for number in range(20)]
    wire.failures = dict.fromkeys(texts, ValueError("boom"))
    record(greeting, *texts)
    run()
    for failure in failures(bus):
        assert 1 == replay(bus, [greeting], keys=[failure.key])

    assert [] == list(failures(bus))


@pytest.mark.databases
def test_session_of_the_application_is_left_alone(
    bus: SignalBus, db: SQLAlchemy, zoo: t.Any
) -> None:
    """What it has not committed is neither committed nor lost."""
    a, _ = zoo
    mine = a(text="mine")
    db.session.add(mine)
    park(bus, a, [(4,)])
    replay(bus, [a], keys=[(1,)])
    discard(bus, parked=True)
    list(failures(bus))

    assert [mine] == list(db.session.new)


@pytest.mark.databases
def test_replay_lets_an_ordered_model_go_on(
    bus: SignalBus, greeting: t.Any, record: t.Any, wire: t.Any, run: t.Any
) -> None:
    """What a parked signal held back follows it."""
    wire.failures["bad"] = Park()
    record(greeting, "bad", "a")
    run("flushordered")
    wire.failures.clear()
    replay(bus)

    assert 2 == bus.flushordered()
    assert ["bad", "a"] == wire.sent


@pytest.mark.databases
def test_discard_lets_an_ordered_model_go_on(
    bus: SignalBus, greeting: t.Any, record: t.Any, wire: t.Any, run: t.Any
) -> None:
    """So does one that is gone."""
    wire.failures["bad"] = Park()
    record(greeting, "bad", "a")
    run("flushordered")
    discard(bus)

    assert 1 == bus.flushordered()
    assert ["a"] == wire.sent


@pytest.mark.databases
def test_any_number_of_keys_may_be_given(
    bus: SignalBus, greeting: t.Any, record: t.Any, boom: t.Any, run: t.Any
) -> None:
    """More than a statement takes parameters; what does not exist is left out."""
    record(greeting, "bad", "bad", "bad")
    run()
    keys = [(number,) for number in range(1, 70_001)]

    assert 3 == len(list(failures(bus, keys=keys)))
    assert 3 == park(bus, greeting, keys)
    assert 3 == replay(bus, keys=keys)
    assert 0 == discard(bus, keys=keys)


@pytest.mark.databases("postgresql")
def test_key_that_is_a_moment_is_the_same_in_all_time_zones(
    bus: SignalBus,
    db: SQLAlchemy,
    new_model: t.Any,
    insert: t.Any,
    boom: t.Any,
    run: t.Any,
    wire: t.Any,
    move_to_tokyo: t.Any,
) -> None:
    """The database returns it with the time zone of the connection."""
    moment = dt.datetime(2024, 1, 1, tzinfo=dt.timezone.utc)
    model = new_model(id=sa.Column(sa.DateTime(timezone=True), primary_key=True))
    insert(model, bad=(moment,))
    run()
    move_to_tokyo()

    assert 0 == bus.flush()
    assert 1 == wire.tries("bad")
    assert 1 == replay(bus, keys=[(moment,)])
