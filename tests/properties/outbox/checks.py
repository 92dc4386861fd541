"""What holds of every run: what it sent, what is gone, what is left, what it said."""

from __future__ import annotations

import dataclasses
import typing as t

from outbox.models import KINDS
from outbox.wire import ENDINGS

if t.TYPE_CHECKING:
    from outbox.ledger import Ledger
    from outbox.models import Kind
    from outbox.shop import Row
    from outbox.wire import Call


@dataclasses.dataclass
class Run:
    """A flush, or an autoflush, from the outside.

    :param before: the committed rows when it began.
    :param after: and when it had ended.
    :param probed: the senders that were known to be down.
    :param error: what it has raised.
    """

    before: dict[int, Row]
    after: dict[int, Row]
    calls: list[Call]
    probed: set[str]
    error: BaseException | None = None

    @property
    def gone(self) -> set[int]:
        """The signals whose rows it has deleted."""
        return self.before.keys() - self.after.keys()

    @property
    def attempted(self) -> set[int]:
        """The signals that a sender was given."""
        return {number for call in self.calls for number in call.numbers}

    @property
    def interrupted(self) -> str | None:
        """The model in which the run was interrupted."""
        models = [call.model for call in self.calls if call.is_interrupted]
        return models[0] if models else None

    @property
    def unavailable(self) -> set[str]:
        """The senders that could not be reached."""
        return {KINDS[call.model].sender for call in self.calls if call.is_unavailable}

    @property
    def confirmed(self) -> set[int]:
        """The signals that were confirmed."""
        return {number for call in self.calls for number in call.confirmed}

    @property
    def kept(self) -> set[int]:
        """The signals that have failed on their own."""
        return {number for call in self.calls for number in call.failed}

    def of(self, model: str) -> list[Row]:
        """Return the rows of a model that were there, by primary key."""
        rows = (row for row in self.before.values() if row.model == model)
        return sorted(rows, key=lambda row: (row.id, row.account))


def check_promises(run: Run, ledger: Ledger) -> None:
    """Check what holds of every way of flushing."""
    check_nothing_is_made_up(run)
    check_gone_is_confirmed(run, ledger)
    check_nothing_is_repeated(run, ledger)
    check_senders_that_are_down(run)
    check_bursts(run)
    check_keys_are_in_order(run)


def check_nothing_is_made_up(run: Run) -> None:
    """Check that what is sent is a committed signal, as it was committed."""
    assert run.after.keys() <= run.before.keys()
    for call in run.calls:
        assert call.numbers
        for number, text in zip(call.numbers, call.texts, strict=True):
            assert number in run.before, "phantom"
            assert text == run.before[number].text
            assert call.model == run.before[number].model


def check_gone_is_confirmed(run: Run, ledger: Ledger) -> None:
    """Check that a row is gone if and only if its message was confirmed.

    Only an interrupt lets the burst at hand be sent again.
    """
    assert run.gone <= run.confirmed
    repeated = run.confirmed - run.gone
    if repeated:
        assert run.interrupted is not None
        kind = KINDS[run.interrupted]
        assert len(repeated) < kind.burst_count
        assert {kind.name} == {run.before[number].model for number in repeated}
    for number in repeated:
        ledger.excuse(number)


def check_nothing_is_repeated(run: Run, ledger: Ledger) -> None:
    """Check that no sender gets again what it has got, or has refused."""
    settled: set[int] = set()
    for call in run.calls:
        assert not settled & set(call.numbers), "tried again"
        settled |= call.confirmed | call.failed
        for number in call.delivered:
            if number not in call.confirmed:
                ledger.excuse(number)
            ledger.deliver(number)


def check_senders_that_are_down(run: Run) -> None:
    """Check that a broker that is down is asked once, and with one signal at first."""
    down: set[str] = set()
    probed = set(run.probed)
    for call in run.calls:
        sender = KINDS[call.model].sender
        assert sender not in down, "sent to a broker that is down"
        if sender in probed:
            assert 1 == len(call.numbers), "probed with more than one signal"
            probed.discard(sender)
        if call.is_unavailable:
            down.add(sender)


def check_bursts(run: Run) -> None:
    """Check that no burst is too large, and none has two signals of one key."""
    for call in run.calls:
        kind = KINDS[call.model]
        assert len(call.numbers) <= kind.burst_count
        if kind.is_keyed:
            accounts = [run.before[number].account for number in call.numbers]
            assert len(accounts) == len(set(accounts))


def check_keys_are_in_order(run: Run) -> None:
    """Check that a signal waits until all in front of it in its key are confirmed."""
    confirmed: set[int] = set()
    for call in run.calls:
        if KINDS[call.model].is_keyed:
            for number in call.numbers:
                assert set(in_front(run, number)) <= confirmed, "overtaken"
        confirmed |= call.confirmed


def in_front(run: Run, number: int) -> list[int]:
    """Return what is in front of a signal of an ordering key."""
    this = run.before[number]
    return [
        row.number
        for row in run.of(this.model)
        if row.account == this.account and row.id < this.id
    ]


