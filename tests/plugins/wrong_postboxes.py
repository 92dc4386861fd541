"""Brokers that are wrong, each in one way, for the suite to find them.

They do what `signalbus_postbox` does, but for that.
"""

from __future__ import annotations

import atexit
import contextlib
import http.client
import json
import secrets
import socket
import threading
import typing as t

from signalbus import hookimpl
from signalbus.exceptions import BrokerTimeoutError
from signalbus.exceptions import BrokerUnavailableError
from signalbus.messages import MessageBatch
from signalbus_postbox import PostboxBroker
from signalbus_postbox import PostboxSender
from signalbus_postbox import _fields

if t.TYPE_CHECKING:
    from flask import Flask
    from signalbus.brokers import CheckLine
    from signalbus.brokers import WaitLimit
    from signalbus.messages import Message
    from signalbus.typing import Bus
    from signalbus.typing import Signal
    from signalbus.typing import SignalModel


class Edited(MessageBatch):
    """A batch whose messages are changed before they are sent."""

    def __init__(
        self, batch: MessageBatch, edit: t.Callable[[Message], Message]
    ) -> None:
        """Be *batch*, and *edit* each message."""
        self.__dict__ = {**batch.__dict__, "edit": edit}

    def __iter__(self) -> t.Iterator[Message]:
        """Edit each message."""
        return map(self.__dict__["edit"], super().__iter__())


class Hasty(PostboxSender):
    """Confirms what it has not sent yet."""

    def send(self, batch: MessageBatch, limit: WaitLimit) -> None:
        """Send in the background."""
        messages = list(batch)
        batch.confirm_all()
        threading.Thread(target=_post_again, args=[self, messages, limit]).start()


class Optimist(PostboxSender):
    """Takes it that messages arrive, whatever happens to the request."""

    def send(self, batch: MessageBatch, limit: WaitLimit) -> None:
        """Pass over every error."""
        with contextlib.suppress(BrokerUnavailableError):
            super().send(batch, limit)
        batch.failures.clear()
        batch.confirm_all()


class Coarse(PostboxSender):
    """Fails the whole burst where one message was refused."""

    def send(self, batch: MessageBatch, limit: WaitLimit) -> None:
        """Give each message the failure of one."""
        super().send(batch, limit)
        for error in list(batch.failures.values()):
            for position in range(len(batch)):
                batch.fail(position, error)


class Miscounting(PostboxSender):
    """Counts positions from one."""

    def send(self, batch: MessageBatch, limit: WaitLimit) -> None:
        """Move each failure."""
        super().send(batch, limit)
        failures = {at + 1: error for at, error in batch.failures.items()}
        batch.failures.clear()
        batch.failures.update(failures)


class Patient(PostboxSender):
    """Waits for an answer for as long as it takes."""

    def _exchange(self, method: str, content: str | None, limit: WaitLimit) -> bytes:
        connection = http.client.HTTPConnection(self._address)
        connection.request(method, "/", content)
        return connection.getresponse().read()


class Deaf(PostboxSender):
    """Does not hear that its process is told to stop."""

    def _exchange(self, method: str, content: str | None, limit: WaitLimit) -> bytes:
        connection = http.client.HTTPConnection(self._address, timeout=30)
        connection.request(method, "/", content)
        return connection.getresponse().read()


class Alarmist(PostboxSender):
    """Takes a refused message for the end of the broker."""

    def send(self, batch: MessageBatch, limit: WaitLimit) -> None:
        """Give each failure another reason."""
        super().send(batch, limit)
        for position in list(batch.failures):
            batch.fail(position, BrokerUnavailableError())


class Vague(PostboxSender):
    """Does not tell a silent broker from one that is not there."""

    def send(self, batch: MessageBatch, limit: WaitLimit) -> None:
        """Hide that it took too long."""
        try:
            super().send(batch, limit)
        except BrokerTimeoutError as error:
            raise BrokerUnavailableError(str(error)) from error


class Renaming(PostboxSender):
    """Gives a message another id whenever it is sent."""

    def send(self, batch: MessageBatch, limit: WaitLimit) -> None:
        """Make ids up."""
        edited = Edited(batch, lambda m: m._replace(id=secrets.token_hex(8)))
        super().send(edited, limit)


