"""The signals that were recorded in a test, and assertions about them."""

from __future__ import annotations

import typing as t

from signalbus import SignalModelError

from signalbus_pytest._expectation import Expectation
from signalbus_pytest._journal import Fate
from signalbus_pytest._report import Report
from signalbus_pytest._report import describe
from signalbus_pytest._report import listed

if t.TYPE_CHECKING:
    from signalbus import SignalBus

    from signalbus_pytest._journal import Journal
    from signalbus_pytest._snapshot import Entry

M = t.TypeVar("M")

#: The expectation for a column: a value, a type, or a function that checks the value.
Expected: t.TypeAlias = object | t.Callable[[t.Any], object]

#: Expectations by column name.
Columns: t.TypeAlias = t.Mapping[str, Expected]

_REMEDIES: t.Final = {
    Fate.COMMITTED: "see recorded_signals itself",
    Fate.UNCOMMITTED: "see recorded_signals.uncommitted",
}


class SignalsView:
    """Some of the signals that were added to sessions in a test.

    Signals are returned as instances of their models. They are copies that belong to no
    session, with the values of all columns that are known.

    Expectations are given by column. An expected value must be equal, an expected type
    must match with ``isinstance``, and any other function must return true for the
    value. Columns that are not named may have any value. If a column has the name of an
    argument, pass it in a mapping: ``assert_recorded(Order, {"count": 3})``.
    """

    _fate: Fate
    _verb: str

    def __init__(self, bus: SignalBus, journal: Journal) -> None:
        self._bus = bus
        self._journal = journal

    def __call__(
        self, model: type[M], expected: Columns | None = None, /, **columns: Expected
    ) -> list[M]:
        """Return the signals of *model* that match the expectations, in their order.

        :raises TypeError: if *model* has no such column.
        :raises SignalModelError: if it is not a signal model.
        """
        expectation = self._expectation(model, expected, columns)
        return [each.copy() for each in self._matching(expectation)]

    def __iter__(self) -> t.Iterator[t.Any]:
        """Iterate over all signals, in their order."""
        return iter([entry.copy() for entry in self._entries()])

    def __len__(self) -> int:
        """Return the number of signals."""
        return len(self._entries())

    def __repr__(self) -> str:
        """Return a text that shows all signals, for failed assertions."""
        shown = ", ".join(map(describe, self._entries()))
        return f"<{type(self).__name__}: {shown or 'none'}>"

    @t.overload
    def assert_recorded(
        self,
        model: type[M],
        expected: Columns | None = ...,
        /,
        *,
        count: int,
        **columns: Expected,
    ) -> list[M]: ...

    @t.overload
    def assert_recorded(
        self,
        model: type[M],
        expected: Columns | None = ...,
        /,
        *,
        count: None = ...,
        **columns: Expected,
    ) -> M: ...

    def assert_recorded(
        self,
        model: type[M],
        expected: Columns | None = None,
        /,
        *,
        count: int | None = None,
        **columns: Expected,
    ) -> M | list[M]:
        """Assert that exactly one signal of *model* matches, and return it.

        :param count: how many signals must match. If given, their list is returned.
        :raises AssertionError: if not. It shows the closest signals and where they
            differ, what else was recorded, and what was rolled back or not committed.
        :raises TypeError: if *model* has no such column.
        :raises SignalModelError: if it is not a signal model.
        """
        __tracebackhide__ = True
        expectation = self._expectation(model, expected, columns)
        matching = self._matching(expectation)
        wanted = 1 if count is None else count
        if len(matching) < wanted:
            raise AssertionError(self._report(expectation).too_few(matching, wanted))
        if len(matching) > wanted:
            raise AssertionError(self._report(expectation).too_many(matching, wanted))
        copies = [entry.copy() for entry in matching]
        return copies[0] if count is None else copies

    def assert_not_recorded(
        self,
        model: type[t.Any] | None = None,
        expected: Columns | None = None,
        /,
        **columns: Expected,
    ) -> None:
        """Assert that no signal of *model* matches; without *model*, no signal at all.

        :raises AssertionError: if some do. It shows them.
        :raises TypeError: if *model* has no such column.
        :raises SignalModelError: if it is not a signal model.
        """
        __tracebackhide__ = True
        if model is None:
            if entries := self._entries():
                raise AssertionError(
                    listed(f"Signals were {self._fate.value}:", entries)
                )
            return
        expectation = self._expectation(model, expected, columns)
        matching = self._matching(expectation)
        if matching:
            raise AssertionError(self._report(expectation).too_many(matching, 0))

    def _entries(self) -> list[Entry]:
        raise NotImplementedError

    def _matching(self, expectation: Expectation) -> list[Entry]:
        return [
            entry
            for entry in self._entries()
            if entry.model is expectation.model and expectation.matches(entry.values)
        ]

    def _expectation(
        self, model: type[t.Any], expected: Columns | None, columns: Columns
    ) -> Expectation:
        if not self._bus.is_signal_model(model):
            name = getattr(model, "__name__", repr(model))
            raise SignalModelError(
                f"{name} is not a signal model, so no signals of it are recorded."
            )
        return Expectation(model, {**(expected or {}), **columns})

    def _report(self, expectation: Expectation) -> Report:
        fates = {fate: entries for fate, entries in self._fates() if fate != self._fate}
        return Report(expectation, self._entries(), fates, _REMEDIES, self._verb)

    def _fates(self) -> t.Iterator[tuple[Fate, list[Entry]]]:
        journal = self._journal
        yield Fate.COMMITTED, journal.committed
        yield Fate.UNCOMMITTED, journal.uncommitted()
        for fate in (Fate.ROLLED_BACK, Fate.ABANDONED, Fate.DELETED):
            yield fate, [entry for own, entry in journal.lost if own == fate]


class UncommittedSignals(SignalsView):
    """The signals in sessions that a commit would record now.

    They include those that SQLAlchemy has inserted and those that were only added.
    """

    _fate = Fate.UNCOMMITTED
    _verb = "added"

    def _entries(self) -> list[Entry]:
        return self._journal.uncommitted()


class RecordedSignals(SignalsView):
    """The signals that sessions have committed since the fixture was set up.

    A signal is recorded when ``session.commit()`` returns, even if that has only
    released a savepoint of a transaction that the test rolls back later. It stays
    recorded when it is sent. What was rolled back is not recorded.

    All sessions count, in all threads. Rows inserted without the ORM are not seen.
    """

    _fate = Fate.COMMITTED
    _verb = "recorded"

    @property
    def uncommitted(self) -> UncommittedSignals:
        """The signals that were added or inserted, but not committed yet.

        For testing functions that leave the commit to their callers.
        """
        return UncommittedSignals(self._bus, self._journal)

    def clear(self) -> None:
        """Forget the signals recorded so far, for example in the setup of a test."""
        self._journal.clear()

    def _entries(self) -> list[Entry]:
        return self._journal.committed
