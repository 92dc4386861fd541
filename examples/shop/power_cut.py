"""The shop with a simulated power cut: it is killed after it has sent its third burst.

`kill -9` between the broker's confirm and the commit is the worst case: the messages
are sent, and their rows are still there.
"""

from __future__ import annotations

import os
import signal
import typing as t

from signalbus import hookimpl

from examples.shop import create_app
from examples.shop.models import db

if t.TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["create_app"]


class PowerCut:
    """Kill the process after the third burst is sent, before its commit."""

    bursts = 0

    @hookimpl(wrapper=True)
    def signalbus_send_burst(self) -> Generator[None, bool | None, bool | None]:
        """Send the burst, then kill the process if it was the third."""
        confirmed = yield
        self.bursts += 1
        if self.bursts == 3:  # noqa: PLR2004 the third
            os.kill(os.getpid(), signal.SIGKILL)
        return confirmed


db.signalbus.plugin_manager.register(PowerCut())
