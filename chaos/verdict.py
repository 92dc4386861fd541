"""The verdict: what was recorded against what arrived, by counting."""

from __future__ import annotations

import collections
import dataclasses
import typing as t

from chaos.books import is_poison

if t.TYPE_CHECKING:
    from chaos.books import Books
    from chaos.ledger import Arrival

#: Within how many seconds signals must flow again after a fault has ended.
RESUME_LIMIT = 5.0

#: How long after a fault a sender may still wait for what was cut, in seconds.
LATE = 5.0

#: Within how many seconds all must be sent that was pending when a fault has ended.
CATCH_UP_LIMIT = 15.0


@dataclasses.dataclass(frozen=True)
class Fault:
    """When a fault happened, and how long it took to recover from it, in seconds.

    :ivar began: in seconds since 1970.
    :ivar ended: likewise.
    :ivar resumed: how long after its end signals of all models flowed. Where they must
        flow while the fault lasts, the time that took counts, too.
    :ivar caught_up: how long after its end all was sent that was pending.
    """

    began: float
    ended: float
    resumed: float
    caught_up: float

    def explains(self, first: float, second: float) -> bool:
        """Return whether it may have cut what was sent first, so that it came again.

        :param first: when the message was made that was sent first.
        :param second: when the message had arrived for the second time.
        """
        return first <= self.ended + LATE and self.began <= second


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What the ledgers say of a scenario.

    :ivar recorded: how many signals were committed; poison counts as one of them.
    :ivar delivered: how many of them arrived, each counted once.
    :ivar parked: how many wait for a person: the poison, and nothing else.
    :ivar lost: how many were committed and neither arrived nor are still there.
    :ivar phantom: how many arrived and were never committed.
    :ivar forgotten: how many commits the database confirmed and does not know.
    :ivar duplicates: how many arrived again, in all.
    :ivar allowed: how many may: a burst for each that a fault may have cut.
    :ivar unexplained: how many arrived again though there was no fault in between.
    :ivar disordered: how many first arrivals were before one in front of it in its key.
    :ivar orphans: how many entries of failures have no signal.
    :ivar pending: how many were left when everybody had had time to send them.
    :ivar faults: how many faults there were.
    :ivar resumed: the longest time until signals of all models flowed, in seconds.
    :ivar caught_up: the longest time until all was sent that was pending when a fault
        ended, in seconds.
    """

    recorded: int
    delivered: int
    parked: int
    lost: int
    phantom: int
    forgotten: int
    duplicates: int
    allowed: int
    unexplained: int
    disordered: int
    orphans: int
    pending: int
    faults: int
    resumed: float
    caught_up: float

    def failures(self, patience: float = 1.0) -> list[str]:
        """Return what breaks a promise.

        :param patience: by what the limits of time are multiplied.
        """
        broken = [
            f"{getattr(self, name)} {name}"
            for name in ("lost", "phantom", "forgotten", "disordered", "orphans")
            if getattr(self, name)
        ]
        if self.pending:
            broken.append(f"{self.pending} pending at the end")
        if self.duplicates > self.allowed:
            broken.append(f"{self.duplicates} duplicates, allowed: {self.allowed}")
        if self.unexplained:
            broken.append(f"{self.unexplained} duplicates without a fault in between")
        if self.resumed > RESUME_LIMIT * patience:
            broken.append(f"flow resumed only after {self.resumed:.1f} s")
        if self.caught_up > CATCH_UP_LIMIT * patience:
            broken.append(f"the backlog was sent only after {self.caught_up:.1f} s")
        if not self.delivered:
            broken.append("nothing was delivered")
        return broken


def judge(
    books: Books,
    arrivals: t.Sequence[Arrival],
    *,
    allowed: int,
    faults: t.Sequence[Fault],
) -> Verdict:
    """Compare what was recorded with what arrived."""
    recorded = set(books.entries)
    times = collections.Counter(arrival.number for arrival in arrivals)
    left = books.pending | books.parked
    return Verdict(
        recorded=len(recorded),
        delivered=len(recorded & times.keys()),
        parked=len(books.parked),
        lost=len(recorded - times.keys() - left),
        phantom=len(times.keys() - recorded),
        forgotten=len(books.confirmed - recorded),
        duplicates=times.total() - len(times),
        allowed=allowed,
        unexplained=count_unexplained(arrivals, faults),
        disordered=count_disordered(books, arrivals),
        orphans=books.orphans,
        pending=len(books.pending) + sum(not is_poison(each) for each in books.parked),
        faults=len(faults),
        resumed=max((each.resumed for each in faults), default=0.0),
        caught_up=max((each.caught_up for each in faults), default=0.0),
    )


def count_unexplained(
    arrivals: t.Iterable[Arrival], faults: t.Collection[Fault]
) -> int:
    """Return how many messages were sent again though no fault was in between."""
    last: dict[str, float] = {}
    count = 0
    for arrival in arrivals:
        before = last.get(arrival.number)
        last[arrival.number] = arrival.sent
        if before is not None:
            first = min(before, arrival.sent)
            count += not any(fault.explains(first, arrival.arrived) for fault in faults)
    return count


def count_disordered(books: Books, arrivals: t.Iterable[Arrival]) -> int:
    """Return how many first arrivals came before one that stood in front of it."""
    last: dict[str, int] = {}
    seen: set[str] = set()
    count = 0
    for arrival in arrivals:
        entry = books.entries.get(arrival.number)
        if entry is None or entry.key is None or arrival.number in seen:
            continue
        seen.add(arrival.number)
        count += last.get(entry.key, -1) > entry.position
        last[entry.key] = max(last.get(entry.key, -1), entry.position)
    return count
