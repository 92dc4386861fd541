"""What happens to the outbox of a user, and what must hold of it."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa
from hypothesis import stateful
from hypothesis import strategies as st

from outbox import checks
from outbox.checks import Run
from outbox.models import KINDS
from outbox.models import MEMORY
from outbox.user import SIGNALS
from outbox.user import User
from outbox.wire import CONTAINED

if t.TYPE_CHECKING:
    from outbox.ledger import Entry

SENDERS = sorted({kind.sender for kind in KINDS.values()} - {MEMORY})

#: Which models are flushed.
CHOSEN = st.none() | st.lists(st.sampled_from(sorted(KINDS)), min_size=1, unique=True)

#: What happens in one of the next calls of a sender: in which, what, and where.
PLANS = st.dictionaries(
    st.sampled_from([1, 1, 2, 3, 4, 6, 10]),
    st.tuples(
        st.sampled_from(["fails", "unavailable", "ends", "interrupt", "exit"]),
        st.integers(0, 5),
    ),
    min_size=1,
    max_size=2,
)

#: At which of its next steps the database fails in passing.
FAILS_AT = st.none() | st.integers(1, 12)

#: Which value autoflush gets, if any.
SWITCH = st.none() | st.integers(0, 2)


class Outbox(User):
    """A user, the bus, a broker, and a database, any of which may fail."""

    #: The values that the user gives to ``bus.autoflush``.
    switches: t.ClassVar[tuple[object, ...]] = (True, True, False)

    @stateful.initialize(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        """Begin with one of the ways to autoflush."""
        self.shop.bus.autoflush = data.draw(st.sampled_from(self.switches))

    # What the user does with the bus

    @stateful.precondition(lambda self: self.is_unwritten or self.has_written)
    @stateful.rule(plans=st.just({}) | PLANS, fails_at=FAILS_AT, switch=SWITCH)
    def commit(
        self,
        plans: dict[int, tuple[str, int]],
        fails_at: int | None = None,
        switch: int | None = None,
    ) -> None:
        """Commit, and let autoflush send what was recorded."""
        shop, session = self.shop, self.session
        self._switch(switch)
        has_order, recorded = self.ledger.has_order, self.ledger.commit()
        probed = self._begin_run(plans, CONTAINED[shop.bus.autoflush])
        with (
            shop.watching_commit() as rows,
            shop.failing_at(fails_at, after_commit=True),
        ):
            error = _caught(session.commit)
            assert shop.bus.drain_autoflush(60)
        assert not session.in_transaction()
        assert not [*session.new, *session.dirty, *session.deleted]
        assert all(sa.inspect(each).expired for each in session.identity_map.values())
        self._ended()
        run = self._end_run(rows, probed, error)
        self._check_commit(run, recorded, has_order=has_order)

    @stateful.rule(what=SIGNALS, plans=st.just({}) | PLANS)
    def record(
        self, what: list[tuple[str, str]], plans: dict[int, tuple[str, int]]
    ) -> None:
        """Add signals and commit, as most users do."""
        self.add(what, "add_all")
        self.commit(plans)

    @stateful.precondition(lambda self: self.may_flush)
    @stateful.rule(
        way=st.sampled_from(["flush", "flushmany", "flushordered"]),
        chosen=CHOSEN,
        plans=st.just({}) | PLANS,
        fails_at=FAILS_AT,
    )
    def flush(
        self,
        way: str,
        chosen: list[str] | None,
        plans: dict[int, tuple[str, int]],
        fails_at: int | None,
    ) -> None:
        """Flush all models, or some of them, while the database may fail once."""
        if way == "flushordered" and self.ledger.touched:  # it waits for these
            way = "flushmany"
        shop = self.shop
        models = chosen and [shop.models.signals[name] for name in chosen]
        given = {"wait": 0} if way == "flush" else {}
        rows, state = shop.read(), shop.state_of_session()
        probed = self._begin_run(plans, set())
        answers: list[int] = []
        with shop.failing_at(fails_at):
            error = _caught(
                lambda: answers.append(getattr(shop.bus, way)(models, **given))
            )
        assert state == shop.state_of_session()
        run = self._end_run(rows, probed, error)
        self._check_flush(run, way, chosen or list(KINDS), answers)

    @stateful.precondition(lambda self: self.may_flush)
    @stateful.rule(
        way=st.sampled_from(["flush", "flushmany", "flushordered"]),
        index=st.integers(0, 15),
        fails_at=st.integers(1, 10),
    )
    def flush_one(self, way: str, index: int, fails_at: int) -> None:
        """Flush a model that has pending signals, while the database fails once."""
        names = sorted({entry.model for entry in self.ledger.committed.values()})
        self.flush(way, [names[index % len(names)]], {}, fails_at)

    @property
    def may_flush(self) -> bool:
        """Whether there is anything to flush, and no transaction that forbids it."""
        is_locked = self.has_written and self.shop.is_sqlite
        return bool(self.ledger.committed) and not is_locked

    # What happens to the broker

    @stateful.rule(
        bad=st.sets(st.integers(0, 6), max_size=3),
        cut=st.sets(st.sampled_from(SENDERS), max_size=3),
        switch=SWITCH,
        resets=st.booleans(),
    )
    def change_world(
        self, bad: set[int], cut: set[str], switch: int | None, resets: bool
    ) -> None:
        """Let some signals fail, and some senders be down; switch autoflush.

        That holds for the commits that follow.
        """
        self._switch(switch)
        self.shop.wire.bad = bad
        self.shop.wire.cut = cut
        if resets:
            self.shop.bus.reset_breakers()

    # What always holds

    @stateful.invariant()
    def truth_agrees(self) -> None:
        """Compare what is there with what should be."""
        self._check_rows()
        self._check_leftovers()

    def _check_rows(self) -> None:
        """Check that what was committed is pending, unless it was sent or deleted."""
        found = {
            row.number: (row.model, row.text, row.account)
            for row in self.shop.read().values()
        }
        expected = {
            entry.number: (entry.model, entry.text, entry.account)
            for entry in self.ledger.committed.values()
        }

        assert expected == found

    def _check_leftovers(self) -> None:
        """Check that what hangs on signals goes with them, and connections return."""
        in_use = 1 if self.session.in_transaction() else 0

        assert 0 == self.shop.count_orphans()
        if "background" not in self.switches:
            assert self.shop.connections() <= in_use

    def teardown(self) -> None:
        """Send what is left, and so see that nothing was lost."""
        super().teardown()
        if not self.is_sound:
            return
        self.rollback("rollback")
        self.change_world(set(), set(), None, resets=True)
        for _ in range(2):
            self.flush("flushmany", None, {}, None)
        assert {} == self.shop.read()

    # How it is done

    def _switch(self, switch: int | None) -> None:
        if switch is not None:
            self.shop.bus.autoflush = self.switches[switch % len(self.switches)]

    def _begin_run(
        self, plans: dict[int, tuple[str, int]], contained: set[str]
    ) -> set[str]:
        """Let the next run begin, and return which senders it finds down."""
        shop = self.shop
        self.is_sound = False
        shop.wire.contained = contained
        shop.wire.clear()
        shop.wire.plans = plans
        shop.memory.clear()
        shop.listener.sent = 0
        shop.listener.recorded.clear()
        return {
            kind.sender
            for kind in KINDS.values()
            if not shop.bus.breakers.is_closed(self._sender(kind.name))
        }

    def _sender(self, name: str) -> object:
        model = self.shop.models.signals[name]
        return self.shop.bus.declaration(model).sender

    def _end_run(
        self, rows: dict[int, t.Any], probed: set[str], error: BaseException | None
    ) -> Run:
        """Return what a run has done, when it has kept all promises."""
        shop = self.shop
        before = {
            number: row
            for number, row in rows.items()
            if number in self.ledger.committed
        }
        assert before.keys() == self.ledger.committed.keys()
        run = Run(before, shop.read(), list(shop.wire.calls), probed, error)
        kept = [each.values["number"] for each in shop.memory.sent]
        assert kept == [
            n for c in run.calls if c.model == "Memory" for n in c.delivered
        ]
        checks.check_promises(run, self.ledger)
        self.ledger.send(run.gone)
        self.instances = {
            number: signal
            for number, signal in self.instances.items()
            if number not in run.gone
        }
        return run

    def _check_commit(
        self, run: Run, recorded: list[Entry], *, has_order: bool
    ) -> None:
        shop = self.shop
        rows = [run.before[entry.number] for entry in recorded]
        if shop.hears_commits:
            heard = [
                (model.__name__, key)
                for each in shop.listener.recorded
                for model, keys in each.items()
                for key in keys
            ]
            assert sorted((row.model, _key(row)) for row in rows) == sorted(heard)
        if not shop.bus.autoflush:
            rows = []
        rows = [row for row in rows if KINDS[row.model].autoflush]
        checks.check_autoflush(run, rows)
        if has_order and shop.bus.autoflush is True:
            checks.check_order_of_autoflush(run, rows)
        assert len(run.gone) == shop.listener.sent
        assert (run.interrupted is not None) == (run.error is not None), run.error
        self.is_sound = True

    def _check_flush(
        self, run: Run, way: str, chosen: list[str], answers: list[int]
    ) -> None:
        assert {call.model for call in run.calls} <= set(chosen)
        if way == "flushordered":
            checks.check_order(run, chosen)
            chosen = [name for name in chosen if KINDS[name].is_keyed]
        checks.check_all_are_tried(run, chosen, self.ledger.touched)
        answer = answers[0] if answers else None
        checks.check_answer(run, answer, self.shop.listener.sent)
        self.is_sound = True


def _key(row: t.Any) -> tuple[t.Any, ...]:
    return (row.id, row.account) if row.model == "Seat" else (row.id,)


def _caught(function: t.Callable[[], object]) -> BaseException | None:
    """Call *function*, and return what it raises."""
    try:
        function()
    except BaseException as error:  # noqa: BLE001 the tests look at it
        return error
    return None
