"""A failed signal holds back its ordering key until it is sent, or given up.

The text of a signal is its key and its number: "a1" is the first signal of the key "a".
"""

from __future__ import annotations

import typing as t

import pytest
import sqlalchemy as sa
from signalbus import BrokerUnavailableError
from signalbus_retry import Park
from signalbus_retry import RetryLater
from signalbus_retry import discard
from signalbus_retry import park
from signalbus_retry import replay

if t.TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import SignalModel

WAYS = ["flush", "flushmany", "flushordered"]
FORMS = ["instance", "row", "burst", "partial", "broker"]

#: Each way with each form, half of them in bursts of one.
COMBINATIONS = [
    (way, form, [1, 10][(row + column) % 2])
    for row, way in enumerate(WAYS)
    for column, form in enumerate(FORMS)
]

every_way = pytest.mark.parametrize("way", WAYS)
every_form = pytest.mark.parametrize("form", FORMS)
every_combination = pytest.mark.parametrize(("way", "form", "count"), COMBINATIONS)
every_autoflush = pytest.mark.parametrize("autoflush", [True, "background"])


def texts_of(keys: str, count: int) -> list[str]:
    """Return the texts of *count* signals of each key."""
    return [f"{key}{number}" for number in range(1, count + 1) for key in keys]


def by_key(texts: t.Iterable[str]) -> dict[str, list[str]]:
    """Return the *texts* of each key, in their order."""
    found: dict[str, list[str]] = {}
    for text in texts:
        found.setdefault(text[0], []).append(text)
    return found


@pytest.fixture
def new_event(new_model: t.Any) -> t.Callable[..., SignalModel]:
    """Declare a signal model that is ordered by account."""

    def make(**attributes: t.Any) -> SignalModel:
        declared = {
            "account": sa.Column(sa.String(20)),
            "signalbus_ordering_key": "account",
            "signalbus_burst_count": 10,
        }
        return new_model("Event", **{**declared, **attributes})

    return make


@pytest.fixture
def post(db: SQLAlchemy) -> t.Callable[..., None]:
    """Make signals pending with ``post(model, *texts)``, past any session.

    The key of a text that begins with "-" is null.
    """

    def insert(model: SignalModel, *texts: str) -> None:
        with db.engine.begin() as connection:
            for text in texts:
                account = None if text[0] == "-" else text[0]
                values = {"text": text, "account": account}
                connection.execute(sa.insert(model.__table__).values(values))

    return insert


@pytest.fixture
def commit(db: SQLAlchemy, bus: SignalBus) -> t.Callable[..., None]:
    """Record signals in one transaction, and wait until autoflush is done with it."""

    def record_and_commit(model: SignalModel, *texts: str) -> None:
        db.session.add_all([model(text=text, account=text[0]) for text in texts])
        db.session.commit()
        assert bus.drain_autoflush(60)

    return record_and_commit


@pytest.fixture
def stuck(new_event: t.Any, post: t.Any, run: t.Any, wire: t.Any) -> SignalModel:
    """Let the first of three signals of the key "a" be parked; those of "b" are sent.

    From now on, all of them can be sent.
    """
    model = new_event()
    post(model, *texts_of("ab", 3))
    wire.failures["a1"] = Park()
    run()
    wire.failures.clear()
    assert ["b1", "b2", "b3"] == wire.sent
    wire.sent.clear()
    return model


# A signal that waits


@pytest.mark.databases
@every_combination
def test_waiting_signal_holds_back_its_key(
    bus: SignalBus,
    new_event: t.Any,
    post: t.Any,
    run: t.Any,
    wire: t.Any,
    attempts: t.Any,
    way: str,
    form: str,
    count: int,
) -> None:
    """In the run in which it fails, and in those that follow; other keys go on."""
    model = new_event(form=form, signalbus_burst_count=count)
    post(model, *texts_of("abc", 3))
    wire.failures["a2"] = ValueError("boom")
    run(way)
    wire.failures.clear()
    post(model, "a4", "b4")

    assert 1 == getattr(bus, way)()
    assert by_key(["a1", *texts_of("bc", 3), "b4"]) == by_key(wire.sent)
    assert {4: (1, "waits")} == attempts()
    assert 0 == sum("a3" in call for call in wire.attempts)


