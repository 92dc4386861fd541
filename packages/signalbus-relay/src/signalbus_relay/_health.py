"""The health endpoint: ``GET /healthz``, for the probes of an orchestrator."""

from __future__ import annotations

import http
import http.server
import json
import logging
import socket
import socketserver
import threading
import typing as t

from signalbus import SignalBusError

logger = logging.getLogger("signalbus.relay")

#: Where the report is.
PATH: t.Final = "/healthz"

#: How long a client may take for its request, in seconds.
_TIMEOUT: t.Final = 5.0

#: Returns whether all is well, and the details, as JSON has them.
Report: t.TypeAlias = "t.Callable[[], tuple[bool, dict[str, t.Any]]]"

Address: t.TypeAlias = "tuple[str, int]"


class HealthServer:
    """Answer ``GET /healthz`` in threads of its own: with 200, or with 503.

    The body is the report as JSON, with a ``status`` of ``ok`` or ``unhealthy``. There
    is nothing else to be had, and nothing is asked of the client: bind it to an address
    that only probes can reach.

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

    def __init__(self, address: Address, report: Report) -> None:
        self.report = report
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Bind, without asking the network for the name of this host.

        Where no name server answers, that takes long.
        """
        socketserver.TCPServer.server_bind(self)
        host, port = self.server_address[:2]
        self.server_name, self.server_port = str(host), port

    def handle_error(self, *_: object) -> None:
        """Say nothing of clients that hang up."""


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
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def version_string(self) -> str:
        """Return what the header ``Server`` says: nothing about versions."""
        return "signalbus"

    def log_message(self, *_: object) -> None:
        """Say nothing: probes come every few seconds."""


def _read(report: Report) -> tuple[bool, dict[str, t.Any]]:
    """Return the report, with its ``status`` first."""
    try:
        is_well, details = report()
    except Exception:
        logger.exception("The health report failed.")
        is_well, details = False, {}
    return is_well, {"status": "ok" if is_well else "unhealthy", **details}
