"""The open links of a publisher that nobody publishes through at the moment."""

from __future__ import annotations

import collections
import os
import time
import typing as t

from signalbus_rabbitmq._connection import FAREWELL

if t.TYPE_CHECKING:
    from signalbus_rabbitmq._link import Link

#: How many links are kept open for later.
MAX_IDLE = 10


class Pool:
    """Links that wait for their next user, the last used first.

    A link has one user at a time, so no two threads ever share one, and the threads of
    a server that starts one for each request need not connect each time.
    """

    def __init__(self) -> None:
        # Each process has its own. What a fork brought with it is kept and left alone:
        # to use it, or to close it, would break the parent's connections.
        self._links: dict[int, collections.deque[Link]] = {}

    def take(self) -> Link | None:
        """Return a link that is still usable, if there is one. It is now yours."""
        while link := self._pop():
            if link.is_usable():
                return link
            link.abort()
        return None

    def put(self, link: Link) -> None:
        """Keep *link* for later."""
        links = self._own()
        if len(links) < MAX_IDLE:
            links.append(link)
        else:
            link.close(FAREWELL)

    def close(self) -> None:
        """Close all links; a broker that does not answer costs a second for all."""
        deadline = time.monotonic() + FAREWELL
        while link := self._pop():
            link.close(max(0.0, deadline - time.monotonic()))

    def _pop(self) -> Link | None:
        # Another thread may take the last one at any time: asking first is no use.
        try:
            return self._own().pop()
        except IndexError:
            return None

    def _own(self) -> collections.deque[Link]:
        return self._links.setdefault(os.getpid(), collections.deque())