@pytest.mark.databases
@every_combination
def test_key_goes_on_when_its_signal_is_due(
    new_event: t.Any,
    post: t.Any,
    run: t.Any,
    due: t.Any,
    wire: t.Any,
    pending: t.Any,
    way: str,
    form: str,
    count: int,
) -> None:
    """The signal goes first, and the others follow in the same run."""
    model = new_event(form=form, signalbus_burst_count=count)
    post(model, *texts_of("ab", 3))
    wire.failures["a1"] = ValueError("boom")
    run(way)
    wire.failures.clear()
    due()

    assert 3 == run(way)
    assert by_key(texts_of("ab", 3)) == by_key(wire.sent)
    assert [] == pending(model)


@pytest.mark.databases
@every_way
def test_signal_that_fails_again_holds_back_its_key_again(
    bus: SignalBus,
    new_event: t.Any,
    post: t.Any,
    run: t.Any,
    due: t.Any,
    wire: t.Any,
    attempts: t.Any,
    way: str,
) -> None:
    """Only its own attempts are counted."""
    model = new_event()
    post(model, *texts_of("a", 3))
    wire.failures["a1"] = ValueError("boom")
    run(way)
    due()
    run(way)

    assert 0 == getattr(bus, way)()
    assert [["a1"], ["a1"]] == wire.attempts
    assert {1: (2, "waits")} == attempts()


@pytest.mark.databases
def test_null_is_held_back_like_any_key(
    bus: SignalBus, new_event: t.Any, post: t.Any, run: t.Any, wire: t.Any
) -> None:
    """Signals without a value wait for each other, and nobody waits for them."""
    model = new_event()
    post(model, *texts_of("-a", 2))
    wire.failures["-1"] = ValueError("boom")
    run()
    post(model, "a3")

    assert 1 == bus.flushmany()
    assert ["a1", "a2", "a3"] == wire.sent


@pytest.mark.databases
@every_way
def test_tuple_is_held_back_as_one(
    bus: SignalBus,
    new_event: t.Any,
    db: SQLAlchemy,
    run: t.Any,
    wire: t.Any,
    way: str,
) -> None:
    """A signal that shares only one of two values is not held back."""
    model = new_event(
        region=sa.Column(sa.Integer), signalbus_ordering_key=("region", "account")
    )
    regions = {"a1": 1, "a2": None, "a3": 1, "b4": 1, "a5": None}
    with db.engine.begin() as connection:
        for text, region in regions.items():
            values = {"text": text, "account": text[0], "region": region}
            connection.execute(sa.insert(model.__table__).values(values))
    wire.failures["a1"] = ValueError("boom")
    run(way)

    assert 0 == getattr(bus, way)()
    assert ["a2", "a5", "b4"] == sorted(wire.sent)


@pytest.mark.databases
def test_signal_that_asks_for_later_holds_back_its_key(
    bus: SignalBus, new_event: t.Any, post: t.Any, run: t.Any, wire: t.Any
) -> None:
    """It makes no difference that its attempt is not counted."""
    model = new_event()
    post(model, *texts_of("ab", 2))
    wire.failures["a1"] = RetryLater(3600)
    run()

    assert 0 == bus.flushmany()
    assert ["b1", "b2"] == wire.sent


@pytest.mark.databases
def test_outage_holds_back_nothing(
    bus: SignalBus, new_event: t.Any, post: t.Any, run: t.Any, wire: t.Any
) -> None:
    """A broker that is down costs no attempts, so everything goes when it is back."""
    model = new_event()
    post(model, *texts_of("ab", 2))
    wire.failures["a1"] = BrokerUnavailableError("gone")
    run()
    wire.failures.clear()
    bus.flushmany()

    assert by_key(texts_of("ab", 2)) == by_key(wire.sent)


@pytest.mark.databases
def test_order_by_says_what_a_waiting_signal_holds_back(
    bus: SignalBus, new_event: t.Any, post: t.Any, run: t.Any, wire: t.Any
) -> None:
    """A signal that comes before it by the model's order is sent, whatever its key."""
    text = sa.Column(sa.String(50))
    model = new_event(text=text, signalbus_order_by=(text.asc(),))
    post(model, "a9", "a5")
    wire.failures["a5"] = ValueError("boom")
    run()
    post(model, "a7", "a1")

    assert 1 == bus.flushmany()
    assert ["a1"] == wire.sent


