"""Read the state of all signal models, and of the relays."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import typing as t

import sqlalchemy.exc as sa_exc
from signalbus import SignalBusError
from signalbus.exceptions import describe_error

from signalbus_dashboard import _plugins
from signalbus_dashboard._backlog import LIMIT
from signalbus_dashboard._backlog import Backlog
from signalbus_dashboard._backlog import Pending
from signalbus_dashboard._headline import Facts
from signalbus_dashboard._headline import Headline
from signalbus_dashboard._headline import headline
from signalbus_dashboard._names import named_models

if t.TYPE_CHECKING:
    from signalbus import SignalBus
    from signalbus.typing import SignalModel
    from signalbus_relay import SeenRelay

#: The errors that may occur when a database is read.
_ERRORS: t.Final = (SignalBusError, sa_exc.SQLAlchemyError)


@dataclasses.dataclass
class ModelState:
    """What the overview says about one signal model.

    :ivar failing: how many signals wait for their next attempt; ``None`` if failures
        are not recorded.
    :ivar counts_all_failures: whether all of them have been counted.
    :ivar broker: the name of the broker; ``None`` if the model sends by itself.
    :ivar has_key: whether the model has an ordering key.
    :ivar holds_back: whether a parked signal holds back others: those that have its
        ordering key, or all others, if the model has an order and no such key.
    :ivar is_down: whether its broker, or the model itself if it has none, is down.
    :ivar probed_in: in how many seconds this process tries it again, if it does.
    :ivar error: why it could not be read.
    """

    name: str
    broker: str | None
    has_key: bool = False
    pending: Pending = dataclasses.field(default_factory=lambda: Pending(0))
    failing: int | None = None
    parked: int | None = None
    counts_all_failures: bool = True
    holds_back: bool = False
    is_down: bool = False
    probed_in: float | None = None
    error: str | None = None

    @property
    def awaits_broker(self) -> bool:
        """Whether some pending signals have not failed themselves."""
        failed = (self.failing or 0) + (self.parked or 0)
        return self.pending.count > failed or not self.pending.is_complete


@dataclasses.dataclass(frozen=True)
class Overview:
    """The content of the first page.

    :param relays: the relays that have a row; ``None`` if that is unknown.
    :param has_relay: whether ``signalbus-relay`` is there, so that relays are known.
    :param notes: other problems.
    """

    headline: Headline
    models: t.Sequence[ModelState]
    relays: t.Sequence[SeenRelay] | None
    pending: int
    is_complete: bool
    failing: int | None
    parked: int | None
    has_retry: bool
    has_relay: bool
    notes: t.Sequence[str]

    @property
    def sent(self) -> int | None:
        """How many signals the running relays have sent."""
        if self.relays is None:
            return None
        return sum(each.sent for relay in self.relays for each in relay.models.values())


class OverviewReader:
    """Reads the overview of one bus. Make one for each bus, and keep it."""

    def __init__(self, bus: SignalBus) -> None:
        self._bus = bus
        self._backlogs: dict[SignalModel, Backlog] = {}

    def read(self) -> Overview:
        """Return the overview. It takes a few bounded statements for each model."""
        notes: list[str] = []
        has_retry = _plugins.has_retry(self._bus)
        states = self._states()
        if has_retry:
            self._count_failures(states, notes)
        relays = self._relays(notes)
        self._find_down(states, relays or ())
        return self._joined(list(states.values()), relays, notes, has_retry=has_retry)

    def _states(self) -> dict[SignalModel, ModelState]:
        """Return the models, with their pending signals."""
        states = {}
        for name, model in named_models(self._bus).items():
            declared = self._bus.declaration(model)
            has_key = bool(declared.ordering_key)
            states[model] = ModelState(name, declared.broker, has_key)
        binds = collections.defaultdict(list)
        for model in states:
            binds[self._bus.declaration(model).bind_key].append(self._backlog(model))
        for backlogs in binds.values():
            self._read_pending(backlogs, states)
        return states

    def _backlog(self, model: SignalModel) -> Backlog:
        backlog = self._backlogs.get(model)
        return backlog or self._backlogs.setdefault(model, Backlog(self._bus, model))

    def _read_pending(
        self, backlogs: list[Backlog], states: dict[SignalModel, ModelState]
    ) -> None:
        """Read the models of one database over one connection, while that works."""
        left = list(backlogs)
        while left:
            try:
                with left[0].rows.look() as connection:
                    while left:
                        states[left[0].model].pending = left[0].read(connection)
                        left.pop(0)
            except _ERRORS as error:
                states[left.pop(0).model].error = describe_error(error)

    def _count_failures(
        self, states: dict[SignalModel, ModelState], notes: list[str]
    ) -> None:
        from signalbus_dashboard import _failed

        for model, state in states.items():
            try:
                counts = _failed.count(self._bus, model, LIMIT)
            except _ERRORS as error:
                notes.append(describe_error(error))
                continue
            state.failing, state.parked = counts.waiting, counts.parked
            state.counts_all_failures = counts.is_complete
            keeps_order = state.has_key or self._bus.declaration(model).is_ordered
            skips = getattr(model, "signalbus_on_parked", None) == "skip"
            state.holds_back = bool(counts.parked) and keeps_order and not skips

    def _relays(self, notes: list[str]) -> list[SeenRelay] | None:
        """Return the relays; ``None`` if it is not known whether there are any."""
        if not _plugins.has_relay(self._bus):
            return None
        from signalbus_dashboard import _relays

        errors: list[Exception] = []
        relays = _relays.read(self._bus, errors.append)
        notes += map(describe_error, errors)
        return relays if relays or not errors else None

    def _find_down(
        self, states: dict[SignalModel, ModelState], relays: t.Iterable[SeenRelay]
    ) -> None:
        """Mark what this process or a relay has found down, and not yet back.

        A process that has found a broker down tries it again only with a signal. If no
        signal waits for the broker, another process has sent them, so it is back.
        """
        down = self._bus.breakers.open()
        awaited = {
            self._bus.declaration(model).sender
            for model, state in states.items()
            if state.awaits_broker
        }
        reported = {
            name
            for relay in relays
            if relay.is_alive
            for name, report in relay.models.items()
            if report.is_down
        }
        for model, state in states.items():
            sender = self._bus.declaration(model).sender
            state.probed_in = down.get(sender)
            is_found = state.probed_in is not None or state.name in reported
            state.is_down = is_found and sender in awaited

    def _joined(
        self,
        states: list[ModelState],
        relays: list[SeenRelay] | None,
        notes: list[str],
        *,
        has_retry: bool,
    ) -> Overview:
        facts = self._facts(states, relays)
        return Overview(
            headline=headline(facts),
            models=states,
            relays=relays,
            pending=facts.pending,
            is_complete=facts.is_complete,
            failing=facts.failing if has_retry else None,
            parked=facts.parked if has_retry else None,
            has_retry=has_retry,
            has_relay=_plugins.has_relay(self._bus),
            notes=list(dict.fromkeys(notes)),
        )

    def _facts(self, states: list[ModelState], relays: list[SeenRelay] | None) -> Facts:
        times = [each.pending.oldest_at for each in states]
        known = [time for time in times if time is not None]
        now = dt.datetime.now(dt.timezone.utc)
        silences = [relay.silence for relay in relays or ()]
        down = [each.broker or each.name for each in states if each.is_down]
        holding = [each for each in states if each.holds_back]
        return Facts(
            pending=sum(each.pending.count for each in states),
            is_complete=all(each.pending.is_complete for each in states),
            failing=sum(each.failing or 0 for each in states),
            parked=sum(each.parked or 0 for each in states),
            holding=[each.name for each in holding if not each.has_key],
            holding_by_key=[each.name for each in holding if each.has_key],
            oldest=now - min(known) if known else None,
            down=list(dict.fromkeys(down)),
            relays=None if relays is None else sum(each.is_alive for each in relays),
            silence=min(silences, default=None),
            needs_relay=self._bus.autoflush is False,
            unread=[each.name for each in states if each.error],
        )
