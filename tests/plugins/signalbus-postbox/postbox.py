"""Postbox, a small message broker: `python postbox.py PORT`.

`POST /` takes a JSON array of messages. Its answer has, for each of them, `null` if the
message is stored, or the reason why it is refused. `GET /NAME` returns the messages in
the box NAME. All of them are in memory.
"""

from __future__ import annotations

import contextlib
import json
import re
import sys
import typing as t
from collections import defaultdict
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer

Message: t.TypeAlias = dict[str, t.Any]

BOXES: defaultdict[str, list[Message]] = defaultdict(list)


class Postbox(BaseHTTPRequestHandler):
    """Answers requests."""

    def do_POST(self) -> None:
        """Store messages."""
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer([_store(**message) for message in json.loads(content)])

    def do_GET(self) -> None:
        """Return messages."""
        self._answer(BOXES.get(self.path.strip("/"), []))

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    def _answer(self, answer: object) -> None:
        content = f"{json.dumps(answer)}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _store(box: str, **message: t.Any) -> str | None:
    if not re.fullmatch("[a-z0-9-]+", box):
        return f"a box cannot be called {box!r}"
    BOXES[box].append(message)
    return None


if __name__ == "__main__":
    port = int(sys.argv[1])
    server = ThreadingHTTPServer(("127.0.0.1", port), Postbox)
    print(f"Postbox listens on port {port}.", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()