@pytest.mark.databases
@every_autoflush
def test_autoflush_does_not_pass_a_waiting_signal(
    bus: SignalBus,
    new_event: t.Any,
    commit: t.Any,
    wire: t.Any,
    due: t.Any,
    pending: t.Any,
    autoflush: t.Any,
) -> None:
    """A later commit of its key leaves its signals pending, and tries nothing."""
    bus.autoflush = autoflush
    model = new_event()
    wire.failures["a1"] = ValueError("boom")
    commit(model, "a1", "a2", "b1")
    wire.failures.clear()
    wire.attempts.clear()
    commit(model, "a3")
    commit(model, "b2")

    assert [["b2"]] == wire.attempts
    assert ["a1", "a2", "a3"] == pending(model)
    due()
    commit(model, "a4")
    assert texts_of("a", 4) == by_key(wire.sent)["a"]


@pytest.mark.databases
def test_flushkeys_does_not_pass_a_waiting_signal(
    bus: SignalBus, new_event: t.Any, post: t.Any, run: t.Any, wire: t.Any
) -> None:
    """Nor does anybody else who knows the primary keys."""
    model = new_event()
    post(model, "a1", "a2", "b1")
    wire.failures["a1"] = ValueError("boom")
    run()
    wire.failures.clear()

    assert 0 == bus.flushkeys(model, [(2,)])
    assert ["b1"] == wire.sent


@pytest.mark.databases
@every_way
def test_many_waiting_keys_hold_up_no_other(
    bus: SignalBus,
    new_event: t.Any,
    db: SQLAlchemy,
    run: t.Any,
    wire: t.Any,
    way: str,
) -> None:
    """Thousands of signals that are held back may be in front of one that is not."""
    model = new_event(form="partial", signalbus_burst_count=100)
    keys = [f"k{number}" for number in range(300)]
    rows = [
        {"text": f"{key} {number}", "account": key}
        for number in range(5)
        for key in keys
    ]
    with db.engine.begin() as connection:
        connection.execute(sa.insert(model.__table__), rows)
    wire.failures = {f"{key} 0": ValueError("boom") for key in keys}
    run(way)
    last = [{"text": "last", "account": "z"}]
    with db.engine.begin() as connection:
        connection.execute(sa.insert(model.__table__), last)

    assert 1 == getattr(bus, way)()
    assert ["last"] == wire.sent


# A signal that is parked


@pytest.mark.databases
@every_way
@every_form
def test_parked_signal_holds_back_its_key(
    bus: SignalBus,
    new_event: t.Any,
    post: t.Any,
    run: t.Any,
    wire: t.Any,
    attempts: t.Any,
    way: str,
    form: str,
) -> None:
    """It does so until a person has seen to it; other keys go on."""
    model = new_event(form=form)
    post(model, *texts_of("ab", 3))
    wire.failures["a1"] = Park()
    run(way)
    wire.failures.clear()
    post(model, "a4", "b4")

    assert 1 == getattr(bus, way)()
    assert {"b": texts_of("b", 4)} == by_key(wire.sent)
    assert {1: (1, "parked")} == attempts()


@pytest.mark.databases
@every_way
def test_replayed_signal_goes_first(
    bus: SignalBus, stuck: SignalModel, wire: t.Any, way: str
) -> None:
    """Then its key follows, in order."""
    assert 1 == replay(bus, [stuck], parked=True)
    assert 3 == getattr(bus, way)()
    assert ["a1", "a2", "a3"] == wire.sent


@pytest.mark.databases
@every_way
def test_discarded_signal_lets_its_key_go_on(
    bus: SignalBus, stuck: SignalModel, wire: t.Any, way: str
) -> None:
    """What was behind it is sent, without it."""
    assert 1 == discard(bus, [stuck], keys=[(1,)])
    assert 2 == getattr(bus, way)()
    assert ["a2", "a3"] == wire.sent


@pytest.mark.databases
@every_way
def test_signal_that_is_deleted_by_hand_lets_its_key_go_on(
    bus: SignalBus, stuck: SignalModel, execute: t.Any, wire: t.Any, way: str
) -> None:
    """What is gone holds back nobody, though the entry is still there."""
    execute("DELETE FROM event WHERE id = 1")

    assert 2 == getattr(bus, way)()
    assert ["a2", "a3"] == wire.sent


