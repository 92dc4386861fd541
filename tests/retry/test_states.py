"""Whatever happens to signals, their states are those of a model of a few lines."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import datetime as dt
import functools
import json
import logging
import typing as t

import pytest
import signalbus_retry
import sqlalchemy as sa
from hypothesis import HealthCheck
from hypothesis import Phase
from hypothesis import settings
from hypothesis import stateful
from hypothesis import strategies as st
from signalbus import BrokerUnavailableError
from signalbus import PartialDeliveryError
from signalbus import hookimpl

if t.TYPE_CHECKING:
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import Signal
    from signalbus.typing import SignalModel

pytestmark = pytest.mark.databases

MAX_ATTEMPTS = 2

#: The first part of a key that has two.
SHOP = """it's "ä" %s"""

OUTCOMES = st.lists(
    st.sampled_from(["sent", "fails", "fails", "is parked", "is put off", "no broker"]),
    min_size=1,
    max_size=5,
)
#: Indices of signals; those that are long gone are among them.
SOME = st.sets(st.integers(0, 9), max_size=6)

WAYS = st.sampled_from(["flush", "flushmany", "flushordered"])

#: What a flush raises for a signal that failed.
FAILURES = (
    ValueError,
    signalbus_retry.Park,
    signalbus_retry.RetryLater,
    BrokerUnavailableError,
)

CRASHES = st.sampled_from(["before the plugin", "after the plugin", "before commit"])


class CrashError(BaseException):
    """The process has come to its end."""


@dataclasses.dataclass
class State:
    """What the model knows of a pending signal."""

    text: str
    attempts: int = 0
    #: New signals, and no others, have no entry.
    stage: t.Literal["new", "due", "waiting", "parked"] = "new"

    @property
    def entry(self) -> tuple[int, str] | None:
        """What the entry of the signal says, if it has one."""
        return None if self.stage == "new" else (self.attempts, self.stage)

    def fail(self, outcome: str) -> None:
        """Go where a signal goes that was not sent."""
        self.attempts += outcome != "is put off"
        is_parked = outcome == "is parked" or (
            outcome == "fails" and self.attempts >= MAX_ATTEMPTS
        )
        self.stage = "parked" if is_parked else "waiting"


class Wire:
    """Where signals are sent: it knows what is to become of each."""

    def __init__(self) -> None:
        """Begin with a wire that carries everything."""
        self.outcomes = ["sent"]
        #: The numbers and texts of the signals that came here.
        self.calls: list[tuple[int, str]] = []

    def outcome(self, number: int) -> str:
        """Tell what becomes of a signal."""
        return self.outcomes[number % len(self.outcomes)]

    def carry(self, signal: Signal) -> None:
        """Confirm *signal*, or raise."""
        self.calls.append((signal.number, signal.text))
        errors = {
            "fails": ValueError(f"boom {signal.text}"),
            "is parked": signalbus_retry.Park("hopeless"),
            "is put off": signalbus_retry.RetryLater(3600, "closed"),
            "no broker": BrokerUnavailableError(),
        }
        if error := errors.get(self.outcome(signal.number)):
            raise error

    def carry_all(self, signals: t.Sequence[Signal]) -> None:
        """Confirm *signals*, or say which ones failed; stop at the first outage."""
        failures: dict[int, Exception] = {}
        for position, signal in enumerate(signals):
            try:
                self.carry(signal)
            except BrokerUnavailableError as error:
                failures.update(dict.fromkeys(range(position, len(signals)), error))
                break
            except Exception as error:  # noqa: BLE001 the caller gets it
                failures[position] = error
        if failures:
            raise PartialDeliveryError(failures)


