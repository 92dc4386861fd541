"""A headline that says whether all is well or, if not, what is wrong."""

from __future__ import annotations

import dataclasses
import typing as t

from signalbus_dashboard._times import count_text
from signalbus_dashboard._times import signals
from signalbus_dashboard._times import span

if t.TYPE_CHECKING:
    import datetime as dt

#: The levels, from "all is well" to "needs attention".
Level: t.TypeAlias = t.Literal["ok", "busy", "warning", "bad"]


@dataclasses.dataclass(frozen=True)
class Headline:
    """The headline of the overview.

    :param detail: its meaning, as a sentence.
    """

    level: Level
    text: str
    detail: str


@dataclasses.dataclass(frozen=True)
class Facts:
    """The facts from which the headline is made.

    :param pending: how many signals are pending, including those that failed.
    :param is_complete: whether all have been counted.
    :param failing: how many wait for their next attempt.
    :param holding: the names of models in which a parked signal holds back all others.
    :param holding_by_key: the same, where it holds back those with its ordering key.
    :param oldest: how long the oldest has been pending, if that is known.
    :param down: the names of brokers that are down.
    :param relays: how many relays are running; ``None`` if that cannot be known.
    :param silence: how long ago the last relay was seen, if that is known.
    :param needs_relay: whether only a relay sends signals.
    :param unread: the names of models that could not be read.
    """

    pending: int
    is_complete: bool = True
    failing: int = 0
    parked: int = 0
    holding: t.Sequence[str] = ()
    holding_by_key: t.Sequence[str] = ()
    oldest: dt.timedelta | None = None
    down: t.Sequence[str] = ()
    relays: int | None = None
    silence: dt.timedelta | None = None
    needs_relay: bool = False
    unread: t.Sequence[str] = ()


def headline(facts: Facts) -> Headline:
    """Return the headline: the most serious of the *facts*."""
    rules = (_unread, _down, _no_relay, _failing, _pending)
    return next((found for rule in rules if (found := rule(facts))), _well(facts))


def _unread(facts: Facts) -> Headline | None:
    if not facts.unread:
        return None
    names = _list(facts.unread)
    return Headline(
        "bad", f"{names} cannot be read", "The error is in the table below."
    )


def _down(facts: Facts) -> Headline | None:
    if not facts.down:
        return None
    verb = "is" if len(facts.down) == 1 else "are"
    text = f"{_list(facts.down)} {verb} down{_and_pending(facts)}"
    return Headline(
        "bad", text, "Signals stay pending, and are sent when the broker is back."
    )


def _no_relay(facts: Facts) -> Headline | None:
    if facts.relays != 0 or not (facts.pending or facts.needs_relay):
        return None
    since = "" if facts.silence is None else f" for {span(facts.silence)}"
    remedy = "Start one with `flask signalbus run`."
    if not facts.pending:
        return Headline(
            "warning", f"No relay{since}, all sent", f"Nothing sends. {remedy}"
        )
    if not facts.needs_relay:
        remedy = f"Autoflush works, but nothing sends what it leaves pending. {remedy}"
    return Headline("bad", f"No relay{since}{_and_pending(facts)}", remedy)


def _failing(facts: Facts) -> Headline | None:
    if not facts.failing and not facts.parked:
        return None
    parts = [(facts.failing, "failing"), (facts.parked, "parked")]
    text = ", ".join(f"{number:,} {what}" for number, what in parts if number)
    details = [
        f"{signals(facts.failing)} will be tried again." if facts.failing else "",
        "What is parked waits for you." if facts.parked else "",
        f"It holds back all of {_list(facts.holding)}." if facts.holding else "",
        f"In {_list(facts.holding_by_key)}, it holds back those with its ordering key."
        if facts.holding_by_key
        else "",
    ]
    return Headline("warning", text, " ".join(filter(None, details)))


def _pending(facts: Facts) -> Headline | None:
    if not facts.pending:
        return None
    oldest = ""
    if facts.oldest is not None:
        oldest = f"The oldest has been pending for {span(facts.oldest)}."
    return Headline("busy", f"{_count(facts)} pending", oldest or "Nothing has failed.")


def _well(facts: Facts) -> Headline:
    running = ""
    if facts.relays:
        relays = "1 relay is" if facts.relays == 1 else f"{facts.relays:,} relays are"
        running = f" {relays} running."
    return Headline(
        "ok", "All sent", f"Nothing is pending, and nothing has failed.{running}"
    )


def _and_pending(facts: Facts) -> str:
    return f", {_count(facts)} pending" if facts.pending else ""


def _count(facts: Facts) -> str:
    return count_text(facts.pending, is_complete=facts.is_complete)


def _list(names: t.Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
