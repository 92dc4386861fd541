"""The broker named ``redis``."""

from __future__ import annotations

import typing as t

from signalbus.brokers import BrokerPlugin
from signalbus.messages import MessageAttribute
from signalbus.messages import misdeclared

from signalbus_redis._sender import RedisSender
from signalbus_redis._url import URL_SETTING
from signalbus_redis._url import ServerUrl

if t.TYPE_CHECKING:
    from flask import Flask
    from signalbus.typing import Bus
    from signalbus.typing import SignalModel

STREAM = MessageAttribute("signalbus_stream", "the key of a stream")
MAXLEN = MessageAttribute(
    "signalbus_stream_maxlen", "a positive number of entries", (int,), is_required=False
)


class RedisBroker(BrokerPlugin):
    """Sends the signals of models that name the broker ``redis``."""

    name = "redis"
    settings = (URL_SETTING,)
    attributes = (STREAM, MAXLEN)

    def make_sender(self, app: Flask) -> RedisSender:
        """Return a sender for the messages of *app*.

        :raises SettingError: if the URL is malformed.
        """
        url = app.config.get(URL_SETTING)
        return RedisSender(ServerUrl.read(url) if url else None)

    def check_model(self, bus: Bus, model: SignalModel) -> None:  # noqa: ARG002 its API
        """Reject *model* if its streams would keep nothing."""
        maxlen = getattr(model, MAXLEN.name, None)
        if isinstance(maxlen, int) and maxlen < 1:
            raise misdeclared(model, self.name, MAXLEN.name, maxlen, MAXLEN.what)


broker = RedisBroker()
