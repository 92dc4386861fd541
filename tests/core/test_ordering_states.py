"""Whatever happens to signals with an ordering key, each key is a list."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import typing as t

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck
from hypothesis import Phase
from hypothesis import settings
from hypothesis import stateful
from hypothesis import strategies as st
from signalbus import PartialDeliveryError

if t.TYPE_CHECKING:
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import Signal
    from signalbus.typing import SignalModel

#: The values of the key.
KEYS = (None, "a", "b", "c")

#: Up to so many older signals of a key, autoflush sends the new one after them.
FEW = 3

SOME_KEYS = st.lists(st.sampled_from(KEYS), min_size=1, max_size=6)

#: Which signals fail: those whose number has one of these remainders.
FAILING = st.sets(st.integers(0, 6), max_size=2)

#: A key, and a place in its list.
KEY = st.sampled_from(KEYS)
PLACE = st.integers(0, 5)

Key: t.TypeAlias = "str | None"
Lists: t.TypeAlias = dict[Key, list[int]]


class Wire:
    """Where signals are sent to."""

    def __init__(self) -> None:
        """Begin with a wire that carries everything."""
        self.failing: set[int] = set()
        #: The keys and numbers of what was confirmed, in order.
        self.sent: list[tuple[Key, int]] = []
        #: The keys of every call.
        self.calls: list[list[Key]] = []

    def fails(self, number: int) -> bool:
        """Tell whether the signal with this *number* fails."""
        return number % 7 in self.failing

    def carry(self, *signals: Signal) -> None:
        """Confirm *signals*, or none of them."""
        self.calls.append([signal.account for signal in signals])
        if any(self.fails(signal.number) for signal in signals):
            raise ValueError("boom")
        self.sent.extend((signal.account, signal.number) for signal in signals)

    def carry_some(self, *signals: Signal) -> None:
        """Confirm what does not fail, and say what does."""
        self.calls.append([signal.account for signal in signals])
        failed = [at for at, each in enumerate(signals) if self.fails(each.number)]
        self.sent.extend(
            (signal.account, signal.number)
            for position, signal in enumerate(signals)
            if position not in failed
        )
        if failed:
            raise PartialDeliveryError(dict.fromkeys(failed, ValueError("boom")))


class OtherFlusher:
    """A flusher in another process: it holds the first signals of a key.

    It has sent them, if it is said so, and has not committed yet.
    """

    def __init__(self, shop: Shop, numbers: t.Collection[int]) -> None:
        """Lock the signals with these *numbers*."""
        self._connection = shop.db.engine.connect()
        self._chosen = shop.table.c.number.in_(numbers)
        query = sa.select(shop.table.c.number).where(self._chosen)
        found = self._connection.scalars(query.with_for_update()).all()
        assert sorted(numbers) == sorted(found)

    def commit(self, shop: Shop) -> None:
        """Delete what was sent."""
        self._connection.execute(sa.delete(shop.table).where(self._chosen))
        self._connection.commit()
        self._connection.close()

    def die(self) -> None:
        """Let go of the signals."""
        self._connection.close()


@dataclasses.dataclass
class Shop:
    """An app with one signal model."""

    db: SQLAlchemy
    bus: SignalBus
    model: SignalModel
    wire: Wire

    @property
    def table(self) -> sa.Table:
        """The table of the signals."""
        return t.cast("sa.Table", self.model.__table__)

    def execute(self, statement: sa.Executable) -> None:
        """Execute *statement* behind the back of everybody."""
        with self.db.engine.begin() as connection:
            connection.execute(statement)

    def read(self) -> Lists:
        """Read the numbers of the pending signals of each key, in order."""
        columns = self.table.c
        query = sa.select(columns.account, columns.number).order_by(columns.number)
        lists: Lists = {}
        with self.db.engine.connect() as connection:
            for account, number in connection.execute(query):
                lists.setdefault(account, []).append(number)
        return lists


def _send_methods(wire: Wire, form: str) -> dict[str, t.Any]:
    def send(self: Signal) -> None:
        wire.carry(self)

    def send_row(cls: SignalModel, signal: Signal) -> None:
        wire.carry(signal)

    def send_burst(cls: SignalModel, signals: t.Sequence[Signal]) -> None:
        carry = wire.carry_some if form == "partial" else wire.carry
        carry(*signals)

    if form == "instance":
        return {"send_signalbus_message": send}
    methods = {"send_signalbus_message": classmethod(send_row)}
    if form != "row":
        methods["send_signalbus_messages"] = classmethod(send_burst)
    return methods


@pytest.fixture(
    params=[("instance", 1), ("row", 4), ("burst", 4), ("partial", 100)],
    ids=lambda param: "-".join(map(str, param)),
)
def shop(
    request: pytest.FixtureRequest, app: Flask, db: SQLAlchemy, bus: SignalBus
) -> Shop:
    """Declare the model, in one of its forms."""
    form, burst_count = request.param
    wire = Wire()
    model = type(
        "Event",
        (db.Model,),
        {
            "number": sa.Column(sa.Integer, primary_key=True, autoincrement=False),
            "account": sa.Column(sa.String(20)),
            "signalbus_ordering_key": "account",
            "signalbus_burst_count": burst_count,
            **_send_methods(wire, form),
        },
    )
    bus.autoflush = False
    with app.app_context():
        db.create_all()
    return Shop(db, bus, model, wire)


has_pending = stateful.precondition(lambda self: any(self.pending.values()))
has_locks = stateful.precondition(lambda self: self.shop.db.engine.name != "sqlite")


class Signals(stateful.RuleBasedStateMachine):
    """Do to signals what may happen to them, and to the lists what should."""

    shop: Shop

    def __init__(self) -> None:
        """Begin with an empty table."""
        super().__init__()
        self.count = 0
        #: The numbers of the pending signals of each key.
        self.pending: Lists = {key: [] for key in KEYS}
        #: The flushers that hold a key, and what they have sent of it.
        self.others: dict[Key, tuple[OtherFlusher, list[int]]] = {}
        self.shop.execute(sa.delete(self.shop.table))

    # What happens

    @stateful.initialize(keys=SOME_KEYS)
    def begin(self, keys: list[Key]) -> None:
        """Let there be signals."""
        self._record(keys)

    @stateful.rule(keys=SOME_KEYS)
    def record(self, keys: list[Key]) -> None:
        """Record signals that no autoflush sends."""
        self._record(keys)

    @stateful.rule(keys=SOME_KEYS, failing=FAILING, background=st.booleans())
    def autoflush(self, keys: list[Key], failing: set[int], background: bool) -> None:
        """Record signals, and let autoflush send them, after older ones of the key."""
        self._plan(failing)
        older = {key: list(numbers) for key, numbers in self.pending.items()}
        self.shop.bus.autoflush = "background" if background else True
        self._record(keys)
        assert self.shop.bus.drain_autoflush(60)
        self.shop.bus.autoflush = False
        sent = self._sent()

        assert set(sent) <= set(keys)
        for key in set(keys):
            expected = self._expected(key)
            got = sent.get(key, [])
            if len(older[key]) <= FEW:
                assert expected == got
            assert expected[: len(got)] == got
            self._forget(key, got)

    @has_pending
    @stateful.rule(
        way=st.sampled_from(["flush", "flushmany", "flushordered"]), failing=FAILING
    )
    def flush(self, way: str, failing: set[int]) -> None:
        """Flush everything that nobody else is sending."""
        if self.others and way == "flushordered":  # it would wait for them
            way = "flushmany"
        self._plan(failing)
        with contextlib.suppress(ValueError):
            getattr(self.shop.bus, way)(**({"wait": 0} if way == "flush" else {}))
        self._settle(KEYS)

    @has_pending
    @stateful.rule(data=st.data(), failing=FAILING)
    def flush_some(self, data: st.DataObject, failing: set[int]) -> None:
        """Flush some keys, given in any order: nothing else goes, but what is older."""
        numbers = [number for key in KEYS for number in self.pending[key]]
        chosen = data.draw(st.lists(st.sampled_from(numbers), unique=True))
        self._plan(failing)
        with contextlib.suppress(ValueError):
            self.shop.bus.flushkeys(self.shop.model, [(x,) for x in chosen])

        for key, got in self._sent().items():
            assert self._expected(key)[: len(got)] == got
            assert set(got) <= {
                number
                for number in self.pending[key]
                if number <= max(set(chosen) & set(self.pending[key]), default=-1)
            }
            self._forget(key, got)

    @has_pending
    @stateful.rule(key=KEY, place=PLACE)
    def delete(self, key: Key, place: int) -> None:
        """Delete a signal that nobody is sending with plain SQL."""
        if key in self.others or place >= len(self.pending[key]):
            return
        number = self.pending[key].pop(place)
        table = self.shop.table
        self.shop.execute(sa.delete(table).where(table.c.number == number))

    # What other flushers do

    @has_locks
    @has_pending
    @stateful.rule(key=KEY, count=st.integers(1, 3))
    def other_begins(self, key: Key, count: int) -> None:
        """Let another flusher lock the first signals of a key, and send them."""
        if key in self.others or not self.pending[key]:
            return
        numbers = self.pending[key][:count]
        self.others[key] = (OtherFlusher(self.shop, numbers), numbers)

    @stateful.precondition(lambda self: self.others)
    @stateful.rule(data=st.data(), dies=st.booleans())
    def other_ends(self, data: st.DataObject, dies: bool) -> None:
        """Let another flusher commit, or die: then its signals are sent again."""
        key = data.draw(st.sampled_from([key for key in KEYS if key in self.others]))
        other, numbers = self.others.pop(key)
        if dies:
            other.die()
            return
        other.commit(self.shop)
        self.pending[key] = self.pending[key][len(numbers) :]

    # What always holds

    @stateful.invariant()
    def lists_agree(self) -> None:
        """Pending is what should be."""
        expected = {key: numbers for key, numbers in self.pending.items() if numbers}

        assert expected == self.shop.read()

    @stateful.invariant()
    def calls_have_one_of_each_key(self) -> None:
        """No burst mixes a signal with one behind it of the same key."""
        assert all(len(set(call)) == len(call) for call in self.shop.wire.calls)

    def teardown(self) -> None:
        """Let all other flushers go."""
        for other, _ in self.others.values():
            other.die()

    # How it is done

    def _record(self, keys: list[Key]) -> None:
        session = self.shop.db.session
        for key in keys:
            self.count += 1
            self.pending[key].append(self.count)
            session.add(self.shop.model(number=self.count, account=key))
        session.commit()
        session.remove()

    def _plan(self, failing: set[int]) -> None:
        self.shop.wire.failing = failing
        self.shop.wire.sent.clear()
        self.shop.wire.calls.clear()

    def _sent(self) -> Lists:
        sent: Lists = {}
        for key, number in self.shop.wire.sent:
            sent.setdefault(key, []).append(number)
        return sent

    def _expected(self, key: Key) -> list[int]:
        """Return what of a key can be sent now: all before the first that fails."""
        expected: list[int] = []
        for number in [] if key in self.others else self.pending[key]:
            if self.shop.wire.fails(number):
                break
            expected.append(number)
        return expected

    def _settle(self, keys: t.Iterable[Key]) -> None:
        """Compare what was sent of *keys* with what should have been."""
        sent = self._sent()
        for key in keys:
            expected = self._expected(key)

            assert expected == sent.get(key, [])
            self._forget(key, expected)

    def _forget(self, key: Key, sent: list[int]) -> None:
        self.pending[key] = self.pending[key][len(sent) :]


@pytest.mark.databases("sqlite", "postgresql")
@pytest.mark.usefixtures("app_ctx")
def test_lists_agree(shop: Shop) -> None:
    """What is sent is taken from the beginning of the list, whoever sends it."""
    logging.disable()
    try:
        stateful.run_state_machine_as_test(
            type("ShopSignals", (Signals,), {"shop": shop}),
            settings=settings(
                max_examples=15,
                stateful_step_count=20,
                deadline=None,
                # To shrink a failure would take longer than a test may.
                phases=[Phase.explicit, Phase.reuse, Phase.generate],
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        logging.disable(logging.NOTSET)
