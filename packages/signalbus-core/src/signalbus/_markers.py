"""The two pluggy markers: one for those who specify hooks, one for implementers."""

from __future__ import annotations

import pluggy

#: Mark a function as the specification of a hook, to be added by a plugin that has its
#: own in ``signalbus_addhooks``.
hookspec = pluggy.HookspecMarker("signalbus")

#: Mark a function as the implementation of a signalbus hook.
hookimpl = pluggy.HookimplMarker("signalbus")