@pytest.mark.databases
@every_autoflush
def test_autoflush_does_not_pass_a_parked_signal(
    bus: SignalBus,
    stuck: SignalModel,
    commit: t.Any,
    wire: t.Any,
    pending: t.Any,
    autoflush: t.Any,
) -> None:
    """A commit of its key leaves its signals pending."""
    bus.autoflush = autoflush
    commit(stuck, "a4", "b4")

    assert ["b4"] == wire.sent
    assert ["a1", "a2", "a3", "a4"] == pending(stuck)


@pytest.mark.databases
@every_way
def test_signal_that_a_person_parks_holds_back_what_is_behind_it(
    bus: SignalBus, new_event: t.Any, post: t.Any, wire: t.Any, way: str
) -> None:
    """What is in front of it is sent."""
    model = new_event()
    post(model, *texts_of("ab", 3))
    park(bus, model, [(3,)])

    assert 4 == getattr(bus, way)()
    assert {"a": ["a1"], "b": texts_of("b", 3)} == by_key(wire.sent)
    replay(bus, [model])
    getattr(bus, way)()
    assert by_key(texts_of("ab", 3)) == by_key(wire.sent)


@pytest.mark.databases
@every_way
@every_form
def test_others_pass_a_parked_signal_if_the_model_says_so(
    new_event: t.Any,
    post: t.Any,
    run: t.Any,
    wire: t.Any,
    pending: t.Any,
    way: str,
    form: str,
) -> None:
    """With "skip", the rest of the key is sent, from the next run on at the latest."""
    model = new_event(form=form, signalbus_on_parked="skip")
    post(model, *texts_of("ab", 3))
    wire.failures["a2"] = Park()
    run(way)
    run(way)

    assert ["a2"] == pending(model)
    assert {"a": ["a1", "a3"], "b": texts_of("b", 3)} == by_key(wire.sent)


@pytest.mark.databases
@every_autoflush
def test_autoflush_passes_a_parked_signal_if_the_model_says_so(
    bus: SignalBus,
    new_event: t.Any,
    post: t.Any,
    commit: t.Any,
    run: t.Any,
    wire: t.Any,
    pending: t.Any,
    autoflush: t.Any,
) -> None:
    """With "skip", a commit is sent though an older signal of its key is parked."""
    model = new_event(signalbus_on_parked="skip")
    post(model, "a1")
    wire.failures["a1"] = Park()
    run()
    bus.autoflush = autoflush
    commit(model, "a2")

    assert ["a2"] == wire.sent
    assert ["a1"] == pending(model)


@pytest.mark.databases
@every_way
def test_others_do_not_pass_a_waiting_signal_whatever_the_model_says(
    bus: SignalBus, new_event: t.Any, post: t.Any, run: t.Any, wire: t.Any, way: str
) -> None:
    """With "skip", too, a signal that may still get through holds back its key."""
    model = new_event(signalbus_on_parked="skip")
    post(model, *texts_of("ab", 3))
    wire.failures["a1"] = ValueError("boom")
    run(way)

    assert 0 == getattr(bus, way)()
    assert ["b1", "b2", "b3"] == wire.sent


@pytest.mark.databases
def test_signal_that_is_parked_in_the_end_is_passed_then(
    bus: SignalBus,
    new_event: t.Any,
    post: t.Any,
    run: t.Any,
    due: t.Any,
    wire: t.Any,
) -> None:
    """With "skip", its key waits while it is tried, and goes on when it is given up."""
    policy = {"max_attempts": 2, "first_delay": 100, "jitter": 0}
    model = new_event(signalbus_on_parked="skip", signalbus_retry=policy)
    post(model, "a1", "a2")
    wire.failures["a1"] = ValueError("boom")
    run()
    run()
    assert [] == wire.sent
    due()
    run()
    run()

    assert ["a2"] == wire.sent


@pytest.mark.databases
def test_model_without_a_key_is_as_before(
    bus: SignalBus, greeting: SignalModel, record: t.Any, run: t.Any, wire: t.Any
) -> None:
    """There, other signals pass those that wait or are parked."""
    record(greeting, "bad", "a")
    wire.failures["bad"] = Park()
    run()

    assert ["a"] == wire.sent
