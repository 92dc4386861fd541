"""All that signalbus uses of pika's protected interface.

pika's blocking connection waits for the confirm of each message in turn, and its
asynchronous connections own the thread they run in. signalbus needs one in between: an
asynchronous connection that moves forward only while its user waits for something. The
public interface of pika does not have that.

Protected names may change in any version. So they are used in this module only, a test
fails when one is gone, and ``pyproject.toml`` admits the versions that were tried.
"""

from __future__ import annotations

import typing as t

import pika
import pika.channel
import pika.exceptions
from pika.adapters import select_connection
from pika.adapters.utils import io_services_utils
from pika.adapters.utils import selector_ioloop_adapter
from signalbus.exceptions import describe_error
from signalbus.logs import get_logger

from signalbus_rabbitmq._content_headers import content_header

if t.TYPE_CHECKING:
    import socket
    import threading

logger = get_logger("signalbus.rabbitmq")

#: The versions of pika that the tests were run with.
TRIED_VERSIONS: t.Final = ("1.3.2", "1.4.0", "1.4.4")

#: Where pika defines the methods that are called or overridden here.
METHODS: t.Final[tuple[tuple[type[t.Any], str], ...]] = (
    (pika.channel.Channel, "_on_deliver"),
    (pika.SelectConnection, "_create_channel"),
    (pika.SelectConnection, "_get_write_buffer_size"),
    (pika.SelectConnection, "_output_marshaled_frames"),
    (pika.SelectConnection, "_read_frame"),
    (pika.SelectConnection, "_terminate_stream"),
    (select_connection.IOLoop, "activate_poller"),
    (select_connection.IOLoop, "deactivate_poller"),
    (select_connection.IOLoop, "poll"),
    (select_connection.IOLoop, "process_timeouts"),
)

#: Where pika defines the attributes that are read here.
ATTRIBUTES: t.Final[tuple[tuple[t.Any, str], ...]] = (
    (pika.SelectConnection, "_frame_buffer"),
    (pika.SelectConnection, "_transport"),
    (io_services_utils, "_sock"),
    (selector_ioloop_adapter, "_loop"),
)


class Channel(pika.channel.Channel):  # type: ignore[misc]
    """A channel that can have one callback for what is delivered to any consumer.

    pika returns to the queue what still comes for a consumer that is being cancelled,
    and tells nobody.
    """

    on_delivery: t.Callable[[t.Any, t.Any, bytes], None] | None = None

    def _on_deliver(self, method_frame: t.Any, header: t.Any, body: bytes) -> None:
        if self.on_delivery is None:
            super()._on_deliver(method_frame, header, body)
        else:
            self.on_delivery(method_frame.method, header.properties, body)


class SteppedConnection(pika.SelectConnection):  # type: ignore[misc]
    """An asynchronous connection whose event loop runs one step at a time."""

    #: What the broker said when it closed the connection: pika reports a guess at it.
    closed_by_broker: BaseException | None = None

    def start_loop(self) -> None:
        """Make the event loop ready for :meth:`run_once`."""
        self.ioloop.activate_poller()

    def run_once(self) -> None:
        """Wait for the next event or timer, and handle all that are due."""
        self.ioloop.poll()
        self.ioloop.process_timeouts()

    def close_loop(self) -> None:
        """Release what the event loop holds. Nothing runs afterwards."""
        self.ioloop.deactivate_poller()
        self.ioloop.close()

    def buffered(self) -> int:
        """Return how many bytes wait for the socket to take them."""
        return t.cast("int", self._get_write_buffer_size())

    def write_frames(self, frames: bytes) -> None:
        """Append *frames*, whole ones only, to what is sent."""
        # A view, for what the socket does not take at once is sliced again and again.
        self._output_marshaled_frames([memoryview(frames)])

    def terminate(self, error: Exception) -> None:
        """Begin to close the socket, and give *error* as the reason."""
        self._terminate_stream(error)

    @property
    def socket(self) -> socket.socket | None:
        """The socket, once there is one."""
        return getattr(self._transport, "_sock", None)

    def _create_channel(
        self, channel_number: int, on_open_callback: t.Callable[[Channel], object]
    ) -> Channel:
        return Channel(self, channel_number, on_open_callback)

    def _read_frame(self) -> t.Any:
        """Decode the next frame; leave out properties that cannot be decoded.

        They come from whoever has sent a message. The connection must not end because
        of them: the message would be delivered again, and end the next one.
        """
        try:
            return super()._read_frame()
        except Exception as error:
            header = content_header(self._frame_buffer)
            if header is None:
                raise
            logger.warning(
                "The properties of a message cannot be read. It is processed without"
                " them. %s",
                describe_error(error),
            )
            return header

    def _terminate_stream(self, error: Exception | None) -> None:
        if isinstance(error, pika.exceptions.ConnectionClosedByBroker):
            self.closed_by_broker = error
        super()._terminate_stream(error)


def loop_served_by(thread: threading.Thread) -> t.Any:
    """Return the event loop for which *thread* looks up a host name, if it does."""
    resolver = getattr(getattr(thread, "function", None), "__self__", None)
    return getattr(resolver, "_loop", None)
