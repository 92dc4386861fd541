"""The health endpoint: ``GET /healthz``, for the probes of an orchestrator."""

from __future__ import annotations

import contextlib
import http
import http.server
import json
import socket
import socketserver
import threading
import time
import typing as t

from signalbus import SignalBusError
from signalbus.logs import get_logger

logger = get_logger("signalbus.relay")

#: The path of the report.
PATH: t.Final = "/healthz"

#: How long a client may take for its request, in seconds, and how many clients may be
#: connected at the same time. Others are rejected.
_TIMEOUT: t.Final = 5.0
_MAX_CLIENTS: t.Final = 100

#: Returns whether all is well, and the details, as JSON has them.
Report: t.TypeAlias = "t.Callable[[], tuple[bool, dict[str, t.Any]]]"

Address: t.TypeAlias = "tuple[str, int]"


class HealthServer:
    """Answers ``GET /healthz`` in threads of its own, with status 200 or 503.

    The body is the report as JSON, with a ``status`` of ``ok`` or ``unhealthy``. There
    are no other pages and no authentication, so bind it to an address that only probes
    can reach.

    :param address: a host and a port; the port 0 is any free one.
    :param report: called for each request, in any thread. It must not wait for a
        database or a broker. If it raises, the answer is 503.
    """

    def __init__(self, address: Address, report: Report) -> None:
        self._given = address
        self._report = report
        self._server: _Server | None = None

    @property
    def address(self) -> Address:
        """The host and the port at which it listens."""
        if self._server is None:
            return self._given
        host, port = self._server.server_address[:2]
        return str(host), port

    def start(self) -> None:
        """Listen from now on.

        :raises SignalBusError: if the address cannot be used.
        """
        try:
            self._server = _Server(self._given, self._report)
        except OSError as error:
            host, port = self._given
            raise SignalBusError(
                f"No health report at {host}:{port}: {error.strerror}. Choose another"
                " address."
            ) from error
        threading.Thread(
            target=self._server.serve_forever, name="signalbus-health", daemon=True
        ).start()

    def stop(self) -> None:
        """Close the port. May be called more than once."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()


def parse_address(text: str) -> Address:
    """Return the host and the port of ``HOST:PORT``; an IPv6 host is in brackets.

    :raises ValueError: if *text* is anything else.
    """
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdecimal() or int(port) > 65_535:  # noqa: PLR2004 the last
        raise ValueError(
            f"{text!r:.100} is not an address. Pass HOST:PORT, such as 0.0.0.0:8080."
        )
    return host, int(port)


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = _MAX_CLIENTS

    def __init__(self, address: Address, report: Report) -> None:
        self.report = report
        #: The clients that are served, and until when they may stay.
        self._clients: dict[t.Any, float] = {}
        self._lock = threading.Lock()
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Bind, without asking the network for the name of this host.

        That takes long if no name server answers.
        """
        socketserver.TCPServer.server_bind(self)
        host, port = self.server_address[:2]
        self.server_name, self.server_port = str(host), port

    def verify_request(self, request: t.Any, _: object) -> bool:
        """Accept a client, unless there are too many."""
        with self._lock:
            is_taken = len(self._clients) < _MAX_CLIENTS
            if is_taken:
                self._clients[request] = time.monotonic() + _TIMEOUT
        return is_taken

    def shutdown_request(self, request: t.Any) -> None:
        """Disconnect a client."""
        with self._lock:
            self._clients.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Disconnect clients that take too long. Called about twice a second.

        The timeout of a connection is not enough: it starts again with each byte.
        """
        now = time.monotonic()
        with self._lock:
            for request, until in self._clients.items():
                if now > until:
                    with contextlib.suppress(OSError):
                        request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, *_: object) -> None:
        """Ignore clients that disconnect."""


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server
    timeout = _TIMEOUT

    def do_GET(self) -> None:
        """Answer with the report."""
        self._answer()

    def do_HEAD(self) -> None:
        """Answer with the status alone."""
        self._answer()

    def _answer(self) -> None:
        if self.path.partition("?")[0] != PATH:
            self.send_error(http.HTTPStatus.NOT_FOUND)
            return
        is_well, document = _read(self.server.report)
        status = http.HTTPStatus.OK
        if not is_well:
            status = http.HTTPStatus.SERVICE_UNAVAILABLE
        body = json.dumps(document, default=str).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_error(self, code: int, *_: object) -> None:
        """Answer with a status alone: no page quotes the request."""
        self.send_response_only(code)
        self.send_header("Content-Length", "0")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True

    def version_string(self) -> str:
        """Return the header ``Server``, without any versions."""
        return "signalbus"

    def log_message(self, *_: object) -> None:
        """Log nothing, since probes come every few seconds."""


def _read(report: Report) -> tuple[bool, dict[str, t.Any]]:
    """Return the report, with its ``status`` first."""
    try:
        is_well, details = report()
    except Exception:
        logger.exception("The health report failed.")
        is_well, details = False, {}
    return is_well, {"status": "ok" if is_well else "unhealthy", **details}