def check_all_are_tried(run: Run, chosen: t.Iterable[str], locked: set[int]) -> None:
    """Check that one signal that fails stops no other.

    :param chosen: the models that were to be flushed.
    :param locked: the signals that the user's transaction may have locked.
    """
    if run.interrupted:
        return
    for kind in (KINDS[name] for name in chosen):
        if kind.sender not in run.unavailable:
            assert expected(run, kind, locked) <= run.attempted, "not tried"


def expected(run: Run, kind: Kind, locked: set[int]) -> set[int]:
    """Return what must be tried of a model."""
    rows = run.of(kind.name)
    if not kind.is_keyed:
        return {row.number for row in rows} - locked
    stuck: set[str] = set()
    free: set[int] = set()
    for row in rows:
        if row.number in locked:
            stuck.add(row.account)
        if row.account not in stuck:
            free.add(row.number)
        if row.number not in run.confirmed:
            stuck.add(row.account)
    return free


def check_order(run: Run, chosen: t.Iterable[str]) -> None:
    """Check that ``flushordered`` sends in order, and stops at what fails."""
    for kind in (KINDS[name] for name in chosen if not KINDS[name].is_keyed):
        rows = run.of(kind.name)
        if kind.by_rank:
            rows.sort(key=lambda row: -row.rank)
        order = [row.number for row in rows]
        tried: list[int] = []
        for call in run.calls:
            if call.model == kind.name:
                tried += [number for number in call.numbers if number not in tried]
        assert order[: len(tried)] == tried, "out of order"
        check_stop(run, kind, order, tried)


def check_stop(run: Run, kind: Kind, order: list[int], tried: list[int]) -> None:
    """Check that a model goes on up to the first failure, and no further."""
    failed = [number for number in tried if number not in run.confirmed]
    is_complete = run.interrupted or kind.sender in run.unavailable
    if not failed and not is_complete:
        assert order == tried, "not all were sent"
    if failed and not kind.has_burst_method:
        assert failed == tried[-1:], "went on after a failure"


def check_answer(run: Run, answer: int | None, sent: int) -> None:
    """Check that a flush returns how many it has sent, or raises what is left."""
    assert len(run.gone) == sent, "plugins were told of another number"
    if run.interrupted:
        assert isinstance(run.error, tuple(ENDINGS.values()))
    elif run.kept or run.unavailable:
        assert isinstance(run.error, Exception)
        check_notes(run, getattr(run.error, "__notes__", []))
    else:
        assert len(run.gone) == answer


def check_notes(run: Run, notes: list[str]) -> None:
    """Check that the notes of an error name what is left, and nothing else."""
    by_model: dict[str, list[int]] = {}
    for number in run.kept:
        by_model.setdefault(run.before[number].model, []).append(number)
    for name, numbers in by_model.items():
        lines = [note for note in notes if note.startswith((f"{name}(", f"{name}:"))]
        assert 1 == len(lines), notes
        if len(numbers) == 1:
            assert f"(id={run.before[numbers[0]].id}" in lines[0]
        else:
            assert lines[0].startswith(f"{name}: {len(numbers)} signals were not sent")
    for sender in run.unavailable:
        assert any("is unavailable" in note and sender in note for note in notes)
    assert len(notes) == len(by_model) + len(run.unavailable), notes


def check_autoflush(run: Run, recorded: list[Row]) -> None:
    """Check that autoflush sends what was recorded, and nothing else.

    But older signals of the same key go first.
    """
    numbers = {row.number for row in recorded}
    for number in run.attempted - numbers:
        row = run.before[number]
        assert KINDS[row.model].is_keyed
        assert any(
            (row.model, row.account) == (new.model, new.account) and row.id < new.id
            for new in recorded
        ), "nobody has recorded it"
    if run.interrupted:
        return
    for kind in KINDS.values():
        mine = [row for row in recorded if row.model == kind.name]
        if kind.sender in run.unavailable | run.probed:
            continue
        if kind.is_keyed:
            check_keyed_autoflush(run, kind, mine)
            continue
        assert {row.number for row in mine} <= run.attempted, "not autoflushed"


def check_keyed_autoflush(run: Run, kind: Kind, mine: list[Row]) -> None:
    """Check that signals of a key go if all older ones do, and those are few."""
    must = expected(run, kind, set())
    for account in {row.account for row in mine}:
        queue = [row.number for row in run.of(kind.name) if row.account == account]
        new = {row.number for row in mine if row.account == account}
        older = queue[: next(at for at, number in enumerate(queue) if number in new)]
        if len(older) <= 10 and len(queue) <= 10:
            wanted = queue[: max(at for at, n in enumerate(queue) if n in new) + 1]
            assert must & set(wanted) <= run.attempted, "not autoflushed"


def check_order_of_autoflush(run: Run, recorded: list[Row]) -> None:
    """Check that models go in the order of their first signals, each in order."""
    order = list(dict.fromkeys(row.model for row in recorded))
    got = list(dict.fromkeys(call.model for call in run.calls))
    assert [name for name in order if name in got] == got
    tried = list(dict.fromkeys(n for call in run.calls for n in call.numbers))
    for name in (name for name in got if not KINDS[name].is_keyed):
        wanted = [row.number for row in recorded if row.model == name]
        mine = [number for number in tried if run.before[number].model == name]
        assert wanted[: len(mine)] == mine