class Accidents:
    """A plugin that lets a flush end in the middle of its first burst."""

    def __init__(self) -> None:
        """Begin with nothing planned."""
        #: What happens at which point.
        self.planned: dict[str, t.Callable[[sa.Connection], object]] = {}
        self.happened = False

    def clear(self) -> None:
        """Let nothing happen."""
        self.planned.clear()
        self.happened = False

    def plan(self, point: str, happen: t.Callable[[sa.Connection], object]) -> None:
        """Let something happen at *point*."""
        self.planned[point] = happen

    def reach(self, point: str, connection: sa.Connection) -> None:
        """Let happen what is planned for *point*, once."""
        if happen := self.planned.pop(point, None):
            self.happened = True
            happen(connection)

    @hookimpl(wrapper=True)
    def signalbus_burst_settled(
        self, connection: sa.Connection
    ) -> t.Generator[None, object, object]:
        """Reach the points before and after the plugins have written."""
        self.reach("before the plugin", connection)
        result = yield
        self.reach("after the plugin", connection)
        return result


@dataclasses.dataclass
class Shop:
    """An app with one signal model, and what its tests need."""

    db: SQLAlchemy
    bus: SignalBus
    model: SignalModel
    wire: Wire
    accidents: Accidents
    skips_parked: bool

    @property
    def number(self) -> sa.Column[int]:
        """The numbers of the signals."""
        return t.cast("sa.Column[int]", self.model.__table__.c.number)

    @property
    def entries(self) -> sa.Table:
        """The table of the failures."""
        return self.db.metadata.tables["signalbus_failure"]

    def key(self, number: int) -> tuple[t.Any, ...]:
        """Give the primary key of a signal."""
        return (
            (SHOP, number) if len(self.model.__table__.primary_key) == 2 else (number,)
        )

    def execute(self, statement: sa.Executable) -> None:
        """Execute *statement* behind the back of everybody."""
        with self.db.engine.begin() as connection:
            connection.execute(statement)

    def new(self, number: int, text: str) -> Signal:
        """Make a signal."""
        names = [column.name for column in self.model.__table__.primary_key]
        key = dict(zip(names, self.key(number), strict=True))
        return self.model(text=text, **key)

    def kill(self, connection: sa.Connection) -> None:
        """Let the server end *connection*."""
        number, end = {
            "postgresql": (
                "pg_backend_pid()",
                "SELECT pg_terminate_backend({}, 30000)",
            ),
            "mysql": ("connection_id()", "KILL {}"),
        }[connection.dialect.name]
        session = connection.exec_driver_sql(f"SELECT {number}").scalar()
        other = sa.create_engine(self.db.engine.url, poolclass=sa.NullPool)
        with other.connect() as killer:
            killer.exec_driver_sql(end.format(session))

    def wait_for_locks(self) -> None:
        """Wait until the server has ended what it was told to end."""
        with self.db.engine.begin() as connection:
            connection.execute(sa.select(self.model.__table__).with_for_update()).all()
            connection.execute(sa.select(self.entries).with_for_update()).all()

    def read_entries(self) -> dict[tuple[t.Any, ...], tuple[int, str]]:
        """Read the attempts and stages of the signals that have failed."""
        columns = self.entries.c
        stage = sa.case(
            (columns.next_attempt_at.is_(None), "parked"),
            (columns.next_attempt_at == columns.first_failed_at, "due"),  # we did it
            else_="waiting",
        )
        rows = self.rows(columns.key, columns.attempts, stage)
        return {tuple(json.loads(key)): (*row,) for key, *row in rows}

    def rows(self, *columns: t.Any) -> list[t.Any]:
        """Select *columns*, in a transaction of its own."""
        with self.db.engine.connect() as connection:
            return list(connection.execute(sa.select(*columns)))


def _send_methods(wire: Wire, form: str) -> dict[str, t.Any]:
    """Return the send methods of a model of this form."""

    def send(self: Signal) -> None:
        wire.carry(self)

    def send_row(cls: SignalModel, signal: Signal) -> None:
        wire.carry(signal)

    def send_burst(cls: SignalModel, signals: t.Sequence[Signal]) -> None:
        wire.carry_all(signals)

    if form == "instance":
        return {"send_signalbus_message": send}
    methods = {"send_signalbus_message": classmethod(send_row)}
    if form == "burst":
        methods["send_signalbus_messages"] = classmethod(send_burst)
    return methods