class Headless(PostboxSender):
    """Sends no headers."""

    def send(self, batch: MessageBatch, limit: WaitLimit) -> None:
        """Leave them out."""
        super().send(Edited(batch, lambda m: m._replace(headers={})), limit)


class Literate(PostboxSender):
    """Takes bodies for text."""

    def send(self, batch: MessageBatch, limit: WaitLimit) -> None:
        """Decode them, and encode them again."""
        super().send(Edited(batch, lambda m: m._replace(body=_as_text(m.body))), limit)


class Repeating(PostboxSender):
    """Sends everything again where something was refused."""

    def send(self, batch: MessageBatch, limit: WaitLimit) -> None:
        """Send twice."""
        messages = list(batch)
        super().send(batch, limit)
        if batch.failures:
            _post_again(self, messages, limit)


class Clinging(PostboxSender):
    """Keeps a connection that is dead, and fails with it."""

    _kept: socket.socket | None = None

    def send(self, batch: MessageBatch, limit: WaitLimit) -> None:
        """Do not send without the first connection."""
        host, _, port = self._address.partition(":")
        self._kept = self._kept or socket.create_connection((host, int(port)))
        self._kept.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            if self._kept.recv(1) == b"":
                raise BrokerUnavailableError
        super().send(batch, limit)


class Blind(PostboxSender):
    """Finds nothing wrong."""

    def check(
        self, models: t.Sequence[SignalModel], limit: WaitLimit
    ) -> t.Iterator[CheckLine]:
        """Look at nothing."""
        return iter(())


class Talkative(PostboxSender):
    """Has a last word when the interpreter ends."""

    def send(self, batch: MessageBatch, limit: WaitLimit) -> None:
        """Print at the end."""
        atexit.register(print, "Goodbye from Postbox!")
        super().send(batch, limit)


class Lingering(PostboxSender):
    """Leaves a thread that keeps the interpreter from ending."""

    def send(self, batch: MessageBatch, limit: WaitLimit) -> None:
        """Start a thread that waits for nothing."""
        super().send(batch, limit)
        threading.Thread(target=threading.Event().wait).start()


class Fatalist(PostboxSender):
    """Refuses a message for what the model's own function did to it."""

    def send(self, batch: MessageBatch, limit: WaitLimit) -> None:
        """Take the failure of one for an outage."""
        for _ in batch:
            if batch.failures:
                raise BrokerUnavailableError
        super().send(batch, limit)


def _post_again(
    sender: PostboxSender, messages: list[Message], limit: WaitLimit
) -> None:
    """Post *messages*, whatever becomes of them."""
    content = json.dumps([_fields(message) for message in messages])
    with contextlib.suppress(BrokerUnavailableError):
        sender._request("POST", content, limit)  # noqa: SLF001 ours


def _as_text(body: bytes) -> bytes:
    return body.decode(errors="replace").encode()


class Wrong(PostboxBroker):
    """Postbox with another sender."""

    def __init__(self, sender: type[PostboxSender]) -> None:
        """Send by a *sender* of this class."""
        self._sender = sender

    def make_sender(self, app: Flask) -> PostboxSender:
        """Return the sender."""
        return self._sender(app.config["SIGNALBUS_POSTBOX_ADDRESS"])


class Greedy(PostboxBroker):
    """Sends the models of other brokers, too."""

    @hookimpl
    def signalbus_send_burst(
        self,
        bus: Bus,
        model: SignalModel,
        signals: t.Sequence[Signal],
        timeout: float | None,
    ) -> bool | None:
        """Send whatever comes."""
        self._of_app().send(bus, model, signals, timeout)
        return True


alarmist = Wrong(Alarmist)
blind = Wrong(Blind)
clinging = Wrong(Clinging)
coarse = Wrong(Coarse)
deaf = Wrong(Deaf)
fatalist = Wrong(Fatalist)
greedy = Greedy()
hasty = Wrong(Hasty)
headless = Wrong(Headless)
lingering = Wrong(Lingering)
literate = Wrong(Literate)
miscounting = Wrong(Miscounting)
optimist = Wrong(Optimist)
patient = Wrong(Patient)
renaming = Wrong(Renaming)
repeating = Wrong(Repeating)
talkative = Wrong(Talkative)
vague = Wrong(Vague)
