"""Check whether the server has what models need, and report it line by line."""

from __future__ import annotations

import typing as t

import redis
from signalbus.brokers import CheckLine

from signalbus_redis import _errors
from signalbus_redis import _persistence

if t.TYPE_CHECKING:
    from signalbus.brokers import WaitLimit
    from signalbus.typing import SignalModel

    from signalbus_redis._pool import Pool

#: The types of keys to which messages can be sent, and what is reported about them.
_GOOD_TYPES: t.Final = {
    b"stream": "ok",
    b"none": "ok, the first message creates it",
}


def check(
    models: t.Sequence[SignalModel], pool: Pool, limit: WaitLimit
) -> list[CheckLine]:
    """Return the state of the server, and of the streams of *models*."""
    try:
        with pool.connection(limit, warns=False) as connection:
            keeps = _persistence.read(connection)
            return [
                CheckLine(str(pool.url)),
                CheckLine("Persistence", good=f"{keeps.value}."),
                *(_check_model(each, connection) for each in models),
            ]
    except redis.RedisError as error:
        problem = _errors.of_connection(error, pool.url)
        return [CheckLine("Redis", str(problem))]


def _check_model(model: SignalModel, connection: t.Any) -> CheckLine:
    stream = getattr(model, "signalbus_stream", None)
    if not isinstance(stream, str):
        what = f"{model.__name__}: a stream for each signal"
        return CheckLine(what, good="not checked")
    return _check_key(f"{model.__name__}: stream {stream!r}", stream, connection)


def _check_key(what: str, stream: str, connection: t.Any) -> CheckLine:
    connection.send_command("TYPE", stream)
    try:
        kind: bytes = connection.read_response()
    except redis.ResponseError as error:
        return CheckLine(what, good=f"not checked, since the server says: {error}")
    if kind in _GOOD_TYPES:
        return CheckLine(what, good=_GOOD_TYPES[kind])
    return CheckLine(
        what,
        f"the key is a {kind.decode()}. Delete it, or choose another stream.",
    )
