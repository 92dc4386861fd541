"""Send a burst over one connection, and settle each message by its reply."""

from __future__ import annotations

import typing as t
from collections import deque

import redis
from signalbus.messages import own_failure

from signalbus_redis import _command
from signalbus_redis import _errors
from signalbus_redis._entry import Sent
from signalbus_redis._entry import add_command

if t.TYPE_CHECKING:
    from signalbus.messages import Message
    from signalbus.messages import MessageBatch

    from signalbus_redis._url import ServerUrl

#: How many bytes are sent before all replies are awaited. A larger message is sent
#: alone.
WINDOW: t.Final = 1024 * 1024

#: How many bytes are buffered before they are written.
CHUNK: t.Final = 32 * 1024


class Pipeline:
    """Sends the unsettled messages of *batch* over *connection*.

    Redis answers in the order of the commands. If an error occurs, messages without a
    reply are not settled, and the connection can no longer be used.
    """

    def __init__(self, batch: MessageBatch, connection: t.Any, url: ServerUrl) -> None:
        self._batch = batch
        self._connection = connection
        self._url = url
        self._awaited: deque[Sent] = deque()
        self._unwritten = bytearray()
        self._size = 0
        self._unavailable: Exception | None = None
        #: Whether any message got its reply.
        self.has_settled = False

    def run(self) -> None:
        """Send the messages, and return when each has its reply.

        :raises BrokerUnavailableError: if a reply says that the server accepts nothing.
        :raises redis.RedisError: if the connection is lost, or the server is silent.
        """
        for message in self._batch:
            self._add(message)
            if self._unavailable:
                break
        self._finish_window()
        if self._unavailable:
            raise self._unavailable

    @property
    def large(self) -> Sent | None:
        """The only message without a reply, if it is a large one."""
        if len(self._awaited) == 1 and self._awaited[0].size > WINDOW:
            return self._awaited[0]
        return None

    def _add(self, message: Message) -> None:
        try:
            words = add_command(message)
        except Exception as error:  # noqa: BLE001 one signal never stops the others
            self._batch.fail(message.position, own_failure(error))
            return
        size = sum(map(len, words))
        if self._size + size > WINDOW:
            self._finish_window()
            if self._unavailable:
                return
        if not self._awaited:  # the server has nothing to answer so far
            self._connection.limit.note_progress()
        stream = message.attributes["signalbus_stream"]
        self._awaited.append(Sent(message.position, stream, size))
        self._size += size
        self._write(words, size)

    def _write(self, words: t.Sequence[bytes], size: int) -> None:
        if size > CHUNK:
            for part in _command.encode_in_parts(words):
                self._write_part(part)
        else:
            self._write_part(_command.encode(words))

    def _write_part(self, part: bytes) -> None:
        if len(part) > CHUNK:
            self._write_out()
            self._hand_over(part)
        else:
            self._unwritten += part
            if len(self._unwritten) > CHUNK:
                self._write_out()

    def _write_out(self) -> None:
        unwritten, self._unwritten = self._unwritten, bytearray()
        self._hand_over(unwritten)

    def _hand_over(self, data: bytes | bytearray) -> None:
        try:
            self._connection.write(data)
        except redis.ConnectionError:
            self._read_replies()  # what came before the end still counts
            raise

    def _finish_window(self) -> None:
        """Write the buffered bytes, and wait for all replies."""
        self._write_out()
        self._read_replies()
        self._size = 0

    def _read_replies(self) -> None:
        while self._awaited:
            try:
                self._connection.read_response()
            except redis.ResponseError as reply:
                self._refuse(self._awaited.popleft(), reply)
            else:
                self._batch.confirm(self._awaited.popleft().position)
            self.has_settled = True

    def _refuse(self, sent: Sent, reply: Exception) -> None:
        error = _errors.of_reply(reply, self._url, sent)
        self._batch.fail(sent.position, error)
        if _errors.is_about_server(reply):
            self._unavailable = error