@pytest.fixture(autouse=True)
def _retry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Switch the plugin on."""
    monkeypatch.delenv("SIGNALBUS_DISABLED_PLUGINS", raising=False)


@pytest.fixture(
    params=[("instance", 1, "stop"), ("row", 3, "skip"), ("burst", 3, "stop")],
    ids=lambda param: "-".join(map(str, param)),
)
def shop(
    request: pytest.FixtureRequest, app: Flask, db: SQLAlchemy, bus: SignalBus
) -> Shop:
    """Declare the model, in one of its forms."""
    form, burst_count, on_parked = request.param
    wire, accidents = Wire(), Accidents()
    first = {"shop": sa.Column(sa.String(20), primary_key=True)}
    model = type(
        "Order",
        (db.Model,),
        {
            **(first if form == "row" else {}),
            "number": sa.Column(sa.Integer, primary_key=True, autoincrement=False),
            "text": sa.Column(sa.String(50)),
            "signalbus_burst_count": burst_count,
            "signalbus_on_parked": on_parked,
            "signalbus_retry": signalbus_retry.RetryPolicy(
                max_attempts=MAX_ATTEMPTS, first_delay=3600
            ),
            **_send_methods(wire, form),
        },
    )
    bus.plugin_manager.register(accidents)
    bus.autoflush = False
    with app.app_context():
        db.create_all()
        sa.event.listen(
            db.engine, "commit", functools.partial(accidents.reach, "before commit")
        )
    return Shop(db, bus, model, wire, accidents, on_parked == "skip")


#: Nothing is worth doing where nothing is pending.
is_used = stateful.precondition(lambda self: self.pending)


class Signals(stateful.RuleBasedStateMachine):
    """Do to signals what may happen to them, and to the model what should."""

    shop: Shop

    def __init__(self) -> None:
        """Begin with empty tables."""
        super().__init__()
        self.pending: dict[int, State] = {}
        self.count = 0
        #: Signals that were deleted behind the plugin's back, and had an entry.
        self.orphans: set[int] = set()
        for table in (self.shop.model.__table__, self.shop.entries):
            self.shop.execute(sa.delete(table))

    # What happens

    @stateful.initialize(count=st.integers(1, 6))
    def begin(self, count: int) -> None:
        """Let there be signals."""
        self._record(count)

    @stateful.rule(count=st.integers(1, 4))
    def record(self, count: int) -> None:
        """Record signals that no autoflush sends."""
        self._record(count)

    @stateful.rule(count=st.integers(1, 4), outcomes=OUTCOMES)
    def autoflush(self, count: int, outcomes: list[str]) -> None:
        """Record signals, and let the commit send them."""
        self.shop.bus.reset_breakers()
        self.shop.bus.autoflush = True
        self._plan(outcomes)
        numbers = self._record(count)
        self.shop.bus.autoflush = False

        assert self._run(numbers) == self.shop.wire.calls

    @is_used
    @stateful.rule(way=WAYS, outcomes=OUTCOMES, is_later=st.booleans())
    def flush(self, way: str, outcomes: list[str], is_later: bool) -> None:
        """Flush everything, at once or when all is due."""
        if is_later:
            self.let_time_pass(None)
        self._plan(outcomes)
        self._flush(way)

        assert self._run(self.pending, way) == self.shop.wire.calls

    @is_used
    @stateful.rule(way=WAYS, outcomes=OUTCOMES, point=CRASHES)
    def crash(self, way: str, outcomes: list[str], point: str) -> None:
        """End a flush in its first burst: nothing has changed."""

        def die(connection: sa.Connection) -> None:
            # The server does so when the process is gone.
            connection.connection.rollback()
            raise CrashError

        self._plan(outcomes)
        self.shop.accidents.plan(point, die)
        with contextlib.suppress(CrashError):
            self._flush(way)
        if not self.shop.accidents.happened:
            self._run(self.pending, way)

    @stateful.precondition(
        lambda self: self.pending and self.shop.db.engine.name != "sqlite"
    )
    @stateful.rule(way=WAYS, outcomes=OUTCOMES, point=CRASHES)
    def cut(self, way: str, outcomes: list[str], point: str) -> None:
        """Lose the connection in the first burst: no attempt is counted twice."""
        self._plan(outcomes)
        self.shop.accidents.plan(point, self.shop.kill)
        with contextlib.suppress(sa.exc.OperationalError):
            self._flush(way)
        before = copy.deepcopy(self.pending)
        expected = self._run(self.pending, way)
        self._adopt(before)

        assert set(self.shop.wire.calls) <= set(expected)

    @is_used
    @stateful.rule(some=st.none() | SOME)
    def let_time_pass(self, some: set[int] | None) -> None:
        """Let some signals become due."""
        entry = self.shop.entries.c
        for number in self._failed(some, parked=False):
            state = self.pending[number]
            if state.stage == "waiting":
                state.stage = "due"
                self.shop.execute(
                    sa.update(self.shop.entries)
                    .where(entry.key == self._json(number))
                    .values(next_attempt_at=entry.first_failed_at)
                )

    @is_used
    @stateful.rule(some=SOME, text=st.text(max_size=9, alphabet="ab%'é"))
    def correct(self, some: set[int], text: str) -> None:
        """Change signals with plain SQL."""
        for number in self._those(some) & self.pending.keys():
            self.pending[number].text = text
            table = self.shop.model.__table__
            self.shop.execute(
                sa.update(table).where(table.c.number == number).values(text=text)
            )

    @is_used
    @stateful.rule(some=SOME)
    def delete(self, some: set[int]) -> None:
        """Delete signals with plain SQL."""
        table = self.shop.model.__table__
        for number in self._those(some) & self.pending.keys():
            if self.pending.pop(number).stage != "new":
                self.orphans.add(number)
            self.shop.execute(sa.delete(table).where(table.c.number == number))

    # What a person does

    @is_used
    @stateful.rule(some=st.none() | SOME, parked=st.sampled_from([None, True, False]))
    def replay(self, some: set[int] | None, parked: bool | None) -> None:
        """Let failed signals be as new."""
        chosen = self._failed(some, parked)
        count = signalbus_retry.replay(
            self.shop.bus, [self.shop.model], keys=self._keys(some), parked=parked
        )
        for number in chosen:
            self.pending[number] = State(self.pending[number].text)

        assert len(chosen) == count

    @is_used
    @stateful.rule(some=SOME)
    def park(self, some: set[int]) -> None:
        """Park pending signals, failed or not."""
        chosen = self._those(some) & self.pending.keys()
        signalbus_retry.park(
            self.shop.bus, self.shop.model, self._keys(some), reason="I say so"
        )
        for number in chosen:
            self.pending[number].stage = "parked"

    @is_used
    @stateful.rule(some=st.none() | SOME, parked=st.sampled_from([None, True, False]))
    def discard(self, some: set[int] | None, parked: bool | None) -> None:
        """Give failed signals up, and see each before it is gone."""
        chosen = self._failed(some, parked)
        seen: dict[int, str] = {}
        count = signalbus_retry.discard(
            self.shop.bus,
            keys=self._keys(some),
            parked=parked,
            before=lambda _, columns: seen.update({columns["number"]: columns["text"]}),
        )

        assert {number: self.pending.pop(number).text for number in chosen} == seen
        assert len(chosen) == count

    @stateful.precondition(lambda self: self.pending or self.orphans)
    @stateful.rule()
    def look(self) -> None:
        """Look at the failures: entries whose signal is gone disappear."""
        now = dt.datetime.now(dt.timezone.utc)
        seen = {
            failure.key: (
                failure.attempts,
                "parked"
                if failure.next_attempt_at is None
                else ("waiting" if failure.next_attempt_at > now else "due"),
            )
            for failure in signalbus_retry.failures(self.shop.bus)
        }
        self.orphans.clear()

        assert seen == self._entries()

    # What always holds

    @stateful.invariant()
    def signals_agree(self) -> None:
        """Pending are the signals of the model, as they are to be."""
        columns = self.shop.model.__table__.c
        rows = self.shop.rows(columns.number, columns.text)
        texts = {number: state.text for number, state in self.pending.items()}

        assert texts == dict(map(tuple, rows))

    @stateful.invariant()
    def entries_agree(self) -> None:
        """Each signal that failed has its entry, and nobody else has one."""
        entries = self.shop.read_entries()
        for number in self.orphans:
            entries.pop(self.shop.key(number), None)

        assert entries == self._entries()

    # How it is done

    def _record(self, count: int) -> list[int]:
        numbers = list(range(self.count, self.count + count))
        self.count += count
        for number in numbers:
            self.pending[number] = State(f"text {number}")
            self.shop.db.session.add(self.shop.new(number, f"text {number}"))
        self.shop.db.session.commit()
        self.shop.db.session.remove()
        return numbers

    def _entries(self) -> dict[tuple[t.Any, ...], tuple[int, str]]:
        """Return the entries that there should be."""
        return {
            self.shop.key(number): state.entry
            for number, state in self.pending.items()
            if state.entry
        }

    def _plan(self, outcomes: list[str]) -> None:
        self.shop.wire.outcomes = outcomes
        self.shop.wire.calls.clear()
        self.shop.accidents.clear()

    def _flush(self, way: str) -> None:
        way = self._way(way)
        with contextlib.suppress(*FAILURES):
            getattr(self.shop.bus, way)([self.shop.model])
        self.shop.accidents.planned.clear()

    def _adopt(self, before: dict[int, State]) -> None:
        """Let signals be as they were *before*, if that is what they are."""
        self.shop.wait_for_locks()
        is_there = {number for (number,) in self.shop.rows(self.shop.number)}
        entries = self.shop.read_entries()
        for number in is_there & before.keys():
            if entries.get(self.shop.key(number)) == before[number].entry:
                self.pending[number] = before[number]

    def _way(self, way: str) -> str:
        """Give a way in which the model can be flushed."""
        # A burst method decides for itself what comes behind a failure.
        sends_bursts = hasattr(self.shop.model, "send_signalbus_messages")
        return "flushmany" if sends_bursts and way == "flushordered" else way

    def _run(self, numbers: t.Iterable[int], way: str = "") -> list[tuple[int, str]]:
        """Do to the model what a run does, and return what it sends."""
        calls = []
        is_ordered = self._way(way) == "flushordered"
        for number in sorted(numbers):
            state = self.pending[number]
            if state.stage in {"waiting", "parked"}:
                if is_ordered and not (
                    state.stage == "parked" and self.shop.skips_parked
                ):
                    break
                continue
            calls.append((number, state.text))
            outcome = self.shop.wire.outcome(number)
            if outcome == "no broker":
                break
            if outcome == "sent":
                del self.pending[number]
                continue
            state.fail(outcome)
            if is_ordered:
                break
        return calls

    def _those(self, some: set[int]) -> set[int]:
        """Return numbers of signals, of the last ones rather than the first."""
        return {self.count - 1 - index for index in some if index < self.count}

    def _keys(self, some: set[int] | None) -> list[tuple[t.Any, ...]] | None:
        return None if some is None else [self.shop.key(x) for x in self._those(some)]

    def _failed(self, some: set[int] | None, parked: bool | None) -> list[int]:
        those = self.pending.keys() if some is None else self._those(some)
        return [
            number
            for number, state in self.pending.items()
            if number in those
            and state.stage != "new"
            and parked in {None, state.stage == "parked"}
        ]

    def _json(self, number: int) -> str:
        """Return the key of an entry as it is written."""
        columns = self.shop.entries.c
        (key,) = [
            key
            for (key,) in self.shop.rows(columns.key)
            if tuple(json.loads(key)) == self.shop.key(number)
        ]
        return str(key)


@pytest.mark.usefixtures("app_ctx")
def test_states_agree(shop: Shop) -> None:
    """A signal is sent, waits, is parked, replayed and discarded as it should."""
    logging.disable()
    try:
        stateful.run_state_machine_as_test(
            type("ShopSignals", (Signals,), {"shop": shop}),
            settings=settings(
                max_examples=40,
                stateful_step_count=20,
                deadline=None,
                # To shrink a failure would take longer than a test may.
                phases=[Phase.explicit, Phase.reuse, Phase.generate],
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        logging.disable(logging.NOTSET)
