"""Deliver a burst, over a new connection if the first one is lost."""

from __future__ import annotations

import typing as t

import redis

from signalbus_redis import _errors
from signalbus_redis._pipeline import Pipeline

if t.TYPE_CHECKING:
    from signalbus.brokers import WaitLimit
    from signalbus.messages import MessageBatch

    from signalbus_redis._pool import Pool


class _LostConnectionError(Exception):
    """The connection was lost while *pipeline* used it."""

    def __init__(self, pipeline: Pipeline, reason: redis.ConnectionError) -> None:
        super().__init__(str(reason))
        self.reason = reason
        self.has_settled = pipeline.has_settled
        self.large = pipeline.large


def deliver(batch: MessageBatch, pool: Pool, limit: WaitLimit) -> None:
    """Send the messages of *batch*, and settle those that get a reply.

    If the connection is lost, the messages without a reply are sent again over a new
    one: once, and again each time that settles some. A large message that has broken
    two connections, each time alone, is refused, since the server or a proxy does not
    accept so much data.

    :raises BrokerUnavailableError: if some get no reply.
    """
    before: _LostConnectionError | None = None
    is_fresh = False
    while True:
        try:
            _attempt(batch, pool, limit, fresh=is_fresh)
        except _LostConnectionError as lost:
            is_fresh = True
            if before is None or lost.has_settled:
                before = lost
            elif lost.large is not None and lost.large == before.large:
                before = None
                error = _errors.of_large_message(pool.url, lost.large)
                batch.fail(lost.large.position, error)
            else:
                raise _errors.of_connection(lost.reason, pool.url) from lost.reason
        else:
            return


def _attempt(batch: MessageBatch, pool: Pool, limit: WaitLimit, *, fresh: bool) -> None:
    try:
        with pool.connection(limit, fresh=fresh) as connection:
            pipeline = Pipeline(batch, connection, pool.url)
            try:
                pipeline.run()
            except redis.ConnectionError as error:
                if _errors.is_lost_connection(error):
                    raise _LostConnectionError(pipeline, error) from error
                raise
    except redis.RedisError as error:
        raise _errors.of_connection(error, pool.url) from error
