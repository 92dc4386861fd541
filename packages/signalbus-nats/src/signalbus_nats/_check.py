"""Check whether NATS has what models need."""

from __future__ import annotations

import typing as t

from signalbus.brokers import CheckLine

from signalbus_nats import _api
from signalbus_nats._unclaimed import add_stream

if t.TYPE_CHECKING:
    from signalbus.typing import SignalModel

_ENABLE = "Start nats-server with JetStream (-js), and allow it for the account."


def check(models: t.Sequence[SignalModel], ask: _api.Ask) -> t.Iterator[CheckLine]:
    """Yield a line for JetStream, and one for each of *models*."""
    (account,) = _api.put(ask, _api.account())
    if account.is_absent:
        yield CheckLine("JetStream", f"{account.problem}. {_ENABLE}")
        return
    yield CheckLine("JetStream", good=_unless_unknown(account, "ok"))
    for model in models:
        subject = getattr(model, "signalbus_subject", None)
        name = model.__name__
        if isinstance(subject, str):
            yield _of_subject(f"{name}: subject {subject!r}", subject, ask)
        else:
            yield CheckLine(f"{name}: subject", good="each signal has its own")


def _of_subject(what: str, subject: str, ask: _api.Ask) -> CheckLine:
    (names,) = _api.put(ask, _api.streams_of(subject))
    if names.problem:
        return CheckLine(what, good=_unless_unknown(names, "ok"))
    found = names.content.get("streams")
    if not found:
        return CheckLine(what, f"no stream takes it. {add_stream(subject)}")
    (stream,) = _api.put(ask, _api.stream(found[0]))
    config = stream.content.get("config", {})
    return CheckLine(what, _complaint(found[0], config), _good(found[0], config))


def _unless_unknown(answer: _api.Answer, good: str) -> str:
    """Return *good*, or why it was not checked: sending needs fewer permissions."""
    return f"not checked: {answer.problem}" if answer.problem else good


def _complaint(name: str, config: dict[str, t.Any]) -> str | None:
    """Return why no message to the stream *name* would be confirmed, if that is so."""
    if config.get("no_ack"):
        return (
            f"the stream {name!r} confirms nothing (no_ack). Let it confirm: `nats"
            f" stream edit {name} --ack`."
        )
    if config.get("sealed"):
        return f"the stream {name!r} is sealed, and takes nothing. Use another one."
    return None


def _good(name: str, config: dict[str, t.Any]) -> str:
    """Return a description of the stream *name*, which has no problem."""
    if not config:  # the user must not ask about it
        return f"ok (stream {name})"
    replicas = config.get("num_replicas", 1)
    copies = "1 replica" if replicas == 1 else f"{replicas} replicas"
    return f"ok (stream {name}, {config.get('storage')} storage, {copies})"
