"""Send the messages of one app to its server."""

from __future__ import annotations

import typing as t

from signalbus.brokers import CheckLine
from signalbus.brokers import PerProcess
from signalbus.brokers import Sender
from signalbus.exceptions import BrokerUnavailableError
from signalbus.exceptions import SettingError

from signalbus_redis._url import URL_SETTING

if t.TYPE_CHECKING:
    from signalbus.brokers import WaitLimit
    from signalbus.messages import MessageBatch
    from signalbus.typing import SignalModel

    from signalbus_redis._pool import Pool
    from signalbus_redis._url import ServerUrl


class RedisSender(Sender):
    """Sends the messages of one app to its server.

    redis-py is imported when it is first used.

    :param url: where the server is; ``None`` if the app does not say so.
    """

    def __init__(self, url: ServerUrl | None) -> None:
        self._url = url
        self._pool: PerProcess[Pool] = PerProcess(
            self._make_pool, lambda pool: pool.close()
        )

    def send(self, batch: MessageBatch, limit: WaitLimit) -> None:
        """Send the messages of *batch*, and confirm those that Redis has added.

        :raises BrokerUnavailableError: if some get no reply.
        """
        from signalbus_redis import _delivery

        pool = self._open_pool()
        _delivery.deliver(batch, pool, limit)

    def check(
        self, models: t.Sequence[SignalModel], limit: WaitLimit
    ) -> t.Iterable[CheckLine]:
        """Check whether the server can be reached, and the streams of *models*."""
        from signalbus_redis import _check

        try:
            pool = self._open_pool()
        except BrokerUnavailableError as error:
            return [CheckLine("Redis", str(error))]
        return _check.check(models, pool, limit)

    def close(self) -> None:
        """Close the idle connections of this process."""
        self._pool.discard()

    def _open_pool(self) -> Pool:
        try:
            return self._pool.get()
        except SettingError as error:  # it is not the fault of the signals
            raise BrokerUnavailableError(str(error)) from error

    def _make_pool(self) -> Pool:
        from signalbus_redis._connection import connection_maker
        from signalbus_redis._pool import Pool

        if self._url is None:
            raise SettingError(
                f"{URL_SETTING} is not set in app.config, and models name Redis as"
                " their broker. Set it to the server's URL; until then their signals"
                " stay pending."
            )
        return Pool(self._url, connection_maker(self._url))
